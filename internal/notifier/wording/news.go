package wording

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// News is a note on what is known already: some lines that say what is new, and what can be opened, secret addresses too.
func News(m *notifier.Message) string {
	var lines []string
	s := &Story{}
	switch r := m.Remediation; {
	case m.Incident == nil:
		s = Tell(m)
		lines = append(lines, s.Headline)
	case r != nil:
		lines = append(lines, Remediation(m))
		s.tellDeadline(m)
		switch {
		case wantsPeople(m):
			s.tellPlan(r.Plan)
			list(s, "Seen before", m.Similar, saySimilar)
		case r.Plan != nil:
			s.add("Plan", r.Plan.Summary)
		}
	case m.Type == semconv.EventTypeIncidentAcknowledged:
		lines = append(lines, Acknowledgment(m))
		s.tellStanding(m)
	case m.Incident.Status == semconv.StatusResolved:
		lines = append(lines, Resolution(m.Incident))
	default:
		what := "Updated"
		if m.Type == semconv.EventTypeIncidentOpened {
			what = "Opened"
		}
		lines = append(lines, what+", revision "+strconv.FormatInt(m.Incident.Revision, 10)+": "+name(m))
		s.tellStanding(m)
	}
	return strings.Join(append(append(lines, s.Lines()...), linkLines(m)...), "\n")
}

// Resolution says in one sentence how an incident ended.
func Resolution(inc *eventdata.Incident) string {
	return "R" + strings.TrimPrefix(resolved(inc), "r") + "."
}

// Acknowledgment says in one sentence who has taken an incident on.
func Acknowledgment(m *notifier.Message) string {
	text := "Acknowledged by " + cmp.Or(notifier.Line(m.Acknowledged, maxName), "a person")
	if a := m.Acknowledgment; a != nil {
		if comment := notifier.Line(a.Comment, maxText); comment != "" {
			text += ": " + comment
		}
	}
	return text
}
