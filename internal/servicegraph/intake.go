package servicegraph

import (
	"cmp"
	"slices"
)

const (
	// maxBuckets is the number of parts into which traces are sorted, and so the greatest one of shards.
	maxBuckets = 256
	// slack is how far a batch may exceed the bound of the store before it is settled as a whole; spans are handed to the
	// shards in portions of half of that at most.
	slack = 8192
)

// Intake takes in batches, one at a time. Several may do so side by side; what one takes in has an order, what several do
// has none.
type Intake struct {
	// Batch is to be filled by the function that Take calls.
	Batch

	g     *Graph
	names names

	// items are the spans on their way into the shards, sorted the same by trace, with the number of those of each bucket.
	items, sorted []item
	buckets       [maxBuckets]int32
	// links are those of the spans; followed are those to be followed.
	links    []Link
	followed []item
	// watermark is that at the span at hand, place the span's place in its portion.
	watermark int64
	place     int32
	// trace is that of the span at hand, as far as it is known, with its hash.
	trace TraceID
	hash  uint64
	calls []placedCall
	// firstCall and nextCall chain the calls by place.
	firstCall, nextCall []int32
	stats               Stats
	// held is the number of records after the last portion.
	held int
}

type placedCall struct {
	call
	place int32
}

// NewIntake returns an intake.
func (g *Graph) NewIntake() *Intake {
	return &Intake{g: g}
}

// Take takes in one batch, which arrived at the given time. It has read fill the batch, which is empty then and names nodes
// by the numbers that the intake returns meanwhile; where these have become invalid, it does so once more.
func (in *Intake) Take(arrived int64, read func()) {
	g := in.g
	g.gate.RLock()
	in.names.renew(g.nodes.swept)
	in.Reset()
	read()
	in.prepare()
	shared := in.takeShared(arrived)
	g.gate.RUnlock()
	if shared {
		return
	}
	g.gate.Lock()
	defer g.gate.Unlock()
	if in.names.renew(g.nodes.swept) {
		in.stats.RefusedNodes = 0
		in.Reset()
		read()
		in.prepare()
	}
	in.takeAlone(arrived)
}

// prepare confines times to what arithmetic can bear.
func (in *Intake) prepare() {
	for i := range in.Spans {
		in.Spans[i].End = min(max(in.Spans[i].End, 0), maxTime)
	}
}

// takeShared takes in a batch while others do, too. It is not possible when the batch closes an interval or when anything is
// odd about its times: then it does nothing.
func (in *Intake) takeShared(arrived int64) bool {
	g := in.g
	if !g.started || len(g.doubtful.Spans) > 0 || len(in.Spans) == 0 {
		return false
	}
	low, _, high := timesOf(in.Spans)
	began := g.watermark.Load()
	watermark := began
	if last := max(high, watermark); high > watermark+int64(min(g.cfg.MaxClockSkew, g.cfg.IdleTimeout-1)) ||
		last >= g.openEnd+int64(g.cfg.Lateness) || low < g.tooOld(last) {
		return false
	}
	in.stats.Received += int64(len(in.Spans))
	order(in.Spans, high-low > int64(g.cfg.Lateness))
	in.links = in.Links
	for i := range in.Spans {
		s := &in.Spans[i]
		if s.End > watermark {
			if watermark = s.End; watermark >= g.nextTick.Load() {
				in.commit()
				in.watermark = watermark
				in.expireDue()
			}
		}
		in.watermark = watermark
		in.put(s)
	}
	in.commit()
	if watermark-began > nameLife {
		g.nodes.touchAll(in.Spans, watermark)
	}
	g.front.Lock()
	g.watermark.Store(max(g.watermark.Load(), watermark))
	g.fitAll(in.Spans, arrived)
	in.report()
	g.front.Unlock()
	in.evict(0)
	return true
}

