package remediationexporter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// repeats are the newest events of the incidents that a destination must be told again and again, by incident.
type repeats struct {
	of    map[string]*queued
	slots slots
}

func newRepeats(name string) *repeats {
	return &repeats{of: map[string]*queued{}, slots: newSlots("repeat/"+name+"/slots", "repeat/"+name)}
}

// due returns when the next one is told again; zero for never.
func (r *repeats) due(h *destination) time.Time {
	var first time.Time
	if r == nil || h.gone {
		return first
	}
	for _, q := range r.of {
		at := q.due
		if h.resume.After(at) {
			at = h.resume
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// repeated returns the event that is to be told again first, if it is time. What waits in the queue for the same incident comes
// before it: that is newer. e.mu is held.
func (e *remediationExporter) repeated(h *destination, now time.Time) *job {
	if h.repeats == nil || h.gone || e.standby || e.stopping() || h.resume.After(now) {
		return nil
	}
	var next *queued
	for _, id := range slices.Sorted(maps.Keys(h.repeats.of)) {
		q := h.repeats.of[id]
		if q.due.After(now) {
			continue
		}
		if h.box.holds(id, func(*queued) bool { return true }) {
			q.due = now.Add(tickInterval)
			continue
		}
		if next == nil || q.due.Before(next.due) {
			next = q
		}
	}
	if next == nil {
		return nil
	}
	j := e.newJob(h, next, time.Time{}, now)
	j.repeats = true
	return j
}

// repeatFrom keeps an event that was taken, if it is to be told again. e.mu is held.
func (e *remediationExporter) repeatFrom(h *destination, j *job, now time.Time) {
	if h.repeats == nil || j.message == nil || j.message.Incident == nil {
		return
	}
	switch j.Type {
	case semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated, semconv.EventTypeIncidentAcknowledged, semconv.EventTypeIncidentResolved:
	default:
		return
	}
	wait := h.driver.(notifier.Repeater).Repeat(j.message)
	if wait <= 0 {
		e.forgetRepeat(h, j.Incident)
		return
	}
	q := &queued{delivery: j.delivery, due: now.Add(wait)}
	if old := h.repeats.of[j.Incident]; old == nil || old.ID != j.ID {
		b, _ := json.Marshal(q.delivery) // cannot fail, as in push
		e.store(h.repeats.slots.put(j.Incident, b)...)
	}
	h.repeats.of[j.Incident] = q
}

// forgetRepeat ends the repetition. e.mu is held.
func (e *remediationExporter) forgetRepeat(h *destination, incident string) {
	if _, ok := h.repeats.of[incident]; ok {
		delete(h.repeats.of, incident)
		e.store(h.repeats.slots.put(incident, nil)...)
	}
}

// settleRepeat notes how a repetition ended. e.mu is held.
func (e *remediationExporter) settleRepeat(ctx context.Context, h *destination, j *job, err error, now time.Time) {
	switch {
	case err == nil:
		e.after(func() { e.telemetry.ExporterRemediationRepeatedEvents.Add(ctx, 1) })
		e.repeatFrom(h, j, now)
	case errors.Is(err, errGone):
		e.forgetRepeat(h, j.Incident)
		e.disable(ctx, h, &j.delivery, err, now)
	case permanent(err):
		e.after(func() {
			e.logger.Warn("event is not repeated any more", zap.String("destination", h.name), zap.String("event", j.ID), zap.Error(err))
		})
		e.forgetRepeat(h, j.Incident)
	default:
		j.attempts++
		j.due = now.Add(backoff(&h.retry, j.attempts, 0.5))
	}
}

// forgetRepeats ends the repetition of incidents that are no longer known. e.mu is held.
func (e *remediationExporter) forgetRepeats() {
	for _, h := range e.destinations {
		if h.repeats == nil {
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(h.repeats.of)) {
			if e.ledger.Incident(id) == nil {
				e.forgetRepeat(h, id)
			}
		}
	}
}

// store keeps operations for the next commit. e.mu is held.
func (e *remediationExporter) store(ops ...*storage.Operation) {
	if e.persistent {
		e.ops = append(e.ops, ops...)
	}
}

// loadRepeats restores what was repeated before a restart; all of it is due.
func (e *remediationExporter) loadRepeats(ctx context.Context, h *destination) error {
	if h.repeats == nil {
		return nil
	}
	return h.repeats.slots.load(ctx, e.client, maxStoredItems, func(b []byte) (string, error) {
		d, err := decodeDelivery(b)
		if err != nil {
			return "", err
		}
		if d.Incident == "" || h.repeats.of[d.Incident] != nil {
			return "", fmt.Errorf("event %s is of no incident, or there twice", d.ID)
		}
		h.repeats.of[d.Incident] = &queued{delivery: d}
		return d.Incident, nil
	}, func(err error) {
		e.unreadable(ctx, "an event that is to be repeated could not be understood and is forgotten", err)
	})
}
