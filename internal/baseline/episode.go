package baseline

import (
	"math"
)

// episode is the gate: what opens and closes an episode, and what is remembered of those that were.
type episode struct {
	onset       int64
	ended       int64   // last point of the last episode
	habit       float32 // episodes remembered, when the last one ended
	usualPeak   float32 // logarithm of their largest deviation
	usualLength float32 // seconds
	peak        float32 // largest deviation of the open episode
	abnormal    bool    // an episode is open
	shown       bool    // and is not habitual
	longTerm    bool    // and was opened by the long-term detector
}

const (
	cooldownFactor = 100
	persistence    = 1000 // how much likelier an open episode is to go on than a new one is to begin
	habitFactor    = 3    // each remembered episode asks for this much more evidence
	habitMax       = 8
	habitual       = 4 // remembered episodes from which on one more of their kind is nothing new
	habitSize      = 3 // times the usual size, from which on an episode is of another kind
	habitLength    = 4 // times the usual length, likewise
)

// score turns the probability of the fast detector's evidence on a calm series into the probability that this series is
// not calm.
func (p *Params) score(s *Series, t int64, chance float64) float64 {
	// The statistics are correlated; counting them as separate attempts errs on the quiet side.
	byChance := min(1, fastStatistics*chance) * day / max(float64(s.interval), 1e-3)
	prior := p.AnomaliesPerDay
	switch {
	case s.abnormal && chance < 1:
		// What was abnormal a moment ago, and is still outside, most likely still is.
		prior *= persistence
	case !s.abnormal:
		if s.habit != 0 {
			prior /= math.Pow(habitFactor, p.habit(s, t))
		}
		if s.ended != 0 && t-s.ended < int64(p.Cooldown) {
			prior /= cooldownFactor
		}
	}
	return prior / (prior + byChance)
}

// longScore is the score of the long-term detector's evidence. It is MinScore where the evidence is just what is needed.
func (p *Params) longScore(s *Series) float64 {
	l := &s.long
	if s.abnormal && s.longTerm {
		// An episode of its own goes on while the mean is not normal in itself: the evidence is smoothed, and lasts.
		if l.outside {
			return max(p.MinScore, p.evidenceScore(l, s.sparse))
		}
		return 0
	}
	if !l.fresh || l.excess < leastExcess {
		return 0
	}
	return p.evidenceScore(l, s.sparse)
}

// leastExcess is the excess of evidence below which the score is as good as 0.
const leastExcess = -4

// evidenceScore is a/(a+c) for an excess of evidence: c, how often chance brings it, falls exponentially with it.
func (p *Params) evidenceScore(l *longterm, sparse bool) float64 {
	unit := evidenceUnit
	if sparse && l.excess > 0 {
		unit = singleUnit
	}
	return 1 / (1 + (1-p.MinScore)/p.MinScore*math.Exp(-bounded(float64(l.excess), 30)/unit))
}

// decide moves the series between normal and abnormal. adopted says that its level is a new one from now on.
func (p *Params) decide(s *Series, t int64, adopted bool, v *Verdict) {
	byLongTerm := false
	if long := p.longScore(s); long > v.Score {
		v.Score, byLongTerm = long, true
	}
	if v.Score >= suspicious {
		s.contribute(v, byLongTerm)
	}
	v.Onset = t
	switch {
	case int(s.points) <= p.WarmUpPoints || t-s.first < int64(p.WarmUpSpan):
		v.State, v.Score = Learning, 0
	case v.Score >= p.MinScore:
		p.abnormal(s, t, byLongTerm, v)
	case s.abnormal:
		v.State = Normal
		if s.shown {
			v.State, v.Onset = Recovered, s.onset
		}
		v.spike = s.ended == s.onset && !s.longTerm
		s.end(t)
	default:
		v.State = Normal
	}
	if !adopted {
		return
	}
	v.Adopted = true
	if s.abnormal {
		v.Score = min(v.Score, 0.5*p.MinScore)
		v.State = Normal
		if s.shown {
			v.State = Adopted
		}
		s.end(t)
	}
}

// abnormal opens an episode or carries it on.
func (p *Params) abnormal(s *Series, t int64, byLongTerm bool, v *Verdict) {
	if !s.abnormal {
		s.habit = float32(p.habit(s, t))
		s.onset = t
		if !s.sparse && s.side != 0 {
			s.onset = s.excursion
		}
		s.abnormal, s.shown, s.peak, s.longTerm = true, false, 0, byLongTerm
		s.long.alarm(t)
	}
	s.ended = t
	s.peak = max(s.peak, float32(math.Abs(v.Deviation)))
	v.Onset = s.onset
	if !s.shown && !s.longTerm && s.known(t) {
		v.State, v.Score = Habitual, 0.5*p.MinScore
		return
	}
	v.State, v.Opened = Abnormal, !s.shown
	s.shown = true
}

// contribute says which statistics made the score.
func (s *Series) contribute(v *Verdict, byLongTerm bool) {
	sum := float32(0)
	if byLongTerm {
		for i, x := range v.surprises {
			v.Contributions[int(LongLevel)+i] = x
			sum += x
		}
	} else {
		for i, chance := range v.fast {
			x := float32(-math.Log(max(chance, 1e-300)))
			v.Contributions[i] = x
			sum += x
		}
		v.Contributions[Silence] = float32(-math.Log(max(v.silence, 1e-300)))
		sum += v.Contributions[Silence]
	}
	if sum > 0 {
		for i := range v.Contributions {
			v.Contributions[i] /= sum
		}
	}
}

// habit is the number of episodes remembered.
func (p *Params) habit(s *Series, t int64) float64 {
	if p.Habituation == 0 || s.habit == 0 {
		return 0
	}
	return float64(s.habit) * math.Exp2(-float64(t-s.ended)/float64(p.Habituation))
}

// known reports whether the open episode is so far like many before.
func (s *Series) known(t int64) bool {
	return s.habit >= habitual &&
		math.Log(float64(s.peak)) <= float64(s.usualPeak)+math.Log(habitSize) &&
		float64(t-s.onset)/1e9 <= habitLength*float64(s.usualLength)
}

// end closes the open episode and remembers it.
func (s *Series) end(t int64) {
	s.habit = min(s.habit+1, habitMax)
	s.usualPeak = upper(s.usualPeak, float32(math.Log(max(float64(s.peak), tiny))), s.habit)
	s.usualLength = upper(s.usualLength, float32(t-s.onset)/1e9, s.habit)
	s.abnormal, s.shown = false, false
	s.ended = t
}

// upper follows the upper part of what is seen: up fast, down slowly.
func upper(usual, seen, n float32) float32 {
	switch {
	case n <= 1:
		return seen
	case seen > usual:
		return usual + 0.5*(seen-usual)
	default:
		return usual + 0.1*(seen-usual)
	}
}
