// Package playbook decides whether a remediation may run, and what became of it.
//
// A [Ledger] remembers the incidents it was told of and, for each playbook that had something to say about one, a
// [Play]: the steps that the playbook takes for that incident, one at a time. Each step is an intent that is recorded
// before anything happens, goes through the guards twice (when it is decided, on what the incident says, and when it is
// admitted, on what the executor found in the world), is carried out, verified, and followed by the next step, by taking
// back what was done, or by a human. The guards are those of section 1 of the safety design; guards.go lists them.
//
// Wall time rules the guards, since actions happen in the real world whatever the timestamps in the data say. Event
// time rules the verification by the incident's own end, so that a replay comes to the same verdict; wall time only ends
// it when data stop. Every method takes both as arguments. A Ledger is not safe for concurrent use.
package playbook

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// Mode is what a playbook may do.
type Mode string

// The modes, from the least to the most trusted.
const (
	// Observe plans and records, and never acts.
	Observe Mode = "observe"
	// Suggest plans and tells people what they could do, and never acts.
	Suggest Mode = "suggest"
	// Approve acts once a person has approved.
	Approve Mode = "approve"
	// Auto acts without asking.
	Auto Mode = "auto"
)

// Modes are all modes, from the least to the most trusted.
var Modes = []Mode{Observe, Suggest, Approve, Auto}

// acts reports whether the mode may lead to a change of the world.
func (m Mode) acts() bool { return m == Approve || m == Auto }

// Outcome is what has become of a play.
type Outcome string

// The outcomes. The first group is final, but a skipped play may be decided again on the incident's next event; the
// second is on the way; the third is final.
const (
	Skipped   Outcome = "skipped"
	Proposed  Outcome = "proposed"
	Suggested Outcome = "suggested"

	// Pending is decided and not yet handed to the executor.
	Pending Outcome = "pending"
	// Awaiting waits for a person's approval.
	Awaiting Outcome = "awaiting_approval"
	// Dispatched means that an attempt to carry it out has begun: from here on it may have been carried out.
	Dispatched Outcome = "dispatched"
	// Accepted means that the executor carried it out; whether it helped is watched.
	Accepted Outcome = "accepted"
	// Undoing means that what was done is being taken back.
	Undoing Outcome = "undoing"

	Succeeded    Outcome = "succeeded"
	Failed       Outcome = "failed"
	Inconclusive Outcome = "inconclusive"
	// RolledBack is a failure after which everything that was done was taken back.
	RolledBack Outcome = "rolled_back"
	Denied     Outcome = "denied"
	Expired    Outcome = "expired"
)

// Outcomes returns all outcomes.
func Outcomes() []Outcome { return slices.Clone(allOutcomes) }

// allOutcomes are all outcomes.
var allOutcomes = []Outcome{
	Skipped, Proposed, Suggested, Pending, Awaiting, Dispatched, Accepted, Undoing, Succeeded, Failed, Inconclusive, RolledBack,
	Denied, Expired,
}

// OnFailure is what follows a step that was refused, or did not help.
type OnFailure string

// What may follow. When there is no next step, Next is as Escalate.
const (
	Next     OnFailure = "next"
	RollBack OnFailure = "rollback"
	Escalate OnFailure = "escalate"
)

// Rule is the part of a playbook that guards it.
type Rule struct {
	Name string
	// Version is a digest of the playbook's configuration: a play goes on only with the version it began with.
	Version string
	Mode    Mode
	// TierModes overrules Mode for targets of a criticality, or of an unknown one.
	TierModes map[string]Mode
	// Tiers are the criticalities on which the playbook may act at all; empty means any.
	Tiers         []string
	MinConfidence float64
	// MaxRevision is the last revision of an incident on which the playbook may act; 0 means any.
	MaxRevision int64
	Cooldown    time.Duration
	// Witnesses is how many independent sources of evidence a destructive step needs.
	Witnesses int
	// Approvers is how many different people must approve, and ApproveWithin how long they have.
	Approvers     int
	ApproveWithin time.Duration
	// Steps are taken in order; there is at least one.
	Steps []Step
}

// Step is one action of a playbook.
type Step struct {
	Name string
	// Class is what budgets count together.
	Class string
	// Planned says that the executor first looks at the world and returns a [Plan], on which the guards decide again.
	Planned     bool
	Destructive bool
	// Continue goes on to the next step as soon as this one is carried out, without verifying.
	Continue  bool
	OnFailure OnFailure
	// Within is how long the executor has to carry the step out, and then how long the incident has to recover.
	Within time.Duration
	// Assessed says that independent signals must agree before the step counts as a success; see [Ledger.Assess].
	Assessed bool
}

// UnknownTier is what [Rule.TierModes] calls a criticality of which nothing tells.
const UnknownTier = "unknown"

// mode is the mode for a target of the given criticality, as long as a plan may yet tell it.
func (r *Rule) mode(criticality string) Mode {
	if m, ok := r.TierModes[criticality]; ok && criticality != UnknownTier {
		return m
	}
	return r.Mode
}

