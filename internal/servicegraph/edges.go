package servicegraph

import (
	"cmp"
	"math"
	"slices"
)

// Connection is the way in which the ends of an edge are connected.
type Connection uint8

// The connections.
const (
	ConnectionDirect Connection = iota
	ConnectionDatabase
	ConnectionMessaging
	ConnectionVirtual
)

// Side is an end of an edge.
type Side uint8

// The sides of an edge.
const (
	SideNone Side = iota
	SideClient
	SideServer
)

// Totals are the counts of an edge.
type Totals struct {
	Requests, Failed int64
	Client, Server   Histogram
}

// Edge is one edge as it is handed out when an interval closes. It is valid only during the call.
type Edge struct {
	Client, Server Node
	Connection     Connection
	// Virtual is the side that is not instrumented.
	Virtual Side
	// Start is the time from which the totals count.
	Start  int64
	Totals *Totals
}

type edgeKey struct {
	client, server NodeID
	connection     Connection
	virtual        Side
}

type edge struct {
	key   edgeKey
	start int64
	// lastUsed is the time of the latest call.
	lastUsed int64
	// residual is what rounding the weights has left over.
	residual float64
	// total counts up to the end of the oldest open interval, ahead in the one after it.
	total, ahead Totals
	// aheadUsed is set when ahead counts anything, and restart when the counts start anew with it.
	aheadUsed, restart bool
}

// call is one call to be counted; a negative duration is not known.
type call struct {
	key            edgeKey
	at             int64
	client, server int64
	weight         float32
	failed         bool
}

// edges are the edges and their counts in the open intervals.
type edges struct {
	cfg   *Config
	byKey map[edgeKey]*edge
	// order is sorted for output when sorted is set.
	order  []*edge
	sorted bool
}

func newEdges(cfg *Config) edges {
	return edges{cfg: cfg, byKey: map[edgeKey]*edge{}}
}

// get returns the edge of a call, or nil when there is no room for a new one. An edge that comes back after its time to
// live counts anew from start, whether it was dropped in the meantime or not; one that does so in the interval ahead, when
// that interval becomes the oldest open one.
func (e *edges) get(c *call, start int64, ahead bool) *edge {
	if ed, ok := e.byKey[c.key]; ok {
		if ed.lastUsed < c.at-int64(e.cfg.EdgeTTL) {
			if ahead {
				ed.restart = true
			} else {
				ed.total.reset(len(e.cfg.Bounds) > 0)
				ed.residual, ed.start = 0, start
			}
		}
		// It may have been new in the interval ahead until now.
		ed.start = min(ed.start, start)
		return ed
	}
	if len(e.byKey) >= e.cfg.MaxEdges {
		return nil
	}
	ed := &edge{key: c.key, start: start}
	for _, t := range []*Totals{&ed.total, &ed.ahead} {
		t.Client, t.Server = newHistogram(e.cfg), newHistogram(e.cfg)
	}
	e.byKey[c.key] = ed
	e.order = append(e.order, ed)
	e.sorted = false
	return ed
}

// add counts a call in the oldest open interval, or in the one ahead of it.
func (ed *edge) add(c *call, bounds []float64, ahead bool) {
	t := &ed.total
	if ahead {
		t, ed.aheadUsed = &ed.ahead, true
	}
	w := float64(c.weight) + ed.residual
	rounded := math.Round(w)
	ed.residual = w - rounded
	n := int64(rounded)
	if n == 0 {
		return
	}
	t.Requests += n
	if c.failed {
		t.Failed += n
	}
	if c.client >= 0 {
		t.Client.observe(bounds, float64(c.client)/1e9, uint64(n))
	}
	if c.server >= 0 {
		t.Server.observe(bounds, float64(c.server)/1e9, uint64(n))
	}
}

// next moves on by an interval, which starts at the given time: what was counted ahead is now in the oldest open one.
func (ed *edge) next(start int64, explicit bool) {
	if !ed.aheadUsed {
		return
	}
	if ed.restart {
		ed.total.reset(explicit)
		ed.start, ed.restart = start, false
	}
	ed.total.Requests += ed.ahead.Requests
	ed.total.Failed += ed.ahead.Failed
	ed.total.Client.merge(&ed.ahead.Client, explicit)
	ed.total.Server.merge(&ed.ahead.Server, explicit)
	ed.ahead.reset(explicit)
	ed.aheadUsed = false
}

func (t *Totals) reset(explicit bool) {
	t.Requests, t.Failed = 0, 0
	t.Client.reset(explicit)
	t.Server.reset(explicit)
}

// sort orders the edges by name.
func (e *edges) sort(n *nodes) {
	if e.sorted {
		return
	}
	slices.SortFunc(e.order, func(a, b *edge) int {
		return cmp.Or(
			compareNodes(n, a.key.client, b.key.client),
			compareNodes(n, a.key.server, b.key.server),
			cmp.Compare(a.key.connection, b.key.connection),
			cmp.Compare(a.key.virtual, b.key.virtual),
		)
	})
	e.sorted = true
}

func compareNodes(n *nodes, a, b NodeID) int {
	x, y := &n.entries[a], &n.entries[b]
	return cmp.Or(
		cmp.Compare(x.node.Namespace, y.node.Namespace),
		cmp.Compare(x.node.Name, y.node.Name),
	)
}

// sweep drops the edges without a call since the given time and returns their number.
func (e *edges) sweep(before int64) int64 {
	kept := e.order[:0]
	for _, ed := range e.order {
		if ed.lastUsed < before && !ed.aheadUsed {
			delete(e.byKey, ed.key)
			continue
		}
		kept = append(kept, ed)
	}
	dropped := len(e.order) - len(kept)
	clear(e.order[len(kept):])
	e.order = kept
	return int64(dropped)
}
