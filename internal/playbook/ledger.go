package playbook

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// Limits bound what a [Ledger] keeps and how much it lets happen.
type Limits struct {
	// MaxIncidents bounds the incidents, and the cooldowns, that are remembered.
	MaxIncidents int
	// ForgetAfter is how long after its last event an incident is forgotten, open or not.
	ForgetAfter time.Duration
	// MaxActions is how many actions may start within Window.
	MaxActions int
	Window     time.Duration
}

// Verdict is what an event means to the ledger.
type Verdict int

// The verdicts.
const (
	// New is the first event that was seen of an incident.
	New Verdict = iota
	// Known is a further event of an incident.
	Known
	// Duplicate was seen before, is older than what was seen, or follows the incident's end without reopening it.
	Duplicate
	// Refused is a new incident for which there is no room.
	Refused
)

// Incident is what is remembered of one incident.
type Incident struct {
	Revision int64 `json:"revision"`
	Resolved bool  `json:"resolved,omitempty"`
	// Seen is the wall time of the last event.
	Seen time.Time `json:"seen"`
	// Memo is whatever the caller keeps with the incident.
	Memo json.RawMessage `json:"memo,omitempty"`
	// Plays are keyed by playbook.
	Plays map[string]*Play `json:"plays,omitempty"`
}

// Ledger remembers incidents, plays, cooldowns and the spent budget.
type Ledger struct {
	limits    Limits
	incidents map[string]*Incident
	cooldowns map[cooldownKey]time.Time
	// spent holds the wall times of the actions started within the window, oldest first.
	spent []time.Time
}

type cooldownKey struct{ playbook, target string }

// NewLedger returns an empty ledger.
func NewLedger(limits Limits) *Ledger {
	return &Ledger{limits: limits, incidents: map[string]*Incident{}, cooldowns: map[cooldownKey]time.Time{}}
}

// Len returns the number of incidents that are remembered.
func (l *Ledger) Len() int { return len(l.incidents) }

// Incident returns what is remembered of an incident, or nil.
func (l *Ledger) Incident(id string) *Incident { return l.incidents[id] }

// Observe notes an event of an incident.
func (l *Ledger) Observe(id string, revision int64, now time.Time) Verdict {
	if inc := l.incidents[id]; inc != nil {
		if inc.Resolved || revision <= inc.Revision {
			return Duplicate
		}
		inc.Revision, inc.Seen = revision, now
		return Known
	}
	if len(l.incidents) >= l.limits.MaxIncidents && !l.evictResolved() {
		return Refused
	}
	l.incidents[id] = &Incident{Revision: revision, Seen: now}
	return New
}

// evictResolved forgets the resolved incident that was silent for longest.
func (l *Ledger) evictResolved() bool {
	oldest := ""
	for id, inc := range l.incidents {
		if !inc.Resolved {
			continue
		}
		if oldest == "" || cmp.Or(inc.Seen.Compare(l.incidents[oldest].Seen), cmp.Compare(id, oldest)) < 0 {
			oldest = id
		}
	}
	delete(l.incidents, oldest)
	return oldest != ""
}

// Reopen notes that an incident which was held to be resolved goes on, and what that means for its actions: one that had
// succeeded has not. A playbook that has acted on the incident does not act on it again.
func (l *Ledger) Reopen(id string, revision int64, now time.Time) (changes []Change, ok bool) {
	inc := l.incidents[id]
	if inc == nil || !inc.Resolved || revision <= inc.Revision {
		return nil, false
	}
	inc.Resolved, inc.Revision, inc.Seen = false, revision, now
	return l.verify(id, func(p *Play) (Outcome, Reason) {
		if p.Outcome == Succeeded {
			return Failed, ReasonReturned
		}
		return "", ""
	}), true
}

