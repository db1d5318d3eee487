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
	// Unseen and UnseenFailed are those of them that nobody saw: by which calls that were sampled stand for more than one.
	Unseen, UnseenFailed int64
	// Client and Server are the durations; without those of failed calls when they are kept apart.
	Client, Server Histogram
	// FailedClient and FailedServer are the durations of failed calls.
	FailedClient, FailedServer Histogram
	// Slowest and SlowestFailed are examples of the calls that succeeded and failed since the last output.
	Slowest, SlowestFailed reservoir

	operations operations
}

// Edge is one edge as it is handed out when an interval closes. It is valid only during the call.
type Edge struct {
	Client, Server Node
	Connection     Connection
	// Virtual is the side that is not instrumented.
	Virtual Side
	// ClientDimensions and ServerDimensions are the values of the configured dimensions on either side.
	ClientDimensions, ServerDimensions []Dimension
	// Start is the time from which the totals count; SucceededStart and FailedStart are those from which either sort of calls
	// does, 0 as long as there was none.
	Start, SucceededStart, FailedStart int64
	Totals                             *Totals
	// Operations are sorted by name.
	Operations []Operation
}

type edgeKey struct {
	client, server                     NodeID
	clientDimensions, serverDimensions LabelID
	connection                         Connection
	virtual                            Side
}

// bits returns eight bits of a mix of the nodes and dimensions.
func (k *edgeKey) bits() uint8 {
	const odd = 0x9e3779b1
	return uint8((((uint32(k.client)*odd+uint32(k.server))*odd+uint32(k.clientDimensions))*odd + uint32(k.serverDimensions)) * odd >> 24)
}

func (k *edgeKey) is(o *edgeKey) bool {
	return k.client == o.client && k.server == o.server && k.connection == o.connection && k.virtual == o.virtual &&
		k.clientDimensions == o.clientDimensions && k.serverDimensions == o.serverDimensions
}

type edge struct {
	key   edgeKey
	start int64
	// lastUsed is the time of the latest call.
	lastUsed int64
	// residual is what rounding the weights has left over.
	residual float64
	// succeededStart and failedStart are the times from which either sort of calls counts, 0 when there was none.
	succeededStart, failedStart int64
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

	operation, failure, version LabelID
	trace                       TraceID
	clientSpan, serverSpan      uint64
}

// edges are the edges and their counts in the open intervals.
type edges struct {
	cfg   *Config
	byKey map[edgeKey]*edge
	// order is sorted for output when sorted is set.
	order  []*edge
	sorted bool
	// recent are edges that were found lately, by a few bits of their keys, and last is the one found last.
	recent [256]*edge
	last   *edge
	// operations is the number of operations of all edges.
	operations                         int
	refusedOperations, refusedVariants int64
}

func newEdges(cfg *Config) edges {
	return edges{cfg: cfg, byKey: map[edgeKey]*edge{}}
}

// get returns the edge of a call, or nil when there is no room for a new one. An edge that comes back after its time to
// live counts anew from start, whether it was dropped in the meantime or not; one that does so in the interval ahead, when
// that interval becomes the oldest open one.
func (e *edges) get(c *call, start int64, ahead bool) *edge {
	ed := e.last
	if ed == nil || !ed.key.is(&c.key) {
		recent := &e.recent[c.key.bits()]
		if ed = *recent; ed == nil || !ed.key.is(&c.key) {
			ed = e.byKey[c.key]
			*recent = ed
		}
		e.last = ed
	}
	if ed != nil {
		if ed.lastUsed < c.at-int64(e.cfg.EdgeTTL) {
			if ahead {
				ed.restart = true
			} else {
				e.reset(&ed.total)
				ed.residual, ed.start, ed.succeededStart, ed.failedStart = 0, start, 0, 0
			}
		}
		// It may have been new in the interval ahead until now.
		ed.start = min(ed.start, start)
		return ed
	}
	if len(e.byKey) >= e.cfg.MaxEdges {
		return nil
	}
	ed = &edge{key: c.key, start: start}
	for _, t := range []*Totals{&ed.total, &ed.ahead} {
		for _, h := range t.histograms() {
			*h = newHistogram(e.cfg)
		}
	}
	e.byKey[c.key] = ed
	e.order = append(e.order, ed)
	e.sorted = false
	return ed
}

