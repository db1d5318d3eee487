package servicegraph

import (
	"cmp"
	"math"
	"slices"
	"time"
)

const (
	// leapServices spans of two services or more, or leapSpans of one, without a span in between that fits the
	// watermark, are believed against it.
	leapServices = 20
	leapSpans    = 200
	// quietBatches is for how many batches no span of another service must have fitted the watermark for one service
	// to be believed ahead of it: its clock is more likely wrong than that of all others.
	quietBatches = 50
	// slack is how far a batch may exceed the bound of the store before it is settled as a whole.
	slack = 8192
	// The numbers of these fit what a waiting span has for them: 16 bits, for kinds of failure 8.
	maxDimensionSets  = 1 << 30
	maxOperationNames = 1<<16 - 2
	maxVersions       = 1<<16 - 2
	maxFailures       = 1<<8 - 2
	// maxTime keeps arithmetic on nonsense timestamps from overflowing.
	maxTime = int64(1) << 62
)

// Output receives the edges when an interval closes, in order of their names. The time is the interval's end or, after a
// gap in the stream, the watermark. It must not keep what it is given.
type Output func(at int64, edges []Edge)

// Graph is the service graph of a stream of spans. It is not safe for concurrent use.
type Graph struct {
	cfg   Config
	out   Output
	store *store
	nodes nodes
	edges edges
	stats Stats
	// Dimensions, Operations, Versions and Failures are the strings that spans refer to.
	Dimensions, Operations, Versions, Failures *Labels
	// labelsSince is when the epoch of the labels began.
	labelsSince int64
	rows        []Edge

	// started is set once the watermark is known.
	started   bool
	watermark int64
	// openStart and openEnd bound the oldest open interval; nextWork is the watermark at which something is due.
	openStart, openEnd, nextWork int64
	// origin is the first watermark, emitted the time of the last output.
	origin, emitted int64
	// dirty is set when something was counted since the last output.
	dirty bool
	// sweepNodes, when set, is the time before which nodes used last are to be forgotten.
	sweepNodes int64
	// lastFit is the arrival time of the last span that fitted the watermark; recent tells whose it was.
	lastFit int64
	recent  recent
	// batches numbers the batches.
	batches int64
	// behind counts spans in a row that ended too long before the watermark.
	behind run
	// doubtful are spans that end too far ahead of the watermark, until others confirm or contradict them.
	doubtful Batch
}

// run counts spans in a row.
type run struct {
	n       int
	service NodeID
	several bool
}

func (r *run) add(s NodeID) {
	if r.n > 0 && s != r.service {
		r.several = true
	}
	r.n++
	r.service = s
}

func (r *run) believed() bool { return r.n >= leapSpans || r.n >= leapServices && r.several }

// recent remembers the last service of which a span fitted the watermark, and the last one but that.
type recent [2]struct {
	service NodeID
	batch   int64
}

func (r *recent) add(s NodeID, batch int64) {
	if r[0].batch > 0 && r[0].service != s {
		r[1] = r[0]
	}
	r[0].service, r[0].batch = s, batch
}

// other returns the last batch in which a span of another service fitted the watermark, or 0.
func (r *recent) other(s NodeID) int64 {
	if r[0].service != s {
		return r[0].batch
	}
	return r[1].batch
}

// New returns an empty graph.
func New(cfg Config, out Output) *Graph {
	g := &Graph{cfg: cfg, out: out}
	g.store = newStore(&g.cfg)
	g.nodes = newNodes(2*cfg.MaxEdges, cfg.MaxNameLength)
	g.edges = newEdges(&g.cfg)
	g.Dimensions = newLabels(min(2*cfg.MaxEdges, maxDimensionSets), math.MaxInt, "")
	g.Operations = newLabels(maxOperationNames, cfg.MaxNameLength, OtherLabel)
	g.Versions = newLabels(maxVersions, cfg.MaxNameLength, OtherLabel)
	g.Failures = newLabels(maxFailures, cfg.MaxNameLength, OtherFailure)
	return g
}

