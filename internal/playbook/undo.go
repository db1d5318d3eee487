package playbook

import (
	"encoding/json"
	"slices"
	"time"
)

// Undo returns the steps whose receipts say how to take them back, the latest first.
func (p *Play) Undo() []Done {
	var out []Done
	if receipt := p.wayBack(); len(receipt) > 0 {
		out = append(out, Done{Step: p.Step, Target: p.planned(), Receipt: receipt})
	}
	for _, d := range slices.Backward(p.Done) {
		if len(d.Receipt) > 0 && !d.Undone {
			out = append(out, d)
		}
	}
	return out
}

// wayBack is what the executor needs to take the current step back, and empty for one that cannot be, such as a restart: that
// must not keep the others from being taken back.
func (p *Play) wayBack() json.RawMessage {
	if p.Plan != nil && !p.Plan.Undoable {
		return nil
	}
	return p.Receipt
}

func (p *Play) undoable() bool {
	return len(p.wayBack()) > 0 || slices.ContainsFunc(p.Done, func(d Done) bool { return len(d.Receipt) > 0 && !d.Undone })
}

// takeBack begins to take back what the play did. It reports false when there is nothing to take back, or when something else
// is under way for the incident or on what would be changed.
func (l *Ledger) takeBack(id, name string, p *Play, reason Reason, detail string, now time.Time) (Change, bool) {
	if !p.undoable() || !l.free(id, name, p) {
		return Change{}, false
	}
	l.Touch(id)
	p.Deadline = now.Add(p.Within)
	return l.set(id, name, p, Undoing, reason, detail), true
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
	p.Done = slices.Clone(p.Done) // since copies of the play are out
	for i := range p.Done {
		if p.Done[i].Step == step {
			p.Done[i].Undone = true
		}
	}
	if p.undoable() {
		l.index(ref.key(), p)
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
// under way: by this play, for its incident, or on what would be changed.
func (l *Ledger) StartUndo(incident, playbook string, now time.Time) (Change, bool) {
	inc := l.incidents[incident]
	if inc == nil || inc.Plays[playbook] == nil {
		return Change{}, false
	}
	p := inc.Plays[playbook]
	if p.Outcome == Undoing || p.Outcome == Dispatched || p.Outcome == Pending {
		return Change{}, false
	}
	before := p.Outcome
	c, ok := l.takeBack(incident, playbook, p, ReasonReverted, "asked for by a person", now)
	if ok && (before == Accepted || before == Succeeded) {
		l.policy.failed(now, playbook, p, ReasonReverted)
		l.policy.learnFailure(playbook, p, true, now)
		c.Play = *p
	}
	return c, ok
}
