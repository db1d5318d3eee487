package playbook

import (
	"fmt"
	"slices"
	"time"
)

// maxTurns bounds how many deferred plays are decided again at a time, so that a tick does not take longer the more wait.
const maxTurns = 1000

// passing reports whether what stands against a play ends by itself, so that it is decided again without another event.
func passing(r Reason) bool {
	switch r {
	case ReasonPaused, ReasonNotLeading, ReasonFrozen, ReasonWindow, ReasonSilenced, ReasonStorm:
		return true
	default:
		return false
	}
}

// deferAgain keeps a later event of an incident for a play that is deferred for the same reason as before.
func (l *Ledger) deferAgain(rule *Rule, p *Play, o *Observation, now time.Time) {
	if p.Deferred == nil || p.Deferred.Revision == o.Revision {
		return
	}
	l.Touch(o.Incident)
	p.Deferred, p.Revision, p.Decided, p.Version, p.Occurrence = o, o.Revision, now, rule.Version, l.incidents[o.Incident].Occurrence
}

// Reconsider decides again on what was deferred, while the incident goes on as it was then: those that wait for longest come
// first, and no more than a thousand at a time. The changes are those plays that now go on, or stand against something else.
func (l *Ledger) Reconsider(now time.Time) []Change {
	if reason, _ := l.stopped(); reason != "" {
		return nil
	}
	var out []Change
	for _, k := range l.turns.take(maxTurns) {
		p := l.deferred[k]
		if p == nil {
			continue
		}
		if !l.stillHolds(k, p) {
			delete(l.deferred, k)
			continue
		}
		o := *p.Deferred
		if o.Told.IsZero() {
			o.Told = o.At
		}
		if age := now.Sub(o.Told); l.limits.MaxEventAge > 0 && age > l.limits.MaxEventAge && o.Obstacle == "" {
			o.Obstacle = ReasonFrozen
			o.ObstacleDetail = fmt.Sprintf("the last event is %s old, more than max_event_age", age.Round(time.Second))
		}
		o.At = o.At.Add(max(0, now.Sub(p.Decided)))
		if c, ok := l.Decide(k.playbook, o, now); ok {
			out = append(out, c)
		} else {
			l.index(k, p)
		}
	}
	return out
}

// stillHolds reports whether what was observed when the play was deferred is the last that is known of its incident, and
// the playbook is still the same: otherwise its conditions may hold no longer, or its orders be others.
func (l *Ledger) stillHolds(k playKey, p *Play) bool {
	inc, rule := l.incidents[k.incident], l.rules[k.playbook]
	return !inc.Resolved && p.Occurrence == inc.Occurrence && p.Deferred.Revision == inc.Revision && rule != nil && rule.Version == p.Version
}

// turns is a line of plays, each in it once.
type turns struct {
	line []playKey
	in   map[playKey]bool
}

func newTurns() turns { return turns{in: map[playKey]bool{}} }

// add puts a play at the end. Those that are no longer deferred leave the line when they are the most of it.
func (t *turns) add(k playKey, deferred map[playKey]*Play) {
	if t.in[k] {
		return
	}
	t.in[k] = true
	t.line = append(t.line, k)
	if len(t.line) <= 2*len(deferred)+64 {
		return
	}
	t.line = slices.DeleteFunc(t.line, func(k playKey) bool {
		if deferred[k] == nil {
			delete(t.in, k)
			return true
		}
		return false
	})
}

// take removes the first n, or fewer, and returns them.
func (t *turns) take(n int) []playKey {
	n = min(n, len(t.line))
	first := slices.Clone(t.line[:n])
	t.line = t.line[n:]
	for _, k := range first {
		delete(t.in, k)
	}
	return first
}
