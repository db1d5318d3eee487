package remediationexporter

import (
	"context"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/circuitbreaker"
	"github.com/paramedic-otel/paramedic/internal/cloudevents"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/internal/stormgate"
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
		typ := semconv.EventTypeRemediationPaused
		if w.Paused == "" {
			typ = semconv.EventTypeRemediationResumed
		}
		// What all replicas hear of, the one that leads tells.
		if !w.Standby || !strings.Contains(by, byStore) {
			e.spreadGuard(typ, eventdata.Guard{Name: "kill_switch", State: state, Detail: plainText(by, maxDetail), By: actor}, now)
		}
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
	if typ := guardEvents[n.State]; typ != "" {
		e.spreadGuard(typ, eventdata.Guard{Name: n.Guard, Key: n.Key, State: n.State, Detail: clip(n.Detail, maxDetail)}, now)
	}
}

// guardEvents are the news that states of guards are; others are none.
var guardEvents = map[string]semconv.EventType{
	string(circuitbreaker.Open):   semconv.EventTypeRemediationBreakerOpened,
	string(circuitbreaker.Closed): semconv.EventTypeRemediationBreakerClosed,
	string(stormgate.Began):       semconv.EventTypeRemediationStormBegan,
	string(stormgate.Ended):       semconv.EventTypeRemediationStormEnded,
}

// spreadGuard queues news of a guard for those who want it. e.mu is held.
func (e *remediationExporter) spreadGuard(typ semconv.EventType, data eventdata.Guard, now time.Time) {
	ctx := context.Background()
	for _, h := range e.destinations {
		if !h.wants(typ) || e.folds(ctx, h, typ, nil, now) {
			continue
		}
		text, number := logSeverity(semconv.SeverityMinor)
		d := delivery{ID: deliveryID(typ, h.name, data.Name+"/"+data.Key, now.UnixNano(), ""), Type: typ}
		ev := &cloudevents.Event{
			ID: d.ID, Source: e.cfg.Source, Type: string(typ), Subject: "guard/" + data.Name, Time: cloudTime(now),
			SeverityText: text, SeverityNumber: number, Data: map[string]eventdata.Guard{"guard": data},
		}
		body, err := ev.Marshal()
		if err != nil {
			e.after(func() { e.logger.Error("news of a guard could not be encoded", zap.Error(err)) })
			continue
		}
		d.Body = body
		e.offer(ctx, h, d)
	}
}
