package stlesd

import "math"

const (
	shortestPeriod = 4
	// clearly is the autocorrelation that a period must reach.
	clearly = 0.3
)

// FindPeriod returns the number of points of the cycle of y, 0 when there is none: the shortest lag at which the autocorrelation of y
// without its linear trend has a peak nearly as high as the highest. Three cycles must fit. It costs a third of the square
// of the length.
func FindPeriod(y []float64) int {
	n := len(y)
	if n < 3*shortestPeriod {
		return 0
	}
	x := make([]float64, n)
	var mean, slope, square float64
	middle := float64(n-1) / 2
	for i, v := range y {
		mean += v / float64(n)
		off := float64(i) - middle
		slope += off * v
		square += off * off
	}
	slope /= square
	var variance, size float64
	for i, v := range y {
		x[i] = v - mean - slope*(float64(i)-middle)
		variance += x[i] * x[i]
		size += v * v
	}
	if variance <= 1e-18*size {
		return 0
	}
	longest := n / 3
	correlation := make([]float64, longest+2)
	for lag := 1; lag <= longest+1; lag++ {
		sum := 0.0
		for i := lag; i < n; i++ {
			sum += x[i] * x[i-lag]
		}
		// Each lag by the number of its pairs, or long periods would look weaker than they are.
		correlation[lag] = sum / variance * float64(n) / float64(n-lag)
	}
	// Before the correlation has fallen below 0 once its peaks are those of noise on the slope of a longer cycle.
	shortest := 1
	for shortest <= longest && correlation[shortest] >= 0 {
		shortest++
	}
	shortest = max(shortest, shortestPeriod)
	highest := 0.0
	peak := func(lag int) bool {
		return correlation[lag] >= correlation[lag-1] && correlation[lag] >= correlation[lag+1]
	}
	for lag := shortest; lag <= longest; lag++ {
		if peak(lag) {
			highest = math.Max(highest, correlation[lag])
		}
	}
	if highest < clearly {
		return 0
	}
	for lag := shortest; lag <= longest; lag++ {
		if peak(lag) && correlation[lag] >= 0.9*highest {
			return lag
		}
	}
	return 0
}
