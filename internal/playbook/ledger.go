package playbook

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// Limits bound what a [Ledger] keeps and how much it lets happen.
type Limits struct {
	// MaxIncidents bounds the incidents, and the cooldowns, that are remembered.
	MaxIncidents int
	// ForgetAfter is how long after its last event an incident is forgotten, open or not.
	ForgetAfter time.Duration
	// MaxEventAge is the age of an event, wall time against event time, past which what was deferred is left alone until
	// another comes; 0 is no limit.
	MaxEventAge time.Duration
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

	// aged is the time of the incident's one valid entry in the ledger's ages.
	aged time.Time
}

// Ledger remembers incidents, plays, and what the guards count.
type Ledger struct {
	limits Limits
	rules  map[string]*Rule
	world  World
	// silenced says what keeps an incident from being acted on; nil without such a thing.
	silenced func(incident string) string
	policy   *Policy

	incidents map[string]*Incident
	// open are the plays that wait for something, and held is what those in flight hold.
	open map[playKey]*Play
	held holders
	// joined are those of open that are carried out, and whose incident goes on as a part of another.
	joined map[playKey]*Play
	// deferred are the plays that are decided again as time passes.
	deferred  map[playKey]*Play
	turns     turns
	cooldowns map[cooldownKey]time.Time

	// ages has all incidents by when they were seen, ended the resolved ones, and ending the cooldowns by their end.
	ages, ended queue[string]
	ending      queue[cooldownKey]
	// latest is the latest wall time that was told of.
	latest time.Time

	// commonChanged is set when what the ledger itself counts over all incidents was changed.
	commonChanged bool
	journal       journal
}

type playKey struct{ incident, playbook string }

type cooldownKey struct{ playbook, target string }

func compareCooldowns(a, b cooldownKey) int {
	return cmp.Or(cmp.Compare(a.playbook, b.playbook), cmp.Compare(a.target, b.target))
}

// NewLedger returns an empty ledger for the playbooks with these rules, whose names differ.
func NewLedger(limits Limits, policy *Policy, rules ...Rule) *Ledger {
	l := &Ledger{
		limits: limits, policy: policy, rules: map[string]*Rule{}, incidents: map[string]*Incident{},
		open: map[playKey]*Play{}, joined: map[playKey]*Play{}, held: newHolders(), deferred: map[playKey]*Play{}, turns: newTurns(), cooldowns: map[cooldownKey]time.Time{},
		ages: queue[string]{compare: strings.Compare}, ended: queue[string]{compare: strings.Compare},
		ending: queue[cooldownKey]{compare: compareCooldowns}, journal: newJournal(),
	}
	for _, r := range rules {
		l.rules[r.Name] = &r
	}
	return l
}

// SetWorld says how the surroundings are from now on.
func (l *Ledger) SetWorld(w World) { l.world = w }

// SetSilenced makes the ledger ask f, whenever something may act, what keeps the incident from being acted on: it answers with
// what that is, to be told to people, or with nothing. Like a window, this ends by itself.
func (l *Ledger) SetSilenced(f func(incident string) string) { l.silenced = f }

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
	l.latest = later(l.latest, now)
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
	l.enter(id, &Incident{Revision: revision, Seen: now})
	return New
}

// enter puts an incident that is not there into all places.
func (l *Ledger) enter(id string, inc *Incident) {
	l.incidents[id] = inc
	l.age(id, inc)
	if inc.Resolved {
		l.retire(id, inc)
	}
	for name, p := range inc.Plays {
		l.index(playKey{id, name}, p)
	}
}

func (l *Ledger) drop(id string) {
	l.Touch(id)
	for name := range l.incidents[id].Plays {
		delete(l.open, playKey{id, name})
		delete(l.joined, playKey{id, name})
		delete(l.deferred, playKey{id, name})
		l.held.set(playKey{id, name}, nil)
	}
	delete(l.incidents, id)
}

// age gives an incident its place among the ages.
func (l *Ledger) age(id string, inc *Incident) {
	if l.ages.crowded(len(l.incidents)) {
		l.ages.entries = nil
		for other, inc := range l.incidents {
			inc.aged = inc.Seen
			l.ages.add(inc.Seen, other)
		}
		return
	}
	inc.aged = inc.Seen
	l.ages.add(inc.Seen, id)
}

// retire puts a resolved incident among those that may make room.
func (l *Ledger) retire(id string, inc *Incident) {
	if l.ended.crowded(len(l.incidents)) {
		l.ended.entries = nil
		for other, inc := range l.incidents {
			if inc.Resolved {
				l.ended.add(inc.Seen, other)
			}
		}
		return
	}
	l.ended.add(inc.Seen, id)
}

