package nodeimpact

import (
	"math"
	"slices"
)

// guessCalls adds calls that the graph does not know: time and failures are conserved, so a service whose impact nobody is
// known to suffer from, and one that suffers as much in the same buckets for a reason that is not known either, are taken
// for callee and caller. The caller must be one that the symptom leads to, so that it is known which is which.
func (w *window) guessCalls() {
	if w.Alike <= 0 {
		return
	}
	for range w.services {
		reached := w.reach(w.sufferer)
		best, client, server := w.Alike, -1, -1
		for i := range w.services {
			if i == w.sufferer || !w.unclaimed(i) {
				continue
			}
			var below []bool
			for c := range w.services {
				if c == i || !reached[c] || !w.unexplained(c) || slices.Contains(w.callees[c], i) {
					continue
				}
				if below == nil {
					below = w.reach(i)
				}
				if d := w.distance(c, i); !below[c] && d < best {
					best, client, server = d, c, i
				}
			}
		}
		if client < 0 {
			return
		}
		w.addCall(client, server)
	}
}

// most is the part of an impact from which on it is said to be without explanation.
const most = 0.5

// unclaimed reports whether callers of a service do not suffer most of what it bears.
func (w *window) unclaimed(i int) bool {
	total, suffered := w.counted(i, true), 0.0
	for _, c := range w.callers[i] {
		suffered += w.counted(c, true)
	}
	return total > 0 && total-suffered > most*total
}

// residual returns what of the impact of a service its callees do not explain.
func (w *window) residual(i int) float64 {
	rest := w.counted(i, true)
	for _, c := range w.callees[i] {
		rest -= w.counted(c, true) * w.part(i, c, true)
	}
	return max(0, rest)
}

// unexplained reports whether the callees of a service leave of what it bears more than chance.
func (w *window) unexplained(i int) bool {
	least := w.Ranking.Significant * w.impacts[i].noise
	if i == w.sufferer {
		// It is given that the symptom is more than chance.
		least = min(least, most*w.counted(i, true))
	}
	rest := w.residual(i)
	return rest > 0 && rest >= least
}

// reach returns the services that one calls, directly or not, and itself.
func (w *window) reach(from int) []bool {
	seen := make([]bool, len(w.services))
	seen[from] = true
	open := []int{from}
	for len(open) > 0 {
		i := open[len(open)-1]
		open = open[:len(open)-1]
		for _, c := range w.callees[i] {
			if !seen[c] {
				seen[c] = true
				open = append(open, c)
			}
		}
	}
	return seen
}

// distance returns by which part of the greater one the impacts of two services differ, bucket by bucket.
func (w *window) distance(a, b int) float64 {
	x, y := w.impacts[a].profile, w.impacts[b].profile
	differ, sumX, sumY := 0.0, 0.0, 0.0
	for i := range min(len(x), len(y)) {
		differ += math.Abs(x[i] - y[i])
		sumX += math.Abs(x[i])
		sumY += math.Abs(y[i])
	}
	return differ / max(sumX, sumY)
}
