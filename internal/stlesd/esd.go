package stlesd

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// madToSpread turns a median absolute deviation into the standard deviation of a normal variable.
const madToSpread = 1.4826

// Test is one step of the generalised ESD test.
type Test struct {
	// Index is the point that is farthest out of those left.
	Index int
	// Statistic is its distance in spreads, Critical what it must exceed.
	Statistic, Critical float64
}

// Outliers runs the generalised ESD test for up to most outliers at significance alpha. It returns the steps and the number of the first ones
// that are outliers. robust takes median and median absolute deviation for mean and standard deviation. It works on a
// copy of x, which must be finite.
func Outliers(x []float64, most int, alpha float64, robust bool) (steps []Test, outliers int) {
	left := make([]point, len(x))
	for i, v := range x {
		left[i] = point{v, i}
	}
	slices.SortFunc(left, func(a, b point) int {
		switch {
		case a.value < b.value:
			return -1
		case a.value > b.value:
			return 1
		default:
			return a.index - b.index
		}
	})
	for len(steps) < most && len(left) > 2 {
		n := len(left)
		var center, spread float64
		if robust {
			center = (left[(n-1)/2].value + left[n/2].value) / 2
			spread = madToSpread * deviation(left, center)
		} else {
			for _, p := range left {
				center += p.value / float64(n)
			}
			for _, p := range left {
				spread += (p.value - center) * (p.value - center)
			}
			spread = math.Sqrt(spread / float64(n-1))
		}
		if spread == 0 {
			break
		}
		// They are sorted: the farthest is at one of the ends.
		at := n - 1
		if center-left[0].value > left[at].value-center {
			at = 0
		}
		step := Test{Index: left[at].index, Statistic: math.Abs(left[at].value-center) / spread, Critical: Critical(n, alpha)}
		steps = append(steps, step)
		if step.Statistic > step.Critical {
			outliers = len(steps)
		}
		if at == 0 {
			left = left[1:]
		} else {
			left = left[:at]
		}
	}
	return steps, outliers
}

// point is a value and where it stood.
type point struct {
	value float64
	index int
}

// deviation returns the median absolute deviation of sorted points from their median: those nearest to it are met going outwards.
func deviation(x []point, center float64) float64 {
	n := len(x)
	below, _ := slices.BinarySearchFunc(x, center, func(p point, c float64) int {
		if p.value < c {
			return -1
		}
		return 1
	})
	above := below
	below--
	var last, before float64
	for range n/2 + 1 {
		before = last
		if above >= n || (below >= 0 && center-x[below].value < x[above].value-center) {
			last = center - x[below].value
			below--
		} else {
			last = x[above].value - center
			above++
		}
	}
	if n%2 == 1 {
		return last
	}
	return (before + last) / 2
}

// Critical is what the largest of n distances of a normal sample exceeds with probability alpha (Rosner 1983, equation 2.5).
func Critical(n int, alpha float64) float64 {
	if n < 3 {
		return math.Inf(1)
	}
	m := float64(n)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: m - 2}.Quantile(1 - alpha/(2*m))
	return t * (m - 1) / math.Sqrt((m-2+t*t)*m)
}
