package remediationexporter

import (
	"context"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/cloudevents"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// deliveryTypes is what the types of news about destinations begin with. Of such news itself there is none, so that it cannot go on
// forever.
const deliveryTypes = "io.paramedic.delivery."

// deadLetterPause is how long nothing more is told of the dead letters of a destination after something was: a receiver that refuses one
// event refuses the next, too.
const deadLetterPause = time.Hour

// tellDeadLetter tells the others of an event that a destination did not take, or keeps it for the end of the pause. e.mu is held.
func (e *remediationExporter) tellDeadLetter(ctx context.Context, h *destination, data eventdata.Delivery, now time.Time) {
	if strings.HasPrefix(string(data.Type), deliveryTypes) {
		return
	}
	if h.unsaid != nil {
		data.More = h.unsaid.More + 1
	}
	h.unsaid = &data
	e.tellDeadLetters(ctx, h, now)
}

// tellDeadLetters tells of the last event that a destination did not take, and of how many others there were, unless it is too early.
// e.mu is held.
func (e *remediationExporter) tellDeadLetters(ctx context.Context, h *destination, now time.Time) {
	if h.unsaid == nil || now.Before(h.quietUntil) {
		return
	}
	e.spreadDelivery(ctx, semconv.EventTypeDeliveryDeadLettered, *h.unsaid, now)
	h.unsaid, h.quietUntil = nil, now.Add(deadLetterPause)
}

// spreadDelivery tells the other destinations that one has failed. e.mu is held.
func (e *remediationExporter) spreadDelivery(ctx context.Context, typ semconv.EventType, data eventdata.Delivery, now time.Time) {
	for _, h := range e.destinations {
		if h.name == data.Destination || h.gone || !h.wants(typ) || e.folds(ctx, h, typ, nil, now) {
			continue
		}
		text, number := logSeverity(semconv.SeverityMajor)
		d := delivery{ID: deliveryID(typ, h.name, data.Destination+"/"+data.Event, now.UnixNano(), ""), Type: typ}
		ev := &cloudevents.Event{
			ID: d.ID, Source: e.cfg.Source, Type: string(typ), Subject: "destination/" + data.Destination, Time: cloudTime(now),
			SeverityText: text, SeverityNumber: number, Data: eventdata.DeliveryData{Delivery: data},
		}
		body, err := ev.Marshal()
		if err != nil {
			e.after(func() { e.logger.Error("news of a destination could not be encoded", zap.Error(err)) })
			continue
		}
		d.Body = body
		e.offer(ctx, h, d)
	}
}

// unneeded reports whether the event is an escalation of what nobody needs to be told of any more: somebody has taken the incident
// on, or it is over. e.mu is held.
func (e *remediationExporter) unneeded(d *delivery) bool {
	if d.NotBefore.IsZero() {
		return false
	}
	inc := e.ledger.Incident(d.Incident)
	return inc == nil || inc.Resolved || decodeMemo(inc).Acknowledged != ""
}
