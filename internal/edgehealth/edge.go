package edgehealth

import (
	"math"

	"github.com/paramedic-otel/paramedic/internal/excess"
)

// slowShares are the parts of the normal latency distribution beyond which requests count as slow.
// The last one is also what the dispersion of slow requests is learnt for.
var slowShares = [...]float64{0.01, 0.1}

const (
	// slowerThanNormal is the least ratio of mean durations, and slowerBySeconds the least difference, at which
	// surprisingly many slow requests matter to anybody.
	slowerThanNormal = 1.3
	slowerBySeconds  = 0.002
	// minFailureShare is the least share of failed requests that matters.
	minFailureShare = 0.02
	// freshCells are the newest cells, which do not define what slow means.
	freshCells = 6
)

// edge is what is known of one edge.
type edge struct {
	key         Key
	first, last int64

	requests      excess.Counts
	serverSeconds excess.Counts
	clientSeconds excess.Counts
	latency       [excess.Cells]Latency

	failures excess.Track
	slow     excess.Track
	calls    excess.Track

	// normal is the latency distribution learnt from the buckets that have left the ring, and the sums of durations
	// and requests that belong to it.
	normal                                          distribution
	normalServer, normalClient, normalRequests      float64
	excessSecondsSquares, excessSecondsObservations float64
}

// newEdge returns an edge that was first seen in a bucket. Until it is learnt how much they cluster, slow requests and
// calls are taken to come in groups.
func newEdge(key Key, bucket int64) *edge {
	return &edge{key: key, first: bucket, slow: excess.Track{Clustered: 3}, calls: excess.Track{Clustered: 4}}
}

func (e *edge) add(slot int, s *Sample) {
	e.requests[slot] += float32(s.Requests)
	e.failures.Events[slot] += float32(s.Failed)
	e.calls.Events[slot] += float32(s.Requests)
	e.serverSeconds[slot] += float32(s.ServerSeconds)
	e.clientSeconds[slot] += float32(s.ClientSeconds)
	for b, n := range s.ServerLatency {
		e.latency[slot][b] += n
	}
}

func (e *edge) retire(slot int, exposure *excess.Counts, l excess.Learning) {
	requests := float64(e.requests[slot])
	if e.slow.Usable(slot) && requests > 0 {
		e.learnLatency(slot, requests, math.Exp2(-1/l.HalfLife))
	}
	e.slow.Retire(slot, requests, l)
	e.failures.Retire(slot, requests, l)
	e.calls.Retire(slot, float64(exposure[slot]), l)
	e.requests[slot], e.serverSeconds[slot], e.clientSeconds[slot] = 0, 0, 0
	e.latency[slot] = Latency{}
}

func (e *edge) learnLatency(slot int, requests, keep float64) {
	if e.normalRequests > 0 {
		d := float64(e.serverSeconds[slot]) - requests*e.normalServer/e.normalRequests
		e.excessSecondsSquares = e.excessSecondsSquares*keep + d*d
		e.excessSecondsObservations = e.excessSecondsObservations*keep + 1
	}
	for b := range e.normal {
		e.normal[b] = e.normal[b]*keep + float64(e.latency[slot][b])
	}
	e.normalServer = e.normalServer*keep + float64(e.serverSeconds[slot])
	e.normalClient = e.normalClient*keep + float64(e.clientSeconds[slot])
	e.normalRequests = e.normalRequests*keep + requests
}

func (e *edge) judge(m *Model, minSurprise float64, findings []Finding) []Finding {
	w, tl := &m.window, &m.timeline
	report := func(t *excess.Track, exposure *excess.Counts, v excess.Verdict, f Finding) {
		if v.Surprise < minSurprise {
			t.Calm()
			return
		}
		t.Flag(tl, v.Window, m.learning)
		f.Key, f.Verdict, f.Trend = e.key, v, t.Trend(tl, exposure, v)
		findings = append(findings, f)
	}

	e.failures.Load(w, tl, &e.requests)
	v := e.failures.Above(w, excess.Options{MinEvents: 3, MinRatio: 2.5, Share: true})
	if v.Now.Events < minFailureShare*v.Now.Exposure {
		v = excess.Verdict{}
	}
	report(&e.failures, &e.requests, v, Finding{Kind: Failing, Normal: share(v.Past), Now: share(v.Now)})

	v, f := e.judgeLatency(w, tl)
	report(&e.slow, &e.requests, v, f)

	exposure := m.exposure(e)
	e.calls.Load(w, tl, exposure)
	above := e.calls.Above(w, excess.Options{MinEvents: 12, MinRatio: 2})
	below := e.calls.Below(w, excess.Options{MinEvents: 8, MinRatio: 4})
	if e.key.Client == m.entry {
		var time excess.Counts
		above = e.judgeSurge(w, tl, &time)
		if above.Surprise > below.Surprise {
			exposure = &time
		}
	}
	switch {
	case above.Surprise >= below.Surprise:
		report(&e.calls, exposure, above, Finding{Kind: Surge, Normal: share(above.Past), Now: share(above.Now)})
	default:
		report(&e.calls, exposure, below, Finding{Kind: Drop, Normal: share(below.Past), Now: share(below.Now)})
	}
	return findings
}

