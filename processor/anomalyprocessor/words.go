package anomalyprocessor

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/zeebo/xxh3"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

const (
	// maxWords and maxWord bound what the words of all series take: 8 MiB and the map.
	maxWords = 1 << 16
	maxWord  = 128
	// onceBits is the size of the filter of values that were seen.
	onceBits = 1 << 17
)

// words gives numbers to the strings that many series share: names of metrics and attributes, and values that come again.
// It grows up to its bounds and forgets nothing; what finds no room is spelt out.
type words struct {
	numbers map[string]uint32
	all     []string
	// once are the values seen, in a Bloom filter of one hash.
	once []uint64
}

// number returns the number of a string, if it has one or may have one: a value only from the second time on.
func (w *words) number(s string, value bool) (uint32, bool) {
	if n, ok := w.numbers[s]; ok {
		return n, true
	}
	if len(s) > maxWord || len(w.all) >= maxWords || value && !w.again(s) {
		return 0, false
	}
	if w.numbers == nil {
		w.numbers = map[string]uint32{}
	}
	n := uint32(len(w.all)) //nolint:gosec // at most maxWords
	s = strings.Clone(s)
	w.numbers[s] = n
	w.all = append(w.all, s)
	return n, true
}

// again says whether a value was, most likely, seen before.
func (w *words) again(s string) bool {
	if w.once == nil {
		w.once = make([]uint64, onceBits/64)
	}
	h := xxh3.HashString(s) % onceBits
	seen := w.once[h/64]&(1<<(h%64)) != 0
	w.once[h/64] |= 1 << (h % 64)
	return seen
}

// The types of values in a description.
const (
	wordString byte = iota
	wordInt
	wordDouble
	wordTrue
	wordFalse
	wordEmpty
	// wordOther is a value of any other type, as resourceText writes a map with it.
	wordOther
)

// encode describes a series in a few bytes.
func (w *words) encode(metric string, attributes pcommon.Map) []byte {
	text := make([]byte, 0, 2*blockBytes)
	text = w.put(text, metric, false)
	text = binary.AppendUvarint(text, uint64(attributes.Len())) //nolint:gosec // a length is not negative
	for name, v := range attributes.All() {
		text = w.put(text, name, false)
		switch v.Type() {
		case pcommon.ValueTypeStr:
			text = w.put(append(text, wordString), v.Str(), true)
		case pcommon.ValueTypeInt:
			text = binary.AppendVarint(append(text, wordInt), v.Int())
		case pcommon.ValueTypeDouble:
			text = binary.LittleEndian.AppendUint64(append(text, wordDouble), math.Float64bits(v.Double()))
		case pcommon.ValueTypeBool:
			if v.Bool() {
				text = append(text, wordTrue)
			} else {
				text = append(text, wordFalse)
			}
		case pcommon.ValueTypeEmpty:
			text = append(text, wordEmpty)
		default:
			one := pcommon.NewMap()
			v.CopyTo(one.PutEmpty(name))
			other := resourceText(one)
			text = binary.AppendUvarint(append(text, wordOther), uint64(len(other)))
			text = append(text, other...)
		}
	}
	return text
}

// put writes the number of a string plus one, or 0 and the string itself.
func (w *words) put(text []byte, s string, value bool) []byte {
	if n, ok := w.number(s, value); ok {
		return binary.AppendUvarint(text, uint64(n)+1)
	}
	text = append(text, 0)
	text = binary.AppendUvarint(text, uint64(len(s)))
	return append(text, s...)
}

// decode returns what encode described.
func (w *words) decode(text []byte) (metric string, attributes pcommon.Map) {
	r := wordReader{words: w, text: text}
	metric = r.string()
	attributes = pcommon.NewMap()
	n := r.uvarint()
	for range n {
		name := r.string()
		switch r.byte() {
		case wordString:
			attributes.PutStr(name, r.string())
		case wordInt:
			attributes.PutInt(name, r.varint())
		case wordDouble:
			attributes.PutDouble(name, math.Float64frombits(binary.LittleEndian.Uint64(r.bytes(8))))
		case wordTrue:
			attributes.PutBool(name, true)
		case wordFalse:
			attributes.PutBool(name, false)
		case wordOther:
			one := pcommon.NewMap()
			readResource(r.bytes(r.uvarint()), one)
			if v, ok := one.Get(name); ok {
				v.CopyTo(attributes.PutEmpty(name))
			}
		default:
			attributes.PutEmpty(name)
		}
	}
	return metric, attributes
}

// wordReader reads what encode wrote, which never leaves the process: there is nothing to check.
type wordReader struct {
	words *words
	text  []byte
}

func (r *wordReader) byte() byte {
	b := r.text[0]
	r.text = r.text[1:]
	return b
}

func (r *wordReader) bytes(n uint64) []byte {
	b := r.text[:n]
	r.text = r.text[n:]
	return b
}

func (r *wordReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.text)
	r.text = r.text[n:]
	return v
}

func (r *wordReader) varint() int64 {
	v, n := binary.Varint(r.text)
	r.text = r.text[n:]
	return v
}

func (r *wordReader) string() string {
	if n := r.uvarint(); n > 0 {
		return r.words.all[n-1]
	}
	return string(r.bytes(r.uvarint()))
}