// evictResolved forgets the resolved incident that was silent for longest and for which nothing is under way.
func (l *Ledger) evictResolved() bool {
	var busy []entry[string]
	defer func() {
		for _, e := range busy {
			l.ended.add(e.at, e.key)
		}
	}()
	for l.ended.Len() > 0 {
		e := l.ended.take()
		switch inc := l.incidents[e.key]; {
		case inc == nil || !inc.Resolved || !inc.Seen.Equal(e.at):
		case inc.busy():
			busy = append(busy, e)
		default:
			l.drop(e.key)
			return true
		}
	}
	return false
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
	l.latest = later(l.latest, now)
	for _, name := range sortedKeys(inc.Plays) {
		p := inc.Plays[name]
		if p.Into != "" { // it is an incident of its own again
			p.Into = ""
			l.index(playKey{id, name}, p)
		}
		if p.Outcome == Succeeded || (p.Outcome == Accepted && p.Recovered) {
			changes = append(changes, l.fail(id, name, p, ReasonReturned, "the incident came back", now)...)
		}
	}
	return changes, true
}

// Occurred says how often an incident has come back, where its events tell: so a ledger that missed some of it, or had
// forgotten the incident, leads to the same intents as one that did not.
func (l *Ledger) Occurred(id string, times int) {
	if inc := l.incidents[id]; inc != nil && inc.Occurrence < times {
		l.Touch(id)
		inc.Occurrence = times
	}
}

// setBack is by how much the clock must have been set back to be noticed: callers may have read it a little earlier.
const setBack = time.Minute

// Forget drops the incidents whose last event is too old and for which nothing is under way, and returns how many of them were
// still open.
func (l *Ledger) Forget(now time.Time) (resolved, open int) {
	if l.latest.Sub(now) > setBack {
		l.rewind(now)
	}
	l.latest = later(l.latest, now)
	var busy []entry[string]
	for e, ok := l.ages.next(); ok && now.Sub(e.at) >= l.limits.ForgetAfter; e, ok = l.ages.next() {
		l.ages.take()
		switch inc := l.incidents[e.key]; {
		case inc == nil || !inc.aged.Equal(e.at):
		case inc.Seen.After(e.at):
			l.age(e.key, inc)
		case inc.busy():
			busy = append(busy, e)
		case inc.Resolved:
			resolved++
			l.drop(e.key)
		default:
			open++
			l.drop(e.key)
		}
	}
	for _, e := range busy {
		l.ages.add(e.at, e.key)
	}
	return resolved, open
}

// rewind takes what was seen ahead of now, because the clock was set back, to be seen now: it is kept for its whole time
// once more, and never longer.
func (l *Ledger) rewind(now time.Time) {
	l.latest = now
	l.ages.entries, l.ended.entries = nil, nil
	for _, id := range sortedKeys(l.incidents) {
		inc := l.incidents[id]
		if inc.Seen.After(now) {
			l.Touch(id)
			inc.Seen = now
		}
		l.age(id, inc)
		if inc.Resolved {
			l.retire(id, inc)
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
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
	for _, k := range slices.SortedFunc(maps.Keys(l.open), comparePlays) {
		out = append(out, change(k.incident, k.playbook, l.open[k]))
	}
	return out
}

func comparePlays(a, b playKey) int {
	return cmp.Or(cmp.Compare(a.incident, b.incident), cmp.Compare(a.playbook, b.playbook))
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

// index keeps the play where it is found by what it waits for, and notes what it holds.
func (l *Ledger) index(k playKey, p *Play) {
	delete(l.open, k)
	delete(l.joined, k)
	if p.Outcome == Accepted && p.Into != "" {
		l.joined[k] = p
	}
	switch {
	case p.Open():
		l.open[k] = p
		delete(l.deferred, k)
	case p.Outcome == Skipped && p.Deferred != nil:
		l.deferred[k] = p
		l.turns.add(k, l.deferred)
	default:
		delete(l.deferred, k)
	}
	l.held.set(k, p.holds())
}

func change(id, playbook string, p *Play) Change {
	return Change{Ref: Ref{id, playbook, p.Revision, p.Step}, Play: *p}
}

// step returns the rule and the step that a play is at. ok is false when the playbook has changed or gone since.
func (l *Ledger) step(playbook string, p *Play) (rule *Rule, step Step, ok bool) {
	rule = l.rules[playbook]
	if rule == nil || rule.Version != p.Version || p.Step >= len(rule.Steps) {
		return nil, Step{}, false
	}
	return rule, rule.Steps[p.Step], true
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
