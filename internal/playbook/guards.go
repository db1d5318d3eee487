package playbook

import (
	"fmt"
	"slices"
	"time"
)

// asked is what the guards are asked about: a playbook's first step, before and after its plan is known.
type asked struct {
	rule        *Rule
	observation *Observation
	ref         Ref
	play        *Play
	plan        *Plan
	now         time.Time
}

type guard func(l *Ledger, a *asked) (Reason, string)

// decisionGuards are asked when an incident's event calls for a playbook, in this order; the first that objects decides.
var decisionGuards = []guard{
	guardRevision, guardTarget, guardTier, guardConfidence, guardObstacle, guardWitnesses, guardWorld, guardInFlight,
	guardCooldown, guardPolicy,
}

// planGuards are asked again when the executor has looked at the world.
var planGuards = []guard{guardWorld, guardResolved, guardPlanTier, guardWitnesses, guardPlanLocks, guardPlanCooldown, guardPolicy}

// deny returns the first reason against a playbook, or none.
func (l *Ledger) deny(a *asked) (Reason, string) { return l.ask(decisionGuards, a) }

// denyPlan returns the first reason against a plan, or none.
func (l *Ledger) denyPlan(a *asked) (Reason, string) { return l.ask(planGuards, a) }

func (l *Ledger) ask(guards []guard, a *asked) (Reason, string) {
	for _, g := range guards {
		if reason, detail := g(l, a); reason != "" {
			return reason, detail
		}
	}
	return "", ""
}

func guardRevision(_ *Ledger, a *asked) (Reason, string) {
	if a.rule.MaxRevision > 0 && a.observation.Revision > a.rule.MaxRevision {
		return ReasonRevision, fmt.Sprintf("revision %d is above max_revision %d", a.observation.Revision, a.rule.MaxRevision)
	}
	return "", ""
}

func guardTarget(_ *Ledger, a *asked) (Reason, string) {
	if a.observation.Target == "" {
		return ReasonNoTarget, "the incident names no cause that could be acted on"
	}
	return "", ""
}

func guardTier(_ *Ledger, a *asked) (Reason, string) { return tierAllowed(a.rule, a.play.Criticality) }

func guardPlanTier(_ *Ledger, a *asked) (Reason, string) {
	return tierAllowed(a.rule, a.play.Criticality)
}

func tierAllowed(rule *Rule, criticality string) (Reason, string) {
	if len(rule.Tiers) > 0 && !slices.Contains(rule.Tiers, criticality) {
		if criticality == "" {
			criticality = "unknown"
		}
		return ReasonTier, "the target's criticality is " + criticality
	}
	return "", ""
}

func guardConfidence(_ *Ledger, a *asked) (Reason, string) {
	if o := a.observation; !(o.Confidence >= a.rule.MinConfidence) { // so that NaN is no confidence
		return ReasonConfidence, fmt.Sprintf("confidence %.2f is below min_confidence %.2f", o.Confidence, a.rule.MinConfidence)
	}
	return "", ""
}

func guardObstacle(_ *Ledger, a *asked) (Reason, string) {
	return a.observation.Obstacle, a.observation.ObstacleDetail
}

// guardWitnesses wants destructive steps to rest on more than one source of evidence. An executor that plans may be one.
func guardWitnesses(_ *Ledger, a *asked) (Reason, string) {
	destructive := slices.ContainsFunc(a.rule.Steps, func(s Step) bool { return s.Destructive })
	if !destructive || !a.play.Mode.acts() {
		return "", ""
	}
	n := a.play.Witnesses
	if a.plan != nil && a.plan.Witness || a.plan == nil && a.rule.Steps[0].Planned {
		n++
	}
	if n < a.rule.Witnesses {
		return ReasonWitnesses, fmt.Sprintf("%d independent sources speak for the cause, %d are needed", n, a.rule.Witnesses)
	}
	return "", ""
}

// guardWorld stops what would act; observing and suggesting goes on.
func guardWorld(l *Ledger, a *asked) (Reason, string) {
	if !a.play.Mode.acts() {
		return "", ""
	}
	return l.stopped()
}

