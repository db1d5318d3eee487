package playbook

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// asked is what the guards are asked about: a playbook's first step when it is decided, which has an observation, or any step
// once its plan is known.
type asked struct {
	rule        *Rule
	ref         Ref
	observation *Observation
	play        *Play
	plan        *Plan
	now         time.Time
}

type guard func(l *Ledger, a *asked) (Reason, string)

// decisionGuards are asked when an incident's event calls for a playbook, in this order; the first that objects decides.
var decisionGuards = []guard{
	guardOver, guardRevision, guardTarget, guardTier, guardConfidence, guardObstacle, guardWitnesses, guardWorld, guardInFlight,
	guardCooldown, guardLearned, guardPolicy,
}

// planGuards are asked again when the executor has looked at the world.
var planGuards = []guard{
	guardWorld, guardOver, guardTime, guardTier, guardWitnesses, guardPlanLocks, guardPlanCooldown, guardPolicy,
}

// ask returns the first reason against it, or none.
func (l *Ledger) ask(guards []guard, a *asked) (Reason, string) {
	for _, g := range guards {
		if reason, detail := g(l, a); reason != "" {
			return reason, detail
		}
	}
	return "", ""
}

// guardOver re-reads the trigger.
func guardOver(l *Ledger, a *asked) (Reason, string) {
	if l.incidents[a.ref.Incident].Resolved {
		return ReasonStale, "the incident is over"
	}
	return "", ""
}

func guardTime(_ *Ledger, a *asked) (Reason, string) {
	if !a.now.Before(a.play.Deadline) {
		return ReasonStale, "its time is over"
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

func guardTier(_ *Ledger, a *asked) (Reason, string) {
	if len(a.rule.Tiers) > 0 && !slices.Contains(a.rule.Tiers, a.play.Criticality) {
		return ReasonTier, "the target's criticality is " + cmp.Or(a.play.Criticality, "unknown")
	}
	return "", ""
}

func guardConfidence(_ *Ledger, a *asked) (Reason, string) {
	if o := a.observation; !(o.Confidence >= a.rule.MinConfidence) || math.IsInf(o.Confidence, 1) { // so that NaN is no confidence
		return ReasonConfidence, fmt.Sprintf("confidence %.2f is below min_confidence %.2f", o.Confidence, a.rule.MinConfidence)
	}
	return "", ""
}

func guardObstacle(_ *Ledger, a *asked) (Reason, string) {
	return a.observation.Obstacle, a.observation.ObstacleDetail
}

// guardWitnesses wants destructive steps, also one that turns out to be, to rest on more than one source of evidence. An
// executor that plans may be one: before it has planned it is taken to be.
func guardWitnesses(_ *Ledger, a *asked) (Reason, string) {
	destructive := a.rule.destructive()
	n := a.play.Witnesses
	if a.observation != nil {
		n += a.observation.Signals
	}
	switch {
	case a.plan == nil && a.rule.Steps[0].Planned:
		n++
	case a.plan != nil:
		destructive = destructive || a.plan.Destructive
		n += a.plan.Signals
		if a.plan.Witness {
			n++
		}
	}
	if destructive && a.play.Mode.acts() && n < a.rule.Witnesses {
		return ReasonWitnesses, fmt.Sprintf("%d independent sources speak for the cause, %d are needed", n, a.rule.Witnesses)
	}
	return "", ""
}

// guardWorld stops what would act; observing and suggesting goes on.
func guardWorld(l *Ledger, a *asked) (Reason, string) {
	if !a.play.Mode.acts() {
		return "", ""
	}
	return l.stoppedFor(a.ref.Incident)
}

// stoppedFor returns why nothing may act on an incident now.
func (l *Ledger) stoppedFor(incident string) (Reason, string) {
	if reason, detail := l.stopped(); reason != "" {
		return reason, detail
	}
	if l.silenced != nil {
		if by := l.silenced(incident); by != "" {
			return ReasonSilenced, by
		}
	}
	return "", ""
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

// guardInFlight lets one action at a time run for an incident and on a target, and leaves to people what they must look at.
func guardInFlight(l *Ledger, a *asked) (Reason, string) {
	underWay := false
	for name, p := range l.incidents[a.ref.Incident].Plays {
		switch {
		case name == a.ref.Playbook:
		case p.Outcome == Inconclusive:
			return ReasonInconclusive, "an action for this incident ended inconclusively: a person must look"
		case p.Reason == ReasonUndoFailed:
			return ReasonInconclusive, "an action for this incident could not be taken back: a person must look"
		case p.inFlight():
			underWay = true
		}
	}
	l.ofParts(a.ref.Incident, func(string, string, *Play) []Change {
		underWay = true
		return nil
	})
	if underWay {
		return ReasonInFlight, "another action for this incident is under way"
	}
	if l.held.taken(targetName(a.play.Target), a.ref.key()) {
		return ReasonTargetBusy, "an action on " + a.play.Target + " is under way for another incident"
	}
	return "", ""
}

// guardPlanLocks finds two incidents whose targets turn out to be one object.
func guardPlanLocks(l *Ledger, a *asked) (Reason, string) {
	if !a.play.Mode.acts() {
		return "", ""
	}
	for _, lock := range a.plan.Locks {
		if l.held.taken(lockName(lock), a.ref.key()) {
			return ReasonTargetBusy, "an action on " + lock + " is under way"
		}
	}
	return "", ""
}

func guardCooldown(l *Ledger, a *asked) (Reason, string) { return l.cool(a, a.play.Target) }

// guardPlanCooldown finds that the playbook has acted on the same object under another name. What the play itself has acted
// on, in an earlier step, it may act on again.
func guardPlanCooldown(l *Ledger, a *asked) (Reason, string) {
	return l.cool(a, slices.DeleteFunc(a.play.cooled(), a.play.acted)...)
}

func (l *Ledger) cool(a *asked, names ...string) (Reason, string) {
	l.trim(a.now)
	for _, name := range names {
		if l.cooling(a.rule, name, a.now) {
			return ReasonCooldown, fmt.Sprintf("acted on %s less than %s ago", name, a.rule.Cooldown)
		}
	}
	return l.crowded(a.rule, a.play)
}

// crowded wants room for the cooldowns that follow an action.
func (l *Ledger) crowded(rule *Rule, p *Play) (Reason, string) {
	fresh := 0
	for _, name := range p.cooled() {
		if _, held := l.cooldowns[cooldownKey{rule.Name, name}]; !held {
			fresh++
		}
	}
	if len(l.cooldowns)+fresh > l.limits.MaxIncidents {
		return ReasonLimit, fmt.Sprintf("there is no room for another cooldown: max_incidents is %d", l.limits.MaxIncidents)
	}
	return "", ""
}

// guardPolicy asks the guards that span incidents: breakers, storms, budgets.
func guardPolicy(l *Ledger, a *asked) (Reason, string) {
	if !a.play.Mode.acts() {
		return "", ""
	}
	return l.denied(a.rule, a.ref.Incident, a.play, a.now)
}

// denied asks the guards that span incidents about the play's current step.
func (l *Ledger) denied(rule *Rule, incident string, p *Play, now time.Time) (Reason, string) {
	if reason, detail := l.crowded(rule, p); reason != "" {
		return reason, detail
	}
	return l.policy.deny(now, rule.Name, p, l.chargeOf(rule, incident, p))
}
