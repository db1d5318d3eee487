// Package autoencoder learns online what the vectors of one entity usually look like, and tells how badly the next one fits.
//
// It is a small variational autoencoder (Kingma and Welling, "Auto-Encoding Variational Bayes", 2014): one hidden layer with
// tanh on either side of a Gaussian latent vector, trained by the reparametrisation trick with Adam (Kingma and Ba, 2015)
// and gradients clipped by norm. The weight of the Kullback-Leibler term rises from 0 while it learns (Bowman et al., 2016),
// or the latent vector would be ignored. The variance of the decoder is not learnt by gradient but is the running variance
// of what it gets wrong, coordinate by coordinate (Rybkin, Daniilidis and Levine, "Simple and Effective VAE Training with
// Calibrated Decoders", ICML 2021).
//
// Inputs are standardised by a running Huberised level and spread. Each vector is learnt once, with some of those before it,
// so that hundreds of vectors are enough. Two statistics are judged by package evidence: the reconstruction error of the vector,
// and the largest running mean of a coordinate's error, in which shows what is small but lasts. What is said is the
// probability that a usual vector fits as badly. Vectors that fit badly teach little or nothing, until they have come for
// so long that they are the new normal.
package autoencoder

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/paramedic-otel/paramedic/internal/evidence"
)

// Bounds of the parameters.
const (
	MaxInputs = 256
	MaxHidden = 256
	MaxLatent = 64
	MaxWindow = 65536
)

// Params are the parameters of an autoencoder.
type Params struct {
	// Inputs, Hidden and Latent are the lengths of the vectors, of the hidden layers and of the latent vector.
	Inputs, Hidden, Latent int
	// Window is the number of vectors remembered to be learnt again, 1 to MaxWindow.
	Window int
	// Memory is the number of vectors after which a remembered one has most likely made room for another, at least 1: with more
	// than Window, not every vector is remembered, and one that is replaces a random one.
	Memory int
	// Replay is how many of them are learnt again with each new vector, 0 to 64.
	Replay int
	// LearningRate is Adam's, greater than 0 and at most 0.1.
	LearningRate float64
	// Annealing is the number of gradient steps until the Kullback-Leibler term has its full weight, 1 to 1000000.
	Annealing int
	// Clip bounds the norm of a gradient; greater than 0.
	Clip float64
	// WarmUp is the number of vectors learnt before one is judged, 8 to 1000000.
	WarmUp int
	// AdoptAfter is the number of consecutive vectors that fit badly after which they are learnt all the same; at least 1.
	AdoptAfter int
	// Seed is the only source of randomness.
	Seed uint64
}

// DefaultParams are for vectors of some coordinates that follow a few common causes.
func DefaultParams(inputs int) Params {
	return Params{
		Inputs: inputs, Hidden: min(16, max(4, inputs)), Latent: min(4, max(1, inputs/4)), Window: 512, Memory: 512, Replay: 4,
		LearningRate: 0.003, Annealing: 2000, Clip: 10, WarmUp: 128, AdoptAfter: 360, Seed: 1,
	}
}

// Validate reports everything that is wrong with the parameters.
func (p *Params) Validate() error {
	var errs []error
	check := func(name string, v, least, most int) {
		if v < least || v > most {
			errs = append(errs, fmt.Errorf("%s must be between %d and %d, got %d", name, least, most, v))
		}
	}
	check("inputs", p.Inputs, 1, MaxInputs)
	check("hidden", p.Hidden, 1, MaxHidden)
	check("latent", p.Latent, 1, MaxLatent)
	check("window", p.Window, 1, MaxWindow)
	check("memory", p.Memory, 1, 100_000_000)
	check("replay", p.Replay, 0, 64)
	check("annealing", p.Annealing, 1, 1_000_000)
	check("warm-up", p.WarmUp, 8, 1_000_000)
	check("adopt after", p.AdoptAfter, 1, 1_000_000)
	if !(p.LearningRate > 0 && p.LearningRate <= 0.1) {
		errs = append(errs, fmt.Errorf("learning rate must be greater than 0 and at most 0.1, got %v", p.LearningRate))
	}
	if !(p.Clip > 0 && p.Clip <= 1e6) {
		errs = append(errs, fmt.Errorf("clip must be greater than 0 and at most 1e6, got %v", p.Clip))
	}
	return errors.Join(errs...)
}

