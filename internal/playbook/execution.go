package playbook

import (
	"encoding/json"
	"time"
)

// overdue is how long past its deadline a step that an executor holds is left to the executor, which ends by itself.
const overdue = 30 * time.Second

// Dispatch is asked right before a step is handed to the executor, also again: it re-reads the incident and the world and
// says whether to go on. When not, the changes say what follows.
func (l *Ledger) Dispatch(ref Ref, now time.Time) (goOn bool, changes []Change) {
	p := l.at(ref)
	if p == nil || (p.Outcome != Pending && p.Outcome != Dispatched) {
		return false, nil
	}
	reason, detail := l.stopped()
	switch {
	case l.incidents[ref.Incident].Resolved:
		reason, detail = ReasonStale, "the incident is over"
	case !now.Before(p.Deadline):
		reason, detail = ReasonStale, "its time is over"
	case reason == ReasonWindow && p.Outcome == Dispatched:
		reason = "" // what was begun before a window is finished
	}
	if reason != "" {
		if p.Outcome == Pending {
			return false, l.Refuse(ref, reason, detail, now)
		}
		return false, []Change{l.inconclusive(ref, p, ReasonUndelivered, detail, now)}
	}
	if p.Outcome == Pending {
		l.set(ref.Incident, ref.Playbook, p, Dispatched, "", "")
	}
	return true, nil
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
	took := max(0, now.Sub(p.Decided))
	p.Deadline, p.EventDeadline = p.Deadline.Add(took), p.EventDeadline.Add(took)
	accepted := l.set(ref.Incident, ref.Playbook, p, Accepted, "", "")
	if step, ok := l.step(ref.Playbook, p); ok && step.Continue {
		if next, ok := l.next(ref.Incident, ref.Playbook, p, now); ok {
			return []Change{accepted, next}
		}
	}
	return []Change{accepted}
}

// maxReplans bounds how often one step is planned anew because the world had changed under its plan.
const maxReplans = 3

// Replan takes a step back to planning, since the world had changed under its plan and nothing was done. It reports false when
// that has happened too often.
func (l *Ledger) Replan(ref Ref) bool {
	p := l.at(ref)
	if p == nil || p.Outcome != Dispatched || p.Replans >= maxReplans {
		return false
	}
	l.Touch(ref.Incident)
	p.Replans++
	l.set(ref.Incident, ref.Playbook, p, Pending, "", "")
	return true
}

// Reject notes that the executor did not carry the step out: certain is true when it said so, and false when nobody
// knows, such as after a timeout.
func (l *Ledger) Reject(ref Ref, certain bool, detail string, now time.Time) []Change {
	p := l.at(ref)
	if p == nil || (p.Outcome != Pending && p.Outcome != Dispatched) {
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
	c := l.set(ref.Incident, ref.Playbook, p, Inconclusive, reason, detail)
	c.Escalate = true
	l.policy.inconclusive(now, ref.Playbook, p)
	return c
}

// fail notes that the current step did not help and goes where the playbook says: to the next step, back, or to a person.
func (l *Ledger) fail(id, name string, p *Play, reason Reason, detail string, now time.Time) []Change {
	l.policy.failed(now, name, p, reason)
	failed := l.set(id, name, p, Failed, reason, detail)
	step, known := l.step(name, p)
	over := l.incidents[id].Resolved || reason == ReasonReturned
	switch {
	case known && step.OnFailure == Next && !over:
		if next, ok := l.next(id, name, p, now); ok {
			return []Change{failed, next}
		}
	case known && step.OnFailure == RollBack && p.undoable():
		p.Deadline = now.Add(p.Within)
		return []Change{failed, l.set(id, name, p, Undoing, reason, detail)}
	}
	failed.Escalate = true
	return []Change{failed}
}

// next goes on to the following step of the playbook, which passes the guards of the world again.
func (l *Ledger) next(id, name string, p *Play, now time.Time) (Change, bool) {
	rule := l.rules[name]
	if p.Step+1 >= len(rule.Steps) {
		return Change{}, false
	}
	if reason, _ := l.stopped(); reason != "" {
		return Change{}, false
	}
	p.Done = append(p.Done, Done{Step: p.Step, Target: p.planned(), Receipt: p.Receipt})
	p.Step++
	p.Charged = false
	p.At = p.At.Add(now.Sub(p.Decided))
	p.begin(rule.Steps[p.Step], now)
	if !rule.Steps[p.Step].Planned {
		if reason, detail := l.policy.deny(now, name, p.Target, l.chargeOf(&rule, id, p)); reason != "" {
			c := l.set(id, name, p, Failed, reason, detail)
			c.Escalate = true
			return c, true
		}
		return l.set(id, name, p, l.entry(&rule, id, p, now), "", ""), true
	}
	return l.set(id, name, p, Pending, "", ""), true
}

// planned is the target as the executor resolved it, or as the incident names it.
func (p *Play) planned() string {
	if p.Plan != nil {
		return p.Plan.Target
	}
	return p.Target
}

func (p *Play) undoable() bool { return len(p.Undo()) > 0 }

// Undo returns the steps whose receipts say how to take them back, the latest first.
func (p *Play) Undo() []Done {
	var out []Done
	if len(p.Receipt) > 0 {
		out = append(out, Done{Step: p.Step, Target: p.planned(), Receipt: p.Receipt})
	}
	for i := len(p.Done) - 1; i >= 0; i-- {
		if d := p.Done[i]; len(d.Receipt) > 0 && !d.Undone {
			out = append(out, d)
		}
	}
	return out
}

// Undone notes that one step was taken back. When it was the last, the play has ended.
func (l *Ledger) Undone(ref Ref, step int) []Change {
	p := l.at(ref)
	if p == nil || p.Outcome != Undoing {
		return nil
	}
	l.Touch(ref.Incident)
	if step == p.Step {
		p.Receipt = nil
	}
	for i := range p.Done {
		if p.Done[i].Step == step {
			p.Done[i].Undone = true
		}
	}
	if p.undoable() {
		return nil
	}
	c := l.set(ref.Incident, ref.Playbook, p, RolledBack, p.Reason, p.Detail)
	c.Escalate = true
	return []Change{c}
}

// UndoFailed notes that what was done cannot be taken back by us.
func (l *Ledger) UndoFailed(ref Ref, detail string) []Change {
	p := l.at(ref)
	if p == nil || p.Outcome != Undoing {
		return nil
	}
	c := l.set(ref.Incident, ref.Playbook, p, Failed, ReasonUndoFailed, detail)
	c.Escalate = true
	return []Change{c}
}

// StartUndo takes back, on a person's word, what a play did. It reports false when there is nothing to take back or something is
// under way.
func (l *Ledger) StartUndo(incident, playbook string, now time.Time) (Change, bool) {
	inc := l.incidents[incident]
	if inc == nil || inc.Plays[playbook] == nil {
		return Change{}, false
	}
	p := inc.Plays[playbook]
	if p.Outcome == Undoing || p.Outcome == Dispatched || p.Outcome == Pending || !p.undoable() {
		return Change{}, false
	}
	l.Touch(incident)
	p.Deadline = now.Add(p.Within)
	return l.set(incident, playbook, p, Undoing, p.Reason, "asked for by a person"), true
}
