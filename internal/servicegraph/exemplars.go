package servicegraph

import (
	"cmp"
	"slices"
)

// Exemplar is one call of those that a count or histogram is made of.
type Exemplar struct {
	Trace TraceID
	// Client and Server are the spans of either side, 0 where there is none.
	Client, Server uint64
	// At is when the call ended, in nanoseconds since the epoch.
	At int64
	// ClientDur and ServerDur are what either side measured in nanoseconds, negative where there is none.
	ClientDur, ServerDur int64
}

// duration is that by which calls are compared: the caller waited for all of it.
func (e *Exemplar) duration() int64 { return max(e.ClientDur, e.ServerDur) }

// reservoir keeps the slowest calls of an interval: of a set of calls always the same, in whichever order they come.
type reservoir struct {
	calls []Exemplar
	// fastest is the index of the call that leaves first.
	fastest int
}

// offer keeps a call if there is room or it is slower than one that is kept.
func (r *reservoir) offer(c *call, limit int) {
	if len(r.calls) >= limit {
		fastest := &r.calls[r.fastest]
		if took := max(c.client, c.server); took < fastest.duration() || took == fastest.duration() && c.at > fastest.At {
			return
		}
	}
	r.put(&Exemplar{
		Trace: c.trace, Client: c.clientSpan, Server: c.serverSpan, At: c.at, ClientDur: c.client, ServerDur: c.server,
	}, limit)
}

func (r *reservoir) put(e *Exemplar, limit int) {
	switch {
	case len(r.calls) < limit:
		r.calls = append(r.calls, *e)
	case compareExemplars(e, &r.calls[r.fastest]) > 0:
		r.calls[r.fastest] = *e
	default:
		return
	}
	r.fastest = 0
	for i := range r.calls {
		if compareExemplars(&r.calls[i], &r.calls[r.fastest]) < 0 {
			r.fastest = i
		}
	}
}

// merge takes in what another keeps.
func (r *reservoir) merge(o *reservoir, limit int) {
	for i := range o.calls {
		r.put(&o.calls[i], limit)
	}
}

func (r *reservoir) reset() { r.calls, r.fastest = r.calls[:0], 0 }

// Calls returns the examples, the slowest first.
func (r *reservoir) Calls() []Exemplar {
	slices.SortFunc(r.calls, func(a, b Exemplar) int { return compareExemplars(&b, &a) })
	r.fastest = max(len(r.calls)-1, 0)
	return r.calls
}

func compareExemplars(a, b *Exemplar) int {
	return cmp.Or(
		cmp.Compare(a.duration(), b.duration()),
		cmp.Compare(b.At, a.At),
		cmp.Compare(b.Trace.Hi, a.Trace.Hi), cmp.Compare(b.Trace.Lo, a.Trace.Lo),
		cmp.Compare(b.Server, a.Server), cmp.Compare(b.Client, a.Client),
	)
}
