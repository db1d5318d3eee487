package playbook

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/actionbudget"
	"github.com/paramedic-otel/paramedic/internal/circuitbreaker"
	"github.com/paramedic-otel/paramedic/internal/stormgate"
)

// TestDecisionGuards asks one guard each. No case but those that end pending leads to a charge, and none to a dispatch.
func TestDecisionGuards(t *testing.T) {
	other := func(change func(*Rule)) Rule {
		return rule(func(r *Rule) {
			r.Name = "scale"
			if change != nil {
				change(r)
			}
		})
	}
	cases := map[string]struct {
		rule   Rule
		before func(t *testing.T, l *Ledger)
		change func(*Observation)
		after  time.Duration
		want   Outcome
		reason Reason
	}{
		"acts":    {rule: auto, want: Pending},
		"observe": {rule: rule(func(r *Rule) { r.Mode = Observe }), want: Proposed},
		"suggest": {rule: rule(func(r *Rule) { r.Mode = Suggest }), want: Suggested},
		"approve": {rule: rule(func(r *Rule) { r.Mode = Approve }), want: Awaiting},
		"mode of the criticality": {
			rule:   rule(func(r *Rule) { r.TierModes = map[string]Mode{"critical": Observe} }),
			change: func(o *Observation) { o.Criticality = "critical" }, want: Proposed,
		},
		"mode of another criticality": {
			rule:   rule(func(r *Rule) { r.TierModes = map[string]Mode{"critical": Observe} }),
			change: func(o *Observation) { o.Criticality = "high" }, want: Pending,
		},
		"mode of an unknown criticality": {
			rule: rule(func(r *Rule) { r.TierModes = map[string]Mode{UnknownTier: Suggest} }), want: Suggested,
		},
		"a criticality that is none": {
			rule:   rule(func(r *Rule) { r.TierModes = map[string]Mode{UnknownTier: Suggest, "CRITICAL": Auto} }),
			change: func(o *Observation) { o.Criticality = "CRITICAL" }, want: Suggested,
		},
		"the incident is over": {
			rule: auto, want: Skipped, reason: ReasonStale,
			before: func(_ *testing.T, l *Ledger) { l.Resolve("a", start, true, start) },
		},
		"max revision": {
			rule:   rule(func(r *Rule) { r.MaxRevision = 1 }),
			change: func(o *Observation) { o.Revision = 2 }, want: Skipped, reason: ReasonRevision,
		},
		"no target": {rule: auto, change: func(o *Observation) { o.Target = "" }, want: Skipped, reason: ReasonNoTarget},
		"tier": {
			rule:   rule(func(r *Rule) { r.Tiers = []string{"low"} }),
			change: func(o *Observation) { o.Criticality = "high" }, want: Skipped, reason: ReasonTier,
		},
		"unknown tier":    {rule: rule(func(r *Rule) { r.Tiers = []string{"low"} }), want: Skipped, reason: ReasonTier},
		"confidence":      {rule: auto, change: func(o *Observation) { o.Confidence = 0.499 }, want: Skipped, reason: ReasonConfidence},
		"confidence edge": {rule: auto, change: func(o *Observation) { o.Confidence = 0.5 }, want: Pending},
		"no confidence":   {rule: auto, change: func(o *Observation) { o.Confidence = math.NaN() }, want: Skipped, reason: ReasonConfidence},
		"endless confidence": {
			rule: auto, change: func(o *Observation) { o.Confidence = math.Inf(1) }, want: Skipped, reason: ReasonConfidence,
		},
		"obstacle": {rule: auto, change: func(o *Observation) { o.Obstacle = ReasonParameter }, want: Skipped, reason: ReasonParameter},
		"single witness": {
			rule:   rule(func(r *Rule) { r.Steps[0].Destructive = true }),
			change: func(o *Observation) { o.Witnesses = 1 }, want: Skipped, reason: ReasonWitnesses,
		},
		"single witness of what destroys nothing": {rule: auto, change: func(o *Observation) { o.Witnesses = 1 }, want: Pending},
		"single witness of what is only observed": {
			rule:   rule(func(r *Rule) { r.Mode, r.Steps[0].Destructive = Observe, true }),
			change: func(o *Observation) { o.Witnesses = 1 }, want: Proposed,
		},
		"paused":     {rule: auto, before: world(World{Paused: "a file"}), want: Skipped, reason: ReasonPaused},
		"standby":    {rule: auto, before: world(World{Standby: true}), want: Skipped, reason: ReasonNotLeading},
		"stale":      {rule: auto, before: world(World{Stale: "no telemetry for 2m"}), want: Skipped, reason: ReasonFrozen},
		"window":     {rule: auto, before: world(World{Window: "sale"}), want: Skipped, reason: ReasonWindow},
		"just looks": {rule: rule(func(r *Rule) { r.Mode = Observe }), before: world(World{Paused: "a file"}), want: Proposed},
		"in flight": {
			rule: other(nil), want: Skipped, reason: ReasonInFlight,
			before: func(t *testing.T, l *Ledger) { mustDecide(t, l, "restart", seen("a", 1), start) },
		},
		"after inconclusive": {
			rule: other(nil), want: Skipped, reason: ReasonInconclusive,
			before: func(t *testing.T, l *Ledger) {
				c := mustDecide(t, l, "restart", seen("a", 1), start)
				require.NotEmpty(t, l.Reject(c.Ref, false, "timeout", start))
			},
		},
		"after what cannot be taken back": {
			rule: other(nil), want: Skipped, reason: ReasonInconclusive,
			before: func(t *testing.T, l *Ledger) {
				ref := act(t, l, "restart", start)
				_, ok := l.StartUndo("a", "restart", start)
				require.True(t, ok)
				require.NotEmpty(t, l.UndoFailed(ref, "it is gone"))
			},
		},
		"next rung after failure": {
			rule: other(nil), want: Pending,
			before: func(t *testing.T, l *Ledger) { actOn(t, l, "a", "service:a") },
		},
		"target busy": {
			rule: other(nil), want: Skipped, reason: ReasonTargetBusy,
			before: func(t *testing.T, l *Ledger) {
				l.Observe("b", 1, start)
				o := seen("b", 1)
				o.Target = "service:a"
				mustDecide(t, l, "restart", o, start)
			},
		},
		"cooldown": {
			rule: auto, after: 10*time.Minute - 1, want: Skipped, reason: ReasonCooldown,
			before: func(t *testing.T, l *Ledger) { actOn(t, l, "b", "service:a") },
		},
		"cooldown over": {
			rule: auto, after: 10 * time.Minute, want: Pending,
			before: func(t *testing.T, l *Ledger) { actOn(t, l, "b", "service:a") },
		},
		"clock set back": { // the cooldown begins anew, and does not last a day
			rule: auto, after: -24 * time.Hour, want: Skipped, reason: ReasonCooldown,
			before: func(t *testing.T, l *Ledger) { actOn(t, l, "b", "service:a") },
		},
		"budget": {
			rule: auto, after: 10*time.Minute - 1, want: Skipped, reason: ReasonBudget,
			before: func(t *testing.T, l *Ledger) {
				for _, id := range []string{"b", "c", "d"} {
					actOn(t, l, id, "service:"+id)
				}
			},
		},
		"budget slides": {
			rule: auto, after: 10 * time.Minute, want: Pending,
			before: func(t *testing.T, l *Ledger) {
				for _, id := range []string{"b", "c", "d"} {
					actOn(t, l, id, "service:"+id)
				}
			},
		},
		"budget is not for those who look": {
			rule: rule(func(r *Rule) { r.Mode = Observe }), want: Proposed,
			before: func(t *testing.T, l *Ledger) {
				l.policy.budget = actionbudget.New([]actionbudget.Limit{{Scope: actionbudget.Fleet, MaxActions: 1, Window: time.Hour}}, 0)
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			rules := []Rule{tc.rule}
			if tc.rule.Name != auto.Name {
				rules = append(rules, rule(func(r *Rule) { r.Steps[0].OnFailure = Escalate }))
			}
			l := begin(t, rules...)
			if tc.before != nil {
				tc.before(t, l)
			}
			charged := spent(l, start)
			o := seen("a", 1)
			if tc.change != nil {
				tc.change(&o)
			}
			p := mustDecide(t, l, tc.rule.Name, o, start.Add(tc.after)).Play
			assert.Equal(t, tc.want, p.Outcome, p.Detail)
			assert.Equal(t, tc.reason, p.Reason)
			assert.Equal(t, tc.want == Pending, p.Charged)
			if tc.want == Skipped {
				assert.NotEmpty(t, p.Detail+string(o.Obstacle))
				assert.LessOrEqual(t, spent(l, start), charged)
			}
		})
	}
}

