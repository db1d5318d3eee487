// Package baseline scores the points of one series against the series' own learnt behaviour, one point at a time, in
// constant space and without looking ahead.
//
// A Huberised running level and scale (Huber, "Robust Estimation of a Location Parameter", 1964) turn each value into a
// distance from normal. Three statistics of that distance - the last point's, the smaller one of the last two, and that
// of a short-term level - are each judged by a streaming extreme value estimate of package tail. The least probable
// one is turned into a score by Bayes' rule: how often a calm series would show it by chance, against how often real
// anomalies happen. A gate (warm-up, cooldown, habituation) keeps one nervous series from crying all day.
//
// Learning all but stops while a series is abnormal, so that a fault does not become normal; a change that stays is
// adopted after Params.LevelShiftAfter.
package baseline

import (
	"math"
	"time"

	"github.com/paramedic-otel/paramedic/internal/tail"
)

// Params are shared by all series of a detector.
type Params struct {
	// WarmUpPoints and WarmUpSpan are what must have been seen, both, before a series is judged.
	WarmUpPoints int
	WarmUpSpan   time.Duration
	// Memory is the time constant with which old values are forgotten; it is never shorter than a few dozen points.
	Memory time.Duration
	// LevelShiftAfter is how long a series must have stayed away from its level before the new level becomes normal.
	LevelShiftAfter time.Duration
	// Cooldown is the time after an episode in which the evidence for a new one must be a hundred times stronger.
	Cooldown time.Duration
	// Habituation is the half-life of the memory for past episodes; 0 switches it off. Each one remembered raises the
	// price of the next, and a series that keeps having short episodes of one size is no longer abnormal for having one.
	Habituation time.Duration
	// AnomaliesPerDay is how many abnormal episodes a day one expects of a series: the prior of the score.
	AnomaliesPerDay float64
	// MinScore is the score from which on a series is abnormal.
	MinScore float64
}

// Limits say which deviations of a series matter.
type Limits struct {
	// MinAbsolute (in the unit of the series) and MinRelative (a share of its level): smaller deviations never matter.
	MinAbsolute, MinRelative float64
	// IgnoreUp and IgnoreDown switch a direction off.
	IgnoreUp, IgnoreDown bool
}

// State says what a verdict is.
type State uint8

// The states of a series.
const (
	// Learning: too little has been seen to judge.
	Learning State = iota
	// Normal: within what was learnt.
	Normal
	// Abnormal: the score is at or above Params.MinScore.
	Abnormal
	// Recovered: the first point after an abnormal episode.
	Recovered
	// Habitual: far from normal, but as often before: not larger and not longer.
	Habitual
	// Adopted: the episode lasted so long that its level is the new normal; the episode ends with this point.
	Adopted
)

// Verdict is what the detector says about one point.
type Verdict struct {
	State State
	// Score is the probability that the series is abnormal.
	Score float64
	// Deviation is the signed distance from Expected in units of the series' normal spread.
	Deviation float64
	// Expected is the level, Lower and Upper the band in which 96 % of the points lie.
	Expected, Lower, Upper float64
	// Onset is the time, in nanoseconds, of the first point of the episode, or of this point when there is none.
	Onset int64
	// Adopted says that the level after this point is a new one.
	Adopted bool
	// Opened marks the first point of an episode.
	Opened bool
}

const (
	day            = 86400.0
	minMemory      = 32     // points; an estimate from fewer is noise
	shortWeight    = 0.2    // of a point in the short-term level
	broadWeight    = 0.001  // of a point in the broad spread
	broadClip      = 1000.0 // spreads that a point counts for at most in it
	clip           = 3.0    // spreads beyond which a point teaches no more than one at this distance
	meanToSpread   = 1.27   // mean absolute deviation, clipped, to standard deviation of a normal variable
	frozen         = 0.02   // learning rate while abnormal
	doubtful       = 0.2    // learning rate while suspicious
	suspicious     = 0.3    // score
	spreadPerFloor = 10     // spreads that the least deviation that matters is worth on a flat series
	symmetric      = 1.25   // ratio of the tails' thresholds up to which a series is taken as symmetric
	skewWeight     = 0.1    // shape for each unit of the ratio above
	skewMost       = 0.25
	// Beyond these nothing changes any more, and arithmetic would overflow.
	largestValue     = 1e150
	largestDeviation = 1e6
	caution          = 8   // points: distances shrink by n/(n+caution)
	outside          = 2.5 // spreads from which on a point belongs to an excursion
	gapFactor        = 5   // a pause of this many usual intervals is a gap
	cooldownFactor   = 100
	persistence      = 1000 // how much likelier an open episode is to go on than a new one is to begin
	habitFactor      = 3    // each remembered episode asks for this much more evidence
	habitMax         = 8
	habitual         = 4 // remembered episodes from which on one more of their kind is nothing new
	habitSize        = 3 // times the usual size, from which on an episode is of another kind
	habitLength      = 4 // times the usual length, likewise
	// countVariance is added to a Poisson variance: a series that was 0 so far may have a rare event.
	countVariance = 0.25
)

// The statistics that are judged.
const (
	statPoint = iota
	statPair
	statShort
	statistics
)

// What the statistics of independent normal noise do, made a little heavier: real noise is.
var priors = [statistics]tail.Prior{
	statPoint: {Threshold: 2.3, Excess: 0.45, Shape: 0.28, Floor: 1.5},
	statPair:  {Threshold: 1.2, Excess: 0.35, Shape: -0.1, Floor: 1},
	statShort: {Threshold: 0.9, Excess: 0.25, Shape: 0.08, Floor: 0.7},
}

