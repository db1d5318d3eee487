package evidence

import (
	"fmt"
	"math"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
)

const fusionVersion = 1

// AppendBinary appends the state.
func (f *Fusion) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, fusionVersion)
	b = binarystate.AppendUint32(b, uint32(f.params.Sources)) //nolint:gosec // MaxSources at most
	b = binarystate.AppendUint64(b, uint64(f.last))           //nolint:gosec // read back as it was
	b = binarystate.AppendFloat64s(b, []float64{probability(f.odds), f.seen})
	b = binarystate.AppendFloat64s(b, f.shares)
	b = binarystate.AppendFloat64s(b, f.lagged)
	b = binarystate.AppendFloat64s(b, f.before)
	b = binarystate.AppendFloat64s(b, f.told)
	for _, l := range f.loud {
		b = binarystate.AppendFloat64s(b, []float64{l.mean, l.square, l.lagged, l.before})
	}
	b = binarystate.AppendFloat64s(b, f.mean)
	b = binarystate.AppendFloat64s(b, f.products)
	b = binarystate.AppendFloat64s(b, f.gains.counts)
	return binarystate.AppendFloat64s(b, f.gains.calm), nil
}

// UnmarshalBinary replaces the state by one of a fusion of as many sources. A broken one changes nothing; the error says why.
func (f *Fusion) UnmarshalBinary(data []byte) error {
	r := binarystate.NewReader(data)
	if v := r.Byte(); v != fusionVersion && r.Err() == nil {
		return fmt.Errorf("fusion state has version %d, want %d", v, fusionVersion)
	}
	n := r.Count(MaxSources)
	if n != f.params.Sources && r.Err() == nil {
		return fmt.Errorf("fusion state is of %d sources, want %d", n, f.params.Sources)
	}
	last := int64(r.Uint64()) //nolint:gosec // as it was written
	p, seen := r.Float64(), r.Float64()
	mean, products, counts := make([]float64, len(f.mean)), make([]float64, len(f.products)), make([]float64, len(f.gains.counts))
	shares := make([]float64, n)
	r.Float64s(shares)
	lagged := make([]float64, n)
	r.Float64s(lagged)
	before, told := make([]float64, n), make([]float64, n)
	r.Float64s(before)
	r.Float64s(told)
	loud := make([]loudness, n)
	for i := range loud {
		l := loudness{mean: r.Float64(), square: r.Float64(), lagged: r.Float64(), before: r.Float64()}
		if !within([]float64{l.mean, l.before}, 0, loudest) || !within([]float64{l.square, l.lagged}, 0, loudest*loudest) {
			r.Fail(binarystate.ErrInvalid)
		}
		loud[i] = l
	}
	r.Float64s(mean)
	r.Float64s(products)
	r.Float64s(counts)
	calm := make([]float64, len(f.gains.calm))
	r.Float64s(calm)
	if !(p >= 0 && p <= 1 && seen >= 0) || !within(shares, 0, 1) || !within(lagged, -clippedSize*clippedSize, clippedSize*clippedSize) || !within(before, -clippedSize, clippedSize) || !within(told, -mostTold, mostTold) || !within(mean, -clippedSize, clippedSize) ||
		!within(products, -clippedSize*clippedSize, clippedSize*clippedSize) || !within(counts, 0, mostCounted) || !within(calm, 0, mostCounted) {
		r.Fail(binarystate.ErrInvalid)
	}
	if err := r.Close(); err != nil {
		return fmt.Errorf("read fusion state: %w", err)
	}
	f.last, f.seen = last, math.Min(seen, float64(f.params.Memory))
	f.odds = math.Inf(-1)
	if p > 1e-15 { // else nothing was observed
		f.odds = math.Log(p / math.Max(1-p, 1e-15))
	}
	copy(f.shares, shares)
	copy(f.lagged, lagged)
	copy(f.before, before)
	copy(f.told, told)
	copy(f.loud, loud)
	copy(f.mean, mean)
	copy(f.products, products)
	copy(f.gains.counts, counts)
	copy(f.gains.calm, calm)
	return nil
}

func within(vs []float64, least, most float64) bool {
	for _, v := range vs {
		if v < least || v > most {
			return false
		}
	}
	return true
}
