package nodeimpact

import (
	"cmp"
	"math"
	"slices"
)

// most is the part of an impact from which on it is said to be without explanation.
const most = 0.5

// maxGuesses bounds the calls that are added, and for each the callers and callees that are looked at: those that bear
// most.
const maxGuesses = 50

// guessCalls adds calls that the graph does not know: time and failures are conserved, so a service whose impact nobody is
// known to suffer from, and one that suffers as much in the same buckets for a reason that is not known either, are taken
// for callee and caller. The caller must be one that the symptom leads to, so that it is known which is which.
func (w *window) guessCalls() {
	if w.Alike <= 0 {
		return
	}
	for range maxGuesses {
		reached, suffered := w.reach(w.sufferer), w.suffered(true)
		clients := w.heaviest(func(i int) float64 {
			if rest := w.residual(i, suffered); reached[i] && w.inexplicable(i, rest) {
				return rest
			}
			return 0
		})
		servers := w.heaviest(func(i int) float64 {
			total := w.counted(i, true)
			if i == w.sufferer || total-suffered[i] <= most*total {
				return 0
			}
			return total
		})
		best, client, server := w.Alike, -1, -1
		for _, i := range servers {
			var below []bool
			for _, c := range clients {
				d := w.distance(c, i)
				if c == i || !(d < best) || slices.Contains(w.callees[c], i) {
					continue
				}
				if below == nil {
					below = w.reach(i)
				}
				if !below[c] {
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

// heaviest returns the services of the greatest weight above 0, at most maxGuesses.
func (w *window) heaviest(weight func(int) float64) []int {
	type weighed struct {
		weight  float64
		service int
	}
	var all []weighed
	for i := range w.services {
		if v := weight(i); v > 0 {
			all = append(all, weighed{v, i})
		}
	}
	slices.SortFunc(all, func(a, b weighed) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(w.services[a.service].Name, w.services[b.service].Name))
	})
	out := make([]int, 0, min(len(all), maxGuesses))
	for _, v := range all[:min(len(all), maxGuesses)] {
		out = append(out, v.service)
	}
	return out
}

// residual returns what of the impact of a service its callees do not explain.
func (w *window) residual(i int, suffered []float64) float64 {
	rest := w.counted(i, true)
	for _, c := range w.callees[i] {
		rest -= w.counted(c, true) * w.part(i, c, true, suffered)
	}
	return max(0, rest)
}

// inexplicable reports whether the callees of a service leave of what it bears more than chance.
func (w *window) inexplicable(i int, rest float64) bool {
	least := w.Ranking.Significant * w.impacts[i].noise
	if i == w.sufferer {
		// It is given that the symptom is more than chance.
		least = min(least, most*w.counted(i, true))
	}
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
