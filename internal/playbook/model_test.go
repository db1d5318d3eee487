package playbook

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/actionbudget"
	"github.com/paramedic-otel/paramedic/internal/circuitbreaker"
	"github.com/paramedic-otel/paramedic/internal/outcomes"
	"github.com/paramedic-otel/paramedic/internal/stormgate"
)

// TestModel does everything that can be done in random order, with a clock that also goes backwards, restarts and
// transactions, and checks after each operation what must hold whatever happens.
func TestModel(t *testing.T) {
	seeds, operations := 20, 1200
	if testing.Short() {
		seeds = 10
	}
	total := map[string]int{}
	for seed := range seeds {
		m := newModel(t, uint64(seed))
		for range operations {
			m.operate()
		}
		m.end()
		for k, n := range m.did {
			total[k] += n
		}
	}
	for _, o := range allOutcomes {
		require.Positive(t, total[string(o)], "no play ever was %s: %v", o, total)
	}
	for _, r := range []Reason{
		ReasonPaused, ReasonNotLeading, ReasonFrozen, ReasonWindow, ReasonRevision, ReasonTier, ReasonConfidence, ReasonWitnesses,
		ReasonInconclusive, ReasonInFlight, ReasonTargetBusy, ReasonCooldown, ReasonBreaker, ReasonStorm, ReasonBudget, ReasonLearned,
		ReasonStale, ReasonVersion, ReasonRecovered, ReasonNotRecovered, ReasonNoData, ReasonWorse, ReasonReturned, ReasonMerged,
		ReasonRefused, ReasonUndelivered, ReasonUndoFailed, ReasonReverted, ReasonDenied, ReasonExpired,
	} {
		require.Positive(t, total["reason "+string(r)], "no play ever was because of %s", r)
	}
	t.Log(total)
}

const (
	modelWindow  = 10 * time.Minute
	modelActions = 6
)

func modelPolicy(rng *rand.Rand) PolicySettings {
	b := circuitbreaker.Settings{Failures: 3, RateFailures: 4, RateOutcomes: 6, MaxActions: 3, Window: 5 * time.Minute, Cooldown: 2 * time.Minute, MaxKeys: 4}
	fleet := b
	fleet.Failures, fleet.RateFailures, fleet.RateOutcomes, fleet.MaxActions = 0, 18, 20, 0
	target := b // counts a target's objects too
	target.MaxActions, target.MaxKeys = 6, 8
	return PolicySettings{
		Budget: []actionbudget.Limit{
			{Scope: actionbudget.Fleet, MaxActions: modelActions, Window: modelWindow},
			{Scope: actionbudget.Namespace, Class: "node", MaxActions: 2, MaxPercent: 50, Window: time.Minute},
		},
		MaxCharges: 100, Playbook: b, Target: target, Fleet: fleet,
		Storm:    stormgate.Settings{MaxIncidents: 6 + rng.IntN(10), Window: time.Minute, MaxActions: 2, Quiet: time.Minute, Jitter: 30 * time.Second},
		Outcomes: outcomes.Settings{MaxPairs: 6, MinOutcomes: 5, Floor: 0.45, FloorOutcomes: 2, HalfLife: time.Hour},
	}
}

func modelRule(rng *rand.Rand, name string) Rule {
	modes := []Mode{Observe, Suggest, Approve, Auto, Auto, Auto}
	r := Rule{
		Name: name, Version: fmt.Sprint(rng.IntN(1e6)), Mode: modes[rng.IntN(len(modes))], MinConfidence: 0.2, MaxRevision: int64(rng.IntN(3)) * 4,
		Cooldown: time.Duration(rng.IntN(5)) * time.Minute, Witnesses: rng.IntN(3), Approvers: rng.IntN(3), ApproveWithin: 3 * time.Minute,
		TierModes: map[string]Mode{},
	}
	if rng.IntN(2) == 0 {
		r.TierModes["critical"] = modes[rng.IntN(len(modes))]
	}
	if rng.IntN(4) == 0 {
		r.Tiers = []string{"low", "critical"}
	}
	for range 1 + rng.IntN(3) {
		r.Steps = append(r.Steps, Step{
			Class: []string{"pod", "node"}[rng.IntN(2)], Planned: rng.IntN(3) > 0, Destructive: rng.IntN(4) == 0, Continue: rng.IntN(3) == 0,
			OnFailure: []OnFailure{Next, RollBack, Escalate}[rng.IntN(3)], Within: time.Duration(20+rng.IntN(100)) * time.Second,
			Assessed: rng.IntN(3) == 0,
		})
	}
	return r
}

