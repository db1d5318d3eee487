package wording

import (
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// guards are how the events of what holds automation back are told.
var guards = map[semconv.EventType]struct {
	headline string
	level    Level
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
		guard.headline, guard.level = "Guard of automation", Neutral
	}
	s.Level = guard.level
	s.Headline = guard.headline + " · " + notifier.Line(g.Name, maxName)
	if g.Key != "" {
		s.Headline += " " + notifier.Line(g.Key, maxName)
	}
	s.add("State", g.State)
	s.add("Why", g.Detail)
	s.add("By", g.By)
}

func (s *Story) tellDelivery(m *notifier.Message) {
	d := m.Delivery
	s.Level = Warning
	s.Headline = "News was not delivered to " + notifier.Line(d.Destination, maxName)
	if m.Type == semconv.EventTypeDeliveryDestinationDisabled {
		s.Headline = "No news goes to " + notifier.Line(d.Destination, maxName) + " any more"
	}
	if why := notifier.Line(d.Reason, maxName); why != "" {
		s.Headline += ": " + why
	}
	s.add("Event", string(d.Type))
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
	if n := tally(&t.Opened); n != "" {
		s.Headline += ", " + n + " opened"
	}
	if len(t.Causes) > 0 {
		s.Headline += ", most often: " + notifier.Line(t.Causes[0].Cause, maxName)
	}
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
