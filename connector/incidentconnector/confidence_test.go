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
	alike := make([]rootcause.Candidate, 12)
	for i := range alike {
		alike[i].Evidence = 3
	}
	assert.Empty(t, calibrate(alike), "one of twelve that are alike is a guess")
	two := calibrate(alike[:2])
	require.Len(t, two, 2)
	assert.Greater(t, two[0].Confidence, leastConfidence)
	assert.Empty(t, calibrate(nil))
	clear := calibrate([]rootcause.Candidate{{Evidence: 12}, {Evidence: 0.1}})
	assert.Greater(t, clear[0].Confidence, 0.95)
}
