package playbook

import (
	"encoding/json"

	"github.com/stretchr/testify/require"
)

// check compares the ledger with what must hold after an operation.
func (m *model) check(op string, ref Ref, changes []Change, silent bool) {
	t := m.t
	m.checkIndexes()
	m.checkChanges(op, changes, silent)
	// An intent is done once an executor may have carried it out.
	if before, ok := m.before[ref.key()]; ok && len(changes) > 0 && before.Step == ref.Step {
		switch op {
		case "accept", "reject":
			m.know(ref, before.Occurrence).done = true
		}
	}
	for k, p := range m.plays() {
		in := m.know(Ref{Incident: k.incident, Playbook: k.playbook, Step: p.Step}, p.Occurrence)
		before := m.before[k]
		same := before.Step == p.Step && before.Occurrence == p.Occurrence && before.Version == p.Version
		if p.Outcome == Inconclusive {
			in.done = true
		}
		if p.Charged && (!same || !before.Charged) {
			in.charged, in.lost, in.key = m.now, false, chargeKey(k.incident, k.playbook, p)
		}
		if p.Outcome == Dispatched && (!same || before.Outcome != Dispatched) {
			in.dispatches++
			require.LessOrEqual(t, in.dispatches, 1+in.replans, "%s of %v was dispatched twice", op, k)
			require.Equal(t, World{}, m.world, "%s dispatched although the world stood still", op)
			require.True(t, p.Charged)
			require.True(t, p.Mode.acts())
			if p.Mode == Approve {
				require.GreaterOrEqual(t, len(p.Approvals), 1)
			}
		}
		if p.Outcome == Skipped {
			require.False(t, p.Charged)
			require.Zero(t, p.Step)
			require.Empty(t, p.Done)
		}
	}
	m.checkBudget(op)
}

// plays returns all plays.
func (m *model) plays() map[playKey]*Play {
	out := map[playKey]*Play{}
	for id, inc := range m.l.incidents {
		for name, p := range inc.Plays {
			out[playKey{id, name}] = p
		}
	}
	return out
}

// checkBudget compares the budget with the intents: a charge is there as long as something was done, or may be.
func (m *model) checkBudget(op string) {
	t := m.t
	inBudget := map[string]bool{}
	recent := 0
	for _, s := range m.l.policy.budget.Snapshot().Spent {
		inBudget[s.Key] = true
		if m.now.Sub(s.At) < modelWindow && !s.At.After(m.now) {
			recent++
		}
	}
	require.LessOrEqual(t, recent, modelActions)
	for a, in := range m.known {
		inc := m.l.incidents[a.incident]
		if in.charged.IsZero() || inc == nil {
			continue
		}
		p := inc.Plays[a.playbook]
		charged := p != nil && p.Charged && p.Occurrence == a.occurrence && p.Step == a.step
		switch {
		case !in.done && !charged:
			require.False(t, inBudget[in.key], "%s: nothing was done, and it is charged", op)
		case !in.lost && m.now.Sub(in.charged) < modelWindow:
			require.True(t, inBudget[in.key], "%s: it was done, and is not charged", op)
		}
	}
}

// checkChanges compares what was reported with what has changed.
func (m *model) checkChanges(op string, changes []Change, silent bool) {
	t := m.t
	last := map[playKey]Change{}
	for _, c := range changes {
		last[c.key()] = c
		m.did[string(c.Play.Outcome)]++
		m.did["reason "+string(c.Play.Reason)]++
	}
	for k, c := range last {
		if m.l.incidents[k.incident] == nil {
			continue // it was forgotten since
		}
		p := m.l.incidents[k.incident].Plays[k.playbook]
		want, _ := json.Marshal(p)
		got, _ := json.Marshal(c.Play)
		require.Equal(t, string(want), string(got), "%s: the last change must be what is", op)
		switch p.Outcome {
		case Failed, Inconclusive, RolledBack, Expired:
			undoing := p.Reason == ReasonExpired && p.Outcome == Undoing
			require.True(t, c.Escalate || undoing, "%s: automation gave up on %v and told nobody: %s %s", op, k, p.Outcome, p.Reason)
		case Denied:
			require.Equal(t, len(p.Done) > 0, c.Escalate, "%s: %v", op, p.Outcome)
		case Proposed, Suggested:
			require.Equal(t, p.Step > 0, c.Escalate, "%s: %v", op, p.Outcome)
		default:
			require.False(t, c.Escalate, "%s: %s needs nobody", op, p.Outcome)
		}
	}
	for k, p := range m.plays() {
		before, was := m.before[k]
		if (was && before.Outcome == p.Outcome && before.Step == p.Step) || (silent && (p.Outcome == Dispatched || p.Outcome == Pending)) {
			continue
		}
		_, told := last[k]
		require.True(t, told, "%s: %v went from %s to %s unsaid", op, k, before.Outcome, p.Outcome)
	}
}

// checkIndexes compares everything that is kept to find things fast with the incidents themselves.
func (m *model) checkIndexes() {
	t, l := m.t, m.l
	require.LessOrEqual(t, l.Len(), l.limits.MaxIncidents)
	open, held := map[playKey]*Play{}, newHolders()
	targets, locks := map[string]int{}, map[string]int{}
	for _, id := range sortedKeys(l.incidents) {
		inFlight := 0
		for _, name := range sortedKeys(l.incidents[id].Plays) {
			p, k := l.incidents[id].Plays[name], playKey{id, name}
			if p.Open() {
				open[k] = p
			}
			held.set(k, p.holds())
			if !p.inFlight() {
				continue
			}
			require.True(t, p.Open())
			inFlight++
			targets[p.Target]++
			require.LessOrEqual(t, targets[p.Target], 1, "two plays act on %s", p.Target)
			mine := map[string]bool{}
			if p.Plan != nil && p.Outcome != Pending && (p.Outcome != Undoing || p.Receipt != nil) {
				for _, lock := range p.Plan.Locks {
					mine[lock] = true
				}
			}
			for _, d := range p.Done {
				for _, lock := range d.Locks {
					mine[lock] = true
				}
			}
			for lock := range mine {
				locks[lock]++
				require.LessOrEqual(t, locks[lock], 1, "two plays hold %s", lock)
			}
		}
		require.LessOrEqual(t, inFlight, 1, "two plays act for %s", id)
	}
	require.Equal(t, open, l.open)
	require.Equal(t, held.of, l.held.of)
	for name, keys := range l.held.by {
		require.ElementsMatch(t, held.by[name], keys)
	}
	require.Len(t, l.held.by, len(held.by))
	for k, p := range l.deferred {
		require.Same(t, l.incidents[k.incident].Plays[k.playbook], p)
		require.Equal(t, Skipped, p.Outcome)
		require.True(t, l.turns.in[k])
	}
	require.Len(t, l.turns.in, len(l.turns.line))
	require.LessOrEqual(t, len(l.cooldowns), l.limits.MaxIncidents)
}
