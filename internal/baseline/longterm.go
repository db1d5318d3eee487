package baseline

import (
	"math"
	"time"

	"github.com/paramedic-otel/paramedic/internal/tail"
)

// longterm follows a series over days: means of five minutes, or single points where they come more slowly than that.
// It finds what the fast statistics cannot: a small change that stays, a wrong time of day, a value never seen before.
//
// Six residuals - of the mean and of a short-term level, from the long-term level and from what the time of the day and
// of the week lets one expect; the step from the mean before; and how restless the series is, as a ratio to how restless
// it usually is - are each turned into the surprise (minus the logarithm of the probability) that they are to this
// series. A value outside all that was ever seen adds to it. The surprises are combined as a Euclidean norm and
// smoothed. How much evidence an alarm needs grows with the age of the series and with the alarms that it has had.
type longterm struct {
	season
	sum                 float64 // of the mean that is being formed
	formed              int64   // time of the first point in it
	judged              int64   // time of the last mean
	alarmed             int64   // time of the last alarm
	level, short        float64
	low, high           float64
	shortLow, shortHigh float64
	away                float64
	previous            float64 // mean
	tails               [residuals]tail.Tail
	scales              [residuals]float32
	residual            float32 // short-term level of what the profiles leave
	restless            float32 // short-term mean of its size
	oddLow, oddHigh     float32 // range of what the profiles leave
	deviation           float32 // of the last mean from what was expected
	awaySpread          float32
	usualLow, usualHigh float32 // offsets from the level between which the profiles expect a dense series within the hour
	evidence            float32
	excess              float32 // of the evidence over what is needed
	need                float32 // evidence, but for habituation
	spacing             float32 // seconds between means
	habit               float32 // alarms remembered, when the last one came
	means               uint32
	awayFor             uint16
	forming             uint16
	side                int8
	outside             bool // the last mean was not normal in itself
	fresh               bool // it came with the last point
	known               bool // that the series is away is known, and no news
}

// The residuals.
const (
	residualLevel = iota
	residualShort
	residualSeason
	residualShortSeason
	residualStep
	residualRestless
	residuals
)

// What may surprise, besides the residuals.
const (
	surpriseRecord = residuals + iota
	surpriseShortRecord
	surpriseOddRecord
	surprises
)

const (
	window           = 300.0  // seconds that a mean covers
	longMemory       = 1000.0 // means, of the level
	scaleMemory      = 5000.0 // means, of the spread of the residuals
	shortMemory      = 25.0   // means, of the short-term level
	longClip         = 6.0    // spreads beyond which a mean teaches no more
	seasonClip       = 10.0   // likewise, the profiles
	longSettled      = 20     // means before anything is clipped, or surprises
	recordWorth      = 200.0  // surprise of a value beyond the range of all others by the width of that range
	recordFade       = 0.0001 // share of their distance from the level by which the ends of a range come nearer
	oddFrom          = 1.0    // days before the range of what the profiles leave means anything
	surpriseMost     = 100.0
	smoothing        = 0.15
	floorRange       = 0.01 // least spread of a residual, as a share of the range of all values
	floorRestless    = 0.05 // and of restlessness
	restlessLeast    = 0.01 // of the least spread
	awayFrom         = 4.0  // spreads from which on the short-term level is away
	adoptAfter       = 250  // means that it must have been away to be adopted, where there is no fast level
	adoptRange       = 4.0  // mean deviations that the range of all values seen begins with then
	needed           = 4.5
	neededByAge      = 0.9 // for each power of e
	neededAge        = 1000.0
	neededYoungest   = 300.0
	neededByHabit    = 0.5
	neededWhereDense = 6.0  // more, where there are fast statistics as well, and for samples and counts
	neverExcess      = -1e6 // no evidence would do
	needEvery        = 16   // means after which what is needed is reckoned anew
	habitHalf        = 3000.0
	longCooldown     = 40.0 // means
	longWarmUp       = 170
	longTrial        = 2 * day // seconds
	evidenceUnit     = 0.56    // of evidence, which makes it e times rarer in a calm series, ...
	singleUnit       = 2.0     // ... and where single points are judged, far in the tail: records reach far
	usualAlarms      = 0.1 / 7 // a day, by chance, on a calm dense series: what needed holds for
	excusedFrom      = 3.0     // days that a profile must have seen to excuse anything
)

// steadiness is how much smaller the spread of a residual is at least taken to be than that of a mean of random arrivals.
var steadiness = [residuals]float64{
	residualLevel: 1, residualShort: 0.2, residualSeason: 1, residualShortSeason: 0.2, residualStep: 1.4,
}

