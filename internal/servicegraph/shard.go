package servicegraph

import (
	"sync"
	"unsafe"

	"github.com/paramedic-otel/paramedic/internal/prefetch"
)

// maxAsked is the greatest number of cells of a group of which all records are asked for at once.
const maxAsked = 64

// shard has the spans of some of the traces: a span, its ancestors and what waits for it are always in one shard.
type shard struct {
	mu sync.Mutex // mu guards everything below.

	store
	cfg   *Config
	seed  seeds
	fresh fresh
	_     [64]byte // keeps neighbours off the last line
}

// enter and leave enclose what an intake does to the store, so that it knows how that changed.
func (sh *shard) enter(in *Intake) {
	in.stats.Held -= int64(sh.held)
	in.stats.Pending -= int64(sh.pending)
}

func (sh *shard) leave(in *Intake) {
	in.stats.Held += int64(sh.held)
	in.stats.Pending += int64(sh.pending)
}

// restart makes an empty shard ready for a stream from the given time on.
func (sh *shard) restart(watermark int64) {
	sh.near, sh.first = watermark, watermark/tick+1
}

// item is a span, or a link of a consumer, on its way into a shard.
type item struct {
	span *Span
	link *Link
	// place is the span's among those of its portion, trace the hash of its trace or of that of the link.
	place int32
	trace uint64
}

func (it *item) group() uint32 { return uint32(it.trace) }

// id returns the trace.
func (it *item) id() TraceID {
	if it.link != nil {
		return it.link.Trace
	}
	return it.span.Trace
}

// take brings in items, those of a trace in their order. The caller holds mu.
func (sh *shard) take(in *Intake, items []item) {
	sh.near = max(sh.near, in.watermark)
	for k := range items {
		if k == 0 || items[k].trace != items[k-1].trace {
			sh.index.ask(items[k].group())
		}
	}
	known := false
	for k := range items {
		if k == 0 || items[k].trace != items[k-1].trace {
			known = sh.index.askBlock(items[k].group()) || known
		}
	}
	for k := 0; known && k < len(items); k++ {
		if k == 0 || items[k].trace != items[k-1].trace {
			sh.askRecords(items[k].group())
		}
	}
	for k := 0; k < len(items); {
		next := k + 1
		for next < len(items) && items[next].trace == items[k].trace {
			next++
		}
		in.trace, in.hash = items[k].id(), items[k].trace
		sh.index.expect(items[k].group(), in.trace, next-k)
		if sh.index.block(items[k].group()) == nil && sh.takeFresh(in, items[k:next]) {
			k = next
			continue
		}
		for ; k < next; k++ {
			it := &items[k]
			in.place = it.place
			if it.link != nil {
				sh.follow(in, it)
			} else {
				sh.insert(in, it.span)
			}
		}
	}
}

// askRecords has the records of a group on their way into the caches, unless there are many.
func (sh *shard) askRecords(group uint32) {
	cells := sh.index.block(group)
	if len(cells) > maxAsked {
		return
	}
	for _, c := range cells {
		if c != 0 {
			prefetch.Lines(unsafe.Pointer(sh.rec(indexOf(c))), 1)
		}
	}
}

// insert takes in one span.
func (sh *shard) insert(in *Intake, s *Span) {
	key, parent, group := s.key, s.parent, uint32(s.trace)
	cells := sh.index.block(group)
	at, free := search(&sh.store, cells, key)
	sharer := none
	var extra marks
	if at >= 0 && !waiting(cells[at]) {
		other := sh.rec(indexOf(cells[at]))
		if !s.Kind.calls() && !s.Kind.called() || other.kind().calls() == s.Kind.calls() || other.kind() == KindInternal {
			in.settled(OutcomeDuplicate)
			return
		}
		sharer, extra = indexOf(cells[at]), markShared
		if s.Kind.called() {
			parent = key
		}
		key = keyOf(s.trace, s.ID^sharedMark)
		if at, free = search(&sh.store, cells, key); at >= 0 && !waiting(cells[at]) {
			in.settled(OutcomeDuplicate)
			return
		}
	}
	i := sh.store.take(s.ended+sh.cfg.timeout(s), group)
	r := sh.rec(i)
	sh.fill(i, r, s, extra)
	r.key, r.parent = key, parent
	waiter := none
	if at >= 0 {
		waiter = indexOf(cells[at])
		cells[at] = cellOf(key, i, false)
	} else {
		sh.index.addAt(group, cells, free, cellOf(key, i, false))
	}
	if !s.Kind.calls() && !s.Kind.called() {
		r.setState(stateSettled)
		sh.slotOf(i).settled++
		in.settled(OutcomeInternal)
	} else {
		sh.begin(r)
		if s.Kind.called() {
			sh.called(in, i, r, s)
		} else if s.Flags&FlagDatabase != 0 && s.Peer != 0 {
			sh.virtual(in, i, r, ConnectionDatabase, s.ended)
			sh.settle(i)
		}
	}
	for waiter != none {
		w := sh.rec(waiter)
		next := w.next
		w.unmark(markWaits)
		sh.walk(in, waiter, i)
		waiter = next
	}
	if sharer != none && s.Kind.calls() && sh.rec(sharer).state() == statePending {
		sh.stopWaiting(sharer)
		sh.walk(in, sharer, i)
	}
}

