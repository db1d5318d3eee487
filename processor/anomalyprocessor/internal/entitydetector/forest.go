package entitydetector

import (
	"fmt"
	"math"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/evidence"
	"github.com/paramedic-otel/paramedic/internal/isolationforest"
)

// abnormal is the probability below which a vector teaches nothing.
const abnormal = 1e-4

// smoothing is the weight of a vector in the running mean that the forest sees: breaks last, noise does not.
const smoothing = 0.3

// forest is the online isolation forest: a vector is odd when random cuts set it apart soon.
type forest struct {
	params   Params
	trees    *isolationforest.Forest
	surprise evidence.Surprise
	lasting  *evidence.Fusion
	// smooth is the running mean of the vectors, once one was seen.
	smooth []float64
	seen   bool
	learnt int
	badly  int
}

func newForest(p Params) (*forest, error) {
	fp := isolationforest.DefaultParams(p.Signals)
	fp.Seed = p.Seed
	trees, err := isolationforest.New(fp)
	if err != nil {
		return nil, err
	}
	l, err := lasting(&p)
	if err != nil {
		return nil, err
	}
	return &forest{params: p, trees: trees, lasting: l, smooth: make([]float64, p.Signals)}, nil
}

func (f *forest) Observe(v *Vector, contributions []float64) Verdict {
	for i, x := range v.Values {
		switch {
		case math.IsNaN(x):
		case f.seen:
			f.smooth[i] += smoothing * (x - f.smooth[i])
		default:
			f.smooth[i] = x
		}
	}
	f.seen = true
	score := f.trees.Score(f.smooth, contributions)
	out := Verdict{Source: evidence.Source{Chance: 1}}
	learn := true
	if f.trees.Ready() {
		chance, size := f.surprise.Judge(score)
		rate := 1.0
		if f.learnt >= f.params.WarmUp {
			out = Verdict{Ready: true, Source: evidence.Source{Chance: chance, Size: size}}
			out.Score = f.lasting.Observe(v.At, []evidence.Source{out.Source}, nil).Probability
			if chance < abnormal {
				if f.badly++; f.badly <= f.params.adoptAfter() {
					learn, rate = false, 0
				}
			} else {
				f.badly = 0
			}
		}
		f.surprise.Learn(score, rate)
	}
	if !learn {
		return out
	}
	f.learnt++
	f.trees.Learn(f.smooth)
	return out
}

const forestVersion = 1

func (f *forest) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, forestVersion)
	b = binarystate.AppendUint32(b, uint32(min(f.learnt, 1<<30))) //nolint:gosec // not negative
	b = binarystate.AppendFloat64s(b, f.smooth)
	return appendParts(b, f.trees, &f.surprise, f.lasting)
}

func (f *forest) UnmarshalBinary(data []byte) error {
	r := binarystate.NewReader(data)
	if v := r.Byte(); v != forestVersion && r.Err() == nil {
		return fmt.Errorf("state of isolation forest detector has version %d, want %d", v, forestVersion)
	}
	learnt := r.Count(1 << 30)
	fresh, err := newForest(f.params)
	if err != nil {
		return err
	}
	r.Float64s(fresh.smooth)
	fresh.seen = learnt > 0
	if err := readParts(r, fresh.trees, &fresh.surprise, fresh.lasting); err != nil {
		return err
	}
	fresh.learnt = learnt
	*f = *fresh
	return nil
}