// Service returns the number of a service, or 0 when there is no room for a new node.
func (g *Graph) Service(namespace, name string) NodeID { return g.node(true, namespace, name) }

// Peer returns the number of something that is no instrumented service, or 0 when there is no room for a new node. Its
// name has two parts with a slash in between; one may be empty.
func (g *Graph) Peer(a, b string) NodeID { return g.node(false, a, b) }

func (g *Graph) node(service bool, a, b string) NodeID {
	id := g.nodes.intern(service, a, b, g.watermark)
	if id == 0 {
		g.stats.RefusedNodes++
	}
	return id
}

// Stats returns what happened so far.
func (g *Graph) Stats() Stats {
	s := g.stats
	s.Pending = int64(g.store.pending.n + len(g.doubtful.Spans))
	s.Held = int64(g.store.held)
	s.Edges = int64(len(g.edges.order))
	s.Nodes = int64(len(g.nodes.ids))
	s.HeldOperations = int64(g.edges.operations)
	s.RefusedOperations, s.RefusedVariants = g.edges.refusedOperations, g.edges.refusedVariants
	for i, l := range g.labels() {
		s.RefusedLabels[i] = l.refusals()
	}
	return s
}

// Add takes in the spans of a batch, which arrived at the given time. It may change them and their order.
func (g *Graph) Add(b *Batch, arrived int64) {
	g.stats.Received += int64(len(b.Spans))
	for i := range b.Spans {
		b.Spans[i].End = min(max(b.Spans[i].End, 0), maxTime)
	}
	if len(g.doubtful.Spans) > 0 {
		if g.contradicted(b.Spans) {
			g.insertDoubtful()
		} else {
			b.append(&g.doubtful)
			g.doubtful.Reset()
		}
	}
	if len(b.Spans) == 0 {
		return
	}
	g.batches++
	low := g.order(b.Spans)
	if !g.started {
		g.lastFit = arrived
		g.begin(low)
	}
	for i := range b.Spans {
		s := &b.Spans[i]
		switch {
		case s.End > g.watermark+int64(g.cfg.MaxClockSkew):
			if !g.believeAhead(b.Spans[i:], arrived) {
				g.doubtful.appendSpans(b.Spans[i:], b.Links)
				if len(g.doubtful.Spans) > g.cfg.MaxPending {
					g.insertDoubtful()
				}
				g.evict()
				return
			}
			g.moveTo(s, arrived)
		case s.End > g.watermark:
			g.moveTo(s, arrived)
		case s.End < g.tooOld():
			if arrived-g.lastFit >= int64(g.cfg.IdleTimeout) && g.believeBehind(b.Spans[i:]) {
				g.rewind(s.End)
				g.fits(s, arrived)
			}
			g.behind.add(s.Service)
		default:
			g.fits(s, arrived)
		}
		g.insert(b, s)
		if g.store.held > g.cfg.MaxPending+slack {
			g.evict()
		}
	}
	g.evict()
	// Not earlier: the batch refers to nodes by number.
	if g.sweepNodes > 0 {
		g.nodes.sweep(g.sweepNodes)
		g.sweepNodes = 0
		g.nextEpoch()
	}
}

// nextEpoch begins an epoch of the labels when the current one is old enough, at most one for each batch.
func (g *Graph) nextEpoch() {
	if g.watermark-g.labelsSince < int64(g.cfg.EdgeTTL) && g.watermark >= g.labelsSince {
		return
	}
	g.labelsSince = g.watermark
	for _, l := range g.labels() {
		l.next()
	}
}

func (g *Graph) labels() [4]*Labels {
	return [4]*Labels{g.Dimensions, g.Operations, g.Versions, g.Failures}
}

