package semconv

// EventType is the CloudEvents type of an event that Paramedic sends to the outside world.
type EventType string

// The types of outbound events. Those of incidents carry the whole incident; those of remediations say what a playbook
// did, and of them only [EventTypeRemediationStarted] asks its receiver to act.
const (
	EventTypeIncidentOpened   EventType = "io.paramedic.incident.opened.v1"
	EventTypeIncidentUpdated  EventType = "io.paramedic.incident.updated.v1"
	EventTypeIncidentResolved EventType = "io.paramedic.incident.resolved.v1"

	EventTypeRemediationProposed     EventType = "io.paramedic.remediation.proposed.v1"
	EventTypeRemediationSkipped      EventType = "io.paramedic.remediation.skipped.v1"
	EventTypeRemediationStarted      EventType = "io.paramedic.remediation.started.v1"
	EventTypeRemediationSucceeded    EventType = "io.paramedic.remediation.succeeded.v1"
	EventTypeRemediationFailed       EventType = "io.paramedic.remediation.failed.v1"
	EventTypeRemediationInconclusive EventType = "io.paramedic.remediation.inconclusive.v1"
)