// Decide applies the guards to a playbook whose conditions hold. The play it returns is a copy; ok is false when there
// is nothing to say: the playbook has already acted on this incident, or it is skipped for the same reason as before.
func (l *Ledger) Decide(rule Rule, o Observation, now time.Time) (play Play, ok bool) {
	inc := l.incidents[o.Incident]
	if inc == nil {
		return Play{}, false
	}
	before := inc.Plays[rule.Name]
	if before != nil && before.Outcome != Skipped {
		return Play{}, false
	}
	l.trim(now)
	p := &Play{
		Target: o.Target, Revision: o.Revision, Decided: now, Deadline: now.Add(rule.Within),
		At: o.At, EventDeadline: o.At.Add(rule.Within), Within: rule.Within,
	}
	p.Reason = l.deny(rule, o, now)
	switch {
	case p.Reason != "":
		p.Outcome = Skipped
		if before != nil && before.Reason == p.Reason {
			return Play{}, false
		}
	case rule.Mode == Auto:
		p.Outcome = Pending
		l.spent = append(l.spent, now)
		l.cooldowns[cooldownKey{rule.Name, o.Target}] = now.Add(rule.Cooldown)
	default:
		p.Outcome = Proposed
		l.cooldowns[cooldownKey{rule.Name, o.Target}] = now.Add(rule.Cooldown)
	}
	if inc.Plays == nil {
		inc.Plays = map[string]*Play{}
	}
	inc.Plays[rule.Name] = p
	return *p, true
}

// deny returns the first reason against acting, or none.
func (l *Ledger) deny(rule Rule, o Observation, now time.Time) Reason {
	switch {
	case rule.MaxRevision > 0 && o.Revision > rule.MaxRevision:
		return ReasonRevision
	case o.Target == "":
		return ReasonNoTarget
	case o.Confidence < rule.MinConfidence:
		return ReasonConfidence
	case o.Obstacle != "":
		return o.Obstacle
	}
	for id, inc := range l.incidents {
		for _, p := range inc.Plays {
			switch {
			case id == o.Incident && p.Outcome == Inconclusive:
				return ReasonInconclusive
			case id == o.Incident && p.inFlight():
				return ReasonInFlight
			case p.inFlight() && p.Target == o.Target:
				return ReasonTargetBusy
			}
		}
	}
	key := cooldownKey{rule.Name, o.Target}
	if now.Before(l.cooldowns[key]) {
		return ReasonCooldown
	}
	if _, held := l.cooldowns[key]; !held && len(l.cooldowns) >= l.limits.MaxIncidents {
		return ReasonLimit
	}
	if len(l.spent) >= l.limits.MaxActions {
		return ReasonBudget
	}
	return ""
}

// Dispatch is asked right before an action is handed to the executor, also again: it re-reads the incident and says
// whether to go on. When not, the change says why.
func (l *Ledger) Dispatch(id, playbook string, revision int64, now time.Time) (goOn bool, change *Change) {
	p := l.play(id, playbook, revision)
	if p == nil || (p.Outcome != Pending && p.Outcome != Dispatched) {
		return false, nil
	}
	if l.incidents[id].Resolved || !now.Before(p.Deadline) {
		if p.Outcome == Pending {
			return false, finish(id, playbook, p, Skipped, ReasonStale)
		}
		return false, finish(id, playbook, p, Inconclusive, ReasonUndelivered)
	}
	p.Outcome = Dispatched
	return true, nil
}

// Accept notes that the executor took the action. The time that this took is added to the deadlines. When the incident
// ended meanwhile, whether the action helped cannot be told.
func (l *Ledger) Accept(id, playbook string, revision int64, now time.Time) *Change {
	p := l.play(id, playbook, revision)
	if p == nil || p.Outcome != Dispatched {
		return nil
	}
	if l.incidents[id].Resolved {
		return finish(id, playbook, p, Inconclusive, ReasonUndelivered)
	}
	took := max(0, now.Sub(p.Decided))
	p.Outcome, p.Deadline, p.EventDeadline = Accepted, p.Deadline.Add(took), p.EventDeadline.Add(took)
	return nil
}

// Reject notes that the executor did not take the action: certain is true when it said so, and false when nobody
// knows, such as after a timeout.
func (l *Ledger) Reject(id, playbook string, revision int64, certain bool) *Change {
	p := l.play(id, playbook, revision)
	if p == nil || (p.Outcome != Pending && p.Outcome != Dispatched) {
		return nil
	}
	if certain {
		return finish(id, playbook, p, Failed, ReasonRefused)
	}
	return finish(id, playbook, p, Inconclusive, ReasonUndelivered)
}