// stopped returns why nothing at all may act now.
func (l *Ledger) stopped() (Reason, string) {
	switch w := l.world; {
	case w.Paused != "":
		return ReasonPaused, "automation is paused by " + w.Paused
	case w.Standby:
		return ReasonNotLeading, "another replica leads"
	case w.Stale != "":
		return ReasonFrozen, w.Stale
	case w.Window != "":
		return ReasonWindow, "maintenance window: " + w.Window
	default:
		return "", ""
	}
}

// guardResolved re-reads the trigger.
func guardResolved(l *Ledger, a *asked) (Reason, string) {
	if inc := l.incidents[a.ref.Incident]; inc == nil || inc.Resolved {
		return ReasonStale, "the incident is over"
	}
	if !a.now.Before(a.play.Deadline) {
		return ReasonStale, "its time is over"
	}
	return "", ""
}

// guardInFlight lets one action at a time run for an incident and on a target, and leaves to people what they must look at.
func guardInFlight(l *Ledger, a *asked) (Reason, string) {
	for name, p := range l.incidents[a.observation.Incident].Plays {
		if name == a.rule.Name {
			continue
		}
		if p.Outcome == Inconclusive {
			return ReasonInconclusive, "an action for this incident ended inconclusively: a person must look"
		}
	}
	busy := false
	for key, p := range l.open {
		switch {
		case !p.inFlight():
		case key.incident == a.observation.Incident:
			return ReasonInFlight, "another action for this incident is under way"
		case p.Target == a.observation.Target:
			busy = true
		}
	}
	if busy {
		return ReasonTargetBusy, "an action on " + a.observation.Target + " is under way for another incident"
	}
	return "", ""
}

// guardPlanLocks finds two incidents whose targets turn out to be one object.
func guardPlanLocks(l *Ledger, a *asked) (Reason, string) {
	if !a.play.Mode.acts() {
		return "", ""
	}
	for key, p := range l.open {
		if p == a.play || !p.inFlight() || p.Plan == nil || (key.incident == a.ref.Incident && key.playbook == a.ref.Playbook) {
			continue
		}
		// Of two that are only planned, the one that is admitted first goes on.
		if p.Outcome == Pending {
			continue
		}
		for _, lock := range a.plan.Locks {
			if slices.Contains(p.Plan.Locks, lock) {
				return ReasonTargetBusy, "an action on " + lock + " is under way"
			}
		}
	}
	return "", ""
}

func guardCooldown(l *Ledger, a *asked) (Reason, string) {
	key := cooldownKey{a.rule.Name, a.observation.Target}
	until, held := l.cooldowns[key]
	if held && a.now.Before(until) {
		return ReasonCooldown, fmt.Sprintf("acted on %s less than %s ago", a.observation.Target, a.rule.Cooldown)
	}
	if !held && len(l.cooldowns) >= l.limits.MaxIncidents {
		return ReasonLimit, "there are already max_incidents cooldowns"
	}
	return "", ""
}

func guardPlanCooldown(l *Ledger, a *asked) (Reason, string) {
	if a.play.Charged || a.play.Step > 0 {
		return "", ""
	}
	for _, lock := range a.plan.Locks {
		if a.now.Before(l.cooldowns[cooldownKey{a.rule.Name, lock}]) {
			return ReasonCooldown, fmt.Sprintf("acted on %s less than %s ago", lock, a.rule.Cooldown)
		}
	}
	return "", ""
}

// guardPolicy asks the guards that span incidents: breakers, storms, budgets.
func guardPolicy(l *Ledger, a *asked) (Reason, string) {
	if !a.play.Mode.acts() || a.play.Charged {
		return "", ""
	}
	incident := a.ref.Incident
	if a.observation != nil {
		incident = a.observation.Incident
	}
	return l.policy.deny(a.now, a.rule.Name, a.play.Target, l.chargeOf(a.rule, incident, a.play))
}
