// Package calibration makes of a score a probability that can be believed, and measures how far stated probabilities can
// be: of the answers given with 0.9, nine in ten should be right.
//
// The map is Platt's (J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999): a logistic function with two
// parameters, here of the score's own log odds, so that intercept 0 and slope 1 leave a score as it is (beta calibration
// with equal parameters: M. Kull et al., AISTATS 2017). It is monotone, so no order changes. The reliability table and the
// expected calibration error are those of M. P. Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian
// Binning", AAAI 2015.
package calibration

import "math"

// Map is a logistic map from scores to probabilities.
type Map struct {
	// Intercept and Slope are of the log odds. The slope is positive.
	Intercept, Slope float64
}

// edge keeps log odds finite.
const edge = 1e-6

func logOdds(p float64) float64 {
	p = min(max(p, edge), 1-edge)
	return math.Log(p / (1 - p))
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// Of returns the probability of a score in [0, 1]; 0 for a score of 0, or one that is no number.
func (m Map) Of(score float64) float64 {
	if !(score > 0) {
		return 0
	}
	return logistic(m.Intercept + m.Slope*logOdds(score))
}

// Score returns the score of a probability: what [Map.Of] makes it of.
func (m Map) Score(probability float64) float64 {
	if !(probability > 0) {
		return 0
	}
	return logistic((logOdds(probability) - m.Intercept) / m.Slope)
}

// Outcome is a stated score or probability, and whether the answer was right.
type Outcome struct {
	Stated float64
	Right  bool
}

const (
	// iterations bounds Newton's method, which takes about ten.
	iterations = 100
	// ridge keeps the slope finite where the outcomes can be told apart completely, as a Gaussian prior around 1 would.
	ridge = 0.5
	// leastSlope keeps the map monotone.
	leastSlope = 0.05
)

// Fit returns the map under which the outcomes are likeliest, with Platt's targets, which are a little short of 0 and 1, and
// a weak pull to a slope of 1. Without outcomes that is the map that changes nothing.
func Fit(outcomes []Outcome) Map {
	right := 0.0
	for _, o := range outcomes {
		if o.Right {
			right++
		}
	}
	wrong := float64(len(outcomes)) - right
	high, low := (right+1)/(right+2), 1/(wrong+2)
	m := Map{Slope: 1}
	for range iterations {
		// The gradient and the Hessian of the negative log likelihood.
		var ga, gb, haa, hab, hbb float64
		for _, o := range outcomes {
			x, target := logOdds(o.Stated), low
			if o.Right {
				target = high
			}
			p := logistic(m.Intercept + m.Slope*x)
			ga += p - target
			gb += (p - target) * x
			w := p * (1 - p)
			haa += w
			hab += w * x
			hbb += w * x * x
		}
		gb += ridge * (m.Slope - 1)
		hbb += ridge
		haa += 1e-9
		det := haa*hbb - hab*hab
		if det <= 0 {
			break
		}
		da, db := (hbb*ga-hab*gb)/det, (haa*gb-hab*ga)/det
		m.Intercept -= da
		m.Slope = max(leastSlope, m.Slope-db)
		if math.Abs(da)+math.Abs(db) < 1e-9 {
			break
		}
	}
	return m
}

// Bin is one part of the range of stated probabilities.
type Bin struct {
	// From and To are its ends.
	From, To float64
	// N is the number of outcomes in it, Stated the mean of what was stated and Right the share of right answers.
	N             int
	Stated, Right float64
}

// Reliability returns the bins, as many equal parts of [0, 1], that hold any outcome.
func Reliability(outcomes []Outcome, bins int) []Bin {
	all := make([]Bin, bins)
	for _, o := range outcomes {
		b := &all[min(max(int(o.Stated*float64(bins)), 0), bins-1)]
		b.N++
		b.Stated += o.Stated
		if o.Right {
			b.Right++
		}
	}
	held := all[:0]
	for i, b := range all {
		if b.N == 0 {
			continue
		}
		b.From, b.To = float64(i)/float64(bins), float64(i+1)/float64(bins)
		b.Stated /= float64(b.N)
		b.Right /= float64(b.N)
		held = append(held, b)
	}
	return held
}

// Error returns the expected calibration error: by how much what was stated in a bin and the share of right answers in it
// differ, on average over the outcomes.
func Error(bins []Bin) float64 {
	sum, n := 0.0, 0
	for _, b := range bins {
		sum += float64(b.N) * math.Abs(b.Stated-b.Right)
		n += b.N
	}
	return sum / float64(max(1, n))
}

// Brier returns the mean squared difference of what was stated from 1 for a right answer and 0 for a wrong one.
func Brier(outcomes []Outcome) float64 {
	sum := 0.0
	for _, o := range outcomes {
		d := o.Stated
		if o.Right {
			d--
		}
		sum += d * d
	}
	return sum / float64(max(1, len(outcomes)))
}
