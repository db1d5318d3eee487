package remediationexporter

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// storeRetry is how long a worker waits when it could not store that an action is about to be handed over.
const storeRetry = time.Second

// deliver is the worker of one webhook: it alone takes from its outbox, so that order is kept.
func (e *remediationExporter) deliver(ctx context.Context, h *webhook) {
	for {
		d, deadline, err := e.next(ctx, h)
		switch {
		case err != nil:
			e.logger.Warn("action waits, since it could not be stored that it starts", zap.String("webhook", h.name), zap.Error(err))
			select {
			case <-e.stop:
				return
			case <-time.After(storeRetry):
			}
		case d == nil:
			select {
			case <-e.stop:
				return
			case <-h.wake:
			}
		default:
			draining := e.stopping()
			err := e.attempt(ctx, h, d, deadline)
			e.settle(ctx, h, d, err)
			if draining && err != nil && !consumererror.IsPermanent(err) {
				e.abandon(ctx, h)
			}
		}
		// Without storage, what is queued gets its one attempt now or never.
		if e.stopping() && (e.persistent || ctx.Err() != nil) {
			return
		}
	}
}

func (e *remediationExporter) stopping() bool {
	select {
	case <-e.stop:
		return true
	default:
		return false
	}
}

// abandon gives up what is queued for a webhook that does not answer while we shut down, or that would take as long as
// the timeout for each event.
func (e *remediationExporter) abandon(ctx context.Context, h *webhook) {
	e.mu.Lock()
	defer e.settleAndUnlock(ctx)
	if len(h.box.items) == 0 {
		return
	}
	e.logger.Error("queued events are lost, since their webhook does not answer at shutdown and no storage is configured",
		zap.String("webhook", h.name), zap.Int("events", len(h.box.items)))
	e.drop(ctx, h, lostExhausted, time.Now())
}

// drop gives up all that is queued for a webhook. e.mu is held.
func (e *remediationExporter) drop(ctx context.Context, h *webhook, reason string, now time.Time) {
	for len(h.box.items) > 0 {
		d := h.box.items[0]
		e.dequeue(h)
		e.bury(ctx, h, &d, reason, "it was queued when its webhook was given up", now)
		e.fail(ctx, h, &d, reason, now)
	}
}

// attempt delivers with retries, which end at the deadline of an action.
func (e *remediationExporter) attempt(ctx context.Context, h *webhook, d *delivery, deadline time.Time) error {
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	h.permit = func(ctx context.Context) bool { return d.Playbook == "" || e.wanted(ctx, d) }
	return h.inner.ConsumeLogs(ctx, d.logs())
}

// wanted re-reads right before an attempt whether its action is still called for.
func (e *remediationExporter) wanted(ctx context.Context, d *delivery) bool {
	e.mu.Lock()
	now := time.Now()
	e.look(now)
	goOn, changes := e.ledger.Dispatch(d.ref(), now)
	e.report(ctx, changes, now)
	e.settleAndUnlock(ctx)
	return goOn
}

// next returns the oldest event that still makes sense, and drops those before it that do not. The start of an action
// is stored before it is returned.
func (e *remediationExporter) next(ctx context.Context, h *webhook) (d *delivery, deadline time.Time, err error) {
	e.mu.Lock()
	defer func() {
		if err != nil {
			e.unlock()
			return
		}
		e.settleAndUnlock(ctx)
	}()
	now := time.Now()
	for len(h.box.items) > 0 {
		first := h.box.items[0]
		switch {
		case e.standby && e.leftToLeader(&first):
			return nil, time.Time{}, nil
		case first.Playbook != "":
			e.look(now)
			goOn, changes := e.ledger.Dispatch(first.ref(), now)
			e.report(ctx, changes, now)
			if !goOn {
				e.lose(ctx, lostStale)
				e.dequeue(h)
				continue
			}
			e.dirty = true
			if err := e.commit(ctx); err != nil {
				return nil, time.Time{}, err
			}
			play, _ := e.ledger.At(first.ref())
			return &first, play.Deadline, nil
		case e.unopened(h, &first):
			e.lose(ctx, lostUnopened)
			e.dequeue(h)
		default:
			return &first, time.Time{}, nil
		}
	}
	return nil, time.Time{}, nil
}

