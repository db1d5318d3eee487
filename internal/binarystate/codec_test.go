package binarystate

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fields is a state with one field of each sort.
type fields struct {
	signed, least int64
	unsigned      uint64
	a, b          bool
	text          string
	raw           [3]byte
	x, y, z       float64
	counts        [64]float32
	amounts       [4]float32
	small         [32]uint16
	list          []byte
}

func (f *fields) code(c *Codec) {
	c.Int64s(&f.signed, &f.least)
	c.Uint64s(&f.unsigned)
	c.Flags(&f.a, &f.b)
	c.String(&f.text, 8)
	c.Raw(f.raw[:])
	c.Float64s(&f.x, &f.y, &f.z)
	c.Counts(f.counts[:])
	c.Amounts(f.amounts[:])
	c.Small(f.small[:])
	n := c.Length(len(f.list), 10)
	if c.Reading() {
		f.list = make([]byte, n)
	}
	c.Raw(f.list)
}

func someFields() fields {
	f := fields{
		signed: -5, least: math.MinInt64, unsigned: math.MaxUint64, b: true, text: "héllo", raw: [3]byte{1, 2, 3},
		x: -0.5, z: math.MaxFloat64, list: []byte{9, 8},
	}
	f.counts[0], f.counts[1], f.counts[2], f.counts[63] = 1, 0.25, 3e9, largestWhole-1
	f.amounts[1], f.amounts[3] = -2.5, -1
	f.small[3], f.small[31] = math.MaxUint16, 1
	return f
}

func TestCodecRoundTrip(t *testing.T) {
	want := someFields()
	w := NewWriter([]byte{42})
	want.code(w)
	require.NoError(t, w.Close())
	r := NewCodecReader(w.Written()[1:])
	// What is there before does not show through.
	got := fields{counts: [64]float32{5: 1}, small: [32]uint16{5: 1}, y: 3}
	got.code(r)
	require.NoError(t, r.Close())
	assert.Equal(t, want, got)

	for n := range len(w.Written()) - 1 {
		r := NewCodecReader(w.Written()[1 : 1+n])
		new(fields).code(r)
		require.Error(t, r.Close(), "cut after %d bytes", n)
	}
}

func TestRecords(t *testing.T) {
	data := AppendBytes(AppendBytes(nil, []byte("one")), nil)
	r := NewCodecReader(data)
	assert.False(t, r.Done())
	assert.Equal(t, "one", string(r.Bytes()))
	assert.Empty(t, r.Bytes())
	assert.True(t, r.Done())
	require.NoError(t, r.Close())
	r = NewCodecReader(data[:2])
	assert.Empty(t, r.Bytes())
	assert.True(t, r.Done(), "after an error")
	require.Error(t, r.Close())
}

func TestCodecCutsWhatIsTooLong(t *testing.T) {
	f := fields{text: "longer than eight"}
	w := NewWriter(nil)
	f.code(w)
	r := NewCodecReader(w.Written())
	var got fields
	got.code(r)
	require.NoError(t, r.Close())
	assert.Equal(t, "longer t", got.text)
}

func TestCodecRefusesWhatCannotBe(t *testing.T) {
	for name, test := range map[string]struct {
		data []byte
		read func(*Codec)
	}{
		"a long text":            {[]byte{9, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'}, func(c *Codec) { c.String(new(string), 8) }},
		"a length without data":  {[]byte{7}, func(c *Codec) { c.Length(0, 1000) }},
		"an endless number":      {[]byte{255, 255}, func(c *Codec) { c.Uint64s(new(uint64)) }},
		"a count beyond the end": {[]byte{4, 3}, func(c *Codec) { c.Counts(make([]float32, 2)) }},
		"a negative count":       {append([]byte{1, 0}, AppendFloat32(nil, -1)...), func(c *Codec) { c.Counts(make([]float32, 2)) }},
		"a count that is none":   {append([]byte{1, 0}, AppendFloat32(nil, float32(math.NaN()))...), func(c *Codec) { c.Counts(make([]float32, 2)) }},
		"a count of no sort":     {[]byte{1, 2}, func(c *Codec) { c.Counts(make([]float32, 2)) }},
		"a small beyond the end": {[]byte{4, 3}, func(c *Codec) { c.Small(make([]uint16, 2)) }},
		"a small that is large":  {[]byte{1, 255, 255, 255, 1}, func(c *Codec) { c.Small(make([]uint16, 2)) }},
		"not a number":           {append([]byte{1}, AppendFloat64(nil, math.NaN())...), func(c *Codec) { c.Float64s(new(float64)) }},
	} {
		t.Run(name, func(t *testing.T) {
			c := NewCodecReader(test.data)
			test.read(c)
			require.Error(t, c.Err())
		})
	}
	c := NewCodecReader([]byte{1})
	c.Fail(ErrInvalid)
	require.ErrorIs(t, c.Close(), ErrInvalid)
	w := NewWriter(nil)
	w.Fail(ErrInvalid)
	assert.NoError(t, w.Err(), "writing does not fail")
}

func FuzzCodec(f *testing.F) {
	w := NewWriter(nil)
	seed := someFields()
	seed.code(w)
	f.Add(w.Written())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewCodecReader(data)
		var got fields
		got.code(r)
		if r.Close() != nil {
			return
		}
		// What is understood means the same after another round.
		w := NewWriter(nil)
		got.code(w)
		r = NewCodecReader(w.Written())
		var again fields
		again.code(r)
		require.NoError(t, r.Close())
		assert.Equal(t, got, again)
	})
}