// lastMode is the mode when nothing can tell the criticality any more.
func (r *Rule) lastMode(criticality string) Mode {
	if m, ok := r.TierModes[UnknownTier]; ok && !slices.Contains(tiers, criticality) {
		return m
	}
	return r.mode(criticality)
}

// Observation is one event of an incident as a playbook sees it.
type Observation struct {
	Incident string `json:"incident"`
	Revision int64  `json:"revision"`
	// At is the event's own time.
	At time.Time `json:"at"`
	// Told is the time of the event where At was moved on, since the decision was deferred.
	Told time.Time `json:"told,omitzero"`
	// Target names what would be acted on; empty when no cause is known.
	Target     string  `json:"target"`
	CauseKind  string  `json:"cause_kind,omitempty"`
	Confidence float64 `json:"confidence"`
	// Criticality is the tier of the target: critical, high, medium or low; empty when nothing tells.
	Criticality string `json:"criticality,omitempty"`
	// Witnesses is how many independent sources of evidence speak for the cause; the executor may add itself.
	Witnesses int `json:"witnesses,omitempty"`
	// Signals is how many further sources, which the executor watches itself, show failure now.
	Signals int `json:"signals,omitempty"`
	// Obstacle is set when the caller knows that the action cannot be carried out: a parameter without a value, or
	// an executor that is gone. ObstacleDetail says it to a person.
	Obstacle       Reason `json:"obstacle,omitempty"`
	ObstacleDetail string `json:"obstacle_detail,omitempty"`
	// Caution, if it is not empty, says why a playbook that need not ask people asks them this time.
	Caution string `json:"caution,omitempty"`
	// Orders are kept with the play: what each step asks for, in the caller's encoding.
	Orders []json.RawMessage `json:"orders,omitempty"`
}

// Plan is what the executor found that carrying out a step would do.
type Plan struct {
	// Target is the resolved target for people, such as Deployment shop/payment, and Locks are the names of everything
	// that nobody else may act on meanwhile.
	Target string   `json:"target"`
	Locks  []string `json:"locks"`
	Class  string   `json:"class"`
	// Namespace is empty for what belongs to none.
	Namespace string `json:"namespace,omitempty"`
	// Weight, Population and Healthy count what is disturbed, what could be, and what of it is well.
	Weight      int    `json:"weight"`
	Population  int    `json:"population"`
	Healthy     int    `json:"healthy"`
	Destructive bool   `json:"destructive"`
	Undoable    bool   `json:"undoable"`
	Criticality string `json:"criticality,omitempty"`
	Summary     string `json:"summary"`
	// Effect tells plans apart that act on the same target and lead to something else, such as another revision.
	Effect string `json:"effect,omitempty"`
	// Witness is set when the executor itself sees the target in trouble.
	Witness bool `json:"witness,omitempty"`
	// Signals is how many sources beyond the incident's, which the executor watches itself, show failure now.
	Signals int `json:"signals,omitempty"`
	// NoOp is set when the world already is as the step wants it.
	NoOp bool `json:"no_op,omitempty"`
	// Body is the executor's own.
	Body json.RawMessage `json:"body,omitempty"`
}

// Approval is one person's word on an intent.
type Approval struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// Done is a step that was carried out before the current one.
type Done struct {
	Step    int             `json:"step"`
	Target  string          `json:"target"`
	Locks   []string        `json:"locks,omitempty"`
	Receipt json.RawMessage `json:"receipt,omitempty"`
	// Undone is set once it was taken back.
	Undone bool `json:"undone,omitempty"`
}

