package evidence

import (
	"fmt"
	"math"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/tail"
)

const (
	surpriseVersion = 1
	// slowest is the number of values that an average remembers.
	slowest = 1000
	// clip is the distance, in spreads, beyond which a value teaches no more than one at it.
	clip         = 3.0
	meanToSpread = 1.27 // of a normal variable, clipped
	caution      = 10   // values: distances shrink by n/(n+caution)
	largestSize  = 1e6
)

// oddness is what is believed of the tail of any statistic before data are seen: heavier than normal.
var oddness = tail.Prior{Threshold: 2.3, Excess: 0.6, Shape: 0.2, Floor: 1}

// Surprise judges how improbable a large value of a statistic is, whatever its unit and distribution: it learns the level and
// spread robustly (Huber 1964) and the upper tail by extreme value theory (package tail). Its zero value has seen nothing.
type Surprise struct {
	level, spread float64
	pending       float64 // the value before, in spreads, not learnt yet
	points        uint32
	tail          tail.Tail
}

// Points returns the number of values learnt.
func (s *Surprise) Points() int { return int(s.points) }

// Judge returns the probability that a calm source gives x or more, and the distance of x from its level in spreads. Before anything was
// learnt they are 1 and 0. NaN is nothing special.
func (s *Surprise) Judge(x float64) (chance, size float64) {
	if s.points < 2 || math.IsNaN(x) {
		return 1, 0
	}
	size = s.size(x)
	return s.tail.Exceedance(&oddness, size, 0), size
}

func (s *Surprise) size(x float64) float64 {
	n := float64(s.points)
	spread := math.Max(s.spread, math.Max(1e-9*math.Abs(s.level), 1e-12))
	return math.Max(-largestSize, math.Min(largestSize, (x-s.level)/spread)) * n / (n + caution)
}

// Learn learns from a value, at a rate between 0, not at all, and 1. The tail learns a value only when the next one has
// come at a rate of at least a half, so that the first value of an episode does not raise the bar for the second.
func (s *Surprise) Learn(x, rate float64) {
	if math.IsNaN(x) {
		return
	}
	x = math.Max(-1e150, math.Min(1e150, x))
	if s.points == 0 {
		*s = Surprise{level: x, points: 1, tail: oddness.Tail()}
		return
	}
	size := s.size(x)
	calm := rate >= 0.5
	if calm && s.points > caution {
		s.tail.Observe(&oddness, s.pending)
	}
	s.pending = 0
	if calm {
		s.pending = size
		s.points = min(s.points+1, slowest)
	}
	w := rate * math.Max(2/float64(s.points+1), 1.0/slowest)
	bound := clip * s.spread
	if s.points <= 5 {
		bound = math.Inf(1)
	}
	off := math.Max(-bound, math.Min(bound, x-s.level))
	s.level += math.Min(w, 0.5) * off
	s.spread += math.Min(w, 0.5) * (meanToSpread*math.Min(math.Abs(off), bound) - s.spread)
}

// AppendBinary appends the state.
func (s *Surprise) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, surpriseVersion)
	b = binarystate.AppendFloat64s(b, []float64{s.level, s.spread})
	b = binarystate.AppendFloat64(b, s.pending)
	state := s.tail.State()
	b = binarystate.AppendFloat32s(b, state[:])
	return binarystate.AppendUint32(b, s.points), nil
}

// SurpriseBytes is the length of the state of a Surprise.
const SurpriseBytes = 1 + 3*8 + 4*4 + 4

// UnmarshalBinary replaces the state. A broken one changes nothing; the error says why.
func (s *Surprise) UnmarshalBinary(data []byte) error {
	r := binarystate.NewReader(data)
	if v := r.Byte(); v != surpriseVersion && r.Err() == nil {
		return fmt.Errorf("surprise state has version %d, want %d", v, surpriseVersion)
	}
	next := Surprise{level: r.Float64(), spread: r.Float64(), pending: r.Float64()}
	var state [4]float32
	r.Float32s(state[:])
	next.points = uint32(r.Count(slowest)) //nolint:gosec // not negative
	if next.spread < 0 || math.Abs(next.level) > 1e150 || next.spread > 1e151 || math.Abs(next.pending) > largestSize || !next.tail.Restore(state) {
		r.Fail(binarystate.ErrInvalid)
	}
	if err := r.Close(); err != nil {
		return fmt.Errorf("read surprise state: %w", err)
	}
	*s = next
	return nil
}
