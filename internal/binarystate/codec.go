package binarystate

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Codec writes the fields of a state, or reads them, by one and the same list of calls: the two cannot differ. Numbers
// that are 0 and small whole numbers, of which counts mostly consist, take little room. What is read is checked: lengths
// against what is left, and numbers for being finite.
type Codec struct {
	out []byte
	in  *Reader
}

// NewWriter returns a codec that appends to b.
func NewWriter(b []byte) *Codec { return &Codec{out: b} }

// NewCodecReader returns a codec that reads data, which it does not change.
func NewCodecReader(data []byte) *Codec { return &Codec{in: NewReader(data)} }

// Reading reports whether the codec reads.
func (c *Codec) Reading() bool { return c.in != nil }

// Written returns what was written.
func (c *Codec) Written() []byte { return c.out }

// Fail records an error while reading, unless there was one before.
func (c *Codec) Fail(err error) {
	if c.in != nil {
		c.in.Fail(err)
	}
}

// Err returns the first error while reading.
func (c *Codec) Err() error {
	if c.in == nil {
		return nil
	}
	return c.in.err
}

// Close returns the first error while reading, or that something was left.
func (c *Codec) Close() error {
	if c.in == nil {
		return nil
	}
	return c.in.Close()
}

func (c *Codec) uvarint(v uint64) uint64 {
	if c.in == nil {
		c.out = binary.AppendUvarint(c.out, v)
		return v
	}
	return c.in.uvarint()
}

func (r *Reader) uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.Fail(ErrShort)
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// Uint64s takes numbers.
func (c *Codec) Uint64s(vs ...*uint64) {
	for _, v := range vs {
		*v = c.uvarint(*v)
	}
}

// Int64s takes numbers.
func (c *Codec) Int64s(vs ...*int64) {
	for _, v := range vs {
		u := c.uvarint(uint64(*v)<<1 ^ uint64(*v>>63)) //nolint:gosec // zigzag: the same bits, the sign last
		*v = int64(u>>1) ^ -int64(u&1)                 //nolint:gosec // the reverse
	}
}

// Count takes a number that must lie between 0 and most. No number does where most is negative.
func (c *Codec) Count(n, most int) int {
	v := c.uvarint(uint64(n))         //nolint:gosec // counts are not negative
	if most < 0 || v > uint64(most) { //nolint:gosec // checked
		c.Fail(ErrInvalid)
		return 0
	}
	return int(v) //nolint:gosec // at most most
}

// Length takes the number of things that follow, each of which takes a byte at least: what data claim to hold costs no
// more memory than what they do hold allows.
func (c *Codec) Length(n, most int) int {
	if c.in != nil {
		most = min(most, len(c.in.rest))
	}
	return c.Count(n, most)
}

// Flags takes up to eight booleans.
func (c *Codec) Flags(vs ...*bool) {
	b := byte(0)
	for i, v := range vs {
		if *v {
			b |= 1 << i
		}
	}
	if c.in == nil {
		c.out = append(c.out, b)
		return
	}
	b = c.in.Byte()
	for i, v := range vs {
		*v = b&(1<<i) != 0
	}
}

// String takes a text of at most so many bytes; a longer one is an error when it is read and is cut when it is written.
func (c *Codec) String(s *string, most int) {
	if c.in == nil {
		text := *s
		if len(text) > most {
			text = text[:most]
		}
		c.out = binary.AppendUvarint(c.out, uint64(len(text)))
		c.out = append(c.out, text...)
		return
	}
	*s = string(c.in.Bytes(c.Length(0, most)))
}

// Raw takes bytes of a length that both sides know.
func (c *Codec) Raw(b []byte) {
	if c.in == nil {
		c.out = append(c.out, b...)
		return
	}
	copy(b, c.in.Bytes(len(b)))
}

// Bytes reads bytes that [AppendBytes] has written. They stay those of the data.
func (c *Codec) Bytes() []byte { return c.in.Bytes(c.Length(0, math.MaxInt32)) }

// AppendBytes appends bytes behind their length.
func AppendBytes(b, data []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(data))), data...)
}

// Done reports whether there is nothing left to read, or no use in it after an error.
func (c *Codec) Done() bool { return c.in.err != nil || len(c.in.rest) == 0 }

// Float64s takes up to eight finite numbers, of which those that are 0 take a bit.
func (c *Codec) Float64s(vs ...*float64) {
	mask := byte(0)
	for i, v := range vs {
		if *v != 0 {
			mask |= 1 << i
		}
	}
	if c.in == nil {
		c.out = append(c.out, mask)
		for _, v := range vs {
			if *v != 0 {
				c.out = AppendFloat64(c.out, *v)
			}
		}
		return
	}
	mask = c.in.Byte()
	for i, v := range vs {
		*v = 0
		if mask&(1<<i) != 0 {
			*v = c.in.Float64()
		}
	}
}

// Counts takes up to 64 numbers that are not negative and mostly 0 or small and whole.
func (c *Codec) Counts(vs []float32) {
	c.Amounts(vs)
	if c.in == nil {
		return
	}
	for _, v := range vs {
		if v < 0 {
			c.Fail(ErrInvalid)
		}
	}
}

// Amounts takes up to 64 finite numbers that are mostly 0 or small and whole.
func (c *Codec) Amounts(vs []float32) { sparse(c, vs, c.count) }

// sparse takes up to 64 numbers of which most are 0: a mask of the others, and then each of those by take.
func sparse[T float32 | uint16](c *Codec, vs []T, take func(*T)) {
	mask := uint64(0)
	if c.in == nil {
		for i, v := range vs {
			if v != 0 {
				mask |= 1 << i
			}
		}
	}
	mask = c.uvarint(mask)
	if c.in != nil {
		clear(vs)
	}
	for ; mask != 0; mask &= mask - 1 {
		i := bits.TrailingZeros64(mask)
		if i >= len(vs) {
			c.Fail(ErrInvalid)
			return
		}
		take(&vs[i])
	}
}

// largestWhole is below which a whole number is written as such, and not by its bits.
const largestWhole = 1 << 20

// count writes a whole number n as 2n+1, and any other one as a 0 and its bits.
func (c *Codec) count(v *float32) {
	if c.in == nil {
		if n := uint64(max(0, min(*v, largestWhole))); float32(n) == *v && n < largestWhole {
			c.out = binary.AppendUvarint(c.out, n<<1|1)
			return
		}
		c.out = AppendFloat32(append(c.out, 0), *v)
		return
	}
	switch n := c.in.uvarint(); {
	case n&1 == 1 && n>>1 < largestWhole:
		*v = float32(n >> 1)
	case n == 0:
		*v = c.in.Float32()
	default:
		c.Fail(ErrInvalid)
	}
}

// Small takes up to 64 numbers of which most are 0.
func (c *Codec) Small(vs []uint16) {
	sparse(c, vs, func(v *uint16) { *v = uint16(c.Count(int(*v), math.MaxUint16)) }) //nolint:gosec // bounded
}
