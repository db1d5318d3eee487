// Package incidentstore is the durable memory behind incidents and actions, in SQLite or PostgreSQL.
//
// The remediation exporter writes what has happened, as records that may be repeated; people read it, and put what they want
// (an approval, a pause, a replay) into a durable mailbox, from which the one executor that leads takes it. So it does not matter
// at which of several gateways a person knocks, and no decision is made in two places: the executor's ledger stays the only
// authority on what is done.
package incidentstore

import (
	"encoding/json"
	"time"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Record is one thing that has happened. Exactly one of its pointers is set.
type Record struct {
	// ID is the same whenever the same thing is recorded: a record that is there already changes nothing.
	ID string    `json:"id"`
	At time.Time `json:"at"`

	Incident *IncidentRecord   `json:"incident,omitempty"`
	Intent   *IntentRecord     `json:"intent,omitempty"`
	Delivery *DeliveryRecord   `json:"delivery,omitempty"`
	Audit    *auditchain.Entry `json:"audit,omitempty"`
}

// IncidentRecord is an event in the life of an incident, with the incident as it stood then.
type IncidentRecord struct {
	// Event is opened, updated or resolved.
	Event    semconv.EventName  `json:"event"`
	Incident eventdata.Incident `json:"incident"`
}

// IntentRecord is where a step of a playbook stands. An older one (by Remediation.Revision, then At) never replaces a newer one.
type IntentRecord struct {
	Incident    string                `json:"incident"`
	Remediation eventdata.Remediation `json:"remediation"`
	Approvals   []Approval            `json:"approvals,omitempty"`
	// Needed is how many people must approve; 0 when nobody has to.
	Needed int `json:"needed,omitempty"`
	// Ended says that the outcome is the last word.
	Ended bool `json:"ended,omitempty"`
	// Aside says that this executor left the step to another one: what it says stands until one that acted says something.
	Aside bool `json:"aside,omitempty"`
}

// Approval is a person's word on an intent.
type Approval struct {
	By      string                  `json:"by"`
	Verdict semconv.ApprovalVerdict `json:"verdict"`
	At      time.Time               `json:"at"`
	Comment string                  `json:"comment,omitempty"`
	// Source is where it came from, such as api, link or log.
	Source string `json:"source,omitempty"`
}

// DeliveryState is where an event for a destination stands.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryQueued    DeliveryState = "queued"
	DeliveryDelivered DeliveryState = "delivered"
	// DeliveryDead was given up and is kept to be replayed; DeliveryDropped was given up for good.
	DeliveryDead    DeliveryState = "dead"
	DeliveryDropped DeliveryState = "dropped"
)

// DeliveryRecord is where an event for a destination stands.
type DeliveryRecord struct {
	// ID is the event's, the same for every attempt.
	ID          string            `json:"id"`
	Destination string            `json:"destination"`
	Incident    string            `json:"incident,omitempty"`
	Type        semconv.EventType `json:"type"`
	State       DeliveryState     `json:"state"`
	Reason      string            `json:"reason,omitempty"`
	Detail      string            `json:"detail,omitempty"`
}

// Incident is an incident with what people and automation have made of it.
type Incident struct {
	eventdata.Incident
	UpdatedAt time.Time `json:"updated_at"`
	// Occurrence counts from 1 how often an incident of this fingerprint was opened, up to this one.
	Occurrence     int             `json:"occurrence"`
	Acknowledgment *Acknowledgment `json:"acknowledgment,omitempty"`
	Feedback       []Feedback      `json:"feedback,omitempty"`
	Intents        []Intent        `json:"intents,omitempty"`
}

// Acknowledgment says who has taken an incident on.
type Acknowledgment struct {
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Comment string    `json:"comment,omitempty"`
}

// FeedbackVerdict is what a person thinks of a diagnosis.
type FeedbackVerdict string

// The verdicts.
const (
	FeedbackRightCause FeedbackVerdict = "right_cause"
	FeedbackWrongCause FeedbackVerdict = "wrong_cause"
	FeedbackFalseAlarm FeedbackVerdict = "false_alarm"
)

// Feedback is what a person thinks of a diagnosis, one for each person and incident: the latest counts.
type Feedback struct {
	By      string          `json:"by"`
	At      time.Time       `json:"at"`
	Verdict FeedbackVerdict `json:"verdict"`
	// Cause is the right one, where the diagnosis was wrong and the person knows.
	Cause     *eventdata.Entity `json:"cause,omitempty"`
	CauseKind semconv.CauseKind `json:"cause_kind,omitempty"`
	Comment   string            `json:"comment,omitempty"`
}

