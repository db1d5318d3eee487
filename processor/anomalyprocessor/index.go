package anomalyprocessor

import (
	"math/rand/v2"

	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
)

// indexShards is the number of parts of an index: each grows by itself, so no growth takes long.
const indexShards = 256

// index finds the slots of keys. It holds no keys, only 32 bits of each: whoever asks knows where the whole keys lie.
// Each shard is a table with open addressing, linear probing and deletion by moving back.
type index struct {
	shards [indexShards]indexShard
	// factor is a secret: who can choose keys still cannot make them meet.
	factor uint64
}

type indexShard struct {
	// entries are 0, or the tag of a key above its slot plus one. Their number is a power of two.
	entries []uint64
	used    int
}

// tag is a hash of a key (Dietzfelbinger et al., "A Reliable Randomized Algorithm for the Closest-Pair Problem", 1997).
func (x *index) tag(k seriesidentity.Key) uint32 { return uint32(k.Lo * x.factor >> 32) } //nolint:gosec // the upper half

func (x *index) shard(k seriesidentity.Key) *indexShard { return &x.shards[k.Hi>>56] }

// put adds a key that the index does not hold.
func (x *index) put(k seriesidentity.Key, slot uint32) {
	if x.factor == 0 {
		x.factor = rand.Uint64() | 1
	}
	s := x.shard(k)
	if 4*(s.used+1) > 3*len(s.entries) {
		s.grow()
	}
	s.insert(uint64(x.tag(k))<<32 | uint64(slot+1))
	s.used++
}

func (s *indexShard) insert(entry uint64) {
	mask := uint64(len(s.entries) - 1) //nolint:gosec // not empty
	at := entry >> 32 & mask
	for s.entries[at] != 0 {
		at = (at + 1) & mask
	}
	s.entries[at] = entry
}

func (s *indexShard) grow() {
	old := s.entries
	s.entries = make([]uint64, max(8, 2*len(old)))
	for _, entry := range old {
		if entry != 0 {
			s.insert(entry)
		}
	}
}

// remove takes a key out that the index holds under this slot.
func (x *index) remove(k seriesidentity.Key, slot uint32) {
	s := x.shard(k)
	mask := uint64(len(s.entries) - 1) //nolint:gosec // it holds the key
	entry := uint64(x.tag(k))<<32 | uint64(slot+1)
	at := entry >> 32 & mask
	for s.entries[at] != entry {
		at = (at + 1) & mask
	}
	s.used--
	// What lies behind moves into the gap unless it would come to lie before its own place.
	for next := (at + 1) & mask; s.entries[next] != 0; next = (next + 1) & mask {
		home := s.entries[next] >> 32 & mask
		if (next-home)&mask >= (next-at)&mask {
			s.entries[at] = s.entries[next]
			at = next
		}
	}
	s.entries[at] = 0
}
