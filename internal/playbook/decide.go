package playbook

import (
	"slices"
	"time"
)

// Decide applies the guards to a playbook whose conditions hold. The play it returns is a copy; ok is false when there
// is nothing to say: the playbook has already dealt with this incident, or it is skipped for the same reason as before.
func (l *Ledger) Decide(playbook string, o Observation, now time.Time) (c Change, ok bool) {
	rule, inc := l.rules[playbook], l.incidents[o.Incident]
	if inc == nil || rule == nil {
		return Change{}, false
	}
	before := inc.Plays[playbook]
	if before != nil && before.Outcome != Skipped {
		return Change{}, false
	}
	p := &Play{
		Target: o.Target, CauseKind: o.CauseKind, Criticality: o.Criticality, Witnesses: o.Witnesses,
		Mode: rule.mode(o.Criticality), Version: rule.Version, Occurrence: inc.Occurrence, Revision: o.Revision, At: o.At,
		Orders: o.Orders,
	}
	step := rule.Steps[0]
	if !step.Planned {
		p.Mode = rule.lastMode(o.Criticality)
	}
	if o.Caution != "" && p.Mode == Auto {
		p.Mode, p.Caution = Approve, o.Caution
	}
	p.begin(step, now)
	p.EventDeadline = p.At.Add(step.Within)
	outcome := Pending
	a := &asked{rule: rule, ref: Ref{Incident: o.Incident, Playbook: playbook, Revision: o.Revision}, observation: &o, play: p, now: now}
	reason, detail := l.ask(decisionGuards, a)
	switch {
	case reason != "" && before != nil && before.Reason == reason:
		l.deferAgain(rule, before, &o, now)
		return Change{}, false
	case reason != "":
		outcome = Skipped
		if passing(reason) {
			p.Deferred = &o
		}
	case step.Planned:
		p.Deferred = &o // in case the plan is refused for what passes
	default:
		outcome = l.entry(rule, o.Incident, p, now)
		reason, detail = p.cautious(outcome, "")
	}
	l.Touch(o.Incident)
	if inc.Plays == nil {
		inc.Plays = map[string]*Play{}
	}
	inc.Plays[playbook] = p
	return l.set(o.Incident, playbook, p, outcome, reason, detail), true
}

// begin puts the play at the beginning of a step.
func (p *Play) begin(step Step, now time.Time) {
	p.Decided, p.Deadline, p.Within = now, now.Add(step.Within), step.Within
	p.AcceptedAt, p.Expires = time.Time{}, time.Time{}
	p.Plan, p.Receipt, p.Approvals, p.Doubtful = nil, nil, nil, false
	p.Assessed, p.Recovered, p.Assessment = step.Assessed, false, Unknown
	p.Signals, p.SignalDetail = nil, ""
}

// entry returns where an admitted step goes by its mode, and charges it if it may act now.
func (l *Ledger) entry(rule *Rule, incident string, p *Play, now time.Time) Outcome {
	switch {
	case p.Mode == Suggest:
		l.hold(rule, p, now)
		return Suggested
	case !p.Mode.acts():
		l.hold(rule, p, now)
		return Proposed
	case p.Mode == Approve && len(p.Approvals) < rule.approvers():
		if p.Expires.IsZero() {
			p.Expires = now.Add(rule.ApproveWithin)
		}
		return Awaiting
	}
	l.charge(rule, incident, p, now)
	return Pending
}

