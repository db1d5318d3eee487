package playbook

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStaleActionsAreNotDispatched(t *testing.T) {
	pending := func(t *testing.T) (*Ledger, Ref) {
		l := begin(t, auto)
		return l, mustDecide(t, l, "restart", seen("a", 1), start).Ref
	}
	t.Run("resolved before the attempt", func(t *testing.T) {
		l, ref := pending(t)
		c := one(t, l.Resolve("a", start, true, start))
		assert.Equal(t, Skipped, c.Play.Outcome)
		assert.Equal(t, ReasonStale, c.Play.Reason)
		assert.Zero(t, spent(l, start), "nothing was done")
		goOn, changes := l.Dispatch(ref, start)
		assert.False(t, goOn)
		assert.Empty(t, changes)
	})
	t.Run("resolved between attempts", func(t *testing.T) {
		l, ref := pending(t)
		_, _ = l.Dispatch(ref, start)
		assert.Empty(t, l.Resolve("a", start, true, start))
		goOn, changes := l.Dispatch(ref, start)
		assert.False(t, goOn)
		c := one(t, changes)
		assert.Equal(t, Inconclusive, c.Play.Outcome)
		assert.True(t, c.Escalate)
		assert.Equal(t, 1, spent(l, start), "something may have been done")
	})
	t.Run("resolved before acceptance", func(t *testing.T) {
		l, ref := pending(t)
		_, _ = l.Dispatch(ref, start)
		l.Resolve("a", start, true, start)
		require.Equal(t, Inconclusive, one(t, l.Accept(ref, receipt, start)).Play.Outcome)
	})
	t.Run("deadline passed", func(t *testing.T) {
		l, ref := pending(t)
		goOn, changes := l.Dispatch(ref, start.Add(90*time.Second))
		assert.False(t, goOn)
		assert.Equal(t, Skipped, one(t, changes).Play.Outcome)
	})
	t.Run("waiting past the deadline", func(t *testing.T) {
		l, _ := pending(t)
		require.Equal(t, Skipped, one(t, l.Expire(start.Add(90*time.Second))).Play.Outcome)
		l, ref := pending(t)
		_, _ = l.Dispatch(ref, start)
		require.Equal(t, Inconclusive, one(t, l.Expire(start.Add(90*time.Second))).Play.Outcome)
	})
	t.Run("a planned step ends by itself", func(t *testing.T) {
		l := begin(t, planned(nil))
		ref := mustDecide(t, l, "restart", seen("a", 1), start).Ref
		admit(t, l, ref, aPlan(nil), start)
		require.Empty(t, l.Expire(start.Add(90*time.Second+overdue-1)))
		require.Equal(t, Inconclusive, one(t, l.Expire(start.Add(90*time.Second+overdue))).Play.Outcome)
	})
	t.Run("replaced by a later decision", func(t *testing.T) {
		l, ref := pending(t)
		for _, ref := range []Ref{{Incident: "a", Playbook: "restart", Revision: 7}, {Incident: "a", Playbook: "restart", Revision: 1, Step: 1}, {Incident: "z"}} {
			goOn, changes := l.Dispatch(ref, start)
			assert.False(t, goOn)
			assert.Empty(t, changes)
			assert.Nil(t, l.Accept(ref, receipt, start))
			assert.Nil(t, l.Reject(ref, true, "", start))
			assert.Nil(t, l.Refuse(ref, "owner", "", start))
			assert.False(t, l.Replan(ref))
			_, ok := l.At(ref)
			assert.False(t, ok)
		}
		p, ok := l.At(ref)
		assert.True(t, ok)
		assert.Equal(t, Pending, p.Outcome)
	})
}

