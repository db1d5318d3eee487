package servicegraph

const (
	// maxSteps bounds the way up from a called span, and maxOuterSteps that from a call to a call around it. Parents
	// come from outside and may be arranged in circles.
	maxSteps      = 64
	maxOuterSteps = 8
	// sharedMark sets the identity of the second of two spans apart that share one, as Zipkin's may.
	sharedMark = uint64(0x5a5a_0f0f_3c3c_6969)
)

func (g *Graph) settled(o Outcome) { g.stats.Outcomes[o]++ }

// end returns the time at which the part of a call that a record stands for ended.
func (g *Graph) end(r *record) int64 { return r.ended }

// ended returns when a span's part of a call ended, or came in where that was too late.
func (g *Graph) ended(s *Span) int64 {
	if s.End < g.watermark-int64(g.cfg.Lateness) {
		return g.watermark
	}
	return s.End
}

// timeout returns how long a span waits for its counterpart. A failed call is not worth waiting for as long: a callee
// that is gone will never answer.
func (g *Graph) timeout(s *Span) int64 {
	if s.Kind == KindClient && s.Flags&FlagFailed != 0 && s.Peer != 0 {
		return int64(g.cfg.FailedPairTimeout)
	}
	return int64(g.cfg.PairTimeout)
}

// insert takes in one span.
func (g *Graph) insert(b *Batch, s *Span) {
	if s.End < g.openStart {
		g.stats.Late++
	}
	switch {
	case s.ID == 0 || s.Trace == TraceID{}:
		g.settled(OutcomeInvalid)
		return
	case s.Service == 0:
		g.settled(OutcomeNode)
		return
	}
	id, parent := s.ID, s.Parent
	i := g.store.find(s.Trace, id)
	sharer := none
	if i != none && g.store.recs[i].state != stateAbsent {
		other := &g.store.recs[i]
		if !s.Kind.calls() && !s.Kind.called() || other.kind.calls() == s.Kind.calls() || other.kind == KindInternal {
			g.settled(OutcomeDuplicate)
			return
		}
		sharer, id = i, id^sharedMark
		if s.Kind.called() {
			parent = s.ID
		}
		if i = g.store.find(s.Trace, id); i != none && g.store.recs[i].state != stateAbsent {
			g.settled(OutcomeDuplicate)
			return
		}
	}
	if i == none {
		i = g.store.take()
		g.store.recs[i].trace, g.store.recs[i].id = s.Trace, id
		g.store.insert(i)
	}
	r := &g.store.recs[i]
	waiting := r.waitPrev
	r.waitPrev, r.waitNext = none, none
	g.fill(r, s)
	r.parent = parent
	if !s.Kind.calls() && !s.Kind.called() {
		r.state = stateSettled
		g.store.schedule(&g.store.settled, i)
		g.settled(OutcomeInternal)
	} else {
		g.store.addPending(i)
		if s.Kind.called() {
			g.called(i, b, s)
		} else if s.Flags&FlagDatabase != 0 && s.Peer != 0 {
			g.virtual(r, ConnectionDatabase, g.end(r))
			g.store.settle(i)
		}
	}
	for waiting != none {
		w := &g.store.recs[waiting]
		next := w.waitNext
		w.waitOn, w.waitPrev, w.waitNext = none, none, none
		g.walk(waiting, i)
		waiting = next
	}
	if sharer != none && s.Kind.calls() && g.store.recs[sharer].state == statePending {
		g.store.stopWaiting(sharer)
		g.walk(sharer, i)
	}
}

func (g *Graph) fill(r *record, s *Span) {
	r.ended = g.ended(s)
	r.deadline = r.ended + g.timeout(s)
	r.at = r.ended
	r.dur = max(s.End-s.Start, 0)
	r.weight, r.svc, r.peer, r.kind, r.flags = s.Weight, s.Service, s.Peer, s.Kind, s.Flags
	r.dimensions, r.operation, r.version, r.failure = s.Dimensions, s.Operation, s.Version, s.Failure
	g.nodes.touch(s.Service, g.watermark)
	g.nodes.touch(s.Peer, g.watermark)
}