func world(w World) func(*testing.T, *Ledger) {
	return func(_ *testing.T, l *Ledger) { l.SetWorld(w) }
}

// TestPlanGuards asks one guard each about what the executor found.
func TestPlanGuards(t *testing.T) {
	cases := map[string]struct {
		rule   Rule
		plan   *Plan
		before func(t *testing.T, l *Ledger)
		after  time.Duration
		want   Outcome
		reason Reason
	}{
		"acts":    {rule: planned(nil), want: Dispatched},
		"observe": {rule: planned(func(r *Rule) { r.Mode = Observe }), want: Proposed},
		"suggest": {rule: planned(func(r *Rule) { r.Mode = Suggest }), want: Suggested},
		"approve": {rule: planned(func(r *Rule) { r.Mode = Approve }), want: Awaiting},
		"graver than was thought": {
			rule: planned(func(r *Rule) { r.TierModes = map[string]Mode{"critical": Approve} }),
			plan: aPlan(func(p *Plan) { p.Criticality = "critical" }), want: Awaiting,
		},
		"graver, but more trusted": { // trust is only ever taken away
			rule: planned(func(r *Rule) { r.Mode, r.TierModes = Observe, map[string]Mode{"critical": Auto} }),
			plan: aPlan(func(p *Plan) { p.Criticality = "critical" }), want: Proposed,
		},
		"nothing tells the criticality": {
			rule: planned(func(r *Rule) { r.TierModes = map[string]Mode{UnknownTier: Approve} }), want: Awaiting,
		},
		"the plan tells the criticality": {
			rule: planned(func(r *Rule) { r.TierModes = map[string]Mode{UnknownTier: Approve} }),
			plan: aPlan(func(p *Plan) { p.Criticality = "low" }), want: Dispatched,
		},
		"paused":          {rule: planned(nil), before: world(World{Paused: "a file"}), want: Skipped, reason: ReasonPaused},
		"standby":         {rule: planned(nil), before: world(World{Standby: true}), want: Skipped, reason: ReasonNotLeading},
		"stale":           {rule: planned(nil), before: world(World{Stale: "no data"}), want: Skipped, reason: ReasonFrozen},
		"window":          {rule: planned(nil), before: world(World{Window: "sale"}), want: Skipped, reason: ReasonWindow},
		"its time is out": {rule: planned(nil), after: 90 * time.Second, want: Skipped, reason: ReasonStale},
		"tier": {
			rule: planned(func(r *Rule) { r.Tiers = []string{"", "low"} }), plan: aPlan(func(p *Plan) { p.Criticality = "high" }),
			want: Skipped, reason: ReasonTier,
		},
		"destructive after all": {
			rule: planned(func(r *Rule) { r.Witnesses = 3 }), plan: aPlan(func(p *Plan) { p.Destructive = true }),
			want: Skipped, reason: ReasonWitnesses,
		},
		"destructive, and the executor sees it too": {
			rule: planned(func(r *Rule) { r.Witnesses = 3 }), plan: aPlan(func(p *Plan) { p.Destructive, p.Witness = true, true }), want: Dispatched,
		},
		"same object": { // under another name, for another incident
			rule: planned(nil), want: Skipped, reason: ReasonTargetBusy,
			before: func(t *testing.T, l *Ledger) {
				l.Observe("b", 1, start)
				c := mustDecide(t, l, "other", seen("b", 1), start)
				require.Equal(t, Dispatched, admit(t, l, c.Ref, aPlan(nil), start).Play.Outcome)
			},
		},
		"same object, only planned": {
			rule: planned(nil), want: Dispatched,
			before: func(t *testing.T, l *Ledger) {
				l.Observe("b", 1, start)
				mustDecide(t, l, "other", seen("b", 1), start)
			},
		},
		"same object awaits approval": {
			rule: planned(nil), want: Skipped, reason: ReasonTargetBusy,
			before: func(t *testing.T, l *Ledger) {
				l.Observe("b", 1, start)
				c := mustDecide(t, l, "asks", seen("b", 1), start)
				require.Equal(t, Awaiting, admit(t, l, c.Ref, aPlan(nil), start).Play.Outcome)
			},
		},
		"acted on the object lately": {
			rule: planned(nil), want: Skipped, reason: ReasonCooldown, after: 80 * time.Second,
			before: func(t *testing.T, l *Ledger) {
				l.Observe("b", 1, start)
				c := mustDecide(t, l, "restart", seen("b", 1), start)
				carryOut(t, l, c.Ref, start)
				l.Resolve("b", start, true, start)
			},
		},
		"share of the whole": {
			rule: planned(nil), plan: aPlan(func(p *Plan) { p.Weight = 2 }), want: Skipped, reason: ReasonBudget, before: share(10, 0),
		},
		"share of a whole that is not known": {
			rule: planned(nil), plan: aPlan(func(p *Plan) { p.Destructive, p.Witness, p.Population = true, true, 0 }),
			want: Skipped, reason: ReasonBudget, before: share(10, 0),
		},
		"floor of what is healthy": {
			rule: planned(nil), plan: aPlan(func(p *Plan) { p.Healthy = 8 }), want: Skipped, reason: ReasonBudget, before: share(0, 80),
		},
		"within its share": {rule: planned(func(r *Rule) { r.Steps[0].Destructive = true }), want: Dispatched, before: share(10, 80)},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			asks := planned(func(r *Rule) { r.Name, r.Mode = "asks", Approve })
			other := planned(func(r *Rule) { r.Name = "other" })
			l := begin(t, tc.rule, other, asks)
			c := mustDecide(t, l, tc.rule.Name, seen("a", 1), start)
			require.Equal(t, Pending, c.Play.Outcome, c.Play.Detail)
			require.False(t, c.Play.Charged)
			if tc.before != nil {
				tc.before(t, l)
			}
			if tc.plan == nil {
				tc.plan = aPlan(nil)
			}
			charged := spent(l, start)
			got := admit(t, l, c.Ref, tc.plan, start.Add(tc.after))
			assert.Equal(t, tc.want, got.Play.Outcome, got.Play.Detail)
			assert.Equal(t, tc.reason, got.Play.Reason)
			assert.Equal(t, tc.want == Dispatched, got.Play.Charged)
			if tc.want != Dispatched {
				assert.Equal(t, charged, spent(l, start))
				goOn, _ := l.Dispatch(c.Ref, start)
				assert.False(t, goOn, "there is no other way to the executor")
			}
		})
	}
}

