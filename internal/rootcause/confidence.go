package rootcause

import (
	"math"

	"github.com/paramedic-otel/paramedic/internal/calibration"
)

// Confidence returns how much the evidence against a candidate says in view of that against all candidates together: its
// part of it, weighed down when there is little. It is in [0, 1], but no probability; see [Calibration].
func Confidence(evidence, total float64) float64 {
	if total <= 0 {
		return 0
	}
	return evidence / total * (1 - math.Exp(-evidence))
}

// Calibration returns the map from [Candidate.Confidence] to the probability that the candidate is the cause.
func Calibration() calibration.Map { return calibration.Map{Intercept: 0, Slope: 1} }
