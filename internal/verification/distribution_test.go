package verification

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func explicit(bounds []float64, counts ...uint64) Distribution {
	d := Distribution{Bounds: bounds, Counts: counts}
	for _, n := range counts {
		d.Count += n
	}
	return d
}

func TestExplicitQuantile(t *testing.T) {
	bounds := []float64{1, 2, 4}
	for name, tc := range map[string]struct {
		d         Distribution
		q         float64
		low, high float64
		ok        bool
	}{
		"middle of a bucket":  {explicit(bounds, 0, 10, 0, 0), 0.5, 1.5, 1.5, true},
		"first is from zero":  {explicit(bounds, 10, 0, 0, 0), 0.5, 0.5, 0.5, true},
		"border":              {explicit(bounds, 10, 10, 0, 0), 0.5, 1, 1, true},
		"across":              {explicit(bounds, 10, 10, 20, 0), 0.75, 3, 3, true},
		"beyond the last":     {explicit(bounds, 10, 0, 0, 10), 0.9, 4, math.Inf(1), true},
		"below a first of -1": {explicit([]float64{-1, 1}, 10, 0, 0), 0.5, math.Inf(-1), -1, true},
		"empty":               {explicit(bounds, 0, 0, 0, 0), 0.5, 0, 0, false},
		"no buckets":          {Distribution{Count: 5}, 0.5, 0, 0, false},
		"all":                 {explicit(bounds, 0, 10, 0, 0), 1, 2, 2, true},
		"none":                {explicit(bounds, 0, 10, 0, 0), 0, 1, 1, true},
		"not a quantile":      {explicit(bounds, 0, 10, 0, 0), math.NaN(), 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			require.True(t, tc.d.Valid())
			low, high, ok := tc.d.Quantile(tc.q)
			assert.Equal(t, []any{tc.low, tc.high, tc.ok}, []any{low, high, ok})
		})
	}
}

func TestMean(t *testing.T) {
	d := Distribution{Count: 4, Sum: 10, HasSum: true}
	mean, ok := d.Mean()
	assert.True(t, ok)
	assert.Equal(t, 2.5, mean)
	for _, d := range []Distribution{{Count: 4, Sum: 10}, {HasSum: true}, {Count: 1, HasSum: true, Sum: math.NaN()}, {Count: 1, HasSum: true, Sum: math.Inf(1)}} {
		_, ok := d.Mean()
		assert.False(t, ok, "%+v", d)
	}
}

func TestValid(t *testing.T) {
	for name, d := range map[string]Distribution{
		"too few counts":    {Bounds: []float64{1}, Counts: []uint64{1}, Count: 1},
		"counts do not add": {Bounds: []float64{1}, Counts: []uint64{1, 1}, Count: 3},
		"they wrap":         {Bounds: []float64{1}, Counts: []uint64{math.MaxUint64, 2}, Count: 1},
		"unsorted":          {Bounds: []float64{2, 1}, Counts: []uint64{1, 1, 1}, Count: 3},
		"twice":             {Bounds: []float64{1, 1}, Counts: []uint64{1, 1, 1}, Count: 3},
		"no number":         {Bounds: []float64{math.NaN()}, Counts: []uint64{1, 1}, Count: 2},
		"infinite":          {Bounds: []float64{math.Inf(1)}, Counts: []uint64{1, 1}, Count: 2},
		"too many":          {Bounds: make([]float64, MaxBuckets), Counts: make([]uint64, MaxBuckets+1)},
		"scale":             {Exponential: true, Scale: 21},
		"scale below":       {Exponential: true, Scale: -12},
		"too many buckets":  {Exponential: true, Positive: Side{Counts: make([]uint64, MaxBuckets+1)}},
		"zeros do not add":  {Exponential: true, Zero: 1},
	} {
		assert.False(t, d.Valid(), name)
	}
}

// exponential makes the histogram of values.
func exponential(scale int32, values ...float64) Distribution {
	d := Distribution{Exponential: true, Scale: scale, HasSum: true}
	sides := map[bool]map[int32]uint64{true: {}, false: {}}
	for _, v := range values {
		d.Count++
		d.Sum += v
		if v == 0 {
			d.Zero++
			continue
		}
		sides[v > 0][int32(math.Ceil(math.Log2(math.Abs(v))*math.Exp2(float64(scale))))-1]++
	}
	for positive, buckets := range sides {
		var s Side
		first, last := int32(math.MaxInt32), int32(math.MinInt32)
		for i := range buckets {
			first, last = min(first, i), max(last, i)
		}
		if len(buckets) > 0 {
			s = Side{first, make([]uint64, last-first+1)}
			for i, n := range buckets {
				s.Counts[i-first] = n
			}
		}
		if positive {
			d.Positive = s
		} else {
			d.Negative = s
		}
	}
	return d
}

// TestExponentialQuantile compares with sorting the values: the error is at most one bucket.
func TestExponentialQuantile(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 4))
		values := make([]float64, 1+rng.IntN(200))
		for i := range values {
			values[i] = math.Exp(rng.NormFloat64()) * []float64{1, 1, -1, 0}[rng.IntN(4)]
		}
		d := exponential(int32(rng.IntN(6)), values...)
		require.True(t, d.Valid())
		slices.Sort(values)
		q := rng.Float64()
		low, high, ok := d.Quantile(q)
		require.True(t, ok)
		require.Equal(t, low, high)
		want := values[max(0, int(math.Ceil(q*float64(len(values))))-1)]
		base := math.Exp2(math.Exp2(-float64(d.Scale)))
		assert.InDelta(t, want, low, math.Abs(want)*(base-1)+1e-9, "seed %d, q %v", seed, q)
	}
}

