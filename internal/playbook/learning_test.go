package playbook

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/outcomes"
)

// learning are settings under which nothing but what was learned stands against acting.
func learning(s outcomes.Settings) PolicySettings {
	p := calm()
	p.Budget[0].MaxActions, p.MaxCharges = 100_000, 100_000
	p.Outcomes = s
	return p
}

// TestLearningBySimulation lets three playbooks, of which the one configured last helps best, treat many incidents of one kind
// of cause through the ledger, each incident by the first of them that may act.
func TestLearningBySimulation(t *testing.T) {
	truth := map[string]float64{"a": 0.2, "b": 0.5, "c": 0.9}
	simulate := func(s outcomes.Settings) (chosen map[string]int, l *Ledger) {
		rules := []Rule{}
		for _, name := range sortedKeys(truth) {
			rules = append(rules, planned(func(r *Rule) { r.Name, r.Cooldown = name, 0 }))
		}
		l = NewLedger(Limits{MaxIncidents: 100, ForgetAfter: time.Hour}, NewPolicy(learning(s)), rules...)
		rng := rand.New(rand.NewPCG(3, 4))
		chosen = map[string]int{}
		for i := range 600 {
			now := start.Add(time.Duration(i) * 5 * time.Minute)
			id := fmt.Sprint("i", i)
			require.Equal(t, New, l.Observe(id, 1, now))
			o := seen(id, 1)
			o.At = now
			order, choice := l.Order(o.CauseKind, id, sortedKeys(truth), now)
			require.Len(t, order, 3)
			require.NotEmpty(t, choice.Detail)
			for _, name := range order {
				c := mustDecide(t, l, name, o, now)
				if c.Play.Outcome != Pending {
					continue
				}
				carryOut(t, l, c.Ref, now)
				if i >= 500 {
					chosen[name]++
				}
				if rng.Float64() < truth[name] {
					require.Equal(t, Succeeded, one(t, l.Resolve(id, now, true, now)).Play.Outcome)
				} else {
					require.Equal(t, Failed, one(t, l.Assess(c.Ref, Worse, now)).Play.Outcome)
					l.Resolve(id, now, true, now)
				}
				break
			}
			if i == 300 {
				l = restart(t, l, rules...)
			}
		}
		return chosen, l
	}
	t.Run("on", func(t *testing.T) {
		chosen, l := simulate(outcomes.Settings{MinOutcomes: 20, MaxPairs: 100})
		t.Log(chosen)
		assert.Greater(t, chosen["c"], 85, "of the last hundred")
		for _, s := range l.Policy().Outcomes(start.Add(600 * 5 * time.Minute)) {
			assert.Equal(t, "saturation", s.Kind)
			assert.InDelta(t, truth[s.Playbook], s.Recovered/s.Verified(), 0.25, s.Playbook)
		}
	})
	t.Run("off", func(t *testing.T) {
		chosen, _ := simulate(outcomes.Settings{MaxPairs: 100})
		assert.Equal(t, map[string]int{"a": 100}, chosen)
	})
	t.Run("nothing is kept", func(t *testing.T) {
		chosen, l := simulate(outcomes.Settings{})
		assert.Equal(t, map[string]int{"a": 100}, chosen)
		assert.Nil(t, l.Policy().Outcomes(start))
	})
	t.Run("floor", func(t *testing.T) {
		chosen, _ := simulate(outcomes.Settings{MaxPairs: 100, Floor: 0.4, FloorOutcomes: 10})
		t.Log(chosen)
		assert.Zero(t, chosen["a"], "it does not act by itself any more, although the order stays")
		assert.Equal(t, 100, chosen["b"])
	})
}

func TestTheFloorIsForThoseThatActByThemselves(t *testing.T) {
	for _, mode := range Modes {
		t.Run(string(mode), func(t *testing.T) {
			l := NewLedger(limits, NewPolicy(learning(outcomes.Settings{MaxPairs: 10, Floor: 0.5, FloorOutcomes: 3})),
				rule(func(r *Rule) { r.Mode = mode }))
			l.Observe("a", 1, start)
			for range 3 {
				l.policy.learn("restart", &Play{CauseKind: "saturation"}, outcomes.Ineffective, start)
			}
			p := mustDecide(t, l, "restart", seen("a", 1), start).Play
			assert.Equal(t, mode == Auto, p.Reason == ReasonLearned)
			if mode == Auto {
				assert.Contains(t, p.Detail, "below the floor of 50 %")
			}
			o := seen("a", 2)
			o.CauseKind = "change"
			if c, ok := l.Decide("restart", o, start); ok {
				assert.Equal(t, Pending, c.Play.Outcome, "that was another kind of cause")
			}
		})
	}
}

