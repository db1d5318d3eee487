// Package tail estimates, from a stream and in constant space, how improbable a large value is.
//
// It keeps a running high quantile (a stochastic approximation, Robbins and Monro 1951) and the first two moments of
// the excesses over it, and describes the excesses with a generalised Pareto distribution, as peaks over threshold does
// (Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory", KDD 2017). The shape is shrunk to a prior
// and widened by the uncertainty about the scale: the predictive distribution of an exponential variable with k
// observed values has a tail index of 1/k. So little data means caution, not confidence.
package tail

import "math"

// Quantile is the share of values that lie above the running threshold unless the prior says otherwise.
const Quantile = 0.02

const (
	shapeMin      = 0.02
	shapeMax      = 0.45
	shapeWeight   = 10   // excesses that weigh as much as the prior shape
	scaleWeight   = 40   // excesses that weigh as much as the prior scale
	memory        = 1000 // excesses after which old ones are forgotten
	largestExcess = 10   // one value counts for at most this many mean excesses
	smallestScale = 0.2
	unsure        = 100 // the shape is taken heavier by its standard error, as if from this many excesses more
)

// Prior is what is believed about the tail of a statistic, in its own unit, before data are seen.
type Prior struct {
	// Quantile is the share of values that lie above the running threshold; 0 means [Quantile].
	Quantile float64
	// Threshold is the value that this share of the values exceed.
	Threshold float64
	// Excess is the mean excess over it.
	Excess float64
	// Shape is the Pareto tail index; 0 is exponential.
	Shape float64
	// Floor is the least threshold.
	Floor float64
}

func (p *Prior) quantile() float64 {
	if p.Quantile > 0 {
		return p.Quantile
	}
	return Quantile
}

// Tail is the state of one estimate. Its zero value is not usable; see [Prior.Tail].
type Tail struct {
	threshold float32
	mean      float32
	square    float32
	excesses  float32
}

// Tail returns an estimate that knows nothing but the prior.
func (p *Prior) Tail() Tail {
	// The second moment of a generalised Pareto variable follows from its mean and shape.
	return Tail{
		threshold: float32(p.Threshold),
		mean:      float32(p.Excess),
		square:    float32(2 * p.Excess * p.Excess * (1 - p.Shape) / (1 - 2*p.Shape)),
	}
}

// Observe learns from a value.
func (t *Tail) Observe(p *Prior, x float64) {
	u, mean := float64(t.threshold), max(float64(t.mean), smallestScale)
	k := float64(t.excesses)
	gain := mean * (0.5 + 2/(1+k/5))
	if x <= u {
		t.threshold = float32(max(u-gain*p.quantile(), p.Floor))
		return
	}
	excess := min(x-u, largestExcess*mean)
	w := 1 / (min(k, memory) + scaleWeight)
	t.mean += float32(w * (excess - float64(t.mean)))
	t.square += float32(w * (excess*excess - float64(t.square)))
	t.excesses = float32(min(k+1, memory))
	t.threshold = float32(u + gain*(1-p.quantile()))
}

// Threshold returns the running quantile.
func (t *Tail) Threshold() float64 { return float64(t.threshold) }

// Exceedance returns the probability that a value is larger than x; 1 when x is nothing special. heavier is added to
// the estimated shape: what is known about the tail from elsewhere.
func (t *Tail) Exceedance(p *Prior, x, heavier float64) float64 {
	u := float64(t.threshold)
	if x <= u {
		return 1
	}
	shape, scale := t.pareto(p, heavier)
	return p.quantile() * math.Pow(1+shape*(x-u)/scale, -1/shape)
}

// pareto returns the shape and the scale of the distribution of the excesses.
func (t *Tail) pareto(p *Prior, heavier float64) (shape, scale float64) {
	mean := max(float64(t.mean), smallestScale)
	k := float64(t.excesses)
	shape = p.Shape
	if variance := float64(t.square) - mean*mean; variance > 0 {
		moment := 0.5 * (1 - mean*mean/variance)
		shape = (k*moment + shapeWeight*p.Shape) / (k + shapeWeight)
	}
	shape += heavier
	shape = min(max(shape+1/math.Sqrt(k+unsure), shapeMin), shapeMax)
	return shape, mean * (1 - shape)
}

// State returns what was learnt, for [Tail.Restore].
func (t *Tail) State() [4]float32 {
	return [4]float32{t.threshold, t.mean, t.square, t.excesses}
}

// Restore replaces what was learnt, and says whether it can have been learnt at all.
func (t *Tail) Restore(state [4]float32) bool {
	for _, v := range state {
		if !(v >= 0 && v <= math.MaxFloat32) {
			return false
		}
	}
	*t = Tail{threshold: state[0], mean: state[1], square: state[2], excesses: state[3]}
	return true
}

// Merge adds what another estimate has learnt of the same statistic, weighed by the excesses that each has seen.
func (t *Tail) Merge(other *Tail) {
	sum := t.excesses + other.excesses
	if sum == 0 {
		return
	}
	share := other.excesses / sum
	t.threshold += share * (other.threshold - t.threshold)
	t.mean += share * (other.mean - t.mean)
	t.square += share * (other.square - t.square)
	t.excesses = min(sum, memory)
}
