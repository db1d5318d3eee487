// Package seriesidentity gives every metric series a 128-bit key: equal for equal series whatever the order of their
// attributes, different for different ones.
//
// Each attribute is hashed by itself, with its name and type, into 128 bits, and a set of attributes is the sum of these
// hashes: nothing has to be sorted or copied. Names of resources, scopes and metrics are hashed in an injective encoding.
// So two series can only meet by a collision of the hash itself: with a billion series the chance is about 1 in 10^20.
// The hash (XXH3) is fast, not cryptographic: who may choose attributes at will can make series meet.
package seriesidentity

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Key identifies a series, a resource, or whatever else was encoded. Its bits are evenly distributed, so each part of it
// can serve as a hash.
type Key struct{ Hi, Lo uint64 }

// plus adds up two keys as 128-bit numbers.
func (k Key) plus(other Key) Key {
	lo, carry := bits.Add64(k.Lo, other.Lo, 0)
	hi, _ := bits.Add64(k.Hi, other.Hi, carry)
	return Key{Hi: hi, Lo: lo}
}

// Encoder computes keys without allocating, once its buffers have grown. It is not safe for concurrent use, and keeps no
// reference to what it has seen.
type Encoder struct {
	buf   []byte
	pairs []pair
}

type pair struct {
	name  string
	value pcommon.Value
}

// maxDepth bounds the recursion into nested attribute values; what lies deeper does not tell series apart.
const maxDepth = 8

// The kinds of encoded parts.
const (
	partString byte = iota + 1
	partInt
	partDouble
	partTrue
	partFalse
	partBytes
	partMap
	partSlice
	partEmpty
	partKey
	partDeep
)

// setOf is added for each attribute of a set, and once more: a set without attributes differs from no set.
var setOf = Key{Hi: 0x9e3779b97f4a7c15, Lo: 0xd1b54a32d192ed03}

// Resource returns the key of a resource.
func (e *Encoder) Resource(attributes pcommon.Map) Key {
	return e.set(setOf, attributes)
}

// Scope returns the key of an instrumentation scope of a resource. Its version, which identifies it too in the data
// model, is left out: a series goes on when its instrumentation is updated.
func (e *Encoder) Scope(resource Key, name string) Key {
	e.buf = e.buf[:0]
	e.putKey(resource)
	e.putString(name)
	return e.sum()
}

// Metric returns the key of a metric of a scope. kind tells apart what may share a name, such as data types.
func (e *Encoder) Metric(scope Key, name, unit string, kind int) Key {
	e.buf = e.buf[:0]
	e.putKey(scope)
	e.putString(name)
	e.putString(unit)
	e.buf = append(e.buf, partInt)
	e.buf = binary.LittleEndian.AppendUint64(e.buf, uint64(int64(kind))) //nolint:gosec // all values are kept apart
	return e.sum()
}

// Series returns the key of the series of a metric with these point attributes.
func (e *Encoder) Series(metric Key, attributes pcommon.Map) Key {
	return e.set(metric.plus(setOf), attributes)
}

// Except returns the key of what belongs to a resource and to a point's attributes without the ones of these names. what
// tells apart different things of that kind.
func (e *Encoder) Except(what, resource Key, attributes pcommon.Map, names []string) Key {
	to := what.plus(resource).plus(setOf)
	for name, value := range attributes.All() {
		if !slices.Contains(names, name) {
			to = to.plus(e.attribute(name, value)).plus(setOf)
		}
	}
	return to
}

// set adds the hashes of a set of attributes to a key.
func (e *Encoder) set(to Key, attributes pcommon.Map) Key {
	for name, value := range attributes.All() {
		to = to.plus(e.attribute(name, value)).plus(setOf)
	}
	return to
}