// TestTheWorldStops checks what is dispatched after the surroundings have changed.
func TestTheWorldStops(t *testing.T) {
	for name, tc := range map[string]struct {
		world World
		// first and again are what becomes of a step before its first attempt and between attempts.
		first, again Outcome
	}{
		"paused":  {World{Paused: "a file"}, Skipped, Inconclusive},
		"standby": {World{Standby: true}, Skipped, Inconclusive},
		"stale":   {World{Stale: "no data"}, Skipped, Inconclusive},
		"window":  {World{Window: "sale"}, Skipped, Dispatched}, // what was begun is finished
		"moves":   {World{}, Dispatched, Dispatched},
	} {
		t.Run(name, func(t *testing.T) {
			l := begin(t, auto)
			ref := mustDecide(t, l, "restart", seen("a", 1), start).Ref
			l.SetWorld(tc.world)
			goOn, _ := l.Dispatch(ref, start)
			p, _ := l.Play("a", "restart")
			assert.Equal(t, tc.first, p.Outcome)
			assert.Equal(t, tc.first == Dispatched, goOn)
			assert.Equal(t, tc.first == Dispatched, p.Charged)

			l = begin(t, auto)
			ref = mustDecide(t, l, "restart", seen("a", 1), start).Ref
			goOn, _ = l.Dispatch(ref, start)
			require.True(t, goOn)
			l.SetWorld(tc.world)
			goOn, _ = l.Dispatch(ref, start)
			p, _ = l.Play("a", "restart")
			assert.Equal(t, tc.again, p.Outcome)
			assert.Equal(t, tc.again == Dispatched, goOn)
		})
	}
}

func TestWhatIsWithheldIsDecidedAgain(t *testing.T) {
	l := begin(t, planned(nil))
	ref := mustDecide(t, l, "restart", seen("a", 1), start).Ref
	require.Equal(t, Dispatched, admit(t, l, ref, aPlan(nil), start).Play.Outcome)
	c := one(t, l.Withhold(ref, "over_budget", "the fleet has done enough", start))
	assert.Equal(t, Skipped, c.Play.Outcome)
	assert.False(t, c.Escalate)
	assert.Zero(t, spent(l, start))
	again := mustDecide(t, l, "restart", seen("a", 2), start).Ref
	assert.Equal(t, Dispatched, admit(t, l, again, aPlan(nil), start).Play.Outcome)
}

func TestDoubtEndsInconclusive(t *testing.T) {
	ends := map[string]func(*Ledger, Ref) []Change{
		"refused":  func(l *Ledger, ref Ref) []Change { return l.Refuse(ref, "target_missing", "it is gone", start) },
		"withheld": func(l *Ledger, ref Ref) []Change { return l.Withhold(ref, "over_budget", "enough", start) },
		"planned again and over": func(l *Ledger, ref Ref) []Change {
			l.Replan(ref)
			return l.Expire(start.Add(time.Hour))
		},
		"planned again and resolved": func(l *Ledger, ref Ref) []Change {
			l.Replan(ref)
			return l.Resolve("a", start, true, start)
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			l := begin(t, planned(nil))
			ref := mustDecide(t, l, "restart", seen("a", 1), start).Ref
			require.Equal(t, Dispatched, admit(t, l, ref, aPlan(nil), start).Play.Outcome)
			l.Recover()
			c := one(t, end(l, ref))
			assert.Equal(t, Inconclusive, c.Play.Outcome)
			assert.Equal(t, ReasonUndelivered, c.Play.Reason)
			assert.True(t, c.Escalate)
			assert.Equal(t, 1, spent(l, start), "it may have been done")
		})
	}
}

func TestRefunds(t *testing.T) {
	l := begin(t, planned(nil))
	ref := mustDecide(t, l, "restart", seen("a", 1), start).Ref
	require.Equal(t, Dispatched, admit(t, l, ref, aPlan(nil), start).Play.Outcome)
	require.Equal(t, 1, spent(l, start))
	c := one(t, l.Refuse(ref, "target_changed", "somebody was faster", start))
	assert.Equal(t, Failed, c.Play.Outcome, "it was handed out, so it is not decided again")
	assert.True(t, c.Escalate)
	assert.Zero(t, spent(l, start))
	assert.Empty(t, l.cooldowns)

	l = begin(t, auto)
	ref = mustDecide(t, l, "restart", seen("a", 1), start).Ref
	one(t, l.Reject(ref, true, "400 Bad Request", start))
	assert.Equal(t, 1, spent(l, start), "an attempt counts")
	assert.Len(t, l.cooldowns, 1)
}

