package servicegraph

import "time"

const (
	// none is the index of no record and of no page.
	none int32 = -1
	// tick is the resolution at which records time out.
	tick = int64(250 * time.Millisecond)
	// Records come in pages, which belong to the records that are due together, and pages in slabs.
	pageBits, slabBits = 6, 10
	pageSize           = 1 << pageBits
	slabSize           = 1 << slabBits
	// A slot of more than fewRuns runs lists them while they are of shortRun records or more on average.
	fewRuns, shortRun = 64, 4
)

// store holds the records of a shard, with an index of their keys. The records due in one tick fill pages of their own, so
// that they leave together and in the order of their addresses, and no list must be kept up.
type store struct {
	slabs []*[slabSize]record
	// weights are those of the records that are marked to have one.
	weights []*[slabSize]float32
	// pageNext is the page after each one of a slot, or among the free ones; pageSlot is the slot of a page in use.
	pageNext, pageSlot []int32
	freePage           int32
	index              index
	slots              []slot
	// first is the earliest tick that is not over.
	first int64
	// held counts the records, pending those of them that are, and pendingCalls the calls among these.
	held, pending, pendingCalls int
	// calling counts the pending calls by a part of their trace's hash, to tell that a trace has none.
	calling [1 << 12]uint32
	// near is the watermark, roughly: all that is held ended within a day of it.
	near int64
}

// slot has the records that are due in one tick.
type slot struct {
	// head and tail are the first and last of its pages.
	head, tail int32
	// from is the first record of the first page that was not taken out, to the first place of the last page that is free.
	from, to int32
	// live counts its records, settled those of them that are.
	live, settled int32
	number        int32
	// taken counts the records that it was given, and runs tells in their order to which groups these belong, unless it is
	// unlisted.
	taken    int32
	runs     []groupRun
	unlisted bool
}

// groupRun is a number of records in a row that belong to one group.
type groupRun struct {
	group uint32
	n     int32
}

func (st *store) init(cfg *Config) {
	slots := 1
	for int64(slots) < int64(cfg.PairTimeout+cfg.Lateness)/tick+8 {
		slots <<= 1
	}
	st.slots = make([]slot, slots)
	for i := range st.slots {
		st.slots[i] = slot{head: none, tail: none, number: int32(i)}
	}
	st.freePage = none
	st.index = newIndex(cfg.MaxExemplars > 0)
}

func (st *store) rec(i int32) *record { return &st.slabs[uint32(i)>>slabBits][i&(slabSize-1)] }

// weight returns the number of spans that a record's stands for.
func (st *store) weight(i int32, r *record) float32 {
	if !r.has(markWeighted) {
		return 1
	}
	return st.weights[uint32(i)>>slabBits][i&(slabSize-1)]
}

func (st *store) setWeight(i int32, r *record, w float32) {
	if w == 1 {
		return
	}
	for len(st.weights) < len(st.slabs) {
		st.weights = append(st.weights, nil)
	}
	slab := &st.weights[uint32(i)>>slabBits]
	if *slab == nil {
		*slab = new([slabSize]float32)
	}
	r.mark(markWeighted)
	(*slab)[i&(slabSize-1)] = w
}

// lookup returns the record of a key, or none.
func (st *store) lookup(group uint32, key uint64) int32 {
	cells := st.index.block(group)
	if at, _ := search(st, cells, key); at >= 0 && !waiting(cells[at]) {
		return indexOf(cells[at])
	}
	return none
}

// slotRange is a slot with the times at which its records are due: later than after, and no later than until.
type slotRange struct {
	slot         *slot
	after, until int64
}

// slotAt returns the slot of what is due at the given time.
func (st *store) slotAt(deadline int64) slotRange {
	t := (deadline + tick - 1) / tick
	in := min(max(t, st.first), st.first+int64(len(st.slots))-1)
	return slotRange{slot: &st.slots[uint64(in)&uint64(len(st.slots)-1)], after: (t - 1) * tick, until: t * tick}
}

// take returns a place for a record of a group that is due at the given time. It is in no list and not in the index.
func (st *store) take(deadline int64, group uint32) int32 {
	return st.takeFrom(st.slotAt(deadline).slot, group)
}

// takeFrom is take, given the slot.
func (st *store) takeFrom(s *slot, group uint32) int32 {
	if last := len(s.runs) - 1; last >= 0 && s.runs[last].group == group {
		s.runs[last].n++
	} else if !s.unlisted {
		s.list(group)
	}
	s.taken++
	if s.tail == none || s.to == pageSize {
		st.addPage(s)
	}
	i := s.tail<<pageBits + s.to
	s.to++
	s.live++
	st.held++
	return i
}

// list begins a run of records, or gives up listing them when the runs are so short that the list takes more room than it is
// worth.
func (s *slot) list(group uint32) {
	if n := int32(len(s.runs)); n >= fewRuns && s.taken < shortRun*n {
		s.runs, s.unlisted = s.runs[:0], true
		return
	}
	s.runs = append(s.runs, groupRun{group: group, n: 1})
}

// addPage gives a slot another page.
func (st *store) addPage(s *slot) {
	p := st.newPage()
	st.pageNext[p], st.pageSlot[p] = none, s.number
	if s.tail == none {
		s.head, s.from = p, 0
	} else {
		st.pageNext[s.tail] = p
	}
	s.tail, s.to = p, 0
}

// page returns the records of a page.
func (st *store) page(p int32) []record {
	return st.slabs[p>>(slabBits-pageBits)][p<<pageBits&(slabSize-1):][:pageSize]
}

