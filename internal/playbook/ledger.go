package playbook

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Limits bound what a [Ledger] keeps and how much it lets happen.
type Limits struct {
	// MaxIncidents bounds the incidents, and the cooldowns, that are remembered.
	MaxIncidents int
	// ForgetAfter is how long after its last event an incident is forgotten, open or not.
	ForgetAfter time.Duration
}

// World is what the ledger is told of its surroundings before it decides.
type World struct {
	// Paused names what has paused automation; it is empty when nothing has.
	Paused string
	// Standby is set while another replica leads.
	Standby bool
	// Stale says which of our own inputs has stopped; it is empty while all flow.
	Stale string
	// Window names the maintenance window in which nothing may act now; it is empty when there is none.
	Window string
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
	// Occurrence counts how often it has come back.
	Occurrence int `json:"occurrence,omitempty"`
	// Seen is the wall time of the last event.
	Seen time.Time `json:"seen"`
	// Memo is whatever the caller keeps with the incident.
	Memo json.RawMessage `json:"memo,omitempty"`
	// Plays are keyed by playbook.
	Plays map[string]*Play `json:"plays,omitempty"`
}

// Ledger remembers incidents, plays, and what the guards count.
type Ledger struct {
	limits Limits
	rules  map[string]Rule
	world  World
	policy *Policy

	incidents map[string]*Incident
	// open are the plays that wait for something.
	open map[playKey]*Play
	// deferred are the plays that are decided again as time passes.
	deferred  map[playKey]*Play
	cooldowns map[cooldownKey]time.Time

	journal journal
}

type playKey struct{ incident, playbook string }

type cooldownKey struct{ playbook, target string }

// NewLedger returns an empty ledger for the playbooks with these rules, whose names differ.
func NewLedger(limits Limits, policy *Policy, rules ...Rule) *Ledger {
	l := &Ledger{
		limits: limits, policy: policy, rules: map[string]Rule{}, incidents: map[string]*Incident{},
		open: map[playKey]*Play{}, deferred: map[playKey]*Play{}, cooldowns: map[cooldownKey]time.Time{}, journal: newJournal(),
	}
	for _, r := range rules {
		l.rules[r.Name] = r
	}
	return l
}

// SetWorld says how the surroundings are from now on.
func (l *Ledger) SetWorld(w World) { l.world = w }

// Policy returns the guards that span incidents.
func (l *Ledger) Policy() *Policy { return l.policy }

// Len returns the number of incidents that are remembered.
func (l *Ledger) Len() int { return len(l.incidents) }

// Incident returns what is remembered of an incident, or nil. Only the memo may be written, after [Ledger.Touch].
func (l *Ledger) Incident(id string) *Incident { return l.incidents[id] }

// Touch notes that an incident is about to be changed.
func (l *Ledger) Touch(id string) { l.journal.touch(id, l.incidents[id]) }

// Observe notes an event of an incident.
func (l *Ledger) Observe(id string, revision int64, now time.Time) Verdict {
	if inc := l.incidents[id]; inc != nil {
		if inc.Resolved || revision <= inc.Revision {
			return Duplicate
		}
		l.Touch(id)
		inc.Revision, inc.Seen = revision, now
		return Known
	}
	if len(l.incidents) >= l.limits.MaxIncidents && !l.evictResolved() {
		return Refused
	}
	l.Touch(id)
	l.incidents[id] = &Incident{Revision: revision, Seen: now}
	return New
}

// evictResolved forgets the resolved incident that was silent for longest and for which nothing is under way.
func (l *Ledger) evictResolved() bool {
	oldest := ""
	for id, inc := range l.incidents {
		if !inc.Resolved || inc.busy() {
			continue
		}
		if oldest == "" || cmp.Or(inc.Seen.Compare(l.incidents[oldest].Seen), cmp.Compare(id, oldest)) < 0 {
			oldest = id
		}
	}
	if oldest == "" {
		return false
	}
	l.drop(oldest)
	return true
}

// busy reports whether a play of the incident waits for something.
func (inc *Incident) busy() bool {
	for _, p := range inc.Plays {
		if p.Open() {
			return true
		}
	}
	return false
}