// model drives a ledger and knows what must have become of it.
type model struct {
	t     *testing.T
	rng   *rand.Rand
	l     *Ledger
	rules []Rule
	now   time.Time
	world World
	// back is set by an operation in which the clock went back.
	back bool
	// before has each play as it was before the operation.
	before map[playKey]Play
	// known is for every intent what the model knows of it.
	known map[attempt]*intent
	did   map[string]int
}

// attempt names an intent.
type attempt struct {
	playKey
	occurrence, step int
}

type intent struct {
	// charged is when it was charged last, and key as what; done is set once something was, or may have been, carried out.
	charged    time.Time
	key        string
	done       bool
	dispatches int
	replans    int
	lost       bool
}

func newModel(t *testing.T, seed uint64) *model {
	rng := rand.New(rand.NewPCG(seed, 7))
	m := &model{t: t, rng: rng, now: start, known: map[attempt]*intent{}, did: map[string]int{}}
	for i := range 4 {
		m.rules = append(m.rules, modelRule(rng, fmt.Sprintf("p%d", i)))
	}
	m.l = NewLedger(Limits{MaxIncidents: 12, ForgetAfter: 20 * time.Minute}, NewPolicy(modelPolicy(rng)), m.rules...)
	return m
}

func (m *model) operate() {
	m.tick()
	switch m.rng.IntN(60) {
	case 0:
		if m.rng.IntN(2) == 0 {
			i := m.rng.IntN(len(m.rules))
			m.rules[i] = modelRule(m.rng, m.rules[i].Name)
		}
		m.l = restart(m.t, m.l, m.rules...)
		m.checkIndexes()
	case 1, 2:
		m.transact()
	default:
		m.step()
	}
}

// tick moves the clock.
func (m *model) tick() {
	switch n := m.rng.IntN(300); {
	case n == 0:
		m.now = m.now.Add(-time.Duration(m.rng.IntN(1200)) * time.Second)
		m.back = true
	case n == 1:
		m.now = m.now.Add(time.Duration(m.rng.IntN(40)) * time.Minute)
	case n < 150:
		m.now = m.now.Add(time.Duration(m.rng.IntN(12)) * time.Second)
	}
	if m.back {
		for _, k := range m.known {
			if k.charged.After(m.now) {
				k.charged = m.now
			}
			k.lost = true // whether the budget has forgotten it before cannot be told
		}
		m.back = false
	}
}

// transact does several operations and, half of the time, takes them back.
func (m *model) transact() {
	before, changed, world := encodeAll(m.t, m.l), maps.Clone(m.l.journal.changed), m.world
	known := map[attempt]*intent{}
	for k, v := range m.known {
		c := *v
		known[k] = &c
	}
	did := maps.Clone(m.did)
	require.NoError(m.t, m.l.Begin())
	require.Error(m.t, m.l.Begin())
	for range m.rng.IntN(8) {
		m.tick()
		m.step()
	}
	if m.rng.IntN(2) == 0 {
		m.l.Commit()
		return
	}
	require.NoError(m.t, m.l.Rollback())
	require.Equal(m.t, before, encodeAll(m.t, m.l))
	require.Equal(m.t, changed, m.l.journal.changed)
	m.known, m.did, m.world = known, did, world
	m.back = true // for what was taken back, time went on
	m.l.SetWorld(world)
	m.checkIndexes()
}

// step does one operation and checks what came of it.
func (m *model) step() {
	m.before = map[playKey]Play{}
	for id, inc := range m.l.incidents {
		for name, p := range inc.Plays {
			m.before[playKey{id, name}] = *p
		}
	}
	op, ref, changes, silent := m.do()
	m.check(op, ref, changes, silent)
}

// pick returns a play, mostly one that is open.
func (m *model) pick() (Ref, Play) {
	open := m.l.Open()
	if len(open) > 0 && m.rng.IntN(5) > 0 {
		c := open[m.rng.IntN(len(open))]
		return c.Ref, c.Play
	}
	all := []Change{}
	for _, id := range sortedKeys(m.l.incidents) {
		for _, name := range sortedKeys(m.l.incidents[id].Plays) {
			all = append(all, change(id, name, m.l.incidents[id].Plays[name]))
		}
	}
	if len(all) == 0 {
		return Ref{}, Play{}
	}
	c := all[m.rng.IntN(len(all))]
	if m.rng.IntN(10) == 0 {
		c.Step++ // late news of something that has moved on
	}
	return c.Ref, c.Play
}