func TestRefundKeepsWhatEarlierStepsDid(t *testing.T) {
	l := begin(t, ladder(Next, Escalate))
	ref := act(t, l, "restart", start)
	require.Len(t, l.Assess(ref, Worse, start), 2)
	ref.Step = 1
	other := aPlan(func(p *Plan) { p.Locks = append(p.Locks, "Node//n1") })
	require.Equal(t, Dispatched, admit(t, l, ref, other, start).Play.Outcome, "its own cooldown does not stop it")
	require.Len(t, l.cooldowns, 3)
	l.Refuse(ref, "owner", "", start)
	assert.Equal(t, 1, spent(l, start))
	assert.Contains(t, l.cooldowns, cooldownKey{"restart", "service:a"})
	assert.Contains(t, l.cooldowns, cooldownKey{"restart", "Deployment/shop/payment"})
	assert.NotContains(t, l.cooldowns, cooldownKey{"restart", "Node//n1"})
}

func TestReplan(t *testing.T) {
	l := begin(t, planned(nil))
	share(10, 0)(t, l)
	ref := mustDecide(t, l, "restart", seen("a", 1), start).Ref
	for range maxReplans {
		require.Equal(t, Dispatched, admit(t, l, ref, aPlan(nil), start).Play.Outcome)
		require.Equal(t, 1, spent(l, start))
		l.Replan(ref)
		require.Zero(t, spent(l, start))
	}
	require.Equal(t, Dispatched, admit(t, l, ref, aPlan(nil), start).Play.Outcome)
	require.False(t, l.Replan(ref), "that was often enough")

	l = begin(t, planned(nil))
	share(10, 0)(t, l)
	ref = mustDecide(t, l, "restart", seen("a", 1), start).Ref
	admit(t, l, ref, aPlan(nil), start)
	l.Replan(ref)
	assert.Equal(t, ReasonBudget, admit(t, l, ref, aPlan(func(p *Plan) { p.Weight = 5 }), start).Play.Reason, "the new plan counts as it is")
}

func TestNextStep(t *testing.T) {
	l := begin(t, ladder(Next, Escalate))
	ref := act(t, l, "restart", start)
	later := start.Add(100 * time.Second)
	changes := l.Progress("a", start.Add(91*time.Second), later)
	require.Len(t, changes, 2)
	assert.Equal(t, Failed, changes[0].Play.Outcome)
	assert.False(t, changes[0].Escalate, "there is a next step")
	next := changes[1]
	assert.Equal(t, Pending, next.Play.Outcome)
	assert.Equal(t, 1, next.Step)
	assert.NotEqual(t, changes[0].Intent(), next.Intent())
	assert.Equal(t, later.Add(90*time.Second), next.Play.Deadline)
	assert.Equal(t, later.Add(90*time.Second), next.Play.EventDeadline)
	assert.Equal(t, []Done{{Step: 0, Target: "Deployment shop/payment", Locks: []string{"Deployment/shop/payment"}, Receipt: receipt}}, next.Play.Done)

	ref.Step = 1
	carryOut(t, l, ref, later)
	assert.Equal(t, 2, spent(l, later))
	c := one(t, l.Expire(later.Add(90*time.Second)))
	assert.Equal(t, Failed, c.Play.Outcome)
	assert.True(t, c.Escalate, "that was the last")
}

