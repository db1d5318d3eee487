package incidentstore

import (
	"context"
	"errors"
	"time"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/semconv"
)

// The errors that a [Memory] gives. All others are of the database.
var (
	ErrNotFound = errors.New("not found")
	// ErrConflict says that somebody was faster: a token was used, a command was taken, a claim is held.
	ErrConflict = errors.New("conflict")
	// ErrFull says that a bound of the store is reached.
	ErrFull = errors.New("full")
	// ErrUnavailable says that the database cannot be reached or is busy: the same call may succeed later.
	ErrUnavailable = errors.New("unavailable")
	// ErrNewer says that the database was made by a newer program.
	ErrNewer = errors.New("the database is newer than this program")
	// ErrBadCursor says that a cursor is none of ours.
	ErrBadCursor = errors.New("the cursor is not one that a list returned")
)

// Memory is the store. All of it may be called at the same time, from several processes with PostgreSQL.
type Memory interface {
	Recorder
	Reader
	People
	Executors
}

// Recorder is what components write.
type Recorder interface {
	// Record stores all records in one transaction, or none. It returns once they would survive a loss of power. Records that are
	// there already change nothing, so it may be repeated after an error.
	Record(ctx context.Context, records []Record) error
}

// Page is a part of a list: at most Limit items, 1 to 1,000, after the place Cursor; "" is the beginning.
type Page struct {
	Limit  int
	Cursor string
}

// IncidentFilter selects incidents; what is zero selects all.
type IncidentFilter struct {
	Status      semconv.IncidentStatus
	Severity    semconv.Severity
	CauseKind   semconv.CauseKind
	Fingerprint string
	// Service is the name of the first cause, or of an affected service.
	Service string
	// Text must be in the title.
	Text string
	// Since and Until bound when it was detected.
	Since, Until time.Time
	// Acknowledged, if not nil, is whether it is.
	Acknowledged *bool
}

// IntentFilter selects intents; what is zero selects all.
type IntentFilter struct {
	Incident, Playbook, Outcome string
	// Awaiting selects those that wait for a person.
	Awaiting bool
}

// DeliveryFilter selects deliveries; what is zero selects all.
type DeliveryFilter struct {
	Incident, Destination string
	State                 DeliveryState
}

// Reader is what people read. Lists are newest first, and return the cursor of the next page, "" at the end.
type Reader interface {
	// Incidents are without the evidence of their causes, timeline, changes, intents and feedback.
	Incidents(ctx context.Context, f IncidentFilter, p Page) (found []Incident, next string, err error)
	// Incident returns one with its intents and feedback, or ErrNotFound.
	Incident(ctx context.Context, id string) (*Incident, error)
	// Timeline is oldest first.
	Timeline(ctx context.Context, id string, limit int) ([]TimelineEntry, error)
	// Similar returns at most limit other incidents that began before, the most alike first.
	Similar(ctx context.Context, id string, limit int) ([]Similar, error)
	// Verdicts counts what people think of the incidents that were detected from since on and before until.
	Verdicts(ctx context.Context, since, until time.Time) (map[FeedbackVerdict]int, error)
	Intents(ctx context.Context, f IntentFilter, p Page) (found []Intent, next string, err error)
	Intent(ctx context.Context, id string) (*Intent, error)
	Deliveries(ctx context.Context, f DeliveryFilter, p Page) (found []Delivery, next string, err error)
	// Audit returns records from a number on, oldest first. VerifyAudit checks the whole chain.
	Audit(ctx context.Context, from uint64, limit int) ([]auditchain.Record, error)
	VerifyAudit(ctx context.Context) (head auditchain.Anchor, records uint64, err error)
	// Changes returns the numbers of the changes after one, for live updates, and waits for the next one if there is none. Numbers
	// only grow. The first call, with after < 0, returns at once with the newest number.
	Changes(ctx context.Context, after int64, limit int) ([]Change, error)
}

