package nodeimpact

// stillCalled is the part of its usual requests that a service must get not to be taken for silent.
const stillCalled = 0.5

// blameSilent finds services that surely should report requests and report none, while a caller suffers for no known
// reason: who was killed reports nothing, and what its callers wait for and fail by is its impact. Not more calls can
// have failed than are missing, and they can have held up no more of the caller's requests. A caller that does not call
// anybody else either stopped calling by itself.
func (w *window) blameSilent() {
	type verdict struct {
		service int
		impact
	}
	var silent []verdict
	suffered := w.suffered(true)
	for i := range w.services {
		usual, now := w.requests(i)
		missing := usual * faultBuckets
		// By Poisson's law the number of calls varies by its root.
		if now > 0 || missing < w.Ranking.Significant*w.Ranking.Significant {
			continue
		}
		m := impact{known: true}
		for _, c := range w.callers[i] {
			rest := w.residual(c, suffered)
			if !w.inexplicable(c, rest) || !w.callsOthers(c, i) {
				continue
			}
			if w.symptom.Kind == Failures {
				m.total += min(rest, missing)
			} else {
				_, made := w.requests(c)
				m.total += rest * min(1, missing/(made*faultBuckets))
			}
			m.noise = max(m.noise, w.impacts[c].noise)
		}
		m.significant = m.total >= w.Ranking.Significant*m.noise
		if m.total > 0 && m.significant {
			silent = append(silent, verdict{i, m})
		}
	}
	for _, v := range silent {
		w.impacts[v.service] = v.impact
	}
}

// requests returns how many requests a service usually got in a bucket, and how many it gets in the faulty ones.
func (w *window) requests(i int) (usual, now float64) {
	mean := func(buckets []Sample) float64 {
		sum := 0.0
		for _, b := range buckets {
			if b.Requests > 0 {
				sum += b.Requests
			}
		}
		return sum / float64(len(buckets))
	}
	buckets := w.services[i].Buckets
	return mean(buckets[:w.before()]), mean(buckets[w.first:min(w.first+faultBuckets, len(buckets))])
}

// callsOthers reports whether a callee of a service other than the given one still gets its requests.
func (w *window) callsOthers(client, except int) bool {
	for _, c := range w.callees[client] {
		if usual, now := w.requests(c); c != except && usual > 0 && now >= stillCalled*usual {
			return true
		}
	}
	return false
}
