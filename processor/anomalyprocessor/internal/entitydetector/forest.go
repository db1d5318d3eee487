package entitydetector

import (
	"fmt"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/evidence"
	"github.com/paramedic-otel/paramedic/internal/isolationforest"
)

// abnormal is the probability below which a vector teaches nothing.
const abnormal = 1e-4

// forest is the online isolation forest: a vector is odd when random cuts set it apart soon.
type forest struct {
	params   Params
	trees    *isolationforest.Forest
	surprise evidence.Surprise
	lasting  *evidence.Fusion
	learnt   int
	badly    int
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
	return &forest{params: p, trees: trees, lasting: l}, nil
}

func (f *forest) Observe(v *Vector, contributions []float64) Verdict {
	score := f.trees.Score(v.Values, contributions)
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
	if learn {
		f.trees.Learn(v.Values)
		f.learnt++
	}
	return out
}

const forestVersion = 1

func (f *forest) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, forestVersion)
	b = binarystate.AppendUint32(b, uint32(min(f.learnt, 1<<30))) //nolint:gosec // not negative
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
	if err := readParts(r, fresh.trees, &fresh.surprise, fresh.lasting); err != nil {
		return err
	}
	fresh.learnt = learnt
	*f = *fresh
	return nil
}