// fill makes a record that of a span, pending and settled neither, without its key.
func (sh *shard) fill(i int32, r *record, s *Span, extra marks) {
	r.when = uint64(s.ended)<<metaBits | uint64(s.Kind)<<kindShift | uint64(s.Flags) | uint64(extra)
	r.dur = float32(max(s.End-s.Start, 0))
	r.group = uint32(s.trace)
	r.svc, r.peer, r.other = s.Service, s.Peer, 0
	r.dimensions, r.operation, r.version, r.later = s.Dimensions, s.Operation, s.Version, uint32(s.Failure)
	sh.setWeight(i, r, s.Weight)
}

// called looks for the caller of a called span: by its links where a consumer has any, and by its parent.
func (sh *shard) called(in *Intake, i int32, r *record, s *Span) {
	if s.Kind == KindConsumer && s.LinkTo > s.LinkFrom {
		soft := r.parent != 0
		links := in.links[s.LinkFrom:s.LinkTo]
		for k := range links {
			in.followed = append(in.followed, item{span: s, link: &links[k], place: in.place})
			soft = soft && (keyOf(s.trace, links[k].ID) != r.parent || links[k].Trace != s.Trace)
		}
		if !soft {
			in.settled(OutcomeLinked)
			sh.settle(i)
			return
		}
		r.mark(markSoft)
	}
	if r.parent == 0 {
		sh.withoutCaller(in, i, r.at(sh.near), OutcomeEntry)
		sh.settle(i)
		return
	}
	sh.search(in, i, r.parent)
}

// follow makes a record of its own look for the producer that a link names.
func (sh *shard) follow(in *Intake, it *item) {
	in.stats.Links++
	s := it.span
	i := sh.store.take(s.ended+sh.cfg.timeout(s), it.group())
	r := sh.rec(i)
	sh.fill(i, r, s, markLink)
	// Nobody looks for it.
	r.key, r.group = s.ID, it.group()
	sh.begin(r)
	sh.search(in, i, keyOf(it.trace, it.link.ID))
}

// search looks for the ancestor of a called span from the given one on, and waits where that is not known.
func (sh *shard) search(in *Intake, i int32, key uint64) {
	if p := sh.lookup(sh.rec(i).group, key); p != none {
		sh.walk(in, i, p)
		return
	}
	sh.wait(i, key)
}

// walk goes up from the known ancestor p of called span i to the span that called it.
func (sh *shard) walk(in *Intake, i, p int32) {
	r := sh.rec(i)
	for range maxSteps {
		a := sh.rec(p)
		kind := a.kind()
		if kind.calls() && (r.other == 0 || a.svc == r.other) {
			sh.pair(in, i, p)
			return
		}
		r.extend(a.ended(sh.near), sh.near)
		switch {
		case kind != KindInternal && r.other != 0, kind == KindInternal && r.other != 0 && a.svc != r.other:
			sh.withoutClient(in, i, r.at(sh.near))
			return
		case kind.called():
			if a.svc == r.svc {
				sh.done(in, i, OutcomeNested)
				return
			}
			r.other = a.svc
			sh.withoutClient(in, i, r.at(sh.near))
			return
		case a.svc != r.svc:
			r.other = a.svc
		}
		if a.parent == 0 {
			break
		}
		if p = sh.lookup(r.group, a.parent); p == none {
			sh.wait(i, a.parent)
			return
		}
	}
	if r.other != 0 {
		sh.withoutClient(in, i, r.at(sh.near))
		return
	}
	sh.withoutCaller(in, i, r.at(sh.near), OutcomeEntry)
	sh.finish(i)
}

// pair counts the call of which p is the calling and i the called side.
func (sh *shard) pair(in *Intake, i, p int32) {
	r, a := sh.rec(i), sh.rec(p)
	connection := ConnectionDirect
	if r.kind() == KindConsumer || a.kind() == KindProducer {
		connection = ConnectionMessaging
		// A message that a service receives in one span and processes in another was taken once.
		if a.other == r.svc && r.has(marks(FlagReceive)) != a.has(markTaken) {
			sh.done(in, i, OutcomeNested)
			return
		}
		if a.unmark(markTaken); r.has(marks(FlagReceive)) {
			a.mark(markTaken)
		}
	}
	a.other = r.svc
	sh.paired(in, i, p, connection)
	if a.state() == statePending {
		in.settled(OutcomePaired)
		sh.settle(p)
	}
	sh.done(in, i, OutcomePaired)
}

