package servicegraph

import (
	"math/bits"
	"time"
)

// none is the index of no record.
const none int32 = -1

// tick is the resolution at which records time out.
const tick = int64(250 * time.Millisecond)

// state is where a record is in its life.
type state uint8

const (
	// stateAbsent: only named as a parent by the spans that wait for it.
	stateAbsent state = iota
	// statePending: not settled yet.
	statePending
	// stateSettled: kept to recognise duplicates and to be found by further callees.
	stateSettled
)

// Flags of a record, above those of spans.
const (
	// flagLink: stands for a link of a consumer and not for a span.
	flagLink Flags = 1 << (iota + 4)
	// flagSoft: gives an edge only when it finds a calling span, since links were followed too.
	flagSoft
	// flagCovered: a call within this call stands for it.
	flagCovered
	// flagTaken: a receive span of service other was paired with this producer.
	flagTaken
)

// record is a span in the store.
type record struct {
	trace      TraceID
	id, parent uint64
	// ended is when its part of the call ended.
	ended int64
	// deadline is when it leaves; at is the latest end of the spans that a call is made of so far.
	deadline, at int64
	dur          int64
	weight       float32
	svc, peer    NodeID
	// other is, of a called span, the calling service as far as it is known, and, of a calling one, the service that was
	// paired with it last.
	other NodeID
	// nextFree chains the free records.
	nextFree int32
	// listPrev and listNext chain the records of a wheel's slot.
	listPrev, listNext int32
	// waitPrev and waitNext chain the records that wait for waitOn; of an absent record they are the first and last
	// that wait for it.
	waitPrev, waitNext, waitOn int32
	// dimensions, operation, version and failure are the span's.
	dimensions         LabelID
	operation, version uint16
	failure            uint8
	kind               Kind
	flags              Flags
	state              state
}

// store is the arena of records, with a hash over their identities.
type store struct {
	recs []record
	free int32
	// table is a hash table with linear probing. A cell is 0 or has half of the hash above the record's index + 1, so that
	// most cells are told apart, and moved, without a look at their records, which are rarely in the cache.
	table  []uint64
	seed   uint64
	held   int
	hashed int
	// calling counts the pending calls by a part of their trace's hash, to tell that a trace has none.
	calling [1 << 15]uint32
	// pending and settled order the records by deadline.
	pending, settled wheel
}

func newStore(cfg *Config) *store {
	s := &store{free: none, seed: cfg.Seed, table: make([]uint64, 1024)}
	slots := 1
	for int64(slots) < int64(cfg.PairTimeout+cfg.Lateness)/tick+8 {
		slots <<= 1
	}
	s.pending.init(slots)
	s.settled.init(slots)
	return s
}

// hash returns 32 bits, of which the lowest choose a record's first cell.
func (s *store) hash(t TraceID, id uint64) uint32 {
	hi, lo := bits.Mul64(t.Lo^s.seed^bits.RotateLeft64(t.Hi, 31), id^0x9e3779b97f4a7c15^bits.RotateLeft64(s.seed, 17))
	return uint32(hi ^ lo ^ (hi^lo)>>32)
}

func (s *store) find(t TraceID, id uint64) int32 {
	h := s.hash(t, id)
	mask := uint32(len(s.table) - 1)
	for at := h & mask; s.table[at] != 0; at = (at + 1) & mask {
		if uint32(s.table[at]>>32) != h {
			continue
		}
		i := int32(uint32(s.table[at])) - 1
		if r := &s.recs[i]; r.id == id && r.trace == t {
			return i
		}
	}
	return none
}

// take returns a record that is in no list.
func (s *store) take() int32 {
	i := s.free
	if i != none {
		s.free = s.recs[i].nextFree
	} else {
		i = int32(len(s.recs))
		s.recs = append(s.recs, record{})
	}
	s.recs[i] = record{
		nextFree: none, listPrev: none, listNext: none, waitPrev: none, waitNext: none, waitOn: none,
	}
	s.held++
	return i
}

// insert makes a record known by its identity.
func (s *store) insert(i int32) {
	if 3*s.hashed >= 2*len(s.table) {
		old := s.table
		s.table = make([]uint64, 2*len(old))
		for _, cell := range old {
			if cell != 0 {
				s.put(cell)
			}
		}
	}
	r := &s.recs[i]
	s.put(uint64(s.hash(r.trace, r.id))<<32 | uint64(i+1))
	s.hashed++
}

func (s *store) put(cell uint64) {
	mask := uint32(len(s.table) - 1)
	at := uint32(cell>>32) & mask
	for s.table[at] != 0 {
		at = (at + 1) & mask
	}
	s.table[at] = cell
}

