package remediationexporter

import (
	"context"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/cloudevents"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// envelope returns everything of an event but its data.
func (e *remediationExporter) envelope(d delivery, at time.Time, inc *semconv.Incident) *cloudevents.Event {
	text, number := logSeverity(inc.Severity)
	return &cloudevents.Event{
		ID: d.ID, Source: e.cfg.Source, Type: string(d.Type), Subject: "incident/" + inc.ID, Time: cloudTime(at),
		SeverityText: text, SeverityNumber: number,
		CorrelationID: inc.ID, CausationID: inc.ID + "/" + strconv.FormatInt(inc.Revision, 10),
	}
}

// send queues an event with as much of the incident as fits. e.mu is held.
func (e *remediationExporter) send(
	ctx context.Context, h *webhook, d delivery, ev *cloudevents.Event, data *eventData, inc *semconv.Incident,
) (queued bool, err error) {
	body, truncated, err := shorten(ev, data, inc, e.cfg.MaxBodySize)
	if err != nil {
		return false, err
	}
	if truncated {
		e.after(func() { e.telemetry.ExporterRemediationTruncatedEvents.Add(ctx, 1) })
	}
	d.Body = body
	return e.offer(ctx, h, d), nil
}

// offer queues an event unless its webhook takes no more. e.mu is held.
func (e *remediationExporter) offer(ctx context.Context, h *webhook, d delivery) (queued bool) {
	switch {
	case h.gone:
		e.lose(ctx, lostDisabled)
		return false
	case len(h.box.items) >= e.cfg.QueueSize:
		e.lose(ctx, lostQueueFull)
		return false
	}
	e.enqueue(h, d)
	return true
}

func (e *remediationExporter) lose(ctx context.Context, reason string) {
	e.after(func() { e.telemetry.lost(ctx, reason, 1) })
}

func newRemediationData(name, action string, p playbook.Play) *remediationData {
	return &remediationData{
		Playbook: name, Action: action, Target: p.Target, Outcome: outcomeName(p.Outcome), Reason: p.Reason, Revision: p.Revision,
	}
}

// outcomeName is what the world calls an outcome: a play that may act has started.
func outcomeName(o playbook.Outcome) string {
	if o == playbook.Pending {
		return outcomeStarted
	}
	return string(o)
}

// report tells what has become of a play after it was decided. e.mu is held.
func (e *remediationExporter) report(ctx context.Context, c *playbook.Change, now time.Time) {
	e.dirty = true
	e.tell(ctx, c.Incident, c.Playbook, c.Play, now)
}

// tell writes the audit line, counts, and queues the news for those who want it. e.mu is held.
func (e *remediationExporter) tell(ctx context.Context, incident, name string, p playbook.Play, now time.Time) {
	action := ""
	if b := e.bookOf(name); b != nil {
		action = b.cfg.Action.Name
	}
	outcome := outcomeName(p.Outcome)
	e.after(func() {
		add(ctx, e.telemetry.ExporterRemediationActions, e.telemetry.outcomes, outcome, 1)
		if p.Outcome == playbook.Skipped {
			add(ctx, e.telemetry.ExporterRemediationSkippedActions, e.telemetry.skips, string(p.Reason), 1)
		}
		e.logger.Info("remediation decision", zap.String("outcome", outcome), zap.String("reason", string(p.Reason)),
			zap.String("incident_id", incident), zap.Int64("incident_revision", p.Revision), zap.String("playbook", name),
			zap.String("action", action), zap.String("target", p.Target))
	})
	typ := remediationEventType(p.Outcome)
	if typ == "" {
		return
	}
	m := decodeMemo(e.ledger.Incident(incident))
	for _, h := range e.hooks {
		// Whoever takes the action knows of its start.
		if !h.wants(typ) || (p.Outcome == playbook.Pending && h == e.bookOf(name).hook) {
			continue
		}
		d := delivery{ID: deliveryID(typ, h.name, incident, p.Revision, name), Type: typ, Incident: incident, Revision: p.Revision}
		ev := e.envelope(d, now, &semconv.Incident{ID: incident, Severity: m.Summary.Severity, Revision: p.Revision})
		ev.Data = &eventData{Incident: m.Summary, Remediation: newRemediationData(name, action, p)}
		body, err := ev.Marshal()
		if err != nil {
			e.after(func() { e.logger.Error("news of a remediation could not be encoded", zap.Error(err)) })
			continue
		}
		d.Body = body
		e.offer(ctx, h, d)
	}
}

func remediationEventType(o playbook.Outcome) semconv.EventType {
	switch o {
	case playbook.Proposed:
		return semconv.EventTypeRemediationProposed
	case playbook.Skipped:
		return semconv.EventTypeRemediationSkipped
	case playbook.Pending:
		return semconv.EventTypeRemediationStarted
	case playbook.Succeeded:
		return semconv.EventTypeRemediationSucceeded
	case playbook.Failed:
		return semconv.EventTypeRemediationFailed
	case playbook.Inconclusive:
		return semconv.EventTypeRemediationInconclusive
	default:
		return ""
	}
}

// cloudTime leaves out what RFC 3339 cannot say.
func cloudTime(t time.Time) time.Time {
	if moment(t) == nil {
		return time.Time{}
	}
	return t
}
