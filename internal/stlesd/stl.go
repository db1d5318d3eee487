package stlesd

import (
	"math"
	"slices"
)

// Smoothing are the parameters of a decomposition.
type Smoothing struct {
	// Period is the number of points of a cycle, at least 2; 0 when there is no season.
	Period int
	// Seasonal is the number of cycles over which a point of the cycle is smoothed; odd, at least 7.
	Seasonal int
	// Trend is the number of points over which the trend is smoothed; 0 stands for what the paper advises.
	Trend int
	// Inner and Outer are the numbers of passes: of the loop that separates season and trend, at least 1, and of the robust
	// one around it, at least 0.
	Inner, Outer int
}

// DefaultSmoothing is robust and has converged for most series.
func DefaultSmoothing(period int) Smoothing {
	return Smoothing{Period: period, Seasonal: 7, Inner: 1, Outer: 3}
}

// Decomposition is a series taken apart: it is the sum of Trend, Season and Remainder, all of its length. Weights are those of the
// last robust pass: 1 for a point like the others, 0 for an outlier.
type Decomposition struct {
	Trend, Season, Remainder, Weights []float64

	detrended, padded, passed, work, work2 []float64
	subseries, subweights, subsmooth       []float64
}

// resize makes room for n points of a period and sets all to 0.
func (d *Decomposition) resize(n, period int) {
	for _, s := range []*[]float64{&d.Trend, &d.Season, &d.Remainder, &d.Weights, &d.detrended, &d.work2} {
		*s = slices.Grow((*s)[:0], n)[:n]
		clear(*s)
	}
	for _, s := range []*[]float64{&d.padded, &d.passed, &d.work} {
		*s = slices.Grow((*s)[:0], n+2*period)[:n+2*period]
		clear(*s)
	}
	for _, s := range []*[]float64{&d.subseries, &d.subweights, &d.subsmooth} {
		*s = slices.Grow((*s)[:0], n+2)[:n+2]
	}
}

// Decompose takes y apart into d, whose memory is used again. y must be finite and hold two periods at least, or the
// season is left out.
func Decompose(y []float64, p Smoothing, d *Decomposition) {
	if p.Period < 2 || len(y) < 2*p.Period {
		p.Period = 0
	}
	d.resize(len(y), p.Period)
	if len(y) == 0 {
		return
	}
	trend := loess{length: p.Trend, degree: 1, jump: 1}
	if trend.length == 0 {
		trend.length = len(y)/2 | 1
		if p.Period > 0 {
			// Long enough not to take part in the season (Cleveland et al., section 3.4).
			trend.length = int(math.Ceil(1.5*float64(p.Period)/(1-1.5/float64(p.Seasonal)))) | 1
		}
	}
	trend.length = max(3, trend.length)
	trend.jump = max(1, trend.length/10)
	largest := 0.0
	for _, v := range y {
		largest = math.Max(largest, math.Abs(v))
	}
	var weights []float64
	for pass := 0; ; pass++ {
		for range max(1, p.Inner) {
			d.separate(y, p, trend, weights)
		}
		for i, v := range y {
			d.Remainder[i] = v - d.Trend[i] - d.Season[i]
		}
		if pass >= p.Outer {
			break
		}
		d.reweigh(largest)
		weights = d.Weights
	}
	if weights == nil {
		d.reweigh(largest)
	}
}

// separate is one pass of the inner loop.
func (d *Decomposition) separate(y []float64, p Smoothing, trend loess, weights []float64) {
	n := len(y)
	if p.Period > 0 {
		for i, v := range y {
			d.detrended[i] = v - d.Trend[i]
		}
		d.smoothCycles(p, weights)
		// What is left of the level in the smoothed cycles belongs to the trend: a low-pass filter takes it out.
		length := n + 2*p.Period
		average(d.padded[:length], p.Period, d.passed)
		average(d.passed[:length-p.Period+1], p.Period, d.work)
		average(d.work[:n+2], 3, d.passed)
		low := loess{length: p.Period | 1, degree: 1, jump: max(1, p.Period/10)}
		low.length = max(3, low.length)
		low.smooth(d.passed[:n], nil, d.work[:n])
		for i := range d.Season {
			d.Season[i] = d.padded[p.Period+i] - d.work[i]
		}
	}
	for i, v := range y {
		d.work2[i] = v - d.Season[i]
	}
	trend.smooth(d.work2, weights, d.Trend)
}

// smoothCycles smooths each point of the cycle over the cycles, from one cycle before the first to one after the last, into
// d.padded.
func (d *Decomposition) smoothCycles(p Smoothing, weights []float64) {
	n := len(d.detrended)
	l := loess{length: max(7, p.Seasonal|1), degree: 1, jump: max(1, p.Seasonal/10)}
	for phase := range p.Period {
		k := 0
		for i := phase; i < n; i += p.Period {
			d.subseries[k] = d.detrended[i]
			if weights != nil {
				d.subweights[k] = weights[i]
			}
			k++
		}
		y, out := d.subseries[:k], d.subsmooth[:k]
		var w []float64
		if weights != nil {
			w = d.subweights[:k]
		}
		l.smooth(y, w, out)
		before, ok := l.at(y, w, -1, 0, min(l.length, k)-1)
		if !ok {
			before = out[0]
		}
		after, ok := l.at(y, w, float64(k), max(0, k-l.length), k-1)
		if !ok {
			after = out[k-1]
		}
		d.padded[phase] = before
		for i, v := range out {
			d.padded[(i+1)*p.Period+phase] = v
		}
		d.padded[(k+1)*p.Period+phase] = after
	}
}

// average writes the means of so many neighbours; out is shorter by that less one.
func average(x []float64, length int, out []float64) {
	sum := 0.0
	for _, v := range x[:length] {
		sum += v
	}
	out[0] = sum / float64(length)
	for i := length; i < len(x); i++ {
		sum += x[i] - x[i-length]
		out[i-length+1] = sum / float64(length)
	}
}

// reweigh gives each point a weight by the size of its remainder: bisquare, of six times the median. What is no more than the
// rounding of the largest value counts as nothing.
func (d *Decomposition) reweigh(largest float64) {
	for i, r := range d.Remainder {
		d.work2[i] = math.Abs(r)
	}
	slices.Sort(d.work2)
	h := math.Max(6*medianSorted(d.work2), 1e-9*largest)
	for i, r := range d.Remainder {
		switch r = math.Abs(r); {
		case r <= 0.001*h || h == 0:
			d.Weights[i] = 1
		case r <= 0.999*h:
			u := 1 - r/h*(r/h)
			d.Weights[i] = u * u
		default:
			d.Weights[i] = 0
		}
	}
}

func medianSorted(x []float64) float64 {
	n := len(x)
	return (x[(n-1)/2] + x[n/2]) / 2
}
