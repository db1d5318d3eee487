package stlesd

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/paramedic-otel/paramedic/internal/evidence"
)

// MaxWindow bounds the window of a detector.
const MaxWindow = 16384

// Params are the parameters of a detector.
type Params struct {
	// Window is the number of points that are decomposed, 32 to MaxWindow.
	Window int
	// Period is the number of points of a cycle, 2 to half the window; 0 has it found.
	Period int
	// Every is the number of points after which the window is decomposed anew, 1 to Window.
	Every int
	// Outliers is the largest share of the window that the test may take for outliers, 0 to 0.49.
	Outliers float64
	// Alpha is the significance of the test, between 0 and 1, exclusive: of so many windows of normal noise one has an outlier.
	Alpha float64
}

// DefaultParams decompose 512 points at every sixteenth.
func DefaultParams() Params {
	return Params{Window: 512, Every: 16, Outliers: 0.1, Alpha: 0.01}
}

// Validate reports everything that is wrong with the parameters.
func (p *Params) Validate() error {
	var errs []error
	if p.Window < 32 || p.Window > MaxWindow {
		errs = append(errs, fmt.Errorf("window must be between 32 and %d, got %d", MaxWindow, p.Window))
	}
	if p.Period != 0 && (p.Period < 2 || p.Period > p.Window/2) {
		errs = append(errs, fmt.Errorf("period must be 0 or between 2 and half the window, got %d", p.Period))
	}
	if p.Every < 1 || p.Every > p.Window {
		errs = append(errs, fmt.Errorf("every must be between 1 and the window, got %d", p.Every))
	}
	if !(p.Outliers >= 0 && p.Outliers < 0.5) {
		errs = append(errs, fmt.Errorf("outliers must be at least 0 and less than 0.5, got %v", p.Outliers))
	}
	if !(p.Alpha > 0 && p.Alpha < 1) {
		errs = append(errs, fmt.Errorf("alpha must be between 0 and 1, exclusive, got %v", p.Alpha))
	}
	return errors.Join(errs...)
}

const (
	largest          = 1e100
	largestDeviation = 1e6
	// fewest points are decomposed, and cycles of a known period.
	fewest, cycles = 32, 3
	// abnormal is the probability below which a point does not teach the tail.
	abnormal = 1e-4
	// adoptAfter is the share of the window after which a change that stays is learnt by the tail all the same.
	adoptAfter = 0.25
)

// Verdict is what the detector says about a point.
type Verdict struct {
	// Ready says that enough was seen to judge: else there is no outlier and Chance is 1.
	Ready bool
	// Expected is what the trend and the season foretell.
	Expected float64
	// Deviation is the signed distance from it in spreads of the usual remainder.
	Deviation float64
	// Outlier says that the test takes the point for one.
	Outlier bool
	// Chance is the probability that a usual point lies as far from what was foretold.
	Chance float64
}

// Detector is the state of one series. It is not safe for concurrent use.
type Detector struct {
	params Params
	// window holds the points, the next goes to at; misses the last differences from what was foretold.
	window         []float64
	at, held       int
	misses         []float64
	missAt, missed int
	since          int // points since the last decomposition
	badly          int
	period         int
	ready          bool
	// What the last decomposition foretells: the last trend, a cycle of the season beginning behind the window, and the
	// usual remainder.
	trend          float64
	season         []float64
	center, spread float64
	clean          int
	critical       float64
	surprise       evidence.Surprise

	ordered, sorted []float64
	parts           Decomposition
}

// New returns a detector that has seen nothing.
func New(p Params) (*Detector, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return &Detector{params: p, window: make([]float64, p.Window), misses: make([]float64, p.Window)}, nil
}

// Period returns the number of points of the cycle that was found or set; 0 when there is none.
func (d *Detector) Period() int { return d.period }

