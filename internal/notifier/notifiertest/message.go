package notifiertest

import (
	"fmt"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/cloudevents"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Start is when the incidents of the messages began.
var Start = time.Date(2026, 3, 1, 10, 15, 3, 120_000_000, time.UTC)

// Secret is in the approval links of all messages; no error may show it.
const Secret = "l1nk-s3cret"

// Types are all types of events.
var Types = []semconv.EventType{
	semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated, semconv.EventTypeIncidentAcknowledged,
	semconv.EventTypeIncidentResolved, semconv.EventTypeIncidentStorm, semconv.EventTypeRemediationProposed,
	semconv.EventTypeRemediationSkipped, semconv.EventTypeRemediationStarted, semconv.EventTypeRemediationSucceeded,
	semconv.EventTypeRemediationFailed, semconv.EventTypeRemediationInconclusive, semconv.EventTypeRemediationSuggested,
	semconv.EventTypeRemediationApprovalRequested, semconv.EventTypeRemediationDenied, semconv.EventTypeRemediationExpired,
	semconv.EventTypeRemediationRolledBack, semconv.EventTypeRemediationEscalated, semconv.EventTypeRemediationBreakerOpened,
	semconv.EventTypeRemediationBreakerClosed, semconv.EventTypeRemediationStormBegan, semconv.EventTypeRemediationStormEnded,
	semconv.EventTypeRemediationPaused, semconv.EventTypeRemediationResumed, semconv.EventTypeDeliveryDeadLettered,
	semconv.EventTypeDeliveryDestinationDisabled,
}

// Message returns an ordinary message of a type, of the incident i-1 if it is about one.
func Message(typ semconv.EventType) *notifier.Message {
	return message(typ, "i-1", func(s string) string { return s }, 1)
}

// maxBody is about as much as an event has that the exporter sends, in bytes.
const maxBody = 256 << 10

// Hostile returns a message all of whose text is replaced by text, and whose lists have n entries, or as many, and as much of it, as
// an event can have.
func Hostile(typ semconv.EventType, text string, n int) *notifier.Message {
	for {
		m := message(typ, "i-1", func(string) string { return text }, n)
		switch {
		case len(m.Body) <= maxBody:
			return m
		case n > 1:
			n /= 2
		default:
			text = text[:len(text)/2]
		}
	}
}

// Again returns an ordinary message of a type, of an incident with the same key that has come back.
func Again(typ semconv.EventType, occurrence int) *notifier.Message {
	m := Message(typ)
	m.Occurrence, m.ID = occurrence, fmt.Sprint(m.ID, "-", occurrence)
	m.Body = encode(m.Event)
	return m
}

// OfIncident returns an ordinary message about another incident.
func OfIncident(typ semconv.EventType, id string) *notifier.Message {
	return message(typ, id, func(s string) string { return s }, 1)
}

// message makes a message whose texts go through text and whose lists have n entries.
func message(typ semconv.EventType, id string, text func(string) string, n int) *notifier.Message {
	e := &eventdata.Event{ID: "5f0c6d1e-" + id + string(typ), Source: "/paramedic", Type: typ, Time: Start.Add(time.Minute)}
	m := &notifier.Message{
		Event: e, Cluster: text("prod-eu"), Owner: text("payments"), Now: Start.Add(2 * time.Minute), Occurrence: 1,
	}
	about := false
	switch typ {
	case semconv.EventTypeIncidentStorm:
		e.Subject, e.Storm = "storm/1772360103", storm(text, n)
	case semconv.EventTypeDeliveryDeadLettered, semconv.EventTypeDeliveryDestinationDisabled:
		e.Subject = "destination/chat"
		e.Delivery = &eventdata.Delivery{Destination: "chat", Event: "e-1", Type: semconv.EventTypeIncidentOpened, Reason: "refused", Detail: text("answered 410: gone"), Dropped: n}
	case semconv.EventTypeRemediationBreakerOpened, semconv.EventTypeRemediationBreakerClosed, semconv.EventTypeRemediationStormBegan,
		semconv.EventTypeRemediationStormEnded, semconv.EventTypeRemediationPaused, semconv.EventTypeRemediationResumed:
		e.Subject = "guard/kill_switch"
		e.Guard = &eventdata.Guard{Name: "kill_switch", Key: text("service:shop/payment"), State: "paused", Detail: text("night"), By: text("ann")}
	default:
		about = true
		e.Subject, e.Incident, m.Key = "incident/"+id, incident(typ, id, text, n), notifier.Key("prod-eu", id)
		m.Links.Incident = "https://paramedic.example.com/incidents/" + id
	}
	if about && strings.HasPrefix(string(typ), "io.paramedic.remediation.") {
		e.Remediation = remediation(typ, text, n)
		e.Incident.Causes = e.Incident.Causes[:1]
		if typ == semconv.EventTypeRemediationApprovalRequested {
			m.Links.Approve = "https://paramedic.example.com/approve?token=" + Secret
			m.Links.Deny = "https://paramedic.example.com/deny?token=" + Secret
		}
	}
	if typ == semconv.EventTypeIncidentAcknowledged {
		m.Acknowledged = text("ann@example.com")
		e.Acknowledgment = &eventdata.Acknowledgment{By: m.Acknowledged, At: Start.Add(time.Minute), Comment: text("on it")}
	}
	m.Body = encode(e)
	return m
}

// encode writes an event as the exporter stores it.
func encode(e *eventdata.Event) []byte {
	ev := &cloudevents.Event{
		ID: e.ID, Source: e.Source, Type: string(e.Type), Subject: e.Subject, Time: e.Time, SeverityText: "ERROR", SeverityNumber: 17,
	}
	data := eventdata.Data{Remediation: e.Remediation, Acknowledgment: e.Acknowledgment}
	switch {
	case e.Storm != nil:
		ev.Data = eventdata.StormData{Storm: *e.Storm}
	case e.Guard != nil:
		ev.Data = map[string]*eventdata.Guard{"guard": e.Guard}
	case e.Delivery != nil:
		ev.Data = eventdata.DeliveryData{Delivery: *e.Delivery}
	default:
		ev.CorrelationID, ev.CausationID = e.Incident.ID, fmt.Sprintf("%s/%d", e.Incident.ID, e.Incident.Revision)
		data.Incident = e.Incident
		ev.Data = data
	}
	body, err := ev.Marshal()
	if err != nil {
		panic(err) // the messages are ours
	}
	return body
}

func entity(text func(string) string) eventdata.Entity {
	return eventdata.Entity{Type: semconv.EntityService, Name: text("shop/payment")}
}

func incident(typ semconv.EventType, id string, text func(string) string, n int) *eventdata.Incident {
	at := func(after time.Duration) *time.Time {
		t := Start.Add(after)
		return &t
	}
	i := &eventdata.Incident{
		ID: id, Revision: 1, Fingerprint: text("8c2d"), Status: semconv.StatusOpen, Severity: semconv.SeverityMajor,
		StartedAt: at(-8 * time.Second), DetectedAt: at(0), Title: text("latency of shop/gateway, caused by shop/payment"),
		Causes: []eventdata.Cause{}, EntryPoints: []string{}, Timeline: []eventdata.TimelineEntry{}, Changes: []eventdata.Change{},
		Impact: eventdata.Impact{Services: []string{}, Ratio: 0.2},
	}
	for k := range n {
		change := eventdata.Change{Time: at(-time.Minute), Entity: entity(text), Summary: text("version 1.4 to 1.5"), Kind: text("deployment")}
		i.Causes = append(i.Causes, eventdata.Cause{
			Entity: entity(text), Kind: semconv.CauseKind(text(string(semconv.CauseLatency))), Confidence: 0.93 / float64(k+1), Share: 0.87 / float64(k+1),
			Resource: map[string]string{
				semconv.AttrServiceCriticality: text("critical"), semconv.AttrK8sDeploymentName: text("payment"), text("k8s.namespace.name"): text("shop"),
			},
			Evidence: []eventdata.Evidence{{
				Signal: text(semconv.MetricGraphRequestServer), Onset: at(-8 * time.Second), Deviation: 41.5, Score: 0.999,
				Summary: text("mean duration 1.2 s instead of 40 ms"), TraceIDs: []string{"0af7651916cd43dd8448eb211c80319c"},
			}},
			Change: &change,
		})
		i.EntryPoints = append(i.EntryPoints, text(fmt.Sprint("shop/frontend-", k)))
		i.Impact.Services = append(i.Impact.Services, text(fmt.Sprint("shop/checkout-", k)))
		i.Timeline = append(i.Timeline, eventdata.TimelineEntry{Time: at(0), Text: text("duration of checkout to payment rises")})
		i.Changes = append(i.Changes, change)
	}
	if typ == semconv.EventTypeIncidentUpdated {
		i.Revision = 2
	}
	if typ == semconv.EventTypeIncidentResolved {
		i.Revision, i.Status, i.Resolution, i.ResolvedAt = 3, semconv.StatusResolved, semconv.ResolutionRecovered, at(time.Minute)
	}
	return i
}

func remediation(typ semconv.EventType, text func(string) string, n int) *eventdata.Remediation {
	until := Start.Add(30 * time.Minute)
	r := &eventdata.Remediation{
		Intent: "i-1.restart.0", Playbook: "restart", Action: "rollout_restart", Target: text("Deployment shop/payment"), Mode: playbook.Approve,
		Outcome: strings.TrimPrefix(Name(typ), "remediation."), Detail: text("the errors have ended"), Revision: 1,
	}
	r.Plan = &eventdata.Plan{Summary: text("restart the pods of payment"), Pods: 3, Undoable: true}
	for range n {
		r.Plan.Objects = append(r.Plan.Objects, text("Deployment shop/payment"))
		r.Plan.Commands = append(r.Plan.Commands, text("kubectl -n shop rollout restart deployment/payment"))
		r.Plan.Checks = append(r.Plan.Checks, eventdata.Check{Name: text("owner"), Passed: true, Detail: text("Deployment")})
	}
	if typ == semconv.EventTypeRemediationApprovalRequested {
		r.PlanDigest, r.ApproveUntil = "d1ge57", &until
	}
	r.Escalated = typ == semconv.EventTypeRemediationEscalated
	return r
}

func storm(text func(string) string, n int) *eventdata.Storm {
	s := &eventdata.Storm{
		From: Start, To: Start.Add(time.Minute), Events: 3 * n, Severity: semconv.SeverityCritical,
		Types: map[semconv.EventType]int{semconv.EventTypeIncidentOpened: 2 * n, semconv.EventTypeIncidentResolved: n},
	}
	for k := range n {
		s.Causes = append(s.Causes, eventdata.CauseCount{Cause: text("latency of service shop/payment"), Events: n})
		s.Opened.IDs = append(s.Opened.IDs, fmt.Sprint("i-", k))
		s.Resolved.IDs = append(s.Resolved.IDs, fmt.Sprint("i-", k))
	}
	return s
}