// called looks for the caller of a called span: by its links where a consumer has any, and by its parent.
func (g *Graph) called(i int32, b *Batch, s *Span) {
	parent := g.store.recs[i].parent
	if s.Kind == KindConsumer && s.LinkTo > s.LinkFrom {
		soft := parent != 0
		for _, l := range b.Links[s.LinkFrom:s.LinkTo] {
			g.follow(s, l)
			soft = soft && (l.ID != parent || l.Trace != s.Trace)
		}
		if !soft {
			g.settled(OutcomeLinked)
			g.store.settle(i)
			return
		}
		g.store.recs[i].flags |= flagSoft
	}
	if parent == 0 {
		g.withoutCaller(i, g.store.recs[i].at, OutcomeEntry)
		g.store.settle(i)
		return
	}
	g.search(i, s.Trace, parent)
}

// follow makes a record of its own look for the producer that a link names.
func (g *Graph) follow(s *Span, l Link) {
	g.stats.Links++
	i := g.store.take()
	r := &g.store.recs[i]
	r.trace, r.id = s.Trace, s.ID
	g.fill(r, s)
	r.flags |= flagLink
	g.store.addPending(i)
	g.search(i, l.Trace, l.ID)
}

// search looks for the ancestor of a called span from the given identity on, and waits where that is not known.
func (g *Graph) search(i int32, t TraceID, id uint64) {
	p := g.store.find(t, id)
	if p == none || g.store.recs[p].state == stateAbsent {
		g.await(i, p, t, id)
		return
	}
	g.walk(i, p)
}

func (g *Graph) await(i, p int32, t TraceID, id uint64) {
	if p == none {
		p = g.store.take()
		g.store.recs[p].trace, g.store.recs[p].id = t, id
		g.store.insert(p)
	}
	g.store.wait(i, p)
}

// walk goes up from the known ancestor p of called span i to the span that called it.
func (g *Graph) walk(i, p int32) {
	r := &g.store.recs[i]
	for range maxSteps {
		a := &g.store.recs[p]
		r.at = max(r.at, g.end(a))
		switch {
		case a.kind.calls() && (r.other == 0 || a.svc == r.other):
			g.pair(i, p)
			return
		case a.kind != KindInternal && r.other != 0, a.kind == KindInternal && r.other != 0 && a.svc != r.other:
			g.withoutClient(i)
			return
		case a.kind.called():
			if a.svc == r.svc {
				g.done(i, OutcomeNested)
				return
			}
			r.other = a.svc
			g.withoutClient(i)
			return
		case a.svc != r.svc:
			r.other = a.svc
		}
		if a.parent == 0 {
			break
		}
		next := g.store.find(a.trace, a.parent)
		if next == none || g.store.recs[next].state == stateAbsent {
			g.await(i, next, a.trace, a.parent)
			return
		}
		p = next
	}
	if r.other != 0 {
		g.withoutClient(i)
		return
	}
	g.withoutCaller(i, r.at, OutcomeEntry)
	g.finish(i)
}

// pair counts the call of which p is the calling and i the called side.
func (g *Graph) pair(i, p int32) {
	r, a := &g.store.recs[i], &g.store.recs[p]
	connection := ConnectionDirect
	if r.kind == KindConsumer || a.kind == KindProducer {
		connection = ConnectionMessaging
		// A message that a service receives in one span and processes in another was taken once.
		if a.other == r.svc && (r.flags&FlagReceive != 0) != (a.flags&flagTaken != 0) {
			g.done(i, OutcomeNested)
			return
		}
		if a.flags &^= flagTaken; r.flags&FlagReceive != 0 {
			a.flags |= flagTaken
		}
	}
	a.other = r.svc
	g.count(&call{
		key: edgeKey{
			client: a.svc, server: r.svc, clientDimensions: a.dimensions, serverDimensions: r.dimensions, connection: connection,
		},
		at: max(r.at, g.end(a)), client: a.dur, server: r.dur, weight: max(a.weight, r.weight),
		failed:    (a.flags|r.flags)&FlagFailed != 0,
		operation: LabelID(r.operation), version: LabelID(r.version), failure: failureOf(r, a),
		trace: a.trace, clientSpan: spanOf(a, r), serverSpan: spanOf(r, a),
	})
	if a.state == statePending {
		g.settled(OutcomePaired)
		g.store.settle(p)
	}
	g.done(i, OutcomePaired)
}

