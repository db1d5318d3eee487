package tail

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

var normal = Prior{Threshold: 2.05, Excess: 0.37, Shape: 0.05, Floor: 1}

func TestPriorSpeaksUntilDataDo(t *testing.T) {
	estimate := normal.Tail()
	assert.InDelta(t, 1, estimate.Exceedance(&normal, 2, 0), 0)
	assert.InDelta(t, Quantile, estimate.Exceedance(&normal, 2.0500001, 0), 1e-4)
	// Shape 0.05 plus 0.1 for knowing nothing, and a scale of 0.37 (1 - 0.15), at 3.95 above the threshold.
	assert.InDelta(t, 0.02*math.Pow(1+0.15*3.95/(0.37*0.85), -1/0.15), estimate.Exceedance(&normal, 6, 0), 1e-9)
}

// A quantile far in the tail is compared with the truth: never much too sure, and not uselessly careful.
func TestTailsOfKnownDistributions(t *testing.T) {
	for name, tc := range map[string]struct {
		draw     func(*rand.Rand) float64
		at       func(p float64) float64
		careful  float64 // how much larger than the truth the estimate may be, in powers of ten
		reckless float64 // and how much smaller
	}{
		"exponential": {func(r *rand.Rand) float64 { return r.ExpFloat64() }, func(p float64) float64 { return -math.Log(p) }, 1.7, 0.5},
		"Pareto 1/4": {
			func(r *rand.Rand) float64 { return math.Pow(r.Float64(), -0.25) },
			func(p float64) float64 { return math.Pow(p, -0.25) }, 1, 1.5,
		},
		"uniform": {func(r *rand.Rand) float64 { return r.Float64() * 10 }, func(p float64) float64 { return 10 * (1 - p) }, 6, 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			estimate := normal.Tail()
			for range 50_000 {
				estimate.Observe(&normal, tc.draw(r))
			}
			const p = 1e-6
			got := math.Log10(estimate.Exceedance(&normal, tc.at(p), 0) / p)
			assert.Less(t, got, tc.careful)
			assert.Greater(t, got, -tc.reckless)
		})
	}
}

func TestExceedanceFalls(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	estimate := normal.Tail()
	for range 1000 {
		estimate.Observe(&normal, r.NormFloat64())
	}
	last := 1.0
	for x := 0.0; x < 1e6; x = x*1.3 + 0.1 {
		p := estimate.Exceedance(&normal, x, 0)
		assert.LessOrEqual(t, p, last)
		assert.GreaterOrEqual(t, p, 0.0)
		last = p
	}
	assert.Zero(t, estimate.Exceedance(&normal, math.Inf(1), 0))
}

func TestOneHugeValueDoesNotBlind(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	estimate := normal.Tail()
	for range 5000 {
		estimate.Observe(&normal, r.NormFloat64())
	}
	before := estimate.Exceedance(&normal, 12, 0)
	estimate.Observe(&normal, math.Inf(1))
	assert.Less(t, estimate.Exceedance(&normal, 12, 0), math.Max(1000*before, 1e-6))
}

func TestThresholdHasAFloor(t *testing.T) {
	estimate := normal.Tail()
	for range 100_000 {
		estimate.Observe(&normal, 0)
	}
	assert.InDelta(t, 1, estimate.Threshold(), 1e-6)
}
