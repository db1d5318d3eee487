package autoencoder

import (
	"math"
	"math/rand/v2"
)

// Adam's constants, as published.
const (
	firstMoment  = 0.9
	secondMoment = 0.999
	epsilon      = 1e-8
)

// mostLogVariance bounds the logarithm of the latent variance on either side.
const mostLogVariance = 8

// layer is where a fully connected layer lies in the weights: rows of inputs, then a bias for each row.
type layer struct{ at, inputs, outputs int }

func (l layer) size() int { return l.outputs * (l.inputs + 1) }

// apply computes out = W in + b.
func (l layer) apply(weights, in, out []float64) {
	w := weights[l.at : l.at+l.size()]
	bias := w[l.outputs*l.inputs:]
	for o := range l.outputs {
		sum := bias[o]
		for i, v := range w[o*l.inputs : (o+1)*l.inputs] {
			sum += v * in[i]
		}
		out[o] = sum
	}
}

// back adds the gradient of the weights to slopes and, if below is not nil, that of the inputs to below.
func (l layer) back(weights, slopes, in, above, below []float64) {
	w, s := weights[l.at:l.at+l.size()], slopes[l.at:l.at+l.size()]
	for o, a := range above[:l.outputs] {
		s[l.outputs*l.inputs+o] += a
		if a == 0 {
			continue
		}
		row := s[o*l.inputs : (o+1)*l.inputs]
		for i := range row {
			row[i] += a * in[i]
		}
		if below == nil {
			continue
		}
		for i, v := range w[o*l.inputs : (o+1)*l.inputs] {
			below[i] += a * v
		}
	}
}

// network is the encoder and the decoder with their optimiser.
type network struct {
	// The layers: into the hidden one, to the latent mean and logarithmic variance, out to the second hidden one, to the output.
	in, toMean, toVariance, out, toOutput layer

	weights, slopes, first, second []float64
	steps                          int

	// What the last pass computed.
	hidden, mean, logVariance, draw, latent, hiddenOut, output []float64
	// Gradients of the same.
	dOutput, dHiddenOut, dLatent, dMean, dLogVariance, dHidden []float64
}

func newNetwork(inputs, hidden, latent int, random *rand.Rand) network {
	n := network{}
	at := 0
	place := func(in, out int) layer {
		l := layer{at: at, inputs: in, outputs: out}
		at += l.size()
		return l
	}
	n.in, n.toMean, n.toVariance = place(inputs, hidden), place(hidden, latent), place(hidden, latent)
	n.out, n.toOutput = place(latent, hidden), place(hidden, inputs)
	n.weights, n.slopes = make([]float64, at), make([]float64, at)
	n.first, n.second = make([]float64, at), make([]float64, at)
	for _, l := range []layer{n.in, n.toMean, n.toVariance, n.out, n.toOutput} {
		// Glorot and Bengio (2010), for tanh.
		scale := math.Sqrt(2 / float64(l.inputs+l.outputs))
		for i := range l.inputs * l.outputs {
			n.weights[l.at+i] = scale * random.NormFloat64()
		}
	}
	for _, s := range []*[]float64{&n.hidden, &n.hiddenOut, &n.dHidden, &n.dHiddenOut} {
		*s = make([]float64, hidden)
	}
	for _, s := range []*[]float64{&n.mean, &n.logVariance, &n.draw, &n.latent, &n.dLatent, &n.dMean, &n.dLogVariance} {
		*s = make([]float64, latent)
	}
	n.output, n.dOutput = make([]float64, inputs), make([]float64, inputs)
	return n
}

// encode computes the latent mean and variance of x.
func (n *network) encode(x []float64) {
	n.in.apply(n.weights, x, n.hidden)
	for i, v := range n.hidden {
		n.hidden[i] = math.Tanh(v)
	}
	n.toMean.apply(n.weights, n.hidden, n.mean)
	n.toVariance.apply(n.weights, n.hidden, n.logVariance)
}

// decode computes the output of a latent vector.
func (n *network) decode(latent []float64) {
	n.out.apply(n.weights, latent, n.hiddenOut)
	for i, v := range n.hiddenOut {
		n.hiddenOut[i] = math.Tanh(v)
	}
	n.toOutput.apply(n.weights, n.hiddenOut, n.output)
}

// gradient computes the loss of x with the noise that was drawn, and its gradient: half the squared error of the known coordinates
// in units of their variance, and the Kullback-Leibler divergence from the standard normal, weighted.
func (n *network) gradient(x []float64, known []bool, variance []float64, divergence float64) (loss float64) {
	n.encode(x)
	for i, e := range n.draw {
		v := bounded(n.logVariance[i])
		n.latent[i] = n.mean[i] + math.Exp(v/2)*e
	}
	n.decode(n.latent)

	clear(n.slopes)
	for i, k := range known {
		n.dOutput[i] = 0
		if k {
			e := n.output[i] - x[i]
			loss += 0.5 * e * e / variance[i]
			n.dOutput[i] = e / variance[i]
		}
	}
	clear(n.dHiddenOut)
	n.toOutput.back(n.weights, n.slopes, n.hiddenOut, n.dOutput, n.dHiddenOut)
	for i, h := range n.hiddenOut {
		n.dHiddenOut[i] *= 1 - h*h
	}
	clear(n.dLatent)
	n.out.back(n.weights, n.slopes, n.latent, n.dHiddenOut, n.dLatent)
	for i, d := range n.dLatent {
		raw := n.logVariance[i]
		v := bounded(raw)
		spread := math.Exp(v / 2)
		loss += 0.5 * divergence * (n.mean[i]*n.mean[i] + spread*spread - 1 - v)
		n.dMean[i] = d + divergence*n.mean[i]
		n.dLogVariance[i] = 0
		if v == raw {
			n.dLogVariance[i] = 0.5*d*spread*n.draw[i] + 0.5*divergence*(spread*spread-1)
		}
	}
	clear(n.dHidden)
	n.toMean.back(n.weights, n.slopes, n.hidden, n.dMean, n.dHidden)
	n.toVariance.back(n.weights, n.slopes, n.hidden, n.dLogVariance, n.dHidden)
	for i, h := range n.hidden {
		n.dHidden[i] *= 1 - h*h
	}
	n.in.back(n.weights, n.slopes, x, n.dHidden, nil)
	return loss
}

// step moves the weights against the gradient, which is first made no longer than clip.
func (n *network) step(rate, clip float64) {
	norm := 0.0
	for _, s := range n.slopes {
		norm += s * s
	}
	norm = math.Sqrt(norm)
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return
	}
	scale := 1.0
	if norm > clip {
		scale = clip / norm
	}
	n.steps++
	unbias1 := 1 / (1 - math.Pow(firstMoment, float64(n.steps)))
	unbias2 := 1 / (1 - math.Pow(secondMoment, float64(n.steps)))
	for i, s := range n.slopes {
		s *= scale
		n.first[i] += (1 - firstMoment) * (s - n.first[i])
		n.second[i] += (1 - secondMoment) * (s*s - n.second[i])
		n.weights[i] -= rate * n.first[i] * unbias1 / (math.Sqrt(n.second[i]*unbias2) + epsilon)
	}
}

func bounded(logVariance float64) float64 {
	return math.Max(-mostLogVariance, math.Min(mostLogVariance, logVariance))
}
