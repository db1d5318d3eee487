package brief

import (
	"fmt"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
)

// Text is a description of some lines: the news, what is behind it, and where to see more. It has at most n runes; the links are
// not what is cut off.
func Text(m *notifier.Message, n int) string {
	tail := make([]string, 0, 3)
	for _, l := range Links(m) {
		tail = append(tail, l.Text+": "+l.URL)
	}
	end := strings.Join(tail, "\n")
	body := strings.Join(lines(m), "\n")
	if end == "" {
		return notifier.Clip(body, n)
	}
	room := n - len([]rune(end)) - 1
	if room < 1 { // links that do not fit are of no use cut
		return notifier.Clip(body, n)
	}
	return notifier.Clip(body, room) + "\n" + end
}

func lines(m *notifier.Message) []string {
	inc := m.Incident
	if inc == nil {
		return append([]string{standaloneTitle(m)}, stormLines(m)...)
	}
	out := []string{Title(m)}
	add := func(format string, args ...any) {
		out = append(out, notifier.Line(fmt.Sprintf(format, args...), maxLine))
	}
	if m.Remediation != nil {
		add("%s", Remediation(m))
		out = append(out, planLines(m.Remediation)...)
	}
	add("Incident %s, revision %d, severity %s.", inc.ID, inc.Revision, inc.Severity)
	if c := notifier.Line(m.Cluster, maxName); c != "" {
		add("Cluster: %s", c)
	}
	if inc.StartedAt != nil {
		add("Started: %s", Time(*inc.StartedAt))
	}
	for i := range inc.Causes[:min(len(inc.Causes), maxCauses)] {
		out = append(out, causeLines(i+1, &inc.Causes[i])...)
	}
	if s := Impact(inc); s != "" {
		add("Impact: %s", s)
	}
	for _, c := range inc.Changes[:min(len(inc.Changes), maxListed)] {
		add("Change: %s", Change(&c))
	}
	for _, t := range inc.Timeline[:min(len(inc.Timeline), maxListed)] {
		if t.Time != nil {
			add("%s %s", Time(*t.Time), t.Text)
		} else {
			add("%s", t.Text)
		}
	}
	return out
}

const (
	maxCauses   = 5
	maxEvidence = 5
)

func causeLines(rank int, c *eventdata.Cause) []string {
	out := []string{fmt.Sprintf("Cause %d: %s", rank, Cause(c))}
	for _, e := range c.Evidence[:min(len(c.Evidence), maxEvidence)] {
		if s := Evidence(&e); s != "" {
			out = append(out, "- "+s)
		}
	}
	if c.Change != nil {
		out = append(out, "- after the change: "+Change(c.Change))
	}
	return out
}

// Evidence is one observation in one line.
func Evidence(e *eventdata.Evidence) string {
	s := notifier.Line(e.Summary, maxLine)
	if s == "" {
		s = notifier.Line(e.Signal, maxLine)
	}
	return s
}

// Change is what was changed, in one line.
func Change(c *eventdata.Change) string {
	s := notifier.Line(c.Entity.Name, maxName)
	if c.Kind != "" {
		s += ", " + notifier.Line(c.Kind, maxName)
	}
	if d := notifier.Line(c.Summary, maxLine); d != "" {
		s += ": " + d
	}
	if c.Time != nil {
		s += " (" + Time(*c.Time) + ")"
	}
	return s
}

// Impact says in one line whom an incident reaches; empty when that is not known.
func Impact(inc *eventdata.Incident) string {
	var parts []string
	if n := len(inc.Impact.Services); n > 0 {
		names := make([]string, 0, maxListed)
		for _, s := range inc.Impact.Services[:min(n, maxListed)] {
			if s = notifier.Line(s, maxName); s != "" {
				names = append(names, s)
			}
		}
		parts = append(parts, fmt.Sprintf("services affected: %d (%s)", n, strings.Join(names, ", ")))
	}
	if inc.Impact.FailureRatio > 0 {
		parts = append(parts, percent(inc.Impact.FailureRatio)+" of requests fail")
	}
	for _, o := range inc.Impact.Objectives[:min(len(inc.Impact.Objectives), maxListed)] {
		parts = append(parts, fmt.Sprintf("objective %s burns its budget %.1f times too fast", notifier.Line(o.Objective, maxName), o.BurnRate))
	}
	return notifier.Clip(strings.Join(parts, "; "), maxLine)
}
