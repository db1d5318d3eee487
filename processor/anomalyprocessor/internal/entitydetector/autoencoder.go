package entitydetector

import (
	"fmt"

	"github.com/paramedic-otel/paramedic/internal/autoencoder"
	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/evidence"
)

// variational is the autoencoder: a vector is odd when what is usually common to the signals does not explain it.
type variational struct {
	params  Params
	coder   *autoencoder.Autoencoder
	lasting *evidence.Fusion
}

func newAutoencoder(p Params) (*variational, error) {
	ap := autoencoder.DefaultParams(p.Signals)
	ap.Seed, ap.WarmUp, ap.AdoptAfter, ap.Memory = p.Seed, p.WarmUp, p.adoptAfter(), p.vectors(p.Memory)
	coder, err := autoencoder.New(ap)
	if err != nil {
		return nil, err
	}
	l, err := lasting(&p)
	if err != nil {
		return nil, err
	}
	return &variational{params: p, coder: coder, lasting: l}, nil
}

func (a *variational) Observe(v *Vector, contributions []float64) Verdict {
	said := a.coder.Observe(v.Values, contributions)
	out := Verdict{Source: evidence.Source{Chance: 1}}
	if said.Ready {
		out = Verdict{Ready: true, Source: evidence.Source{Chance: said.Chance, Size: said.Size}}
		out.Score = a.lasting.Observe(v.At, []evidence.Source{out.Source}, nil).Probability
	}
	return out
}

const variationalVersion = 1

func (a *variational) AppendBinary(b []byte) ([]byte, error) {
	return appendParts(append(b, variationalVersion), a.coder, a.lasting)
}

func (a *variational) UnmarshalBinary(data []byte) error {
	r := binarystate.NewReader(data)
	if v := r.Byte(); v != variationalVersion && r.Err() == nil {
		return fmt.Errorf("state of autoencoder detector has version %d, want %d", v, variationalVersion)
	}
	fresh, err := newAutoencoder(a.params)
	if err != nil {
		return err
	}
	if err := readParts(r, fresh.coder, fresh.lasting); err != nil {
		return err
	}
	*a = *fresh
	return nil
}
