package edgehealth

import "math"

// bins is the number of bins of a latency distribution: half powers of two from 1 ms up to 46 s.
const bins = 32

// Latency counts requests by duration, on a fixed logarithmic scale with two bins an octave.
type Latency [bins]float32

// Bin returns the bin of a duration in seconds.
func Bin(seconds float64) int {
	if !(seconds > 0.001) {
		return 0
	}
	// Bounded before the conversion, which infinity would not survive.
	return int(min(bins-1, 1+2*math.Log2(seconds/0.001)))
}

// Add counts n requests of about the given duration in seconds.
func (l *Latency) Add(seconds, n float64) { l[Bin(seconds)] += float32(n) }

// AddBucket counts n requests that lie between two bounds of an explicit histogram, in seconds; upper may be infinite.
func (l *Latency) AddBucket(lower, upper, n float64) {
	switch {
	case math.IsInf(upper, 1):
		l.Add(lower*math.Sqrt2, n)
	case lower <= 0:
		l.Add(upper/2, n)
	default:
		l.Add(math.Sqrt(lower*upper), n)
	}
}

// distribution is a learnt latency distribution.
type distribution [bins]float64

// threshold returns the first bin so that at most the given share of requests lies in it or above.
func (d *distribution) threshold(share float64) int {
	total := 0.0
	for _, n := range d {
		total += n
	}
	tail := 0.0
	for b := bins - 1; b >= 0; b-- {
		if tail += d[b]; tail > share*total {
			return b + 1
		}
	}
	return 0
}
