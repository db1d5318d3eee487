package playbook

import (
	"encoding/json"
	"time"
)

// overdue is how long past its deadline a step that an executor holds is left to the executor, which ends by itself.
const overdue = 30 * time.Second

// Dispatch is asked right before a step is handed to the executor, also again: it re-reads the incident and the world and
// says whether to go on. When not, the changes say what follows. A planned step must have been admitted before.
func (l *Ledger) Dispatch(ref Ref, now time.Time) (goOn bool, changes []Change) {
	p := l.at(ref)
	if p == nil || (p.Outcome != Pending && p.Outcome != Dispatched) {
		return false, nil
	}
	_, step, known := l.step(ref.Playbook, p)
	if p.Outcome == Pending && known && (step.Planned || !p.Charged || !p.Mode.acts()) {
		return false, nil
	}
	reason, detail := l.stoppedFor(ref.Incident)
	switch {
	case l.incidents[ref.Incident].Resolved:
		reason, detail = ReasonStale, "the incident is over"
	case !now.Before(p.Deadline):
		reason, detail = ReasonStale, "its time is over"
	case !known:
		reason, detail = ReasonVersion, changedSince
	case (reason == ReasonWindow || reason == ReasonSilenced) && p.Outcome == Dispatched:
		reason = "" // what was begun before a window is finished
	}
	switch {
	case reason == "":
		if p.Outcome == Pending {
			l.set(ref.Incident, ref.Playbook, p, Dispatched, "", "")
		}
		return true, nil
	case p.Outcome == Pending:
		return false, l.Refuse(ref, reason, detail, now)
	default:
		return false, []Change{l.inconclusive(ref, p, ReasonUndelivered, detail, now)}
	}
}

// Accept notes that the executor carried the step out, and what it needs to take it back. The time that this took is added
// to the deadlines. When the incident ended meanwhile, whether the action helped cannot be told.
func (l *Ledger) Accept(ref Ref, receipt json.RawMessage, now time.Time) []Change {
	p := l.at(ref)
	if p == nil || p.Outcome != Dispatched {
		return nil
	}
	l.Touch(ref.Incident)
	p.Receipt, p.AcceptedAt = receipt, now
	if l.incidents[ref.Incident].Resolved {
		return []Change{l.inconclusive(ref, p, ReasonUndelivered, "the incident ended while the step was carried out", now)}
	}
	p.extend(now, p.Within+overdue)
	accepted := l.set(ref.Incident, ref.Playbook, p, Accepted, "", "")
	if _, step, ok := l.step(ref.Playbook, p); ok && step.Continue {
		if next, ok := l.next(ref.Incident, ref.Playbook, p, now); ok {
			return append([]Change{accepted}, next...)
		}
	}
	return []Change{accepted}
}

// extend adds the time since the step was decided to its deadlines, so that there is as much left as there was then. A clock
// that was set meanwhile moves the event time by no more than most.
func (p *Play) extend(now time.Time, most time.Duration) {
	p.EventDeadline = p.EventDeadline.Add(min(max(0, now.Sub(p.Decided)), most))
	p.Deadline = now.Add(p.Within)
}

// Doubt notes that an attempt to carry a dispatched step out may have had an effect that nobody has confirmed. What would
// otherwise end as not done then ends as inconclusive, and counts against budgets.
func (l *Ledger) Doubt(ref Ref) {
	if p := l.at(ref); p != nil && p.Outcome == Dispatched {
		l.Touch(ref.Incident)
		p.Doubtful = true
	}
}

// Recover doubts all that was under way when the ledger was stored: whoever held it is gone, perhaps in the midst of it.
func (l *Ledger) Recover() {
	for _, c := range l.Open() {
		l.Doubt(c.Ref)
	}
}

// maxReplans bounds how often one step is planned anew because the world had changed under its plan.
const maxReplans = 3

