package anomalyprocessor

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
)

// resource is what is known of a resource that has streams.
type resource struct {
	key seriesidentity.Key
	// last is the time of its newest point, restarted the latest start of a counter that began anew.
	last, restarted int64
	// streams counts its streams, and the batch that is at it.
	streams uint32
	// text is the handle of its attributes, once they are needed.
	text uint32
}

// resources are those of the streams that are held.
type resources struct {
	byKey map[seriesidentity.Key]uint32
	all   slab[resource]
}

// enter returns the slot of a resource plus one, and counts one more user of it.
func (r *resources) enter(k seriesidentity.Key) uint32 {
	slot, ok := r.byKey[k]
	if !ok {
		if r.byKey == nil {
			r.byKey = map[seriesidentity.Key]uint32{}
		}
		slot = r.all.take()
		r.all.at(slot).key = k
		r.byKey[k] = slot
	}
	r.all.at(slot).streams++
	return slot + 1
}

// leave counts one user less, and forgets a resource that has none.
func (r *resources) leave(handle uint32, texts *texts) {
	if handle == 0 {
		return
	}
	res := r.all.at(handle - 1)
	if res.streams--; res.streams == 0 {
		delete(r.byKey, res.key)
		texts.drop(res.text)
		r.all.give(handle - 1)
	}
}

// describe keeps what is needed to speak of a stream when none of its points is at hand.
func (t *table) describe(s *stream, metric string, resourceAttributes, attributes pcommon.Map) {
	if s.text != 0 || s.resource == 0 {
		return
	}
	if r := t.resources.all.at(s.resource - 1); r.text == 0 {
		r.text = t.texts.put(resourceText(resourceAttributes))
	}
	s.text = t.texts.put(t.words.encode(metric, attributes))
}