// paired notes the call between two records.
func (sh *shard) paired(in *Intake, i, p int32, connection Connection) {
	r, a := sh.rec(i), sh.rec(p)
	failure := r.failure()
	if failure == 0 {
		failure = a.failure()
	}
	c := in.call()
	// One by one: copied as a whole right after it was put together, the key would have to wait for that.
	c.key.client, c.key.server = a.svc, r.svc
	c.key.clientDimensions, c.key.serverDimensions = a.dimensions, r.dimensions
	c.key.connection, c.key.virtual = connection, SideNone
	c.at = max(r.at(sh.near), a.ended(sh.near))
	c.client, c.server = int64(a.dur), int64(r.dur)
	c.weight = max(sh.weight(p, a), sh.weight(i, r))
	c.failed = r.failed() || a.failed()
	c.operation, c.version, c.failure = LabelID(r.operation), LabelID(r.version), failure
	sh.identify(in, c, a, r)
}

// identify says of which spans a call is made, as far as examples want to know.
func (sh *shard) identify(in *Intake, c *call, caller, callee *record) {
	c.trace, c.clientSpan, c.serverSpan = TraceID{}, 0, 0
	if !sh.index.keepTraces || in.trace == (TraceID{}) {
		return
	}
	c.trace = in.trace
	if caller != nil {
		c.clientSpan = caller.id(in.hash)
	}
	if callee != nil {
		c.serverSpan = callee.id(in.hash)
	}
}

// withoutClient counts a call whose caller is known although it has no span for the call.
func (sh *shard) withoutClient(in *Intake, i int32, at int64) {
	r := sh.rec(i)
	if r.has(markSoft) {
		sh.done(in, i, OutcomeLinked)
		return
	}
	connection := ConnectionDirect
	if r.kind() == KindConsumer {
		connection = ConnectionMessaging
	}
	c := sh.calledCall(in, i, r, at)
	c.key = edgeKey{client: r.other, server: r.svc, serverDimensions: r.dimensions, connection: connection}
	sh.done(in, i, OutcomePaired)
}

// withoutCaller counts a call whose caller is not known: a message from the place where it was taken, anything else from
// a user. The record stays where it is.
func (sh *shard) withoutCaller(in *Intake, i int32, at int64, o Outcome) {
	r := sh.rec(i)
	if r.has(markSoft) {
		in.settled(OutcomeLinked)
		return
	}
	if sh.cfg.NoVirtual {
		in.settled(o)
		return
	}
	key := edgeKey{server: r.svc, serverDimensions: r.dimensions, connection: ConnectionVirtual, virtual: SideClient}
	if r.kind() == KindConsumer && r.peer != 0 {
		key.client, key.connection, o = r.peer, ConnectionMessaging, OutcomeVirtual
	} else if key.client = in.Peer("", sh.cfg.User); key.client == 0 {
		in.stats.RefusedCalls++
		in.settled(o)
		return
	}
	sh.calledCall(in, i, r, at).key = key
	in.settled(o)
}

// calledCall notes the call of which only the called span is known, without its edge.
func (sh *shard) calledCall(in *Intake, i int32, r *record, at int64) *call {
	c := in.call()
	c.at, c.client, c.server, c.weight, c.failed = at, -1, int64(r.dur), sh.weight(i, r), r.failed()
	c.operation, c.version, c.failure = LabelID(r.operation), LabelID(r.version), r.failure()
	if sh.identify(in, c, nil, r); !r.hashed() {
		c.trace = TraceID{} // that of the link, not of the span
	}
	return c
}

// virtual counts the call of a span to the peer that it names.
func (sh *shard) virtual(in *Intake, i int32, r *record, connection Connection, at int64) {
	c := in.call()
	c.key = edgeKey{
		client: r.svc, server: r.peer, clientDimensions: r.dimensions, connection: connection, virtual: SideServer,
	}
	c.at, c.client, c.server, c.weight, c.failed = at, int64(r.dur), -1, sh.weight(i, r), r.failed()
	c.operation, c.version, c.failure = LabelID(r.operation), 0, r.failure()
	sh.identify(in, c, r, nil)
	in.settled(OutcomeVirtual)
}

// done ends the search of a called span.
func (sh *shard) done(in *Intake, i int32, o Outcome) {
	if o == OutcomeNested && sh.rec(i).has(markSoft) {
		o = OutcomeLinked
	}
	in.settled(o)
	sh.finish(i)
}

func (sh *shard) finish(i int32) {
	if sh.rec(i).hashed() {
		sh.settle(i)
		return
	}
	sh.drop(i)
}