// Admit takes the plan for a pending step and applies the guards again, to what was found in the world. The changes say
// where the play is now: only when it is [Dispatched] may the plan be carried out, once that is stored. ok is false when
// the play has moved on meanwhile.
//
// People have approved a plan: when the world has changed so that another one comes of it, they are asked again.
func (l *Ledger) Admit(ref Ref, plan *Plan, now time.Time) (changes []Change, ok bool) {
	p := l.at(ref)
	if p == nil || p.Outcome != Pending || plan == nil {
		return nil, false
	}
	rule, step, known := l.step(ref.Playbook, p)
	switch {
	case !known:
		return l.Refuse(ref, ReasonVersion, changedSince, now), true
	case !step.Planned:
		return nil, false
	}
	l.Touch(ref.Incident)
	detail := ""
	if len(p.Approvals) > 0 && !p.Plan.allows(plan) {
		p.Approvals, detail = nil, "what would be done has changed since it was approved"
	}
	p.Plan = plan
	p.Criticality = graver(p.Criticality, plan.Criticality)
	if mode := rule.lastMode(p.Criticality); less(mode, p.Mode) {
		p.Mode = mode
	}
	if reason, detail := l.ask(planGuards, &asked{rule: rule, ref: ref, play: p, plan: plan, now: now}); reason != "" {
		return l.Refuse(ref, reason, detail, now), true
	}
	outcome := l.entry(rule, ref.Incident, p, now)
	switch outcome {
	case Pending:
		outcome, detail = Dispatched, ""
	case Proposed, Suggested:
		detail = ""
	}
	p.Deferred = nil
	reason, detail := p.cautious(outcome, detail)
	c := l.set(ref.Incident, ref.Playbook, p, outcome, reason, detail)
	// A play that has acted, and now may only tell what it would do, needs a person.
	c.Escalate = !p.Open() && p.Step > 0
	return []Change{c}, true
}

// cautious says why a play waits for people though its playbook need not ask; otherwise the detail stays as it is.
func (p *Play) cautious(o Outcome, detail string) (Reason, string) {
	if o == Awaiting && p.Caution != "" && detail == "" {
		return ReasonCaution, p.Caution
	}
	return "", detail
}

// changedSince is why a play does not go on after a restart.
const changedSince = "the playbook was changed or removed since this was decided"

// allows reports whether an approval of this plan, which may be nil, is one of the other.
func (plan *Plan) allows(other *Plan) bool {
	return plan != nil && plan.Target == other.Target && plan.Class == other.Class && plan.Namespace == other.Namespace &&
		(plan.Effect == other.Effect || other.NoOp) && (!plan.NoOp || other.NoOp) &&
		other.Weight <= plan.Weight && (plan.Destructive || !other.Destructive) && (other.Undoable || !plan.Undoable) &&
		graver(plan.Criticality, other.Criticality) == graver(plan.Criticality, "") && slices.Equal(plan.Locks, other.Locks)
}

// Withhold notes that a guard outside the ledger, such as the budget of a whole fleet, stands against a dispatched step of
// which nothing was begun. The first step of a play is skipped, as if a guard of the ledger had stood against it; after
// another the play has failed.
func (l *Ledger) Withhold(ref Ref, reason Reason, detail string, now time.Time) []Change {
	if p := l.at(ref); p != nil && p.Outcome == Dispatched && !p.Doubtful {
		l.set(ref.Incident, ref.Playbook, p, Pending, "", "")
	}
	return l.Refuse(ref, reason, detail, now)
}

// Refuse notes that a step cannot be carried out and nothing was done: the first step of a play is skipped and may be decided
// again, a later one has failed. After an attempt of which nobody knows whether it was carried out ([Ledger.Doubt]), or that
// another process made, it is inconclusive.
func (l *Ledger) Refuse(ref Ref, reason Reason, detail string, now time.Time) []Change {
	p := l.at(ref)
	if p == nil || (p.Outcome != Pending && p.Outcome != Dispatched) {
		return nil
	}
	l.Touch(ref.Incident)
	if p.Doubtful {
		return []Change{l.inconclusive(ref, p, ReasonUndelivered, "an attempt may have been carried out; then "+detail, now)}
	}
	l.refund(ref.Incident, ref.Playbook, p)
	if p.Step == 0 && p.Outcome == Pending {
		return []Change{l.set(ref.Incident, ref.Playbook, p, Skipped, reason, detail)}
	}
	return l.fail(ref.Incident, ref.Playbook, p, reason, detail, now)
}

// approvers is how many people must approve, at least one.
func (r *Rule) approvers() int { return max(1, r.Approvers) }

// tiers are the criticalities from the gravest.
var tiers = []string{"critical", "high", "medium", "low"}

// graver returns the graver of two criticalities; one that is unknown is no criticality.
func graver(a, b string) string {
	for _, t := range tiers {
		if a == t || b == t {
			return t
		}
	}
	return ""
}

// less reports whether a is the less trusted mode.
func less(a, b Mode) bool {
	for _, m := range Modes {
		if a == m || b == m {
			return a == m && b != m
		}
	}
	return false
}
