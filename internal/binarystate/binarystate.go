// Package binarystate reads the binary state of the algorithms: little-endian numbers one after the other, every length
// checked before anything is taken. Writing needs no more than the Append functions of encoding/binary; those here save
// the callers the casts.
package binarystate

import (
	"encoding/binary"
	"errors"
	"math"
)

// ErrShort says that the state ends too early.
var ErrShort = errors.New("state is too short")

// ErrLong says that something follows the state.
var ErrLong = errors.New("state is too long")

// ErrInvalid says that a value of the state cannot be.
var ErrInvalid = errors.New("state is invalid")

// AppendUint32 appends a number.
func AppendUint32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }

// AppendUint64 appends a number.
func AppendUint64(b []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(b, v) }

// AppendFloat64 appends a number.
func AppendFloat64(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

// AppendFloat32 appends a number.
func AppendFloat32(b []byte, v float32) []byte {
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
}

// AppendFloat64s appends numbers, without their count.
func AppendFloat64s(b []byte, vs []float64) []byte {
	for _, v := range vs {
		b = AppendFloat64(b, v)
	}
	return b
}

// AppendFloat32s appends numbers, without their count.
func AppendFloat32s(b []byte, vs []float32) []byte {
	for _, v := range vs {
		b = AppendFloat32(b, v)
	}
	return b
}

// Reader takes numbers from a state. After the first error every further number is 0.
type Reader struct {
	rest []byte
	err  error
}

// NewReader returns a reader of data, which it does not change.
func NewReader(data []byte) *Reader { return &Reader{rest: data} }

// Fail records an error, unless there was one before.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// Err returns the first error.
func (r *Reader) Err() error { return r.err }

// Close returns the first error, or that something was left.
func (r *Reader) Close() error {
	if r.err == nil && len(r.rest) > 0 {
		return ErrLong
	}
	return r.err
}

// Bytes takes n bytes, which stay those of the state.
func (r *Reader) Bytes(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.rest) {
		r.Fail(ErrShort)
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// Byte takes one byte.
func (r *Reader) Byte() byte {
	if b := r.Bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// Uint32 takes a number.
func (r *Reader) Uint32() uint32 {
	if b := r.Bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// Uint64 takes a number.
func (r *Reader) Uint64() uint64 {
	if b := r.Bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Count takes a number that must lie between 0 and most.
func (r *Reader) Count(most int) int {
	n := int64(r.Uint32())
	if n > int64(most) {
		r.Fail(ErrInvalid)
		return 0
	}
	return int(n)
}

// Float64 takes a finite number.
func (r *Reader) Float64() float64 {
	v := math.Float64frombits(r.Uint64())
	if math.IsNaN(v) || math.IsInf(v, 0) {
		r.Fail(ErrInvalid)
		return 0
	}
	return v
}

// Float32 takes a finite number.
func (r *Reader) Float32() float32 {
	v := math.Float32frombits(r.Uint32())
	if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
		r.Fail(ErrInvalid)
		return 0
	}
	return v
}

// Float64s fills vs with finite numbers.
func (r *Reader) Float64s(vs []float64) {
	for i := range vs {
		vs[i] = r.Float64()
	}
}

// Float32s fills vs with finite numbers.
func (r *Reader) Float32s(vs []float32) {
	for i := range vs {
		vs[i] = r.Float32()
	}
}
