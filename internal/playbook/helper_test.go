package playbook

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/actionbudget"
	"github.com/paramedic-otel/paramedic/internal/circuitbreaker"
	"github.com/paramedic-otel/paramedic/internal/outcomes"
	"github.com/paramedic-otel/paramedic/internal/stormgate"
)

var (
	start  = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	limits = Limits{MaxIncidents: 100, ForgetAfter: time.Hour}
	// step is one whose 90 s are easy to reckon with.
	step = Step{Name: "restart", Class: "restart", Within: 90 * time.Second, OnFailure: Escalate}
	auto = Rule{
		Name: "restart", Version: "v1", Mode: Auto, MinConfidence: 0.5, Cooldown: 10 * time.Minute, Witnesses: 2,
		ApproveWithin: 15 * time.Minute, Steps: []Step{step},
	}
	receipt = json.RawMessage(`{"was":3}`)
)

// calm are settings under which three actions may start within ten minutes and nothing else spans incidents.
func calm() PolicySettings {
	off := circuitbreaker.Settings{Cooldown: time.Minute, MaxKeys: 1000}
	return PolicySettings{
		Budget:     []actionbudget.Limit{{Scope: actionbudget.Fleet, MaxActions: 3, Window: 10 * time.Minute}},
		MaxCharges: 1000, Playbook: off, Target: off, Fleet: off,
		Storm:    stormgate.Settings{MaxIncidents: 10_000, Window: time.Minute, MaxActions: 1, Quiet: time.Minute},
		Outcomes: outcomes.Settings{MaxPairs: 100},
	}
}

// rule is auto with changes.
func rule(change func(*Rule)) Rule {
	r := auto
	r.Steps = []Step{step}
	change(&r)
	return r
}

// planned is auto with one planned step.
func planned(change func(*Rule)) Rule {
	return rule(func(r *Rule) {
		r.Steps[0].Planned = true
		if change != nil {
			change(r)
		}
	})
}

// ladder is auto with steps that are named by what follows their failure.
func ladder(follows ...OnFailure) Rule {
	return rule(func(r *Rule) {
		r.Steps = nil
		for _, f := range follows {
			s := step
			s.Planned, s.OnFailure = true, f
			r.Steps = append(r.Steps, s)
		}
	})
}

func seen(id string, revision int64) Observation {
	return Observation{Incident: id, Revision: revision, At: start, Target: "service:" + id, CauseKind: "saturation", Confidence: 0.9, Witnesses: 2}
}

// begin makes a ledger with incident a.
func begin(t testing.TB, rules ...Rule) *Ledger {
	t.Helper()
	l := NewLedger(limits, NewPolicy(calm()), rules...)
	require.Equal(t, New, l.Observe("a", 1, start))
	return l
}

func mustDecide(t testing.TB, l *Ledger, playbook string, o Observation, now time.Time) Change {
	t.Helper()
	c, ok := l.Decide(playbook, o, now)
	require.True(t, ok)
	return c
}

// aPlan is one that touches one of ten objects.
func aPlan(change func(*Plan)) *Plan {
	p := &Plan{
		Target: "Deployment shop/payment", Locks: []string{"Deployment/shop/payment"}, Class: "restart", Namespace: "shop", Weight: 1,
		Population: 10, Healthy: 10, Undoable: true, Summary: "restart it", Body: json.RawMessage(`{}`),
	}
	if change != nil {
		change(p)
	}
	return p
}

// one returns the only change.
func one(t testing.TB, changes []Change) Change {
	t.Helper()
	require.Len(t, changes, 1)
	return changes[0]
}

func admit(t testing.TB, l *Ledger, ref Ref, plan *Plan, now time.Time) Change {
	t.Helper()
	changes, ok := l.Admit(ref, plan, now)
	require.True(t, ok)
	return changes[len(changes)-1]
}

// act decides on incident a and carries the first step out.
func act(t testing.TB, l *Ledger, playbook string, now time.Time) Ref {
	t.Helper()
	c := mustDecide(t, l, playbook, seen("a", l.Incident("a").Revision), now)
	require.Equal(t, Pending, c.Play.Outcome, c.Play.Detail)
	return carryOut(t, l, c.Ref, now)
}

// carryOut takes a pending step to its acceptance.
func carryOut(t testing.TB, l *Ledger, ref Ref, now time.Time) Ref {
	t.Helper()
	p, ok := l.At(ref)
	require.True(t, ok)
	if _, s, _ := l.step(ref.Playbook, &p); s.Planned {
		require.Equal(t, Dispatched, admit(t, l, ref, aPlan(nil), now).Play.Outcome)
	}
	goOn, changes := l.Dispatch(ref, now)
	require.True(t, goOn)
	require.Empty(t, changes)
	require.NotEmpty(t, l.Accept(ref, receipt, now))
	return ref
}

// actOn starts an action on an incident of its own and has it fail, so that only its traces remain.
func actOn(t testing.TB, l *Ledger, id, target string) {
	t.Helper()
	l.Observe(id, 1, start)
	o := seen(id, 1)
	o.Target = target
	c := mustDecide(t, l, auto.Name, o, start)
	require.Equal(t, Pending, c.Play.Outcome, c.Play.Detail)
	require.NotEmpty(t, l.Reject(c.Ref, true, "", start))
}

// spent returns how many charges the budget holds.
func spent(l *Ledger, now time.Time) int { return l.Policy().Usage(now)[0].Actions }

// encodeAll returns everything that would be stored.
func encodeAll(t testing.TB, l *Ledger) map[string]string {
	t.Helper()
	common, err := l.EncodeCommon()
	require.NoError(t, err)
	out := map[string]string{"": string(common)}
	for id := range l.incidents {
		b, err := l.EncodeIncident(id)
		require.NoError(t, err)
		out[id] = string(b)
	}
	return out
}

// restart stores everything and reads it into a new ledger with these rules.
func restart(t testing.TB, l *Ledger, rules ...Rule) *Ledger {
	t.Helper()
	fresh := NewLedger(l.limits, NewPolicy(l.policy.settings), rules...)
	stored := encodeAll(t, l)
	require.NoError(t, fresh.DecodeCommon([]byte(stored[""])))
	for _, id := range sortedKeys(stored) {
		if id == "" {
			continue
		}
		got, err := fresh.DecodeIncident([]byte(stored[id]))
		require.NoError(t, err)
		require.Equal(t, id, got)
	}
	fresh.SetWorld(l.world)
	require.Equal(t, stored, encodeAll(t, fresh))
	return fresh
}
