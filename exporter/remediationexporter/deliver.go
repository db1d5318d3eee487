package remediationexporter

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// storeRetry is how long a worker waits when it could not store that an action is about to be handed over.
const storeRetry = time.Second

// job is what a worker does next: an event from the queue, or the newest of an incident once more.
type job struct {
	*queued
	repeats bool
	// deadline is that of an action; zero for news.
	deadline time.Time
	message  *notifier.Message
	broken   error
}

// deliver is the worker of one destination. It alone takes from its outbox, and makes one attempt at a time: of each incident in
// the order of its events, and of those that are due at the oldest. An incident whose delivery fails waits for its next attempt
// while others go on.
func (e *remediationExporter) deliver(ctx context.Context, h *destination) {
	for {
		j, wait, err := e.next(ctx, h)
		switch {
		case err != nil:
			e.logger.Warn("action waits, since it could not be stored that it starts", zap.String("destination", h.name), zap.Error(err))
			e.rest(h, storeRetry)
		case j == nil && e.stopping():
			return
		case j == nil:
			e.rest(h, wait)
		case !e.agreed(ctx, h, j): // it waits, or has ended here
		default:
			draining := e.stopping()
			memory, err := e.attempt(ctx, h, j)
			e.settle(ctx, h, j, memory, err)
			e.tellFleet(ctx, j.queued, err)
			if draining && err != nil && !permanent(err) {
				e.abandon(ctx, h)
			}
		}
		// Without storage, what is queued gets its one attempt now or never.
		if e.stopping() && (e.persistent || ctx.Err() != nil) {
			return
		}
	}
}

// rest waits until there may be something to do; 0 is until it is told so.
func (e *remediationExporter) rest(h *destination, wait time.Duration) {
	var due <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-e.stop:
	case <-h.wake:
	case <-due:
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

// abandon gives up what is queued for a destination that does not answer while we shut down, or that would take as long as
// the timeout for each event.
func (e *remediationExporter) abandon(ctx context.Context, h *destination) {
	e.mu.Lock()
	defer e.settleAndUnlock(ctx)
	if h.box.len() == 0 {
		return
	}
	e.logger.Error("queued events are lost, since their destination does not answer at shutdown and no storage is configured",
		zap.String("destination", h.name), zap.Int("events", h.box.len()))
	e.drop(ctx, h, lostExhausted, time.Now())
}

// drop gives up all that is queued for a destination. e.mu is held.
func (e *remediationExporter) drop(ctx context.Context, h *destination, reason string, now time.Time) {
	for h.box.len() > 0 {
		q := h.box.items[0]
		e.dequeue(h, q)
		e.bury(ctx, h, &q.delivery, reason, "it was queued when its destination was given up", now)
		e.fail(ctx, h, &q.delivery, reason, now)
	}
}

// attempt makes one, which ends at the deadline of an action.
func (e *remediationExporter) attempt(ctx context.Context, h *destination, j *job) (notifier.Memory, error) {
	if !j.deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, j.deadline)
		defer cancel()
	}
	if j.broken != nil {
		return nil, &notifier.Refused{Reason: j.broken.Error()}
	}
	e.link(h, j.message)
	memory, err := h.send(ctx, j.message)
	result := resultSuccess
	switch {
	case permanent(err):
		result = resultPermanent
	case err != nil:
		result = resultRetryable
	}
	add(ctx, e.telemetry.ExporterRemediationDeliveryAttempts, h.counts.results, result, 1)
	return memory, err
}

