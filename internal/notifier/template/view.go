package template

import (
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

// View is what a template sees. What an event does not have is empty.
type View struct {
	// ID is the same for every attempt at an event. Type is short, such as incident.opened, and Subject as in the CloudEvent.
	ID, Source, Type, Subject string
	Time                      time.Time
	// Summary says in one line what happened.
	Summary string
	// Key identifies the incident, also when it comes back; Occurrence counts from 1 how often it has.
	Key            string
	Occurrence     int
	Cluster, Owner string
	// Acknowledged is who has taken the incident on.
	Acknowledged string
	// IncidentURL, ApproveURL and DenyURL are where people can see more, and decide.
	IncidentURL, ApproveURL, DenyURL string
	// Test is set for a message that only tries the receiver.
	Test bool
	// Incident is the incident, Cause its first cause.
	Incident    eventdata.Incident
	Cause       eventdata.Cause
	Remediation eventdata.Remediation
	Storm       eventdata.Storm
	Guard       eventdata.Guard
	Delivery    eventdata.Delivery
}

// newView returns what a template sees of a message.
func newView(m *notifier.Message) *View {
	v := &View{
		ID: m.ID, Source: m.Source, Type: short(m.Type), Subject: m.Subject, Time: m.Time, Summary: wording.Tell(m).Headline, Key: m.Key,
		Occurrence: m.Occurrence, Cluster: m.Cluster, Owner: m.Owner, Acknowledged: m.Acknowledged, IncidentURL: m.Links.Incident,
		ApproveURL: m.Links.Approve, DenyURL: m.Links.Deny, Test: m.Test,
	}
	if m.Incident != nil {
		v.Incident = *m.Incident
		if len(v.Incident.Causes) > 0 {
			v.Cause = v.Incident.Causes[0]
		}
	}
	if m.Remediation != nil {
		v.Remediation = *m.Remediation
		if v.Remediation.Plan == nil {
			v.Remediation.Plan = &eventdata.Plan{}
		}
	} else {
		v.Remediation.Plan = &eventdata.Plan{}
	}
	if m.Storm != nil {
		v.Storm = *m.Storm
	}
	if m.Guard != nil {
		v.Guard = *m.Guard
	}
	if m.Delivery != nil {
		v.Delivery = *m.Delivery
	}
	return v
}

// short returns a type as the settings name it.
func short(t semconv.EventType) string {
	return strings.TrimSuffix(strings.TrimPrefix(string(t), "io.paramedic."), ".v1")
}

// samples are messages of different kinds, full and empty, with which a template is tried before it is used.
func samples() []*View {
	now := time.Date(2026, 3, 1, 10, 15, 3, 0, time.UTC)
	text := `a "b" \ <c> & {d} ` + "\n\x00\xff"
	entity := eventdata.Entity{Type: semconv.EntityService, Name: text}
	incident := &eventdata.Incident{
		ID: "i-1", Revision: 1, Status: semconv.StatusOpen, Severity: semconv.SeverityMajor, StartedAt: &now, DetectedAt: &now, Title: text,
		Causes:      []eventdata.Cause{{Entity: entity, Kind: semconv.CauseLatency, Confidence: 0.9, Resource: map[string]string{"a": text}, Evidence: []eventdata.Evidence{{Signal: text, Onset: &now, Summary: text}}}},
		EntryPoints: []string{text}, Impact: eventdata.Impact{Services: []string{text}}, Timeline: []eventdata.TimelineEntry{{Time: &now, Text: text}},
		Changes: []eventdata.Change{{Time: &now, Entity: entity, Summary: text}},
	}
	var out []*View
	for _, e := range []eventdata.Event{
		{Type: semconv.EventTypeIncidentOpened, Incident: incident},
		{Type: semconv.EventTypeIncidentResolved, Incident: &eventdata.Incident{ID: "i-1", Status: semconv.StatusResolved}},
		{Type: semconv.EventTypeRemediationApprovalRequested, Incident: incident, Remediation: &eventdata.Remediation{Intent: text, Plan: &eventdata.Plan{Objects: []string{text}}}},
		{Type: semconv.EventTypeIncidentStorm, Storm: &eventdata.Storm{From: now, To: now, Events: 1, Causes: []eventdata.CauseCount{{Cause: text, Events: 1}}}},
		{Type: semconv.EventTypeRemediationPaused, Guard: &eventdata.Guard{Name: text}},
		{Type: semconv.EventTypeDeliveryDestinationDisabled, Delivery: &eventdata.Delivery{Destination: text}},
	} {
		e.ID, e.Source, e.Subject, e.Time = "e-1", "/paramedic", "incident/i-1", now
		out = append(out, newView(&notifier.Message{Event: &e, Key: "k", Occurrence: 1, Owner: text, Cluster: text, Now: now}))
	}
	return out
}
