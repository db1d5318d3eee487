package binarystate

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRoundTrip(t *testing.T) {
	b := []byte{7}
	b = AppendUint32(b, 3)
	b = AppendUint64(b, math.MaxUint64)
	b = AppendFloat64s(b, []float64{-1.5, 2})
	b = AppendFloat32s(b, []float32{0.25})
	r := NewReader(b)
	assert.Equal(t, byte(7), r.Byte())
	assert.Equal(t, 3, r.Count(3))
	assert.Equal(t, uint64(math.MaxUint64), r.Uint64())
	two := make([]float64, 2)
	r.Float64s(two)
	assert.Equal(t, []float64{-1.5, 2}, two)
	one := make([]float32, 1)
	r.Float32s(one)
	assert.Equal(t, []float32{0.25}, one)
	require.NoError(t, r.Close())
}

func TestErrorsStay(t *testing.T) {
	r := NewReader([]byte{1, 2})
	assert.Zero(t, r.Uint32())
	assert.Zero(t, r.Byte(), "after an error nothing is taken any more")
	require.ErrorIs(t, r.Close(), ErrShort)

	require.ErrorIs(t, NewReader([]byte{1}).Close(), ErrLong)

	r = NewReader(AppendUint32(nil, 4))
	assert.Zero(t, r.Count(3))
	require.ErrorIs(t, r.Err(), ErrInvalid)

	for _, b := range [][]byte{AppendFloat64(nil, math.NaN()), AppendFloat64(nil, math.Inf(1)), AppendFloat64(nil, math.Inf(-1))} {
		r = NewReader(b)
		assert.Zero(t, r.Float64())
		require.ErrorIs(t, r.Err(), ErrInvalid)
	}
	r = NewReader(AppendFloat32(nil, float32(math.Inf(1))))
	assert.Zero(t, r.Float32())
	require.ErrorIs(t, r.Close(), ErrInvalid)
}