// Progress compares an accepted action's deadline with the time of a later event of its incident, which is still open.
func (l *Ledger) Progress(id string, at time.Time) []Change {
	return l.verify(id, func(p *Play) (Outcome, Reason) {
		if p.Outcome == Accepted && at.After(p.EventDeadline) {
			return Failed, ReasonNotRecovered
		}
		return "", ""
	})
}

// Resolve notes the end of an incident and gives the verdict on its actions. Recovered is false when it is not known
// whether the incident has really ended.
func (l *Ledger) Resolve(id string, at time.Time, recovered bool) []Change {
	return l.end(id, func(p *Play) (Outcome, Reason) {
		switch {
		case !recovered:
			return Inconclusive, ReasonNoData
		case at.After(p.EventDeadline):
			return Failed, ReasonNotRecovered
		default:
			return Succeeded, ReasonRecovered
		}
	})
}

// Merge notes that an incident goes on as a part of another one: what its actions were good for cannot be told from its end.
func (l *Ledger) Merge(id string) []Change {
	return l.end(id, func(*Play) (Outcome, Reason) { return Inconclusive, ReasonMerged })
}

// end notes the end of an incident. The verdict is asked for on each accepted action.
func (l *Ledger) end(id string, verdict func(*Play) (Outcome, Reason)) []Change {
	inc := l.incidents[id]
	if inc == nil {
		return nil
	}
	inc.Resolved = true
	return l.verify(id, func(p *Play) (Outcome, Reason) {
		switch p.Outcome {
		case Pending:
			return Skipped, ReasonStale
		case Accepted:
			return verdict(p)
		default:
			return "", ""
		}
	})
}

// Expire ends what has waited past its deadline on the wall clock, and forgets what is old.
func (l *Ledger) Expire(now time.Time) []Change {
	var out []Change
	for _, id := range sortedKeys(l.incidents) {
		out = append(out, l.verify(id, func(p *Play) (Outcome, Reason) {
			switch {
			case now.Before(p.Deadline):
				return "", ""
			case p.Outcome == Accepted:
				return Failed, ReasonNotRecovered
			case p.Outcome == Pending:
				return Skipped, ReasonStale
			case p.Outcome == Dispatched:
				return Inconclusive, ReasonUndelivered
			default:
				return "", ""
			}
		})...)
	}
	return out
}

// Forget drops the incidents whose last event is too old and returns how many of them were still open.
func (l *Ledger) Forget(now time.Time) (resolved, open int) {
	for id, inc := range l.incidents {
		if now.Sub(inc.Seen) < l.limits.ForgetAfter {
			continue
		}
		delete(l.incidents, id)
		if inc.Resolved {
			resolved++
		} else {
			open++
		}
	}
	l.trim(now)
	return resolved, open
}

func (l *Ledger) verify(id string, judge func(*Play) (Outcome, Reason)) []Change {
	inc := l.incidents[id]
	if inc == nil {
		return nil
	}
	var out []Change
	for _, name := range sortedKeys(inc.Plays) {
		p := inc.Plays[name]
		if outcome, reason := judge(p); outcome != "" {
			out = append(out, *finish(id, name, p, outcome, reason))
		}
	}
	return out
}

// play returns the play that was decided on that revision; an older one has been replaced and no longer counts.
func (l *Ledger) play(id, playbook string, revision int64) *Play {
	if inc := l.incidents[id]; inc != nil {
		if p := inc.Plays[playbook]; p != nil && p.Revision == revision {
			return p
		}
	}
	return nil
}

// Play returns what is remembered of a playbook's dealing with an incident.
func (l *Ledger) Play(id, playbook string) (Play, bool) {
	if inc := l.incidents[id]; inc != nil && inc.Plays[playbook] != nil {
		return *inc.Plays[playbook], true
	}
	return Play{}, false
}

func finish(id, playbook string, p *Play, o Outcome, r Reason) *Change {
	p.Outcome, p.Reason = o, r
	return &Change{Incident: id, Playbook: playbook, Play: *p}
}

// trim drops what no longer counts against the guards.
func (l *Ledger) trim(now time.Time) {
	l.spent = slices.DeleteFunc(l.spent, func(t time.Time) bool { return now.Sub(t) >= l.limits.Window })
	for k, until := range l.cooldowns {
		if !now.Before(until) {
			delete(l.cooldowns, k)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
