package calibration

import (
	"math"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMap(t *testing.T) {
	same := Map{Slope: 1}
	m := Map{Intercept: 1, Slope: 0.5}
	last := 0.0
	for s := 0.01; s < 1; s += 0.01 {
		assert.InDelta(t, s, same.Of(s), 1e-12)
		assert.InDelta(t, s, m.Score(m.Of(s)), 1e-9)
		assert.Greater(t, m.Of(s), last)
		last = m.Of(s)
	}
	assert.InDelta(t, math.E/(1+math.E), m.Of(0.5), 1e-12)
	for _, s := range []float64{0, -1, math.NaN()} {
		assert.Zero(t, m.Of(s))
		assert.Zero(t, m.Score(s))
	}
	assert.Less(t, m.Of(1), 1.0)
	assert.Greater(t, m.Of(1), 0.99)
}

// TestFit draws right answers by a known map and finds it again.
func TestFit(t *testing.T) {
	rng := rand.New(rand.NewSource(5))
	for _, want := range []Map{{0, 1}, {1.5, 0.6}, {-1, 2}} {
		var outcomes []Outcome
		for range 20_000 {
			s := 0.02 + 0.96*rng.Float64()
			outcomes = append(outcomes, Outcome{s, rng.Float64() < want.Of(s)})
		}
		got := Fit(outcomes)
		assert.InDelta(t, want.Intercept, got.Intercept, 0.1)
		assert.InDelta(t, want.Slope, got.Slope, 0.1)
		var stated []Outcome
		for _, o := range outcomes {
			stated = append(stated, Outcome{got.Of(o.Stated), o.Right})
		}
		assert.Less(t, Error(Reliability(stated, 10)), 0.02)
	}
}

func TestFitOfLittle(t *testing.T) {
	assert.Equal(t, Map{Slope: 1}, Fit(nil))
	for _, outcomes := range [][]Outcome{
		{{0.5, true}},
		{{0.9, true}, {0.8, true}, {0.99, true}},
		{{0.2, false}, {0.9, true}},
		{{0, false}, {1, true}},
		{{0.9, false}, {0.1, true}},
	} {
		m := Fit(outcomes)
		require.False(t, math.IsNaN(m.Intercept) || math.IsInf(m.Intercept, 0), "%v", outcomes)
		require.Positive(t, m.Slope, "%v", outcomes)
		require.Less(t, m.Slope, 10.0, "%v", outcomes)
	}
}

func TestReliability(t *testing.T) {
	outcomes := []Outcome{{0.95, true}, {0.91, true}, {1, false}, {0.3, false}, {0.35, true}}
	bins := Reliability(outcomes, 10)
	require.Len(t, bins, 2)
	assert.Equal(t, 2, bins[0].N)
	assert.InDelta(t, 0.3, bins[0].From, 1e-12)
	assert.InDelta(t, 0.325, bins[0].Stated, 1e-12)
	assert.InDelta(t, 0.5, bins[0].Right, 1e-12)
	assert.Equal(t, 3, bins[1].N)
	assert.InDelta(t, (3*math.Abs(2.86/3-2.0/3)+2*0.175)/5, Error(bins), 1e-12)
	assert.InDelta(t, (0.05*0.05+0.09*0.09+1+0.09+0.65*0.65)/5, Brier(outcomes), 1e-12)
	assert.Zero(t, Error(nil))
	assert.Zero(t, Brier(nil))
}
