package edgehealth

import (
	"math/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOver(t *testing.T) {
	var l Latency
	l.Add(0.01, 90)
	l.Add(0.5, 10)
	for limit, want := range map[float64]float64{0.0005: 100, 0.005: 100, 0.1: 10, 2: 0} {
		total, over := l.Over(limit)
		assert.InDelta(t, 100, total, 0)
		assert.InDelta(t, want, over, 1e-6, limit)
	}
	total, over := (&Latency{}).Over(1)
	assert.Zero(t, total)
	assert.Zero(t, over)
	last := 100.0
	for limit := 1e-5; limit < 100; limit *= 1.05 {
		_, over := l.Over(limit)
		require.LessOrEqual(t, over, last+1e-9, "a longer limit is never worse")
		last = over
	}
}

// TestOverIsNear compares with the durations themselves.
func TestOverIsNear(t *testing.T) {
	rng := rand.New(rand.NewSource(2))
	for range 50 {
		var l Latency
		durations := make([]float64, 2000)
		for i := range durations {
			durations[i] = 0.02 + 0.3*rng.ExpFloat64()
			l.Add(durations[i], 1)
		}
		limit := 0.05 + rng.Float64()
		want := 0.0
		for _, d := range durations {
			if d > limit {
				want++
			}
		}
		_, over := l.Over(limit)
		assert.InDelta(t, want/2000, over/2000, 0.03)
	}
}
