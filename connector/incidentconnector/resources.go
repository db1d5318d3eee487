package incidentconnector

import (
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatautil"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/semconv"
)

// resourceNote is what is known of a resource that has been read, so that it need not be read again with every batch.
type resourceNote struct {
	entity semconv.Entity
	// named is whether it names an entity, met whether that is a service which is known.
	named, met bool
	// at is when, in event time, it was last read.
	at time.Time
}

// resources remembers the resources that were read lately.
type resources struct {
	limit int
	notes map[[16]byte]resourceNote
}

func newResources(limit int) *resources {
	return &resources{limit: limit, notes: map[[16]byte]resourceNote{}}
}

func (r *resources) forget(before time.Time) {
	for hash, note := range r.notes {
		if note.at.Before(before) {
			delete(r.notes, hash)
		}
	}
}

// read takes in what a resource says of entities, relations and versions, once in a bucket.
func (e *engine) read(resource pcommon.Map) (hash [16]byte, note resourceNote) {
	hash = pdatautil.MapHash(resource)
	at := e.clock.watermark
	note, ok := e.resources.notes[hash]
	if ok && at.Sub(note.at).Abs() < e.cfg.Bucket {
		return hash, note
	}
	note = resourceNote{at: at}
	note.entity, note.named = resourceEntity(resource)
	if note.named && note.entity.Type == semconv.EntityService {
		note.met = e.meet(note.entity.Name, resource)
	}
	if !e.clock.started() {
		return hash, note
	}
	e.relate(resource, at)
	if ok || len(e.resources.notes) < e.resources.limit {
		e.resources.notes[hash] = note
	}
	return hash, note
}
