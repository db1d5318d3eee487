package anomalyprocessor

import (
	"encoding/binary"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const (
	// blockBytes is what a block of a text holds. Most descriptions of series need one.
	blockBytes = 36
	// maxText bounds a description, in bytes; longer ones are not kept.
	maxText = 4096
)

type block struct {
	data [blockBytes]byte
	// next is the slot of the next block plus one.
	next uint32
}

// texts keep descriptions of resources, as OTLP, and of series, as words encode them, in blocks of one size: no pointers, nothing to compact.
type texts struct{ blocks slab[block] }

// put keeps a text and returns its handle, 0 when it is too long.
func (x *texts) put(text []byte) uint32 {
	if len(text) > maxText {
		return 0
	}
	// Behind the length, the bytes.
	var length [2]byte
	binary.LittleEndian.PutUint16(length[:], uint16(len(text))) //nolint:gosec // at most maxText
	slot := x.blocks.take()
	first := slot + 1
	b := x.blocks.at(slot)
	copy(b.data[:], length[:])
	rest := text[copy(b.data[2:], text):]
	for len(rest) > 0 {
		next := x.blocks.take()
		b.next = next + 1
		b = x.blocks.at(next)
		rest = rest[copy(b.data[:], rest):]
	}
	return first
}

// get returns a copy of a text.
func (x *texts) get(handle uint32) []byte {
	b := x.blocks.at(handle - 1)
	text := make([]byte, binary.LittleEndian.Uint16(b.data[:]))
	rest := text[copy(text, b.data[2:]):]
	for len(rest) > 0 {
		b = x.blocks.at(b.next - 1)
		rest = rest[copy(rest, b.data[:]):]
	}
	return text
}

// drop forgets a text; 0 is none.
func (x *texts) drop(handle uint32) {
	for handle != 0 {
		next := x.blocks.at(handle - 1).next
		x.blocks.give(handle - 1)
		handle = next
	}
}

func resourceText(attributes pcommon.Map) []byte {
	md := pmetric.NewMetrics()
	attributes.CopyTo(md.ResourceMetrics().AppendEmpty().Resource().Attributes())
	return text(md)
}

func seriesText(metric string, attributes pcommon.Map) []byte {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(metric)
	attributes.CopyTo(m.SetEmptyGauge().DataPoints().AppendEmpty().Attributes())
	return text(md)
}

// fits says whether attributes, without the ignored ones, are short enough to be kept.
func fits(attributes pcommon.Map, ignored []string) bool {
	size := 0
	for name, v := range attributes.All() {
		if slices.Contains(ignored, name) {
			continue
		}
		size += len(name) + 8
		switch v.Type() {
		case pcommon.ValueTypeStr:
			size += len(v.Str())
		case pcommon.ValueTypeBytes:
			size += v.Bytes().Len()
		case pcommon.ValueTypeMap, pcommon.ValueTypeSlice:
			one := pcommon.NewMap()
			v.CopyTo(one.PutEmpty(""))
			size += len(resourceText(one))
		default:
		}
		if size > maxText {
			return false
		}
	}
	return true
}

func text(md pmetric.Metrics) []byte {
	data, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
	if err != nil {
		// As one that is too long.
		return make([]byte, maxText+1)
	}
	return data
}

// readResource puts what resourceText wrote into a resource.
func readResource(text []byte, into pcommon.Map) {
	if md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(text); err == nil && md.ResourceMetrics().Len() == 1 {
		md.ResourceMetrics().At(0).Resource().Attributes().MoveTo(into)
	}
}

// readSeries returns what seriesText wrote.
func readSeries(text []byte) (metric string, attributes pcommon.Map) {
	md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(text)
	if err != nil || md.DataPointCount() != 1 {
		return "", pcommon.NewMap()
	}
	m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
	return m.Name(), m.Gauge().DataPoints().At(0).Attributes()
}