// Change says that something in the store has changed.
type Change struct {
	Number int64     `json:"number"`
	At     time.Time `json:"at"`
	// Kind is incident, intent, delivery, silence, pause, command or executor; ID is what it is about.
	Kind     string `json:"kind"`
	ID       string `json:"id"`
	Incident string `json:"incident,omitempty"`
}

// ChangesLost is the kind of a change that stands for all up to its number, which are no longer kept: whoever follows must read anew.
const ChangesLost = "lost"

// People is what people write. Each is put into the audit, in the same transaction.
type People interface {
	Acknowledge(ctx context.Context, incident string, a Acknowledgment) error
	Unacknowledge(ctx context.Context, incident, by string, at time.Time) error
	GiveFeedback(ctx context.Context, incident string, f Feedback) error

	Silences(ctx context.Context, active bool, now time.Time) ([]Silence, error)
	AddSilence(ctx context.Context, s Silence) (Silence, error)
	EndSilence(ctx context.Context, id, by string, at time.Time) error

	// Paused returns nil when nobody has paused.
	Paused(ctx context.Context, now time.Time) (*Pause, error)
	SetPause(ctx context.Context, p Pause) error
	EndPause(ctx context.Context, by string, at time.Time) error

	// Submit puts a command into the mailbox; its ID, times and state are the store's. With a token that was used before it is
	// refused with ErrConflict: that is how a link works only once. ErrFull when too many wait.
	Submit(ctx context.Context, c Command, token string) (Command, error)
	Command(ctx context.Context, id string) (*Command, error)
	// NoteCall puts what a person did, or was refused, into the audit.
	NoteCall(ctx context.Context, at time.Time, e auditchain.Entry) error
}

// Executors is what executors use to agree.
type Executors interface {
	// Take hands the oldest pending commands to an executor, each to one only. One that does not answer within the lease may be
	// taken again.
	Take(ctx context.Context, executor string, limit int, lease time.Duration, now time.Time) ([]Command, error)
	// Answer ends a command that was taken by this executor; ErrConflict if it is no longer its.
	Answer(ctx context.Context, executor string, c Command) error
	Report(ctx context.Context, s ExecutorStatus) error
	Executors(ctx context.Context) ([]ExecutorStatus, error)
	// Lead tries to become or to remain the one leader of an election until the lease is over, by the clock of the database. It returns
	// who leads, and a fence that grows whenever the leader changes.
	Lead(ctx context.Context, election, candidate string, lease time.Duration) (leader string, fence int64, err error)
	// Resign ends one's leadership early.
	Resign(ctx context.Context, election, candidate string) error
	// Claim makes an action somebody's own, for ever: the first to claim a key gets it, with all its locks and within all its
	// limits, and gets it again when it asks again. See [Claim].
	Claim(ctx context.Context, c Claim) (ClaimOutcome, error)
	// Finish ends a claim's locks but keeps its key and its cost; Release undoes it as if it had never been.
	Finish(ctx context.Context, key, owner string) error
	Release(ctx context.Context, key, owner string) error
}

// Claim is what an executor wants to do, and the limits of the fleet.
type Claim struct {
	// Key is the idempotency key of the action: nobody else gets it again.
	Key, Owner string
	// Locks are what no two actions may hold at the same time; held until finished, or until the lease is over.
	Locks []string
	Lease time.Duration
	// Cooldown is how long after an action nobody acts on the same lock again.
	Cooldown time.Duration
	Class    string
	// Weight is how many pods or nodes are disturbed; at least 1 is counted.
	Weight int
	// Window is the time in which Total actions, PerClass of the claim's class, and MaxWeight of its weight are allowed. 0 allows
	// nothing.
	Window                     time.Duration
	Total, PerClass, MaxWeight int
}

// ClaimOutcome is what became of a claim.
type ClaimOutcome struct {
	Granted bool
	// Again says that it was the owner's already: the action may have begun.
	Again bool
	// Reason is held, cooldown, budget or done when it is not granted, and Detail says by whom.
	Reason, Detail string
	// Until is when it may be worth asking again; zero for never.
	Until time.Time
}