// next returns the oldest event that is due and still makes sense, and drops those before it that do not; without one, how long it
// takes until there is one, 0 for never. The start of an action is stored before it is returned.
func (e *remediationExporter) next(ctx context.Context, h *destination) (j *job, wait time.Duration, err error) {
	e.mu.Lock()
	defer func() {
		if err != nil {
			e.unlock()
			return
		}
		e.settleAndUnlock(ctx)
	}()
	now := time.Now()
	draining := e.stopping()
	for {
		q, due := e.head(h, draining, now)
		if q == nil {
			if j = e.repeated(h, now); j != nil {
				return j, 0, nil
			}
			return nil, soonest(now, due, h.repeats.due(h)), nil
		}
		if q.attempts == 0 {
			q.began = now
		}
		switch {
		case q.Playbook != "":
			e.look(now)
			goOn := false
			if !e.left(ctx, q, now) {
				var changes []playbook.Change
				goOn, changes = e.ledger.Dispatch(q.ref(), now)
				e.report(ctx, changes, now)
			}
			if !goOn {
				e.lose(ctx, h, lostStale)
				e.recordDelivery(h.name, &q.delivery, incidentstore.DeliveryDropped, lostStale, "", now)
				e.dequeue(h, q)
				continue
			}
			e.dirty = true
			if err := e.commit(ctx); err != nil {
				return nil, 0, err
			}
			play, _ := e.ledger.At(q.ref())
			return e.newJob(h, q, play.Deadline, now), 0, nil
		case e.unneeded(&q.delivery):
			e.dequeue(h, q)
		case e.unopened(h, &q.delivery):
			e.lose(ctx, h, lostUnopened)
			e.recordDelivery(h.name, &q.delivery, incidentstore.DeliveryDropped, lostUnopened, "", now)
			e.dequeue(h, q)
		default:
			return e.newJob(h, q, time.Time{}, now), 0, nil
		}
	}
}

// soonest returns how long it takes to the earliest of some times; 0 when all are zero.
func soonest(now time.Time, times ...time.Time) time.Duration {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if first.IsZero() {
		return 0
	}
	return max(first.Sub(now), 1)
}

