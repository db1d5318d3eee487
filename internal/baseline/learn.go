package baseline

import (
	"math"
)

const (
	broadWeight = 0.001  // of a point in the broad spread
	broadClip   = 1000.0 // spreads that a point counts for at most in it
	frozen      = 0.02   // learning rate while abnormal
	doubtful    = 0.2    // learning rate while suspicious
)

// learn moves the level, the spread and the tails towards a point that was judged.
func (p *Params) learn(s *Series, v, deviation, spread, step float64, stats *[fastStatistics]float64, verdict *Verdict) {
	rate := 1.0
	switch {
	case s.abnormal:
		rate = frozen
	case verdict.Score >= suspicious:
		rate = doubtful
	}
	// Young series learn fast and forget their first points; old ones by time, but from minMemory points at least.
	step = min(step, 2*float64(s.interval))
	w := max(2/float64(s.seen+1), min(step/p.Memory.Seconds(), 1.0/minMemory))
	bound := clip * spread
	if s.seen <= 5 {
		bound = math.Inf(1)
	}
	// What the profiles account for is followed freely.
	odd := s.long.excused(v, s.level, spread)
	s.level += rate * w * (deviation - odd + bounded(odd, bound))
	odd = math.Abs(odd)
	s.broaden(rate, odd, spread)
	s.spread += float32(rate * min(w, 0.5) * (meanToSpread*min(odd, bound) - float64(s.spread)))

	s.teach(stats)
}

// teach shows the tails the statistics of the point before, once it is known that it did not begin an episode, so that
// the onset of a fault does not raise the bar for the fault itself. Points of an episode teach nothing.
func (s *Series) teach(stats *[fastStatistics]float64) {
	if s.abnormal || s.ended == s.last {
		for i := range s.pending {
			s.pending[i] = 0
		}
		s.pending[statPoint] = float32(stats[statPoint])
		return
	}
	if s.seen > 5 {
		for i := range s.pending {
			x := float64(s.pending[i])
			s.tails[i][0].Observe(&priors[i], x)
			s.tails[i][1].Observe(&priors[i], -x)
		}
	}
	for i, x := range stats {
		s.pending[i] = float32(x)
	}
}

// broaden learns the mean deviation. Unlike the spread it counts rare large deviations at nearly their size: of a series
// that is constant but for a few of its points, the spread alone would shrink to nothing between them.
func (f *fast) broaden(rate, deviation, spread float64) {
	f.broad += float32(rate * broadWeight * (min(deviation, broadClip*spread) - float64(f.broad)))
}

// spike learns from an episode that was one point long: a series that has such spikes is one whose single points say
// little. A fault that lasted teaches nothing.
func (s *Series) spike(spread float64) {
	s.broaden(1, float64(s.peak)*spread, spread)
	x := math.Copysign(float64(s.peak), float64(s.pending[statPoint]))
	s.tails[statPoint][0].Observe(&priors[statPoint], x)
	s.tails[statPoint][1].Observe(&priors[statPoint], -x)
}
