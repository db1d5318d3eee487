package servicegraph

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestStoreAgainstMap has records of few identities come and go, so that the table closes gaps all the time.
func TestStoreAgainstMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	cfg := testConfig()
	s := newStore(&cfg)
	want := map[Link]int32{}
	for range 200_000 {
		k := Link{Trace: TraceID{Hi: rng.Uint64N(4), Lo: rng.Uint64N(50)}, ID: rng.Uint64N(20)}
		i, ok := want[k]
		if !ok {
			i = none
		}
		if !assert.Equal(t, i, s.find(k.Trace, k.ID)) {
			return
		}
		if ok {
			s.drop(i)
			delete(want, k)
			continue
		}
		i = s.take()
		s.recs[i].trace, s.recs[i].id = k.Trace, k.ID
		s.insert(i)
		want[k] = i
	}
	assert.Equal(t, len(want), s.held)
	assert.Equal(t, len(want), s.hashed)
	for k, i := range want {
		assert.Equal(t, i, s.find(k.Trace, k.ID))
	}
}
