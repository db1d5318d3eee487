package alertmanager

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Bounds of texts in runes.
const (
	maxLabel       = 200
	maxSummary     = 300
	maxDescription = 4000
)

// lasts is how long an alert fires that has no end of its own.
const lasts = time.Hour

// alert is a postableAlert of the API.
type alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// translate returns the alerts of a message, none if it is about nothing that is one, and what is to be remembered.
func (a *alertmanager) translate(m *notifier.Message) ([]alert, notifier.Memory) {
	switch {
	case m.Storm != nil:
		return []alert{a.passing(m, "ParamedicStorm", m.Storm.From, lasts/12)}, nil
	case m.IsIncident():
		return a.incident(m)
	case m.Remediation != nil && m.Key != "":
		return a.remediation(m)
	default:
		return nil, nil
	}
}

func (a *alertmanager) incident(m *notifier.Message) ([]alert, notifier.Memory) {
	inc := m.Incident
	resolved := inc.Status == semconv.StatusResolved
	mem := decode(m.Memory)
	if mem.starts.IsZero() {
		if resolved {
			return nil, nil // it was never told of: there is nothing to end
		}
		mem.starts, mem.severity, mem.service = start(m), inc.Severity, serviceOf(inc)
	}
	if resolved {
		if mem.ended.IsZero() {
			mem.ended = m.Now
		}
	} else {
		mem.ended = time.Time{} // it may have been reopened
		if rank(inc.Severity) > rank(mem.severity) {
			mem.was = append(mem.was, formerly{mem.severity, m.Now})
			mem.severity = inc.Severity
		}
	}
	mem.was = slices.DeleteFunc(mem.was, func(f formerly) bool { return m.Now.Sub(f.ended) >= endedFor || f.severity == mem.severity })

	ends := mem.ended
	if !resolved {
		ends = m.Now.Add(aheadBy * a.interval)
	}
	out := []alert{a.alertOf(m, mem.severity, mem, ends)}
	for _, f := range mem.was {
		out = append(out, a.alertOf(m, f.severity, mem, f.ended))
	}
	return out, mem.encode(m.Memory)
}

func (a *alertmanager) alertOf(m *notifier.Message, severity semconv.Severity, mem memory, ends time.Time) alert {
	out := a.passing(m, "ParamedicIncident", mem.starts, 0)
	label(out.Labels, "severity", string(severity))
	label(out.Labels, "service", mem.service)
	out.EndsAt = ends.UTC()
	if out.EndsAt.Before(out.StartsAt) {
		out.EndsAt = out.StartsAt // Alertmanager refuses what ends before it starts
	}
	return out
}

// passing is an alert that ends by itself.
func (a *alertmanager) passing(m *notifier.Message, name string, starts time.Time, lasts time.Duration) alert {
	if starts.IsZero() || starts.After(m.Now) {
		starts = m.Now
	}
	out := alert{
		Labels: map[string]string{}, Annotations: annotations(m), StartsAt: starts.UTC(), EndsAt: m.Now.Add(lasts).UTC(),
	}
	if wording.Linkable(m.Links.Incident) {
		out.GeneratorURL = m.Links.Incident
	}
	maps.Copy(out.Labels, a.labels)
	label(out.Labels, "alertname", name)
	label(out.Labels, "incident_key", m.Key)
	label(out.Labels, "cluster", m.Cluster)
	if m.Test {
		label(out.Labels, "test", "true")
	}
	return out
}

// remediation tells of what a person must do: to decide, until it is decided, or to take over.
func (a *alertmanager) remediation(m *notifier.Message) ([]alert, notifier.Memory) {
	r := m.Remediation
	asked := keyAsked + r.Intent
	_, open := m.Memory[asked]
	var out alert
	switch {
	case m.Type == semconv.EventTypeRemediationApprovalRequested:
		out = a.passing(m, "ParamedicApprovalNeeded", m.Time, lasts)
		if r.ApproveUntil != nil && r.ApproveUntil.After(m.Now) {
			out.EndsAt = r.ApproveUntil.UTC()
		}
		memory := m.Memory.With()
		if len(memory) < maxMemory {
			memory[asked] = out.StartsAt.Format(time.RFC3339Nano)
		} // else it ends by itself
		return []alert{a.ofPlay(out, r)}, memory
	case m.Type == semconv.EventTypeRemediationEscalated:
		return []alert{a.ofPlay(a.passing(m, "ParamedicPersonNeeded", m.Time, lasts), r)}, nil
	case open:
		starts, _ := time.Parse(time.RFC3339Nano, m.Memory[asked]) // zero will do
		memory := m.Memory.With()
		delete(memory, asked)
		return []alert{a.ofPlay(a.passing(m, "ParamedicApprovalNeeded", starts, 0), r)}, memory
	default:
		return nil, nil
	}
}

func (a *alertmanager) ofPlay(out alert, r *eventdata.Remediation) alert {
	label(out.Labels, "intent", r.Intent)
	label(out.Labels, "playbook", r.Playbook)
	return out
}

func annotations(m *notifier.Message) map[string]string {
	s := wording.Tell(m)
	out := map[string]string{
		"summary":     notifier.Line(s.Headline, maxSummary),
		"description": notifier.Clip(strings.Join(s.Lines(), "\n"), maxDescription),
	}
	if inc := m.Incident; inc != nil {
		label(out, "incident_id", inc.ID)
		label(out, "root_cause", wording.Cause(inc))
		label(out, "current_severity", string(inc.Severity))
		label(out, "acknowledged_by", m.Acknowledged)
		label(out, "owner", m.Owner)
	}
	return out
}

// label sets a value, unless it is empty, which Alertmanager would take away.
func label(of map[string]string, name, value string) {
	if value = notifier.Line(value, maxLabel); value != "" {
		of[name] = value
	}
}

// start is when an incident began, as far as it is known.
func start(m *notifier.Message) time.Time {
	at := m.Time
	if m.Incident.StartedAt != nil {
		at = *m.Incident.StartedAt
	}
	if at.IsZero() || at.After(m.Now) {
		at = m.Now
	}
	return at
}

func serviceOf(inc *eventdata.Incident) string {
	if len(inc.Causes) > 0 && inc.Causes[0].Entity.Type == semconv.EntityService {
		return notifier.Line(inc.Causes[0].Entity.Name, maxLabel)
	}
	if len(inc.EntryPoints) > 0 {
		return notifier.Line(inc.EntryPoints[0], maxLabel)
	}
	return ""
}

func rank(s semconv.Severity) int {
	return slices.Index([]semconv.Severity{semconv.SeverityMinor, semconv.SeverityMajor, semconv.SeverityCritical}, s)
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
