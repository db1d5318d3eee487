// Package baseline scores the points of one series against the series' own learnt behaviour, one point at a time, in
// constant space and without looking ahead.
//
// Two detectors share the work. The fast one judges every point of a series whose points come quickly (file fast.go): a
// Huberised running level and scale (Huber, "Robust Estimation of a Location Parameter", 1964) turn each value into a
// distance from normal, and three statistics of that distance are each judged by a streaming extreme value estimate of
// package tail. The long-term one (longterm.go) judges means of five minutes, or single points where they come more
// slowly, against levels, a daily and a weekly profile and the range of all values seen.
//
// What either finds becomes a score by Bayes' rule: how often a calm series would show it by chance, against how often
// real anomalies happen. A gate (warm-up, cooldown, habituation) keeps one nervous series from crying all day. It is the
// part that decides on the accuracy; see Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms - the Numenta
// Anomaly Benchmark" (ICMLA 2015), for the labels by which it was chosen.
//
// Learning all but stops while a series is abnormal, so that a fault does not become normal; a change that stays is
// adopted: see Params.LevelShiftAfter.
package baseline

import (
	"math"
	"time"
)

// Params are shared by all series of a detector. They must not be used by two goroutines at a time.
type Params struct {
	// WarmUpPoints and WarmUpSpan are what must have been seen, both, before a series is judged. The long-term detector
	// waits for 170 means, and asks for more evidence during the first two days of a slow series.
	WarmUpPoints int
	WarmUpSpan   time.Duration
	// Memory is the time constant with which the fast detector forgets old values; it is 32 points at least. Series of
	// which a point comes every 200 s or less often are left to the long-term detector alone.
	Memory time.Duration
	// LevelShiftAfter is how long a series must have stayed away from its level before the new level becomes normal.
	// Where points come too slowly for the fast detector, it takes 250 points.
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
	// Zone is where the days and weeks of the profiles begin; nil is UTC. With a zone, a daylight saving change moves
	// the profiles with the people.
	Zone *time.Location

	located int64  // the last time asked for, in seconds
	last    moment // and where it lies in the profiles
}

// Limits say which deviations of a series matter.
type Limits struct {
	// MinAbsolute (in the unit of the series) and MinRelative (a share of its level): smaller deviations never matter.
	MinAbsolute, MinRelative float64
	// IgnoreUp and IgnoreDown switch a direction off.
	IgnoreUp, IgnoreDown bool
	// Sampled says that a value is a statistic of a sample, such as a mean duration: there is none when nothing was counted,
	// and it says little when little was. A series of such values that comes slowly is one of small samples.
	Sampled bool
}

// floor is the least deviation from a level that matters.
func (l *Limits) floor(level float64) float64 {
	return max(l.MinAbsolute, l.MinRelative*math.Abs(level))
}

// Series is the state of one series. Its zero value has seen nothing. It has a fixed size and no pointers.
type Series struct {
	fast
	episode
	long longterm

	first, last int64
	interval    float32 // seconds
	points      uint32
	sparse      bool // points come too slowly for the fast detector
}

const (
	day              = 86400.0
	meanToSpread     = 1.27 // mean absolute deviation, clipped, to standard deviation of a normal variable
	largestValue     = 1e30 // far beyond all that is measured, and its differences fit into a float32
	largestDeviation = 1e6
	tiny             = 1e-12
	slowFrom         = 200 // seconds between points from which on the long-term detector judges alone, ...
	slowUntil        = 150 // ... until they come as quickly as this
	gapFactor        = 5   // a pause of this many usual intervals is a gap
)

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
		*s = Series{first: t, last: t, points: 1}
		s.begin(v)
		s.long.gather(p, t, t, v, quantum, limits, nil)
		return Verdict{Expected: v, Lower: v, Upper: v, Onset: t}
	}
	step := float64(t-s.last) / 1e9
	s.last = t
	s.points++
	s.pace(step, v)

	var verdict Verdict
	if s.sparse {
		adopted := s.long.single(p, s.first, t, v, quantum, limits, &verdict.surprises)
		s.long.tell(&verdict, v)
		p.decide(s, t, adopted, &verdict)
		return verdict
	}
	spread := p.effectiveSpread(&s.fast, limits, quantum)
	deviation := v - s.level
	lull := s.lull
	stats, chance := p.judge(s, v, spread, quantum, limits, &verdict)
	s.long.gather(p, s.first, t, v, quantum, limits, &verdict.surprises)
	verdict.Score = p.score(s, t, chance)
	s.follow(t, v, stats[statPoint], lull > 0 && s.lull > 0, verdict.silence < 1)
	adopted := p.stayed(s, t)
	p.decide(s, t, adopted, &verdict)
	if adopted {
		// The long-term level stays where it is, and the profiles learn when the series is away from it.
		s.long.known = true
		s.adopt()
		return verdict
	}
	if verdict.spike {
		s.spike(spread)
	}
	p.learn(s, v, deviation, spread, step, &stats, &verdict)
	return verdict
}

// pace learns the interval between points, decides who judges the series, and lets go of what is short-term after a gap.
func (s *Series) pace(step, v float64) {
	if s.interval == 0 {
		s.interval = float32(step)
		s.sparse = step > slowFrom
		return
	}
	usual := float64(s.interval)
	if step > gapFactor*usual {
		s.pause()
	}
	// A step far longer than usual is a pause and says little about the pace.
	s.interval += float32(0.1 * (min(step, 2*usual) - usual))
	switch {
	case !s.sparse && s.interval > slowFrom:
		s.sparse = true
		s.long.restart()
	case s.sparse && s.interval < slowUntil:
		s.sparse = false
		// The fast detector has not seen it for long, if ever, and warms up.
		s.points = 1
		s.begin(v)
	}
}

func bounded(x, limit float64) float64 { return max(-limit, min(limit, x)) }

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
