package servicegraph

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

func testStore() *store {
	cfg := testConfig()
	st := new(store)
	st.init(&cfg)
	return st
}

// TestIndexAgainstMap has keys of few groups come and go, so that blocks grow, close gaps and leave all the time.
func TestIndexAgainstMap(t *testing.T) {
	type name struct {
		group uint32
		key   uint64
	}
	for _, ids := range []uint64{3, 20, 500} {
		rng := rand.New(rand.NewPCG(5, ids))
		st := testStore()
		want := map[name]int32{}
		for range 100_000 {
			n := name{group: uint32(rng.Uint64N(200)) << 20, key: mix(rng.Uint64N(ids) + 1)}
			i, ok := want[n]
			if !ok {
				i = none
			}
			if !assert.Equal(t, i, st.lookup(n.group, n.key)) {
				return
			}
			if ok {
				st.unlink(st.rec(i), i)
				delete(want, n)
				continue
			}
			i = st.take(0, n.group)
			r := st.rec(i)
			r.key, r.group = n.key, n.group
			st.index.expected = rng.IntN(40)
			st.index.add(n.group, cellOf(n.key, i, false))
			want[n] = i
		}
		for n, i := range want {
			assert.Equal(t, i, st.lookup(n.group, n.key))
		}
		for n, i := range want {
			st.unlink(st.rec(i), i)
			assert.Equal(t, none, st.lookup(n.group, n.key))
		}
		assert.Zero(t, st.index.nGroups)
	}
}

// TestManyGroups has the table of groups grow.
func TestManyGroups(t *testing.T) {
	st := testStore()
	var places []int32
	for k := range uint32(20_000) {
		i := st.take(0, uint32(mix(uint64(k)+77)))
		r := st.rec(i)
		r.key, r.group = mix(uint64(k)), uint32(mix(uint64(k)+77))
		st.index.add(r.group, cellOf(r.key, i, false))
		places = append(places, i)
	}
	for _, i := range places {
		assert.Equal(t, i, st.lookup(st.rec(i).group, st.rec(i).key))
	}
}

func TestKeysAreReversible(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := newSeeds(3)
	for range 1000 {
		trace, id := s.trace(TraceID{Hi: rng.Uint64(), Lo: rng.Uint64()}), rng.Uint64()
		assert.Equal(t, id, idOf(trace, keyOf(trace, id)))
	}
	assert.NotEqual(t, s.trace(TraceID{Hi: 1}), newSeeds(4).trace(TraceID{Hi: 1}))
}