var surprising = tail.Prior{Quantile: 0.025, Threshold: 2.3, Excess: 0.6, Shape: 0.2, Floor: 0.5}

// ordinary is the surprise at the threshold of the tail; below it is in proportion.
var ordinary = -math.Log(surprising.Quantile)

// gather takes a point of a dense series and judges the mean that it completes, if any. parts take the squares of what
// surprises.
func (l *longterm) gather(p *Params, first, t int64, v, quantum float64, limits *Limits, parts *[surprises]float32) {
	l.fresh = false
	if l.forming > 0 && float64(t-l.formed) >= window*float64(time.Second) {
		l.complete(p, first, l.formed+int64(window/2)*int64(time.Second), quantum, limits, parts)
		l.excuse(p, first, t)
	}
	if l.forming == 0 {
		l.formed = t
	}
	if l.forming < math.MaxUint16 {
		l.sum += v
		l.forming++
	}
}

// restart forgets all but the profiles, for a series that has become slow: what was learnt of the noise of means, and of their
// range, does not hold for single points.
func (l *longterm) restart() {
	*l = longterm{season: l.season}
}

// complete judges the mean that is being formed, of time at, as one of a dense series.
func (l *longterm) complete(p *Params, first, at int64, quantum float64, limits *Limits, parts *[surprises]float32) {
	n := float64(l.forming)
	mean := l.sum / n
	l.observe(p, first, at, mean, quantum/n, neededWhereDense, limits, parts)
	l.stay(mean)
	l.sum, l.forming = 0, 0
}

// single takes a point of a series that is not dense.
func (l *longterm) single(p *Params, first, t int64, v, quantum float64, limits *Limits, parts *[surprises]float32) (adopted bool) {
	if l.forming > 0 {
		l.complete(p, first, l.formed, quantum, limits, parts)
	}
	more := 0.0
	if limits.Sampled || quantum > 0 {
		more = neededWhereDense
	}
	l.observe(p, first, t, v, quantum, more, limits, parts)
	return l.stay(v)
}

// observe judges one mean and learns from it. first is the time of the first point of the series, quantum what
// one counted thing more adds to the mean, more the evidence that is needed beyond the usual.
func (l *longterm) observe(p *Params, first, t int64, x, quantum, more float64, limits *Limits, parts *[surprises]float32) {
	l.means++
	l.fresh = true
	n := float64(l.means)
	if l.means == 1 {
		l.begin(t, x)
		return
	}
	l.pace(t)
	now := p.moment(t)
	days, weeks := passes(first, t)
	byDay, byWeek := l.offsets(now, days, weeks)

	spread := max(float64(l.scales[residualLevel]), tiny)
	floor := max(floorRange*(l.high-l.low), tiny)
	r := l.residuals(n, x, byDay+byWeek, floor)
	l.surprise(n, x, floor, arrivals(quantum, l.level), days, more == 0, &r, parts)
	l.judge(p, t, more, limits)

	bound := longClip * spread
	if n <= longSettled {
		bound = math.Inf(1)
	}
	l.level += max(1/longMemory, 1/n) * bounded(r[residualLevel], bound)
	l.scale(max(float64(l.scales[residualLevel]), floor))
	l.learn(now, days, weeks, bounded(x-l.level, seasonClip*spread), byDay, float64(l.spacing))
}

// residuals returns what is left of a mean by each account. season is what the profiles expect, floor the least spread.
func (l *longterm) residuals(n, x, season, floor float64) (r [residuals]float64) {
	weight := max(1/shortMemory, 1/n)
	l.short += weight * (x - l.short)
	r[residualLevel] = x - l.level
	r[residualShort] = l.short - l.level
	r[residualSeason] = r[residualLevel] - season
	l.residual += float32((r[residualSeason] - float64(l.residual)) / shortMemory)
	r[residualShortSeason] = float64(l.residual)
	r[residualStep] = x - l.previous
	l.previous = x
	l.deviation = float32(r[residualSeason])

	usual := max(float64(l.scales[residualSeason]), floor)
	l.restless += float32(weight * (min(math.Abs(r[residualSeason]), longClip*usual) - float64(l.restless)))
	// Like the logarithm of the ratio, and cheaper.
	ratio := max(float64(l.restless), restlessLeast*floor) / usual
	r[residualRestless] = (ratio - 1) / math.Sqrt(ratio)
	return r
}

