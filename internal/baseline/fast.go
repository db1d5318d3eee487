package baseline

import (
	"math"
	"time"

	"github.com/paramedic-otel/paramedic/internal/tail"
)

// fast judges every point against a level that follows the series with Params.Memory.
type fast struct {
	excursion  int64 // first point of the present run outside
	level      float64
	short      float64
	away       float64 // level of the present excursion
	awaySpread float32
	spread     float32
	broad      float32                 // mean deviation with a long memory
	pending    [fastStatistics]float32 // statistics of the point before, not learnt yet; the first is its distance
	lull       float32                 // see silence
	lulls      float32                 // the largest of the past
	seen       uint32
	awayPoints uint32
	side       int8
	tails      [fastStatistics][2]tail.Tail
}

// The statistics that are judged, as in Statistic.
const (
	statPoint = iota
	statPair
	statShort
	fastStatistics
)

const (
	minMemory      = 32   // points; an estimate from fewer is noise
	shortWeight    = 0.2  // of a point in the short-term level
	clip           = 3.0  // spreads beyond which a point teaches no more than one at this distance
	spreadPerFloor = 10   // spreads that the least deviation that matters is worth on a flat series
	symmetric      = 1.25 // ratio of the tails' thresholds up to which a series is taken as symmetric
	skewWeight     = 0.1  // shape for each unit of the ratio above
	skewMost       = 0.25
	sampledShape   = 0.15 // added for statistics of samples: the fewer were drawn, the farther they reach
	caution        = 8    // points: distances shrink by n/(n+caution)
	outside        = 2.5  // spreads from which on a point belongs to an excursion
	// countVariance is added to a Poisson variance: a series that was 0 so far may have a rare event.
	countVariance = 0.25
)

// What the statistics of independent normal noise do, made a little heavier: real noise is.
var priors = [fastStatistics]tail.Prior{
	statPoint: {Threshold: 2.3, Excess: 0.45, Shape: 0.28, Floor: 1.5},
	statPair:  {Threshold: 1.2, Excess: 0.35, Shape: -0.1, Floor: 1},
	statShort: {Threshold: 0.9, Excess: 0.25, Shape: 0.08, Floor: 0.7},
}

func (f *fast) begin(v float64) {
	*f = fast{level: v, short: v, seen: 1}
	for i := range f.tails {
		f.tails[i] = [2]tail.Tail{priors[i].Tail(), priors[i].Tail()}
	}
}

// pause lets go of what is short-term.
func (f *fast) pause() {
	f.pending = [fastStatistics]float32{}
	f.short = f.level
	f.excursion, f.awayPoints, f.side, f.lull = 0, 0, 0, 0
}

// judge returns the statistics of a point and how probable the least probable one is on a calm series.
func (p *Params) judge(s *Series, v, spread, quantum float64, limits *Limits, verdict *Verdict) ([fastStatistics]float64, float64) {
	s.seen++
	seen := float64(s.seen)
	trust := seen / (seen + caution)
	floor := limits.floor(s.level)
	verdict.Deviation = bounded((v-s.level)/spread, largestDeviation)
	verdict.Expected = s.level
	verdict.Lower = s.level - s.tails[statPoint][1].Threshold()*spread
	verdict.Upper = s.level + s.tails[statPoint][0].Threshold()*spread

	distance := bounded(s.long.excused(v, s.level, spread)/spread, largestDeviation) * trust
	s.short += shortWeight * (v - s.short)
	stats := [fastStatistics]float64{
		statPoint: distance,
		statPair:  pair(distance, float64(s.pending[statPoint])),
		statShort: s.long.excused(s.short, s.level, spread) / spread * trust,
	}
	heavier := 0.0
	if limits.Sampled {
		heavier = sampledShape
	}
	chance := 1.0
	for i := range stats {
		verdict.fast[i] = 1
		// Only a deviation that matters, in a direction that matters, is evidence.
		size, side := math.Abs(stats[i]), sideOf(stats[i])
		if size*spread < floor*trust || (side > 0 && limits.IgnoreUp) || (side < 0 && limits.IgnoreDown) {
			continue
		}
		// The short-term level still remembers a fault that is over: it must agree with the point.
		if i == statShort && distance*float64(side) < outside {
			continue
		}
		verdict.fast[i] = s.tails[i][tailIndex(side)].Exceedance(&priors[i], size, s.skew(side)+heavier)
		chance = min(chance, verdict.fast[i])
	}
	verdict.silence = 1
	if quantum > 0 && !limits.IgnoreDown && (1-lullBreakEven)*math.Abs(s.level) >= floor {
		verdict.silence = s.silence(v/quantum, s.level/quantum, spread/quantum, trust)
		chance = min(chance, verdict.silence)
	}
	return stats, chance
}

