package semconv

import "time"

// EventName is the EventName field of a log record that carries an incident event.
type EventName string

// The events of an incident's life, in order.
const (
	EventIncidentOpened   EventName = "incident.opened"
	EventIncidentUpdated  EventName = "incident.updated"
	EventIncidentResolved EventName = "incident.resolved"
)

// EventDeploymentChanged is the EventName of a log record that reports a change of a workload: a release, a
// configuration, a restart or a scaling. Its resource is the changed entity.
const EventDeploymentChanged EventName = "deployment.changed"

// EventAlertRaised is the EventName of a log record by which somebody else, a person or another system, says that something
// is wrong now. The incident connector answers it with the causes that it sees, however weak the symptoms are.
const EventAlertRaised EventName = "alert.raised"

// AttrDeploymentChangeKind says on a deployment.changed record what was done. A restart and a scaling change nothing that
// could be the cause of anything; any other value, or none, may.
const AttrDeploymentChangeKind = "deployment.change.kind"

// Values of [AttrDeploymentChangeKind] and of [Change.Kind]. The first two are treatments.
const (
	ChangeRestart = "restart"
	ChangeScaling = "scaling"
	// ChangeVersion is another version of the program, ChangeImage another image of a container, ChangeConfig another
	// configuration, ChangeRollback a way back to what there was before, and ChangeRemoval the end of a workload.
	ChangeVersion  = "version"
	ChangeImage    = "image"
	ChangeConfig   = "config"
	ChangeRollback = "rollback"
	ChangeRemoval  = "removal"
)

// Attributes of incident events. They are flat so that OTTL conditions and routing can use them.
const (
	AttrIncidentID          = "incident.id"
	AttrIncidentRevision    = "incident.revision"
	AttrIncidentFingerprint = "incident.fingerprint"
	AttrIncidentStatus      = "incident.status"
	AttrIncidentSeverity    = "incident.severity"
	// AttrIncidentResolution is set on resolved incidents; see the Resolution constants.
	AttrIncidentResolution      = "incident.resolution"
	AttrIncidentStartedAt       = "incident.started_at"
	AttrIncidentDetectedAt      = "incident.detected_at"
	AttrIncidentResolvedAt      = "incident.resolved_at"
	AttrIncidentCauseEntityType = "incident.cause.entity.type"
	AttrIncidentCauseEntityName = "incident.cause.entity.name"
	AttrIncidentCauseKind       = "incident.cause.kind"
	AttrIncidentCauseConfidence = "incident.cause.confidence"
	AttrIncidentEntryPoints     = "incident.entry_points"
	AttrIncidentImpactRatio     = "incident.impact.ratio"
)

// IncidentStatus is the value of [AttrIncidentStatus].
type IncidentStatus string

// The states of an incident.
const (
	StatusOpen     IncidentStatus = "open"
	StatusResolved IncidentStatus = "resolved"
)

// Severity is the value of [AttrIncidentSeverity].
type Severity string

// The severities, gravest first.
const (
	SeverityCritical Severity = "critical"
	SeverityMajor    Severity = "major"
	SeverityMinor    Severity = "minor"
)

// Resolution is the value of [AttrIncidentResolution]: what is known about a resolved incident's end.
type Resolution string

// The ways in which an incident ends.
const (
	// ResolutionRecovered means that the symptoms were seen to be gone.
	ResolutionRecovered Resolution = "recovered"
	// ResolutionNoData means that the telemetry which showed the symptoms stopped: nobody knows whether they are gone.
	ResolutionNoData Resolution = "no_data"
	// ResolutionMerged means that it turned out to be a part of another incident, which goes on.
	ResolutionMerged Resolution = "merged"
)

// CauseKind is the value of [AttrIncidentCauseKind]: the sort of trouble that a cause is in.
type CauseKind string

// The kinds of causes.
const (
	CauseLatency CauseKind = "latency"
	CauseErrors  CauseKind = "errors"
	CauseTraffic CauseKind = "traffic"
	CauseCPU     CauseKind = "cpu"
	CauseMemory  CauseKind = "memory"
	CauseDisk    CauseKind = "disk"
	CauseNetwork CauseKind = "network"
	CauseCrash   CauseKind = "crash"
	CauseChange  CauseKind = "change"
	// CauseSaturation is a limited resource of its own that runs out: a pool, a queue, threads, file descriptors.
	CauseSaturation CauseKind = "saturation"
	CauseUnknown    CauseKind = "unknown"
)

// CauseKinds are all kinds of causes.
var CauseKinds = []CauseKind{
	CauseLatency, CauseErrors, CauseTraffic, CauseCPU, CauseMemory, CauseDisk, CauseNetwork, CauseCrash, CauseChange,
	CauseSaturation, CauseUnknown,
}

