package remediationexporter

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// claimRetry is how long an action waits before the fleet is asked again.
const claimRetry = time.Second

// agreed makes the fleet of executors agree that it is we who have a webhook act, before the first attempt. It reports false when we
// do not: then the action waits for another turn, or has ended here. While nobody can be asked, nothing is sent.
func (e *remediationExporter) agreed(ctx context.Context, h *destination, j *job) bool {
	q := j.queued
	if e.cfg.Coordination != CoordinationStore || q.Playbook == "" || q.claim != "" {
		return true
	}
	e.mu.Lock()
	play, ok := e.ledger.At(q.ref())
	e.mu.Unlock()
	if !ok {
		e.giveUp(ctx, h, q, lostStale, nil)
		return false
	}
	claim := e.claimOf(q, &play, j.deadline)
	out, err := (&storeFleet{e}).claim(ctx, claim)
	now := time.Now()
	withhold := func(reason playbook.Reason, detail string) {
		e.giveUp(ctx, h, q, lostStale, func() []playbook.Change { return e.ledger.Withhold(q.ref(), reason, detail, now) })
	}
	switch {
	case err == nil && out.Act():
		q.claim = claim.Key
		return true
	case err == nil && out.Verdict == kubeaction.AlreadyDone:
		e.giveUp(ctx, h, q, lostElsewhere, func() []playbook.Change { return e.ledger.Accept(q.ref(), nil, now) })
		return false
	case err == nil && out.Verdict != kubeaction.Busy:
		withhold(playbook.Reason(out.Verdict), out.Detail)
		return false
	}
	reason, detail := playbook.ReasonTargetBusy, out.Detail
	if err != nil {
		reason, detail = playbook.ReasonStale, clip(err.Error(), maxDetail)
	}
	if j.deadline.Sub(now) <= claimRetry || e.stopping() && !e.persistent {
		withhold(reason, detail)
		return false
	}
	e.await(h, q, claim.Key, string(reason), detail, now)
	return false
}

// await lets an action wait for another turn, and notes the first time why.
func (e *remediationExporter) await(h *destination, q *queued, intent, reason, detail string, now time.Time) {
	e.mu.Lock()
	q.due = now.Add(claimRetry)
	if q.waits {
		e.mu.Unlock()
		return
	}
	q.waits = true
	e.audit.note(now, auditchain.Entry{
		Kind: string(semconv.EventRemediationClaim), Incident: q.Incident, Intent: intent, Playbook: q.Playbook, Actor: executorActor,
		Text: plainText(detail, maxDetail), Fields: map[string]string{"state": "waits", "reason": reason},
	})
	e.settleAndUnlock(context.Background())
	e.logger.Warn("action waits for the agreement of the fleet", zap.String("destination", h.name), zap.String("incident_id", q.Incident),
		zap.String("playbook", q.Playbook), zap.String("reason", reason), zap.String("detail", detail))
}

// claimOf is what the fleet is asked for before a webhook acts: the intent, once and for all, and nobody else on the same target.
func (e *remediationExporter) claimOf(d *queued, play *playbook.Play, deadline time.Time) incidentstore.Claim {
	b := e.cfg.Budget
	c := incidentstore.Claim{
		Key: play.IntentOf(d.Incident, d.Playbook, d.Step), Owner: e.incidents.name, Lease: min(max(time.Second, time.Until(deadline)), claimWindow),
		Class: classWebhook, Weight: 1, Window: min(b.Window, claimWindow), Total: b.MaxActions, PerClass: b.MaxActions, MaxWeight: maxWeight,
	}
	if play.Target != "" {
		c.Locks = []string{"target/" + play.Target}
	}
	if book := e.bookOf(d.Playbook); book != nil && d.Step == 0 {
		c.Cooldown = min(book.cfg.Cooldown, claimWindow)
	}
	return c
}

// giveUp takes an action out of the queue that is not sent from here.
func (e *remediationExporter) giveUp(ctx context.Context, h *destination, q *queued, reason string, change func() []playbook.Change) {
	e.mu.Lock()
	now := time.Now()
	e.dequeue(h, q)
	e.lose(ctx, h, reason)
	e.recordDelivery(h.name, &q.delivery, incidentstore.DeliveryDropped, reason, "", now)
	if change != nil {
		e.standAside(ctx, change(), now)
	}
	e.settleAndUnlock(ctx)
}

// standAside reports on an action that is left to another replica, or to nobody. What an executor that acted says of it counts more. e.mu
// is held.
func (e *remediationExporter) standAside(ctx context.Context, changes []playbook.Change, now time.Time) {
	e.aside = true
	e.report(ctx, changes, now)
	e.aside = false
}

// left ends an action that waits for the agreement of the fleet once its incident is over: nothing of it was begun here. e.mu is held.
func (e *remediationExporter) left(ctx context.Context, q *queued, now time.Time) bool {
	inc := e.ledger.Incident(q.Incident)
	if !q.waits || q.claim != "" || inc == nil || !inc.Resolved {
		return false
	}
	e.standAside(ctx, e.ledger.Withhold(q.ref(), playbook.ReasonStale, "the incident is over", now), now)
	return true
}

// tellFleet tells the others what became of an action that the fleet has agreed on, unless it is tried again.
func (e *remediationExporter) tellFleet(ctx context.Context, q *queued, err error) {
	if q.claim == "" {
		return
	}
	e.mu.Lock()
	play, ok := e.ledger.At(q.ref())
	e.mu.Unlock()
	if ok && play.Outcome == playbook.Dispatched {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	fleet := &storeFleet{e}
	var told error
	if permanent(err) {
		told = fleet.Release(ctx, q.claim) // the webhook said so, or was not asked
	} else {
		told = fleet.Done(ctx, q.claim)
	}
	if told != nil {
		e.logger.Warn("other replicas could not be told of an action and wait for the end of its lease",
			zap.String("incident_id", q.Incident), zap.String("playbook", q.Playbook), zap.Error(told))
	}
}
