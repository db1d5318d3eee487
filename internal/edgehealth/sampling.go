package edgehealth

import (
	"math"

	"github.com/paramedic-otel/paramedic/internal/excess"
)

// Of sampled calls only some are seen, and each stands for several. What they stand for is the best guess of how many there
// were, but no more evidence than the few that were seen: ten failures that one was multiplied to are as likely as one. So when a
// bucket is closed, all that was counted in it is divided by the mean weight of its calls: the effective number of observations
// where weights differ little (L. Kish, "Survey Sampling", 1965, section 8.2). Rates and shares stay what they are, since what
// they are measured on is divided alike, and what leaves the model is multiplied again.

// mostUnseen bounds the weight of a request.
const mostUnseen = 1 - 1e-6

// weight returns how many requests one that was seen in a closed bucket stands for.
func (e *edge) weight(slot int) float64 { return 1 + float64(e.sampling[slot]) }

// unweigh makes the counts of a bucket that is being closed those of the requests that were seen.
func (m *Model) unweigh(slot int) {
	clear(m.unseen)
	if !m.sampled {
		return
	}
	for _, e := range m.sorted {
		unseen := min(float64(e.sampling[slot]), mostUnseen*float64(e.requests[slot]))
		if unseen > 0 {
			m.unseen[e.key.Server] += unseen
			if e.key.Client == m.entry {
				m.unseen[m.entry] += unseen
			}
		}
		e.sampling[slot] = float32(unseen)
	}
	for _, e := range m.sorted {
		// Calls are measured on what their caller got, which is known from samples as well.
		most := 1.0
		if got := float64(m.node(e.key.Client)[slot]); got > 0 {
			most = got / (got - min(m.unseen[e.key.Client], mostUnseen*got))
		}
		e.unweigh(slot, most)
	}
}

// unweigh divides the counts of a bucket by the weight of its requests, or by that of the caller's, the greater one.
func (e *edge) unweigh(slot int, callers float64) {
	if all := float64(e.requests[slot]); all > 0 {
		e.weightNow = all/(all-float64(e.sampling[slot])) - 1
	}
	weight := max(1+e.weightNow, callers)
	e.sampling[slot] = float32(weight - 1)
	if weight == 1 {
		return
	}
	divide := func(n *float32) {
		seen := float64(*n) / weight
		if whole := math.Round(seen); whole > 0 && math.Abs(seen-whole) < 1e-3 {
			seen = whole
		}
		*n = float32(seen)
	}
	divide(&e.requests[slot])
	divide(&e.failures.Events[slot])
	divide(&e.calls.Events[slot])
	for _, d := range [...]*durations{&e.server, &e.client} {
		divide(&d.requests[slot])
		d.seconds[slot] /= float32(weight)
		d.unweigh(slot, weight)
	}
}

// unweigh divides the counts of a bucket by duration. They are whole numbers: what rounding leaves over is carried on to shorter
// durations, so that never more than half a request too many is long.
func (d *durations) unweigh(slot int, weight float64) {
	left := 0.0
	for b := bins - 1; b >= 0; b-- {
		seen := float64(d.latency[slot][b])/weight + left
		whole := max(0, math.Round(seen))
		d.latency[slot][b], left = uint16(whole), seen-whole
	}
}

// sumAll is sumLast of counts of an edge as all requests have them, not only those that were seen.
func (e *edge) sumAll(c *excess.Counts, tl *excess.Timeline, n int) float64 {
	sum := 0.0
	for i := range min(n, excess.Lookback) {
		slot := excess.SlotOf(tl.Next() - 1 - int64(i))
		sum += float64(c[slot]) * e.weight(slot)
	}
	return sum
}

// Seen returns how many requests that came to a node in the newest closed bucket were seen: all, but for sampling.
func (m *Model) Seen(n Node) float64 { return max(0, m.Requests(n)-m.unseen[n]) }