// Observe judges a point, then learns from it. Points must come at even intervals; NaN stands for a missing one, which is
// filled with what was foretold.
func (d *Detector) Observe(x float64) Verdict {
	expected := d.expected()
	v := Verdict{Chance: 1}
	missing := math.IsNaN(x)
	if missing {
		x = expected
	}
	x = math.Max(-largest, math.Min(largest, x))
	if d.ready {
		v.Ready, v.Expected = d.missed >= fewest, expected
		v.Deviation = (x - expected - d.center) / d.spread
		size := math.Min(math.Abs(v.Deviation), largestDeviation)
		v.Deviation = math.Copysign(size, v.Deviation)
		v.Outlier = v.Ready && size > d.critical
		if v.Ready {
			v.Chance, _ = d.surprise.Judge(size)
		}
		if !missing {
			d.teach(size, v.Chance)
			d.misses[d.missAt] = x - expected
			d.missAt = (d.missAt + 1) % d.params.Window
			d.missed = min(d.missed+1, d.params.Window)
		}
	}
	d.window[d.at] = x
	d.at = (d.at + 1) % d.params.Window
	d.held = min(d.held+1, d.params.Window)
	d.since++
	// A gap waits for its end: else each of its points would cost as much as many others, and tell nothing.
	if due := d.since >= d.params.Every && !missing; due && d.held >= max(fewest, cycles*d.params.Period) {
		d.decompose()
	}
	return v
}

func abs(x int) int { return max(x, -x) }

// expected is what was foretold of the next point.
func (d *Detector) expected() float64 {
	switch {
	case d.ready && len(d.season) > 0:
		return d.trend + d.season[d.since%len(d.season)]
	case d.ready:
		return d.trend
	case d.held > 0:
		return d.window[(d.at+d.params.Window-1)%d.params.Window]
	default:
		return 0
	}
}

func (d *Detector) teach(x, chance float64) {
	rate := 1.0
	if chance < abnormal {
		if d.badly++; d.badly <= int(adoptAfter*float64(d.params.Window)) {
			rate = 0
		}
	} else {
		d.badly = 0
	}
	d.surprise.Learn(x, rate)
}

// decompose takes the window apart and keeps what it foretells.
func (d *Detector) decompose() {
	d.since = 0
	d.ordered = d.ordered[:0]
	if d.held == d.params.Window {
		d.ordered = append(d.ordered, d.window[d.at:]...)
		d.ordered = append(d.ordered, d.window[:d.at]...)
	} else {
		d.ordered = append(d.ordered, d.window[:d.held]...)
	}
	before := d.period
	d.period = d.params.Period
	if d.period == 0 {
		d.period = FindPeriod(d.ordered)
	}
	if far := abs(d.period - before); far > before/10 {
		// How far forecasts missed that knew nothing of the cycle says nothing about those that do.
		d.missAt, d.missed, d.surprise = 0, 0, evidence.Surprise{}
	}
	Decompose(d.ordered, DefaultSmoothing(d.period), &d.parts)
	n := len(d.ordered)
	d.trend = d.parts.Trend[n-1]
	d.season = d.season[:0]
	if d.period > 0 {
		d.season = append(d.season, d.parts.Season[n-d.period:]...)
	}
	// Forecasts miss by more than the remainders, to which the decomposition was fitted. Until there are forecasts enough the
	// remainders must do.
	residuals := d.parts.Remainder
	if d.missed >= fewest {
		residuals = d.misses[:d.missed]
	}
	_, outliers := Outliers(residuals, int(d.params.Outliers*float64(len(residuals))), d.params.Alpha, true)
	d.clean = len(residuals) - outliers
	d.critical = Critical(d.clean, d.params.Alpha)
	d.sorted = append(d.sorted[:0], residuals...)
	slices.Sort(d.sorted)
	d.center = medianSorted(d.sorted)
	for i, r := range d.sorted {
		d.sorted[i] = math.Abs(r - d.center)
	}
	slices.Sort(d.sorted)
	d.spread = math.Max(madToSpread*medianSorted(d.sorted), math.Max(1e-9*math.Abs(d.trend), 1e-12))
	d.ready = true
}
