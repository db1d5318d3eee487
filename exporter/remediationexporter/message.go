package remediationexporter

import (
	"maps"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// recollection is what a destination's driver remembers of an incident.
type recollection struct {
	// Occurrence is that of the incident: what was remembered of one does not hold for the next.
	Occurrence int             `json:"occurrence"`
	Values     notifier.Memory `json:"values"`
}

// message returns what a driver is told, but for the links. e.mu is held.
func (e *remediationExporter) message(h *destination, d *delivery, now time.Time) (*notifier.Message, error) {
	ev, err := eventdata.Decode(d.Body)
	if err != nil {
		return nil, err
	}
	m := &notifier.Message{Event: ev, Body: d.Body, Now: now, Cluster: e.cfg.Cluster, Occurrence: d.Occurrence + 1}
	if ev.Incident == nil {
		return m, nil
	}
	m.Key = notifier.Key(e.cfg.Cluster, ev.Incident.ID)
	inc := e.ledger.Incident(ev.Incident.ID)
	if inc == nil {
		return m, nil
	}
	kept := decodeMemo(inc)
	m.Acknowledged, m.Owner = kept.Acknowledged, kept.Owner
	if m.Cluster == "" {
		m.Cluster = kept.Cluster
	}
	if r, ok := kept.Memories[h.name]; ok && r.Occurrence == m.Occurrence {
		m.Memory = maps.Clone(r.Values)
	}
	return m, nil
}

// link adds the URLs by which people come back, right before an attempt: they may hold a secret, so they are neither stored nor
// logged.
func (e *remediationExporter) link(h *destination, m *notifier.Message) {
	if e.links == nil || m.Incident == nil {
		return
	}
	m.Links.Incident = e.links.Incident(m.Incident.ID)
	if r := m.Remediation; r != nil && m.Type == semconv.EventTypeRemediationApprovalRequested && r.ApproveUntil != nil {
		m.Links.Approve, m.Links.Deny = e.links.Decide(r.Intent, r.PlanDigest, h.name, *r.ApproveUntil)
	}
}

// remember keeps what a driver wants to know at the next event of an incident. It is stored together with what became of this one.
// e.mu is held.
func (e *remediationExporter) remember(h *destination, d *delivery, occurrence int, memory notifier.Memory) {
	kept, whole := bounded(memory)
	if !whole {
		e.after(func() {
			e.logger.Warn("a destination wants to remember more of an incident than is kept", zap.String("destination", h.name), zap.String("incident_id", d.Incident))
		})
	}
	e.editMemo(d.Incident, func(m *memo) bool {
		if old, ok := m.Memories[h.name]; ok && old.Occurrence == occurrence && maps.Equal(old.Values, kept) {
			return false
		}
		if m.Memories == nil {
			m.Memories = map[string]recollection{}
		}
		m.Memories[h.name] = recollection{occurrence, kept}
		return true
	})
}
