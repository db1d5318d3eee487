package wording

import (
	"cmp"
	"strconv"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// plays are how the events of remediations are told: in a headline before what it is about, and in a sentence after "Playbook p" and
// before the action.
var plays = map[semconv.EventType]struct {
	headline, did string
	level         Level
}{
	semconv.EventTypeRemediationProposed:          {"Would act", "would carry out (proposal only)", Neutral},
	semconv.EventTypeRemediationSuggested:         {"Suggested", "suggests that a person carries out", Neutral},
	semconv.EventTypeRemediationSkipped:           {"Not acting", "skipped", Neutral},
	semconv.EventTypeRemediationApprovalRequested: {"APPROVAL NEEDED", "asks for consent to carry out", Warning},
	semconv.EventTypeRemediationDenied:            {"Denied", "was denied", Neutral},
	semconv.EventTypeRemediationExpired:           {"Nobody approved in time", "got no consent in time for", Warning},
	semconv.EventTypeRemediationStarted:           {"Acting", "started", Neutral},
	semconv.EventTypeRemediationSucceeded:         {"It helped", "succeeded with", Good},
	semconv.EventTypeRemediationFailed:            {"FAILED", "failed with", Critical},
	semconv.EventTypeRemediationInconclusive:      {"Nobody knows whether it helped", "cannot tell whether it helped:", Warning},
	semconv.EventTypeRemediationRolledBack:        {"Undone", "took back", Warning},
	semconv.EventTypeRemediationEscalated:         {"A PERSON IS NEEDED", "needs a person after", Critical},
}

// Escalated reports whether the message says that a person is needed.
func Escalated(m *notifier.Message) bool {
	return m.Type == semconv.EventTypeRemediationEscalated || m.Remediation != nil && m.Remediation.Escalated
}

// wantsPeople reports whether people are to decide, or to act, so that they must know the plan.
func wantsPeople(m *notifier.Message) bool {
	switch m.Type {
	case semconv.EventTypeRemediationProposed, semconv.EventTypeRemediationSuggested, semconv.EventTypeRemediationApprovalRequested:
		return true
	default:
		return Escalated(m)
	}
}

func (s *Story) tellRemediation(m *notifier.Message) {
	r := m.Remediation
	play, known := plays[m.Type]
	if !known {
		play.headline, play.level = "Remediation", Neutral
		if r.Outcome != "" {
			play.headline += " " + notifier.Line(r.Outcome, maxName)
		}
	}
	s.Level = play.level
	s.Headline = play.headline + " · " + notifier.Line(r.Playbook, maxName)
	if r.Action != "" || r.Target != "" {
		s.Headline += ": " + actionOn(r.Action, r.Target)
	}
	if m.Incident != nil {
		s.add("Incident", name(m))
		s.add("Cause", Cause(m.Incident))
	}
	s.tellDeadline(m)
	s.add("Why", string(r.Reason))
	s.add("Detail", r.Detail)
	s.add("Mode", string(r.Mode))
	s.tellPlan(r.Plan)
	if r.Step > 0 {
		s.add("Step", strconv.Itoa(r.Step+1))
	}
	list(s, "Seen before", m.Similar, saySimilar)
}

func (s *Story) tellDeadline(m *notifier.Message) {
	if m.Type == semconv.EventTypeRemediationApprovalRequested {
		s.add("Decide until", moment(m.Remediation.ApproveUntil))
	}
}

func (s *Story) tellPlan(p *eventdata.Plan) {
	if p == nil {
		return
	}
	s.add("Plan", p.Summary)
	if p.Pods > 0 {
		text := count(p.Pods, "pod", "pods")
		if p.Population > 0 {
			text += " of " + strconv.Itoa(p.Population)
		}
		s.add("Touches", text)
	}
	switch {
	case p.Destructive && !p.Undoable:
		s.add("Risk", "destroys something, and cannot be undone")
	case p.Destructive:
		s.add("Risk", "destroys something, and can be undone")
	case !p.Undoable:
		s.add("Risk", "cannot be undone")
	}
	list(s, "Objects", p.Objects, itself)
	list(s, "Checks", p.Checks, sayCheck)
	list(s, "By hand", p.Commands, itself)
}

func sayCheck(c *eventdata.Check) string {
	text := "passed: " + notifier.Line(c.Name, maxName)
	if !c.Passed {
		text = "NOT " + text
	}
	if c.Detail != "" {
		text += " (" + notifier.Line(c.Detail, maxName) + ")"
	}
	return text
}

// actionOn names an action and what it is done to.
func actionOn(action, target string) string {
	text := cmp.Or(notifier.Line(action, maxName), "a step")
	if t := notifier.Line(target, maxName); t != "" {
		text += " on " + t
	}
	return text
}

// Remediation says in one sentence what a playbook did or wants.
func Remediation(m *notifier.Message) string {
	r := m.Remediation
	did := plays[m.Type].did
	if did == "" {
		did = "reported " + notifier.Line(r.Outcome, maxName) + ":"
	}
	action := r.Action
	if action == "" && r.Step > 0 {
		action = "step " + strconv.Itoa(r.Step+1)
	}
	text := "Playbook " + notifier.Line(r.Playbook, maxName) + " " + did + " " + actionOn(action, r.Target)
	if why := notifier.Line(string(r.Reason), maxName); why != "" {
		text += ", reason " + why
	}
	if detail := notifier.Line(r.Detail, maxText); detail != "" {
		text += ": " + detail
	}
	return marked(m, text)
}