// unopened reports whether the event is the end of an incident of which the webhook was never told. e.mu is held.
func (e *remediationExporter) unopened(h *webhook, d *delivery) bool {
	if d.Type != semconv.EventTypeIncidentResolved || !h.wants(semconv.EventTypeIncidentOpened) {
		return false
	}
	inc := e.ledger.Incident(d.Incident)
	return inc != nil && decodeMemo(inc).Opened[h.name] == ""
}

// settle notes how a delivery ended.
func (e *remediationExporter) settle(ctx context.Context, h *webhook, d *delivery, err error) {
	permanent := consumererror.IsPermanent(err)
	if err != nil && !permanent && e.persistent && e.stopping() {
		return // it stays queued
	}
	e.mu.Lock()
	now := time.Now()
	e.dequeue(h)
	switch {
	case err == nil:
		e.after(func() { e.telemetry.ExporterRemediationDeliveredEvents.Add(ctx, 1) })
		if d.Playbook != "" {
			e.report(ctx, e.ledger.Accept(d.ref(), nil, now), now)
		}
	case errors.Is(err, errStale):
		e.lose(ctx, lostStale)
	default:
		reason := lostExhausted
		if permanent {
			reason = lostRefused
		}
		e.bury(ctx, h, d, reason, err.Error(), now)
		e.fail(ctx, h, d, reason, now)
		if errors.Is(err, errGone) {
			e.disable(ctx, h, err, now)
		}
	}
	e.settleAndUnlock(ctx)
}

// fail notes that an event is lost for its webhook: an action is judged, and an incident counts as not told of.
// e.mu is held.
func (e *remediationExporter) fail(ctx context.Context, h *webhook, d *delivery, reason string, now time.Time) {
	e.lose(ctx, reason)
	if d.Playbook != "" {
		e.report(ctx, e.ledger.Reject(d.ref(), reason != lostExhausted, "webhook "+h.name+" did not take it: "+reason, now), now)
		return
	}
	if inc := e.ledger.Incident(d.Incident); inc != nil {
		e.ledger.Touch(d.Incident)
		if m := decodeMemo(inc); m.Opened[h.name] == d.ID {
			delete(m.Opened, h.name)
			if err := m.store(inc); err == nil {
				e.dirty = true
			}
		}
	}
}

// disable drops everything for a webhook that said it is gone. e.mu is held.
func (e *remediationExporter) disable(ctx context.Context, h *webhook, err error, now time.Time) {
	h.gone = true
	n := len(h.box.items)
	e.drop(ctx, h, lostDisabled, now)
	e.after(func() {
		e.logger.Warn("webhook is gone and gets nothing more until a restart", zap.String("webhook", h.name),
			zap.Int("dropped_events", n), zap.Error(err))
		componentstatus.ReportStatus(h.host, componentstatus.NewRecoverableErrorEvent(err))
	})
}

// standbyRetention is how long a replica that does not lead keeps news, in case the one that leads dies before it has
// told them. Whoever gets them from both knows them by their IDs.
const standbyRetention = 2 * time.Minute

// leftToLeader tells of an event whether a replica that does not lead keeps it: news of an incident, of which all replicas
// are told, and an action that is still wanted. What only this replica knows, since it once led, it tells all the same.
// e.mu is held.
func (e *remediationExporter) leftToLeader(d *delivery) bool {
	if d.Playbook == "" {
		return d.shared()
	}
	play, ok := e.ledger.At(d.ref())
	return ok && (play.Outcome == playbook.Pending || play.Outcome == playbook.Dispatched)
}

// prune drops the news that another replica has had the time to tell. e.mu is held.
func (e *remediationExporter) prune(ctx context.Context, now time.Time) {
	if !e.standby {
		return
	}
	for _, h := range e.hooks {
		for len(h.box.items) > 0 && h.box.items[0].shared() && now.Sub(h.box.items[0].Queued) >= standbyRetention {
			e.dequeue(h)
			e.lose(ctx, lostStandby)
		}
		if len(h.box.items) > 0 && !e.leftToLeader(&h.box.items[0]) {
			h.rouse()
		}
	}
}
