package servicegraph

import "cmp"

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
type reservoir []Exemplar

// offer keeps a call if there is room or it is slower than one that is kept.
func (r *reservoir) offer(c *call, limit int) {
	kept := *r
	if len(kept) >= limit && max(c.client, c.server) < kept[kept.fastest()].duration() {
		return
	}
	r.put(&Exemplar{
		Trace: c.trace, Client: c.clientSpan, Server: c.serverSpan, At: c.at, ClientDur: c.client, ServerDur: c.server,
	}, limit)
}

func (r *reservoir) put(e *Exemplar, limit int) {
	kept := *r
	if len(kept) < limit {
		*r = append(kept, *e)
		return
	}
	if i := kept.fastest(); compareExemplars(e, &kept[i]) > 0 {
		kept[i] = *e
	}
}

func (r reservoir) fastest() int {
	fastest := 0
	for i := 1; i < len(r); i++ {
		if compareExemplars(&r[i], &r[fastest]) < 0 {
			fastest = i
		}
	}
	return fastest
}

func compareExemplars(a, b *Exemplar) int {
	return cmp.Or(
		cmp.Compare(a.duration(), b.duration()),
		cmp.Compare(b.At, a.At),
		cmp.Compare(b.Trace.Hi, a.Trace.Hi), cmp.Compare(b.Trace.Lo, a.Trace.Lo),
		cmp.Compare(b.Server, a.Server), cmp.Compare(b.Client, a.Client),
	)
}

// merge takes in what another keeps.
func (r *reservoir) merge(o reservoir, limit int) {
	for i := range o {
		r.put(&o[i], limit)
	}
}