func TestNextStepNeedsAnOpenIncidentAndAWorldThatMoves(t *testing.T) {
	t.Run("paused", func(t *testing.T) {
		l := begin(t, ladder(Next, Escalate))
		ref := act(t, l, "restart", start)
		l.SetWorld(World{Paused: "a file"})
		c := one(t, l.Assess(ref, Worse, start))
		assert.Equal(t, Failed, c.Play.Outcome)
		assert.True(t, c.Escalate)
	})
	t.Run("over, but late", func(t *testing.T) {
		l := begin(t, ladder(Next, Escalate))
		act(t, l, "restart", start)
		c := one(t, l.Resolve("a", start.Add(91*time.Second), true, start))
		assert.Equal(t, Failed, c.Play.Outcome)
		assert.True(t, c.Escalate)
	})
	t.Run("no budget", func(t *testing.T) {
		r := ladder(Next, Escalate)
		r.Steps[1].Planned = false
		l := begin(t, r, rule(func(r *Rule) { r.Name = "webhook" }))
		for _, id := range []string{"b", "c"} {
			l.Observe(id, 1, start)
			mustDecide(t, l, "webhook", seen(id, 1), start)
		}
		ref := act(t, l, "restart", start)
		changes := l.Assess(ref, Worse, start)
		last := changes[len(changes)-1]
		assert.Equal(t, ReasonBudget, last.Play.Reason)
		assert.True(t, last.Escalate)
		assert.False(t, last.Play.Charged)
	})
}

func TestContinue(t *testing.T) {
	r := ladder(RollBack, RollBack)
	r.Steps[0].Continue = true
	l := begin(t, r)
	ref := mustDecide(t, l, "restart", seen("a", 1), start).Ref
	admit(t, l, ref, aPlan(nil), start)
	changes := l.Accept(ref, receipt, start)
	require.Len(t, changes, 2)
	assert.Equal(t, Accepted, changes[0].Play.Outcome)
	assert.Equal(t, Pending, changes[1].Play.Outcome)

	// What the first step did stays locked.
	l.Observe("b", 1, start)
	b := mustDecide(t, l, "restart", seen("b", 1), start)
	assert.Equal(t, ReasonTargetBusy, admit(t, l, b.Ref, aPlan(nil), start).Play.Reason)

	// The second is refused, so the first is taken back.
	ref.Step = 1
	changes = l.Refuse(ref, "disruption_budget", "no disruption allowed", start)
	require.Len(t, changes, 2)
	assert.Equal(t, Undoing, changes[1].Play.Outcome)
	assert.Equal(t, []Done{changes[1].Play.Done[0]}, changes[1].Play.Undo())
	c := one(t, l.Undone(ref, 0))
	assert.Equal(t, RolledBack, c.Play.Outcome)
	assert.True(t, c.Escalate)
	assert.False(t, changes[1].Play.Done[0].Undone, "copies stay as they are")
}

func TestContinueWaitsWhileTheWorldStandsStill(t *testing.T) {
	r := ladder(Escalate, Escalate)
	r.Steps[0].Continue = true
	l := begin(t, r)
	ref := mustDecide(t, l, "restart", seen("a", 1), start).Ref
	admit(t, l, ref, aPlan(nil), start)
	l.SetWorld(World{Standby: true})
	assert.Equal(t, Accepted, one(t, l.Accept(ref, receipt, start)).Play.Outcome, "it is verified instead")
}

func TestALaterStepMayOnlySuggest(t *testing.T) {
	r := ladder(Next, Escalate)
	r.TierModes = map[string]Mode{"critical": Suggest}
	l := begin(t, r)
	ref := act(t, l, "restart", start)
	l.Assess(ref, Worse, start)
	ref.Step = 1
	c := admit(t, l, ref, aPlan(func(p *Plan) { p.Criticality = "critical" }), start)
	assert.Equal(t, Suggested, c.Play.Outcome)
	assert.True(t, c.Escalate, "automation has begun and cannot go on")
	assert.Equal(t, 1, spent(l, start))
}