// judgeLatency looks for too many slow requests.
func (e *edge) judgeLatency(w *excess.Window, tl *excess.Timeline) (excess.Verdict, Finding) {
	if sumLast(&e.requests, tl, excess.MaxWindow) < 3 {
		return excess.Verdict{}, Finding{}
	}
	normal, server, requests := e.normal, e.normalServer, e.normalRequests
	for i := int64(freshCells); i < excess.Lookback; i++ {
		slot := excess.SlotOf(tl.Next() - 1 - i)
		if !e.slow.Usable(slot) {
			continue
		}
		for b, n := range e.latency[slot] {
			normal[b] += float64(n)
		}
		server += float64(e.serverSeconds[slot])
		requests += float64(e.requests[slot])
	}
	if requests <= 0 {
		return excess.Verdict{}, Finding{}
	}
	mean := server / requests
	var best excess.Verdict
	bestNow := 0.0
	for _, part := range slowShares {
		bin, _, _ := normal.threshold(part)
		for slot := range e.slow.Events {
			e.slow.Events[slot] = e.latency[slot].from(bin)
		}
		var past excess.Cell
		for b, n := range e.normal {
			past.Exposure += n
			if b >= bin {
				past.Events += n
			}
		}
		e.slow.Load(w, tl, &e.requests)
		v := e.slow.AboveTail(w, past, excess.Options{MinEvents: 3, MinRatio: 3, Share: true})
		now := sumLast(&e.serverSeconds, tl, v.Window) / max(1, sumLast(&e.requests, tl, v.Window))
		if now < slowerThanNormal*mean || now-mean < slowerBySeconds {
			continue
		}
		if v.Surprise > best.Surprise {
			best, bestNow = v, now
		}
	}
	return best, Finding{Kind: Slow, Normal: mean, Now: bestNow}
}

// judgeSurge looks for too many requests from outside the graph, in comparison with the busy time that they took to
// come, which it fills in.
func (e *edge) judgeSurge(w *excess.Window, tl *excess.Timeline, time *excess.Counts) excess.Verdict {
	for slot, n := range e.requests {
		if n > 0 {
			time[slot] = 1
		}
	}
	past := excess.Cell{Events: e.normalRequests, Exposure: e.busyBuckets()}
	e.calls.Load(w, tl, time)
	return e.calls.AboveTail(w, past, excess.Options{MinEvents: 20, MinRatio: 2})
}

// busyBuckets returns the weight of the learnt buckets.
func (e *edge) busyBuckets() float64 { return e.excessSecondsObservations }

func (e *edge) impact(tl *excess.Timeline, exposure *excess.Counts, n int) Impact {
	requests := sumLast(&e.requests, tl, n)
	out := Impact{Requests: requests, ExpectedRequests: excess.Expected(sumLast(exposure, tl, n), e.calls.Past())}
	failed := sumLast(&e.failures.Events, tl, n)
	expected := excess.Expected(requests, e.failures.Past())
	out.Failures = max(0, failed-expected)
	out.FailureNoise = math.Sqrt(expected*e.failures.Dispersion() + 1)
	if e.normalRequests > 0 {
		out.Seconds = max(0, sumLast(&e.serverSeconds, tl, n)-requests*e.normalServer/e.normalRequests)
		out.ClientSeconds = max(0, sumLast(&e.clientSeconds, tl, n)-requests*e.normalClient/e.normalRequests)
		variance := e.excessSecondsSquares / max(1, e.excessSecondsObservations)
		out.SecondsNoise = max(math.Sqrt(variance*float64(n)), 0.15*requests*e.normalServer/e.normalRequests, 0.0005*requests)
	}
	return out
}

func (l *Latency) from(bin int) float32 {
	sum := float32(0)
	for b := bin; b < bins; b++ {
		sum += l[b]
	}
	return sum
}

func share(c excess.Cell) float64 {
	if c.Exposure <= 0 {
		return 0
	}
	return c.Events / c.Exposure
}

func sumLast(c *excess.Counts, tl *excess.Timeline, n int) float64 {
	sum := float32(0)
	for i := range min(n, excess.Lookback) {
		sum += c[excess.SlotOf(tl.Next()-1-int64(i))]
	}
	return float64(sum)
}
