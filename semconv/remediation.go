package semconv

// EventType is the CloudEvents type of an event that Paramedic sends to the outside world.
type EventType string

// The types of outbound events. Those of incidents carry the whole incident; those of remediations say what a playbook
// did, and of them only [EventTypeRemediationStarted] asks its receiver to act.
const (
	EventTypeIncidentOpened   EventType = "io.paramedic.incident.opened.v1"
	EventTypeIncidentUpdated  EventType = "io.paramedic.incident.updated.v1"
	EventTypeIncidentResolved EventType = "io.paramedic.incident.resolved.v1"
	// EventTypeIncidentAcknowledged says that a person has taken the incident on.
	EventTypeIncidentAcknowledged EventType = "io.paramedic.incident.acknowledged.v1"
	// EventTypeIncidentStorm stands for more news of incidents and remediations than a receiver is told one by one.
	EventTypeIncidentStorm EventType = "io.paramedic.incident.storm.v1"

	EventTypeRemediationProposed     EventType = "io.paramedic.remediation.proposed.v1"
	EventTypeRemediationSkipped      EventType = "io.paramedic.remediation.skipped.v1"
	EventTypeRemediationStarted      EventType = "io.paramedic.remediation.started.v1"
	EventTypeRemediationSucceeded    EventType = "io.paramedic.remediation.succeeded.v1"
	EventTypeRemediationFailed       EventType = "io.paramedic.remediation.failed.v1"
	EventTypeRemediationInconclusive EventType = "io.paramedic.remediation.inconclusive.v1"

	// Suggested tells people what they could do, ApprovalRequested asks them for their consent, which Denied and Expired
	// end; RolledBack says that what did not help was taken back, and Escalated that a person is needed.
	EventTypeRemediationSuggested         EventType = "io.paramedic.remediation.suggested.v1"
	EventTypeRemediationApprovalRequested EventType = "io.paramedic.remediation.approval_requested.v1"
	EventTypeRemediationDenied            EventType = "io.paramedic.remediation.denied.v1"
	EventTypeRemediationExpired           EventType = "io.paramedic.remediation.expired.v1"
	EventTypeRemediationRolledBack        EventType = "io.paramedic.remediation.rolled_back.v1"
	EventTypeRemediationEscalated         EventType = "io.paramedic.remediation.escalated.v1"

	// These are news of what holds automation back, or no longer does.
	EventTypeRemediationBreakerOpened EventType = "io.paramedic.remediation.breaker_opened.v1"
	EventTypeRemediationBreakerClosed EventType = "io.paramedic.remediation.breaker_closed.v1"
	EventTypeRemediationStormBegan    EventType = "io.paramedic.remediation.storm_began.v1"
	EventTypeRemediationStormEnded    EventType = "io.paramedic.remediation.storm_ended.v1"
	EventTypeRemediationPaused        EventType = "io.paramedic.remediation.paused.v1"
	EventTypeRemediationResumed       EventType = "io.paramedic.remediation.resumed.v1"

	// These are news of destinations, for the others: one did not take an event, or takes nothing any more.
	EventTypeDeliveryDeadLettered        EventType = "io.paramedic.delivery.dead_lettered.v1"
	EventTypeDeliveryDestinationDisabled EventType = "io.paramedic.delivery.destination_disabled.v1"
)
