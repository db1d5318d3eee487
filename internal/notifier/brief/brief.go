// Package brief says in plain text, within bounds, what a message is about: for systems that show lines and paragraphs. What comes
// from telemetry is hostile input; every line of it is cleaned and cut by runes.
package brief

import (
	"fmt"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Lengths in runes of parts of a text.
const (
	maxTitle = 400
	maxName  = 128
	maxLine  = 400
)

// Title is one line that says what the trouble is, with a mark in front when it has come back or is only a test.
func Title(m *notifier.Message) string {
	var b strings.Builder
	if m.Test {
		b.WriteString("[TEST] ")
	}
	if m.Incident == nil {
		b.WriteString(standaloneTitle(m))
		return b.String()
	}
	if m.Occurrence > 1 {
		fmt.Fprintf(&b, "[#%d] ", m.Occurrence)
	}
	title := notifier.Line(m.Incident.Title, maxTitle)
	if title == "" {
		title = "incident " + notifier.Line(m.Incident.ID, maxName)
	}
	b.WriteString(title)
	if c := firstCause(m); c != nil && !strings.Contains(title, notifier.Line(c.Entity.Name, maxName)) {
		b.WriteString(" - likely cause: " + Cause(c))
	}
	return b.String()
}

func firstCause(m *notifier.Message) *eventdata.Cause {
	if m.Incident == nil || len(m.Incident.Causes) == 0 {
		return nil
	}
	return &m.Incident.Causes[0]
}

// Cause names a cause, its kind and how sure we are of it.
func Cause(c *eventdata.Cause) string {
	s := notifier.Line(c.Entity.Name, maxName)
	if s == "" {
		s = "unknown"
	}
	if c.Kind != "" && c.Kind != semconv.CauseUnknown {
		s += ", " + notifier.Line(string(c.Kind), maxName)
	}
	return s + " (" + percent(c.Confidence) + ")"
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", min(max(share, 0), 1)*100) }

// Service is the name of what is in trouble: the first cause, or where users feel it, or what is affected; "unknown" otherwise.
func Service(m *notifier.Message) string {
	var candidates []string
	if c := firstCause(m); c != nil {
		candidates = append(candidates, c.Entity.Name)
	}
	if m.Incident != nil {
		candidates = append(append(candidates, m.Incident.EntryPoints...), m.Incident.Impact.Services...)
	}
	for _, c := range candidates {
		if name := notifier.Line(c, maxName); name != "" {
			return name
		}
	}
	return "unknown"
}

// Place is the cluster and what is in trouble there.
func Place(m *notifier.Message) string {
	place := Service(m)
	if m.Incident == nil {
		place = "paramedic"
	}
	if cluster := notifier.Line(m.Cluster, maxName); cluster != "" {
		place = cluster + "/" + place
	}
	return place
}

// Kind is the sort of trouble that the first cause is in, empty when that is not known.
func Kind(m *notifier.Message) string {
	if c := firstCause(m); c != nil {
		return notifier.Line(string(c.Kind), maxName)
	}
	return ""
}

// News is a paragraph on what this message says that the one before did not.
func News(m *notifier.Message) string {
	var lines []string
	add := func(format string, args ...any) {
		lines = append(lines, notifier.Line(fmt.Sprintf(format, args...), maxLine))
	}
	switch r := m.Remediation; {
	case m.Incident == nil:
		add("%s", standaloneTitle(m))
	case r != nil:
		add("%s", Remediation(m))
		lines = append(lines, planLines(r)...)
		if r.ApproveUntil != nil && m.Type == semconv.EventTypeRemediationApprovalRequested {
			add("An answer is wanted until %s.", Time(*r.ApproveUntil))
		}
	case m.Type == semconv.EventTypeIncidentResolved || m.Incident.Status == semconv.StatusResolved:
		add("%s", Resolution(m.Incident))
	default:
		add("%s: %s, severity %s, revision %d.", phrase(m), Title(m), m.Incident.Severity, m.Incident.Revision)
		if c := firstCause(m); c != nil {
			add("Likely cause: %s.", Cause(c))
		}
	}
	if m.Type == semconv.EventTypeIncidentAcknowledged {
		add("%s", Acknowledgment(m))
	}
	for _, l := range Links(m) {
		lines = append(lines, l.Text+": "+l.URL)
	}
	return strings.Join(lines, "\n")
}

func phrase(m *notifier.Message) string {
	switch m.Type {
	case semconv.EventTypeIncidentOpened:
		return "Opened"
	case semconv.EventTypeIncidentAcknowledged:
		return "Still open"
	default:
		return "Updated"
	}
}

// Remediation says in one line what a playbook did or wants.
func Remediation(m *notifier.Message) string {
	r := m.Remediation
	what := notifier.Line(r.Action, maxName)
	if what == "" {
		what = fmt.Sprintf("step %d", r.Step)
	}
	if r.Target != "" {
		what += " of " + notifier.Line(r.Target, maxName)
	}
	did := verbs[m.Type]
	if did == "" {
		did = "reported " + notifier.Line(r.Outcome, maxName) + ":"
	}
	s := fmt.Sprintf("Playbook %s %s %s", notifier.Line(r.Playbook, maxName), did, what)
	if r.Reason != "" {
		s += ", reason " + notifier.Line(string(r.Reason), maxName)
	}
	if d := notifier.Line(r.Detail, maxLine); d != "" {
		s += ": " + d
	}
	return s
}

var verbs = map[semconv.EventType]string{
	semconv.EventTypeRemediationProposed:          "would carry out (proposal only)",
	semconv.EventTypeRemediationSuggested:         "suggests that a person carries out",
	semconv.EventTypeRemediationApprovalRequested: "asks for consent to carry out",
	semconv.EventTypeRemediationDenied:            "was denied",
	semconv.EventTypeRemediationExpired:           "got no consent in time for",
	semconv.EventTypeRemediationSkipped:           "skipped",
	semconv.EventTypeRemediationStarted:           "started",
	semconv.EventTypeRemediationSucceeded:         "succeeded with",
	semconv.EventTypeRemediationFailed:            "failed with",
	semconv.EventTypeRemediationInconclusive:      "cannot tell whether it helped:",
	semconv.EventTypeRemediationRolledBack:        "took back",
	semconv.EventTypeRemediationEscalated:         "needs a person after",
}

// Resolution says how an incident ended.
func Resolution(inc *eventdata.Incident) string {
	switch {
	case inc.Resolution == semconv.ResolutionNoData:
		return "Resolved: the telemetry that showed the symptoms stopped; nobody knows whether they are gone."
	case inc.Resolution == semconv.ResolutionMerged && inc.MergedInto != "":
		return "Resolved: it goes on as a part of incident " + notifier.Line(inc.MergedInto, maxName) + "."
	case inc.Resolution == semconv.ResolutionMerged:
		return "Resolved: it goes on as a part of another incident."
	case inc.Resolution == semconv.ResolutionRecovered:
		return "Resolved: the symptoms are gone."
	default:
		return "Resolved."
	}
}

// Acknowledgment says who has taken an incident on.
func Acknowledgment(m *notifier.Message) string {
	by := notifier.Line(m.Acknowledged, maxName)
	if by == "" {
		by = "a person"
	}
	s := "Acknowledged by " + by
	if a := m.Acknowledgment; a != nil {
		if c := notifier.Line(a.Comment, maxLine); c != "" {
			s += ": " + c
		}
	}
	return s
}

// Time is how texts show a time: UTC, to the second.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// Link is a URL with what it leads to.
type Link struct{ Text, URL string }

// Links are those of the message that exist and that a system can be given: absolute http and https URLs.
func Links(m *notifier.Message) []Link {
	var out []Link
	for _, l := range []Link{{"Open incident", m.Links.Incident}, {"Approve", m.Links.Approve}, {"Deny", m.Links.Deny}} {
		if strings.HasPrefix(l.URL, "https://") || strings.HasPrefix(l.URL, "http://") {
			out = append(out, l)
		}
	}
	return out
}

// Escalated reports whether the message says that a person is needed.
func Escalated(m *notifier.Message) bool {
	return m.Type == semconv.EventTypeRemediationEscalated || m.Remediation != nil && m.Remediation.Escalated
}

func planLines(r *eventdata.Remediation) []string {
	p := r.Plan
	if p == nil {
		return nil
	}
	var out []string
	if s := notifier.Line(p.Summary, maxLine); s != "" {
		out = append(out, "Plan: "+s)
	}
	if p.Destructive {
		out = append(out, "It is destructive.")
	}
	if !p.Undoable && r.Mode == playbook.Approve {
		out = append(out, "It cannot be undone.")
	}
	for i, c := range p.Commands {
		if i == maxCommands {
			break
		}
		out = append(out, "By hand: "+notifier.Line(c, maxLine))
	}
	return out
}

const maxCommands = 5