// TestCumulativeHistogram shows that the difference of two points is the histogram of what came between, also when the later
// one is coarser.
func TestCumulativeHistogram(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 5))
		draw := func(n int) []float64 {
			out := make([]float64, n)
			for i := range out {
				out[i] = math.Exp(2*rng.NormFloat64()) * []float64{1, 1, -1, 0}[rng.IntN(4)]
			}
			return out
		}
		before, since := draw(1+rng.IntN(50)), draw(rng.IntN(50))
		scale := int32(rng.IntN(6))
		coarser := scale - int32(rng.IntN(3))
		var h Histogram
		_, ok := h.Cumulative(begun, after(10), exponential(scale, before...))
		assert.False(t, ok)
		got, ok := h.Cumulative(begun, after(20), exponential(coarser, append(before, since...)...))
		require.True(t, ok, seed)
		want := exponential(coarser, since...)
		assert.Equal(t, want.Count, got.Count)
		assert.Equal(t, want.Zero, got.Zero)
		assert.InDelta(t, want.Sum, got.Sum, 1e-9)
		assert.Equal(t, after(10), got.From)
		for q := range 10 {
			a, _, okA := want.Quantile(float64(q) / 10)
			b, _, okB := got.Quantile(float64(q) / 10)
			assert.Equal(t, okA, okB)
			assert.InDelta(t, a, b, 1e-9, "seed %d q %d", seed, q)
		}
	}
}

func TestHistogramResets(t *testing.T) {
	bounds := []float64{1, 2}
	var h Histogram
	_, ok := h.Cumulative(begun, after(10), explicit(bounds, 5, 5, 5))
	assert.False(t, ok)
	s, ok := h.Cumulative(begun, after(20), explicit(bounds, 5, 6, 5))
	assert.True(t, ok)
	assert.Equal(t, []uint64{0, 1, 0}, s.Counts)
	s, ok = h.Cumulative(after(25), after(30), explicit(bounds, 1, 0, 0))
	assert.True(t, ok)
	assert.Equal(t, after(25), s.From)
	assert.Equal(t, []uint64{1, 0, 0}, s.Counts)
	_, ok = h.Cumulative(after(25), after(30), explicit(bounds, 1, 0, 0))
	assert.False(t, ok, "late")
	_, ok = h.Cumulative(after(25), after(40), explicit(bounds, 0, 9, 0))
	assert.False(t, ok, "a bucket fell, and nothing tells when it began anew")
	_, ok = h.Cumulative(after(25), after(50), explicit([]float64{1, 3}, 1, 9, 0))
	assert.False(t, ok, "other buckets")
	_, ok = h.Cumulative(after(25), after(60), Distribution{Count: 1, Counts: []uint64{1, 1}})
	assert.False(t, ok, "broken")
	_, ok = h.Cumulative(after(25), after(70), explicit(bounds, 1, 9, 0))
	assert.False(t, ok, "the first after a broken one")
	h.Forget()
	_, ok = h.Cumulative(after(25), after(80), explicit(bounds, 2, 9, 0))
	assert.False(t, ok)
}

func TestDeltaHistogram(t *testing.T) {
	var h Histogram
	d := explicit([]float64{1}, 1, 1)
	s, ok := h.Delta(begun, after(10), d)
	assert.True(t, ok)
	assert.Equal(t, Stretch{begun, after(10), d}, s)
	_, ok = h.Delta(begun, after(10), d)
	assert.False(t, ok, "late")
	s, ok = h.Delta(never, after(20), d)
	assert.True(t, ok)
	assert.Equal(t, after(10), s.From)
	_, ok = h.Delta(after(20), after(30), Distribution{Count: 1, Counts: []uint64{2}})
	assert.False(t, ok)
}

// FuzzHistogram shows that no two points can make anything but a number, a range or nothing.
func FuzzHistogram(f *testing.F) {
	f.Add(int32(3), int32(-5), []byte{1, 2, 3}, int32(2), int32(-3), []byte{2, 3, 4}, uint64(9), 0.5)
	f.Add(int32(20), int32(math.MaxInt32), []byte{1}, int32(-11), int32(math.MinInt32), []byte{1}, uint64(1), 1.0)
	f.Fuzz(func(t *testing.T, scaleA, offsetA int32, a []byte, scaleB, offsetB int32, b []byte, zero uint64, q float64) {
		point := func(scale, offset int32, counts []byte) Distribution {
			d := Distribution{Exponential: true, Scale: scale, Zero: zero, Positive: Side{Offset: offset}, Negative: Side{Offset: -offset}}
			d.Count = zero
			for i, n := range counts {
				d.Count += uint64(n)
				side := &d.Positive
				if i%2 == 1 {
					side = &d.Negative
				}
				side.Counts = append(side.Counts, uint64(n))
			}
			return d
		}
		var h Histogram
		h.Cumulative(begun, after(1), point(scaleA, offsetA, a))
		s, ok := h.Cumulative(begun, after(2), point(scaleB, offsetB, b))
		if !ok {
			return
		}
		low, high, ok := s.Quantile(q)
		if ok {
			assert.False(t, math.IsNaN(low) || math.IsNaN(high))
			assert.LessOrEqual(t, low, high)
		}
	})
}
