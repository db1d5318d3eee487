package remediationexporter

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// maxAcknowledged bounds the acknowledged incidents that are asked for at once, the newest of those that are open.
const maxAcknowledged = 1000

// hearAcknowledgments asks the store which open incidents people have taken on, and tells what is new.
func (e *remediationExporter) hearAcknowledgments(ctx context.Context) {
	yes := true
	var found []incidentstore.Incident
	err := e.call(ctx, storeOrders, e.cfg.Store.Timeout, func(ctx context.Context) error {
		var err error
		found, _, err = e.incidents.memory.Incidents(ctx, incidentstore.IncidentFilter{Status: semconv.StatusOpen, Acknowledged: &yes}, incidentstore.Page{Limit: maxAcknowledged})
		return err
	})
	if err != nil {
		return
	}
	heard := map[string]*incidentstore.Acknowledgment{}
	for i := range found {
		heard[found[i].ID] = found[i].Acknowledgment
	}
	e.mu.Lock()
	var gone []string
	for id := range e.incidents.acknowledged {
		if heard[id] == nil {
			gone = append(gone, id)
		}
	}
	e.mu.Unlock()
	slices.SortFunc(found, func(a, b incidentstore.Incident) int { return strings.Compare(a.ID, b.ID) })
	for i := range found {
		e.acknowledge(ctx, found[i].ID, found[i].Acknowledgment)
	}
	slices.Sort(gone)
	for _, id := range gone {
		var inc *incidentstore.Incident
		err := e.call(ctx, storeOrders, e.cfg.Store.Timeout, func(ctx context.Context) error {
			var err error
			inc, err = e.incidents.memory.Incident(ctx, id)
			return err
		})
		switch {
		case err == nil:
			e.acknowledge(ctx, id, inc.Acknowledgment)
		case errors.Is(err, incidentstore.ErrNotFound):
			e.acknowledge(ctx, id, nil)
		}
	}
}

// acknowledge notes who has taken an incident on, nil for nobody, and tells the destinations that have it open.
func (e *remediationExporter) acknowledge(ctx context.Context, id string, a *incidentstore.Acknowledgment) {
	e.mu.Lock()
	inc := e.ledger.Incident(id)
	if inc == nil || inc.Resolved {
		delete(e.incidents.acknowledged, id)
		e.mu.Unlock()
		return
	}
	m := decodeMemo(inc)
	if a != nil && !a.At.After(m.Reopened) {
		a = nil
	}
	if a == nil && m.Acknowledgment == nil || a != nil && m.Acknowledgment != nil && a.By == m.Acknowledgment.By && a.At.Equal(m.Acknowledgment.At) {
		e.mu.Unlock()
		return
	}
	now := time.Now()
	entry := auditchain.Entry{Kind: string(semconv.EventRemediationAcknowledgment), Incident: id, Fields: map[string]string{"state": "acknowledged"}}
	if a == nil {
		entry.Actor, entry.Fields["state"] = plainText(m.Acknowledgment.By, maxPersonLen), "taken back"
		m.Acknowledged, m.Acknowledgment = "", nil
		delete(e.incidents.acknowledged, id)
	} else {
		m.Acknowledged = plainText(a.By, maxPersonLen)
		m.Acknowledgment = &eventdata.Acknowledgment{By: m.Acknowledged, At: a.At, Comment: plainText(a.Comment, maxComment)}
		entry.Actor, entry.Text = m.Acknowledgment.By, m.Acknowledgment.Comment
		e.incidents.acknowledged[id] = true
	}
	e.ledger.Touch(id)
	if err := m.store(inc); err != nil {
		e.after(func() { e.logger.Error("an acknowledgment could not be kept", zap.Error(err)) })
	}
	e.audit.note(now, entry)
	if a != nil {
		e.tellAcknowledged(ctx, id, &m, now)
	}
	e.settleAndUnlock(context.WithoutCancel(ctx))
}

// begin forgets who had taken the incident on when it was there before, also what the store still says of that. Its detector says when
// it came back, which is before anybody can have heard of it.
func (m *memo) begin(ev *incoming, verdict playbook.Verdict) {
	if verdict == playbook.Known || ev.Incident.Reopened > 0 {
		m.Reopened = later(m.Reopened, ev.Time)
		if m.Acknowledgment != nil {
			m.Reopened = later(m.Reopened, m.Acknowledgment.At)
		}
	}
	m.Acknowledged, m.Acknowledgment = "", nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// tellAcknowledged queues the news for those who have the incident open. e.mu is held.
func (e *remediationExporter) tellAcknowledged(ctx context.Context, id string, m *memo, now time.Time) {
	typ := semconv.EventTypeIncidentAcknowledged
	for _, h := range e.destinations {
		if !h.wants(typ) || m.Opened[h.name] == "" || e.silenced(ctx, m, now) {
			continue
		}
		d := delivery{
			ID:   deliveryID(typ, h.name, id, m.Acknowledgment.At.UnixNano(), m.Acknowledgment.By),
			Type: typ, Incident: id, Revision: m.Summary.Revision,
		}
		ev := e.envelope(d, m.Acknowledgment.At, &semconv.Incident{ID: id, Severity: m.Summary.Severity, Revision: m.Summary.Revision})
		ev.Data = &eventdata.Data{Incident: m.Summary, Acknowledgment: m.Acknowledgment}
		body, err := ev.Marshal()
		if err != nil {
			e.after(func() { e.logger.Error("an acknowledgment could not be told", zap.Error(err)) })
			continue
		}
		d.Body = body
		e.offer(ctx, h, d)
	}
}

// loadAcknowledged finds out of which incidents we know that they are acknowledged. e.mu is held.
func (e *remediationExporter) loadAcknowledged() {
	for id := range e.slots.of {
		if decodeMemo(e.ledger.Incident(id)).Acknowledgment != nil {
			e.incidents.acknowledged[id] = true
		}
	}
}
