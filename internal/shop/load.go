package shop

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

const (
	dayAmplitude  = 0.42 // of the daily curve
	dayHarmonic   = 0.08 // of the evening shoulder
	weekAmplitude = 0.1
	dayPeak       = 0.6  // of the day: 14:24 with a period of 24 hours
	weekPeak      = 0.72 // of the week
	loadNoise     = 0.02 // standard deviation of the logarithm
	noiseMemory   = 0.995
)

// loadCurve is the demand over time: a daily and a weekly rhythm with slow noise around them.
type loadCurve struct {
	rate   float64
	period time.Duration
	steady bool // without the rhythms
	rng    *rand.Rand
	noise  float64
}

// at advances the noise by one tick and returns the requests per second at now.
func (l *loadCurve) at(now time.Time) float64 {
	l.noise = noiseMemory*l.noise + loadNoise*math.Sqrt(1-noiseMemory*noiseMemory)*l.rng.NormFloat64()
	if l.steady {
		return l.rate * math.Exp(l.noise)
	}
	return l.rate * seasonal(now, l.period) * math.Exp(l.noise)
}

func seasonal(now time.Time, period time.Duration) float64 {
	const dayOfEpoch = 3 // weeks begin on a Monday, the epoch on a Thursday
	days := float64(now.Unix()) / period.Seconds()
	day := 2 * math.Pi * (days - dayPeak)
	week := 2 * math.Pi * ((days+dayOfEpoch)/7 - weekPeak)
	return 1 + dayAmplitude*math.Cos(day) + dayHarmonic*math.Cos(2*day+1) + weekAmplitude*math.Cos(week)
}

// poisson draws a count with the given mean.
func poisson(rng *rand.Rand, mean float64) int {
	const normalFrom = 50
	if mean <= 0 {
		return 0
	}
	if mean > normalFrom {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*rng.NormFloat64())))
	}
	limit, product, n := math.Exp(-mean), rng.Float64(), 0
	for product > limit {
		product *= rng.Float64()
		n++
	}
	return n
}

// logNormal draws from a log-normal distribution with the given mean.
func logNormal(rng *rand.Rand, mean, sigma float64) float64 {
	return mean * math.Exp(sigma*rng.NormFloat64()-sigma*sigma/2)
}

// erlangC is the chance that a request has to wait for one of c workers that are busy with a erlangs.
func erlangC(c int, a float64) float64 {
	b := 1.0 // Erlang B by its recurrence, which does not overflow as the factorials would
	for i := 1; i <= c; i++ {
		b = a * b / (float64(i) + a*b)
	}
	rho := a / float64(c)
	return b / (1 - rho*(1-b))
}

// visits adds to out how often each service is called for one run of the operation.
func visits(o *operation, weight float64, shop []*service, hitRatio float64, out *[serviceCount]float64) {
	out[o.service] += weight
	svc := shop[o.service]
	if svc.effect.down || svc.silent == 1 {
		return
	}
	weight *= 1 - svc.silent
	visitSteps(o.steps, weight, shop, hitRatio, out)
}

func visitSteps(steps []step, weight float64, shop []*service, hitRatio float64, out *[serviceCount]float64) {
	for i := range steps {
		s := &steps[i]
		switch s.kind {
		case stepCall:
			visits(s.op, weight, shop, hitRatio, out)
		case stepQuery:
			out[s.to] += weight
			visitSteps(s.onMiss, weight*(1-hitRatio), shop, hitRatio, out)
		case stepPublish:
			for _, c := range s.consumers {
				visits(c, weight, shop, hitRatio, out)
			}
		}
	}
}

// maxLoad bounds [Simulation.SetLoad].
const maxLoad = 20

// ramp is a factor that moves in a straight line from one value to the next. Its zero value stays at 1.
type ramp struct {
	from, to   float64
	start, end time.Time
}

func (r *ramp) at(now time.Time) float64 {
	switch {
	case r.end.IsZero():
		return 1
	case !now.Before(r.end):
		return r.to
	}
	return r.from + (r.to-r.from)*now.Sub(r.start).Seconds()/r.end.Sub(r.start).Seconds()
}

// SetLoad makes the demand of users move from what it is to factor times the load curve, within the given time. It is no fault: it
// stays until the next call.
func (s *Simulation) SetLoad(factor float64, within time.Duration) error {
	if !(factor >= 0 && factor <= maxLoad) || within < 0 {
		return fmt.Errorf("%w: load must be between 0 and %d times the curve, within a time that is not negative, got %v within %s",
			ErrInvalid, maxLoad, factor, within)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.demanded = ramp{from: s.demanded.at(now), to: factor, start: now, end: now.Add(within)}
	return nil
}
