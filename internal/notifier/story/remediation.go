package story

import (
	"strconv"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// plays are how the events of remediations are told.
var plays = map[semconv.EventType]struct {
	words string
	level Level
}{
	semconv.EventTypeRemediationProposed:          {"Would act", Neutral},
	semconv.EventTypeRemediationSuggested:         {"Suggested", Neutral},
	semconv.EventTypeRemediationSkipped:           {"Not acting", Neutral},
	semconv.EventTypeRemediationApprovalRequested: {"APPROVAL NEEDED", Warning},
	semconv.EventTypeRemediationDenied:            {"Denied", Neutral},
	semconv.EventTypeRemediationExpired:           {"Approval came too late", Warning},
	semconv.EventTypeRemediationStarted:           {"Acting", Neutral},
	semconv.EventTypeRemediationSucceeded:         {"It helped", Good},
	semconv.EventTypeRemediationFailed:            {"FAILED", Critical},
	semconv.EventTypeRemediationInconclusive:      {"Nobody knows whether it helped", Warning},
	semconv.EventTypeRemediationRolledBack:        {"Undone", Warning},
	semconv.EventTypeRemediationEscalated:         {"A PERSON IS NEEDED", Critical},
}

func (s *Story) tellRemediation(m *notifier.Message) {
	r := m.Remediation
	play, known := plays[m.Type]
	if !known {
		play.words, play.level = "Remediation", Neutral
		if r.Outcome != "" {
			play.words += " " + notifier.Line(r.Outcome, maxName)
		}
	}
	s.Level = play.level
	what := notifier.Line(r.Playbook, maxName)
	if r.Action != "" {
		what += ": " + notifier.Line(r.Action, maxName)
	}
	target := r.Target
	if target != "" {
		what += " on " + notifier.Line(target, maxName)
	}
	s.Headline = play.words + " · " + what
	if m.Incident != nil {
		s.add("Incident", title(m.Incident))
		s.add("Cause", Cause(m.Incident))
	}
	if m.Type == semconv.EventTypeRemediationApprovalRequested {
		s.add("Decide until", moment(r.ApproveUntil))
	}
	s.add("Why", string(r.Reason))
	s.add("Detail", r.Detail)
	s.add("Mode", string(r.Mode))
	if p := r.Plan; p != nil {
		s.tellPlan(p)
	}
	if r.Step > 0 {
		s.add("Step", strconv.Itoa(r.Step+1))
	}
}

func (s *Story) tellPlan(p *eventdata.Plan) {
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

// guards are how the events of guards are told.
var guards = map[semconv.EventType]struct {
	words string
	level Level
}{
	semconv.EventTypeRemediationBreakerOpened: {"Automation has stopped acting here", Warning},
	semconv.EventTypeRemediationBreakerClosed: {"Automation may act here again", Good},
	semconv.EventTypeRemediationStormBegan:    {"Too many incidents at once: automation holds back", Warning},
	semconv.EventTypeRemediationStormEnded:    {"The storm of incidents is over", Good},
	semconv.EventTypeRemediationPaused:        {"Automation is paused", Warning},
	semconv.EventTypeRemediationResumed:       {"Automation goes on", Good},
}

func (s *Story) tellGuard(m *notifier.Message) {
	g := m.Guard
	guard, known := guards[m.Type]
	if !known {
		guard.words, guard.level = "Guard of automation", Neutral
	}
	s.Level = guard.level
	s.Headline = guard.words + " · " + notifier.Line(g.Name, maxName)
	if g.Key != "" {
		s.Headline += " " + notifier.Line(g.Key, maxName)
	}
	s.add("State", g.State)
	s.add("Why", g.Detail)
	s.add("By", g.By)
}

func (s *Story) tellDelivery(d *eventdata.Delivery) {
	s.Level = Warning
	s.Headline = "News was not delivered to " + notifier.Line(d.Destination, maxName)
	s.add("Event", string(d.Type))
	s.add("Why", d.Reason)
	s.add("Detail", d.Detail)
	if d.Dropped > 0 {
		s.add("Dropped", count(d.Dropped, "event", "events"))
	}
}

func (s *Story) tellStorm(t *eventdata.Storm) {
	s.Level = Warning
	if t.Severity == semconv.SeverityCritical || t.Severity == semconv.SeverityMajor {
		s.Level = Critical
	}
	s.Headline = "STORM · " + count(t.Events, "more event", "more events") + " in " + lasted(t.To.Sub(t.From))
	if t.Severity != "" {
		s.add("Gravest", string(t.Severity))
	}
	s.add("From", moment(&t.From))
	s.add("To", moment(&t.To))
	s.add("Opened", tally(&t.Opened))
	s.add("Resolved", tally(&t.Resolved))
	list(s, "Causes", t.Causes, func(c *eventdata.CauseCount) string {
		return notifier.Line(c.Cause, maxName) + ": " + count(c.Events, "event", "events")
	})
	if t.OtherEvents > 0 {
		s.add("Of other causes", count(t.OtherEvents, "event", "events"))
	}
	list(s, "Incidents that opened", t.Opened.IDs, itself)
}

func tally(i *eventdata.IncidentIDs) string {
	if n := len(i.IDs) + i.More; n > 0 {
		return count(n, "incident", "incidents")
	}
	return ""
}