// share makes the budget one of a percentage and a floor.
func share(percent, healthy float64) func(*testing.T, *Ledger) {
	return func(_ *testing.T, l *Ledger) {
		l.policy.budget = actionbudget.New([]actionbudget.Limit{
			{Scope: actionbudget.Fleet, MaxActions: 9, MaxPercent: percent, MinHealthyPercent: healthy, Window: time.Hour},
		}, 100)
	}
}

func TestDestructiveStepsReachTheirPlan(t *testing.T) {
	// Only the plan knows of how many objects a share is.
	l := begin(t, planned(func(r *Rule) { r.Steps[0].Destructive = true }))
	share(20, 50)(t, l)
	c := mustDecide(t, l, "restart", seen("a", 1), start)
	require.Equal(t, Pending, c.Play.Outcome, c.Play.Detail)
}

func TestAdmitWantsAPlan(t *testing.T) {
	l := begin(t, planned(nil), rule(func(r *Rule) { r.Name = "webhook" }))
	c := mustDecide(t, l, "restart", seen("a", 1), start)
	_, ok := l.Admit(c.Ref, nil, start)
	require.False(t, ok)
	for _, ref := range []Ref{{}, {Incident: "a", Playbook: "restart", Revision: 2}, {Incident: "a", Playbook: "restart", Revision: 1, Step: 1}} {
		_, ok := l.Admit(ref, aPlan(nil), start)
		require.False(t, ok)
	}
	l.Observe("b", 1, start)
	c = mustDecide(t, l, "webhook", seen("b", 1), start)
	_, ok = l.Admit(c.Ref, aPlan(nil), start)
	require.False(t, ok, "this step has no plan")
}

