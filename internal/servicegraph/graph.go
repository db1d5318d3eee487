package servicegraph

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
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

// Graph is the service graph of a stream of spans. Its methods may be called side by side; the output never is.
type Graph struct {
	cfg    Config
	out    Output
	seed   seeds
	shards []shard
	nodes  nodes
	// Dimensions, Operations, Versions and Failures are the strings that spans refer to.
	Dimensions, Operations, Versions, Failures *Labels
	// own is the intake of Flush.
	own *Intake

	// watermark only grows while gate is held for reading, as nextTick does, the watermark at which records are due.
	watermark, nextTick atomic.Int64

	// gate is held for reading while a batch is taken in that changes nothing of what is below but what front guards, and
	// for writing otherwise. The locks come in the order gate, a shard's, front or the nodes' and the labels'.
	gate sync.RWMutex

	// labelsSince is when the epoch of the labels began.
	labelsSince int64
	rows        []Edge
	// started is set once the watermark is known.
	started bool
	// openStart and openEnd bound the oldest open interval.
	openStart, openEnd int64
	// origin is the first watermark, emitted the time of the last output.
	origin, emitted int64
	// sweepNodes, when set, is the time before which nodes used last are to be forgotten.
	sweepNodes int64
	// doubtful are spans that end too far ahead of the watermark, until others confirm or contradict them.
	doubtful Batch

	front sync.Mutex // front guards everything below.

	edges edges
	stats Stats
	// dirty is set when something was counted since the last output.
	dirty bool
	// lastFit is the arrival time of the last span that fitted the watermark; recent tells whose it was.
	lastFit int64
	recent  recent
	// batches numbers the batches.
	batches int64
	// behind counts spans in a row that ended too long before the watermark.
	behind run
}

// New returns an empty graph.
func New(cfg Config, out Output) *Graph {
	g := &Graph{cfg: cfg, out: out, seed: newSeeds(cfg.Seed), shards: make([]shard, max(cfg.Shards, 1))}
	for k := range g.shards {
		sh := &g.shards[k]
		sh.cfg, sh.seed = &g.cfg, g.seed
		sh.init(&g.cfg)
	}
	g.nodes.init(2*cfg.MaxEdges, cfg.MaxNameLength)
	g.edges = newEdges(&g.cfg)
	g.Dimensions = newLabels(min(2*cfg.MaxEdges, maxDimensionSets), math.MaxInt, "")
	g.Operations = newLabels(maxOperationNames, cfg.MaxNameLength, OtherLabel)
	g.Versions = newLabels(maxVersions, cfg.MaxNameLength, OtherLabel)
	g.Failures = newLabels(maxFailures, cfg.MaxNameLength, OtherFailure)
	g.own = g.NewIntake()
	return g
}

// Stats returns what happened so far.
func (g *Graph) Stats() Stats {
	g.gate.RLock()
	defer g.gate.RUnlock()
	g.front.Lock()
	s := g.stats
	s.Edges = int64(len(g.edges.order))
	s.HeldOperations = int64(g.edges.operations)
	s.RefusedOperations, s.RefusedVariants = g.edges.refusedOperations, g.edges.refusedVariants
	g.front.Unlock()
	s.Pending += int64(len(g.doubtful.Spans))
	s.Nodes = int64(g.nodes.count())
	for i, l := range g.labels() {
		s.RefusedLabels[i] = l.refusals()
	}
	return s
}

// takeAlone takes in a batch of any kind. The caller holds gate for writing.
func (in *Intake) takeAlone(arrived int64) {
	g, b := in.g, &in.Batch
	in.stats.Received += int64(len(b.Spans))
	if len(g.doubtful.Spans) > 0 {
		if g.contradicted(b.Spans) {
			in.insertDoubtful()
		} else {
			b.append(&g.doubtful)
			g.doubtful.Reset()
		}
	}
	in.takeInOrder(arrived)
	in.commit()
	in.report()
	in.evict(0)
	g.nodes.touchAll(in.Spans, g.watermark.Load())
	// Not earlier: the batch refers to nodes by number.
	if g.sweepNodes > 0 {
		g.nodes.sweep(g.sweepNodes)
		g.sweepNodes = 0
		g.nextEpoch()
	}
}

func (in *Intake) takeInOrder(arrived int64) {
	g, spans := in.g, in.Spans
	if len(spans) == 0 {
		return
	}
	g.batches++
	low, first, high := timesOf(spans)
	order(spans, high-low > int64(g.cfg.Lateness))
	if !g.started {
		g.lastFit = arrived
		g.begin(min(first, high))
	}
	in.links = in.Links
	for i := range spans {
		s := &spans[i]
		in.watermark = g.watermark.Load()
		switch {
		case s.End > in.watermark+int64(g.cfg.MaxClockSkew):
			if !g.believeAhead(spans[i:], arrived) {
				g.doubtful.appendSpans(spans[i:], in.Links)
				if len(g.doubtful.Spans) > g.cfg.MaxPending {
					in.insertDoubtful()
				}
				return
			}
			in.moveTo(s, arrived)
		case s.End > in.watermark:
			in.moveTo(s, arrived)
		case s.End < g.tooOld(in.watermark):
			if arrived-g.lastFit >= int64(g.cfg.IdleTimeout) && g.believeBehind(spans[i:]) {
				in.rewind(s.End)
				g.fits(s, arrived)
			}
			g.behind.add(s.Service)
		default:
			g.fits(s, arrived)
		}
		in.put(s)
	}
}