func (l *Ledger) drop(id string) {
	l.Touch(id)
	for name := range l.incidents[id].Plays {
		delete(l.open, playKey{id, name})
		delete(l.deferred, playKey{id, name})
	}
	delete(l.incidents, id)
}

// Reopen notes that an incident which was held to be resolved goes on, and what that means for its actions: one that had
// succeeded has not. A playbook that has acted on the incident does not act on it again.
func (l *Ledger) Reopen(id string, revision int64, now time.Time) (changes []Change, ok bool) {
	inc := l.incidents[id]
	if inc == nil || !inc.Resolved || revision <= inc.Revision {
		return nil, false
	}
	l.Touch(id)
	inc.Resolved, inc.Revision, inc.Seen = false, revision, now
	inc.Occurrence++
	for _, name := range sortedKeys(inc.Plays) {
		if p := inc.Plays[name]; p.Outcome == Succeeded {
			changes = append(changes, l.fail(id, name, p, ReasonReturned, "the incident came back", now)...)
		}
	}
	return changes, true
}

// Forget drops the incidents whose last event is too old and for which nothing is under way, and returns how many of them were
// still open.
func (l *Ledger) Forget(now time.Time) (resolved, open int) {
	for _, id := range sortedKeys(l.incidents) {
		inc := l.incidents[id]
		if now.Sub(inc.Seen) < l.limits.ForgetAfter || inc.busy() {
			continue
		}
		if inc.Resolved {
			resolved++
		} else {
			open++
		}
		l.drop(id)
	}
	return resolved, open
}

// Play returns what is remembered of a playbook's dealing with an incident.
func (l *Ledger) Play(id, playbook string) (Play, bool) {
	if inc := l.incidents[id]; inc != nil && inc.Plays[playbook] != nil {
		return *inc.Plays[playbook], true
	}
	return Play{}, false
}

// Open returns the plays that wait for something, sorted by incident and playbook.
func (l *Ledger) Open() []Change {
	out := make([]Change, 0, len(l.open))
	for _, k := range sortedPlayKeys(l.open) {
		out = append(out, change(k.incident, k.playbook, l.open[k]))
	}
	return out
}

func sortedPlayKeys(m map[playKey]*Play) []playKey {
	return slices.SortedFunc(maps.Keys(m), func(a, b playKey) int {
		return cmp.Or(cmp.Compare(a.incident, b.incident), cmp.Compare(a.playbook, b.playbook))
	})
}

// At returns the play that ref names, if it still is at that step.
func (l *Ledger) At(ref Ref) (Play, bool) {
	if p := l.at(ref); p != nil {
		return *p, true
	}
	return Play{}, false
}

// at returns the play that ref names, if it still is at that step.
func (l *Ledger) at(ref Ref) *Play {
	inc := l.incidents[ref.Incident]
	if inc == nil {
		return nil
	}
	p := inc.Plays[ref.Playbook]
	if p == nil || p.Revision != ref.Revision || p.Step != ref.Step {
		return nil
	}
	return p
}

// set moves a play to an outcome.
func (l *Ledger) set(id, playbook string, p *Play, o Outcome, r Reason, detail string) Change {
	l.Touch(id)
	p.Outcome, p.Reason, p.Detail = o, r, detail
	if o == Skipped && !passing(r) {
		p.Deferred = nil
	}
	l.index(playKey{id, playbook}, p)
	return change(id, playbook, p)
}

// index keeps the play where it is found by what it waits for.
func (l *Ledger) index(k playKey, p *Play) {
	delete(l.open, k)
	delete(l.deferred, k)
	switch {
	case p.Open():
		l.open[k] = p
	case p.Outcome == Skipped && p.Deferred != nil:
		l.deferred[k] = p
	}
}

func change(id, playbook string, p *Play) Change {
	return Change{Ref: Ref{id, playbook, p.Revision, p.Step}, Play: *p}
}

// step returns the configuration of the play's current step. ok is false when the playbook has changed or gone since.
func (l *Ledger) step(playbook string, p *Play) (Step, bool) {
	rule, ok := l.rules[playbook]
	if !ok || rule.Version != p.Version || p.Step >= len(rule.Steps) {
		return Step{}, false
	}
	return rule.Steps[p.Step], true
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