// add counts a call in the oldest open interval, or in the one ahead of it; start is when that began to count.
func (e *edges) add(ed *edge, c *call, start int64, ahead bool) {
	t := &ed.total
	if ahead {
		t, ed.aheadUsed = &ed.ahead, true
	}
	n := int64(1)
	if w := float64(c.weight) + ed.residual; w != 1 {
		rounded := math.Round(w)
		ed.residual = w - rounded
		if n = int64(rounded); n == 0 {
			return
		}
		t.Unseen += n - 1
		if c.failed {
			t.UnseenFailed += n - 1
		}
	} else {
		ed.residual = 0
	}
	t.Requests += n
	client, server, since := &t.Client, &t.Server, &ed.succeededStart
	if c.failed {
		t.Failed += n
		since = &ed.failedStart
		if e.cfg.SplitFailed {
			client, server = &t.FailedClient, &t.FailedServer
		}
	}
	if start = max(start, 1); *since == 0 || start < *since {
		*since = start
	}
	clientSeconds, serverSeconds := float64(c.client)/1e9, float64(c.server)/1e9
	if c.client >= 0 {
		client.observe(e.cfg.Bounds, clientSeconds, uint64(n))
	}
	if c.server >= 0 {
		server.observe(e.cfg.Bounds, serverSeconds, uint64(n))
	}
	if limit := e.cfg.MaxExemplars; limit > 0 && c.trace != (TraceID{}) {
		if c.failed {
			t.SlowestFailed.offer(c, limit)
		} else {
			t.Slowest.offer(c, limit)
		}
	}
	if e.cfg.Operations.MaxPerEdge > 0 {
		e.addOperation(&t.operations, c, n, start, clientSeconds, serverSeconds)
	}
}

// next moves on by an interval, which starts at the given time: what was counted ahead is now in the oldest open one.
func (e *edges) next(ed *edge, start int64) {
	if !ed.aheadUsed {
		return
	}
	if ed.restart {
		e.reset(&ed.total)
		ed.start, ed.restart = start, false
		ed.succeededStart, ed.failedStart = 0, 0
		if ed.ahead.Failed > 0 {
			ed.failedStart = start
		}
		if ed.ahead.Failed < ed.ahead.Requests {
			ed.succeededStart = start
		}
	}
	explicit := len(e.cfg.Bounds) > 0
	ed.total.Requests += ed.ahead.Requests
	ed.total.Failed += ed.ahead.Failed
	ed.total.Unseen += ed.ahead.Unseen
	ed.total.UnseenFailed += ed.ahead.UnseenFailed
	from := ed.ahead.histograms()
	for i, h := range ed.total.histograms() {
		h.merge(from[i], explicit)
	}
	ed.total.Slowest.merge(&ed.ahead.Slowest, e.cfg.MaxExemplars)
	ed.total.SlowestFailed.merge(&ed.ahead.SlowestFailed, e.cfg.MaxExemplars)
	e.mergeOperations(&ed.total.operations, &ed.ahead.operations)
	e.reset(&ed.ahead)
	ed.aheadUsed = false
}

func (t *Totals) histograms() [4]*Histogram {
	return [4]*Histogram{&t.Client, &t.Server, &t.FailedClient, &t.FailedServer}
}

// reset forgets all counts.
func (e *edges) reset(t *Totals) {
	t.clear()
	e.dropOperations(&t.operations)
}

func (t *Totals) clear() {
	t.Requests, t.Failed, t.Unseen, t.UnseenFailed = 0, 0, 0, 0
	for _, h := range t.histograms() {
		h.reset()
	}
	t.clearExemplars()
}

func (t *Totals) clearExemplars() {
	t.Slowest.reset()
	t.SlowestFailed.reset()
}

// sent makes an edge ready for the next interval when its counts, up to the given time, were handed out.
func (ed *edge) sent(at int64, delta bool) {
	ed.total.clearExemplars()
	if !delta {
		return
	}
	ed.total.clear()
	ed.start = at
	for _, start := range []*int64{&ed.succeededStart, &ed.failedStart} {
		if *start != 0 {
			*start = at
		}
	}
	for i := range ed.total.operations {
		ed.total.operations[i].restart(at)
	}
}

// sort orders the edges by name.
func (e *edges) sort(n *nodes, dimensions *Labels) {
	if e.sorted {
		return
	}
	slices.SortFunc(e.order, func(a, b *edge) int {
		return cmp.Or(
			compareNodes(n, a.key.client, b.key.client),
			compareNodes(n, a.key.server, b.key.server),
			cmp.Compare(a.key.connection, b.key.connection),
			cmp.Compare(a.key.virtual, b.key.virtual),
			compareLabels(dimensions, a.key.clientDimensions, b.key.clientDimensions),
			compareLabels(dimensions, a.key.serverDimensions, b.key.serverDimensions),
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

func compareLabels(l *Labels, a, b LabelID) int {
	if a == b {
		return 0
	}
	return cmp.Compare(l.Value(a), l.Value(b))
}

// sweep drops the edges, and the operations of edges, without a call since the given time and returns their number.
func (e *edges) sweep(before int64) int64 {
	kept := e.order[:0]
	for _, ed := range e.order {
		if ed.lastUsed < before && !ed.aheadUsed {
			delete(e.byKey, ed.key)
			e.dropOperations(&ed.total.operations)
			e.dropOperations(&ed.ahead.operations)
			continue
		}
		e.sweepOperations(&ed.total.operations, before)
		kept = append(kept, ed)
	}
	dropped := len(e.order) - len(kept)
	if dropped > 0 {
		clear(e.recent[:])
		e.last = nil
	}
	clear(e.order[len(kept):])
	e.order = kept
	return int64(dropped)
}