func (m *model) incident() string { return fmt.Sprintf("i%d", m.rng.IntN(16)) }

// do does one operation. Silent ones move a play without reporting a change.
func (m *model) do() (op string, ref Ref, changes []Change, silent bool) {
	l, rng, now := m.l, m.rng, m.now
	id := m.incident()
	ref, p := m.pick()
	n := rng.IntN(40)
	if rng.IntN(3) > 0 {
		n = natural(p, n)
	}
	switch n {
	case 0, 1, 2, 3, 4, 5, 6, 7:
		op = "event"
		changes = m.event(id)
	case 8, 9, 10, 11, 12:
		op = "admit"
		changes, _ = l.Admit(ref, m.plan(), now)
	case 13, 14, 15, 16:
		op, silent = "dispatch", true
		_, changes = l.Dispatch(ref, now)
	case 17, 18, 19, 20:
		op = "accept"
		var r json.RawMessage
		if rng.IntN(3) > 0 {
			r = receipt
		}
		changes = l.Accept(ref, r, now)
	case 21:
		op = "reject"
		changes = l.Reject(ref, rng.IntN(2) == 0, "it said so", now)
	case 22:
		op = "refuse"
		if rng.IntN(2) == 0 {
			break
		}
		if rng.IntN(2) == 0 {
			changes = l.Refuse(ref, "owner", "somebody else owns it", now)
			break
		}
		m.know(ref, p.Occurrence).replans++ // nothing was begun, so it may be decided on again
		changes = l.Withhold(ref, "over_budget", "the fleet has done enough", now)
	case 23:
		op, silent = "replan", true
		if l.Replan(ref) {
			m.know(ref, p.Occurrence).replans++
		}
	case 24, 25:
		op = "assess"
		changes = l.Assess(ref, Assessment(rng.IntN(4)), now)
	case 26:
		op = "resolve"
		if p.Outcome == Accepted {
			id = ref.Incident
		}
		changes = l.Resolve(id, now.Add(time.Duration(rng.IntN(60)-50)*time.Second), rng.IntN(4) > 0, now)
	case 27:
		op = "merge"
		if p.Outcome == Accepted && rng.IntN(2) == 0 {
			changes = l.Merge(ref.Incident, id, now)
		}
	case 28, 29:
		op = "reopen"
		for _, other := range sortedKeys(l.incidents) {
			if l.incidents[other].Resolved && rng.IntN(3) == 0 {
				id = other
			}
		}
		if inc := l.Incident(id); inc != nil {
			changes, _ = l.Reopen(id, inc.Revision+int64(rng.IntN(2)), now)
		}
	case 30, 31:
		op = "approve"
		n := rng.IntN(4)
		changes, _ = l.Approve(p.IntentOf(ref.Incident, ref.Playbook, p.Step), []string{"", "ann", "bob", "cid"}[n], []string{"", "", p.Asked(), ""}[n], now)
	case 32:
		op = "deny"
		changes, _ = l.Deny(p.IntentOf(ref.Incident, ref.Playbook, p.Step), "ann", now)
	case 33:
		op = "undo"
		if rng.IntN(4) == 0 {
			if c, ok := l.StartUndo(ref.Incident, ref.Playbook, now); ok {
				changes = append(changes, c)
			}
		}
	case 34, 35:
		op = "undone"
		if undo := p.Undo(); len(undo) > 0 {
			changes = l.Undone(ref, undo[0].Step)
		}
	case 36:
		op = "undo failed"
		changes = l.UndoFailed(ref, "it is gone")
	case 37:
		op = "tick"
		l.Policy().Tick(now)
		changes = append(l.Expire(now), l.Reconsider(now)...)
		l.Forget(now)
		l.Policy().TakeNotes()
		l.TakeChanged()
	case 38:
		op = "world"
		m.world = World{}
		switch rng.IntN(12) {
		case 0:
			m.world.Paused = "a file"
		case 1:
			m.world.Standby = true
		case 2:
			m.world.Stale = "no data"
		case 3:
			m.world.Window = "freeze"
		}
		l.SetWorld(m.world)
	case 39:
		op = "policy"
		switch rng.IntN(4) {
		case 0:
			l.Policy().CatchUp("leadership came back", now)
		case 1:
			for _, b := range l.Policy().Breakers(now) {
				l.Policy().ResetBreaker(b.Guard, b.Key, now)
			}
		case 2:
			l.Policy().Usage(now)
			l.Policy().Storm(now)
			l.Policy().Outcomes(now)
		}
	}
	return op, ref, changes, silent
}