// TestRollBackLeavesOutWhatHasNoWayBack is a restart followed by a step that can be taken back, and the other way round.
func TestRollBackLeavesOutWhatHasNoWayBack(t *testing.T) {
	for name, undoable := range map[string][]bool{"first": {false, true}, "last": {true, false}} {
		t.Run(name, func(t *testing.T) {
			l := begin(t, ladder(Next, RollBack))
			ref := mustDecide(t, l, "restart", seen("a", 1), start).Ref
			var last []Change
			for step, way := range undoable {
				ref.Step = step
				admit(t, l, ref, aPlan(func(p *Plan) { p.Undoable = way }), start)
				l.Dispatch(ref, start)
				l.Accept(ref, receipt, start)
				last = l.Assess(ref, Worse, start)
			}
			require.Len(t, last, 2)
			undo := last[1].Play.Undo()
			require.Len(t, undo, 1)
			assert.True(t, undoable[undo[0].Step])
			assert.Equal(t, RolledBack, one(t, l.Undone(ref, undo[0].Step)).Play.Outcome)
		})
	}
	t.Run("none", func(t *testing.T) {
		l := begin(t, ladder(RollBack))
		ref := mustDecide(t, l, "restart", seen("a", 1), start).Ref
		admit(t, l, ref, aPlan(func(p *Plan) { p.Undoable = false }), start)
		l.Dispatch(ref, start)
		l.Accept(ref, receipt, start)
		c := one(t, l.Assess(ref, Worse, start))
		assert.Equal(t, Failed, c.Play.Outcome)
		assert.Equal(t, ReasonWorse, c.Play.Reason)
		assert.True(t, c.Escalate)
	})
}

func TestRollBack(t *testing.T) {
	l := begin(t, ladder(Next, RollBack))
	ref := act(t, l, "restart", start)
	l.Assess(ref, Worse, start)
	ref.Step = 1
	carryOut(t, l, ref, start)
	l.SetWorld(World{Window: "sale", Stale: "no data"}) // neither stands against taking back
	changes := l.Assess(ref, Worse, start.Add(time.Second))
	require.Len(t, changes, 2)
	undoing := changes[1]
	assert.Equal(t, Undoing, undoing.Play.Outcome)
	assert.Equal(t, start.Add(91*time.Second), undoing.Play.Deadline)
	undo := undoing.Play.Undo()
	require.Len(t, undo, 2)
	assert.Equal(t, []int{1, 0}, []int{undo[0].Step, undo[1].Step}, "the latest first")

	l = restart(t, l, ladder(Next, RollBack))
	require.Empty(t, l.Undone(ref, 1))
	require.Empty(t, l.Undone(ref, 1), "twice is harmless")
	c := one(t, l.Undone(ref, 0))
	assert.Equal(t, RolledBack, c.Play.Outcome)
	assert.Equal(t, ReasonWorse, c.Play.Reason)
	assert.True(t, c.Escalate)
	assert.Empty(t, l.Undone(ref, 0))
	assert.Empty(t, l.UndoFailed(ref, ""))
}

func TestRollBackThatFails(t *testing.T) {
	for name, fail := range map[string]func(l *Ledger, ref Ref) []Change{
		"it is told":      func(l *Ledger, ref Ref) []Change { return l.UndoFailed(ref, "somebody has changed it since") },
		"it takes longer": func(l *Ledger, _ Ref) []Change { return l.Expire(start.Add(90*time.Second + overdue)) },
	} {
		t.Run(name, func(t *testing.T) {
			l := begin(t, ladder(RollBack))
			ref := act(t, l, "restart", start)
			require.Len(t, l.Assess(ref, Worse, start), 2)
			c := one(t, fail(l, ref))
			assert.Equal(t, Failed, c.Play.Outcome)
			assert.Equal(t, ReasonUndoFailed, c.Play.Reason)
			assert.True(t, c.Escalate)
		})
	}
}

func TestNothingToRollBack(t *testing.T) {
	l := begin(t, ladder(RollBack))
	ref := mustDecide(t, l, "restart", seen("a", 1), start).Ref
	admit(t, l, ref, aPlan(nil), start)
	l.Accept(ref, nil, start)
	c := one(t, l.Assess(ref, Worse, start))
	assert.Equal(t, Failed, c.Play.Outcome)
	assert.True(t, c.Escalate)
}