func TestPlannedStepsAreNotDispatchedUnadmitted(t *testing.T) {
	for _, mode := range Modes {
		l := begin(t, planned(func(r *Rule) { r.Mode = mode }))
		c := mustDecide(t, l, "restart", seen("a", 1), start)
		require.Equal(t, Pending, c.Play.Outcome)
		goOn, changes := l.Dispatch(c.Ref, start)
		require.False(t, goOn)
		require.Empty(t, changes)
	}
}

func TestCooldownsAreBounded(t *testing.T) {
	l := NewLedger(Limits{MaxIncidents: 1, ForgetAfter: time.Hour}, NewPolicy(calm()), auto)
	actOn(t, l, "a", "x")
	l.Resolve("a", start, true, start)
	require.Equal(t, New, l.Observe("b", 1, start))
	p := mustDecide(t, l, "restart", seen("b", 1), start).Play
	assert.Equal(t, ReasonLimit, p.Reason)
}

func TestOncePerIncidentAndNoRepeatedSkips(t *testing.T) {
	l := begin(t, auto)
	low := seen("a", 1)
	low.Confidence = 0
	require.Equal(t, ReasonConfidence, mustDecide(t, l, "restart", low, start).Play.Reason)
	low.Revision = 2
	_, ok := l.Decide("restart", low, start)
	assert.False(t, ok, "the same reason again is no news")
	c := mustDecide(t, l, "restart", seen("a", 3), start)
	require.NotEmpty(t, l.Reject(c.Ref, true, "no", start))
	_, ok = l.Decide("restart", seen("a", 4), start.Add(time.Hour))
	assert.False(t, ok, "a playbook acts once per incident")
	_, ok = l.Decide("restart", seen("unknown", 1), start)
	assert.False(t, ok)
	_, ok = l.Decide("unknown", seen("a", 5), start)
	assert.False(t, ok)
}

