package isolationforest

import (
	"fmt"
	"math"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
)

// stateVersion is the version of the encoding.
const stateVersion = 1

// AppendBinary appends the state: the window and the source of randomness. The trees follow from them.
func (f *Forest) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, stateVersion)
	for _, v := range []int{f.params.Dimensions, f.params.Trees, f.params.Window, f.params.LeafVectors, f.at, f.held} {
		b = binarystate.AppendUint32(b, uint32(v)) //nolint:gosec // all are small and positive
	}
	oblique := byte(0)
	if f.params.Oblique {
		oblique = 1
	}
	b = append(b, oblique)
	b = binarystate.AppendUint64(b, f.params.Seed)
	b = binarystate.AppendUint64(b, f.learnt)
	for slot := range f.held {
		b = binarystate.AppendFloat32s(b, f.vector(slot))
	}
	return b, nil
}

// UnmarshalBinary replaces the state. The state must be of a forest with the same parameters but for the seed, which is
// kept; else, and when it is broken, the forest stays as it was and an error says why. The trees are grown anew, so scores
// after it are those of a forest with other luck.
func (f *Forest) UnmarshalBinary(data []byte) error {
	r := binarystate.NewReader(data)
	if v := r.Byte(); v != stateVersion && r.Err() == nil {
		return fmt.Errorf("isolation forest state has version %d, want %d", v, stateVersion)
	}
	p := f.params
	p.Dimensions, p.Trees = r.Count(MaxDimensions), r.Count(MaxTrees)
	p.Window, p.LeafVectors = r.Count(MaxWindow), r.Count(MaxWindow)
	at, held := r.Count(MaxWindow), r.Count(MaxWindow)
	p.Oblique = r.Byte() == 1
	_ = r.Uint64()
	learnt := r.Uint64()
	if err := r.Err(); err != nil {
		return fmt.Errorf("read isolation forest state: %w", err)
	}
	if p != f.params {
		return fmt.Errorf("isolation forest state is of %+v, want %+v", p, f.params)
	}
	if held > p.Window || at >= p.Window || (held < p.Window && at != held) || learnt > math.MaxUint64/MaxTrees {
		return fmt.Errorf("read isolation forest state: %w", binarystate.ErrInvalid)
	}
	window := make([]float32, held*p.Dimensions)
	r.Float32s(window)
	if err := r.Close(); err != nil {
		return fmt.Errorf("read isolation forest state: %w", err)
	}
	for _, v := range window {
		if v > largest || v < -largest {
			return fmt.Errorf("read isolation forest state: %w", binarystate.ErrInvalid)
		}
	}
	copy(f.window, window)
	f.at, f.held, f.learnt = at, held, learnt
	f.source.Seed(p.Seed, learnt)
	f.recount()
	for i := range f.trees {
		f.trees[i].grow(f)
	}
	return nil
}
