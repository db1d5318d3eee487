package remediationexporter

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/cloudevents"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
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
	ctx context.Context, h *destination, d delivery, ev *cloudevents.Event, data *eventdata.Data, inc *semconv.Incident,
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

// offer queues an event unless its destination takes no more. e.mu is held.
func (e *remediationExporter) offer(ctx context.Context, h *destination, d delivery) (queued bool) {
	switch {
	case h.gone:
		e.lose(ctx, h, lostDisabled)
		e.bury(ctx, h, &d, lostDisabled, "the destination is gone", time.Now())
		return false
	case h.box.len() >= e.cfg.QueueSize:
		e.lose(ctx, h, lostQueueFull)
		e.recordDelivery(h.name, &d, incidentstore.DeliveryDropped, lostQueueFull, "", time.Now())
		return false
	}
	d.Queued = time.Now()
	if inc := e.ledger.Incident(d.Incident); inc != nil && d.Occurrence == 0 {
		d.Occurrence = inc.Occurrence
	}
	e.recordDelivery(h.name, &d, incidentstore.DeliveryQueued, "", "", d.Queued)
	e.enqueue(h, d)
	return true
}

func (e *remediationExporter) lose(ctx context.Context, h *destination, reason string) {
	e.after(func() { e.telemetry.lost(ctx, h, reason, 1) })
}

// maxDetail bounds, in runes, what is told of a reason.
const maxDetail = 500

// report tells what has become of plays, and of the guards meanwhile. e.mu is held.
func (e *remediationExporter) report(ctx context.Context, changes []playbook.Change, now time.Time) {
	for i := range changes {
		c := &changes[i]
		if c.Play.Outcome == playbook.Pending {
			e.hand(ctx, c, now)
		}
		e.tell(ctx, c, now)
		e.wakeStep(c)
	}
	e.tellNotes(now)
}

// hand queues the order of a pending step for the webhook that takes it. e.mu is held.
func (e *remediationExporter) hand(ctx context.Context, c *playbook.Change, now time.Time) {
	b := e.bookOf(c.Playbook)
	if b == nil || b.hooks[c.Step] == nil || c.Step >= len(c.Play.Orders) {
		return
	}
	h := b.hooks[c.Step]
	var o order
	err := json.Unmarshal(c.Play.Orders[c.Step], &o)
	typ := semconv.EventTypeRemediationStarted
	d := delivery{
		// The intent's, whatever revision it was decided on: replicas may decide on different ones.
		ID: deliveryID(typ, h.name, c.Intent(), 0, ""), Type: typ,
		Incident: c.Incident, Revision: c.Revision, Playbook: c.Playbook, Step: c.Step,
	}
	data := &eventdata.Data{
		Remediation: e.remediationData(c),
		Action:      &eventdata.Action{Name: o.Action, Parameters: o.Parameters},
		Playbook:    &eventdata.Playbook{Name: c.Playbook, Mode: c.Play.Mode, VerifySeconds: c.Play.Within.Seconds()},
	}
	queued := false
	switch inc := e.deciding; {
	case err != nil:
	case inc != nil && inc.ID == c.Incident:
		queued, err = e.send(ctx, h, d, e.envelope(d, now, inc), data, inc)
	default:
		// A later step has no event of its own to tell the whole incident from.
		m := decodeMemo(e.ledger.Incident(c.Incident))
		ev := e.envelope(d, now, &semconv.Incident{ID: c.Incident, Severity: m.Summary.Severity, Revision: c.Revision})
		data.Incident, ev.Data = m.Summary, data
		if d.Body, err = ev.Marshal(); err == nil {
			queued = e.offer(ctx, h, d)
		}
	}
	if err != nil || !queued {
		e.report(ctx, e.ledger.Reject(c.Ref, true, "webhook "+h.name+" takes no more", now), now)
	}
}

// stepName tells the steps of one playbook apart in IDs of events; the first has the playbook's own name.
func stepName(c *playbook.Change) string {
	if c.Step == 0 {
		return c.Playbook
	}
	return c.Playbook + "#" + strconv.Itoa(c.Step)
}

func (e *remediationExporter) remediationData(c *playbook.Change) *eventdata.Remediation {
	p := &c.Play
	data := &eventdata.Remediation{
		Intent: c.Intent(), Playbook: c.Playbook, Step: c.Step, Action: e.actionName(c.Playbook, c.Step), Target: p.Target,
		Outcome: outcomeName(p.Outcome), Reason: p.Reason, Detail: clip(p.Detail, maxDetail), Revision: p.Revision, Mode: p.Mode,
		Escalated: c.Escalate,
	}
	if p.Outcome == playbook.Awaiting {
		data.ApproveUntil, data.PlanDigest = moment(p.Expires), p.Asked()
	}
	if plan := p.Plan; plan != nil {
		data.Target, data.Plan = plan.Target, newPlanData(plan)
	}
	return data
}

func (e *remediationExporter) actionName(name string, step int) string {
	if b := e.bookOf(name); b != nil && step < len(b.cfg.Steps) {
		return b.cfg.Steps[step].action()
	}
	return ""
}

// outcomeName is what the world calls an outcome: a step that may act has started.
func outcomeName(o playbook.Outcome) string {
	if o == playbook.Pending {
		return outcomeStarted
	}
	return string(o)
}