// head returns the oldest event that may be told now, of all incidents of which none was tried before it in vain, if there is one; else
// when there is one, zero for never. What fails again and again so comes after what may go through. e.mu is held.
func (e *remediationExporter) head(h *destination, draining bool, now time.Time) (q *queued, due time.Time) {
	if h.gone {
		return nil, time.Time{}
	}
	for c := range h.box.heads {
		if e.standby && e.leftToLeader(&c.delivery) {
			continue
		}
		at := c.due
		if h.resume.After(at) {
			at = h.resume
		}
		if draining {
			at = now
		}
		if c.NotBefore.After(at) && !e.unneeded(&c.delivery) {
			at = c.NotBefore
		}
		if !at.After(now) {
			if c.attempts == 0 {
				return c, time.Time{}
			}
			if q == nil {
				q = c
			}
			continue
		}
		if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	return q, due
}

func (e *remediationExporter) newJob(h *destination, q *queued, deadline, now time.Time) *job {
	j := &job{queued: q, deadline: deadline}
	j.message, j.broken = e.message(h, &q.delivery, now)
	return j
}

// unopened reports whether the event is the end, or the acknowledgment, of an incident of which the destination was never told: that it began was never
// queued, was given up, or waits behind this once more, since somebody has replayed it. e.mu is held.
func (e *remediationExporter) unopened(h *destination, d *delivery) bool {
	if d.Type != semconv.EventTypeIncidentResolved && d.Type != semconv.EventTypeIncidentAcknowledged || !h.wants(semconv.EventTypeIncidentOpened) {
		return false
	}
	inc := e.ledger.Incident(d.Incident)
	if inc == nil {
		return false
	}
	opened := decodeMemo(inc).Opened[h.name]
	return opened == "" || h.box.holds(d.Incident, func(q *queued) bool { return q.ID == opened })
}

// settle notes how an attempt ended.
func (e *remediationExporter) settle(ctx context.Context, h *destination, j *job, memory notifier.Memory, err error) {
	e.mu.Lock()
	defer e.settleAndUnlock(ctx)
	now := time.Now()
	d := &j.delivery
	if d.Incident != "" && memory != nil {
		e.remember(h, d, j.message.Occurrence, memory)
	}
	if err == nil {
		h.failures, h.resume = 0, time.Time{}
	} else if !permanent(err) {
		h.hold(err, now)
	}
	if j.repeats {
		e.settleRepeat(ctx, h, j, err, now)
		return
	}
	if err != nil && !permanent(err) {
		j.attempts++
		if e.persistent && e.stopping() {
			return // it stays queued
		}
		if !e.stopping() {
			if at, ok := retryAt(&h.retry, j.queued, err, j.deadline, now); ok {
				j.due = at
				e.after(func() {
					e.logger.Info("event could not be delivered and is tried again", zap.String("destination", h.name), zap.String("event", d.ID),
						zap.String("type", string(d.Type)), zap.Duration("in", at.Sub(now)), zap.Error(err))
				})
				return
			}
		}
	}
	e.dequeue(h, j.queued)
	if err == nil {
		e.delivered(ctx, h, j, now)
		return
	}
	reason := lostExhausted
	if permanent(err) {
		reason = lostRefused
	}
	e.after(func() {
		e.logger.Error("event could not be delivered", zap.String("destination", h.name), zap.String("event", d.ID),
			zap.String("type", string(d.Type)), zap.String("reason", reason), zap.Error(err))
	})
	e.bury(ctx, h, d, reason, err.Error(), now)
	e.fail(ctx, h, d, reason, now)
	if errors.Is(err, errGone) {
		e.disable(ctx, h, d, err, now)
	}
}

// delivered notes that an event was taken. e.mu is held.
func (e *remediationExporter) delivered(ctx context.Context, h *destination, j *job, now time.Time) {
	d := &j.delivery
	e.after(func() { e.telemetry.ExporterRemediationDeliveredEvents.Add(ctx, 1, h.counts.delivered...) })
	e.recordDelivery(h.name, d, incidentstore.DeliveryDelivered, "", "", now)
	if d.Playbook != "" {
		e.report(ctx, e.ledger.Accept(d.ref(), nil, now), now)
		return
	}
	e.repeatFrom(h, j, now)
	e.reached(h, d)
	switch d.Type {
	case semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated:
		// It may be that only this one got through.
		e.editMemo(d.Incident, func(m *memo) bool {
			if m.Opened[h.name] != "" {
				return false
			}
			m.Opened[h.name] = d.ID
			return true
		})
	case semconv.EventTypeIncidentResolved:
		e.editMemo(d.Incident, func(m *memo) bool {
			if m.Opened[h.name] == "" || h.box.holds(d.Incident, func(q *queued) bool { return q.ID == m.Opened[h.name] }) {
				return false
			}
			delete(m.Opened, h.name) // if it comes back, that must be delivered before its end is
			return true
		})
	}
}

// fail notes that an event is lost for its destination: an action is judged, and an incident counts as not told of.
// e.mu is held.
func (e *remediationExporter) fail(ctx context.Context, h *destination, d *delivery, reason string, now time.Time) {
	e.lose(ctx, h, reason)
	if d.Playbook != "" {
		e.report(ctx, e.ledger.Reject(d.ref(), reason != lostExhausted, "webhook "+h.name+" did not take it: "+reason, now), now)
		return
	}
	e.editMemo(d.Incident, func(m *memo) bool {
		if m.Opened[h.name] != d.ID {
			return false
		}
		delete(m.Opened, h.name)
		return true
	})
}

// editMemo changes what is kept with an incident, if it is known, and if edit says that it has. e.mu is held.
func (e *remediationExporter) editMemo(incident string, edit func(*memo) bool) {
	inc := e.ledger.Incident(incident)
	if inc == nil {
		return
	}
	m := decodeMemo(inc)
	if !edit(&m) {
		return
	}
	e.ledger.Touch(incident)
	if err := m.store(inc); err != nil {
		e.after(func() { e.logger.Error("what is known of an incident could not be noted", zap.Error(err)) })
		return
	}
	e.dirty = true
}

// disable drops everything for a destination that said it is gone, and tells the others. e.mu is held.
func (e *remediationExporter) disable(ctx context.Context, h *destination, d *delivery, err error, now time.Time) {
	h.gone = true
	n := h.box.len()
	e.drop(ctx, h, lostDisabled, now)
	e.spreadDelivery(ctx, semconv.EventTypeDeliveryDestinationDisabled, eventdata.Delivery{
		Destination: h.name, Event: d.ID, Type: d.Type, Reason: lostDisabled, Detail: plainText(err.Error(), maxDetail), Dropped: n,
	}, now)
	e.after(func() {
		e.logger.Warn("destination is gone and gets nothing more until a restart", zap.String("destination", h.name),
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
	for _, h := range e.destinations {
		for i := 0; i < h.box.len(); {
			q := h.box.items[i]
			since := q.Queued
			if q.NotBefore.After(since) {
				since = q.NotBefore
			}
			if !q.shared() || now.Sub(since) < standbyRetention {
				i++
				continue
			}
			if !e.unneeded(&q.delivery) {
				e.reached(h, &q.delivery) // by the replica that leads
			}
			e.dequeue(h, q)
			e.lose(ctx, h, lostStandby)
		}
		if h.box.len() > 0 {
			h.rouse()
		}
	}
}