// TestWhatIsLearned: a play teaches once, by how it ends.
func TestWhatIsLearned(t *testing.T) {
	ref := Ref{"a", "restart", 1, 0}
	second := Ref{"a", "restart", 1, 1}
	for name, tc := range map[string]struct {
		follows []OnFailure
		then    func(t *testing.T, l *Ledger)
		want    outcomes.Counts
	}{
		"recovered": {
			then: func(_ *testing.T, l *Ledger) { l.Resolve("a", start, true, start) }, want: outcomes.Counts{Recovered: 1},
		},
		"worse": {
			then: func(_ *testing.T, l *Ledger) { l.Assess(ref, Worse, start) }, want: outcomes.Counts{Ineffective: 1},
		},
		"worse, and taken back": {
			follows: []OnFailure{RollBack},
			then: func(t *testing.T, l *Ledger) {
				require.Len(t, l.Assess(ref, Worse, start), 2)
				l.Undone(ref, 0)
			}, want: outcomes.Counts{Reverted: 1},
		},
		"reverted by a person": {
			then: func(t *testing.T, l *Ledger) {
				_, ok := l.StartUndo("a", "restart", start)
				require.True(t, ok)
			}, want: outcomes.Counts{Reverted: 1},
		},
		"the second step helped": {
			follows: []OnFailure{Next, Escalate},
			then: func(t *testing.T, l *Ledger) {
				l.Assess(ref, Worse, start)
				carryOut(t, l, second, start)
				l.Resolve("a", start, true, start)
			}, want: outcomes.Counts{Recovered: 1},
		},
		"neither did": {
			follows: []OnFailure{Next, Escalate},
			then: func(t *testing.T, l *Ledger) {
				l.Assess(ref, Worse, start)
				carryOut(t, l, second, start)
				l.Assess(second, Worse, start)
			}, want: outcomes.Counts{Ineffective: 1},
		},
		"the second was refused": {
			follows: []OnFailure{Next, Escalate},
			then: func(_ *testing.T, l *Ledger) {
				l.Assess(ref, Worse, start)
				l.Refuse(second, "owner", "", start)
			}, want: outcomes.Counts{Ineffective: 1},
		},
		"nobody knows": {
			then: func(_ *testing.T, l *Ledger) { l.Resolve("a", start, false, start) }, want: outcomes.Counts{Inconclusive: 1},
		},
		"came back": {
			then: func(_ *testing.T, l *Ledger) {
				l.Resolve("a", start, true, start)
				_, _ = l.Reopen("a", 2, start)
			}, want: outcomes.Counts{Recovered: 1, Ineffective: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.follows == nil {
				tc.follows = []OnFailure{Escalate}
			}
			l := begin(t, ladder(tc.follows...))
			act(t, l, "restart", start)
			tc.then(t, l)
			all := l.Policy().Outcomes(start)
			require.Len(t, all, 1)
			assert.Equal(t, tc.want, all[0].Counts)
		})
	}
	t.Run("a refused play teaches nothing", func(t *testing.T) {
		l := begin(t, planned(nil))
		c := mustDecide(t, l, "restart", seen("a", 1), start)
		l.Refuse(c.Ref, "owner", "", start)
		assert.Empty(t, l.Policy().Outcomes(start))
		l = begin(t, auto)
		actOn(t, l, "b", "x")
		assert.Empty(t, l.Policy().Outcomes(start))
	})
}

func TestOrderPutsDestructiveLast(t *testing.T) {
	drain := planned(func(r *Rule) { r.Name, r.Steps[0].Destructive = "drain", true })
	l := NewLedger(limits, NewPolicy(learning(outcomes.Settings{MaxPairs: 10, MinOutcomes: 1})), drain, planned(nil))
	l.policy.learn("restart", &Play{CauseKind: "saturation"}, outcomes.Recovered, start)
	order, choice := l.Order("saturation", "a", []string{"drain", "restart", "gone"}, start)
	assert.True(t, choice.Learned)
	assert.Equal(t, "drain", order[2])
	again, _ := l.Order("saturation", "a", []string{"drain", "restart", "gone"}, start)
	assert.Equal(t, order, again)
}
