package playbook

// Reason says why a play was skipped or how it ended.
type Reason string

// The reasons for skipping that the guards give.
const (
	ReasonPaused     Reason = "paused"
	ReasonNotLeading Reason = "not_leading"
	ReasonFrozen     Reason = "frozen"
	ReasonWindow     Reason = "window"
	// ReasonSilenced is that of an incident which people expect, such as during maintenance of its cause.
	ReasonSilenced     Reason = "silenced"
	ReasonRevision     Reason = "revision"
	ReasonNoTarget     Reason = "no_target"
	ReasonTier         Reason = "tier"
	ReasonConfidence   Reason = "confidence"
	ReasonWitnesses    Reason = "witnesses"
	ReasonParameter    Reason = "parameter"
	ReasonInconclusive Reason = "inconclusive"
	ReasonInFlight     Reason = "in_flight"
	ReasonTargetBusy   Reason = "target_busy"
	ReasonCooldown     Reason = "cooldown"
	ReasonBreaker      Reason = "breaker"
	ReasonStorm        Reason = "storm"
	ReasonBudget       Reason = "budget"
	ReasonLearned      Reason = "learned"
	ReasonLimit        Reason = "limit"
	ReasonEndpoint     Reason = "endpoint"
	ReasonStale        Reason = "stale"
	ReasonVersion      Reason = "version"
)

// The reasons for an outcome.
const (
	ReasonRecovered    Reason = "recovered"
	ReasonNotRecovered Reason = "not_recovered"
	ReasonNoData       Reason = "no_data"
	// ReasonWorse is that of an action after which an explicit sign of failure was seen.
	ReasonWorse Reason = "worse"
	// ReasonReturned is that of an action after which the incident was resolved, but came back under the same ID, and
	// ReasonMerged that of one whose incident goes on as a part of another.
	ReasonReturned    Reason = "returned"
	ReasonMerged      Reason = "merged"
	ReasonRefused     Reason = "refused"
	ReasonUndelivered Reason = "undelivered"
	// ReasonUndoFailed is that of a failure that could not be taken back.
	ReasonUndoFailed Reason = "undo_failed"
	// ReasonReverted is that of an action which a person took back.
	ReasonReverted Reason = "reverted"
	ReasonDenied   Reason = "denied"
	// ReasonCaution is that of a play which waits for people though its playbook need not ask.
	ReasonCaution Reason = "caution"
	ReasonExpired Reason = "expired"
)

// SkipReasons are all reasons for which a guard of this package skips a play. Executors add their own.
var SkipReasons = []Reason{
	ReasonPaused, ReasonNotLeading, ReasonFrozen, ReasonWindow, ReasonRevision, ReasonNoTarget, ReasonTier, ReasonConfidence,
	ReasonWitnesses, ReasonParameter, ReasonInconclusive, ReasonInFlight, ReasonTargetBusy, ReasonCooldown, ReasonBreaker,
	ReasonStorm, ReasonBudget, ReasonLearned, ReasonLimit, ReasonEndpoint, ReasonStale, ReasonVersion, ReasonSilenced,
}
