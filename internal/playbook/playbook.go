// Package playbook decides whether a remediation may run, and what became of it.
//
// A [Ledger] remembers the incidents it was told of and, for each playbook that had something to say about one, a
// [Play]: proposed (observe mode), or started and then accepted by the executor and verified by the incident's own
// end. It applies the guards of section 1 of the safety design: at most one play of a playbook per incident, one action
// in flight per incident and per target, a cooldown per playbook and target, a budget over all playbooks, and an
// outcome of three values of which the third, inconclusive, ends automation for the incident.
//
// Wall time rules the guards, since actions happen in the real world whatever the timestamps in the data say. Event
// time rules the verification, so that a replay comes to the same verdict; wall time only ends it when data stop.
// Every method takes both as arguments. A Ledger is not safe for concurrent use.
package playbook

import "time"

// Mode is what a playbook may do.
type Mode string

// The modes, from the least to the most trusted.
const (
	// Observe plans and reports, and never acts.
	Observe Mode = "observe"
	// Auto acts without asking.
	Auto Mode = "auto"
)

// Outcome is what has become of a play.
type Outcome string

// The outcomes. Pending, Dispatched and Accepted are on the way; the others are final, but a skipped play may be
// decided again on the incident's next event.
const (
	Skipped  Outcome = "skipped"
	Proposed Outcome = "proposed"
	// Pending is decided and not yet handed to the executor.
	Pending Outcome = "pending"
	// Dispatched means that an attempt to hand it over has begun: from here on it may have been carried out.
	Dispatched Outcome = "dispatched"
	// Accepted means that the executor took it; the incident is watched.
	Accepted     Outcome = "accepted"
	Succeeded    Outcome = "succeeded"
	Failed       Outcome = "failed"
	Inconclusive Outcome = "inconclusive"
)

// Reason says why a play was skipped or how it ended.
type Reason string

// The reasons for skipping.
const (
	ReasonRevision     Reason = "revision"
	ReasonNoTarget     Reason = "no_target"
	ReasonConfidence   Reason = "confidence"
	ReasonParameter    Reason = "parameter"
	ReasonInconclusive Reason = "inconclusive"
	ReasonInFlight     Reason = "in_flight"
	ReasonTargetBusy   Reason = "target_busy"
	ReasonCooldown     Reason = "cooldown"
	ReasonBudget       Reason = "budget"
	ReasonLimit        Reason = "limit"
	ReasonEndpoint     Reason = "endpoint"
	ReasonStale        Reason = "stale"
)

// The reasons for an outcome.
const (
	ReasonRecovered    Reason = "recovered"
	ReasonNotRecovered Reason = "not_recovered"
	ReasonNoData       Reason = "no_data"
	// ReasonReturned is that of an action after which the incident was resolved, but came back under the same ID, and
	// ReasonMerged that of one whose incident goes on as a part of another.
	ReasonReturned    Reason = "returned"
	ReasonMerged      Reason = "merged"
	ReasonRefused     Reason = "refused"
	ReasonUndelivered Reason = "undelivered"
)

// Rule is the part of a playbook that guards it.
type Rule struct {
	Name          string
	Mode          Mode
	MinConfidence float64
	// MaxRevision is the last revision of an incident on which the playbook may act; 0 means any.
	MaxRevision int64
	Cooldown    time.Duration
	// Within is how long the executor has to take the action, and then how long the incident has to recover.
	Within time.Duration
}

// Observation is one event of an incident as a playbook sees it.
type Observation struct {
	Incident string
	Revision int64
	// At is the event's own time.
	At time.Time
	// Target names what would be acted on; empty when no cause is known.
	Target     string
	Confidence float64
	// Obstacle is set when the caller knows that the action cannot be carried out: a parameter without a value, or
	// an executor that is gone.
	Obstacle Reason
}

// Play is one playbook's dealing with one incident.
type Play struct {
	Outcome Outcome `json:"outcome"`
	Reason  Reason  `json:"reason,omitempty"`
	Target  string  `json:"target,omitempty"`
	// Revision is that of the event on which it was decided.
	Revision int64 `json:"revision"`
	// Decided and Deadline are wall time, At and EventDeadline event time.
	Decided       time.Time     `json:"decided"`
	Deadline      time.Time     `json:"deadline"`
	At            time.Time     `json:"at"`
	EventDeadline time.Time     `json:"event_deadline"`
	Within        time.Duration `json:"within"`
}

// Change is a play that has come to an end, and whose.
type Change struct {
	Incident, Playbook string
	Play               Play
}

// inFlight reports whether the play may still lead to a change of the world.
func (p *Play) inFlight() bool {
	return p.Outcome == Pending || p.Outcome == Dispatched || p.Outcome == Accepted
}

// SkipReasons are all reasons for which a play can be skipped.
var SkipReasons = []Reason{
	ReasonRevision, ReasonNoTarget, ReasonConfidence, ReasonParameter, ReasonInconclusive, ReasonInFlight,
	ReasonTargetBusy, ReasonCooldown, ReasonBudget, ReasonLimit, ReasonEndpoint, ReasonStale,
}
