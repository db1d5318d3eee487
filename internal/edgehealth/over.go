package edgehealth

import "math"

// smallest is the upper bound of the first bin, in seconds.
const smallest = 0.001

// Over returns how many requests are counted and how many of them took longer than a time in seconds. Those in the bin of
// that time count by the part of it that lies above, as if they were spread evenly over its logarithm.
func (l *Latency) Over(seconds float64) (total, over float64) {
	at := Bin(seconds)
	for b, n := range l {
		total += float64(n)
		switch {
		case b > at:
			over += float64(n)
		case b == at:
			over += float64(n) * above(at, seconds)
		}
	}
	return total, over
}

// above returns which part of a bin lies above a time in seconds.
func above(bin int, seconds float64) float64 {
	switch bin {
	case 0:
		// It reaches from nothing to its upper bound.
		return min(1, max(0, 1-seconds/smallest))
	case bins - 1:
		return 1
	default:
		return min(1, max(0, float64(bin)-2*math.Log2(seconds/smallest)))
	}
}