// withoutClient counts a call whose caller is known although it has no span for the call.
func (g *Graph) withoutClient(i int32) {
	r := &g.store.recs[i]
	if r.flags&flagSoft != 0 {
		g.done(i, OutcomeLinked)
		return
	}
	connection := ConnectionDirect
	if r.kind == KindConsumer {
		connection = ConnectionMessaging
	}
	g.count(&call{
		key: edgeKey{client: r.other, server: r.svc, serverDimensions: r.dimensions, connection: connection},
		at:  r.at, client: -1, server: r.dur, weight: r.weight, failed: r.flags&FlagFailed != 0,
		operation: LabelID(r.operation), version: LabelID(r.version), failure: LabelID(r.failure),
		trace: r.trace, serverSpan: r.id,
	})
	g.done(i, OutcomePaired)
}

// withoutCaller counts a call whose caller is not known: a message from the place where it was taken, anything else from
// a user. The record stays where it is.
func (g *Graph) withoutCaller(i int32, at int64, o Outcome) {
	r := &g.store.recs[i]
	if r.flags&flagSoft != 0 {
		g.settled(OutcomeLinked)
		return
	}
	if g.cfg.NoVirtual {
		g.settled(o)
		return
	}
	key := edgeKey{server: r.svc, serverDimensions: r.dimensions, connection: ConnectionVirtual, virtual: SideClient}
	if r.kind == KindConsumer && r.peer != 0 {
		key.client, key.connection, o = r.peer, ConnectionMessaging, OutcomeVirtual
	} else if key.client = g.Peer("", g.cfg.User); key.client == 0 {
		g.stats.RefusedCalls++
		g.settled(o)
		return
	}
	g.count(&call{
		key: key, at: at, client: -1, server: r.dur, weight: r.weight, failed: r.flags&FlagFailed != 0,
		operation: LabelID(r.operation), version: LabelID(r.version), failure: LabelID(r.failure),
		trace: r.trace, serverSpan: r.id,
	})
	g.settled(o)
}

// virtual counts the call of a span to the peer that it names.
func (g *Graph) virtual(r *record, connection Connection, at int64) {
	g.count(&call{
		key: edgeKey{
			client: r.svc, server: r.peer, clientDimensions: r.dimensions, connection: connection, virtual: SideServer,
		},
		at: at, client: r.dur, server: -1, weight: r.weight, failed: r.flags&FlagFailed != 0,
		operation: LabelID(r.operation), failure: LabelID(r.failure), trace: r.trace, clientSpan: r.id,
	})
	g.settled(OutcomeVirtual)
}

// failureOf returns the kind of a call's failure as the callee saw it, or else the caller.
func failureOf(callee, caller *record) LabelID {
	if callee.failure != 0 {
		return LabelID(callee.failure)
	}
	return LabelID(caller.failure)
}

// spanOf returns the identity of a call's span; both sides may share one.
func spanOf(r, other *record) uint64 {
	if r.id == other.id^sharedMark && r.trace == other.trace {
		if r.parent == other.id || other.parent == r.id {
			// The called one came second, and names the other as its parent.
			if r.kind.called() {
				return other.id
			}
			return r.id
		}
		if r.kind.called() {
			return r.id
		}
		return other.id
	}
	return r.id
}

// done ends the search of a called span.
func (g *Graph) done(i int32, o Outcome) {
	if o == OutcomeNested && g.store.recs[i].flags&flagSoft != 0 {
		o = OutcomeLinked
	}
	g.settled(o)
	g.finish(i)
}

