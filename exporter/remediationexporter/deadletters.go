package remediationexporter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// The reasons for which a dead letter is dropped, as in metadata.yaml.
const (
	droppedFull = "full"
	droppedOld  = "old"
)

// deadLetter is an event that its destination did not take.
type deadLetter struct {
	// Seq is the order in which they died.
	Seq      uint64    `json:"seq"`
	At       time.Time `json:"at"`
	Webhook  string    `json:"webhook"`
	Reason   string    `json:"reason"`
	Detail   string    `json:"detail,omitempty"`
	Delivery delivery  `json:"delivery"`
}

// deadLetters are kept in the order in which they died. The slice is never written to, only replaced.
type deadLetters struct {
	letters []*deadLetter
	slots   slots
	// changed are the IDs of deliveries that were added or removed since they were last stored.
	changed []string
}

func newDeadLetters() deadLetters { return deadLetters{slots: newSlots("dead/slots", "dead")} }

func (d *deadLetters) find(id string) *deadLetter {
	if i := slices.IndexFunc(d.letters, func(l *deadLetter) bool { return l.Delivery.ID == id }); i >= 0 {
		return d.letters[i]
	}
	return nil
}

func (d *deadLetters) remove(ids ...string) {
	d.letters = slices.DeleteFunc(slices.Clone(d.letters), func(l *deadLetter) bool { return slices.Contains(ids, l.Delivery.ID) })
	d.changed = append(slices.Clip(d.changed), ids...)
}

// add keeps a letter, in place of an older one of the same event.
func (d *deadLetters) add(l *deadLetter) {
	l.Seq = 1
	if n := len(d.letters); n > 0 {
		l.Seq = d.letters[n-1].Seq + 1
	}
	d.remove(l.Delivery.ID)
	d.letters = append(d.letters, l)
}

// ops store what has changed.
func (d *deadLetters) ops() []*storage.Operation {
	var ops []*storage.Operation
	slices.Sort(d.changed)
	for _, id := range slices.Compact(d.changed) {
		var encoded []byte
		if l := d.find(id); l != nil {
			encoded, _ = json.Marshal(l) // cannot fail: strings, numbers, times of the wall clock and bytes
		}
		ops = append(ops, d.slots.put(id, encoded)...)
	}
	return ops
}

func (d *deadLetters) load(ctx context.Context, client storage.Client, broken func(error)) error {
	err := d.slots.load(ctx, client, maxStoredItems, func(b []byte) (string, error) {
		var l deadLetter
		if err := json.Unmarshal(b, &l); err != nil {
			return "", fmt.Errorf("decode dead letter: %w", err)
		}
		if l.Delivery.ID == "" || l.Delivery.Type == "" || len(l.Delivery.Body) == 0 || d.find(l.Delivery.ID) != nil {
			return "", errors.New("decode dead letter: it is incomplete, or there twice")
		}
		d.letters = append(d.letters, &l)
		return l.Delivery.ID, nil
	}, broken)
	slices.SortFunc(d.letters, func(a, b *deadLetter) int {
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Delivery.ID, b.Delivery.ID))
	})
	return err
}

// bury keeps an event that its destination did not take. e.mu is held.
func (e *remediationExporter) bury(ctx context.Context, h *destination, d *delivery, reason, detail string, now time.Time) {
	if reason != lostRefused && reason != lostExhausted && reason != lostDisabled {
		e.recordDelivery(h.name, d, incidentstore.DeliveryDropped, reason, detail, now)
		return
	}
	if reason != lostDisabled { // of that there is news of its own
		e.tellDeadLetter(ctx, h, eventdata.Delivery{
			Destination: h.name, Event: d.ID, Type: d.Type, Reason: reason, Detail: plainText(detail, maxDetail),
		}, now)
	}
	if e.cfg.DeadLetters.MaxEvents == 0 {
		e.recordDelivery(h.name, d, incidentstore.DeliveryDropped, reason, detail, now)
		return
	}
	e.recordDelivery(h.name, d, incidentstore.DeliveryDead, reason, detail, now)
	e.dead.add(&deadLetter{At: now.UTC(), Webhook: h.name, Reason: reason, Detail: plainText(detail, maxDetail), Delivery: *d})
	if n := len(e.dead.letters) - e.cfg.DeadLetters.MaxEvents; n > 0 {
		e.dropLetters(ctx, n, droppedFull)
	}
	e.audit.note(now, auditchain.Entry{
		Kind: string(semconv.EventRemediationDeadLetter), Incident: d.Incident, Playbook: d.Playbook, Actor: executorActor,
		Text: plainText(detail, maxDetail), Fields: map[string]string{"destination": h.name, "webhook": h.name, "reason": reason, "type": string(d.Type), "event": d.ID},
	})
}

