package story

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

func (s *Story) tellIncident(m *notifier.Message) {
	inc := m.Incident
	s.Level = LevelOf(inc)
	word := Severity(inc.Severity)
	switch {
	case inc.Status == semconv.StatusResolved:
		word = "RESOLVED"
	case m.Type == semconv.EventTypeIncidentAcknowledged:
		word = "ACKNOWLEDGED · " + word
	}
	s.Headline = word + " · " + title(inc)
	if m.Occurrence > 1 {
		s.Headline += " (#" + strconv.Itoa(m.Occurrence) + ")"
	}
	s.add("Status", status(m))
	if len(inc.Causes) > 0 {
		c := &inc.Causes[0]
		s.add("Cause", sayCause(c))
		if c.Change != nil {
			s.add("Changed before", nameChange(c.Change))
		}
	} else {
		s.add("Cause", "not known")
	}
	s.add("Users feel it at", names(inc.EntryPoints))
	s.add("Impact", impact(&inc.Impact))
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

	if len(inc.Causes) > 0 {
		list(s, "Evidence", inc.Causes[0].Evidence, sayEvidence)
		list(s, "Other causes", inc.Causes[1:], sayCause)
	}
	list(s, "Error budgets", inc.Impact.Objectives, sayObjective)
	list(s, "Changes", inc.Changes, nameChange)
	// The newest entries, in order of time.
	list(s, "Timeline", inc.Timeline[max(0, len(inc.Timeline)-maxItems):], sayEntry)
}

func title(inc *eventdata.Incident) string {
	if t := notifier.Line(inc.Title, maxName); t != "" {
		return t
	}
	if c := Cause(inc); c != "" {
		return c
	}
	return "incident " + notifier.Line(inc.ID, maxName)
}

// LevelOf is how grave an incident is as it stands.
func LevelOf(inc *eventdata.Incident) Level {
	switch {
	case inc == nil:
		return Neutral
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
	switch inc.Status {
	case semconv.StatusResolved:
		parts = append(parts, "resolved")
		switch inc.Resolution {
		case semconv.ResolutionRecovered:
			parts[0] += ": seen to have recovered"
		case semconv.ResolutionNoData:
			parts[0] += ": its telemetry has stopped"
		case semconv.ResolutionMerged:
			parts[0] += ": part of another incident"
		}
	default:
		parts = append(parts, "open, "+strings.ToLower(Severity(inc.Severity)))
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

func impact(i *eventdata.Impact) string {
	var parts []string
	if n := len(i.Services); n > 0 {
		text := count(n, "service", "services")
		if i.Ratio > 0 {
			text += " (" + percent(i.Ratio) + " of all)"
		}
		parts = append(parts, text+": "+names(i.Services))
	}
	if i.FailureRatio > 0 {
		parts = append(parts, percent(i.FailureRatio)+" of requests fail")
	}
	return strings.Join(parts, "; ")
}

func sayEvidence(e *eventdata.Evidence) string {
	text := cmp.Or(e.Summary, e.Signal)
	if e.Entity != nil {
		text = nameEntity(*e.Entity) + ": " + text
	}
	return text
}

func sayCause(c *eventdata.Cause) string {
	return nameCause(c) + " (" + percent(c.Confidence) + " sure)"
}

func sayObjective(o *eventdata.Objective) string {
	return fmt.Sprintf("%s of %s burns %.3g times too fast, %s used up",
		notifier.Line(o.Objective, maxName), notifier.Line(o.Service, maxName), o.BurnRate, percent(o.BudgetConsumed))
}

func nameChange(c *eventdata.Change) string {
	text := nameEntity(c.Entity) + ": " + notifier.Line(c.Summary, maxName)
	if c.Time != nil {
		text += ", " + moment(c.Time)
	}
	return text
}

func sayEntry(t *eventdata.TimelineEntry) string {
	if t.Time == nil {
		return t.Text
	}
	return t.Time.UTC().Format(time.TimeOnly) + " " + t.Text
}

func percent(f float64) string {
	if f > 0 && f < 0.01 {
		return "under 1 %"
	}
	return strconv.FormatFloat(f*100, 'f', 0, 64) + " %"
}

func moment(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func lasted(d time.Duration) string {
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
