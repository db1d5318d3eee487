package semconv

import (
	"fmt"
	"iter"
	"math"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// maxDecodeErrors bounds how much a single hostile record can make an error say.
const maxDecodeErrors = 16

// decoder reads typed values from pdata maps and collects what is wrong with them.
type decoder struct {
	errs []error
}

func (d *decoder) fail(where, format string, args ...any) {
	if len(d.errs) < maxDecodeErrors {
		d.errs = append(d.errs, fmt.Errorf("%s %s", where, fmt.Sprintf(format, args...)))
	}
}

// get returns the value under key; ok is false, with an error noted, when it is there with another type.
func (d *decoder) get(m pcommon.Map, key string, want pcommon.ValueType) (v pcommon.Value, ok bool) {
	v, ok = m.Get(key)
	if !ok {
		return v, false
	}
	if v.Type() != want {
		d.fail(key, "must be a %s, got a %s", want, v.Type())
		return v, false
	}
	return v, true
}

func (d *decoder) str(m pcommon.Map, key string) string {
	if v, ok := d.get(m, key, pcommon.ValueTypeStr); ok {
		return v.Str()
	}
	return ""
}

func (d *decoder) integer(m pcommon.Map, key string) int64 {
	if v, ok := d.get(m, key, pcommon.ValueTypeInt); ok {
		return v.Int()
	}
	return 0
}

// double returns a finite number; integers are taken too, since JSON does not tell 1 from 1.0.
func (d *decoder) double(m pcommon.Map, key string) float64 {
	v, ok := m.Get(key)
	if !ok {
		return 0
	}
	switch v.Type() {
	case pcommon.ValueTypeInt:
		return float64(v.Int())
	case pcommon.ValueTypeDouble:
		if f := v.Double(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
		d.fail(key, "must be finite, got %v", v.Double())
	default:
		d.fail(key, "must be a number, got a %s", v.Type())
	}
	return 0
}

// ratio returns a number in [0, 1].
func (d *decoder) ratio(m pcommon.Map, key string) float64 {
	f := d.double(m, key)
	if f < 0 || f > 1 {
		d.fail(key, "must be between 0 and 1, got %v", f)
		return 0
	}
	return f
}

func (d *decoder) time(m pcommon.Map, key string) time.Time {
	s := d.str(m, key)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		d.fail(key, "must be an RFC 3339 time, got %.40q", s)
		return time.Time{}
	}
	return t.UTC()
}

func (d *decoder) strings(m pcommon.Map, key string) []string {
	v, ok := d.get(m, key, pcommon.ValueTypeSlice)
	if !ok {
		return nil
	}
	var out []string
	for i := 0; i < min(v.Slice().Len(), maxListEntries); i++ {
		item := v.Slice().At(i)
		if item.Type() != pcommon.ValueTypeStr {
			d.fail(key, "must hold strings, got a %s", item.Type())
			continue
		}
		out = append(out, item.Str())
	}
	return out
}

// child returns the map under key, or an empty one.
func (d *decoder) child(m pcommon.Map, key string) pcommon.Map {
	if v, ok := d.get(m, key, pcommon.ValueTypeMap); ok {
		return v.Map()
	}
	return pcommon.NewMap()
}

// maps yields the maps of the list under key.
func (d *decoder) maps(m pcommon.Map, key string) iter.Seq[pcommon.Map] {
	return func(yield func(pcommon.Map) bool) {
		v, ok := d.get(m, key, pcommon.ValueTypeSlice)
		if !ok {
			return
		}
		for i := 0; i < min(v.Slice().Len(), maxListEntries); i++ {
			item := v.Slice().At(i)
			if item.Type() != pcommon.ValueTypeMap {
				d.fail(key, "must hold maps, got a %s", item.Type())
				continue
			}
			if !yield(item.Map()) {
				return
			}
		}
	}
}

func (d *decoder) entity(m pcommon.Map) Entity {
	e := d.child(m, keyEntity)
	return Entity{Type: EntityType(d.str(e, keyType)), Name: d.str(e, keyName)}
}

func (d *decoder) cause(m pcommon.Map) Cause {
	c := Cause{
		Entity:     d.entity(m),
		Kind:       CauseKind(d.str(m, keyKind)),
		Confidence: d.ratio(m, keyConfidence),
		Share:      d.ratio(m, keyShare),
	}
	for k, v := range d.child(m, keyResource).All() {
		if len(c.Resource) == maxListEntries {
			break
		}
		if v.Type() != pcommon.ValueTypeStr {
			d.fail(keyResource, "must hold strings, got a %s under %.80q", v.Type(), k)
			continue
		}
		if c.Resource == nil {
			c.Resource = map[string]string{}
		}
		c.Resource[k] = v.Str()
	}
	for em := range d.maps(m, keyEvidence) {
		c.Evidence = append(c.Evidence, Evidence{
			Signal:    d.str(em, keySignal),
			Onset:     d.time(em, keyOnset),
			Deviation: d.double(em, keyDeviation),
			Score:     d.ratio(em, keyScore),
			Summary:   d.str(em, keySummary),
			Kind:      CauseKind(d.str(em, keyKind)),
			Entity:    d.entity(em),
			TraceIDs:  d.traceIDs(em),
		})
	}
	if _, ok := m.Get(keyChange); ok {
		change := d.change(d.child(m, keyChange))
		c.Change = &change
	}
	return c
}

func (d *decoder) change(m pcommon.Map) Change {
	return Change{Time: d.time(m, keyTime), Entity: d.entity(m), Summary: d.str(m, keySummary), Kind: d.str(m, keyKind)}
}

// traceIDs returns the first valid trace IDs of the list; others are refused.
func (d *decoder) traceIDs(m pcommon.Map) (ids []string) {
	for _, id := range d.strings(m, keyTraceIDs) {
		switch {
		case !isTraceID(id):
			d.fail(keyTraceIDs, "must hold 32 lower-case hexadecimal digits, got %.40q", id)
		case len(ids) < MaxTraceIDs:
			ids = append(ids, id)
		}
	}
	return ids
}

func isTraceID(s string) bool {
	if len(s) != 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// flatCause takes the cause from the flat attributes, for producers that send no ranked list.
func (d *decoder) flatCause(attrs pcommon.Map, inc *Incident) {
	entity := Entity{
		Type: EntityType(d.str(attrs, AttrIncidentCauseEntityType)),
		Name: d.str(attrs, AttrIncidentCauseEntityName),
	}
	if entity == (Entity{}) {
		return
	}
	inc.Causes = []Cause{{
		Entity:     entity,
		Kind:       CauseKind(d.str(attrs, AttrIncidentCauseKind)),
		Confidence: d.ratio(attrs, AttrIncidentCauseConfidence),
	}}
}
