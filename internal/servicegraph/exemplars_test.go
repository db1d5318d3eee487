package servicegraph

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestReservoir offers calls in random order, to one reservoir or to two that are merged, and compares with sorting all.
func TestReservoir(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for range 500 {
		limit := 1 + rng.IntN(5)
		var calls []call
		var all []Exemplar
		for i := range rng.IntN(30) {
			c := call{trace: TraceID{Lo: uint64(i)}, at: rng.Int64N(3), client: rng.Int64N(5) - 1, server: rng.Int64N(5) - 1}
			calls = append(calls, c)
			all = append(all, Exemplar{Trace: c.trace, At: c.at, ClientDur: c.client, ServerDur: c.server})
		}
		slices.SortFunc(all, func(a, b Exemplar) int { return compareExemplars(&b, &a) })
		want := all[:min(limit, len(all))]
		rng.Shuffle(len(calls), func(i, j int) { calls[i], calls[j] = calls[j], calls[i] })
		var one, other reservoir
		for i := range calls {
			if rng.IntN(2) == 0 {
				one.offer(&calls[i], limit)
			} else {
				other.offer(&calls[i], limit)
			}
		}
		one.merge(&other, limit)
		assert.ElementsMatch(t, want, one.Calls())
		assert.Equal(t, len(want), len(one.Calls()))
		if len(want) > 0 {
			assert.Equal(t, want[0], one.Calls()[0], "the slowest first")
		}
		one.offer(&call{trace: TraceID{Lo: 99}, client: 100}, limit)
		assert.EqualValues(t, 99, one.Calls()[0].Trace.Lo)
		one.reset()
		assert.Empty(t, one.Calls())
	}
}

func TestReservoirDoesNotAllocate(t *testing.T) {
	var r reservoir
	at := int64(0)
	offer := func() {
		at++
		r.offer(&call{at: at, client: at % 7, server: -1}, 2)
	}
	for range 10 {
		offer()
	}
	assert.Zero(t, testing.AllocsPerRun(1000, offer))
}
