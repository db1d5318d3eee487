package playbook

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// The errors of an approval.
var (
	// ErrUnknownIntent means that no intent with this ID waits or is remembered.
	ErrUnknownIntent = errors.New("no such intent")
	// ErrNotAwaiting means that the intent does not wait for approval, or no longer.
	ErrNotAwaiting = errors.New("intent does not await approval")
	// ErrTwice means that this person has approved already, where several must.
	ErrTwice = errors.New("this person has approved already, another one is needed")
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
// again before it is carried out.
func (l *Ledger) Approve(intent, by string, now time.Time) ([]Change, error) {
	ref, p := l.find(intent)
	if p == nil {
		return nil, ErrUnknownIntent
	}
	rule := l.rules[ref.Playbook]
	switch {
	case p.Outcome != Awaiting:
		return nil, fmt.Errorf("%w: it is %s", ErrNotAwaiting, p.Outcome)
	case !now.Before(p.Expires):
		return nil, fmt.Errorf("%w: it expired at %s", ErrNotAwaiting, p.Expires.UTC().Format(time.RFC3339))
	case slices.ContainsFunc(p.Approvals, func(a Approval) bool { return a.By == by }):
		return nil, ErrTwice
	}
	l.Touch(ref.Incident)
	p.Approvals = append(p.Approvals, Approval{by, now})
	if len(p.Approvals) < rule.Approvers {
		return []Change{l.set(ref.Incident, ref.Playbook, p, Awaiting, "", "")}, nil
	}
	// The wait for people does not shorten the time to act and to recover.
	waited := max(0, now.Sub(p.Decided))
	p.Decided, p.Deadline, p.EventDeadline = now, p.Deadline.Add(waited), p.EventDeadline.Add(waited)
	if step, ok := l.step(ref.Playbook, p); ok && step.Planned {
		return []Change{l.set(ref.Incident, ref.Playbook, p, Pending, "", "")}, nil
	}
	reason, detail := l.stopped()
	if reason == "" {
		reason, detail = l.policy.deny(now, ref.Playbook, p.Target, l.chargeOf(&rule, ref.Incident, p))
	}
	if reason != "" {
		return l.abandon(ref.Incident, ref.Playbook, p, reason, detail, now), nil
	}
	return []Change{l.set(ref.Incident, ref.Playbook, p, l.entry(&rule, ref.Incident, p, now), "", "")}, nil
}

// Deny notes that a person does not want an intent carried out. The playbook ends with it.
func (l *Ledger) Deny(intent, by string) ([]Change, error) {
	ref, p := l.find(intent)
	if p == nil {
		return nil, ErrUnknownIntent
	}
	if p.Outcome != Awaiting {
		return nil, fmt.Errorf("%w: it is %s", ErrNotAwaiting, p.Outcome)
	}
	l.Touch(ref.Incident)
	l.refund(ref.Incident, ref.Playbook, p)
	return []Change{l.set(ref.Incident, ref.Playbook, p, Denied, ReasonDenied, "denied by "+by)}, nil
}
