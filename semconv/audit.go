package semconv

// The names of log records by which the audit of remediations is told. Each is also the kind of the audit record.
const (
	// EventRemediationDecision is what a playbook decided or achieved, or what a guard kept it from and why.
	EventRemediationDecision EventName = "remediation.decision"
	// EventRemediationOrder is in which order playbooks were asked, where what has helped before changed it.
	EventRemediationOrder EventName = "remediation.order"
	// EventRemediationApproval is a person's word on an intent, also one that was refused.
	EventRemediationApproval EventName = "remediation.approval"
	// EventRemediationRequest is a request that changes something on Kubernetes, also one that was not sent.
	EventRemediationRequest EventName = "remediation.request"
	// EventRemediationGuard is news of a breaker or of a storm.
	EventRemediationGuard EventName = "remediation.guard"
	// EventRemediationPause says that automation was paused or goes on.
	EventRemediationPause EventName = "remediation.pause"
	// EventRemediationLeadership says whether this replica acts.
	EventRemediationLeadership EventName = "remediation.leadership"
	// EventRemediationCall is what a person did by the API, also what was refused.
	EventRemediationCall EventName = "remediation.call"
	// EventRemediationDeadLetter is an event that could not be delivered.
	EventRemediationDeadLetter EventName = "remediation.dead_letter"
	// EventRemediationSilence says that an incident is not told of, or not acted on, since people expect it.
	EventRemediationSilence EventName = "remediation.silence"
	// EventRemediationAcknowledgment says that a person has taken an incident on, or no longer has.
	EventRemediationAcknowledgment EventName = "remediation.acknowledgment"
	// EventRemediationClaim is what the fleet of executors said to an action, where it stood in the way.
	EventRemediationClaim EventName = "remediation.claim"
	// EventRemediationAudit is news of the audit itself.
	EventRemediationAudit EventName = "remediation.audit"
)

// The attributes of these log records. What else a record says stands under [AttrRemediationPrefix] and its own name.
const (
	AttrRemediationIntentID = "remediation.intent.id"
	AttrRemediationPlaybook = "remediation.playbook.name"
	// AttrRemediationActor is who did it: the executor, or a person.
	AttrRemediationActor = "remediation.actor"
	// AttrRemediationPrefix is what the names of all other fields begin with, such as remediation.outcome.
	AttrRemediationPrefix = "remediation."
	// AttrAuditSeq, AttrAuditHash and AttrAuditPrev are the record's place in the chain: its number from 1, its hash, and the
	// hash of the record before.
	AttrAuditSeq  = "audit.record.seq"
	AttrAuditHash = "audit.record.hash"
	AttrAuditPrev = "audit.record.prev"
)