// newPage returns a page that is not in use.
func (st *store) newPage() int32 {
	if p := st.freePage; p != none {
		st.freePage = st.pageNext[p]
		return p
	}
	p := int32(len(st.pageNext))
	if int(p)<<pageBits == len(st.slabs)<<slabBits {
		st.slabs = append(st.slabs, new([slabSize]record))
	}
	st.pageNext, st.pageSlot = append(st.pageNext, none), append(st.pageSlot, 0)
	return p
}

func (st *store) slotOf(i int32) *slot { return &st.slots[st.pageSlot[i>>pageBits]] }

// callsPending returns the count of pending calls among which those of a trace are counted.
func (st *store) callsPending(r *record) *uint32 {
	return &st.calling[r.group&uint32(len(st.calling)-1)]
}

// begin makes a new record a pending one.
func (st *store) begin(r *record) {
	r.setState(statePending)
	st.pending++
	if r.kind().calls() {
		st.pendingCalls++
		*st.callsPending(r)++
	}
}

// end makes a pending record none.
func (st *store) end(r *record) {
	st.pending--
	if r.kind().calls() {
		st.pendingCalls--
		*st.callsPending(r)--
	}
}

// settle makes a pending record a settled one.
func (st *store) settle(i int32) {
	r := st.rec(i)
	st.end(r)
	r.setState(stateSettled)
	st.slotOf(i).settled++
}

// drop forgets a record that is in no list, pending or settled. Its place is free when the slot is over.
func (st *store) drop(i int32) {
	r, s := st.rec(i), st.slotOf(i)
	if r.state() == statePending {
		st.end(r)
	} else {
		s.settled--
	}
	s.live--
	st.held--
	if r.hashed() {
		st.unlink(r, i)
	}
	r.setState(stateGone)
}

// unlink takes record i out of the index.
func (st *store) unlink(r *record, i int32) {
	cells := st.index.block(r.group)
	st.index.cut(r.group, cells, locate(cells, cellOf(r.key, i, false)))
}

// wait makes record i wait for a key that is not known.
func (st *store) wait(i int32, key uint64) {
	r := st.rec(i)
	r.parent, r.next = key, none
	cells := st.index.block(r.group)
	at, free := search(st, cells, key)
	r.mark(markWaits)
	if at < 0 {
		r.prev = i
		st.index.addAt(r.group, cells, free, cellOf(key, i, true))
		return
	}
	first := st.rec(indexOf(cells[at]))
	r.prev = first.prev
	st.rec(first.prev).next = i
	first.prev = i
}

// stopWaiting takes record i off the list on which it waits.
func (st *store) stopWaiting(i int32) {
	r := st.rec(i)
	if !r.waits() {
		return
	}
	cells := st.index.block(r.group)
	at, _ := search(st, cells, r.parent)
	r.unmark(markWaits)
	head := indexOf(cells[at])
	switch {
	case head != i:
		st.rec(r.prev).next = r.next
		if r.next == none {
			st.rec(head).prev = r.prev
		} else {
			st.rec(r.next).prev = r.prev
		}
	case r.next == none:
		st.index.cut(r.group, cells, at)
	default:
		st.rec(r.next).prev = r.prev
		cells[at] = cellOf(r.parent, r.next, true)
	}
}

// move puts a record where those of another deadline are, and returns its new place.
func (st *store) move(i int32, deadline int64) int32 {
	j := st.take(deadline, st.rec(i).group)
	r, to := st.rec(i), st.rec(j)
	*to = *r
	st.setWeight(j, to, st.weight(i, r))
	cells := st.index.block(r.group)
	if r.hashed() {
		cells[locate(cells, cellOf(r.key, i, false))] = cellOf(r.key, j, false)
	}
	if r.waits() {
		at, _ := search(st, cells, r.parent)
		if head := indexOf(cells[at]); head == i {
			cells[at] = cellOf(r.parent, j, true)
			if r.prev == i {
				to.prev = j
			}
		} else {
			st.rec(r.prev).next = j
			if r.next == none {
				st.rec(head).prev = j
			}
		}
		if r.next != none {
			st.rec(r.next).prev = j
		}
	}
	from := st.slotOf(i)
	from.live--
	st.held--
	if r.state() == stateSettled {
		from.settled--
		st.slotOf(j).settled++
	}
	r.setState(stateGone)
	return j
}

// each calls f for the records of a slot.
func (st *store) each(s *slot, f func(i int32, r *record)) {
	from := s.from
	for p := s.head; p != none; p = st.pageNext[p] {
		to := int32(pageSize)
		if p == s.tail {
			to = s.to
		}
		for k := from; k < to; k++ {
			i := p<<pageBits + k
			if r := st.rec(i); r.state() != stateGone {
				f(i, r)
			}
		}
		from = 0
	}
}

// release frees the pages of a slot without records.
func (st *store) release(s *slot) {
	for p := s.head; p != none; {
		next := st.pageNext[p]
		st.pageNext[p] = st.freePage
		st.freePage = p
		p = next
	}
	*s = slot{head: none, tail: none, number: s.number, runs: s.runs[:0]}
}

// pop takes the oldest record of a slot out of its place, which it leaves to others, and returns it. The record may be gone
// already.
func (st *store) pop(s *slot) int32 {
	i := s.head<<pageBits + s.from
	s.from++
	return i
}

// trim frees the first page of a slot when everything was taken out of it.
func (st *store) trim(s *slot) {
	switch {
	case s.head == s.tail && s.from == s.to:
		st.release(s)
	case s.from == pageSize:
		p := s.head
		s.head, s.from = st.pageNext[p], 0
		st.pageNext[p] = st.freePage
		st.freePage = p
	}
}