// Series is the state of one series. Its zero value has seen nothing.
type Series struct {
	first, last int64
	onset       int64
	excursion   int64 // first point of the present run outside
	ended       int64 // last point of the last episode
	level       float64
	spread      float64
	broad       float64 // mean deviation with a long memory
	short       float64
	away        float64 // level and spread of the present excursion
	awaySpread  float64
	interval    float32             // seconds
	pending     [statistics]float32 // statistics of the point before, not learnt yet; the first is its distance
	habit       float32             // episodes remembered, when the last one ended
	usualPeak   float32             // logarithm of their largest deviation
	usualLength float32             // seconds
	peak        float32             // largest deviation of the open episode
	points      uint32
	awayPoints  uint32
	side        int8
	abnormal    bool // an episode is open
	shown       bool // and is not habitual
	tails       [statistics][2]tail.Tail
}

// Last returns the time of the last point, 0 when there is none.
func (s *Series) Last() int64 { return s.last }

// Abnormal reports whether an episode is open that is not habitual.
func (s *Series) Abnormal() bool { return s.abnormal && s.shown }

// Observe judges value v at time t, then learns from it. t is in nanoseconds and must be later than s.Last(). quantum is
// 0, or for a rate of counted things what one thing more in the interval adds to it: then the spread is at least that
// of random arrivals.
func (p *Params) Observe(s *Series, t int64, v float64, limits *Limits, quantum float64) Verdict {
	v = bounded(v, largestValue)
	if s.points == 0 {
		s.begin(t, v)
		return Verdict{Expected: v, Lower: v, Upper: v, Onset: t}
	}
	step := float64(t-s.last) / 1e9
	s.pace(step)
	s.last = t
	s.points++

	spread := p.effectiveSpread(s, limits, quantum)
	floor := math.Max(limits.MinAbsolute, limits.MinRelative*math.Abs(s.level))
	deviation := v - s.level
	verdict := Verdict{
		Deviation: bounded(deviation/spread, largestDeviation),
		Expected:  s.level,
		Lower:     s.level - s.tails[statPoint][1].Threshold()*spread,
		Upper:     s.level + s.tails[statPoint][0].Threshold()*spread,
	}

	seen := float64(s.points)
	distance := verdict.Deviation * seen / (seen + caution)
	s.short += shortWeight * (v - s.short)
	stats := [statistics]float64{
		statPoint: distance,
		statPair:  pair(distance, float64(s.pending[statPoint])),
		statShort: (s.short - s.level) / spread * seen / (seen + caution),
	}
	chance := 1.0
	for i := range stats {
		// Only a deviation that matters, in a direction that matters, is evidence.
		size, side := math.Abs(stats[i]), sideOf(stats[i])
		if size*spread*(seen+caution)/seen < floor || (side > 0 && limits.IgnoreUp) || (side < 0 && limits.IgnoreDown) {
			continue
		}
		// The short-term level still remembers a fault that is over: it must agree with the point.
		if i == statShort && distance*float64(side) < outside {
			continue
		}
		chance = math.Min(chance, s.tails[i][tailIndex(side)].Exceedance(&priors[i], size, s.skew(side)))
	}
	verdict.Score = p.score(s, t, chance)

	s.follow(t, v, distance)
	p.decide(s, t, spread, &verdict)
	p.learn(s, v, deviation, spread, step, &stats, &verdict)
	return verdict
}

// skew returns how much heavier than usual the tail on one side must be taken because this side of the distribution
// reaches farther out than the other. A skew shows long before the rare values do that it foretells.
func (s *Series) skew(side int8) float64 {
	points := &s.tails[statPoint]
	i := tailIndex(side)
	ratio := points[i].Threshold() / points[1-i].Threshold()
	return math.Min(skewWeight*math.Max(0, ratio-symmetric), skewMost)
}

func (s *Series) begin(t int64, v float64) {
	*s = Series{first: t, last: t, level: v, short: v, points: 1}
	for i := range s.tails {
		s.tails[i] = [2]tail.Tail{priors[i].Tail(), priors[i].Tail()}
	}
}

// pace learns the interval between points and lets go of what is short-term after a gap.
func (s *Series) pace(step float64) {
	if s.interval == 0 {
		s.interval = float32(step)
		return
	}
	usual := float64(s.interval)
	if step > gapFactor*usual {
		s.pending = [statistics]float32{}
		s.short = s.level
		s.excursion, s.awayPoints, s.side = 0, 0, 0
	}
	// A step far longer than usual is a pause and says little about the pace.
	s.interval += float32(0.1 * (math.Min(step, 2*usual) - usual))
}

// effectiveSpread is the spread that a deviation is measured in: the learnt one, but never so small that a deviation
// which does not matter, or one event more, looks large.
func (p *Params) effectiveSpread(s *Series, limits *Limits, quantum float64) float64 {
	size := math.Abs(s.level)
	spread := math.Max(math.Max(s.spread, s.broad), math.Max(limits.MinAbsolute, limits.MinRelative*size)/spreadPerFloor)
	if quantum > 0 {
		spread = math.Max(spread, quantum*math.Sqrt(size/quantum+countVariance))
	}
	return math.Max(spread, math.Max(1e-9*size, 1e-12))
}

// pair is the smaller one of two distances on the same side, else 0.
func pair(a, b float64) float64 {
	switch {
	case a > 0 && b > 0:
		return math.Min(a, b)
	case a < 0 && b < 0:
		return math.Max(a, b)
	default:
		return 0
	}
}

func bounded(x, limit float64) float64 { return math.Max(-limit, math.Min(limit, x)) }

func sideOf(x float64) int8 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
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