// order sorts spans by time, unless they span so little of it that their order makes no difference; so it makes none
// either into which batches a stream was cut. It returns the earliest end that is not missing.
func (g *Graph) order(spans []Span) int64 {
	low, first, high := maxTime, maxTime, int64(0)
	for i := range spans {
		end := spans[i].End
		low, high = min(low, end), max(high, end)
		if end > 0 {
			first = min(first, end)
		}
	}
	if high-low > int64(g.cfg.Lateness) {
		slices.SortFunc(spans, func(x, y Span) int {
			return cmp.Or(cmp.Compare(x.End, y.End), cmp.Compare(x.Trace.Lo, y.Trace.Lo), cmp.Compare(x.ID, y.ID))
		})
	}
	return min(first, high)
}

// contradicted says whether any of the spans fits the watermark, against those that end far ahead of it.
func (g *Graph) contradicted(spans []Span) bool {
	low, high := g.tooOld(), g.watermark+int64(g.cfg.MaxClockSkew)
	return slices.ContainsFunc(spans, func(s Span) bool { return s.End >= low && s.End <= high })
}

// insertDoubtful takes in the spans that nothing confirmed as if they had ended at the watermark.
func (g *Graph) insertDoubtful() {
	for i := range g.doubtful.Spans {
		s := &g.doubtful.Spans[i]
		g.stats.Skewed++
		s.Start = g.watermark - max(s.End-s.Start, 0)
		s.End = g.watermark
		g.insert(&g.doubtful, s)
		if g.store.held > g.cfg.MaxPending+slack {
			g.evict()
		}
	}
	g.doubtful.Reset()
}

func (g *Graph) fits(s *Span, arrived int64) {
	g.lastFit = arrived
	g.recent.add(s.Service, g.batches)
	g.behind = run{}
}

// believeAhead decides whether the first of the spans, which ends far ahead of the watermark, is right. It is when as
// much time has passed where the spans arrive, or when enough spans say so.
func (g *Graph) believeAhead(rest []Span, arrived int64) bool {
	if rest[0].End-g.watermark <= arrived-g.lastFit+int64(g.cfg.MaxClockSkew) {
		return true
	}
	var together run
	for i := range rest {
		if rest[i].End-g.watermark <= int64(g.cfg.MaxClockSkew) {
			continue
		}
		together.add(rest[i].Service)
		if together.believed() && (together.several || g.alone(together.service)) {
			g.stats.Leaps++
			return true
		}
	}
	return false
}

// alone says whether no other service had a span that fits the watermark for a while. It counts batches, not time, so
// that a replay comes to the same result at any speed.
func (g *Graph) alone(s NodeID) bool {
	other := g.recent.other(s)
	return other == 0 || g.batches-other >= quietBatches
}

// believeBehind decides whether the spans, the first of which ends far behind the watermark, are right and it is wrong.
func (g *Graph) believeBehind(rest []Span) bool {
	together := g.behind
	for i := range rest {
		if rest[i].End >= g.tooOld() {
			return false
		}
		together.add(rest[i].Service)
		if together.believed() {
			return true
		}
	}
	return false
}

// tooOld is the time before which a span's end does not fit the watermark.
func (g *Graph) tooOld() int64 {
	return g.watermark - int64(max(g.cfg.MaxClockSkew, g.cfg.PairTimeout))
}

// begin sets the watermark for the first time, or anew.
func (g *Graph) begin(watermark int64) {
	g.started = true
	g.watermark, g.origin = watermark, watermark
	g.openInterval(watermark)
}

// openInterval makes the interval around t the oldest open one.
func (g *Graph) openInterval(t int64) {
	interval := int64(g.cfg.FlushInterval)
	g.openStart = t - t%interval
	g.openEnd = g.openStart + interval
	g.nextWork = g.watermark
}

// moveTo advances the watermark.
func (g *Graph) moveTo(s *Span, arrived int64) {
	g.fits(s, arrived)
	t := s.End
	// A gap is settled as by a call of Flush during the gap, so that it makes no difference at which speed it passed.
	gap := t-g.watermark >= int64(g.cfg.IdleTimeout)
	if gap {
		g.Flush()
	}
	g.watermark = t
	if gap {
		g.openInterval(t)
	}
	if t >= g.nextWork {
		g.work()
	}
}

