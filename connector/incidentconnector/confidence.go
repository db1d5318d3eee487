package incidentconnector

import (
	"github.com/paramedic-otel/paramedic/internal/rootcause"
)

// leastConfidence is the probability below which the likeliest cause is not named: what is more likely wrong than right sends
// people the wrong way.
const leastConfidence = 0.4

// rivals is how many candidates, the likeliest ones, share the probability. In a storm there is a little evidence against
// hundreds, which together must not outweigh what stands out.
const rivals = 5

// calibrate makes of the evidence against the candidates that are left the probability that each is the cause. No
// candidate's is above that of the one before it, nor above what those before it leave. It returns none where even the first
// is too unlikely.
func calibrate(candidates []rootcause.Candidate) []rootcause.Candidate {
	total := 0.0
	for _, c := range candidates[:min(len(candidates), rivals)] {
		total += c.Evidence
	}
	calibration := rootcause.Calibration()
	most, left := 1.0, 1.0
	for i := range candidates {
		c := &candidates[i]
		c.Confidence = max(0, min(clamp(calibration.Of(rootcause.Confidence(c.Evidence, total))), most, left))
		most = c.Confidence
		left -= c.Confidence
	}
	if len(candidates) > 0 && candidates[0].Confidence < leastConfidence {
		return nil
	}
	return candidates
}