// Play is one playbook's dealing with one incident, at its current step.
type Play struct {
	Outcome Outcome `json:"outcome"`
	Reason  Reason  `json:"reason,omitempty"`
	// Detail says the reason to a person.
	Detail      string `json:"detail,omitempty"`
	Target      string `json:"target,omitempty"`
	CauseKind   string `json:"cause_kind,omitempty"`
	Criticality string `json:"criticality,omitempty"`
	Mode        Mode   `json:"mode,omitempty"`
	// Caution is why people are asked where the mode of the playbook would not.
	Caution string `json:"caution,omitempty"`
	Version string `json:"version,omitempty"`
	// Occurrence counts how often the incident had come back when this was decided.
	Occurrence int `json:"occurrence,omitempty"`
	Step       int `json:"step"`
	// Revision is that of the event on which it was decided.
	Revision int64 `json:"revision"`
	// Decided and Deadline are wall time, At and EventDeadline event time.
	Decided       time.Time     `json:"decided"`
	Deadline      time.Time     `json:"deadline"`
	At            time.Time     `json:"at"`
	EventDeadline time.Time     `json:"event_deadline"`
	Within        time.Duration `json:"within"`
	// AcceptedAt is the wall time at which the current step was carried out.
	AcceptedAt time.Time `json:"accepted_at,omitzero"`
	Plan       *Plan     `json:"plan,omitempty"`
	// Receipt is what the executor has told of carrying the current step out; it takes the step back if the plan says so.
	Receipt json.RawMessage `json:"receipt,omitempty"`
	Done    []Done          `json:"done,omitempty"`
	// Approvals are those for the current step, and Expires is when it is too late for them.
	Approvals []Approval `json:"approvals,omitempty"`
	Expires   time.Time  `json:"expires,omitzero"`
	// Assessed is set when independent signals must agree before the current step counts as a success.
	Assessed bool `json:"assessed,omitempty"`
	// Recovered is set once the incident ended in time, while independent signals still have to agree.
	Recovered bool `json:"recovered,omitempty"`
	// Into is the incident that the play's own one goes on in, whose end then gives the verdict.
	Into string `json:"into,omitempty"`
	// Assessment is what independent signals said last of the current step.
	Assessment Assessment `json:"assessment,omitempty"`
	// Signals is the caller's: what it needs to go on asking the signals after a restart. SignalDetail says to a person
	// what stood against success last.
	Signals      json.RawMessage `json:"signals,omitempty"`
	SignalDetail string          `json:"signal_detail,omitempty"`
	// Orders are the caller's, one for each step of the playbook: what exactly is asked for.
	Orders []json.RawMessage `json:"orders,omitempty"`
	// Witnesses is how many independent sources of evidence spoke for the cause.
	Witnesses int `json:"witnesses,omitempty"`
	// Replans counts how often the world had changed under an admitted plan.
	Replans int `json:"replans,omitempty"`
	// Deferred is what was observed, kept while something that will pass stands against the play.
	Deferred *Observation `json:"deferred,omitempty"`
	// Ineffective is how many steps were seen not to help.
	Ineffective int `json:"ineffective,omitempty"`
	// Doubtful is set once an attempt to carry the step out may have had an effect that nobody has confirmed.
	Doubtful bool `json:"doubtful,omitempty"`
	// Charged is set while the current step counts against the budget.
	Charged bool `json:"charged,omitempty"`
	// Counted is the charge with which the breakers and the storm gate count the play, until its outcome is known: steps
	// that are taken without verifying in between are one treatment to them.
	Counted string `json:"counted,omitempty"`
	// Treated names the targets whose breakers have counted it.
	Treated []string `json:"treated,omitempty"`
}

// Ref names a play at one of its steps. It is comparable.
type Ref struct {
	Incident string `json:"incident"`
	Playbook string `json:"playbook"`
	Revision int64  `json:"revision"`
	Step     int    `json:"step"`
}

func (r Ref) key() playKey { return playKey{r.Incident, r.Playbook} }

// Change is a play that has come to an end or a turn, and whose.
type Change struct {
	Ref
	Play Play
	// Escalate is set when automation has nothing more to offer and a person is needed.
	Escalate bool
}

// IntentID returns the identity of a play's step, 32 hexadecimal digits. It is the same whenever the same incident leads the same
// playbook to the same step on the same target; an incident that came back leads to others, and so does another cause, so that
// nobody approves what was not asked.
func IntentID(incident, playbook, target string, occurrence, step int) string {
	h := sha256.New()
	for _, s := range []string{incident, playbook, target} {
		_ = binary.Write(h, binary.BigEndian, uint32(len(s)))
		h.Write([]byte(s))
	}
	_ = binary.Write(h, binary.BigEndian, [2]uint32{uint32(occurrence), uint32(step)})
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// IntentOf returns the identity of one of the play's steps.
func (p *Play) IntentOf(incident, playbook string, step int) string {
	return IntentID(incident, playbook, p.Target, p.Occurrence, step)
}

// Asked returns a digest of what people are asked to approve, 32 hexadecimal digits: the play's current step as it was planned,
// or ordered where nothing is planned. The intent stays the same when the world leads to another plan; this does not.
func (p *Play) Asked() string {
	h := sha256.New()
	add := func(parts ...string) {
		for _, s := range parts {
			_ = binary.Write(h, binary.BigEndian, uint32(len(s)))
			h.Write([]byte(s))
		}
	}
	add(p.Target)
	if p.Step < len(p.Orders) {
		add(string(p.Orders[p.Step]))
	}
	if plan := p.Plan; plan != nil {
		add(plan.Target, plan.Class, plan.Namespace, plan.Criticality, plan.Effect)
		add(plan.Locks...)
		_ = binary.Write(h, binary.BigEndian, int64(plan.Weight))
		_ = binary.Write(h, binary.BigEndian, []bool{plan.Destructive, plan.Undoable, plan.NoOp})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Intent returns the identity of the play's current step.
func (c *Change) Intent() string { return c.Play.IntentOf(c.Incident, c.Playbook, c.Step) }

// inFlight reports whether the play may still lead to a change of the world.
func (p *Play) inFlight() bool {
	switch p.Outcome {
	case Pending, Awaiting:
		return p.Mode.acts()
	case Dispatched, Accepted, Undoing:
		return true
	default:
		return false
	}
}

// Open reports whether the play waits for something.
func (p *Play) Open() bool {
	switch p.Outcome {
	case Pending, Awaiting, Dispatched, Accepted, Undoing:
		return true
	default:
		return false
	}
}
