package servicegraph

const (
	// maxFresh is the greatest number of spans that are taken in as those of a new trace, freshCells the size of the table by
	// which they find each other, which is several times as large.
	maxFresh   = 64
	freshCells = 4 * maxFresh
	// noSpan stands for no span of a fresh trace.
	noSpan = uint8(maxFresh)
)

// fresh are the spans of a trace of which nothing is known yet. As they come together they find each other here, in little
// memory, and calls of which both sides are there never wait in the store.
type fresh struct {
	keys [maxFresh]uint64
	// parents are the places of the parents of called spans.
	parents [maxFresh]uint8
	// answered is set for callers of whose callees one is there, awaited for those of which one comes before them.
	answered, awaited [maxFresh]bool
	at                [maxFresh]int32
	// cells lead from the keys to their places + 1.
	cells [freshCells]uint8
}

// find returns the place of a key, or noSpan and the cell that it is to have.
func (f *fresh) find(key uint64) (place, cell uint8) {
	for cell = uint8(key >> 56); ; cell++ {
		if place = f.cells[cell] - 1; place == 255 {
			return noSpan, cell
		}
		if f.keys[place&(maxFresh-1)] == key {
			return place, cell
		}
	}
}

// read notes the spans. It says no to whatever is not simple: a span that comes twice or shares its identity, follows links,
// or is called by something else than a call.
func (f *fresh) read(items []item) bool {
	clear(f.cells[:])
	for k := range items {
		it := &items[k]
		if it.link != nil || it.span.LinkTo > it.span.LinkFrom {
			return false
		}
		place, cell := f.find(it.span.key)
		if place != noSpan {
			return false
		}
		f.keys[k], f.cells[cell] = it.span.key, uint8(k+1)
		f.answered[k], f.awaited[k] = false, false
	}
	for k := range items {
		s := items[k].span
		f.parents[k] = noSpan
		if !s.Kind.called() || s.parent == 0 {
			continue
		}
		p, _ := f.find(s.parent)
		if p == noSpan {
			continue
		}
		caller := items[p].span
		if !caller.Kind.calls() {
			return false
		}
		f.parents[k] = p
		if s.Kind == KindServer && caller.Kind == KindClient && (caller.Flags&FlagDatabase == 0 || caller.Peer == 0) {
			f.answered[p] = true
		}
		if int(p) > k {
			f.awaited[p] = true
		}
	}
	return true
}

// takeFresh brings in the spans of a trace of whose group nothing is known, with the same results as insert, if they are simple.
func (sh *shard) takeFresh(in *Intake, items []item) bool {
	f := &sh.fresh
	if len(items) > maxFresh || !f.read(items) {
		return false
	}
	group := items[0].group()
	cells := sh.index.create(group)
	waits := false
	var near slotRange
	for k := range items {
		s := items[k].span
		in.place = items[k].place
		deadline := s.ended + sh.cfg.timeout(s)
		if deadline > near.until || deadline <= near.after {
			near = sh.slotAt(deadline)
		}
		i := sh.takeFrom(near.slot, group)
		f.at[k] = i
		r := sh.rec(i)
		sh.fill(i, r, s, 0)
		r.key, r.parent = s.key, s.parent
		place(cells, cellOf(s.key, i, false))
		p := f.parents[k]
		switch {
		case s.Kind == KindInternal:
			sh.freshlySettled(in, r, near.slot, OutcomeInternal)
		case f.answered[k], p != noSpan && f.answered[p] && s.Kind == KindServer:
			sh.freshlySettled(in, r, near.slot, OutcomePaired)
		default:
			sh.begin(r)
		}
		switch {
		case p != noSpan:
			if int(p) < k {
				sh.pairFresh(in, i, f.at[p])
			}
		case s.Kind.called() && s.parent != 0:
			waits = true
		case s.Kind.called():
			sh.withoutCaller(in, i, r.at(sh.near), OutcomeEntry)
			sh.settle(i)
		case s.Flags&FlagDatabase != 0 && s.Peer != 0 && s.Kind.calls():
			sh.virtual(in, i, r, ConnectionDatabase, s.ended)
			sh.settle(i)
		}
		if f.awaited[k] {
			for w := range k {
				if int(f.parents[w]) == k {
					sh.pairFresh(in, f.at[w], i)
				}
			}
		}
	}
	sh.index.filled(len(items))
	for k := 0; waits && k < len(items); k++ {
		if s := items[k].span; s.Kind.called() && s.parent != 0 && f.parents[k] == noSpan {
			sh.wait(f.at[k], s.parent)
		}
	}
	return true
}

// freshlySettled makes a new record a settled one that never was pending.
func (sh *shard) freshlySettled(in *Intake, r *record, s *slot, o Outcome) {
	r.setState(stateSettled)
	s.settled++
	in.settled(o)
}

// pairFresh counts the call of which p is the calling and i the called side.
func (sh *shard) pairFresh(in *Intake, i, p int32) {
	r, a := sh.rec(i), sh.rec(p)
	if r.state() == statePending {
		sh.pair(in, i, p)
		return
	}
	a.other = r.svc
	sh.paired(in, i, p, ConnectionDirect)
}
