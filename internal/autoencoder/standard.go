package autoencoder

import "math"

const (
	slowest      = 2000 // values that a level remembers
	clip         = 3.0  // spreads beyond which a value teaches no more than one at it
	meanToSpread = 1.27 // of a normal variable, clipped
)

// standard is the running level and spread of one coordinate.
type standard struct {
	level, spread float64
	points        float64
}

// of returns the distance of x from the level in spreads.
func (s *standard) of(x float64) float64 {
	spread := math.Max(s.spread, math.Max(1e-6*math.Abs(s.level), 1e-9))
	x = math.Max(-largestValue, math.Min(largestValue, x))
	return math.Max(-largestInput, math.Min(largestInput, (x-s.level)/spread))
}

func (s *standard) learn(x, rate float64) {
	if math.IsNaN(x) {
		return
	}
	x = math.Max(-largestValue, math.Min(largestValue, x))
	if s.points == 0 {
		*s = standard{level: x, points: 1}
		return
	}
	s.points = math.Min(s.points+1, slowest)
	bound := clip * s.spread
	// A spread of 0 is that of a coordinate that was constant: then any change teaches.
	if s.points <= 5 || bound == 0 {
		bound = math.Inf(1)
	}
	off := math.Max(-bound, math.Min(bound, x-s.level))
	w := rate * math.Min(0.5, math.Max(2/(s.points+1), 1.0/slowest))
	s.level += w * off
	s.spread += w * (meanToSpread*math.Abs(off) - s.spread)
}
