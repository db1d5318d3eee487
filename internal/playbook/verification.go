package playbook

import (
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Assessment is what independent signals say of an action.
type Assessment int

// The assessments.
const (
	// Unknown means that the signals are missing or stale.
	Unknown Assessment = iota
	// Unmet means that they are not as they should be, yet.
	Unmet
	// Met means that they have been as they should be for long enough.
	Met
	// Worse means that an explicit condition of failure holds.
	Worse
)

// Assess notes what independent signals say of an accepted step. Only with them does a step that is [Step.Assessed] succeed.
func (l *Ledger) Assess(ref Ref, a Assessment, now time.Time) []Change {
	p := l.at(ref)
	if p == nil || p.Outcome != Accepted {
		return nil
	}
	if p.Assessment != a {
		l.Touch(ref.Incident)
		p.Assessment = a
	}
	switch {
	case a == Worse:
		return l.fail(ref.Incident, ref.Playbook, p, ReasonWorse, p.because("an explicit sign of failure was seen"), now)
	case a == Met && p.Recovered:
		return []Change{l.succeed(ref.Incident, ref.Playbook, p, now)}
	default:
		return nil
	}
}

// Note keeps with an accepted step what its signals stand against it with, and, unless it is nil, what is needed to go on
// asking them after a restart. Only the latter is worth storing.
func (l *Ledger) Note(ref Ref, detail string, state json.RawMessage) {
	p := l.at(ref)
	if p == nil || p.Outcome != Accepted {
		return
	}
	if state != nil {
		l.Touch(ref.Incident)
		p.Signals = state
	}
	p.SignalDetail = detail
}

func (l *Ledger) succeed(id, name string, p *Play, now time.Time) Change {
	l.Touch(id)
	l.policy.succeeded(now, name, p)
	return l.set(id, name, p, Succeeded, ReasonRecovered, "")
}

// Progress compares an accepted action's deadline with the time of a later event of its incident, or of the one in which that
// goes on, which is still open.
func (l *Ledger) Progress(id string, at, now time.Time) []Change {
	late := func(id, name string, p *Play) []Change {
		if p.Outcome == Accepted && at.After(p.EventDeadline) {
			return l.unrecovered(id, name, p, "the incident went on", now)
		}
		return nil
	}
	changes := l.each(id, func(name string, p *Play) []Change { return late(id, name, p) })
	return append(changes, l.ofParts(id, late)...)
}

// unrecovered ends a step whose time is over. When our own input has stopped, nobody knows.
func (l *Ledger) unrecovered(id, name string, p *Play, detail string, now time.Time) []Change {
	switch {
	case l.world.Stale != "":
		return []Change{l.inconclusive(change(id, name, p).Ref, p, ReasonNoData, l.world.Stale, now)}
	case p.Recovered && p.Assessment == Unknown:
		return []Change{l.inconclusive(change(id, name, p).Ref, p, ReasonNoData, p.because("the incident ended, but the independent signals are missing, stale or too young"), now)}
	case p.Recovered:
		detail = p.because("the incident ended, but the independent signals are not as they should be")
	}
	return l.fail(id, name, p, ReasonNotRecovered, detail, now)
}

// because adds what the signals stand against success with.
func (p *Play) because(detail string) string {
	if p.SignalDetail == "" {
		return detail
	}
	return detail + ": " + p.SignalDetail
}

// Reread looks at a later event of an incident and withdraws what was decided and not begun, if the event speaks of another
// target, or speaks of it with less confidence than the playbook wants. A playbook's target and confidence are what cause
// returns.
func (l *Ledger) Reread(id string, cause func(playbook string) (target string, confidence float64), now time.Time) []Change {
	return l.each(id, func(name string, p *Play) []Change {
		if p.Outcome != Pending && p.Outcome != Awaiting {
			return nil
		}
		rule, _, known := l.step(name, p)
		if !known {
			return nil // it ends by itself
		}
		switch target, confidence := cause(name); {
		case target == p.Target && confidence >= rule.MinConfidence:
			return nil
		case p.Step == 0:
			return l.abandon(id, name, p, ReasonStale, "a later event of the incident no longer names this cause", now)
		default:
			return l.stop(id, name, p, Failed, ReasonStale, "a later event of the incident no longer names this cause", now)
		}
	})
}

// Resolve notes the end of an incident and gives the verdict on its actions, and on those of incidents that went on as parts of
// it. Recovered is false when it is not known whether the incident has really ended; neither is it while our own input has stopped.
func (l *Ledger) Resolve(id string, at time.Time, recovered bool, now time.Time) []Change {
	return l.end(id, now, func(id, name string, p *Play) []Change {
		switch {
		case l.world.Stale != "":
			return []Change{l.inconclusive(change(id, name, p).Ref, p, ReasonNoData, l.world.Stale, now)}
		case !recovered:
			return []Change{l.inconclusive(change(id, name, p).Ref, p, ReasonNoData, "the telemetry that showed the symptoms stopped", now)}
		case at.After(p.EventDeadline):
			return l.unrecovered(id, name, p, "the incident ended too late", now)
		case p.Assessed && p.Assessment != Met:
			l.Touch(id)
			p.Recovered = true
			return nil
		default:
			return []Change{l.succeed(id, name, p, now)}
		}
	})
}

// Merge notes that an incident goes on as a part of another one, whose end then tells what its actions were good for. When that
// one is not known to be open, nobody can tell.
func (l *Ledger) Merge(id, into string, now time.Time) []Change {
	whole := l.incidents[into]
	return l.end(id, now, func(part, name string, p *Play) []Change {
		if whole == nil || whole.Resolved {
			return []Change{l.inconclusive(change(part, name, p).Ref, p, ReasonMerged, "the incident goes on as a part of another one", now)}
		}
		l.Touch(part)
		p.Into = into
		l.index(playKey{part, name}, p)
		return nil
	})
}

// ofParts asks f about the accepted plays of the incidents that go on as parts of one, in the order of their names.
func (l *Ledger) ofParts(whole string, f func(id, name string, p *Play) []Change) []Change {
	var out []Change
	for _, k := range slices.SortedFunc(maps.Keys(l.joined), comparePlays) {
		if p := l.joined[k]; p.Into == whole && !p.Recovered {
			out = append(out, f(k.incident, k.playbook, p)...)
		}
	}
	return out
}

// end notes the end of an incident. The verdict is asked for on each accepted action, those of its parts included.
func (l *Ledger) end(id string, now time.Time, verdict func(id, name string, p *Play) []Change) []Change {
	inc := l.incidents[id]
	if inc == nil || inc.Resolved {
		return nil
	}
	l.Touch(id)
	inc.Resolved = true
	l.retire(id, inc)
	changes := l.each(id, func(name string, p *Play) []Change {
		switch p.Outcome {
		case Pending, Awaiting:
			return l.abandon(id, name, p, ReasonStale, "the incident is over", now)
		case Accepted:
			return verdict(id, name, p)
		default:
			return nil
		}
	})
	return append(changes, l.ofParts(id, verdict)...)
}

// abandon ends what was decided and not begun.
func (l *Ledger) abandon(id, name string, p *Play, reason Reason, detail string, now time.Time) []Change {
	l.Touch(id)
	if p.Doubtful {
		return []Change{l.inconclusive(change(id, name, p).Ref, p, ReasonUndelivered, "an attempt may have been carried out; then "+detail, now)}
	}
	l.refund(id, name, p)
	if p.Step == 0 {
		return []Change{l.set(id, name, p, Skipped, reason, detail)}
	}
	return l.fail(id, name, p, reason, detail, now)
}

// stop ends a play that is not wanted any more, or that nobody answered: it takes back what was done where the step says so, and never
// goes on.
func (l *Ledger) stop(id, name string, p *Play, o Outcome, reason Reason, detail string, now time.Time) []Change {
	l.Touch(id)
	l.refund(id, name, p)
	c := l.set(id, name, p, o, reason, detail)
	if _, step, known := l.step(name, p); known && step.OnFailure == RollBack {
		if undo, ok := l.takeBack(id, name, p, reason, detail, now); ok {
			l.policy.learnFailure(name, p, true, now)
			return []Change{c, undo}
		}
	}
	l.policy.learnFailure(name, p, false, now)
	c.Escalate = o == Expired || o == Failed || len(p.Done) > 0
	return []Change{c}
}

// Expire ends what has waited past its deadline on the wall clock, or cannot go on since its playbook was changed.
func (l *Ledger) Expire(now time.Time) []Change {
	l.trim(now)
	var out []Change
	for _, c := range l.Open() {
		id, name, p := c.Incident, c.Playbook, l.open[playKey{c.Incident, c.Playbook}]
		if p == nil {
			continue
		}
		rule, _, known := l.step(name, p)
		if known {
			l.drawIn(id, rule, p, now)
		}
		switch late := now.Sub(p.Deadline); {
		case !known && (p.Outcome == Awaiting || p.Outcome == Pending):
			out = append(out, l.abandon(id, name, p, ReasonVersion, changedSince, now)...)
		case p.Outcome == Awaiting && !now.Before(p.Expires):
			out = append(out, l.stop(id, name, p, Expired, ReasonExpired, "nobody approved in time", now)...)
		case p.Outcome == Awaiting || late < 0:
		case p.Outcome == Accepted:
			out = append(out, l.unrecovered(id, name, p, "the incident went on", now)...)
		case p.Outcome == Pending:
			out = append(out, l.abandon(id, name, p, ReasonStale, "its time is over", now)...)
		case p.Outcome == Dispatched && (p.Plan == nil || late >= overdue):
			out = append(out, l.inconclusive(c.Ref, p, ReasonUndelivered, "the executor did not answer in time", now))
		case p.Outcome == Undoing && late >= overdue:
			out = append(out, l.UndoFailed(c.Ref, "taking it back did not end in time")...)
		}
	}
	return out
}

// drawIn makes deadlines that lie further ahead than they can, because the clock was set back, what they can be at most.
func (l *Ledger) drawIn(id string, rule *Rule, p *Play, now time.Time) {
	deadline, expires := now.Add(p.Within), now.Add(rule.ApproveWithin)
	if p.Deadline.After(deadline) {
		l.Touch(id)
		p.Deadline = deadline
	}
	if p.Expires.After(expires) {
		l.Touch(id)
		p.Expires = expires
	}
}

// each asks f about every play of an incident, in the order of the playbooks' names.
func (l *Ledger) each(id string, f func(string, *Play) []Change) []Change {
	inc := l.incidents[id]
	if inc == nil {
		return nil
	}
	var out []Change
	for _, name := range sortedKeys(inc.Plays) {
		out = append(out, f(name, inc.Plays[name])...)
	}
	return out
}
