package servicegraph

import "math"

const (
	// maxSteps bounds the way up from a called span, and maxOuterSteps that from a call to a call around it. Parents
	// come from outside and may be arranged in circles.
	maxSteps      = 64
	maxOuterSteps = 8
)

// timeout returns how long a span waits for its counterpart. A failed call is not worth waiting for as long: a callee
// that is gone will never answer.
func (c *Config) timeout(s *Span) int64 {
	return c.wait(s.Kind, s.Flags&FlagFailed != 0, s.Peer)
}

func (c *Config) wait(k Kind, failed bool, peer NodeID) int64 {
	if failed && k == KindClient && peer != 0 {
		return int64(c.FailedPairTimeout)
	}
	return int64(c.PairTimeout)
}

// expire settles the records whose time is over and drops them. Of those that are due together, the calls within other
// calls are seen before any leaves. The caller holds mu.
func (sh *shard) expire(in *Intake, now int64) {
	sh.near = max(sh.near, in.watermark)
	for ; sh.held > 0 && sh.first <= now/tick; sh.first++ {
		s := &sh.slots[uint64(sh.first)&uint64(len(sh.slots)-1)]
		if s.live > s.settled || sh.pendingCalls > 0 {
			sh.settleSlot(in, s)
		}
		sh.dropSlot(s)
	}
	if now == math.MaxInt64 {
		now = in.watermark
	}
	if sh.held == 0 {
		sh.first = now/tick + 1
	}
}

// settleSlot settles what waits in a slot.
func (sh *shard) settleSlot(in *Intake, s *slot) {
	if sh.pendingCalls > 0 {
		sh.each(s, func(_ int32, r *record) {
			if r.state() == stateSettled && r.kind().calls() && *sh.callsPending(r) > 0 {
				sh.cover(r)
			}
		})
	}
	if s.live > s.settled {
		sh.each(s, func(i int32, r *record) {
			if r.state() == statePending {
				sh.timeOut(in, i, r)
			}
		})
	}
}

// dropSlot forgets all records of a slot, of which none waits, and frees their pages.
func (sh *shard) dropSlot(s *slot) {
	switch {
	case s.live == 0:
	case s.live == s.taken && !s.unlisted:
		sh.dropRuns(s)
	default: // some left before, or nobody knows their groups
		sh.each(s, func(i int32, r *record) {
			sh.unlink(r, i)
			sh.held--
		})
	}
	sh.release(s)
}

// askedRuns is the number of runs whose groups are on their way into the caches at a time.
const askedRuns = 8

// dropRuns takes all records of a slot out of the index, where possible with their groups and without a look at them: they were
// written long ago.
func (sh *shard) dropRuns(s *slot) {
	left := false
	for from := 0; from < len(s.runs); from += askedRuns {
		runs := s.runs[from:min(from+askedRuns, len(s.runs))]
		for k := range runs {
			sh.index.ask(runs[k].group)
		}
		for k := range runs {
			sh.index.askBlock(runs[k].group)
		}
		for k := range runs {
			if run := &runs[k]; sh.index.dropAll(run.group, int(run.n)) {
				run.n = -run.n
			} else {
				left = true
			}
		}
	}
	if left {
		sh.unlinkRuns(s)
	}
	sh.held -= int(s.live)
}

// unlinkRuns takes the records of those runs of a slot out of the index whose number is not negative.
func (sh *shard) unlinkRuns(s *slot) {
	p, at := s.head, int32(0)
	for _, run := range s.runs {
		dropped := run.n < 0
		for n := max(run.n, -run.n); n > 0; {
			if at == pageSize {
				p, at = sh.pageNext[p], 0
			}
			here := min(n, pageSize-at)
			for k := at; !dropped && k < at+here; k++ {
				sh.unlink(&sh.page(p)[k], p<<pageBits+k)
			}
			n, at = n-here, at+here
		}
	}
}

// cover marks the call within which another was made, if there is one, and returns it.
func (sh *shard) cover(r *record) *record {
	parent := r.parent
	for range maxOuterSteps {
		if parent == 0 {
			return nil
		}
		p := sh.lookup(r.group, parent)
		if p == none {
			return nil
		}
		a := sh.rec(p)
		if a.svc != r.svc || a.kind().called() {
			return nil
		}
		if a.kind().calls() {
			a.mark(markCovered)
			return a
		}
		parent = a.parent
	}
	return nil
}

// timeOut settles a span that has waited long enough.
func (sh *shard) timeOut(in *Intake, i int32, r *record) {
	if in.trace = sh.index.traceOfGroup(r.group); in.trace != (TraceID{}) {
		in.hash = sh.seed.trace(in.trace)
	}
	ended := r.ended(sh.near)
	wait := sh.cfg.wait(r.kind(), r.failed(), r.peer)
	at := min(ended+wait, in.watermark)
	switch {
	case r.kind().calls():
		sh.withoutServer(in, i, r, at)
		sh.settle(i)
		if full := int64(sh.cfg.PairTimeout); full > wait {
			// Kept for as long as others, so that its callee is not an orphan if it comes after all.
			sh.move(i, ended+full)
		}
	case r.other != 0:
		// The caller is known, only not whether it has a span for the call.
		sh.stopWaiting(i)
		sh.withoutClient(in, i, at)
	default:
		sh.stopWaiting(i)
		sh.withoutCaller(in, i, at, OutcomeOrphan)
		sh.finish(i)
	}
}

// withoutServer counts a call that nothing answered, if it has a name for the other side.
func (sh *shard) withoutServer(in *Intake, i int32, r *record, at int64) {
	switch {
	case r.has(markCovered):
		in.settled(OutcomeNested)
	case r.peer == 0, sh.cfg.NoVirtual:
		in.settled(OutcomeUnmatched)
	default:
		if outer := sh.cover(r); outer != nil && outer.database() {
			in.settled(OutcomeNested)
			return
		}
		connection := ConnectionVirtual
		if r.kind() == KindProducer || r.has(marks(FlagMessaging)) {
			connection = ConnectionMessaging
		}
		sh.virtual(in, i, r, connection, at)
	}
}

// evict drops n records or all that there are. The settled leave first: they were counted. The caller holds mu.
func (sh *shard) evict(in *Intake, n int) {
	for t := sh.first; n > 0 && sh.held > sh.pending; t++ {
		s := &sh.slots[uint64(t)&uint64(len(sh.slots)-1)]
		for left := s.live; left > 0 && n > 0 && s.settled > 0; {
			i := sh.pop(s)
			switch r := sh.rec(i); r.state() {
			case stateSettled:
				sh.drop(i)
				n--
				left--
			case statePending:
				sh.move(i, r.ended(sh.near)+sh.cfg.wait(r.kind(), r.failed(), r.peer))
				left--
			default:
			}
			sh.trim(s)
		}
	}
	for t := sh.first; n > 0 && sh.held > 0; t++ {
		s := &sh.slots[uint64(t)&uint64(len(sh.slots)-1)]
		for n > 0 && s.live > 0 {
			i := sh.pop(s)
			if sh.rec(i).state() == statePending {
				sh.stopWaiting(i)
				sh.drop(i)
				in.settled(OutcomeEvicted)
				n--
			}
			sh.trim(s)
		}
	}
}
