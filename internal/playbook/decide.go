package playbook

import "time"

// Decide applies the guards to a playbook whose conditions hold. The play it returns is a copy; ok is false when there
// is nothing to say: the playbook has already dealt with this incident, or it is skipped for the same reason as before.
func (l *Ledger) Decide(playbook string, o Observation, now time.Time) (c Change, ok bool) {
	rule, known := l.rules[playbook]
	inc := l.incidents[o.Incident]
	if inc == nil || !known {
		return Change{}, false
	}
	before := inc.Plays[rule.Name]
	if before != nil && before.Outcome != Skipped {
		return Change{}, false
	}
	l.trim(now)
	p := &Play{
		Target: o.Target, CauseKind: o.CauseKind, Criticality: o.Criticality, Mode: rule.mode(o.Criticality), Version: rule.Version,
		Occurrence: inc.Occurrence, Revision: o.Revision, At: o.At, Orders: o.Orders,
		Witnesses: o.Witnesses,
	}
	p.begin(rule.Steps[0], now)
	outcome, reason, detail := Pending, Reason(""), ""
	switch reason, detail = l.deny(&asked{rule: &rule, observation: &o, play: p, now: now}); {
	case reason != "":
		outcome = Skipped
		if before != nil && before.Reason == reason {
			if before.Deferred != nil {
				l.Touch(o.Incident)
				before.Deferred = &o
			}
			return Change{}, false
		}
		if passing(reason) {
			p.Deferred = &o
		}
	case !rule.Steps[0].Planned:
		outcome = l.entry(&rule, o.Incident, p, now)
	default:
		p.Deferred = &o // in case the plan is refused for what passes
	}
	l.Touch(o.Incident)
	if inc.Plays == nil {
		inc.Plays = map[string]*Play{}
	}
	inc.Plays[rule.Name] = p
	return l.set(o.Incident, rule.Name, p, outcome, reason, detail), true
}

// passing reports whether what stands against a play ends by itself, so that it is decided again without another event.
func passing(r Reason) bool {
	switch r {
	case ReasonPaused, ReasonNotLeading, ReasonFrozen, ReasonWindow, ReasonStorm:
		return true
	default:
		return false
	}
}

// Reconsider decides again on what was deferred, while the incident goes on. The changes are those plays that now go on,
// or stand against something else.
func (l *Ledger) Reconsider(now time.Time) []Change {
	var out []Change
	for _, k := range sortedPlayKeys(l.deferred) {
		p := l.deferred[k]
		if inc := l.incidents[k.incident]; inc.Resolved || p.Occurrence != inc.Occurrence {
			delete(l.deferred, k)
			continue
		}
		if c, ok := l.Decide(k.playbook, *p.Deferred, now); ok {
			out = append(out, c)
		}
	}
	return out
}

// begin puts the play at the beginning of a step.
func (p *Play) begin(step Step, now time.Time) {
	p.Decided, p.Deadline, p.Within = now, now.Add(step.Within), step.Within
	p.EventDeadline = p.At.Add(step.Within)
	p.AcceptedAt, p.Expires = time.Time{}, time.Time{}
	p.Plan, p.Receipt, p.Approvals, p.Recovered, p.Assessment = nil, nil, nil, false, Unknown
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
	case p.Mode == Approve && len(p.Approvals) < rule.Approvers:
		if p.Expires.IsZero() {
			p.Expires = now.Add(rule.ApproveWithin)
		}
		return Awaiting
	}
	l.charge(rule, incident, p, now)
	return Pending
}

// Admit takes the plan for a pending step and applies the guards again, to what was found in the world. The change says
// where the play is now: only when it is [Dispatched] may the plan be carried out, once that is stored. ok is false when
// the play has moved on meanwhile.
func (l *Ledger) Admit(ref Ref, plan *Plan, now time.Time) (changes []Change, ok bool) {
	p := l.at(ref)
	rule, known := l.rules[ref.Playbook]
	if p == nil || p.Outcome != Pending || !known {
		return nil, false
	}
	l.Touch(ref.Incident)
	l.trim(now)
	p.Plan = plan
	p.Criticality = graver(p.Criticality, plan.Criticality)
	if mode := rule.mode(p.Criticality); less(mode, p.Mode) {
		p.Mode = mode
	}
	reason, detail := l.denyPlan(&asked{rule: &rule, ref: ref, play: p, plan: plan, now: now})
	if reason != "" {
		return l.Refuse(ref, reason, detail, now), true
	}
	outcome := l.entry(&rule, ref.Incident, p, now)
	if outcome == Pending {
		outcome = Dispatched
	}
	p.Deferred = nil
	return []Change{l.set(ref.Incident, ref.Playbook, p, outcome, "", "")}, true
}

// Refuse notes that a step cannot be carried out and nothing was done: the first step of a play is skipped and may be decided
// again, a later one has failed.
func (l *Ledger) Refuse(ref Ref, reason Reason, detail string, now time.Time) []Change {
	p := l.at(ref)
	if p == nil || (p.Outcome != Pending && p.Outcome != Dispatched) {
		return nil
	}
	l.Touch(ref.Incident)
	l.refund(ref.Incident, ref.Playbook, p)
	if p.Step == 0 && p.Outcome == Pending {
		return []Change{l.set(ref.Incident, ref.Playbook, p, Skipped, reason, detail)}
	}
	return l.fail(ref.Incident, ref.Playbook, p, reason, detail, now)
}

// hold keeps the playbook from saying the same of the target again for a while.
func (l *Ledger) hold(rule *Rule, p *Play, now time.Time) {
	until := now.Add(rule.Cooldown)
	l.cooldowns[cooldownKey{rule.Name, p.Target}] = until
	if p.Plan != nil {
		for _, lock := range p.Plan.Locks {
			l.cooldowns[cooldownKey{rule.Name, lock}] = until
		}
	}
}

// charge counts a step that is about to act.
func (l *Ledger) charge(rule *Rule, incident string, p *Play, now time.Time) {
	l.hold(rule, p, now)
	l.policy.charge(now, l.chargeOf(rule, incident, p), rule.Name, p.Target)
	p.Charged = true
}

// refund takes back the charge for a step that did nothing.
func (l *Ledger) refund(incident, playbook string, p *Play) {
	if !p.Charged {
		return
	}
	p.Charged = false
	l.policy.refund(IntentID(incident, playbook, p.Occurrence, p.Step), playbook, p.Target)
	delete(l.cooldowns, cooldownKey{playbook, p.Target})
	if p.Plan != nil {
		for _, lock := range p.Plan.Locks {
			delete(l.cooldowns, cooldownKey{playbook, lock})
		}
	}
}

// trim drops what no longer counts against the guards.
func (l *Ledger) trim(now time.Time) {
	for k, until := range l.cooldowns {
		if !now.Before(until) {
			delete(l.cooldowns, k)
		}
	}
}

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
