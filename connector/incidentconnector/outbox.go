package incidentconnector

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// outbox hands incident events to the next component in the order in which they happened, and keeps those that it
// refuses for the time being.
type outbox struct {
	limit     int
	telemetry *instruments
	logger    *zap.Logger

	// sending is held while events are handed over, so that they stay in order. It is locked before mu.
	sending sync.Mutex
	mu      sync.Mutex
	// mu guards everything below.
	// wanted says that there is a pipeline that takes events, though it may not be open yet or any more.
	wanted  bool
	ways    []*view
	waiting []semconv.IncidentEvent
	// inHand is the event that is being handed over.
	inHand  *semconv.IncidentEvent
	refused bool
	// kept says that events are stored before they are handed over. added counts all that came, stored those of them that
	// are, and since is when the first came that is not.
	kept          bool
	added, stored int64
	since         time.Time
}

// want says that somebody will take events. Without, none are kept.
func (o *outbox) want() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wanted = true
}

func (o *outbox) open(v *view) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ways = append(o.ways, v)
}

func (o *outbox) close(v *view) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.Index(o.ways, v); i >= 0 {
		o.ways = slices.Delete(o.ways, i, i+1)
	}
}

// way returns where events are handed over now; nil when there is none.
func (o *outbox) way() consumer.Logs {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.ways) == 0 {
		return nil
	}
	return o.ways[0].next
}

// add queues events. When there is no room the oldest go.
func (o *outbox) add(ctx context.Context, events []semconv.IncidentEvent) {
	if len(events) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.wanted {
		return
	}
	if o.unstored() == 0 {
		o.since = time.Now()
	}
	o.waiting = append(o.waiting, events...)
	o.added += int64(len(events))
	if over := len(o.waiting) - o.limit; over > 0 {
		o.waiting = slices.Delete(o.waiting, 0, over)
		o.telemetry.droppedEvents(ctx, int64(over))
	}
}

func (o *outbox) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting)
}

// unstored returns how many of the events that wait, the newest, are not stored yet and have to be.
func (o *outbox) unstored() int {
	if !o.kept {
		return 0
	}
	return int(min(max(o.added-o.stored, 0), int64(len(o.waiting))))
}

// snapshot returns the events that were not handed over yet, and the number of the last one for release.
func (o *outbox) snapshot() (events []semconv.IncidentEvent, through int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.inHand != nil {
		events = append(events, *o.inHand)
	}
	return append(events, o.waiting...), o.added
}

// restore takes events over that were stored.
func (o *outbox) restore(events []semconv.IncidentEvent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	events = slices.DeleteFunc(events, func(e semconv.IncidentEvent) bool { return e.Incident.ID == "" })
	if !o.wanted {
		// The pipeline that took them was removed.
		o.telemetry.droppedEvents(context.Background(), int64(len(events)))
		return
	}
	o.waiting = append(o.waiting, events[max(0, len(events)-o.limit):]...)
}

// release lets the events up to a number be handed over: they are stored, or nothing came of that.
func (o *outbox) release(through int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stored = max(o.stored, through)
}

// storedWithin is how long events wait at most to be stored before they are handed over all the same.
const storedWithin = 5 * time.Second

// overdue releases events that have waited for too long to be stored.
func (o *outbox) overdue(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.unstored() > 0 && now.Sub(o.since) >= storedWithin {
		o.stored = o.added
	}
}

// flush hands over what waits, until the next component refuses it, and reports whether there was anything. When that is
// under way already it leaves the rest to whoever is at it, or to the next one, so that a slow consumer holds up nobody else.
func (o *outbox) flush(ctx context.Context) (sent bool) {
	return o.sending.TryLock() && o.send(ctx)
}

// drain is a flush that waits for its turn, and counts what it cannot hand over any more, unless that is kept.
func (o *outbox) drain(ctx context.Context) {
	_, through := o.snapshot()
	o.release(through)
	o.sending.Lock()
	o.send(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.ways) == 1 && !o.kept {
		o.drop(ctx)
	}
}

// lose counts what waits and was not kept either.
func (o *outbox) lose(ctx context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop(ctx)
}

func (o *outbox) drop(ctx context.Context) {
	if len(o.waiting) > 0 {
		o.telemetry.droppedEvents(ctx, int64(len(o.waiting)))
		o.waiting = nil
	}
}

func (o *outbox) send(ctx context.Context) (sent bool) {
	defer o.sending.Unlock()
	for {
		o.mu.Lock()
		if len(o.waiting) == o.unstored() || len(o.ways) == 0 {
			o.mu.Unlock()
			return sent
		}
		event, next := o.waiting[0], o.ways[0].next
		o.waiting = slices.Delete(o.waiting, 0, 1)
		o.inHand = &event
		o.mu.Unlock()

		err := next.ConsumeLogs(ctx, encode(event))
		if err != nil && !consumererror.IsPermanent(err) {
			o.putBack(event, err)
			return sent
		}
		o.report(ctx, event, err)
		sent = true
	}
}

// putBack returns an event to the head of the queue after a refusal that may pass.
func (o *outbox) putBack(event semconv.IncidentEvent, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.inHand = nil
	if len(o.waiting) >= o.limit {
		o.telemetry.droppedEvents(context.Background(), 1)
		return
	}
	o.waiting = slices.Insert(o.waiting, 0, event)
	if !o.refused {
		o.refused = true
		o.logger.Warn("next component refuses incident events, they wait", zap.Error(err))
	}
}

func (o *outbox) report(ctx context.Context, event semconv.IncidentEvent, err error) {
	o.mu.Lock()
	o.inHand = nil
	o.mu.Unlock()
	if err != nil {
		o.telemetry.droppedEvents(ctx, 1)
		o.logger.Error("incident event refused for good", zap.String("incident_id", event.Incident.ID),
			zap.String("event_name", string(event.Name)), zap.Error(err))
		return
	}
	o.telemetry.emittedEvent(ctx, event.Name)
	o.mu.Lock()
	recovered := o.refused
	o.refused = false
	o.mu.Unlock()
	if recovered {
		o.logger.Info("next component takes incident events again")
	}
}

func encode(event semconv.IncidentEvent) plog.Logs {
	ld := plog.NewLogs()
	scope := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty()
	scope.Scope().SetName(metadata.ScopeName)
	event.Encode(scope.LogRecords().AppendEmpty())
	return ld
}