// natural returns what usually comes next for a play, or n.
func natural(p Play, n int) int {
	switch p.Outcome {
	case Pending:
		return []int{8, 13}[n%2]
	case Dispatched:
		return 17
	case Accepted:
		return []int{24, 26, 37, 25}[n%4]
	case Awaiting:
		return 30
	case Undoing:
		return 34
	default:
		return n
	}
}

// event tells of an incident and asks the playbooks.
func (m *model) event(id string) (changes []Change) {
	l, rng, now := m.l, m.rng, m.now
	revision := int64(1)
	if inc := l.Incident(id); inc != nil {
		revision = inc.Revision + int64(rng.IntN(3))
	}
	switch l.Observe(id, revision, now) {
	case New:
		// One that was forgotten is another one, although it has the same intents.
		maps.DeleteFunc(m.known, func(a attempt, _ *intent) bool { return a.incident == id })
		l.Policy().Opened(id, "", now)
	case Known:
		changes = l.Progress(id, now, now)
		if rng.IntN(6) == 0 {
			changes = append(changes, l.Reread(id, func(string) (string, float64) { return fmt.Sprintf("t%d", rng.IntN(5)), rng.Float64() }, now)...)
		}
		l.Occurred(id, rng.IntN(2))
	default:
		if rng.IntN(10) > 0 {
			return nil
		}
	}
	o := Observation{
		Incident: id, Revision: revision, At: now, Target: fmt.Sprintf("t%d", rng.IntN(5)), CauseKind: []string{"", "k"}[rng.IntN(2)], Confidence: rng.Float64() + 0.15,
		Criticality: []string{"", "low", "critical"}[rng.IntN(3)], Witnesses: rng.IntN(3), Orders: []json.RawMessage{json.RawMessage(`{"a":1}`)},
	}
	names := []string{}
	for _, r := range m.rules {
		if rng.IntN(2) == 0 {
			names = append(names, r.Name)
		}
	}
	order, _ := l.Order(o.CauseKind, id, names, now)
	require.ElementsMatch(m.t, names, order)
	for _, name := range order {
		if c, ok := l.Decide(name, o, now); ok {
			changes = append(changes, c)
		}
	}
	return changes
}

func (m *model) plan() *Plan {
	rng := m.rng
	p := &Plan{
		Target: fmt.Sprintf("o%d", rng.IntN(6)), Class: []string{"pod", "node"}[rng.IntN(2)], Namespace: []string{"", "a"}[rng.IntN(2)],
		Weight: rng.IntN(3), Population: rng.IntN(8), Healthy: rng.IntN(8), Destructive: rng.IntN(4) == 0,
		Criticality: []string{"", "", "", "critical"}[rng.IntN(4)], Witness: rng.IntN(2) == 0,
	}
	for range 1 + rng.IntN(2) {
		p.Locks = append(p.Locks, fmt.Sprintf("o%d", rng.IntN(6)))
	}
	return p
}

func (m *model) know(ref Ref, occurrence int) *intent {
	id := attempt{ref.key(), occurrence, ref.Step}
	if m.known[id] == nil {
		m.known[id] = &intent{}
	}
	return m.known[id]
}

// end lets time pass until everything has come to an end.
func (m *model) end() {
	for range 20 {
		m.now = m.now.Add(time.Hour)
		m.l.Expire(m.now)
		m.checkIndexes()
	}
	require.Empty(m.t, m.l.Open())
	m.now = m.now.Add(time.Hour)
	m.l.Forget(m.now)
	require.Zero(m.t, m.l.Len())
	require.Zero(m.t, len(m.l.held.by))
	require.False(m.t, slices.ContainsFunc(m.l.turns.take(maxTurns), func(k playKey) bool { return m.l.deferred[k] != nil }))
}