func (l *longterm) begin(t int64, x float64) {
	l.level, l.short, l.previous = x, x, x
	l.low, l.high, l.shortLow, l.shortHigh = x, x, x, x
	for i := range l.tails {
		l.tails[i] = surprising.Tail()
	}
	l.judged = t
	l.excess = neverExcess
}

func (l *longterm) pace(t int64) {
	step := float64(t-l.judged) / 1e9
	l.judged = t
	usual := float64(l.spacing)
	if usual == 0 {
		usual = step
	}
	l.spacing = float32(max(usual+0.05*(min(step, 3*usual)-usual), 1e-3))
}

// surprise adds the surprises up, and teaches the tails and the spreads. The ranges count where each value was judged by
// itself; means of a calm series leave them by a little rather often. counted is the least spread of what is counted.
func (l *longterm) surprise(n, x, floor, counted, days float64, ranges bool, r *[residuals]float64, parts *[surprises]float32) {
	squares := l.records(n, x, r[residualSeason], days, parts)
	if !ranges {
		squares = 0
		parts[surpriseRecord], parts[surpriseShortRecord], parts[surpriseOddRecord] = 0, 0, 0
	}
	w := max(1/scaleMemory, 1/(n-1))
	l.outside = n > longSettled
	for i, x := range r {
		scale, least := float64(l.scales[i]), max(floor, counted*steadiness[i])
		if i == residualRestless {
			least = floorRestless
		}
		a := math.Abs(x)
		if n > longSettled {
			z := a / max(scale, least)
			usual := l.tails[i].Threshold()
			s := ordinary * z / usual
			if z > usual {
				s = min(-math.Log(l.tails[i].Exceedance(&surprising, z, 0)), surpriseMost)
			} else if i == residualLevel || i == residualSeason {
				l.outside = false
			}
			l.tails[i].Observe(&surprising, z)
			squares += s * s
			parts[i] = float32(s * s)
			a = min(a, longClip*max(scale, tiny))
		}
		l.scales[i] += float32(w * (1.25*a - scale))
	}
	l.evidence += float32(smoothing * (math.Sqrt(squares) - float64(l.evidence)))
}

// records returns what values outside the ranges seen so far are worth, squared.
func (l *longterm) records(n, x, odd, days float64, parts *[surprises]float32) (squares float64) {
	worth := func(part int, e float64) {
		e = min(recordWorth*e, surpriseMost)
		squares += e * e
		parts[part] = float32(e * e)
	}
	if e := record(&l.low, &l.high, x); e > 0 {
		worth(surpriseRecord, e)
	}
	if e := record(&l.shortLow, &l.shortHigh, l.short); e > 0 && n > 10 {
		worth(surpriseShortRecord, e)
	}
	l.low += (l.level - l.low) * recordFade
	l.high += (l.level - l.high) * recordFade
	if days < oddFrom {
		return squares
	}
	low, high := float64(l.oddLow), float64(l.oddHigh)
	if e := record(&low, &high, odd); e > 0 {
		worth(surpriseOddRecord, e)
	}
	l.oddLow, l.oddHigh = float32(low-low*recordFade), float32(high-high*recordFade)
	return squares
}

// judge says how much more evidence there is than an alarm needs. On trial, alarms are only remembered unless there is much
// evidence: of a series of which little is known, much is new.
func (l *longterm) judge(p *Params, t int64, more float64, limits *Limits) {
	l.excess = neverExcess
	if l.means <= longWarmUp || l.known || !l.matters(limits) {
		return
	}
	if l.means%needEvery == 0 || l.need == 0 {
		unit := evidenceUnit
		if more == 0 {
			unit = singleUnit
		}
		l.need = float32(needed + neededByAge*math.Log(max(float64(l.means), neededYoungest)/neededAge) -
			unit*math.Log(p.alarmsPerDay()/usualAlarms))
	}
	excess := float64(l.evidence) - float64(l.need) - more
	if excess >= 0 && l.alarmed != 0 {
		since := l.since(t)
		if since < longCooldown {
			return
		}
		excess -= neededByHabit * float64(l.habit) * math.Exp2(-since/habitHalf)
	}
	if more == 0 && float64(l.means)*float64(l.spacing) < longTrial && excess >= 0 {
		if excess -= neededWhereDense; excess < 0 {
			l.alarm(t)
			return
		}
	}
	l.excess = float32(excess)
}

