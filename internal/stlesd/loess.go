package stlesd

import "math"

// loess is a local regression on evenly spaced points.
type loess struct {
	// length is the number of points in a neighbourhood, degree 0 or 1, jump the distance of the points at which the regression
	// is worked out; between them it is interpolated.
	length, degree, jump int
}

// at fits y around x, where y[i] stands at i, from the points first to last. weights may be nil. It reports whether any
// point had weight.
func (l loess) at(y, weights []float64, x float64, first, last int) (float64, bool) {
	n := len(y)
	h := math.Max(x-float64(first), float64(last)-x)
	if l.length > n {
		h += float64((l.length - n) / 2)
	}
	near, far := 0.001*h, 0.999*h
	var total, mean float64
	weigh := func(i int) float64 {
		r := math.Abs(float64(i) - x)
		if r > far {
			return 0
		}
		w := 1.0
		if r > near {
			u := r / h
			u = 1 - u*u*u
			w = u * u * u
		}
		if weights != nil {
			w *= weights[i]
		}
		return w
	}
	var sumY float64
	for i := first; i <= last; i++ {
		w := weigh(i)
		total += w
		mean += w * float64(i)
		sumY += w * y[i]
	}
	if total <= 0 {
		return 0, false
	}
	mean /= total
	level := sumY / total
	if h == 0 || l.degree == 0 {
		return level, true
	}
	var square, product float64
	for i := first; i <= last; i++ {
		w := weigh(i) / total
		off := float64(i) - mean
		square += w * off * off
		product += w * off * y[i]
	}
	// When the points with weight lie too close together a slope means nothing.
	if math.Sqrt(square) <= 0.001*float64(n-1) {
		return level, true
	}
	return level + (x-mean)*product/square, true
}

// smooth writes the regression of y to out.
func (l loess) smooth(y, weights, out []float64) {
	n := len(y)
	if n < 2 {
		copy(out, y)
		return
	}
	jump := max(1, min(l.jump, n-1))
	half := (l.length + 1) / 2
	previous := 0
	for i := 0; ; i += jump {
		// The last point is always worked out, so that nothing is extrapolated.
		i = min(i, n-1)
		first, last := 0, n-1
		if l.length < n {
			first = min(max(0, i-half+1), n-l.length)
			last = first + l.length - 1
		}
		v, ok := l.at(y, weights, float64(i), first, last)
		if !ok {
			v = y[i]
		}
		out[i] = v
		for k := previous + 1; k < i; k++ {
			out[k] = out[previous] + (v-out[previous])*float64(k-previous)/float64(i-previous)
		}
		previous = i
		if i == n-1 {
			return
		}
	}
}