// put sends a span on its way into its shard.
func (in *Intake) put(s *Span) {
	g := in.g
	if s.End < g.openStart {
		in.stats.Late++
	}
	switch {
	case s.ID == 0 || s.Trace == TraceID{}:
		in.settled(OutcomeInvalid)
		return
	case s.Service == 0:
		in.settled(OutcomeNode)
		return
	}
	if s.ended = s.End; s.End < in.watermark-int64(g.cfg.Lateness) {
		s.ended = in.watermark
	}
	s.trace = g.seed.trace(s.Trace)
	s.key, s.parent = keyOf(s.trace, s.ID), 0
	if s.Parent != 0 {
		s.parent = keyOf(s.trace, s.Parent)
	}
	in.send(item{span: s, place: int32(len(in.items)), trace: s.trace})
	if len(in.items) == slack/2 {
		in.commit()
		in.evict(slack / 2)
	}
}

// send puts an item among those on their way.
func (in *Intake) send(it item) {
	in.items = append(in.items, it)
	in.buckets[bucketOf(it.trace)]++
}

func bucketOf(trace uint64) int { return int(trace >> 56) }

// commit hands what is on its way to the shards and counts the calls that come of it.
func (in *Intake) commit() {
	if len(in.items) == 0 {
		return
	}
	places := len(in.items)
	in.deliver()
	if len(in.followed) > 0 {
		// A link may lead to a trace of another shard. Its place is after those of the spans.
		slices.SortStableFunc(in.followed, func(a, b item) int { return cmp.Compare(a.place, b.place) })
		for _, it := range in.followed {
			it.trace = in.g.seed.trace(it.link.Trace)
			it.place = int32(places)
			places++
			in.send(it)
		}
		clear(in.followed)
		in.followed = in.followed[:0]
		in.deliver()
	}
	in.countByPlace(places)
}

// deliver sorts the items by trace and hands them to the shards: first to those that nobody else uses at the moment.
func (in *Intake) deliver() {
	in.sorted = slices.Grow(in.sorted[:0], len(in.items))[:len(in.items)]
	shards := in.g.shards
	perShard := maxBuckets / len(shards)
	var from [maxBuckets + 1]int32
	sum := int32(0)
	for k := range in.buckets {
		n := in.buckets[k]
		from[k], in.buckets[k] = sum, sum
		sum += n
	}
	from[maxBuckets] = sum
	for k := range in.items {
		it := &in.items[k]
		at := &in.buckets[bucketOf(it.trace)]
		in.sorted[*at] = *it
		*at++
	}
	clear(in.buckets[:])
	for k := range maxBuckets {
		if from[k+1]-from[k] > 1 {
			in.gather(in.sorted[from[k]:from[k+1]])
		}
	}
	in.items = in.items[:0]
	var done [maxBuckets]bool
	left := false
	for _, wait := range [2]bool{false, true} {
		for k := range shards {
			list := in.sorted[from[k*perShard]:from[(k+1)*perShard]]
			if len(list) == 0 || done[k] {
				continue
			}
			if wait {
				shards[k].mu.Lock()
			} else if !shards[k].mu.TryLock() {
				left = true
				continue
			}
			shards[k].enter(in)
			shards[k].take(in, list)
			shards[k].leave(in)
			shards[k].mu.Unlock()
			done[k] = true
		}
		if !left {
			return
		}
	}
}

// gather puts the items of each trace next to each other, in their order. There are few traces.
func (in *Intake) gather(items []item) {
	for len(items) > 0 {
		n, trace := 1, items[0].trace
		for n < len(items) && items[n].trace == trace {
			n++
		}
		rest := in.items[:0]
		for k := n; k < len(items); k++ {
			if items[k].trace == trace {
				items[n] = items[k]
				n++
			} else {
				rest = append(rest, items[k])
			}
		}
		items = items[n:]
		copy(items, rest)
	}
}

