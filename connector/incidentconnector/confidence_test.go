package incidentconnector

import (
	"math/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/rootcause"
)

// TestCalibrate checks on random evidence that confidences are proper probabilities of rivals, in the order of the ranking.
func TestCalibrate(t *testing.T) {
	rng := rand.New(rand.NewSource(2))
	for range 500 {
		evidence := 1 + 20*rng.Float64()
		var candidates []rootcause.Candidate
		for range 1 + rng.Intn(8) {
			candidates = append(candidates, rootcause.Candidate{Evidence: evidence})
			evidence *= rng.Float64()
		}
		last, sum := 1.0, 0.0
		for _, c := range calibrate(candidates) {
			require.LessOrEqual(t, c.Confidence, last)
			require.GreaterOrEqual(t, c.Confidence, 0.0)
			last = c.Confidence
			sum += c.Confidence
		}
		require.LessOrEqual(t, sum, 1+1e-9)
	}
}

func TestAbstains(t *testing.T) {
	weak := []rootcause.Candidate{{Evidence: 0.15}, {Evidence: 0.1}, {Evidence: 0.1}}
	assert.Empty(t, calibrate(weak), "little against several is a guess")
	assert.Empty(t, calibrate(nil))
	two := calibrate([]rootcause.Candidate{{Evidence: 3}, {Evidence: 3}})
	require.Len(t, two, 2)
	assert.Greater(t, two[0].Confidence, leastConfidence)
	assert.Greater(t, calibrate([]rootcause.Candidate{{Evidence: 12}, {Evidence: 0.1}})[0].Confidence, 0.95)
	storm := make([]rootcause.Candidate, 1000)
	for i := range storm {
		storm[i].Evidence = 1
	}
	storm[0].Evidence = 8
	assert.Greater(t, calibrate(storm)[0].Confidence, sureEnough, "many that say little do not outweigh one that says much")
}