func TestStartUndo(t *testing.T) {
	l := begin(t, planned(nil))
	_, ok := l.StartUndo("a", "restart", start)
	require.False(t, ok, "there is nothing")
	ref := act(t, l, "restart", start)
	l.Resolve("a", start, true, start)
	l.SetWorld(World{Window: "sale"})
	c, ok := l.StartUndo("a", "restart", start)
	require.True(t, ok)
	assert.Equal(t, Undoing, c.Play.Outcome)
	assert.Equal(t, ReasonReverted, c.Play.Reason)
	_, ok = l.StartUndo("a", "restart", start)
	require.False(t, ok, "it is under way")
	assert.Equal(t, RolledBack, one(t, l.Undone(ref, 0)).Play.Outcome)
	_, ok = l.StartUndo("a", "restart", start)
	require.False(t, ok, "everything is taken back")
}

func TestStartUndoDoesNotInterfere(t *testing.T) {
	l := begin(t, planned(func(r *Rule) { r.Cooldown = time.Second }))
	act(t, l, "restart", start)
	l.Resolve("a", start, true, start)
	later := start.Add(time.Minute)
	l.Observe("b", 1, later)
	c := mustDecide(t, l, "restart", seen("b", 1), later)
	require.Equal(t, Dispatched, admit(t, l, c.Ref, aPlan(nil), later).Play.Outcome, "another incident, the same object")
	_, ok := l.StartUndo("a", "restart", later)
	require.False(t, ok)
	l.Reject(c.Ref, true, "no", later)
	_, ok = l.StartUndo("a", "restart", later)
	require.True(t, ok)
}

func TestPlaysOfAnotherVersionDoNotGoOn(t *testing.T) {
	changed := planned(func(r *Rule) { r.Version = "v2" })
	for name, rules := range map[string][]Rule{"changed": {changed}, "removed": nil} {
		t.Run(name, func(t *testing.T) {
			pending := func(t *testing.T) (*Ledger, Ref) {
				l := begin(t, planned(nil))
				ref := mustDecide(t, l, "restart", seen("a", 1), start).Ref
				return restart(t, l, rules...), ref
			}
			l, ref := pending(t)
			c := admit(t, l, ref, aPlan(nil), start)
			assert.Equal(t, Skipped, c.Play.Outcome)
			assert.Equal(t, ReasonVersion, c.Play.Reason)
			l, ref = pending(t)
			goOn, changes := l.Dispatch(ref, start)
			assert.False(t, goOn)
			assert.Equal(t, ReasonVersion, one(t, changes).Play.Reason)
			l, _ = pending(t)
			assert.Equal(t, ReasonVersion, one(t, l.Expire(start)).Play.Reason, "also if nobody asks")

			l = begin(t, planned(nil))
			ref = mustDecide(t, l, "restart", seen("a", 1), start).Ref
			admit(t, l, ref, aPlan(nil), start)
			l = restart(t, l, rules...)
			goOn, changes = l.Dispatch(ref, start)
			assert.False(t, goOn)
			assert.Equal(t, Inconclusive, one(t, changes).Play.Outcome, "it may have been carried out before")

			r := planned(func(r *Rule) { r.Steps[0].Assessed = true })
			l = begin(t, r)
			ref = act(t, l, "restart", start)
			l = restart(t, l, rules...)
			assert.Empty(t, l.Resolve("a", start, true, start), "independent signals had to agree")
			assert.Equal(t, Inconclusive, one(t, l.Expire(start.Add(time.Hour))).Play.Outcome)
			_ = ref
		})
	}
}

func TestClockSetBack(t *testing.T) {
	l := begin(t, planned(nil))
	mustDecide(t, l, "restart", seen("a", 1), start)
	yesterday := start.Add(-24 * time.Hour)
	require.Empty(t, l.Expire(yesterday))
	require.Empty(t, l.Expire(yesterday.Add(89*time.Second)))
	require.Len(t, l.Expire(yesterday.Add(90*time.Second)), 1, "its time begins anew, and does not last a day")
}
