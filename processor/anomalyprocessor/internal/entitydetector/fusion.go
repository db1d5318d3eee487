package entitydetector

import (
	"fmt"
	"math"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/evidence"
)

// fusion combines what the series' own detectors say of the signals with what the other detectors say of the vector.
type fusion struct {
	params  Params
	others  int
	bayes   *evidence.Fusion
	sources []evidence.Source
	added   []float64
	learnt  int
}

func newFusion(p Params, others int) (*fusion, error) {
	e := evidence.DefaultParams(p.Signals + others)
	e.EpisodesPerDay = p.EpisodesPerDay
	bayes, err := evidence.New(e)
	if err != nil {
		return nil, err
	}
	n := p.Signals + others
	return &fusion{params: p, others: others, bayes: bayes, sources: make([]evidence.Source, n), added: make([]float64, n)}, nil
}

// Observe wants what the other detectors say behind the sources of the signals.
func (f *fusion) Observe(v *Vector, contributions []float64) Verdict {
	for i := range f.sources {
		f.sources[i] = evidence.Source{Chance: math.NaN()}
	}
	copy(f.sources, v.Sources)
	said := f.bayes.Observe(v.At, f.sources, f.added)
	total := 0.0
	for i := range contributions {
		contributions[i] = math.Max(0, f.added[i])
		total += contributions[i]
	}
	for i := range contributions {
		if total > 0 {
			contributions[i] /= total
		}
	}
	f.learnt++
	if f.learnt <= f.params.WarmUp {
		return Verdict{}
	}
	return Verdict{Ready: true, Score: said.Probability}
}

// Gain is the information gain of a signal, in bits.
func (f *fusion) Gain(signal int) float64 {
	gain, _ := f.bayes.Gain(signal)
	return gain
}

// Gainer is a detector that knows how much each signal tells of the entity's state.
type Gainer interface{ Gain(signal int) float64 }

const fusionVersion = 1

func (f *fusion) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, fusionVersion)
	b = binarystate.AppendUint32(b, uint32(min(f.learnt, 1<<30))) //nolint:gosec // not negative
	return appendParts(b, f.bayes)
}

func (f *fusion) UnmarshalBinary(data []byte) error {
	r := binarystate.NewReader(data)
	if v := r.Byte(); v != fusionVersion && r.Err() == nil {
		return fmt.Errorf("state of fusion has version %d, want %d", v, fusionVersion)
	}
	learnt := r.Count(1 << 30)
	fresh, err := newFusion(f.params, f.others)
	if err != nil {
		return err
	}
	if err := readParts(r, fresh.bayes); err != nil {
		return err
	}
	fresh.learnt = learnt
	*f = *fresh
	return nil
}
