package incidentconnector

import (
	"context"
	"slices"
	"sync"

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
	ways    []*view
	waiting []semconv.IncidentEvent
	refused bool
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

// add queues events. When there is no room the oldest go.
func (o *outbox) add(ctx context.Context, events []semconv.IncidentEvent) {
	if len(events) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = append(o.waiting, events...)
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

// flush hands over what waits, until the next component refuses it. When that is under way already it leaves the rest to
// whoever is at it, or to the next one, so that a slow consumer holds up nobody else.
func (o *outbox) flush(ctx context.Context) {
	if o.sending.TryLock() {
		o.send(ctx)
	}
}

// drain is a flush that waits for its turn, and counts what it cannot hand over any more.
func (o *outbox) drain(ctx context.Context) {
	o.sending.Lock()
	o.send(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.ways) == 1 && len(o.waiting) > 0 {
		o.telemetry.droppedEvents(ctx, int64(len(o.waiting)))
		o.waiting = nil
	}
}

func (o *outbox) send(ctx context.Context) {
	defer o.sending.Unlock()
	for {
		o.mu.Lock()
		if len(o.waiting) == 0 || len(o.ways) == 0 {
			o.mu.Unlock()
			return
		}
		event, next := o.waiting[0], o.ways[0].next
		o.waiting = slices.Delete(o.waiting, 0, 1)
		o.mu.Unlock()

		err := next.ConsumeLogs(ctx, encode(event))
		if err != nil && !consumererror.IsPermanent(err) {
			o.putBack(event, err)
			return
		}
		o.report(ctx, event, err)
	}
}

// putBack returns an event to the head of the queue after a refusal that may pass.
func (o *outbox) putBack(event semconv.IncidentEvent, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
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