func TestBreakers(t *testing.T) {
	settings := calm()
	settings.Budget[0].MaxActions = 100
	settings.Playbook = circuitbreaker.Settings{Failures: 2, Cooldown: 5 * time.Minute, MaxKeys: 10}
	settings.Target = circuitbreaker.Settings{MaxActions: 2, Window: time.Hour, Cooldown: time.Minute, MaxKeys: 10}
	settings.Fleet = circuitbreaker.Settings{RateFailures: 4, RateOutcomes: 10, Cooldown: time.Minute, MaxKeys: 1}
	r := rule(func(r *Rule) { r.Cooldown = time.Second })

	t.Run("a playbook that fails twice in a row, and its probe", func(t *testing.T) {
		l := NewLedger(limits, NewPolicy(settings), r)
		actOn(t, l, "a", "x")
		require.Empty(t, l.Policy().TakeNotes())
		actOn(t, l, "b", "y")
		notes := l.Policy().TakeNotes()
		require.Len(t, notes, 1)
		assert.Equal(t, []string{"playbook_breaker", "restart", "open"}, []string{notes[0].Guard, notes[0].Key, notes[0].State})
		require.Equal(t, New, l.Observe("c", 1, start))
		assert.Equal(t, ReasonBreaker, mustDecide(t, l, "restart", seen("c", 1), start).Play.Reason)

		later := start.Add(5 * time.Minute)
		probe := mustDecide(t, l, "restart", seen("c", 2), later)
		require.Equal(t, Pending, probe.Play.Outcome, probe.Play.Detail)
		l.Observe("d", 1, later)
		assert.Equal(t, ReasonBreaker, mustDecide(t, l, "restart", seen("d", 1), later).Play.Reason, "only one probe")
		l.Refuse(probe.Ref, "owner", "", later)
		probe = mustDecide(t, l, "restart", seen("d", 2), later)
		require.Equal(t, Pending, probe.Play.Outcome, "one that did nothing frees its place")
		carryOut(t, l, probe.Ref, later)
		l.Resolve("d", start, true, later)
		notes = l.Policy().TakeNotes()
		assert.Equal(t, "closed", notes[len(notes)-1].State)
	})
	t.Run("an object that is acted on again and again under other names", func(t *testing.T) {
		l := NewLedger(limits, NewPolicy(settings), planned(func(r *Rule) { r.Cooldown = time.Second }))
		decide := func(id string, now time.Time) Ref {
			l.Observe(id, 1, now)
			o := seen(id, 1)
			o.Target = "k8s.pod:shop/payment-" + id // it is made anew under another name each time
			c := mustDecide(t, l, "restart", o, now)
			require.Equal(t, Pending, c.Play.Outcome, c.Play.Detail)
			return c.Ref
		}
		for i, id := range []string{"a", "b"} {
			now := start.Add(time.Duration(i) * time.Minute)
			carryOut(t, l, decide(id, now), now)
			l.Resolve(id, start, true, now)
		}
		now := start.Add(2 * time.Minute)
		changes, ok := l.Admit(decide("c", now), aPlan(nil), now)
		require.True(t, ok)
		c := one(t, changes)
		assert.Equal(t, ReasonBreaker, c.Play.Reason)
		assert.Contains(t, c.Play.Detail, "Deployment/shop/payment")
	})
	t.Run("a target that is acted on again and again", func(t *testing.T) {
		l := NewLedger(limits, NewPolicy(settings), r)
		for i, id := range []string{"a", "b"} {
			now := start.Add(time.Duration(i) * time.Minute)
			l.Observe(id, 1, now)
			o := seen(id, 1)
			o.Target = "x"
			carryOut(t, l, mustDecide(t, l, "restart", o, now).Ref, now)
			l.Resolve(id, start, true, now)
		}
		l.Observe("c", 1, start)
		o := seen("c", 1)
		o.Target = "x"
		now := start.Add(2 * time.Minute)
		assert.Equal(t, ReasonBreaker, mustDecide(t, l, "restart", o, now).Play.Reason)
		open := l.Policy().Breakers(now)
		require.Contains(t, open, BreakerStatus{"target_breaker", circuitbreaker.Status{
			Key: "x", State: circuitbreaker.Open, Reason: "it was acted on 2 times within 1h0m0s, which may be flapping", Since: now,
			Until: now.Add(time.Minute), RecentActions: 2, RecentOutcomes: 0,
		}}, "it must open, not only refuse")
		require.True(t, l.Policy().ResetBreaker("target_breaker", "x", now))
		require.False(t, l.Policy().ResetBreaker("another", "x", now))
		o.Revision = 2
		assert.Equal(t, Pending, mustDecide(t, l, "restart", o, now).Play.Outcome)
	})
	t.Run("steps that follow each other unverified are one treatment", func(t *testing.T) {
		s := settings
		s.Target.MaxActions = 1
		two := ladder(Escalate, Escalate)
		two.Steps[0].Continue = true
		l := NewLedger(limits, NewPolicy(s), two)
		l.Observe("a", 1, start)
		c := mustDecide(t, l, "restart", seen("a", 1), start)
		ref := carryOut(t, l, c.Ref, start)
		ref.Step = 1
		assert.Equal(t, Dispatched, admit(t, l, ref, aPlan(nil), start).Play.Outcome)
		assert.Equal(t, 2, spent(l, start), "but the budget counts each")
	})
}