// alarmsPerDay is how often chance may bring MinScore to a calm series.
func (p *Params) alarmsPerDay() float64 {
	return p.AnomaliesPerDay * (1 - p.MinScore) / p.MinScore
}

// matters reports whether the deviation is one that matters, by its size and direction.
func (l *longterm) matters(limits *Limits) bool {
	d := float64(l.deviation)
	if short := float64(l.residual); math.Abs(short) > math.Abs(d) {
		d = short
	}
	if math.Abs(d) < limits.floor(l.level) {
		return false
	}
	return !(d > 0 && limits.IgnoreUp || d < 0 && limits.IgnoreDown)
}

// since returns the means since the last alarm.
func (l *longterm) since(t int64) float64 {
	return float64(t-l.alarmed) / 1e9 / float64(l.spacing)
}

// alarm remembers that an episode was opened.
func (l *longterm) alarm(t int64) {
	if l.alarmed != 0 && l.spacing > 0 {
		l.habit *= float32(math.Exp2(-l.since(t) / habitHalf))
	}
	l.habit++
	l.alarmed = t
}

// stay adopts a level from which the series has not come back.
func (l *longterm) stay(x float64) (adopted bool) {
	distance := (l.short - l.level) / max(float64(l.scales[residualLevel]), tiny)
	side := sideOf(distance)
	if math.Abs(distance) < awayFrom || (l.awayFor > 0 && side != l.side) {
		l.awayFor, l.known = 0, false
		return false
	}
	l.side = side
	l.awayFor++
	if l.awayFor == 1 {
		l.away, l.awaySpread = x, 0
	}
	w := max(1/float64(l.awayFor), 0.02)
	l.away += w * (x - l.away)
	l.awaySpread += float32(w * (math.Abs(x-l.away) - float64(l.awaySpread)))
	if l.awayFor < adoptAfter {
		return false
	}
	l.adopt(x, l.away, float64(l.awaySpread))
	return true
}

// adopt makes a level the new normal, with a mean deviation from it.
func (l *longterm) adopt(x, level, deviation float64) {
	l.level, l.short, l.residual = level, level, 0
	for _, i := range []int{residualLevel, residualSeason} {
		l.scales[i] = max(0.5*l.scales[i], float32(1.25*deviation))
	}
	l.low, l.high = min(level-adoptRange*deviation, x), max(level+adoptRange*deviation, x)
	l.shortLow, l.shortHigh = level-deviation, level+deviation
	l.evidence, l.awayFor, l.outside, l.known = 0, 0, false, false
}

// excuse notes where the profiles expect a dense series at this time of the day and of the week: bins are broad, so an hour
// earlier or later is as good.
func (l *longterm) excuse(p *Params, first, t int64) {
	if float64(t-first) < excusedFrom*day*1e9 {
		return
	}
	low, high := math.Inf(1), math.Inf(-1)
	for hours := int64(-1); hours <= 1; hours++ {
		then := t + hours*int64(time.Hour)
		days, weeks := passes(first, then)
		byDay, byWeek := l.offsets(p.moment(then), days, weeks)
		low, high = min(low, byDay+byWeek), max(high, byDay+byWeek)
	}
	l.usualLow, l.usualHigh = float32(low), float32(high)
}

// excused returns how far a value lies from a level, less what the profiles account for. Small distances are left as they
// are: they tell what the noise is like.
func (l *longterm) excused(v, level, spread float64) float64 {
	switch distance := v - level; {
	case distance > clip*spread && l.usualHigh > l.usualLow:
		return max(0, min(distance, v-(l.level+float64(l.usualHigh))))
	case distance < -clip*spread && l.usualHigh > l.usualLow:
		return min(0, max(distance, v-(l.level+float64(l.usualLow))))
	default:
		return distance
	}
}

// tell says what was expected of the last mean.
func (l *longterm) tell(v *Verdict, x float64) {
	spread := max(float64(l.scales[residualSeason]), max(floorRange*(l.high-l.low), tiny))
	v.Deviation = bounded(float64(l.deviation)/spread, largestDeviation)
	v.Expected = x - float64(l.deviation)
	band := l.tails[residualSeason].Threshold() * spread
	v.Lower, v.Upper = v.Expected-band, v.Expected+band
}

// record widens a range to hold x and returns how far outside it was, in units of the range's width.
func record(low, high *float64, x float64) float64 {
	width := max(*high-*low, tiny)
	switch {
	case x > *high:
		e := x - *high
		*high = x
		return e / width
	case x < *low:
		e := *low - x
		*low = x
		return e / width
	default:
		return 0
	}
}
