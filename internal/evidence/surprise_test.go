package evidence

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// As often as it says: p-values of a calm statistic, whatever its unit and its tail.
func TestSurpriseIsCalibrated(t *testing.T) {
	for name, draw := range map[string]func(*rand.Rand) float64{
		"normal":            func(r *rand.Rand) float64 { return r.NormFloat64() },
		"large and shifted": func(r *rand.Rand) float64 { return 1e6 + 1e4*r.NormFloat64() },
		"exponential":       func(r *rand.Rand) float64 { return r.ExpFloat64() },
		"log-normal":        func(r *rand.Rand) float64 { return math.Exp(0.5 * r.NormFloat64()) },
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 1))
			var s Surprise
			const n = 100_000
			rare, rarer := 0, 0
			for i := range n + 2000 {
				x := draw(r)
				chance, _ := s.Judge(x)
				if i >= 2000 {
					if chance <= 0.01 {
						rare++
					}
					if chance <= 1e-4 {
						rarer++
					}
				}
				s.Learn(x, 1)
			}
			assert.InDelta(t, 0.01, float64(rare)/n, 0.006)
			assert.LessOrEqual(t, float64(rarer)/n, 3e-4)
		})
	}
}

func TestSurpriseSeesAStep(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	var s Surprise
	chance, size := s.Judge(5)
	assert.InDelta(t, 1, chance, 0)
	assert.Zero(t, size)
	for range 2000 {
		s.Learn(10+r.NormFloat64(), 1)
	}
	chance, size = s.Judge(20)
	assert.Less(t, chance, 3e-5)
	assert.InDelta(t, 10, size, 1.5)
	chance, size = s.Judge(0)
	assert.InDelta(t, 1, chance, 0, "only large values are odd")
	assert.InDelta(t, -10, size, 1.5)
	chance, _ = s.Judge(math.NaN())
	assert.InDelta(t, 1, chance, 0)

	frozen := s
	for range 100 {
		frozen.Learn(20, 0)
	}
	chance, _ = frozen.Judge(20)
	assert.Less(t, chance, 3e-5, "at rate 0 nothing is learnt")
	for range 3000 {
		s.Learn(20+r.NormFloat64(), 1)
	}
	chance, _ = s.Judge(20)
	assert.Greater(t, chance, 0.01, "a new level is learnt")
}

func TestSurpriseIsBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var s Surprise
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, 0, -1}
	for range 5000 {
		x := odd[r.IntN(len(odd))]
		chance, size := s.Judge(x)
		require.True(t, chance >= 0 && chance <= 1)
		require.LessOrEqual(t, math.Abs(size), float64(largestSize))
		s.Learn(x, r.Float64())
	}
	assert.Zero(t, testing.AllocsPerRun(100, func() { s.Judge(1); s.Learn(1, 1) }))
}

func TestSurpriseState(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	var s, back Surprise
	for range 500 {
		s.Learn(3+r.NormFloat64(), 1)
	}
	state, err := s.AppendBinary(nil)
	require.NoError(t, err)
	require.Len(t, state, SurpriseBytes)
	require.NoError(t, back.UnmarshalBinary(state))
	assert.Equal(t, s.Points(), back.Points())
	assert.Equal(t, s, back)
	for cut := range state {
		require.Error(t, back.UnmarshalBinary(state[:cut]))
	}
	require.Error(t, back.UnmarshalBinary(append(state, 0)))
	state[0] = 7
	require.ErrorContains(t, back.UnmarshalBinary(state), "version 7")
}

func FuzzSurpriseState(f *testing.F) {
	var s Surprise
	s.Learn(1, 1)
	s.Learn(2, 1)
	state, _ := s.AppendBinary(nil)
	f.Add(state)
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Surprise
		_ = s.UnmarshalBinary(data)
		for range 3 {
			chance, _ := s.Judge(1)
			require.True(t, chance >= 0 && chance <= 1)
			s.Learn(2, 1)
		}
	})
}
