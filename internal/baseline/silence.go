package baseline

import "math"

const (
	lullRate      = 0.1   // share of the usual rate that a silence is thought to leave
	lullBreakEven = 0.39  // share that is evidence for neither
	lullFrom      = 6.0   // evidence from which on a lull is judged
	lullUsual     = 8.0   // what a calm series reaches once in a few hundred points
	lullMost      = 400.0 // where it ends
	lullLearnt    = 200.0 // how much of one is remembered, ...
	silenceLearnt = 30.0  // ... and of one that was an anomaly
	lullCaution   = 100.0 // points that halve the evidence
	lullFade      = 1e-4  // share of the largest lull that is forgotten with a point
)

// silence judges whether the rate of counted things has fallen to next to nothing, which no single point says where few
// are counted in an interval. It is Page's cumulative sum ("Continuous Inspection Schemes", 1954) of the logarithm of the
// likelihood ratio of a tenth of the usual rate to the usual one, for random arrivals, divided by how much more than
// those the series varies. The probability that it exceeds x falls like exp(-x); of a series whose arrivals come in
// bunches more slowly, which the largest of its lulls tells. All is in counts.
func (s *Series) silence(count, expected, spread, trust float64) float64 {
	random := arrivals(1, expected)
	more := ((1-lullRate)*expected + math.Max(count, 0)*lnLullRate) / max(1, spread*spread/(random*random))
	s.lulls -= lullFade * s.lulls
	if more < 0 {
		learnt := float32(lullLearnt)
		if s.abnormal {
			learnt = silenceLearnt
		}
		s.lulls = max(s.lulls, min(s.lull, learnt))
	}
	s.lull = float32(bounded(max(0, float64(s.lull)+trust*more), lullMost))
	// How arrivals come in bunches takes longer to learn than how many there are.
	x := float64(s.lull) * lullUsual / max(float64(s.lulls), lullUsual) * float64(s.seen) / (float64(s.seen) + lullCaution)
	if x < lullFrom {
		return 1
	}
	return math.Exp(-x)
}

// lnLullRate makes lullBreakEven (1 - lullRate) / -lnLullRate.
var lnLullRate = math.Log(lullRate)
