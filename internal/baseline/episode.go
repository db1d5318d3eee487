package baseline

import (
	"math"
)

// score turns the probability of the evidence on a calm series into the probability that this series is not calm.
func (p *Params) score(s *Series, t int64, chance float64) float64 {
	// The statistics are correlated; counting them as separate attempts errs on the quiet side.
	byChance := math.Min(1, statistics*chance) * day / math.Max(float64(s.interval), 1e-3)
	prior := p.AnomaliesPerDay
	switch {
	case s.abnormal && chance < 1:
		// What was abnormal a moment ago, and is still outside, most likely still is.
		prior *= persistence
	case !s.abnormal:
		prior /= math.Pow(habitFactor, p.habit(s, t))
		if s.ended != 0 && t-s.ended < int64(p.Cooldown) {
			prior /= cooldownFactor
		}
	}
	return prior / (prior + byChance)
}

// follow keeps track of the present excursion: since when the series has been away from its level on one side, and
// where it is there.
func (s *Series) follow(t int64, v, distance float64) {
	side := int8(0)
	if math.Abs(distance) >= outside {
		side = sideOf(distance)
	}
	if side == 0 || side != s.side {
		s.side, s.awayPoints = side, 0
		s.excursion = t
	}
	if side == 0 {
		return
	}
	s.awayPoints++
	if s.awayPoints == 1 {
		s.away, s.awaySpread = v, 0
		return
	}
	w := math.Max(1/float64(s.awayPoints), 1.0/minMemory)
	s.awaySpread += w * (meanToSpread*math.Abs(v-s.away) - s.awaySpread)
	s.away += w * (v - s.away)
}

// decide moves the series between normal and abnormal.
func (p *Params) decide(s *Series, t int64, spread float64, v *Verdict) {
	v.Onset = t
	switch {
	case int(s.points) <= p.WarmUpPoints || t-s.first < int64(p.WarmUpSpan):
		v.State, v.Score = Learning, 0
	case v.Score >= p.MinScore:
		if !s.abnormal {
			s.habit = float32(p.habit(s, t))
			s.onset = s.excursion
			s.abnormal, s.shown, s.peak = true, false, 0
		}
		s.ended = t
		s.peak = max(s.peak, float32(math.Abs(v.Deviation)))
		v.Onset = s.onset
		if !s.shown && s.known(t) {
			v.State, v.Score = Habitual, 0.5*p.MinScore
			break
		}
		v.State, v.Opened = Abnormal, !s.shown
		s.shown = true
	case s.abnormal:
		v.State = Normal
		if s.shown {
			v.State, v.Onset = Recovered, s.onset
		}
		if s.ended == s.onset {
			s.spike(spread)
		}
		s.end(t)
	default:
		v.State = Normal
	}
	if s.side != 0 && s.awayPoints >= minMemory/4 && t-s.excursion >= int64(p.LevelShiftAfter) {
		if s.abnormal {
			v.Score = math.Min(v.Score, 0.5*p.MinScore)
			v.State = Normal
			if s.shown {
				v.State = Adopted
			}
			s.end(t)
		}
		s.adopt()
		v.Adopted = true
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
	s.usualPeak = upper(s.usualPeak, float32(math.Log(float64(s.peak))), s.habit)
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
