package anomalyprocessor

// chunkBits is the logarithm of the number of records in a chunk of a slab.
const chunkBits = 7

// slab holds records of one size in chunks: it grows without moving what it holds, so pointers into it stay good, and when
// T has no pointers the garbage collector never looks into it. A record is known by its slot.
type slab[T any] struct {
	chunks []*[1 << chunkBits]T
	// free are slots given back; the ones from size on were never taken.
	free []uint32
	size uint32
}

// at returns the record of a slot that was taken.
func (s *slab[T]) at(slot uint32) *T {
	return &s.chunks[slot>>chunkBits][slot&(1<<chunkBits-1)]
}

// take returns a slot whose record is zero.
func (s *slab[T]) take() uint32 {
	if n := len(s.free); n > 0 {
		slot := s.free[n-1]
		s.free = s.free[:n-1]
		return slot
	}
	slot := s.size
	if slot>>chunkBits == uint32(len(s.chunks)) { //nolint:gosec // bounded by max_series
		s.chunks = append(s.chunks, new([1 << chunkBits]T))
	}
	s.size++
	return slot
}

// give takes a slot back and clears its record.
func (s *slab[T]) give(slot uint32) {
	var zero T
	*s.at(slot) = zero
	s.free = append(s.free, slot)
}
