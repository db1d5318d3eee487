package baseline

import (
	"math"
	"time"
)

// season is what a series usually does in the course of a day and of a week, as offsets from its level. Each of the two
// profiles has four sets of bins, shifted against each other by a quarter of a bin: their mean is smoother than any one.
// Offsets are whole multiples of a unit, so that a bin is two bytes.
type season struct {
	day  [dayBins][phases]int16
	week [weekBins][phases]int16
	unit float32
}

const (
	phases     = 4
	dayBins    = 24
	weekBins   = 28
	daySpan    = 86400
	weekSpan   = 7 * 86400
	dayRate    = 0.2  // share of the way to a new day's mean that a bin goes in a day
	weekRate   = 0.25 // likewise in a week
	dayDoubt   = 0.5  // days that weigh as much as the belief that there is no such thing
	weekDoubt  = 1    // weeks, likewise
	unitsAPart = 512  // units in one spread
)

// place is a position in a profile: between two bins' centres, in each phase.
type place struct {
	a, b  [phases]int
	share [phases]float64 // of b
	in    [phases]int     // bin that the time lies in
	past  [phases]float64 // share of that bin that has passed
}

func locate(seconds int64, span int64, bins int, p *place) {
	at := seconds % span
	if at < 0 {
		at += span
	}
	x := float64(at) * (float64(bins) / float64(span))
	for k := range phases {
		y := x + float64(k)/phases
		i := int(y)
		f := y - float64(i)
		if i >= bins {
			i -= bins
		}
		a, b, share := i, i+1, f-0.5
		if f < 0.5 {
			a, b, share = i-1, i, f+0.5
			if a < 0 {
				a = bins - 1
			}
		} else if b == bins {
			b = 0
		}
		p.in[k], p.past[k] = i, f
		p.a[k], p.b[k], p.share[k] = a, b, share
	}
}

// moment is a time as the profiles see it.
type moment struct {
	day, week place
}

// moment finds a time, in nanoseconds, in the profiles. Many series have points of the same time, so the last is kept.
func (p *Params) moment(t int64) *moment {
	seconds := t / int64(time.Second)
	if p.located == seconds && seconds != 0 {
		return &p.last
	}
	p.located = seconds
	if p.Zone != nil {
		_, east := time.Unix(seconds, 0).In(p.Zone).Zone()
		seconds += int64(east)
	}
	locate(seconds, daySpan, dayBins, &p.last.day)
	locate(seconds, weekSpan, weekBins, &p.last.week)
	return &p.last
}

// passes returns how often each profile has been gone through since the first point.
func passes(first, t int64) (days, weeks float64) {
	passed := (t - first) / int64(time.Second)
	return float64(passed / daySpan), float64(passed / weekSpan)
}

// offsets from the level that the profiles expect; what has been seen little is believed little.
func (s *season) offsets(m *moment, days, weeks float64) (byDay, byWeek float64) {
	unit := float64(s.unit)
	return offset(s.day[:], &m.day) * unit * days / (days + dayDoubt),
		offset(s.week[:], &m.week) * unit * weeks / (weeks + weekDoubt)
}

// learn moves both profiles towards an offset from the level, the week's towards what the day leaves of it. spacing is
// the time between points in seconds.
func (s *season) learn(m *moment, days, weeks, x, byDay, spacing float64) {
	unit := float64(s.unit)
	if unit <= 0 {
		return
	}
	teach(s.day[:], &m.day, x/unit, dayRate, days, max(1, daySpan/dayBins/spacing))
	teach(s.week[:], &m.week, (x-byDay)/unit, weekRate, weeks, max(1, weekSpan/weekBins/spacing))
}

func offset(bins [][phases]int16, p *place) float64 {
	sum := 0.0
	for k := range phases {
		a, b := float64(bins[p.a[k]][k]), float64(bins[p.b[k]][k])
		sum += a + p.share[k]*(b-a)
	}
	return sum / phases
}

// teach moves the bins that the time lies in towards x, in units. passes is how often the profile has been gone through,
// points how many points a bin holds.
func teach(bins [][phases]int16, p *place, x, rate, passes, points float64) {
	x = min(max(x, -math.MaxInt16), math.MaxInt16)
	settled := rate / points
	for k := range phases {
		bin := &bins[p.in[k]][k]
		w := settled
		if n := (passes+p.past[k])*points + 1; w*n < 1 {
			w = 1 / n
		}
		v := float64(*bin)
		v += w * (x - v)
		*bin = int16(int(v+(math.MaxInt16+1.5)) - (math.MaxInt16 + 1))
	}
}

// scale chooses a unit that suits the spread.
func (s *season) scale(spread float64) {
	want := spread / unitsAPart
	unit := float64(s.unit)
	if want <= 0 || (unit >= want/8 && unit <= want*4) {
		return
	}
	if unit == 0 {
		s.unit = float32(want)
		return
	}
	s.rescale(want)
}

// rescale expresses the offsets in another unit.
func (s *season) rescale(unit float64) {
	ratio := float64(s.unit) / unit
	convert := func(bin *int16) {
		*bin = int16(bounded(math.Round(float64(*bin)*ratio), math.MaxInt16))
	}
	for i := range s.day {
		for k := range s.day[i] {
			convert(&s.day[i][k])
		}
	}
	for i := range s.week {
		for k := range s.week[i] {
			convert(&s.week[i][k])
		}
	}
	s.unit = float32(unit)
}