// attribute hashes one attribute. The hash of the name and the type of the value seed the hash of the value.
func (e *Encoder) attribute(name string, v pcommon.Value) Key {
	seed := xxh3.HashString(name)
	switch v.Type() {
	case pcommon.ValueTypeStr:
		h := xxh3.HashString128Seed(v.Str(), seed)
		return Key{Hi: h.Hi, Lo: h.Lo}
	case pcommon.ValueTypeInt:
		return number(uint64(v.Int()), seed^uint64(partInt)) //nolint:gosec // all values are kept apart
	case pcommon.ValueTypeDouble:
		return number(math.Float64bits(v.Double()), seed^uint64(partDouble))
	default:
		e.buf = append(e.buf[:0], partDeep)
		e.putValue(v, 0)
		h := xxh3.Hash128Seed(e.buf, seed)
		return Key{Hi: h.Hi, Lo: ^h.Lo}
	}
}

// number hashes a number under a seed: the finaliser of MurmurHash3, which is a bijection, once for each half.
func number(v, seed uint64) Key {
	v = mix(v + setOf.Hi)
	return Key{Hi: mix(v ^ seed), Lo: mix(v*setOf.Lo + seed)}
}

func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

func (e *Encoder) sum() Key {
	h := xxh3.Hash128(e.buf)
	return Key{Hi: h.Hi, Lo: h.Lo}
}

func (e *Encoder) putKey(k Key) {
	e.buf = append(e.buf, partKey)
	e.buf = binary.LittleEndian.AppendUint64(e.buf, k.Hi)
	e.buf = binary.LittleEndian.AppendUint64(e.buf, k.Lo)
}

func (e *Encoder) putString(s string) {
	e.buf = append(e.buf, partString)
	e.buf = binary.AppendUvarint(e.buf, uint64(len(s)))
	e.buf = append(e.buf, s...)
}

func (e *Encoder) putMap(m pcommon.Map, depth int) {
	e.buf = append(e.buf, partMap)
	e.buf = binary.AppendUvarint(e.buf, uint64(m.Len())) //nolint:gosec // a length is not negative
	first := len(e.pairs)
	m.Range(func(name string, value pcommon.Value) bool {
		e.pairs = append(e.pairs, pair{name, value})
		return true
	})
	// Nested maps use the same buffer above this one's part.
	last := len(e.pairs)
	sorted := e.pairs[first:last]
	if !slices.IsSortedFunc(sorted, byName) {
		slices.SortStableFunc(sorted, byName)
	}
	for i := first; i < last; i++ {
		e.putString(e.pairs[i].name)
		e.putValue(e.pairs[i].value, depth)
	}
	clear(e.pairs[first:])
	e.pairs = e.pairs[:first]
}

func byName(a, b pair) int { return strings.Compare(a.name, b.name) }

func (e *Encoder) putValue(v pcommon.Value, depth int) {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		e.putString(v.Str())
	case pcommon.ValueTypeInt:
		e.buf = append(e.buf, partInt)
		e.buf = binary.LittleEndian.AppendUint64(e.buf, uint64(v.Int())) //nolint:gosec // all values are kept apart
	case pcommon.ValueTypeDouble:
		e.buf = append(e.buf, partDouble)
		e.buf = binary.LittleEndian.AppendUint64(e.buf, math.Float64bits(v.Double()))
	case pcommon.ValueTypeBool:
		if v.Bool() {
			e.buf = append(e.buf, partTrue)
		} else {
			e.buf = append(e.buf, partFalse)
		}
	case pcommon.ValueTypeBytes:
		b := v.Bytes()
		e.buf = append(e.buf, partBytes)
		e.buf = binary.AppendUvarint(e.buf, uint64(b.Len())) //nolint:gosec // a length is not negative
		for i := range b.Len() {
			e.buf = append(e.buf, b.At(i))
		}
	case pcommon.ValueTypeMap:
		if depth >= maxDepth {
			e.buf = append(e.buf, partDeep)
			return
		}
		e.putMap(v.Map(), depth+1)
	case pcommon.ValueTypeSlice:
		if depth >= maxDepth {
			e.buf = append(e.buf, partDeep)
			return
		}
		s := v.Slice()
		e.buf = append(e.buf, partSlice)
		e.buf = binary.AppendUvarint(e.buf, uint64(s.Len())) //nolint:gosec // a length is not negative
		for i := range s.Len() {
			e.putValue(s.At(i), depth+1)
		}
	default:
		e.buf = append(e.buf, partEmpty)
	}
}
