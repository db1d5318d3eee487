package wording

import (
	"strconv"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
)

// Field is a fact of a message, as one line, with a name in snake case.
type Field struct{ Name, Value string }

// Fields are the facts of a message, the most useful first, for systems that take flat fields; those that are empty are left out. Each
// value has at most n runes. Approval links are not among them.
func Fields(m *notifier.Message, n int) []Field {
	var out []Field
	add := func(name, value string) {
		if value = notifier.Line(value, n); value != "" {
			out = append(out, Field{name, value})
		}
	}
	add("event", string(m.Type))
	add("cluster", m.Cluster)
	add("owner", m.Owner)
	inc := m.Incident
	if inc == nil {
		return out
	}
	add("incident_id", inc.ID)
	add("url", m.Links.Incident)
	add("severity", string(inc.Severity))
	add("revision", strconv.FormatInt(inc.Revision, 10))
	add("occurrence", strconv.Itoa(m.Occurrence))
	add("acknowledged_by", m.Acknowledged)
	add("resolution", string(inc.Resolution))
	add("started_at", stamp(inc.StartedAt))
	if c := firstCause(inc); c != nil {
		add("cause", c.Entity.Name)
		add("cause_kind", string(c.Kind))
		add("confidence", strconv.FormatFloat(c.Confidence, 'f', 2, 64))
		if c.Change != nil {
			add("change", sayChange(c.Change))
		}
		if len(c.Evidence) > 0 {
			add("evidence", sayEvidence(&c.Evidence[0]))
		}
	}
	for _, f := range actionFields(m.Remediation) {
		add(f.Name, f.Value)
	}
	add("impact", impact(&inc.Impact))
	if len(inc.Impact.Objectives) > 0 {
		add("error_budget", sayObjective(&inc.Impact.Objectives[0]))
	}
	if len(m.Similar) > 0 {
		add("seen_before", saySimilar(&m.Similar[0]))
	}
	return out
}

func actionFields(r *eventdata.Remediation) []Field {
	if r == nil {
		return nil
	}
	return []Field{
		{"playbook", r.Playbook},
		{"action", r.Action},
		{"action_target", r.Target},
		{"action_outcome", r.Outcome},
		{"action_reason", string(r.Reason)},
		{"action_detail", r.Detail},
	}
}
