package wording

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

func (s *Story) tellIncident(m *notifier.Message) {
	inc := m.Incident
	s.Level = levelOf(inc)
	word := severity(inc.Severity)
	switch {
	case inc.Status == semconv.StatusResolved:
		word = "RESOLVED"
	case m.Type == semconv.EventTypeIncidentAcknowledged:
		word = "ACKNOWLEDGED · " + word
	}
	s.Headline = word + " · " + name(m)
	s.tellStanding(m)
	s.add("Began", moment(inc.StartedAt))
	if inc.ResolvedAt != nil && inc.StartedAt != nil {
		s.add("Lasted", lasted(inc.ResolvedAt.Sub(*inc.StartedAt)))
	}
	s.add("Acknowledged by", m.Acknowledged)
	if m.Acknowledgment != nil {
		s.add("Comment", m.Acknowledgment.Comment)
	}
	s.add("Owner", m.Owner)
	if inc.MergedInto != "" {
		s.add("Goes on in", "incident "+inc.MergedInto)
	}
	if inc.SplitFrom != "" {
		s.add("Parted from", "incident "+inc.SplitFrom)
	}

	if c := firstCause(inc); c != nil {
		list(s, "Evidence", c.Evidence, sayEvidence)
		list(s, "Other causes", inc.Causes[1:], sayCause)
	}
	list(s, "Error budgets", inc.Impact.Objectives, sayObjective)
	list(s, "Changes", otherChanges(inc), sayChange)
	list(s, "Seen before", m.Similar, saySimilar)
	// The newest entries, in order of time.
	list(s, "Timeline", inc.Timeline[max(0, len(inc.Timeline)-maxItems):], sayEntry)
}

// tellStanding tells how an incident stands: what may be another with its next update.
func (s *Story) tellStanding(m *notifier.Message) {
	inc := m.Incident
	s.add("Status", status(m))
	if c := firstCause(inc); c != nil {
		s.add("Cause", sayCause(c))
		if c.Change != nil {
			s.add("Changed before", sayChange(c.Change))
		}
	} else {
		s.add("Cause", "not known")
	}
	s.add("Users feel it at", names(inc.EntryPoints))
	s.add("Impact", impact(&inc.Impact))
}

// otherChanges are the changes but for that before the first cause, which is told with it.
func otherChanges(inc *eventdata.Incident) []eventdata.Change {
	c := firstCause(inc)
	if c == nil || c.Change == nil {
		return inc.Changes
	}
	told := sayChange(c.Change)
	return slices.DeleteFunc(slices.Clone(inc.Changes), func(c eventdata.Change) bool { return sayChange(&c) == told })
}

// name is the incident's title, and what number of the same trouble it is if it has come back.
func name(m *notifier.Message) string {
	if m.Occurrence > 1 {
		return "again (#" + strconv.Itoa(m.Occurrence) + "): " + title(m.Incident)
	}
	return title(m.Incident)
}

func title(inc *eventdata.Incident) string {
	return cmp.Or(notifier.Line(inc.Title, maxName), Cause(inc), "incident "+notifier.Line(inc.ID, maxName))
}

// severity is the word for a severity, in capitals; what is not known is said so.
func severity(s semconv.Severity) string {
	return cmp.Or(notifier.Line(strings.ToUpper(string(s)), maxName), "UNKNOWN")
}

// levelOf is how grave an incident is as it stands.
func levelOf(inc *eventdata.Incident) Level {
	switch {
	case inc.Status == semconv.StatusResolved && inc.Resolution == semconv.ResolutionNoData:
		return Neutral // nobody knows whether it is over
	case inc.Status == semconv.StatusResolved:
		return Good
	case inc.Severity == semconv.SeverityMinor:
		return Warning
	default:
		return Critical
	}
}

func status(m *notifier.Message) string {
	inc := m.Incident
	var parts []string
	if inc.Status == semconv.StatusResolved {
		parts = append(parts, resolved(inc))
	} else {
		parts = append(parts, "open, "+strings.ToLower(severity(inc.Severity)))
		if inc.UnknownSince != nil {
			parts = append(parts, "no telemetry says how it stands since "+moment(inc.UnknownSince))
		}
	}
	if inc.Reopened > 0 {
		parts = append(parts, "reopened "+count(int(inc.Reopened), "time", "times"))
	}
	if m.Occurrence > 1 {
		parts = append(parts, "occurrence "+strconv.Itoa(m.Occurrence))
	}
	return strings.Join(parts, "; ")
}

// resolved says that an incident has ended, and how.
func resolved(inc *eventdata.Incident) string {
	switch {
	case inc.Resolution == semconv.ResolutionRecovered:
		return "resolved: the symptoms are gone"
	case inc.Resolution == semconv.ResolutionNoData:
		return "resolved: the telemetry that showed the symptoms stopped; nobody knows whether they are gone"
	case inc.Resolution == semconv.ResolutionMerged && inc.MergedInto != "":
		return "resolved: it goes on as a part of incident " + notifier.Line(inc.MergedInto, maxName)
	case inc.Resolution == semconv.ResolutionMerged:
		return "resolved: it goes on as a part of another incident"
	default:
		return "resolved"
	}
}