// Replan takes a step back to planning, since the world had changed under its plan and nothing was done. It passes all guards
// again. It reports false when that has happened too often.
func (l *Ledger) Replan(ref Ref) bool {
	p := l.at(ref)
	if p == nil || p.Outcome != Dispatched || p.Plan == nil || p.Replans >= maxReplans {
		return false
	}
	l.Touch(ref.Incident)
	p.Replans++
	if !p.Doubtful { // what may have been done counts
		l.refund(ref.Incident, ref.Playbook, p)
	}
	l.set(ref.Incident, ref.Playbook, p, Pending, "", "")
	return true
}

// Reject notes that the executor did not carry the step out: certain is true when it said so, and false when nobody
// knows, such as after a timeout. Either way the attempt counts, so that an executor which refuses is not asked over and
// over; [Ledger.Refuse] is for what was never asked.
func (l *Ledger) Reject(ref Ref, certain bool, detail string, now time.Time) []Change {
	p := l.at(ref)
	if p == nil || (p.Outcome != Dispatched && (p.Outcome != Pending || !p.Charged)) {
		return nil
	}
	if certain {
		l.Touch(ref.Incident)
		return l.fail(ref.Incident, ref.Playbook, p, ReasonRefused, detail, now)
	}
	return []Change{l.inconclusive(ref, p, ReasonUndelivered, detail, now)}
}

// inconclusive ends automation for the incident: nobody knows what has happened, so a person must look.
func (l *Ledger) inconclusive(ref Ref, p *Play, reason Reason, detail string, now time.Time) Change {
	l.Touch(ref.Incident)
	l.policy.inconclusive(now, ref.Playbook, p)
	c := l.set(ref.Incident, ref.Playbook, p, Inconclusive, reason, detail)
	c.Escalate = true
	return c
}

// fail notes that the current step did not help and goes where the playbook says: to the next step, back, or to a person.
func (l *Ledger) fail(id, name string, p *Play, reason Reason, detail string, now time.Time) []Change {
	l.Touch(id)
	l.policy.failed(now, name, p, reason)
	failed := l.set(id, name, p, Failed, reason, detail)
	_, step, known := l.step(name, p)
	if known && step.OnFailure == Next && !l.incidents[id].Resolved && reason != ReasonReturned {
		if next, ok := l.next(id, name, p, now); ok {
			return append([]Change{failed}, next...)
		}
	}
	if known && step.OnFailure == RollBack {
		if undo, ok := l.takeBack(id, name, p, reason, detail, now); ok {
			l.policy.learnFailure(name, p, true, now)
			return []Change{failed, undo}
		}
	}
	l.policy.learnFailure(name, p, false, now)
	failed.Escalate = true
	return []Change{failed}
}

// next goes on to the following step of the playbook, which passes the guards again. ok is false when there is none or the
// world has stopped: then nothing has changed.
func (l *Ledger) next(id, name string, p *Play, now time.Time) (changes []Change, ok bool) {
	rule := l.rules[name]
	if p.Step+1 >= len(rule.Steps) {
		return nil, false
	}
	if reason, _ := l.stoppedFor(id); reason != "" {
		return nil, false
	}
	if p.Charged { // a step that was refused was not done
		done := Done{Step: p.Step, Target: p.planned(), Receipt: p.wayBack()}
		if p.Plan != nil {
			done.Locks = p.Plan.Locks
		}
		p.Done = append(p.Done, done)
	}
	// Both deadlines have moved together, so that they tell what event time it is now.
	p.At = later(p.At, now.Add(p.EventDeadline.Sub(p.Deadline)))
	p.Step++
	p.Charged = false
	step := rule.Steps[p.Step]
	p.begin(step, now)
	p.EventDeadline = p.At.Add(step.Within)
	if step.Planned {
		return []Change{l.set(id, name, p, Pending, "", "")}, true
	}
	if reason, detail := l.denied(rule, id, p, now); reason != "" {
		return l.fail(id, name, p, reason, detail, now), true
	}
	c := l.set(id, name, p, l.entry(rule, id, p, now), "", "")
	c.Escalate = !p.Open()
	return []Change{c}, true
}

// planned is the target as the executor resolved it, or as the incident names it.
func (p *Play) planned() string {
	if p.Plan != nil {
		return p.Plan.Target
	}
	return p.Target
}