// remove takes record i out of the table and closes the gap.
func (s *store) remove(i int32) {
	r := &s.recs[i]
	mask := uint32(len(s.table) - 1)
	gap := s.hash(r.trace, r.id) & mask
	for int32(uint32(s.table[gap])) != i+1 {
		gap = (gap + 1) & mask
	}
	for at := (gap + 1) & mask; s.table[at] != 0; at = (at + 1) & mask {
		// A cell may move back unless its first choice lies behind the gap.
		if first := uint32(s.table[at]>>32) & mask; (at-first)&mask >= (at-gap)&mask {
			s.table[gap] = s.table[at]
			gap = at
		}
	}
	s.table[gap] = 0
	s.hashed--
}

// drop frees a record that is in no list any more, but, unless it stands for a link, in the table.
func (s *store) drop(i int32) {
	if s.recs[i].flags&flagLink == 0 {
		s.remove(i)
	}
	s.recs[i].nextFree = s.free
	s.free = i
	s.held--
}

// callsPending returns the count of pending calls among which those of a trace are counted.
func (s *store) callsPending(t TraceID) *uint32 {
	return &s.calling[s.hash(t, 0)&uint32(len(s.calling)-1)]
}

// wait makes record i wait for the absent record p.
func (s *store) wait(i, p int32) {
	r, absent := &s.recs[i], &s.recs[p]
	r.waitOn, r.waitNext, r.waitPrev = p, none, absent.waitNext
	if absent.waitNext == none {
		absent.waitPrev = i
	} else {
		s.recs[absent.waitNext].waitNext = i
	}
	absent.waitNext = i
}

// stopWaiting takes record i off the list on which it waits. An absent record for which nothing waits is dropped.
func (s *store) stopWaiting(i int32) {
	r := &s.recs[i]
	p := r.waitOn
	if p == none {
		return
	}
	absent := &s.recs[p]
	if r.waitPrev == none {
		absent.waitPrev = r.waitNext
	} else {
		s.recs[r.waitPrev].waitNext = r.waitNext
	}
	if r.waitNext == none {
		absent.waitNext = r.waitPrev
	} else {
		s.recs[r.waitNext].waitPrev = r.waitPrev
	}
	r.waitOn, r.waitPrev, r.waitNext = none, none, none
	if absent.waitPrev == none {
		s.drop(p)
	}
}

// wheel orders records by deadline: slot d/tick modulo the number of slots, which span more time than the deadlines of
// the records at any moment, so that the records of a slot are due together.
type wheel struct {
	heads, tails []int32
	n            int
	// first is a tick before which no record's deadline lies.
	first int64
}

func (w *wheel) init(slots int) {
	w.heads, w.tails = make([]int32, slots), make([]int32, slots)
	for i := range slots {
		w.heads[i], w.tails[i] = none, none
	}
}

// due returns the tick at which a deadline is over.
func due(deadline int64) int64 { return (deadline + tick - 1) / tick }

func (w *wheel) slot(t int64) int { return int(uint64(t) & uint64(len(w.heads)-1)) }

func (s *store) schedule(w *wheel, i int32) {
	r := &s.recs[i]
	t := due(r.deadline)
	at := w.slot(t)
	r.listPrev, r.listNext = w.tails[at], none
	if w.tails[at] == none {
		w.heads[at] = i
	} else {
		s.recs[w.tails[at]].listNext = i
	}
	w.tails[at] = i
	if w.n == 0 || t < w.first {
		w.first = t
	}
	w.n++
}

func (s *store) unschedule(w *wheel, i int32) {
	r := &s.recs[i]
	at := w.slot(due(r.deadline))
	if r.listPrev == none {
		w.heads[at] = r.listNext
	} else {
		s.recs[r.listPrev].listNext = r.listNext
	}
	if r.listNext == none {
		w.tails[at] = r.listPrev
	} else {
		s.recs[r.listNext].listPrev = r.listPrev
	}
	r.listPrev, r.listNext = none, none
	w.n--
}

// addPending and removePending put a record on the list of pending ones, and take it off.
func (s *store) addPending(i int32) {
	r := &s.recs[i]
	r.state = statePending
	if r.kind.calls() {
		*s.callsPending(r.trace)++
	}
	s.schedule(&s.pending, i)
}

func (s *store) removePending(i int32) {
	if r := &s.recs[i]; r.kind.calls() {
		*s.callsPending(r.trace)--
	}
	s.unschedule(&s.pending, i)
}

// settle moves a pending record to the settled ones.
func (s *store) settle(i int32) {
	s.removePending(i)
	s.recs[i].state = stateSettled
	s.schedule(&s.settled, i)
}

// oldest returns a record of the earliest deadline, or none.
func (s *store) oldest(w *wheel) int32 {
	if w.n == 0 {
		return none
	}
	for w.heads[w.slot(w.first)] == none {
		w.first++
	}
	return w.heads[w.slot(w.first)]
}