// nextEpoch begins an epoch of the labels when the current one is old enough, at most one for each batch.
func (g *Graph) nextEpoch() {
	now := g.watermark.Load()
	if now-g.labelsSince < int64(g.cfg.EdgeTTL) && now >= g.labelsSince {
		return
	}
	g.labelsSince = now
	// Spans that nobody confirmed may have waited for longer than anything else does.
	for i := range g.doubtful.Spans {
		s := &g.doubtful.Spans[i]
		g.Dimensions.touch(s.Dimensions)
		g.Operations.touch(LabelID(s.Operation))
		g.Versions.touch(LabelID(s.Version))
		g.Failures.touch(LabelID(s.Failure))
	}
	for _, l := range g.labels() {
		l.next()
	}
}

func (g *Graph) labels() [4]*Labels {
	return [4]*Labels{g.Dimensions, g.Operations, g.Versions, g.Failures}
}

// timesOf returns the earliest and the latest end, and the earliest that is not missing.
func timesOf(spans []Span) (low, first, high int64) {
	low, first = maxTime, maxTime
	for i := range spans {
		end := spans[i].End
		low, high = min(low, end), max(high, end)
		if end > 0 {
			first = min(first, end)
		}
	}
	return low, first, high
}

// order sorts spans by time when they are far apart. Otherwise their order makes no difference; so it makes none either
// into which batches a stream was cut.
func order(spans []Span, apart bool) {
	if apart {
		slices.SortFunc(spans, func(x, y Span) int {
			return cmp.Or(cmp.Compare(x.End, y.End), cmp.Compare(x.Trace.Lo, y.Trace.Lo), cmp.Compare(x.ID, y.ID))
		})
	}
}

// insertDoubtful takes in the spans that nothing confirmed as if they had ended at the watermark.
func (in *Intake) insertDoubtful() {
	in.commit()
	g := in.g
	in.watermark = g.watermark.Load()
	in.links = g.doubtful.Links
	for i := range g.doubtful.Spans {
		s := &g.doubtful.Spans[i]
		g.stats.Skewed++
		s.Start = in.watermark - max(s.End-s.Start, 0)
		s.End = in.watermark
		in.put(s)
	}
	in.commit()
	g.nodes.touchAll(g.doubtful.Spans, in.watermark)
	g.doubtful.Reset()
	in.links = in.Links
}

// begin sets the watermark for the first time, or anew.
func (g *Graph) begin(watermark int64) {
	g.started = true
	g.watermark.Store(watermark)
	g.origin = watermark
	for k := range g.shards {
		g.shards[k].restart(watermark)
	}
	g.openInterval(watermark)
}

// openInterval makes the interval around t the oldest open one.
func (g *Graph) openInterval(t int64) {
	interval := int64(g.cfg.FlushInterval)
	g.openStart = t - t%interval
	g.openEnd = g.openStart + interval
	g.nextTick.Store(t)
}

// moveTo advances the watermark.
func (in *Intake) moveTo(s *Span, arrived int64) {
	g, t := in.g, s.End
	g.fits(s, arrived)
	// A gap is settled as by a call of Flush during the gap, so that it makes no difference at which speed it passed.
	gap := t-in.watermark >= int64(g.cfg.IdleTimeout)
	if gap {
		in.commit()
		in.flush()
	}
	if due := gap || t >= g.nextTick.Load() || t >= g.openEnd+int64(g.cfg.Lateness); !due {
		g.watermark.Store(t)
		in.watermark = t
		return
	}
	in.commit()
	g.watermark.Store(t)
	in.watermark = t
	if gap {
		g.openInterval(t)
	}
	in.work()
}

// work settles what timed out and closes intervals up to the watermark, in the order of time.
func (in *Intake) work() {
	g := in.g
	for {
		closing := g.openEnd + int64(g.cfg.Lateness)
		if in.watermark < closing {
			break
		}
		in.expire(closing)
		g.close(g.openEnd)
		g.openStart, g.openEnd = g.openEnd, g.openEnd+int64(g.cfg.FlushInterval)
	}
	in.expire(in.watermark)
	g.nextTick.Store(in.watermark - in.watermark%tick + tick)
}

// Flush settles every span that waits and hands out the edges at the watermark if anything was counted since the last
// time. It is for when the stream pauses or ends: counting can go on afterwards.
func (g *Graph) Flush() {
	g.gate.Lock()
	defer g.gate.Unlock()
	if g.started {
		g.own.names.renew(g.nodes.swept)
		g.own.flush()
	}
}

func (in *Intake) flush() {
	g := in.g
	in.insertDoubtful()
	in.watermark = g.watermark.Load()
	in.expire(math.MaxInt64)
	if g.dirty {
		for _, ed := range g.edges.order {
			g.edges.next(ed, g.openEnd)
		}
		// Spans may have come that ended before the last output; two outputs never carry one time.
		g.close(max(in.watermark, g.emitted+int64(time.Millisecond)))
	}
}

// close hands out the edges as they stand.
func (g *Graph) close(at int64) {
	for _, ed := range g.edges.order {
		g.nodes.touch(ed.key.client, ed.lastUsed)
		g.nodes.touch(ed.key.server, ed.lastUsed)
	}
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
	g.sweepNodes = at - int64(g.cfg.EdgeTTL) - int64(g.cfg.PairTimeout) - nameLife
}

// rewind starts anew at an earlier time: the stream was started again from an earlier point, or the watermark had
// followed a broken clock.
func (in *Intake) rewind(t int64) {
	in.commit()
	in.flush()
	g := in.g
	g.stats.Rewinds++
	g.edges.sweep(math.MaxInt64)
	g.nodes.rewind(t)
	g.sweepNodes = 0
	g.emitted = 0
	g.dirty = false
	g.recent = recent{}
	g.begin(t)
	in.watermark = t
}

// count counts a call. The caller holds front.
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
	g.edges.add(ed, c, start, ahead)
	g.dirty = true
}