func TestStorm(t *testing.T) {
	settings := calm()
	settings.Budget[0].MaxActions = 100
	settings.Storm = stormgate.Settings{MaxIncidents: 10, Window: time.Minute, MaxActions: 1, Quiet: time.Minute, Jitter: time.Minute}
	l := NewLedger(Limits{MaxIncidents: 2000, ForgetAfter: time.Hour}, NewPolicy(settings), auto)
	acted, reasons := 0, map[Reason]int{}
	for i := range 1000 {
		id := "i" + string(rune('a'+i%26)) + string(rune('a'+i/26))
		now := start.Add(time.Duration(i) * 60 * time.Millisecond)
		require.Equal(t, New, l.Observe(id, 1, now))
		l.Policy().Opened(id, "service:"+id, now)
		if i < 11 {
			continue // a storm is one from the eleventh incident on
		}
		p := mustDecide(t, l, "restart", seen(id, 1), now).Play
		reasons[p.Reason]++
		if p.Outcome == Pending {
			acted++
		}
	}
	assert.Equal(t, 1, acted)
	assert.Equal(t, map[Reason]int{"": 1, ReasonStorm: 988}, reasons)
	assert.True(t, l.Policy().Storm(start.Add(time.Minute)).Storm)
}

func TestModes(t *testing.T) {
	assert.True(t, less(Observe, Auto))
	assert.True(t, less(Approve, Auto))
	assert.False(t, less(Auto, Auto))
	assert.False(t, less(Auto, Suggest))
	assert.Equal(t, "critical", graver("critical", "low"))
	assert.Equal(t, "low", graver("", "low"))
	assert.Empty(t, graver("unheard of", ""))
}