// dropLetters drops the oldest. e.mu is held.
func (e *remediationExporter) dropLetters(ctx context.Context, n int, reason string) {
	var ids []string
	for _, l := range e.dead.letters[:n] {
		ids = append(ids, l.Delivery.ID)
		e.recordDelivery(l.Webhook, &l.Delivery, incidentstore.DeliveryDropped, reason, "no longer kept", time.Now())
	}
	e.dead.remove(ids...)
	e.after(func() {
		add(ctx, e.telemetry.ExporterRemediationDroppedDeadLetters, e.telemetry.dropped, reason, n)
	})
}

// expireLetters drops those that are too old. e.mu is held.
func (e *remediationExporter) expireLetters(ctx context.Context, now time.Time) {
	n := 0
	for n < len(e.dead.letters) && now.Sub(e.dead.letters[n].At) >= e.cfg.DeadLetters.MaxAge {
		n++
	}
	if n > 0 {
		e.dropLetters(ctx, n, droppedOld)
	}
}

// refusedLetter says why a letter was not replayed.
type refusedLetter struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// replayed says what became of letters that were to be replayed.
type replayed struct {
	Replayed []string        `json:"replayed"`
	Refused  []refusedLetter `json:"refused"`
}

// replay queues letters anew, in the order in which they died, and with their old IDs. What asks for an action is never
// replayed blindly: its intent must still wait for it. e.mu is held.
func (e *remediationExporter) replay(ctx context.Context, letters []*deadLetter, by string) (replayed, error) {
	out := replayed{Replayed: []string{}, Refused: []refusedLetter{}}
	full := map[string]bool{}
	for _, l := range letters {
		h := e.destinationNamed(l.Webhook)
		reason := ""
		switch {
		case h == nil:
			reason = "its destination is no longer configured"
		case h.gone:
			reason = "its destination is gone until a restart"
		case full[l.Webhook] || !h.takes(e.cfg.QueueSize):
			// What comes after it must not overtake it.
			reason, full[l.Webhook] = "the queue of its destination is full", true
		case l.Delivery.Playbook != "":
			if play, ok := e.ledger.At(l.Delivery.ref()); !ok || play.Outcome != playbook.Pending {
				reason = "its intent has ended: the action is no longer wanted"
			}
		case e.over(&l.Delivery):
			reason = "its incident is over, and nobody would tell its end after it"
		}
		if reason != "" {
			out.Refused = append(out.Refused, refusedLetter{l.Delivery.ID, reason})
			continue
		}
		d := l.Delivery
		if !e.offer(ctx, h, d) {
			continue
		}
		e.dead.remove(d.ID)
		out.Replayed = append(out.Replayed, d.ID)
		if err := e.replayedNews(h, &d, by); err != nil {
			return out, err
		}
	}
	n := int64(len(out.Replayed))
	e.after(func() { e.telemetry.ExporterRemediationReplayedEvents.Add(ctx, n) })
	return out, nil
}

// over reports whether a letter is news of an incident that has ended since, or is forgotten. Told now, it would open something that
// stays open. e.mu is held.
func (e *remediationExporter) over(d *delivery) bool {
	switch d.Type {
	case semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated, semconv.EventTypeIncidentAcknowledged:
		inc := e.ledger.Incident(d.Incident)
		return inc == nil || inc.Resolved
	default:
		return false
	}
}

// replayedNews notes that a webhook is told of an incident after all, and who wanted that.
func (e *remediationExporter) replayedNews(h *destination, d *delivery, by string) error {
	inc := e.ledger.Incident(d.Incident)
	if inc == nil {
		return nil
	}
	if err := e.requested(d.Incident, by); err != nil {
		return err
	}
	m := decodeMemo(inc)
	if !strings.HasPrefix(string(d.Type), incidentTypes) || d.Type == semconv.EventTypeIncidentResolved || m.Opened[h.name] != "" {
		return nil
	}
	e.ledger.Touch(d.Incident)
	m.Opened[h.name] = d.ID
	return m.store(inc)
}

// incidentTypes is what the types of events about incidents begin with.
const incidentTypes = "io.paramedic.incident."

func (e *remediationExporter) destinationNamed(name string) *destination {
	if i := slices.IndexFunc(e.destinations, func(h *destination) bool { return h.name == name }); i >= 0 {
		return e.destinations[i]
	}
	return nil
}