// expireDue has the records leave whose time is over at the watermark, unless another intake does so already.
func (in *Intake) expireDue() {
	g := in.g
	due := g.nextTick.Load()
	if in.watermark < due || !g.nextTick.CompareAndSwap(due, in.watermark-in.watermark%tick+tick) {
		return
	}
	in.expire(in.watermark)
}

// expire has the records leave whose time is over at the given time.
func (in *Intake) expire(now int64) {
	for k := range in.g.shards {
		sh := &in.g.shards[k]
		sh.mu.Lock()
		sh.enter(in)
		sh.expire(in, now)
		sh.leave(in)
		sh.mu.Unlock()
	}
	// Neither the shards nor the order in which records came have a say in which call comes first.
	slices.SortFunc(in.calls, func(a, b placedCall) int { return compareCalls(&a.call, &b.call) })
	in.g.front.Lock()
	for k := range in.calls {
		in.g.count(&in.calls[k].call)
	}
	in.report()
	in.g.front.Unlock()
	in.calls = in.calls[:0]
}

func compareCalls(a, b *call) int {
	return cmp.Or(
		cmp.Compare(a.at, b.at),
		cmp.Compare(a.key.client, b.key.client), cmp.Compare(a.key.server, b.key.server),
		cmp.Compare(a.key.connection, b.key.connection), cmp.Compare(a.key.virtual, b.key.virtual),
		cmp.Compare(a.key.clientDimensions, b.key.clientDimensions), cmp.Compare(a.key.serverDimensions, b.key.serverDimensions),
		cmp.Compare(a.client, b.client), cmp.Compare(a.server, b.server), cmp.Compare(a.weight, b.weight),
		cmp.Compare(a.operation, b.operation), cmp.Compare(a.version, b.version), cmp.Compare(a.failure, b.failure),
	)
}

// evict keeps the store within its bound, which may be exceeded by the given number of records.
func (in *Intake) evict(by int) {
	g := in.g
	excess := in.held - g.cfg.MaxPending
	if excess <= by {
		return
	}
	share := g.cfg.MaxPending / len(g.shards)
	for k := range g.shards {
		sh := &g.shards[k]
		sh.mu.Lock()
		n := min(sh.held-share, excess)
		if n > 0 {
			sh.enter(in)
			sh.evict(in, n)
			sh.leave(in)
			excess -= n
		}
		sh.mu.Unlock()
		if excess <= 0 {
			break
		}
	}
	g.front.Lock()
	in.report()
	g.front.Unlock()
}

// report adds what happened since the last time to the totals. The caller holds front.
func (in *Intake) report() {
	in.g.stats.add(&in.stats)
	in.stats = Stats{}
	in.held = int(in.g.stats.Held)
}

// settled notes what became of a span or link.
func (in *Intake) settled(o Outcome) { in.stats.Outcomes[o]++ }

// call notes a call, which the caller is to fill in.
func (in *Intake) call() *call {
	n := len(in.calls)
	in.calls = slices.Grow(in.calls, 1)[:n+1]
	c := &in.calls[n]
	c.place = in.place
	return &c.call
}

// countByPlace counts the calls in the order of the spans that they came of, whatever the shards in which they did.
func (in *Intake) countByPlace(places int) {
	g := in.g
	if len(in.calls) == 0 {
		g.front.Lock()
		in.report()
		g.front.Unlock()
		return
	}
	in.firstCall = slices.Grow(in.firstCall[:0], places)[:places]
	in.nextCall = slices.Grow(in.nextCall[:0], len(in.calls))[:len(in.calls)]
	for k := range in.firstCall {
		in.firstCall[k] = none
	}
	for k := len(in.calls) - 1; k >= 0; k-- {
		first := &in.firstCall[in.calls[k].place]
		in.nextCall[k], *first = *first, int32(k)
	}
	g.front.Lock()
	for _, k := range in.firstCall {
		for ; k != none; k = in.nextCall[k] {
			g.count(&in.calls[k].call)
		}
	}
	in.report()
	g.front.Unlock()
	in.calls = in.calls[:0]
}
