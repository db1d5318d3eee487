package story

import (
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
	if inc.Status == semconv.StatusResolved {
		word = "RESOLVED"
	}
	s.Headline = word + " · " + title(inc)
	if m.Occurrence > 1 {
		s.Headline += " (#" + strconv.Itoa(m.Occurrence) + ")"
	}
	s.add("Status", status(m))
	if len(inc.Causes) > 0 {
		c := &inc.Causes[0]
		s.add("Cause", nameCause(c)+" ("+percent(c.Confidence)+" sure)")
		if c.Change != nil {
			s.add("Changed before", nameChange(c.Change))
		}
	} else {
		s.add("Cause", "not known")
	}
	s.add("Users feel it at", strings.Join(inc.EntryPoints, ", "))
	s.add("Impact", impact(&inc.Impact))
	s.add("Began", moment(inc.StartedAt))
	if inc.ResolvedAt != nil && inc.StartedAt != nil {
		s.add("Lasted", lasted(inc.ResolvedAt.Sub(*inc.StartedAt)))
	}
	s.add("Acknowledged by", m.Acknowledged)
	s.add("Owner", m.Owner)
	if inc.MergedInto != "" {
		s.add("Goes on in", "incident "+inc.MergedInto)
	}
	if inc.SplitFrom != "" {
		s.add("Parted from", "incident "+inc.SplitFrom)
	}

	if len(inc.Causes) > 0 {
		s.list("Evidence", evidence(&inc.Causes[0]))
		s.list("Other causes", others(inc.Causes[1:]))
	}
	s.list("Error budgets", budgets(inc.Impact.Objectives))
	s.list("Changes", changes(inc.Changes))
	s.list("Timeline", timeline(inc.Timeline))
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
		parts = append(parts, text+": "+strings.Join(i.Services, ", "))
	}
	if i.FailureRatio > 0 {
		parts = append(parts, percent(i.FailureRatio)+" of requests fail")
	}
	return strings.Join(parts, "; ")
}

func evidence(c *eventdata.Cause) []string {
	var out []string
	for i := range c.Evidence {
		e := &c.Evidence[i]
		text := e.Summary
		if text == "" {
			text = e.Signal
		}
		if e.Entity != nil {
			text = nameEntity(*e.Entity) + ": " + text
		}
		out = append(out, text)
	}
	return out
}

func others(causes []eventdata.Cause) []string {
	var out []string
	for i := range causes {
		out = append(out, nameCause(&causes[i])+" ("+percent(causes[i].Confidence)+" sure)")
	}
	return out
}

func budgets(objectives []eventdata.Objective) []string {
	var out []string
	for _, o := range objectives {
		out = append(out, fmt.Sprintf("%s of %s burns %.3g times too fast, %s used up", o.Objective, o.Service, o.BurnRate, percent(o.BudgetConsumed)))
	}
	return out
}

func changes(in []eventdata.Change) []string {
	var out []string
	for i := range in {
		out = append(out, nameChange(&in[i]))
	}
	return out
}

func nameChange(c *eventdata.Change) string {
	text := nameEntity(c.Entity) + ": " + notifier.Line(c.Summary, maxName)
	if c.Time != nil {
		text += ", " + moment(c.Time)
	}
	return text
}

// timeline shows the newest entries, in order of time.
func timeline(in []eventdata.TimelineEntry) []string {
	var out []string
	for _, t := range in[max(0, len(in)-maxItems):] {
		text := t.Text
		if t.Time != nil {
			text = t.Time.UTC().Format(time.TimeOnly) + " " + text
		}
		out = append(out, text)
	}
	return out
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
