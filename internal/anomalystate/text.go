package anomalystate

import (
	"encoding/binary"
	"math"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Kind is the kind of metric that a stream is of, as Stream.Kind numbers it. The numbers are part of the format.
type Kind uint8

var kindNames = []string{
	"none", "value", "delta_sum", "cumulative_sum", "delta_histogram", "cumulative_histogram", "delta_exponential_histogram",
	"cumulative_exponential_histogram", "summary", "unknown", "ratio",
}

// String returns the name of the kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// The types of attributes in a text.
const (
	textString byte = iota
	textInt
	textDouble
	textTrue
	textFalse
	textEmpty
	textOther
)

// Describe reads Text: the name of the metric and its attributes; false when there is none, or it cannot be read.
func (s *Stream) Describe() (metric string, attributes pcommon.Map, ok bool) {
	r := reader{rest: s.Text}
	metric, attributes = r.text(), pcommon.NewMap()
	for n := r.count(maxText); n > 0 && !r.bad; n-- {
		name := r.text()
		switch r.byte() {
		case textString:
			attributes.PutStr(name, r.text())
		case textInt:
			v, size := binary.Varint(r.rest)
			r.bytes(uint64(max(0, size))) //nolint:gosec // not negative
			r.bad = r.bad || size <= 0
			attributes.PutInt(name, v)
		case textDouble:
			attributes.PutDouble(name, math.Float64frombits(r.u64()))
		case textTrue:
			attributes.PutBool(name, true)
		case textFalse:
			attributes.PutBool(name, false)
		case textEmpty:
			attributes.PutEmpty(name)
		case textOther:
			other := Resource{Text: r.bytes(r.count(maxText))}
			if v, ok := other.Describe().Get(name); ok {
				v.CopyTo(attributes.PutEmpty(name))
			}
		default:
			r.bad = true
		}
	}
	if r.bad || len(r.rest) > 0 {
		return "", pcommon.NewMap(), false
	}
	return metric, attributes, true
}

func (r *reader) text() string {
	if r.byte() != 0 {
		r.bad = true
	}
	return string(r.bytes(r.count(maxText)))
}

// Describe reads Text: the attributes of the resource; none when there is none, or it cannot be read.
func (r *Resource) Describe() pcommon.Map {
	if r != nil {
		md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(r.Text)
		if err == nil && md.ResourceMetrics().Len() == 1 {
			return md.ResourceMetrics().At(0).Resource().Attributes()
		}
	}
	return pcommon.NewMap()
}