const (
	odd          = 0.01 // probability from which on a vector teaches little,
	abnormal     = 1e-4 // and nothing
	little       = 0.1
	largestValue = 1e150
	largestInput = 20   // spreads; beyond it nothing changes but the network would saturate
	leastNoise   = 1e-3 // variance of the decoder, in squared spreads
	noiseMemory  = 500
	driftWeight  = 0.2 // of a vector in the running mean of its error
	mostDrift    = 3
	mostError    = 6 // a coordinate counts for no more: a spike of one is seen without an autoencoder
)

// Verdict is what the autoencoder says about a vector.
type Verdict struct {
	// Ready says that enough was learnt to judge; else Chance is 1.
	Ready bool
	// Chance is the probability that a usual vector fits as badly.
	Chance float64
	// Size is the distance of the error's logarithm from its usual level, in its usual spreads.
	Size float64
	// Drift is the largest running mean of a coordinate's error, in units of what is usual for it.
	Drift float64
	// Error is the mean squared error of the coordinates that were there, in units of what is usual for each.
	Error float64
}

// Autoencoder is the state. It is not safe for concurrent use.
type Autoencoder struct {
	params Params
	net    network
	inputs []standard
	// noise is the running variance of each coordinate's error.
	noise []float64
	// window holds the vectors as they came, NaN for what was missing; the next one goes to slot at.
	window   []float64
	at, held int
	learnt   int
	badly    int
	// drift is the running mean of each coordinate's error; what lasts shows in it above the noise.
	drift []float64
	// odd judges the error of a vector, drifted the largest lasting error.
	odd, drifted evidence.Surprise
	source       rand.PCG
	random       *rand.Rand
	x, terms     []float64
	known        []bool
}

// New returns an autoencoder that has seen nothing.
func New(p Params) (*Autoencoder, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	a := &Autoencoder{
		params: p, inputs: make([]standard, p.Inputs), noise: make([]float64, p.Inputs), window: make([]float64, p.Window*p.Inputs),
		x: make([]float64, p.Inputs), terms: make([]float64, p.Inputs), drift: make([]float64, p.Inputs), known: make([]bool, p.Inputs),
	}
	for i := range a.noise {
		a.noise[i] = 1
	}
	a.source.Seed(p.Seed, 0x5851f42d4c957f2d)
	a.random = rand.New(&a.source)
	a.net = newNetwork(p.Inputs, p.Hidden, p.Latent, a.random)
	return a, nil
}

// Learnt returns the number of vectors learnt.
func (a *Autoencoder) Learnt() int { return a.learnt }

// Observe judges x, then learns from it. NaN stands for a missing coordinate, which has no say. If contributions is not nil it
// receives the share of each coordinate in the error; they sum to 1, or to 0 when there is no error.
func (a *Autoencoder) Observe(x, contributions []float64) Verdict {
	v := a.judge(x, contributions)
	rate := 1.0
	switch {
	case !v.Ready:
	case v.Chance < abnormal:
		rate = 0
	case v.Chance < odd:
		rate = little
	}
	if rate < 1 {
		if a.badly++; a.badly > a.params.AdoptAfter {
			rate = 1
		}
	} else {
		a.badly = 0
	}
	a.learn(x, rate, v)
	return v
}