// tell writes the audit line, counts, and queues the news for those who want it. e.mu is held.
func (e *remediationExporter) tell(ctx context.Context, c *playbook.Change, now time.Time) {
	p := &c.Play
	data := e.remediationData(c)
	// What the executor only looks at yet has not started.
	planning := p.Outcome == playbook.Pending && e.kubernetesStep(c)
	if p.Outcome == playbook.Dispatched && e.kubernetesStep(c) {
		data.Outcome = outcomeStarted
	} else if planning {
		data.Outcome = outcomePlanned
	}
	e.noteDecision(c, data, now)
	e.recordIntent(c, data, now)
	e.after(func() {
		add(ctx, e.telemetry.ExporterRemediationActions, e.telemetry.outcomes, data.Outcome, 1)
		if _, guard := e.telemetry.skips[string(p.Reason)]; guard && (p.Outcome == playbook.Skipped || p.Outcome == playbook.Failed) {
			add(ctx, e.telemetry.ExporterRemediationSkippedActions, e.telemetry.skips, string(p.Reason), 1)
		}
		e.logger.Info("remediation decision", zap.String("outcome", data.Outcome), zap.String("reason", string(p.Reason)),
			zap.String("detail", data.Detail), zap.String("incident_id", c.Incident), zap.Int64("incident_revision", p.Revision),
			zap.String("playbook", c.Playbook), zap.Int("step", c.Step), zap.String("action", data.Action),
			zap.String("target", data.Target), zap.String("intent", data.Intent), zap.Bool("escalated", c.Escalate))
	})
	if typ := e.eventType(p.Outcome, data.Outcome); typ != "" && p.Reason != playbook.ReasonNotLeading { // the leader tells what becomes of it
		e.spread(ctx, c, typ, data, now)
	}
	if c.Escalate {
		e.spread(ctx, c, semconv.EventTypeRemediationEscalated, data, now)
	}
}

// spread queues one piece of news for those who want it. e.mu is held.
func (e *remediationExporter) spread(ctx context.Context, c *playbook.Change, typ semconv.EventType, data *eventdata.Remediation, now time.Time) {
	m := decodeMemo(e.ledger.Incident(c.Incident))
	if e.silenced(ctx, &m, now) {
		return
	}
	for _, h := range e.destinations {
		// Whoever takes the action knows of its start.
		if !h.wants(typ) || !m.concerns(h.name) || (c.Play.Outcome == playbook.Pending && h == e.hookOf(c)) || e.folds(ctx, h, typ, &m.Summary, now) {
			continue
		}
		what := stepName(c)
		if data.PlanDigest != "" {
			what += "@" + data.PlanDigest // people are asked anew when it changes, and receivers drop what they have seen
		}
		d := delivery{ID: deliveryID(typ, h.name, c.Incident, c.Revision, what), Type: typ, Incident: c.Incident, Revision: c.Revision}
		ev := e.envelope(d, now, &semconv.Incident{ID: c.Incident, Severity: m.Summary.Severity, Revision: c.Revision})
		ev.Data = &eventdata.Data{Incident: m.Summary, Remediation: data, Similar: similarFor(typ, &m)}
		body, err := ev.Marshal()
		if err != nil {
			e.after(func() { e.logger.Error("news of a remediation could not be encoded", zap.Error(err)) })
			continue
		}
		d.Body = body
		e.offer(ctx, h, d)
	}
}

func (e *remediationExporter) hookOf(c *playbook.Change) *destination {
	if b := e.bookOf(c.Playbook); b != nil && c.Step < len(b.hooks) {
		return b.hooks[c.Step]
	}
	return nil
}

func (e *remediationExporter) kubernetesStep(c *playbook.Change) bool {
	b := e.bookOf(c.Playbook)
	return b != nil && c.Step < len(b.cfg.Steps) && b.cfg.Steps[c.Step].Kubernetes != nil
}

// eventType returns the news that an outcome is; most turns on the way are none.
func (e *remediationExporter) eventType(o playbook.Outcome, name string) semconv.EventType {
	if name == outcomeStarted {
		return semconv.EventTypeRemediationStarted
	}
	switch o {
	case playbook.Proposed:
		return semconv.EventTypeRemediationProposed
	case playbook.Suggested:
		return semconv.EventTypeRemediationSuggested
	case playbook.Awaiting:
		return semconv.EventTypeRemediationApprovalRequested
	case playbook.Skipped:
		return semconv.EventTypeRemediationSkipped
	case playbook.Succeeded:
		return semconv.EventTypeRemediationSucceeded
	case playbook.Failed:
		return semconv.EventTypeRemediationFailed
	case playbook.Inconclusive:
		return semconv.EventTypeRemediationInconclusive
	case playbook.RolledBack:
		return semconv.EventTypeRemediationRolledBack
	case playbook.Denied:
		return semconv.EventTypeRemediationDenied
	case playbook.Expired:
		return semconv.EventTypeRemediationExpired
	default:
		return ""
	}
}

// tellNotes writes news of guards that span incidents. e.mu is held.
func (e *remediationExporter) tellNotes(now time.Time) {
	for scope, n := range e.ledger.Policy().TakeRefusals() {
		add(context.Background(), e.telemetry.ExporterRemediationBudgetRefusals, e.telemetry.budgetLimits, scope, n)
	}
	for _, n := range e.ledger.Policy().TakeNotes() {
		e.dirty = true
		e.noteGuard(n, now)
		e.after(func() {
			e.logger.Info("remediation guard", zap.String("guard", n.Guard), zap.String("key", n.Key), zap.String("state", n.State),
				zap.String("detail", clip(n.Detail, maxDetail)))
		})
	}
}

// cloudTime leaves out what RFC 3339 cannot say.
func cloudTime(t time.Time) time.Time {
	if moment(t) == nil {
		return time.Time{}
	}
	return t
}
