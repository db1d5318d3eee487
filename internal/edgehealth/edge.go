package edgehealth

import (
	"math"

	"github.com/paramedic-otel/paramedic/internal/excess"
)

const (
	// minFailureShare is the least share of failed requests that matters.
	minFailureShare = 0.02
	// callClusters is how much calls come in clusters, as those of one user's visit do, until it is learnt.
	callClusters = 4
)

// edge is what is known of one edge.
type edge struct {
	key         Key
	first, last int64

	// sampling tells, of a bucket that is open, how many requests nobody saw, and of a closed one for how many more than one each
	// that was seen stands; see sampling.go. It is 0 without sampling. weightNow is the weight in the newest bucket with requests,
	// less one.
	sampling  excess.Counts
	weightNow float64

	requests excess.Counts
	failures excess.Track
	calls    excess.Track
	// busy counts the learnt buckets with requests, and busyRequests the requests in them.
	busy, busyRequests float64

	server, client durations
}

// newEdge returns an edge that was first seen in a bucket.
func newEdge(key Key, bucket int64) *edge {
	slow := excess.Track{Clustered: slowClusters}
	return &edge{
		key: key, first: bucket, calls: excess.Track{Clustered: callClusters},
		server: durations{slow: slow}, client: durations{slow: slow},
	}
}

func (e *edge) add(slot int, s *Sample) {
	e.requests[slot] += float32(s.Requests)
	e.sampling[slot] += float32(s.Unseen)
	e.failures.Events[slot] += float32(s.Failed)
	e.calls.Events[slot] += float32(s.Requests)
	e.server.add(slot, s.ServerSeconds, &s.ServerLatency)
	e.client.add(slot, s.ClientSeconds, &s.ClientLatency)
}

func (e *edge) retire(slot int, exposure *excess.Counts, l excess.Learning) {
	requests := float64(e.requests[slot])
	if requests > 0 && e.normalAt(slot) {
		keep := math.Exp2(-1 / l.HalfLife)
		e.busy = e.busy*keep + 1/e.weight(slot)
		e.busyRequests = e.busyRequests*keep + requests
	}
	e.failures.Retire(slot, requests, l)
	e.calls.Retire(slot, float64(exposure[slot]), l)
	e.server.retire(slot, l)
	e.client.retire(slot, l)
	e.requests[slot], e.sampling[slot] = 0, 0
}

// normalAt reports whether nothing was abnormal about the edge in a slot.
func (e *edge) normalAt(slot int) bool {
	return e.calls.Usable(slot) && e.failures.Usable(slot) && e.server.slow.Usable(slot) && e.client.slow.Usable(slot)
}

// clear forgets the counts that are in the ring.
func (e *edge) clear() {
	e.requests, e.sampling = excess.Counts{}, excess.Counts{}
	e.failures.Clear()
	e.calls.Clear()
	e.server.clear()
	e.client.clear()
}

func (e *edge) judge(m *Model, minSurprise float64, findings []Finding) []Finding {
	w, tl := &m.window, &m.timeline
	report := func(t *excess.Track, exposure *excess.Counts, v excess.Verdict, f Finding) bool {
		if v.Surprise < minSurprise {
			t.Calm(tl)
			return false
		}
		if v.Surprise = t.Flag(tl, v, m.learning); v.Surprise < minSurprise {
			return false
		}
		f.Key, f.Verdict, f.Trend = e.key, v, t.Trend(tl, exposure, v)
		findings = append(findings, f)
		return true
	}

	e.failures.Load(w, tl, &e.requests)
	v := e.failures.Above(w, excess.Options{MinEvents: 3, MinRatio: 2.5, Share: true})
	if v.Now.Events < minFailureShare*v.Now.Exposure {
		v = excess.Verdict{}
	}
	report(&e.failures, &e.requests, v, Finding{Kind: Failing, Normal: share(v.Past), Now: share(v.Now)})

	v, normal, now := e.server.judge(w, tl)
	serverSlow := report(&e.server.slow, &e.server.requests, v, Finding{Kind: Slow, Normal: normal, Now: now})
	v, normal, now = e.client.judge(w, tl)
	kind := SlowForClient
	if sumLast(&e.server.requests, tl, excess.MaxWindow) == 0 {
		// Nobody but the caller measures the callee.
		kind = Slow
	}
	if serverSlow {
		// What the callee takes longer the caller waits longer: that is not news.
		v = excess.Verdict{}
	}
	report(&e.client.slow, &e.client.requests, v, Finding{Kind: kind, Normal: normal, Now: now})

	var scratch excess.Counts
	exposure := m.exposure(e, &scratch)
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
	if above.Surprise >= below.Surprise {
		report(&e.calls, exposure, above, Finding{Kind: Surge, Normal: share(above.Past), Now: share(above.Now)})
	} else {
		report(&e.calls, exposure, below, Finding{Kind: Drop, Normal: share(below.Past), Now: share(below.Now)})
	}
	return findings
}

