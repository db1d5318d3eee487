// Package excess tells how surprising a count is, given what was counted before on how much exposure.
//
// Failures among requests, slow requests among requests, calls that a service makes for each request that it gets, error
// log records among log records, steps of a log sequence that did not follow: all of them are counts of events on an
// exposure. With K events on an exposure of N in the past and a Gamma prior, the events on a new exposure of n follow the
// negative binomial distribution with r = K + 1/2 and p = N / (N + n): the posterior predictive distribution of a Poisson
// rate (A. Gelman et al., "Bayesian Data Analysis", 3rd edition, section 2.6, with Jeffreys' prior). Its tails stay honest
// when little has been seen: nothing is surprising after a short past, so no warm-up is needed.
//
// [Scan] looks for the most surprising of several windows that end now, as scan statistics do (J. Glaz, J. Naus,
// S. Wallenstein, "Scan Statistics", 2001): a busy series speaks within seconds, a quiet one when enough has come
// together.
package excess

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// MaxSurprise bounds every surprise, where the probability underflows.
const MaxSurprise = 300

// maxPastEvents bounds how exactly the past is believed to tell the rate: real rates drift, so more than this many
// events do not sharpen the expectation any further.
const maxPastEvents = 200

// Cell is what was counted in one time bucket.
type Cell struct {
	// Events is the count in question.
	Events float64
	// Exposure is what the events could have happened on, in any unit: requests, records, seconds.
	Exposure float64
}

// Share returns the events for each unit of exposure, 0 without any.
func (c Cell) Share() float64 {
	if c.Exposure <= 0 {
		return 0
	}
	return c.Events / c.Exposure
}

// jeffreys is what is believed of a share of which nothing is known: half an event, half a trial without one.
var jeffreys = Cell{Events: 0.5, Exposure: 1}

// Above returns -log10 of the probability to count at least now.Events on now.Exposure, given the past and a dispersion
// (variance over mean, at least 1). It is in [0, MaxSurprise]; 0 without a past.
func Above(now, past Cell, dispersion float64) float64 {
	r, q, ok := predictive(now, past, dispersion)
	k := now.Events / dispersion
	if !ok || k <= 0 {
		return 0
	}
	// P(X >= k) = I_q(k, r).
	return surprise(mathext.RegIncBeta(k, r, q), func() float64 { return logUpperTail(k, r, q) })
}

// maxTrials bounds the trials that a tail is summed over; larger samples are scaled down, which understates surprise.
const maxTrials = 512

// AboveShare is like [Above] for events that are a part of the exposure, each trial having the event or not: failed of
// all requests. Its distribution is the beta-binomial one, which does not let a share exceed 1 and so is sharper where
// the share was high before. What is believed without any past is Jeffreys' prior.
func AboveShare(now, past Cell, dispersion float64) float64 {
	return aboveShare(now, past, jeffreys, dispersion)
}

func aboveShare(now, past, prior Cell, dispersion float64) float64 {
	if now.Exposure <= 0 || past.Exposure <= 0 || now.Events <= 0 {
		return 0
	}
	if rest := past.Exposure - past.Events; past.Events > maxPastEvents && rest > maxPastEvents {
		scale := maxPastEvents / min(past.Events, rest)
		past.Events *= scale
		past.Exposure *= scale
	}
	scale := min(1, maxTrials/(now.Exposure/dispersion)) / dispersion
	n := max(1, math.Round(now.Exposure*scale))
	k := min(n, math.Floor(now.Events*scale+0.5))
	if k < 1 {
		return 0
	}
	a := past.Events/dispersion + prior.Events
	b := max(0, past.Exposure-past.Events)/dispersion + max(0, prior.Exposure-prior.Events)
	// The largest term may underflow where their ratios do not: sum relative to it.
	logMass := logBeta(a+n, b) - logBeta(a, b)
	sum, term, shift := 0.0, 1.0, logMass
	for x := n; x >= k; x-- {
		sum += term
		// P(x-1) / P(x) of the beta-binomial distribution.
		term *= x / (n - x + 1) * (b + n - x) / (a + x - 1)
		if sum > 1e200 {
			sum, term, shift = sum*1e-200, term*1e-200, shift+200*math.Ln10
		}
	}
	s := -(math.Log(sum) + shift) / math.Ln10
	if math.IsNaN(s) || s < 0 {
		return 0
	}
	return min(s, MaxSurprise)
}

func logBeta(a, b float64) float64 {
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	return la + lb - lab
}

// Below returns -log10 of the probability to count at most now.Events on now.Exposure; see [Above].
func Below(now, past Cell, dispersion float64) float64 {
	r, q, ok := predictive(now, past, dispersion)
	if !ok {
		return 0
	}
	// P(X <= k) = I_p(r, k + 1).
	k := now.Events / dispersion
	return surprise(mathext.RegIncBeta(r, k+1, 1-q), func() float64 { return -r * math.Log10(1-q) })
}

// Expected returns the count that the past lets expect on an exposure.
func Expected(exposure float64, past Cell) float64 {
	if past.Exposure <= 0 {
		return 0
	}
	return exposure * past.Events / past.Exposure
}

// predictive returns the parameters of the negative binomial distribution: r and q = n / (N + n).
func predictive(now, past Cell, dispersion float64) (r, q float64, ok bool) {
	if now.Exposure <= 0 || past.Exposure <= 0 {
		return 0, 0, false
	}
	if past.Events > maxPastEvents {
		past.Exposure *= maxPastEvents / past.Events
		past.Events = maxPastEvents
	}
	return past.Events/dispersion + 0.5, now.Exposure / (past.Exposure + now.Exposure), true
}

func surprise(p float64, whenUnderflow func() float64) float64 {
	s := -math.Log10(p)
	if p < 1e-290 {
		s = whenUnderflow()
	}
	if math.IsNaN(s) || s < 0 {
		return 0
	}
	return min(s, MaxSurprise)
}

// logUpperTail approximates -log10 I_q(k, r) by its leading term, for tails that underflow.
func logUpperTail(k, r, q float64) float64 {
	lgk, _ := math.Lgamma(k)
	lgr, _ := math.Lgamma(r)
	lgkr, _ := math.Lgamma(k + r)
	ln := k*math.Log(q) + r*math.Log1p(-q) - math.Log(k) - (lgk + lgr - lgkr)
	return -ln / math.Ln10
}
