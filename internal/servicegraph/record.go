package servicegraph

// state is where a record is in its life.
type state uint8

const (
	// stateGone: dropped; the page is still in use.
	stateGone state = iota
	// statePending: not settled yet.
	statePending
	// stateSettled: kept to recognise duplicates and to be found by further callees.
	stateSettled
)

// marks are the flags of a record; the lowest four are those of spans.
type marks uint16

const (
	// markLink: stands for a link of a consumer and not for a span, so that it is not to be found.
	markLink marks = 1 << (iota + 4)
	// markSoft: gives an edge only when it finds a calling span, since links were followed too.
	markSoft
	// markCovered: a call within this call stands for it.
	markCovered
	// markTaken: a receive span of service other was paired with this producer.
	markTaken
	// markWaits: is in the list of those that wait for parent.
	markWaits
	// markShared: the second of two spans that share an identity.
	markShared
	// markWeighted: stands for another number of spans than one, which the store keeps apart.
	markWeighted

	kindShift  = 11
	stateShift = 14
	metaBits   = 16
	// laterUnit is the unit in which at is ahead of ended: 65 µs.
	laterUnit = 16
	maxLater  = 1<<24 - 1
)

// record is a span in the store. It fills one line of the processor's caches.
type record struct {
	key uint64
	// parent is the key of the parent; of a called span, that of the ancestor it looks for.
	parent uint64
	// when has the lowest 48 bits of the time at which the span's part of the call ended above its marks, kind and state.
	when uint64
	// dur is the duration in nanoseconds.
	dur float32
	// group is that of the trace; of a link, that of the trace it leads to.
	group      uint32
	svc, peer  NodeID
	dimensions LabelID
	// other is, of a called span, the calling service as far as it is known, and, of a calling one, the service that was
	// paired with it last.
	other NodeID
	// prev and next chain the records that wait for one parent; the first one's prev is the last.
	prev, next int32
	// later has, above the kind of failure, by how much the latest end of the spans that a call is made of so far is later
	// than this one's.
	later              uint32
	operation, version uint16
}

func (r *record) kind() Kind          { return Kind(r.when>>kindShift) & 7 }
func (r *record) state() state        { return state(r.when>>stateShift) & 3 }
func (r *record) has(m marks) bool    { return r.when&uint64(m) != 0 }
func (r *record) mark(m marks)        { r.when |= uint64(m) }
func (r *record) unmark(m marks)      { r.when &^= uint64(m) }
func (r *record) setState(s state)    { r.when = r.when&^(3<<stateShift) | uint64(s)<<stateShift }
func (r *record) failure() LabelID    { return LabelID(r.later & 0xff) }
func (r *record) failed() bool        { return r.has(marks(FlagFailed)) }
func (r *record) database() bool      { return r.has(marks(FlagDatabase)) && r.peer != 0 }
func (r *record) waits() bool         { return r.has(markWaits) }
func (r *record) hashed() bool        { return !r.has(markLink) }
func (r *record) at(near int64) int64 { return r.ended(near) + int64(r.later>>8)<<laterUnit }

// id returns the identity of the span, given the hash of its trace; of a link, that of the span which has the link.
func (r *record) id(trace uint64) uint64 {
	switch {
	case r.has(markLink):
		return r.key
	case r.has(markShared):
		return idOf(trace, r.key) ^ sharedMark
	default:
		return idOf(trace, r.key)
	}
}

// ended returns when the span's part of the call ended, given a time within a day of that.
func (r *record) ended(near int64) int64 {
	return near + int64(r.when&^(1<<metaBits-1)-uint64(near)<<metaBits)>>metaBits
}

// extend makes the call end no earlier than the given time, to the unit.
func (r *record) extend(to, near int64) {
	later := (to - r.ended(near)) >> laterUnit
	if later > int64(r.later>>8) {
		r.later = r.later&0xff | uint32(min(later, maxLater))<<8
	}
}
