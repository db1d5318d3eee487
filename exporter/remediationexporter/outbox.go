package remediationexporter

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

const storedVersion = 1

// delivery is one event on its way to one destination.
type delivery struct {
	ID       string            `json:"id"`
	Type     semconv.EventType `json:"type"`
	Incident string            `json:"incident"`
	Revision int64             `json:"revision"`
	// Playbook and Step are set when the event asks the webhook to act.
	Playbook string `json:"playbook,omitempty"`
	Step     int    `json:"step,omitempty"`
	// Occurrence is that of the incident, less 1.
	Occurrence int `json:"occurrence,omitempty"`
	// Queued is when it was.
	Queued time.Time `json:"queued,omitzero"`
	// NotBefore is when an escalation is told, unless somebody has taken the incident on by then.
	NotBefore time.Time `json:"not_before,omitzero"`
	Body      []byte    `json:"body"`
}

// ref names the play whose step the event asks for.
func (d *delivery) ref() playbook.Ref {
	return playbook.Ref{Incident: d.Incident, Playbook: d.Playbook, Revision: d.Revision, Step: d.Step}
}

// shared tells whether the event is news of an incident itself, which every replica is told of and could pass on.
func (d *delivery) shared() bool {
	switch d.Type {
	case semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated, semconv.EventTypeIncidentResolved,
		semconv.EventTypeIncidentAcknowledged:
		return true
	default:
		return false
	}
}

// escalates reports whether it is an escalation that may be on its way already.
func (d *delivery) escalates(now time.Time) bool {
	return !d.NotBefore.IsZero() && !d.NotBefore.After(now)
}

// queued is a delivery in its queue.
type queued struct {
	delivery
	// number is its place; the oldest has the lowest.
	number uint64
	// attempts is how many there were since the start of this process, the first when it began; the next is not before due.
	attempts   int
	began, due time.Time
	// claim is the intent of an action that the fleet of executors has agreed on.
	claim string
	// waits is set once it was told that it has to wait for that.
	waits bool
}

// outbox is the queue of one destination, in the order of the decisions. What is about one incident leaves it in this order; what is
// about others may overtake it. What it would have stored is collected by the exporter, to be written together with the decisions.
type outbox struct {
	name  string
	items []*queued
	// first and end are the numbers between which items are stored; some in between may be gone.
	first, end uint64
	// moved is set when the bounds are not stored as they are.
	moved bool
}

type storedBounds struct {
	Version int    `json:"version"`
	First   uint64 `json:"first"`
	End     uint64 `json:"end"`
}

// maxGaps is how many times the length of the queue its numbers may span, beyond which it is numbered anew.
const (
	maxGaps = 4
	minSpan = 1000
)

func (o *outbox) len() int                { return len(o.items) }
func (o *outbox) boundsKey() string       { return "queue/" + o.name }
func (o *outbox) itemKey(n uint64) string { return fmt.Sprintf("event/%s/%d", o.name, n) }
func (o *outbox) boundsOp() *storage.Operation {
	b, _ := json.Marshal(storedBounds{storedVersion, o.first, o.end}) // cannot fail: three numbers
	return storage.SetOperation(o.boundsKey(), b)
}

func (o *outbox) push(d delivery) *storage.Operation {
	b, _ := json.Marshal(d) // cannot fail: strings, numbers, times of the wall clock and bytes
	op := storage.SetOperation(o.itemKey(o.end), b)
	o.items = append(o.items, &queued{delivery: d, number: o.end})
	o.end++
	o.moved = true
	return op
}

// replace puts another delivery in the place of one that nobody was told of yet. What was is left as it is, for a rollback.
func (o *outbox) replace(q *queued, d delivery) *storage.Operation {
	renewed := *q
	renewed.delivery = d
	o.items = slices.Clone(o.items)
	o.items[slices.Index(o.items, q)] = &renewed
	b, _ := json.Marshal(d) // cannot fail, as in push
	return storage.SetOperation(o.itemKey(q.number), b)
}

// remove takes an item out. It returns what stores that, which is more when the numbers have become sparse.
func (o *outbox) remove(q *queued) []*storage.Operation {
	i, found := slices.BinarySearchFunc(o.items, q.number, func(q *queued, n uint64) int { return cmp.Compare(q.number, n) })
	if !found {
		return nil
	}
	o.items = slices.Delete(o.items, i, i+1)
	ops := []*storage.Operation{storage.DeleteOperation(o.itemKey(q.number))}
	o.moved = true
	o.first = o.end
	if len(o.items) > 0 {
		o.first = o.items[0].number
	}
	if span := o.end - o.first; span > minSpan && span > maxGaps*uint64(len(o.items)) {
		ops = append(ops, o.renumber()...)
	}
	return ops
}

// renumber closes the gaps.
func (o *outbox) renumber() []*storage.Operation {
	var ops []*storage.Operation
	for _, q := range o.items {
		ops = append(ops, storage.DeleteOperation(o.itemKey(q.number)))
	}
	o.first = o.end
	for _, q := range o.items {
		q.number = o.end
		b, _ := json.Marshal(q.delivery) // cannot fail, as in push
		ops = append(ops, storage.SetOperation(o.itemKey(q.number), b))
		o.end++
	}
	o.moved = true
	return ops
}

// heads returns the oldest item of each incident, from the oldest.
func (o *outbox) heads(yield func(*queued) bool) {
	seen := map[string]bool{}
	for _, q := range o.items {
		if seen[q.Incident] {
			continue
		}
		seen[q.Incident] = true
		if !yield(q) {
			return
		}
	}
}

// holds reports whether there is something in it about an incident that matches.
func (o *outbox) holds(incident string, match func(*queued) bool) bool {
	return slices.ContainsFunc(o.items, func(q *queued) bool { return q.Incident == incident && match(q) })
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
	if b.End-b.First > uint64(limit) {
		return nil, fmt.Errorf("decode queue of %s: it spans more than %d events", o.name, limit)
	}
	o.first, o.end = b.First, b.End
	var ops []*storage.Operation
	for n := b.First; n < b.End; n++ {
		ops = append(ops, storage.GetOperation(o.itemKey(n)))
	}
	return ops, nil
}

func decodeDelivery(b []byte) (delivery, error) {
	var d delivery
	if err := json.Unmarshal(b, &d); err != nil {
		return d, fmt.Errorf("decode event: %w", err)
	}
	if d.ID == "" || d.Type == "" || len(d.Body) == 0 {
		return d, errors.New("event is incomplete")
	}
	return d, nil
}
