package servicegraph

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
)

func exponentialOf(size int) Histogram { return newHistogram(&Config{MaxSize: size}) }

// TestExponentialIndex takes its values from the data model: bucket i holds (base^i, base^(i+1)].
func TestExponentialIndex(t *testing.T) {
	for _, tc := range []struct {
		v     float64
		scale int32
		want  int32
	}{
		{1, 0, -1},
		{1.5, 0, 0},
		{2, 0, 0},
		{2.1, 0, 1},
		{4, 0, 1},
		{0.5, 0, -2},
		{0.6, 0, -1},
		{1, 3, -1},
		{2, 3, 7},
		{2.01, 3, 8},
		{1.01, 3, 0},
		{math.Sqrt2 * 1.001, 1, 1},
		{math.Sqrt2 * 0.999, 1, 0},
		{1, -1, -1},
		{1.1, -1, 0},
		{4, -1, 0},
		{4.1, -1, 1},
		{1.0 / 1024, -3, -2},
		{1e-9, -10, -1},
	} {
		assert.Equal(t, tc.want, exponentialIndex(tc.v, tc.scale), "%v at scale %d", tc.v, tc.scale)
	}
}

// TestBucketTable compares looking a bucket up with computing it.
func TestBucketTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		v := math.Exp2(rng.Float64()*60 - 40)
		for scale := int32(-10); scale <= tableScale; scale++ {
			if exponentialIndex(v, scale) != computeIndex(v, scale) {
				t.Fatalf("%v at scale %d: %d is not %d", v, scale, exponentialIndex(v, scale), computeIndex(v, scale))
			}
		}
	}
	for exp := -1070; exp < 1020; exp++ {
		v := math.Ldexp(1, exp)
		for _, scale := range []int32{-10, 0, 3, tableScale} {
			assert.Equal(t, computeIndex(v, scale), exponentialIndex(v, scale), "2^%d at scale %d", exp, scale)
		}
		assert.Equal(t, int32(exp)-1, exponentialIndex(v, 0), "a power of two ends its bucket")
	}
}

// TestExponentialAgainstReference compares with counting each value anew at the scale that was reached.
func TestExponentialAgainstReference(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{2, 3, 8, 160} {
		for range 200 {
			h, ahead := exponentialOf(size), exponentialOf(size)
			var values []float64
			for range rng.IntN(60) {
				v := math.Exp(rng.NormFloat64() * 4)
				if rng.IntN(10) == 0 {
					v = 0
				}
				values = append(values, v)
				if rng.IntN(2) == 0 {
					h.observe(nil, v, 2)
				} else {
					ahead.observe(nil, v, 2)
				}
				if rng.IntN(20) == 0 {
					h.merge(&ahead, false)
					ahead.reset()
				}
			}
			h.merge(&ahead, false)
			want := map[int32]uint64{}
			var zero, count uint64
			for _, v := range values {
				count += 2
				if v == 0 {
					zero += 2
					continue
				}
				want[exponentialIndex(v, h.Scale)] += 2
			}
			got := map[int32]uint64{}
			for i := range h.Len {
				if n := h.Buckets[i]; n > 0 {
					got[h.Offset+i] = n
				}
			}
			assert.Equal(t, want, got, "size %d", size)
			assert.Equal(t, zero, h.Zero)
			assert.Equal(t, count, h.Count)
			assert.LessOrEqual(t, int(h.Len), size)
		}
	}
}

func TestExplicitMerge(t *testing.T) {
	bounds := []float64{1, 2}
	a, b := newHistogram(&Config{Bounds: bounds}), newHistogram(&Config{Bounds: bounds})
	a.observe(bounds, 1, 1)
	b.observe(bounds, 1.5, 2)
	b.observe(bounds, 9, 3)
	a.merge(&b, true)
	assert.Equal(t, Histogram{Count: 6, Sum: 31, Buckets: []uint64{1, 2, 3}}, a)
	a.reset()
	assert.Equal(t, Histogram{Buckets: []uint64{0, 0, 0}}, a)
}
