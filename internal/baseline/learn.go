package baseline

import (
	"math"
)

// learn moves the level, the spread and the tails towards a point that was judged.
func (p *Params) learn(s *Series, v, deviation, spread, step float64, stats *[statistics]float64, verdict *Verdict) {
	if verdict.Adopted {
		return
	}
	rate := 1.0
	switch {
	case s.abnormal:
		rate = frozen
	case verdict.Score >= suspicious:
		rate = doubtful
	}
	// Young series learn fast and forget their first points; old ones by time, but from minMemory points at least.
	step = math.Min(step, 2*float64(s.interval))
	w := math.Max(2/float64(s.points+1), math.Min(step/p.Memory.Seconds(), 1.0/minMemory))
	bound := clip * spread
	if s.points <= 5 {
		bound = math.Inf(1)
	}
	s.level += rate * w * math.Max(-bound, math.Min(bound, deviation))
	s.broaden(rate, math.Abs(deviation), spread)
	s.spread += rate * math.Min(w, 0.5) * (meanToSpread*math.Min(math.Abs(deviation), bound) - s.spread)

	s.teach(stats)
}

// teach shows the tails the statistics of the point before, once it is known that it did not begin an episode, so that
// the onset of a fault does not raise the bar for the fault itself. Points of an episode teach nothing.
func (s *Series) teach(stats *[statistics]float64) {
	if s.abnormal || s.ended == s.last {
		for i := range s.pending {
			s.pending[i] = 0
		}
		s.pending[statPoint] = float32(stats[statPoint])
		return
	}
	if s.points > 5 {
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
func (s *Series) broaden(rate, deviation, spread float64) {
	s.broad += rate * broadWeight * (math.Min(deviation, broadClip*spread) - s.broad)
}

// spike learns from an episode that was one point long: a series that has such spikes is one whose single points say
// little. A fault that lasted teaches nothing.
func (s *Series) spike(spread float64) {
	s.broaden(1, float64(s.peak)*spread, spread)
	x := math.Copysign(float64(s.peak), float64(s.pending[statPoint]))
	s.tails[statPoint][0].Observe(&priors[statPoint], x)
	s.tails[statPoint][1].Observe(&priors[statPoint], -x)
}

// adopt makes the present excursion the new normal. The spread may only grow: what was learnt of the noise stays.
func (s *Series) adopt() {
	s.level, s.short = s.away, s.away
	s.spread = math.Max(s.spread, s.awaySpread)
	s.pending = [statistics]float32{}
	s.side, s.awayPoints = 0, 0
	s.points = min(s.points, minMemory)
}
