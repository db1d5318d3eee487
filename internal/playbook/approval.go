package playbook

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// The errors of an approval.
var (
	// ErrUnknownIntent means that no intent with this ID is under way.
	ErrUnknownIntent = errors.New("no such intent")
	// ErrNotAwaiting means that the intent does not wait for approval, or no longer.
	ErrNotAwaiting = errors.New("intent does not await approval")
	// ErrTwice means that this person has approved already, where several must.
	ErrTwice = errors.New("this person has approved already, another one is needed")
	// ErrOther means that the approval is one of what was asked before, or of something else.
	ErrOther = errors.New("what would be done has changed since it was asked")
	// ErrNobody means that an approval does not say whose it is.
	ErrNobody = errors.New("an approval must say whose it is")
)

// find returns the play whose current step has this intent.
func (l *Ledger) find(intent string) (Ref, *Play) {
	for _, c := range l.Open() {
		if c.Intent() == intent {
			return c.Ref, l.open[playKey{c.Incident, c.Playbook}]
		}
	}
	return Ref{}, nil
}

// Approve notes a person's consent to an intent. When enough have consented, the step is pending and the world is looked at
// again before it is carried out. Asked is what the person was asked, as [Play.Asked] says it; empty leaves that open.
func (l *Ledger) Approve(intent, by, asked string, now time.Time) ([]Change, error) {
	ref, p := l.find(intent)
	switch {
	case p == nil:
		return nil, ErrUnknownIntent
	case by == "":
		return nil, ErrNobody
	case p.Outcome != Awaiting:
		return nil, fmt.Errorf("%w: it is %s", ErrNotAwaiting, p.Outcome)
	case !now.Before(p.Expires):
		return nil, fmt.Errorf("%w: it expired at %s", ErrNotAwaiting, p.Expires.UTC().Format(time.RFC3339))
	case asked != "" && asked != p.Asked():
		return nil, ErrOther
	case slices.ContainsFunc(p.Approvals, func(a Approval) bool { return a.By == by }):
		return nil, ErrTwice
	}
	rule, step, known := l.step(ref.Playbook, p)
	if !known {
		return l.abandon(ref.Incident, ref.Playbook, p, ReasonVersion, changedSince, now), nil
	}
	l.Touch(ref.Incident)
	p.Approvals = append(slices.Clip(p.Approvals), Approval{by, now})
	if len(p.Approvals) < rule.approvers() {
		return []Change{l.set(ref.Incident, ref.Playbook, p, Awaiting, "", "")}, nil
	}
	// The wait for people does not shorten the time to act and to recover.
	p.extend(now, rule.ApproveWithin)
	p.Decided = now
	if step.Planned {
		return []Change{l.set(ref.Incident, ref.Playbook, p, Pending, "", "")}, nil
	}
	reason, detail := l.stoppedFor(ref.Incident)
	if reason == "" {
		reason, detail = l.denied(rule, ref.Incident, p, now)
	}
	if reason != "" {
		return l.abandon(ref.Incident, ref.Playbook, p, reason, detail, now), nil
	}
	return []Change{l.set(ref.Incident, ref.Playbook, p, l.entry(rule, ref.Incident, p, now), "", "")}, nil
}

// Deny notes that a person does not want an intent carried out. The playbook ends with it, and takes back what it has done
// where the step says so.
func (l *Ledger) Deny(intent, by string, now time.Time) ([]Change, error) {
	ref, p := l.find(intent)
	switch {
	case p == nil:
		return nil, ErrUnknownIntent
	case by == "":
		return nil, ErrNobody
	case p.Outcome != Awaiting:
		return nil, fmt.Errorf("%w: it is %s", ErrNotAwaiting, p.Outcome)
	}
	return l.stop(ref.Incident, ref.Playbook, p, Denied, ReasonDenied, "denied by "+by, now), nil
}
