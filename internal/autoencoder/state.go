package autoencoder

import (
	"errors"
	"fmt"
	"math"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/evidence"
)

const stateVersion = 1

// AppendBinary appends the state: the network with its optimiser, the standardisation, and the error's distribution. The
// vectors to be learnt again are left out: new ones come.
func (a *Autoencoder) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, stateVersion)
	for _, n := range []int{a.params.Inputs, a.params.Hidden, a.params.Latent, a.learnt, a.badly, a.net.steps} {
		b = binarystate.AppendUint32(b, uint32(min(n, math.MaxInt32))) //nolint:gosec // not negative
	}
	for _, s := range a.inputs {
		b = binarystate.AppendFloat64s(b, []float64{s.level, s.spread, s.points})
	}
	b = binarystate.AppendFloat64s(b, a.noise)
	b = binarystate.AppendFloat64s(b, a.drift)
	for _, s := range [][]float64{a.net.weights, a.net.first, a.net.second} {
		b = binarystate.AppendFloat64s(b, s)
	}
	b, err := a.odd.AppendBinary(b)
	if err != nil {
		return nil, err
	}
	return a.drifted.AppendBinary(b)
}

// UnmarshalBinary replaces the state by one of an autoencoder of the same size. A broken one changes nothing; the error says why.
func (a *Autoencoder) UnmarshalBinary(data []byte) error {
	r := binarystate.NewReader(data)
	if v := r.Byte(); v != stateVersion && r.Err() == nil {
		return fmt.Errorf("autoencoder state has version %d, want %d", v, stateVersion)
	}
	inputs, hidden, latent := r.Count(MaxInputs), r.Count(MaxHidden), r.Count(MaxLatent)
	learnt, badly, steps := r.Count(math.MaxInt32), r.Count(math.MaxInt32), r.Count(math.MaxInt32)
	if p := a.params; r.Err() == nil && (inputs != p.Inputs || hidden != p.Hidden || latent != p.Latent) {
		return fmt.Errorf("autoencoder state is of %d inputs, %d hidden, %d latent, want %d, %d, %d", inputs, hidden, latent, p.Inputs, p.Hidden, p.Latent)
	}
	standards, noise := make([]standard, len(a.inputs)), make([]float64, len(a.noise))
	for i := range standards {
		s := standard{level: r.Float64(), spread: r.Float64(), points: r.Float64()}
		if math.Abs(s.level) > largestValue || s.spread < 0 || s.spread > 10*largestValue || s.points < 0 || s.points > slowest {
			r.Fail(binarystate.ErrInvalid)
		}
		standards[i] = s
	}
	r.Float64s(noise)
	drift := make([]float64, len(a.drift))
	r.Float64s(drift)
	for _, v := range drift {
		if math.Abs(v) > mostDrift {
			r.Fail(binarystate.ErrInvalid)
		}
	}
	for _, v := range noise {
		if v < leastNoise || v > 1e9 {
			r.Fail(binarystate.ErrInvalid)
		}
	}
	size := len(a.net.weights)
	weights, first, second := make([]float64, size), make([]float64, size), make([]float64, size)
	for _, s := range [][]float64{weights, first, second} {
		r.Float64s(s)
		for _, v := range s {
			if math.Abs(v) > 1e9 {
				r.Fail(binarystate.ErrInvalid)
			}
		}
	}
	for _, v := range second {
		if v < 0 {
			r.Fail(binarystate.ErrInvalid)
		}
	}
	rest, last := r.Bytes(evidence.SurpriseBytes), r.Bytes(evidence.SurpriseBytes)
	if err := r.Close(); err != nil {
		return fmt.Errorf("read autoencoder state: %w", err)
	}
	var odd, drifted evidence.Surprise
	if err := errors.Join(odd.UnmarshalBinary(rest), drifted.UnmarshalBinary(last)); err != nil {
		return fmt.Errorf("read autoencoder state: %w", err)
	}
	a.learnt, a.badly, a.net.steps = learnt, badly, steps
	a.inputs, a.noise, a.odd, a.drifted = standards, noise, odd, drifted
	a.net.weights, a.net.first, a.net.second = weights, first, second
	a.at, a.held = 0, 0
	a.drift = drift
	return nil
}
