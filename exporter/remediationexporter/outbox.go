package remediationexporter

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

const storedVersion = 1

// delivery is one event on its way to one webhook.
type delivery struct {
	ID       string            `json:"id"`
	Type     semconv.EventType `json:"type"`
	Incident string            `json:"incident"`
	Revision int64             `json:"revision"`
	// Playbook and Step are set when the event asks the webhook to act.
	Playbook string `json:"playbook,omitempty"`
	Step     int    `json:"step,omitempty"`
	// Queued is when it was.
	Queued time.Time `json:"queued,omitzero"`
	Body   []byte    `json:"body"`
}

// ref names the play whose step the event asks for.
func (d *delivery) ref() playbook.Ref {
	return playbook.Ref{Incident: d.Incident, Playbook: d.Playbook, Revision: d.Revision, Step: d.Step}
}

// shared tells whether the event is news of an incident itself, which every replica is told of and could pass on.
func (d *delivery) shared() bool {
	switch d.Type {
	case semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated, semconv.EventTypeIncidentResolved:
		return true
	default:
		return false
	}
}

// outbox is the queue of one webhook, in the order of the decisions. What it would have stored is collected in ops,
// to be written together with the decisions.
type outbox struct {
	name  string
	items []delivery
	// first is the number of the oldest item; items are stored under their number.
	first uint64
}

type storedBounds struct {
	Version int    `json:"version"`
	First   uint64 `json:"first"`
	End     uint64 `json:"end"`
}

func (o *outbox) boundsKey() string       { return "queue/" + o.name }
func (o *outbox) itemKey(n uint64) string { return fmt.Sprintf("event/%s/%d", o.name, n) }
func (o *outbox) end() uint64             { return o.first + uint64(len(o.items)) }
func (o *outbox) boundsOp() *storage.Operation {
	b, _ := json.Marshal(storedBounds{storedVersion, o.first, o.end()}) // cannot fail: three numbers
	return storage.SetOperation(o.boundsKey(), b)
}

func (o *outbox) push(d delivery) *storage.Operation {
	b, _ := json.Marshal(d) // cannot fail: strings, a number and bytes
	op := storage.SetOperation(o.itemKey(o.end()), b)
	o.items = append(o.items, d)
	return op
}

func (o *outbox) pop() *storage.Operation {
	op := storage.DeleteOperation(o.itemKey(o.first))
	o.items[0] = delivery{}
	o.items = o.items[1:]
	o.first++
	return op
}

// loadOps returns the operations that read the items which the stored bounds speak of.
func (o *outbox) loadOps(bounds []byte, limit int) ([]*storage.Operation, error) {
	if bounds == nil {
		return nil, nil
	}
	var b storedBounds
	if err := json.Unmarshal(bounds, &b); err != nil {
		return nil, fmt.Errorf("decode queue of %s: %w", o.name, err)
	}
	if b.Version != storedVersion || b.End < b.First {
		return nil, fmt.Errorf("decode queue of %s: version %d or bounds %d to %d make no sense", o.name, b.Version, b.First, b.End)
	}
	o.first = b.First
	var ops []*storage.Operation
	for n := b.First; n < b.End; n++ {
		if len(ops) == limit {
			return nil, fmt.Errorf("decode queue of %s: it has more than %d events", o.name, limit)
		}
		ops = append(ops, storage.GetOperation(o.itemKey(n)))
	}
	return ops, nil
}

func decodeDelivery(b []byte) (delivery, error) {
	var d delivery
	if b == nil {
		return d, errors.New("event is missing")
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return d, fmt.Errorf("decode event: %w", err)
	}
	if d.ID == "" || d.Type == "" || len(d.Body) == 0 {
		return d, errors.New("event is incomplete")
	}
	return d, nil
}