// skew returns how much heavier than usual the tail on one side must be taken because this side of the distribution
// reaches farther out than the other. A skew shows long before the rare values do that it foretells.
func (f *fast) skew(side int8) float64 {
	points := &f.tails[statPoint]
	i := tailIndex(side)
	ratio := points[i].Threshold() / points[1-i].Threshold()
	return min(skewWeight*max(0, ratio-symmetric), skewMost)
}

// effectiveSpread is the spread that a deviation is measured in: the learnt one, but never so small that a deviation
// which does not matter, or one event more, looks large.
func (p *Params) effectiveSpread(f *fast, limits *Limits, quantum float64) float64 {
	size := math.Abs(f.level)
	spread := max(float64(max(f.spread, f.broad)), limits.floor(f.level)/spreadPerFloor)
	return max(max(spread, arrivals(quantum, size)), max(1e-9*size, tiny))
}

// arrivals is the spread of random arrivals of which one is worth quantum; 0 when nothing is counted.
func arrivals(quantum, level float64) float64 {
	if quantum <= 0 {
		return 0
	}
	return quantum * math.Sqrt(math.Abs(level)/quantum+countVariance)
}

// follow keeps track of the present excursion: since when the series has been away from its level on one side, and
// where it is there.
func (f *fast) follow(t int64, v, distance float64, quiet, silent bool) {
	side := int8(0)
	if math.Abs(distance) >= outside {
		side = sideOf(distance)
	} else if silent {
		side = -1
	}
	if side == 0 || side != f.side {
		f.side, f.awayPoints = side, 0
		// A lull that turns out to be a silence began with its first point.
		if !quiet || (side != 0 && !silent) {
			f.excursion = t
		}
	}
	if side == 0 {
		return
	}
	f.awayPoints++
	if f.awayPoints == 1 {
		f.away, f.awaySpread = v, 0
		return
	}
	w := max(1/float64(f.awayPoints), 1.0/minMemory)
	f.awaySpread += float32(w * (meanToSpread*math.Abs(v-f.away) - float64(f.awaySpread)))
	f.away += w * (v - f.away)
}

// stayed reports whether the present excursion has lasted so long that it is the new normal.
func (p *Params) stayed(s *Series, t int64) bool {
	return s.side != 0 && s.awayPoints >= minMemory/4 && t-s.excursion >= int64(p.LevelShiftAfter/time.Nanosecond)
}

// adopt makes the present excursion the new normal. The spread may only grow: what was learnt of the noise stays.
func (f *fast) adopt() {
	f.level, f.short = f.away, f.away
	f.spread = max(f.spread, f.awaySpread)
	f.pending = [fastStatistics]float32{}
	f.side, f.awayPoints, f.lull = 0, 0, 0
	f.seen = min(f.seen, minMemory)
}

// pair is the smaller one of two distances on the same side, else 0.
func pair(a, b float64) float64 {
	switch {
	case a > 0 && b > 0:
		return min(a, b)
	case a < 0 && b < 0:
		return max(a, b)
	default:
		return 0
	}
}

func tailIndex(side int8) int {
	if side < 0 {
		return 1
	}
	return 0
}