// judgeSurge looks for too many requests from outside the graph, in comparison with the busy time that they took to
// come, which it fills in.
func (e *edge) judgeSurge(w *excess.Window, tl *excess.Timeline, time *excess.Counts) excess.Verdict {
	for slot, n := range e.requests {
		if n > 0 {
			time[slot] = float32(1 / e.weight(slot))
		}
	}
	e.calls.Load(w, tl, time)
	return e.calls.AboveTail(w, excess.Cell{Events: e.busyRequests, Exposure: e.busy}, excess.Options{MinEvents: 20, MinRatio: 2})
}

func (e *edge) impact(tl *excess.Timeline, exposure *excess.Counts, n int) Impact {
	out := Impact{Requests: e.sumAll(&e.requests, tl, n), Weight: 1 + e.weightNow}
	if seen := sumLast(&e.requests, tl, n); seen > 0 {
		out.Weight = out.Requests / seen
	}
	usual := excess.Cell{Events: e.busyRequests, Exposure: e.busy}
	calls := e.calls.Past()
	for i := int64(n) + 1; i < excess.Lookback; i++ {
		slot := excess.SlotOf(tl.Next() - 1 - i)
		if e.requests[slot] > 0 && e.normalAt(slot) {
			usual.Events += float64(e.requests[slot])
			usual.Exposure += 1 / e.weight(slot)
		}
		calls.Events += float64(e.requests[slot])
		calls.Exposure += float64(exposure[slot])
	}
	// All that follows was counted in requests that were seen, but for the buckets.
	w := out.Weight
	out.UsualRequests, out.UsualBuckets = excess.Expected(float64(n), usual), w*usual.Exposure
	out.ExpectedRequests = w * excess.Expected(sumLast(exposure, tl, n), calls)
	expected := excess.Expected(sumLast(&e.requests, tl, n), e.failures.Past())
	out.Failures = w * max(0, sumLast(&e.failures.Events, tl, n)-expected)
	out.FailureNoise = w * math.Sqrt(expected*e.failures.Dispersion()+1)
	out.ClientSeconds, out.WorstClientSeconds, out.ClientNoise = e.client.excess(tl, n, w)
	out.Seconds, out.WorstSeconds, out.SecondsNoise = e.server.excess(tl, n, w)
	if sumLast(&e.server.requests, tl, n) == 0 {
		out.Seconds, out.WorstSeconds, out.SecondsNoise, out.ClientOnly = out.ClientSeconds, out.WorstClientSeconds, out.ClientNoise, true
	}
	return out
}

func (e *edge) carried(tl *excess.Timeline, n int) Calls {
	out := Calls{Requests: e.sumAll(&e.requests, tl, n)}
	out.FailureRatio = min(1, share(excess.Cell{Events: sumLast(&e.failures.Events, tl, n), Exposure: sumLast(&e.requests, tl, n)}))
	for _, d := range []*durations{&e.server, &e.client} {
		if requests := sumLast(&d.requests, tl, n); requests > 0 {
			out.MeanSeconds = max(0, sumLast(&d.seconds, tl, n)/requests)
			break
		}
	}
	return out
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
