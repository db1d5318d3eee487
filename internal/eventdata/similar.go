package eventdata

import (
	"time"

	"github.com/paramedic-otel/paramedic/semconv"
)

// Similar is a past incident that is like the one that an event is about, with what was done and whether it helped.
type Similar struct {
	ID string `json:"id"`
	// Score is in [0, 1], 1 for the same trouble; Why says what is alike.
	Score      float64            `json:"score"`
	Why        []string           `json:"why,omitempty"`
	Title      string             `json:"title"`
	Severity   semconv.Severity   `json:"severity"`
	StartedAt  *time.Time         `json:"started_at,omitempty"`
	ResolvedAt *time.Time         `json:"resolved_at,omitempty"`
	Resolution semconv.Resolution `json:"resolution,omitempty"`
	Cause      *CauseSummary      `json:"cause,omitempty"`
	Actions    []SimilarAction    `json:"actions,omitempty"`
	// Feedback is what people thought of the diagnosis: right_cause, wrong_cause or false_alarm.
	Feedback []string `json:"feedback,omitempty"`
}

// SimilarAction is what was done in a past incident.
type SimilarAction struct {
	Playbook string `json:"playbook"`
	Action   string `json:"action"`
	Target   string `json:"target,omitempty"`
	Outcome  string `json:"outcome"`
}