// Intent is a step of a playbook as it is stored.
type Intent struct {
	IntentRecord
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Delivery is a delivery as it is stored.
type Delivery struct {
	DeliveryRecord
	QueuedAt  time.Time `json:"queued_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// TimelineEntry is one thing in the life of an incident, wherever it came from.
type TimelineEntry struct {
	At time.Time `json:"at"`
	// Kind is what it is about: incident, evidence, change, intent, approval, delivery, acknowledgment, feedback.
	Kind  string `json:"kind"`
	Actor string `json:"actor,omitempty"`
	Text  string `json:"text"`
	// Ref is the ID of what it is about, such as an intent.
	Ref string `json:"ref,omitempty"`
}

// Similar is a past incident that is like another one, with what was done and whether it helped.
type Similar struct {
	ID string `json:"id"`
	// Score is in [0, 1], 1 for the same trouble; Why says what is alike.
	Score      float64            `json:"score"`
	Why        []string           `json:"why"`
	Title      string             `json:"title"`
	StartedAt  *time.Time         `json:"started_at,omitempty"`
	ResolvedAt *time.Time         `json:"resolved_at,omitempty"`
	Cause      *eventdata.Cause   `json:"cause,omitempty"`
	Actions    []SimilarAction    `json:"actions"`
	Feedback   []FeedbackVerdict  `json:"feedback,omitempty"`
	Resolution semconv.Resolution `json:"resolution,omitempty"`
	Severity   semconv.Severity   `json:"severity"`
}

// SimilarAction is what was done in a past incident.
type SimilarAction struct {
	Playbook string `json:"playbook"`
	Action   string `json:"action"`
	Target   string `json:"target,omitempty"`
	Outcome  string `json:"outcome"`
}

// SilenceKind is what a silence keeps from happening.
type SilenceKind string

// The kinds of silences.
const (
	// SilenceNotifications keeps incidents that match from being told of.
	SilenceNotifications SilenceKind = "silence"
	// SilenceMaintenance does that, and nothing acts on them either.
	SilenceMaintenance SilenceKind = "maintenance"
)

// Silence says that incidents which match are expected for a time. An incident matches when all that is set does.
type Silence struct {
	ID    string      `json:"id"`
	Kind  SilenceKind `json:"kind"`
	Start time.Time   `json:"start"`
	End   time.Time   `json:"end"`
	By    string      `json:"by"`
	// Comment says why.
	Comment string `json:"comment"`
	// Services are globs of the names of the first cause or, with it, of the services that are affected.
	Services   []string            `json:"services,omitempty"`
	CauseKinds []semconv.CauseKind `json:"cause_kinds,omitempty"`
	// MaxSeverity lets graver incidents through; empty holds all back.
	MaxSeverity semconv.Severity `json:"max_severity,omitempty"`
	CreatedAt   time.Time        `json:"created_at"`
	// EndedBy is who ended it early.
	EndedBy string `json:"ended_by,omitempty"`
}

// Pause is the kill switch that people throw by the store: nothing acts at any replica while it is there.
type Pause struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	// Until ends it by itself; zero for never.
	Until time.Time `json:"until,omitzero"`
}

// CommandKind is what a person wants of the executor.
type CommandKind string

// The kinds of commands, and what their arguments (JSON) are.
const (
	// CommandDecide is a word on an intent: [DecideArguments].
	CommandDecide CommandKind = "decide"
	// CommandUndo takes an intent back: [UndoArguments].
	CommandUndo CommandKind = "undo"
	// CommandResetBreaker closes a breaker: [ResetBreakerArguments].
	CommandResetBreaker CommandKind = "reset_breaker"
	// CommandReplay delivers dead letters again: [ReplayArguments].
	CommandReplay CommandKind = "replay"
)

// DecideArguments are those of [CommandDecide].
type DecideArguments struct {
	Intent  string                  `json:"intent"`
	Verdict semconv.ApprovalVerdict `json:"verdict"`
	// PlanDigest is what the person was asked, empty when that is not said.
	PlanDigest string `json:"plan_digest,omitempty"`
	Comment    string `json:"comment,omitempty"`
	// Source is where the word came from: api or link.
	Source string `json:"source"`
}

// UndoArguments are those of [CommandUndo].
type UndoArguments struct {
	Intent string `json:"intent"`
}

// ResetBreakerArguments are those of [CommandResetBreaker].
type ResetBreakerArguments struct {
	Guard string `json:"guard"`
	Key   string `json:"key"`
}

// ReplayArguments are those of [CommandReplay]; without IDs, all dead letters of the destination, or of all.
type ReplayArguments struct {
	IDs         []string `json:"ids,omitempty"`
	Destination string   `json:"destination,omitempty"`
}

// CommandState is where a command stands.
type CommandState string

// The states of a command.
const (
	CommandPending CommandState = "pending"
	CommandTaken   CommandState = "taken"
	CommandDone    CommandState = "done"
	CommandRefused CommandState = "refused"
	// CommandExpired was taken by nobody in its time.
	CommandExpired CommandState = "expired"
)

// Command is what a person wants of the executor that leads, with its answer.
type Command struct {
	ID        string          `json:"id"`
	Kind      CommandKind     `json:"kind"`
	Arguments json.RawMessage `json:"arguments"`
	By        string          `json:"by"`
	CreatedAt time.Time       `json:"created_at"`
	ExpiresAt time.Time       `json:"expires_at"`
	State     CommandState    `json:"state"`
	TakenBy   string          `json:"taken_by,omitempty"`
	// Status is that of HTTP with which the executor has answered, Code and Message say why it refused, Result is what it did.
	Status  int             `json:"status,omitempty"`
	Code    string          `json:"code,omitempty"`
	Message string          `json:"message,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
}

// ExecutorStatus is what an executor tells of itself from time to time.
type ExecutorStatus struct {
	// Name is unique among the replicas.
	Name  string    `json:"name"`
	At    time.Time `json:"at"`
	Leads bool      `json:"leads"`
	// Details are as the executor's own API tells them.
	Status   json.RawMessage `json:"status,omitempty"`
	Breakers json.RawMessage `json:"breakers,omitempty"`
	Budget   json.RawMessage `json:"budget,omitempty"`
	Outcomes json.RawMessage `json:"outcomes,omitempty"`
}