func (g *Graph) finish(i int32) {
	if g.store.recs[i].flags&flagLink == 0 {
		g.store.settle(i)
		return
	}
	g.store.removePending(i)
	g.store.drop(i)
}

// expire settles the records whose time is over. Of those that are due together, the calls within other calls are seen
// before any leaves.
func (g *Graph) expire(now int64) {
	pending, settled := &g.store.pending, &g.store.settled
	for pending.n > 0 || settled.n > 0 {
		t := pending.first
		if pending.n == 0 || settled.n > 0 && settled.first < t {
			t = settled.first
		}
		if t*tick > now {
			return
		}
		slot := pending.slot(t)
		for i := settled.heads[slot]; i != none; i = g.store.recs[i].listNext {
			if r := &g.store.recs[i]; r.kind.calls() && *g.store.callsPending(r.trace) > 0 {
				g.cover(i)
			}
		}
		for i := pending.heads[slot]; i != none; i = pending.heads[slot] {
			g.timeOut(i)
		}
		for i := settled.heads[slot]; i != none; i = settled.heads[slot] {
			g.forget(i)
		}
		pending.first, settled.first = max(pending.first, t+1), max(settled.first, t+1)
	}
}

// cover marks the call within which another was made, if there is one, and returns it.
func (g *Graph) cover(i int32) *record {
	r := &g.store.recs[i]
	trace, parent := r.trace, r.parent
	for range maxOuterSteps {
		if parent == 0 {
			return nil
		}
		p := g.store.find(trace, parent)
		if p == none {
			return nil
		}
		a := &g.store.recs[p]
		if a.state == stateAbsent || a.svc != r.svc || a.kind.called() {
			return nil
		}
		if a.kind.calls() {
			a.flags |= flagCovered
			return a
		}
		parent = a.parent
	}
	return nil
}

// timeOut settles a span that has waited long enough, and drops it.
func (g *Graph) timeOut(i int32) {
	r := &g.store.recs[i]
	at := min(r.deadline, g.watermark)
	if r.kind.calls() {
		g.withoutServer(i, at)
		if full := r.ended + int64(g.cfg.PairTimeout); full > r.deadline {
			// Kept for as long as others, so that its callee is not an orphan if it comes after all.
			g.store.removePending(i)
			r.state, r.deadline = stateSettled, full
			g.store.schedule(&g.store.settled, i)
			return
		}
	} else {
		g.store.stopWaiting(i)
		if r.other != 0 {
			// The caller is known, only not whether it has a span for the call.
			r.at = at
			g.withoutClient(i)
			if r.flags&flagLink != 0 {
				return
			}
			g.forget(i)
			return
		}
		g.withoutCaller(i, at, OutcomeOrphan)
	}
	g.store.removePending(i)
	g.store.drop(i)
}

// withoutServer counts a call that nothing answered, if it has a name for the other side.
func (g *Graph) withoutServer(i int32, at int64) {
	r := &g.store.recs[i]
	switch {
	case r.flags&flagCovered != 0:
		g.settled(OutcomeNested)
	case r.peer == 0, g.cfg.NoVirtual:
		g.settled(OutcomeUnmatched)
	default:
		if outer := g.cover(i); outer != nil && outer.flags&FlagDatabase != 0 && outer.peer != 0 {
			g.settled(OutcomeNested)
			return
		}
		connection := ConnectionVirtual
		if r.kind == KindProducer || r.flags&FlagMessaging != 0 {
			connection = ConnectionMessaging
		}
		g.virtual(r, connection, at)
	}
}

// forget drops a settled record.
func (g *Graph) forget(i int32) {
	g.store.unschedule(&g.store.settled, i)
	g.store.drop(i)
}

// evict keeps the store within its bound. The settled leave first: they were counted.
func (g *Graph) evict() {
	for g.store.held > g.cfg.MaxPending {
		if i := g.store.oldest(&g.store.settled); i != none {
			g.forget(i)
			continue
		}
		i := g.store.oldest(&g.store.pending)
		g.store.stopWaiting(i)
		g.store.removePending(i)
		g.store.drop(i)
		g.settled(OutcomeEvicted)
	}
}