func (a *Autoencoder) judge(x, contributions []float64) Verdict {
	if contributions != nil {
		clear(contributions)
	}
	v := Verdict{Chance: 1}
	if a.learnt == 0 {
		return v
	}
	n := a.load(x)
	a.net.encode(a.x)
	a.net.decode(a.net.mean)
	if n == 0 {
		return v
	}
	sum := 0.0
	for i, known := range a.known {
		a.terms[i] = 0
		if known {
			e := (a.x[i] - a.net.output[i]) / math.Sqrt(a.noise[i])
			e = math.Max(-mostError, math.Min(mostError, e))
			a.terms[i] = e * e
			sum += a.terms[i]
			a.drift[i] += driftWeight * (math.Max(-mostDrift, math.Min(mostDrift, e)) - a.drift[i])
			v.Drift = math.Max(v.Drift, math.Abs(a.drift[i]))
		}
	}
	v.Error = sum / float64(n)
	if a.learnt >= a.params.WarmUp {
		v.Ready = true
		v.Chance, v.Size = a.odd.Judge(math.Sqrt(v.Error))
		if chance, size := a.drifted.Judge(v.Drift); chance < v.Chance {
			v.Chance, v.Size = chance, size
			sum = 0
			for i, d := range a.drift {
				a.terms[i] = d * d
				sum += d * d
			}
		}
		// Either of two may be odd by chance.
		v.Chance = math.Min(1, 2*v.Chance)
	}
	if sum > 0 && contributions != nil {
		for i, term := range a.terms {
			contributions[i] = term / sum
		}
	}
	return v
}

// load standardises x into a.x and returns the number of coordinates that are there.
func (a *Autoencoder) load(x []float64) int {
	n := 0
	for i := range a.x {
		a.x[i], a.known[i] = 0, !math.IsNaN(x[i])
		if a.known[i] {
			a.x[i] = a.inputs[i].of(x[i])
			n++
		}
	}
	return n
}

// learn learns from x at a rate between 0 and 1, and at the full rate from some of the vectors before it.
func (a *Autoencoder) learn(x []float64, rate float64, v Verdict) {
	// The error's distribution is followed from half of the warm-up on: before, the network changes too fast.
	if a.learnt >= a.params.WarmUp/2 && v.Error > 0 {
		// An odd error that stands alone belongs to the tail that must be known; what lasts does not.
		toTail := 1.0
		if v.Chance < abnormal && rate < 1 && a.badly > 1 {
			toTail = 0
		}
		a.odd.Learn(math.Sqrt(v.Error), toTail)
		a.drifted.Learn(v.Drift, toTail)
	}
	if rate == 0 {
		return
	}
	for i := range a.inputs {
		a.inputs[i].learn(x[i], rate)
	}
	a.train(x, rate)
	for range min(a.params.Replay, a.held) {
		a.train(a.vector(a.random.IntN(a.held)), 1)
	}
	a.learnt++
	if rate < 1 {
		return
	}
	switch {
	case a.held < a.params.Window || a.params.Memory <= a.params.Window:
		copy(a.vector(a.at), x)
		a.at = (a.at + 1) % a.params.Window
		a.held = min(a.held+1, a.params.Window)
	case a.random.IntN(a.params.Memory) < a.params.Window:
		copy(a.vector(a.random.IntN(a.params.Window)), x)
	}
}

func (a *Autoencoder) vector(slot int) []float64 {
	d := a.params.Inputs
	return a.window[slot*d : slot*d+d]
}

// train makes one gradient step and follows the noise of the decoder.
func (a *Autoencoder) train(x []float64, rate float64) {
	if a.load(x) == 0 {
		return
	}
	for i := range a.net.draw {
		a.net.draw[i] = a.random.NormFloat64()
	}
	divergence := math.Min(1, float64(a.net.steps)/float64(a.params.Annealing))
	a.net.gradient(a.x, a.known, a.noise, divergence)
	a.net.step(rate*a.params.LearningRate, a.params.Clip)
	w := rate / math.Min(float64(a.net.steps+1), noiseMemory)
	for i, known := range a.known {
		if known {
			e := a.x[i] - a.net.output[i]
			a.noise[i] = math.Max(leastNoise, a.noise[i]+w*(math.Min(e*e, 9*a.noise[i])-a.noise[i]))
		}
	}
}
