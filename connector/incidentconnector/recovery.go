package incidentconnector

import (
	"time"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// gapRatio is how many times its usual distance the data of an entity must be missing to speak of a gap, and
	// leastGap the least number of buckets.
	gapRatio = 3
	leastGap = 3
	// strideWeight is how much the newest step of event time counts in the usual one.
	strideWeight = 0.1
)

// hearing is what is known of when any telemetry came at all, in event time.
type hearing struct {
	// last is the newest data, and stride the usual step from one to the next.
	last   time.Time
	stride time.Duration
	// from and to are the ends of the last gap.
	from, to time.Time
}

// hear notes that the newest data are of a time.
func (h *hearing) hear(t time.Time, bucket time.Duration) {
	step := t.Sub(h.last)
	if h.last.IsZero() || step <= 0 {
		h.last = t
		return
	}
	if step > h.tolerated(bucket) {
		h.from, h.to = h.last, t
	} else {
		h.stride += time.Duration(strideWeight * float64(step-h.stride))
	}
	h.last = t
}

func (h *hearing) tolerated(bucket time.Duration) time.Duration {
	return max(leastGap*bucket, gapRatio*h.stride)
}

// silentFor returns for how long no telemetry had come at a time; 0 while it comes as usual.
func (h *hearing) silentFor(t time.Time, bucket time.Duration) time.Duration {
	switch {
	case t.Sub(h.last) > h.tolerated(bucket):
		return t.Sub(h.last)
	case t.After(h.from) && t.Add(bucket).Before(h.to):
		return t.Sub(h.from)
	default:
		return 0
	}
}

// look finds out whether telemetry still says anything about an incident's symptoms. While none does, nobody knows whether
// they are there, and that time counts for nothing.
func (e *engine) look(i *incident, now time.Time) {
	silent := e.silence(i, now)
	if heard := e.gaps.elapsed(now.Add(-silent), now); heard < silent && heard <= leastGap*e.cfg.Bucket {
		// Most of it is time in which nobody listened.
		silent = 0
	}
	state := &i.state
	switch {
	case silent > 0 && state.UnknownSince.IsZero():
		// The gap cannot have begun before what was seen last.
		state.UnknownSince = now.Add(-silent)
		if state.UnknownSince.Before(i.seen) {
			state.UnknownSince = i.seen
		}
	case silent == 0 && !state.UnknownSince.IsZero():
		i.unseen += e.gaps.elapsed(state.UnknownSince, now)
		state.UnknownSince = time.Time{}
	}
	if last := i.lastActive(); !last.Before(now) {
		i.unseen, i.seen = 0, last
		state.UnknownSince = time.Time{}
	}
}

// silence returns for how long no telemetry has come that could show any of the symptoms which opened the incident; 0 when
// some has.
func (e *engine) silence(i *incident, now time.Time) time.Duration {
	if all := e.hearing.silentFor(now, e.cfg.Bucket); all > 0 {
		return all
	}
	least := time.Duration(0)
	for _, s := range i.key() {
		gap := time.Duration(e.gap(s, now)) * e.cfg.Bucket
		if gap == 0 {
			return 0
		}
		if least == 0 || gap < least {
			least = gap
		}
	}
	return least
}

// gap returns in how many of the newest buckets the data of a symptom are missing, or 0 when that is not unusual.
func (e *engine) gap(s *symptom, now time.Time) int {
	switch s.class {
	case classEdge:
		from := s.edge.Server
		if s.edgeKind == edgehealth.Drop {
			from = s.edge.Client
		}
		return gapIn(func(n int) float64 { return e.edges.RequestsIn(from, n) })
	case classObjective:
		return gapIn(func(n int) float64 { return e.edges.RequestsIn(serviceNode(s.entity.Name), n) })
	case classLog:
		return gapIn(func(n int) float64 { return e.flow.Records(s.entity.Name, n) })
	default:
		// A series that has come back says so once; one that has not goes on being reported.
		if missing := int(now.Sub(s.lastKnown) / e.cfg.Bucket); s.active() && missing > excess.MaxWindow/2 {
			return missing
		}
		return 0
	}
}

// gapIn returns how many of the newest buckets are empty, given how much came in the newest n together, or 0 when so many
// are empty now and then.
func gapIn(newest func(n int) float64) int {
	empty, busy, before := 0, 0, 0.0
	for n := 1; n <= excess.Lookback; n++ {
		sum := newest(n)
		if sum > before {
			busy++
		} else if busy == 0 {
			empty++
		}
		before = sum
	}
	if busy > 0 && busy*empty <= gapRatio*(excess.Lookback-empty) || empty <= leastGap {
		return 0
	}
	return empty
}

// resolution says how an incident has ended, or nothing while it has not. It has recovered when its symptoms were seen to
// be gone for long enough; time in which nothing could be seen is no recovery.
func (e *engine) resolution(i *incident, now time.Time) semconv.Resolution {
	if unknown := i.state.UnknownSince; !unknown.IsZero() {
		if e.gaps.elapsed(unknown, now) >= e.cfg.StaleAfter {
			return semconv.ResolutionNoData
		}
		return ""
	}
	still := e.gaps.elapsed(i.lastActive(), now) - i.unseen
	if still < e.resolveAfter(i) {
		return ""
	}
	// What opened the incident must be seen to be gone; mere evidence may fall silent.
	seen, unseen := 0, 0
	for _, s := range i.key() {
		if s.active() {
			unseen++
		} else {
			seen++
		}
	}
	switch {
	case unseen == 0:
		return semconv.ResolutionRecovered
	case still < e.cfg.StaleAfter:
		return ""
	case seen > unseen:
		return semconv.ResolutionRecovered
	default:
		return semconv.ResolutionNoData
	}
}

// resolveAfter is how long the symptoms of an incident must be gone. When they have come back so soon that twice the time
// would have waited for them it is twice as long, up to the window in which it would be reopened. So what comes and goes
// ends up as one incident that stays open.
func (e *engine) resolveAfter(i *incident) time.Duration {
	after, most := e.cfg.ResolveAfter, max(e.cfg.ResolveAfter, e.cfg.ReopenWindow)
	for range i.flaps {
		if after *= 2; after >= most {
			return most
		}
	}
	return after
}
