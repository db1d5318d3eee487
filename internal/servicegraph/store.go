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
	// deadline is when it leaves; at is the latest end of the spans that a call is made of so far.
	deadline, at int64
	dur          int64
	weight       float32
	svc, peer    NodeID
	// other is, of a called span, the calling service as far as it is known, and, of a calling one, the service that was
	// paired with it last.
	other NodeID
	// hashNext chains the records of one hash bucket, or the free ones.
	hashNext int32
	// listPrev and listNext chain the records of a wheel's slot.
	listPrev, listNext int32
	// waitPrev and waitNext chain the records that wait for waitOn; of an absent record they are the first and last
	// that wait for it.
	waitPrev, waitNext, waitOn int32
	kind                       Kind
	flags                      Flags
	state                      state
}

// store is the arena of records, with a hash over their identities.
type store struct {
	recs    []record
	free    int32
	buckets []int32
	seed    uint64
	held    int
	hashed  int
	// pending and settled order the records by deadline.
	pending, settled wheel
}

func newStore(cfg *Config) store {
	s := store{free: none, seed: cfg.Seed, buckets: make([]int32, 1024)}
	for i := range s.buckets {
		s.buckets[i] = none
	}
	slots := 1
	for int64(slots) < int64(cfg.PairTimeout+cfg.Lateness)/tick+8 {
		slots <<= 1
	}
	s.pending.init(slots)
	s.settled.init(slots)
	return s
}

func (s *store) bucket(t TraceID, id uint64) int32 {
	hi, lo := bits.Mul64(t.Lo^s.seed^bits.RotateLeft64(t.Hi, 31), id^0x9e3779b97f4a7c15^bits.RotateLeft64(s.seed, 17))
	return int32((hi ^ lo) & uint64(len(s.buckets)-1))
}

func (s *store) find(t TraceID, id uint64) int32 {
	for i := s.buckets[s.bucket(t, id)]; i != none; i = s.recs[i].hashNext {
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
		s.free = s.recs[i].hashNext
	} else {
		i = int32(len(s.recs))
		s.recs = append(s.recs, record{})
	}
	s.recs[i] = record{
		hashNext: none, listPrev: none, listNext: none, waitPrev: none, waitNext: none, waitOn: none,
	}
	s.held++
	return i
}

// insert makes a record known by its identity.
func (s *store) insert(i int32) {
	if s.hashed >= len(s.buckets) {
		s.grow()
	}
	r := &s.recs[i]
	b := s.bucket(r.trace, r.id)
	r.hashNext = s.buckets[b]
	s.buckets[b] = i
	s.hashed++
}

func (s *store) grow() {
	old := s.buckets
	s.buckets = make([]int32, 2*len(old))
	for i := range s.buckets {
		s.buckets[i] = none
	}
	for _, i := range old {
		for i != none {
			r := &s.recs[i]
			next := r.hashNext
			b := s.bucket(r.trace, r.id)
			r.hashNext = s.buckets[b]
			s.buckets[b] = i
			i = next
		}
	}
}

// drop frees a record that is in no list any more, but, unless it stands for a link, in the hash.
func (s *store) drop(i int32) {
	r := &s.recs[i]
	if r.flags&flagLink == 0 {
		b := s.bucket(r.trace, r.id)
		for at := &s.buckets[b]; *at != none; at = &s.recs[*at].hashNext {
			if *at == i {
				*at = r.hashNext
				break
			}
		}
		s.hashed--
	}
	r.hashNext = s.free
	s.free = i
	s.held--
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

// settle moves a pending record to the settled ones.
func (s *store) settle(i int32) {
	s.unschedule(&s.pending, i)
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