// work settles what timed out and closes intervals up to the watermark, in the order of time.
func (g *Graph) work() {
	for {
		closing := g.openEnd + int64(g.cfg.Lateness)
		if g.watermark < closing {
			break
		}
		g.expire(closing)
		g.close(g.openEnd)
		g.openStart, g.openEnd = g.openEnd, g.openEnd+int64(g.cfg.FlushInterval)
	}
	g.expire(g.watermark)
	g.nextWork = min(g.openEnd+int64(g.cfg.Lateness), g.watermark-g.watermark%tick+tick)
}

// Flush settles every span that waits and hands out the edges at the watermark if anything was counted since the last
// time. It is for when the stream pauses or ends: counting can go on afterwards.
func (g *Graph) Flush() {
	if !g.started {
		return
	}
	g.insertDoubtful()
	g.expire(math.MaxInt64)
	if g.dirty {
		for _, ed := range g.edges.order {
			g.edges.next(ed, g.openEnd)
		}
		// Spans may have come that ended before the last output; two outputs never carry one time.
		g.close(max(g.watermark, g.emitted+int64(time.Millisecond)))
	}
}

// close hands out the edges as they stand.
func (g *Graph) close(at int64) {
	if len(g.edges.order) > 0 && at > g.emitted {
		g.edges.sort(&g.nodes, g.Dimensions)
		g.rows = g.rows[:0]
		for _, ed := range g.edges.order {
			if ed.start >= at && ed.total.Requests == 0 {
				continue // known from the interval ahead only
			}
			g.rows = append(g.rows, Edge{
				Client: g.nodes.entries[ed.key.client].node, Server: g.nodes.entries[ed.key.server].node,
				Connection: ed.key.connection, Virtual: ed.key.virtual,
				ClientDimensions: dimensionsOf(g.Dimensions.Value(ed.key.clientDimensions)),
				ServerDimensions: dimensionsOf(g.Dimensions.Value(ed.key.serverDimensions)),
				Start:            min(ed.start, at), SucceededStart: min(ed.succeededStart, at), FailedStart: min(ed.failedStart, at),
				Totals:     &ed.total,
				Operations: g.operationRows(ed.total.operations),
			})
		}
		g.out(at, g.rows)
		clear(g.rows)
		g.emitted = at
		g.dirty = false
		for _, ed := range g.edges.order {
			ed.sent(at, g.cfg.Delta)
		}
	}
	for _, ed := range g.edges.order {
		if ed.aheadUsed {
			g.edges.next(ed, at)
			g.dirty = true
		}
	}
	g.stats.ExpiredEdges += g.edges.sweep(at - int64(g.cfg.EdgeTTL))
	g.sweepNodes = at - int64(g.cfg.EdgeTTL) - int64(g.cfg.PairTimeout)
}

// rewind starts anew at an earlier time: the stream was started again from an earlier point, or the watermark had
// followed a broken clock.
func (g *Graph) rewind(t int64) {
	g.Flush()
	g.stats.Rewinds++
	g.edges.sweep(math.MaxInt64)
	g.nodes.rewind(t)
	g.sweepNodes = 0
	g.emitted = 0
	g.dirty = false
	g.recent = recent{}
	g.begin(t)
}

// count counts a call.
func (g *Graph) count(c *call) {
	start, ahead := max(g.openStart, g.emitted, g.origin), c.at >= g.openEnd
	if ahead {
		start = max(g.openEnd, g.emitted)
	}
	ed := g.edges.get(c, start, ahead)
	if ed == nil {
		g.stats.RefusedCalls++
		return
	}
	ed.lastUsed = max(ed.lastUsed, c.at)
	g.nodes.touch(c.key.client, g.watermark)
	g.nodes.touch(c.key.server, g.watermark)
	g.edges.add(ed, c, start, ahead)
	g.dirty = true
}