// IncidentEvent is one event in the life of an incident: its name, when it happened in event time, and the incident as
// it stood then.
type IncidentEvent struct {
	Name     EventName
	Time     time.Time
	Incident Incident
}

// Incident is a group of anomalies that belong together, and what is known about their cause.
type Incident struct {
	// ID is a UUID that stays the same for the incident's whole life.
	ID string
	// Revision counts the incident's events from 1.
	Revision int64
	// Fingerprint is equal for incidents with the same cause entity and kind.
	Fingerprint string
	Status      IncidentStatus
	Severity    Severity
	// Resolution is empty while the incident is open.
	Resolution Resolution
	// StartedAt is the onset of the first anomaly, DetectedAt the time of the evidence that opened the incident, and
	// ResolvedAt, zero while it is open, the end of the last anomaly. All are event time.
	StartedAt, DetectedAt, ResolvedAt time.Time
	Title                             string
	// Causes are ranked, the likeliest first. It is empty when no cause can be named.
	Causes []Cause
	// EntryPoints are the services at which users feel the incident.
	EntryPoints []string
	Impact      Impact
	// Graph holds the edges of the service graph around the causes and the symptoms, the most important first, at most
	// [MaxGraphEdges].
	Graph    []GraphEdge
	Timeline []TimelineEntry
	Changes  []Change
	// Reopened counts how often the incident went on after it was held to be resolved.
	Reopened int64
	// MergedInto is the ID of the incident that goes on with this one's symptoms, SplitFrom that of the incident that
	// they were parted from. Both are usually empty.
	MergedInto, SplitFrom string
	// UnknownSince is since when, in event time, no telemetry says whether the symptoms are still there; zero while some
	// does.
	UnknownSince time.Time
	// SilencedBy names the silence that kept the incident from being told of when it was found; empty if none did.
	SilencedBy string
	// Decisions say why the incident is what it is, for who asks for that detail.
	Decisions []Decision
}

// Cause is a ranked candidate for an incident's root cause.
type Cause struct {
	Entity Entity
	Kind   CauseKind
	// Confidence is in [0, 1].
	Confidence float64
	// Share is the part of the incident's excess impact, in [0, 1], that this entity owns after what its callees
	// explain has been taken away.
	Share float64
	// Resource holds the resource attributes that an action needs to find its target.
	Resource map[string]string
	Evidence []Evidence
	// Change is the change of the entity, or of what it runs on, that came before the trouble; nil when none is known.
	Change *Change
}

// Evidence is one observation that speaks for a cause.
type Evidence struct {
	// Signal names what was observed: a metric, an edge of the service graph or a log template.
	Signal string
	// Onset is when the observation began to be abnormal.
	Onset time.Time
	// Deviation is the signed distance from normal in units of normal spread.
	Deviation float64
	// Score is in [0, 1]: the confidence that the observation is abnormal.
	Score float64
	// Summary says it in one sentence for a human.
	Summary string
	// Kind is the sort of trouble that the observation shows; it is empty when nothing tells.
	Kind CauseKind
	// Entity is what was observed, where that is not the cause itself but what it runs on, such as one of its pods.
	Entity Entity
	// TraceIDs are examples: traces in which it shows, in lower-case hexadecimal digits, at most [MaxTraceIDs].
	TraceIDs []string
}

// MaxTraceIDs is how many examples an [Evidence] has at most.
const MaxTraceIDs = 8

// Impact is how far an incident reaches.
type Impact struct {
	// Services are the affected services, sorted by name.
	Services []string
	// Ratio is the share, in [0, 1], of the known services that are affected.
	Ratio float64
	// Entities is how many services, pods, nodes, databases and others show symptoms.
	Entities int64
	// FailureRatio is the share, in [0, 1], of failing requests at the entry point where most fail.
	FailureRatio float64
	// Upstream are the services that feel the first cause because they call it, directly or not, and Downstream those
	// that it calls and that are abnormal as well. Both are sorted by name.
	Upstream, Downstream []string
	// Objectives are the objectives whose error budget burns, sorted by name and service.
	Objectives []ObjectiveBurn
}

// TimelineEntry is something that happened during an incident.
type TimelineEntry struct {
	Time time.Time
	Text string
}

// Change is something that was changed shortly before or during an incident.
type Change struct {
	Time    time.Time
	Entity  Entity
	Summary string
	// Kind is what was changed, one of the Change constants; it is empty when nothing tells.
	Kind string
}

// Cause returns the top-ranked cause, or a cause of kind unknown without an entity when none could be named.
func (i *Incident) Cause() Cause {
	if len(i.Causes) == 0 {
		return Cause{Kind: CauseUnknown}
	}
	return i.Causes[0]
}
