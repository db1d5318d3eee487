package remediationexporter

import (
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// tellWorld notes what has changed of the surroundings. e.mu is held.
func (e *remediationExporter) tellWorld(w playbook.World, now time.Time) {
	before := e.world
	if w == before {
		return
	}
	e.world = w
	actor := e.actor
	if actor == "" {
		actor = executorActor
	}
	if w.Paused != before.Paused {
		state, by := "paused", w.Paused
		if w.Paused == "" {
			state, by = "resumed", before.Paused
		}
		e.audit.note(now, auditchain.Entry{
			Kind: string(semconv.EventRemediationPause), Actor: actor, Text: plainText(by, maxDetail), Fields: map[string]string{"state": state},
		})
		e.after(func() { e.logger.Info("automation "+state, zap.String("by", by), zap.String("actor", actor)) })
	}
	if w.Standby != before.Standby {
		state := "leads"
		if w.Standby {
			state = "stands by"
		}
		e.audit.note(now, auditchain.Entry{Kind: string(semconv.EventRemediationLeadership), Actor: executorActor, Fields: map[string]string{"state": state}})
	}
}

// lookFor is look after a person has changed something. e.mu is held.
func (e *remediationExporter) lookFor(by string, now time.Time) {
	e.actor = by
	e.look(now)
	e.actor = ""
}

// noteGuard records news of a guard that spans incidents. e.mu is held.
func (e *remediationExporter) noteGuard(n playbook.Note, now time.Time) {
	fields := map[string]string{"guard": n.Guard, "state": n.State}
	put(fields, "key", n.Key)
	e.audit.note(now, auditchain.Entry{
		Kind: string(semconv.EventRemediationGuard), Actor: executorActor, Text: clip(n.Detail, maxDetail), Fields: fields,
	})
}
