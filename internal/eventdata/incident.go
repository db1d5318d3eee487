package eventdata

import (
	"time"

	"github.com/paramedic-otel/paramedic/semconv"
)

// Entity is something that can be abnormal, such as a service.
type Entity struct {
	Type semconv.EntityType `json:"type"`
	Name string             `json:"name"`
}

// Incident is an incident with all that is known of it, or with as much as fits.
type Incident struct {
	ID          string                 `json:"id"`
	Revision    int64                  `json:"revision"`
	Fingerprint string                 `json:"fingerprint,omitempty"`
	Status      semconv.IncidentStatus `json:"status"`
	Severity    semconv.Severity       `json:"severity"`
	Resolution  semconv.Resolution     `json:"resolution,omitempty"`
	StartedAt   *time.Time             `json:"started_at,omitempty"`
	DetectedAt  *time.Time             `json:"detected_at,omitempty"`
	ResolvedAt  *time.Time             `json:"resolved_at,omitempty"`
	Title       string                 `json:"title"`
	Causes      []Cause                `json:"causes"`
	EntryPoints []string               `json:"entry_points"`
	Impact      Impact                 `json:"impact"`
	// Graph holds the edges of the service graph around the incident, the most important first.
	Graph    []GraphEdge     `json:"graph,omitempty"`
	Timeline []TimelineEntry `json:"timeline"`
	Changes  []Change        `json:"changes"`
	// What follows tells of turns of its life that only some incidents take.
	Reopened     int64      `json:"reopened,omitempty"`
	MergedInto   string     `json:"merged_into,omitempty"`
	SplitFrom    string     `json:"split_from,omitempty"`
	UnknownSince *time.Time `json:"unknown_since,omitempty"`
	SilencedBy   string     `json:"silenced_by,omitempty"`
}

// Cause is a ranked candidate for the root cause; confidence and share are in [0, 1].
type Cause struct {
	Entity     Entity            `json:"entity"`
	Kind       semconv.CauseKind `json:"kind"`
	Confidence float64           `json:"confidence"`
	Share      float64           `json:"share"`
	Resource   map[string]string `json:"resource,omitempty"`
	Evidence   []Evidence        `json:"evidence"`
	// Change is what was changed of the entity, or of what it runs on, before the trouble.
	Change *Change `json:"change,omitempty"`
}

// Evidence is one observation that speaks for a cause; see [semconv.Evidence].
type Evidence struct {
	Signal    string     `json:"signal"`
	Onset     *time.Time `json:"onset,omitempty"`
	Deviation float64    `json:"deviation"`
	Score     float64    `json:"score"`
	Summary   string     `json:"summary"`
	// Kind is left out when nothing tells, Entity when it is that of the cause.
	Kind     semconv.CauseKind `json:"kind,omitempty"`
	Entity   *Entity           `json:"entity,omitempty"`
	TraceIDs []string          `json:"trace_ids,omitempty"`
}

// Impact is how far an incident reaches; see [semconv.Impact].
type Impact struct {
	Services     []string    `json:"services"`
	Ratio        float64     `json:"ratio"`
	Entities     int64       `json:"entities,omitempty"`
	FailureRatio float64     `json:"failure_ratio,omitempty"`
	Upstream     []string    `json:"upstream,omitempty"`
	Downstream   []string    `json:"downstream,omitempty"`
	Objectives   []Objective `json:"objectives,omitempty"`
}

// GraphEdge is an edge of the service graph near an incident; see [semconv.GraphEdge].
type GraphEdge struct {
	Client            string  `json:"client"`
	Server            string  `json:"server"`
	ConnectionType    string  `json:"connection_type,omitempty"`
	RequestsPerSecond float64 `json:"requests_per_second"`
	FailureRatio      float64 `json:"failure_ratio"`
	// MeanDuration is in seconds.
	MeanDuration float64 `json:"mean_duration_seconds"`
	Abnormal     bool    `json:"abnormal,omitempty"`
}

// Objective is a service level objective whose error budget burns.
type Objective struct {
	Objective      string  `json:"objective"`
	Service        string  `json:"service"`
	BurnRate       float64 `json:"burn_rate"`
	BudgetConsumed float64 `json:"budget_consumed"`
}

// TimelineEntry is something that happened during an incident.
type TimelineEntry struct {
	Time *time.Time `json:"time,omitempty"`
	Text string     `json:"text"`
}

// Change is something that was changed shortly before or during an incident.
type Change struct {
	Time    *time.Time `json:"time,omitempty"`
	Entity  Entity     `json:"entity"`
	Summary string     `json:"summary"`
	// Kind is left out when nothing tells.
	Kind string `json:"kind,omitempty"`
}

// Summary is what is kept of an incident to report on its actions later.
type Summary struct {
	ID          string                 `json:"id"`
	Fingerprint string                 `json:"fingerprint,omitempty"`
	Severity    semconv.Severity       `json:"severity"`
	Status      semconv.IncidentStatus `json:"status"`
	Resolution  semconv.Resolution     `json:"resolution,omitempty"`
	Revision    int64                  `json:"revision"`
	Title       string                 `json:"title"`
	Cause       *CauseSummary          `json:"cause,omitempty"`
}

// CauseSummary is the first cause of an incident.
type CauseSummary struct {
	Entity     Entity            `json:"entity"`
	Kind       semconv.CauseKind `json:"kind"`
	Confidence float64           `json:"confidence"`
}
