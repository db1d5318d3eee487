package remediationexporter

import (
	"context"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/semconv"
)

// troubleOf returns what decides whether a silence covers the incident, with so many services and no more.
func troubleOf(inc *semconv.Incident) *incidentstore.Trouble {
	t := &incidentstore.Trouble{CauseKind: inc.Cause().Kind, Severity: inc.Severity}
	for _, name := range append([]string{inc.Cause().Entity.Name}, inc.Impact.Services...) {
		if name != "" && len(t.Services) < maxServices {
			t.Services = append(t.Services, clip(name, maxParameterLen))
		}
	}
	return t
}

// silence finds out whether people expect the incident, and says so in it and in the audit. e.mu is held.
func (e *remediationExporter) silence(inc *semconv.Incident, m *memo, now time.Time) *incidentstore.Silence {
	if e.incidents == nil {
		return nil
	}
	m.Trouble = troubleOf(inc)
	s := e.incidents.silenceOf(m.Trouble, now)
	if s == nil {
		return nil
	}
	if inc.SilencedBy == "" {
		inc.SilencedBy = s.ID
	}
	if m.SilencedBy != s.ID {
		m.SilencedBy = s.ID
		e.audit.note(now, auditchain.Entry{
			Kind: string(semconv.EventRemediationSilence), Incident: inc.ID, Actor: plainText(s.By, maxPersonLen), Text: plainText(s.Comment, maxDetail),
			Fields: map[string]string{"silence": plainText(s.ID, maxPersonLen), "kind": string(s.Kind), "until": s.End.UTC().Format(time.RFC3339)},
		})
	}
	return s
}

// withheld reports whether a destination is not told of news of an incident, since people expect it. Whoever was told that it began
// is told of its end in any case, and whoever was not, since it was silenced, never is. e.mu is held.
func (e *remediationExporter) withheld(ctx context.Context, h *destination, incident string, typ semconv.EventType, s *incidentstore.Silence, m *memo) bool {
	told := e.told(h, incident, m) || slices.Contains(m.Folded, h.name)
	end := typ == semconv.EventTypeIncidentResolved
	switch {
	case end && told:
		return false
	case s != nil:
		if !told && !slices.Contains(m.Untold, h.name) && len(m.Untold) < maxNames {
			m.Untold = append(m.Untold, h.name)
		}
	case !end || !slices.Contains(m.Untold, h.name):
		return false
	}
	e.after(func() { e.telemetry.ExporterRemediationSilencedEvents.Add(ctx, 1) })
	return true
}

// silenced reports whether news of what playbooks do about an incident is not told now. e.mu is held.
func (e *remediationExporter) silenced(ctx context.Context, m *memo, now time.Time) bool {
	if e.incidents.silenceOf(m.Trouble, now) == nil {
		return false
	}
	e.after(func() { e.telemetry.ExporterRemediationSilencedEvents.Add(ctx, 1) })
	return true
}
