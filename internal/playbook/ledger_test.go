package playbook

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	start  = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	limits = Limits{MaxIncidents: 100, ForgetAfter: time.Hour, MaxActions: 3, Window: 10 * time.Minute}
	auto   = Rule{Name: "restart", Mode: Auto, MinConfidence: 0.5, Cooldown: 10 * time.Minute, Within: 90 * time.Second}
)

func seen(id string, revision int64) Observation {
	return Observation{Incident: id, Revision: revision, At: start, Target: "service:" + id, Confidence: 0.9}
}

// begin makes a ledger with incident a.
func begin(t *testing.T) *Ledger {
	t.Helper()
	l := NewLedger(limits)
	require.Equal(t, New, l.Observe("a", 1, start))
	return l
}

func mustDecide(t *testing.T, l *Ledger, r Rule, o Observation, now time.Time) Play {
	t.Helper()
	p, ok := l.Decide(r, o, now)
	require.True(t, ok)
	return p
}

func TestGuards(t *testing.T) {
	observe := auto
	observe.Mode = Observe
	other := auto
	other.Name = "scale"
	late := auto
	late.MaxRevision = 1
	cases := map[string]struct {
		before func(t *testing.T, l *Ledger)
		rule   Rule
		change func(*Observation)
		after  time.Duration
		want   Outcome
		reason Reason
	}{
		"acts":            {rule: auto, want: Pending},
		"observe":         {rule: observe, want: Proposed},
		"max revision":    {rule: late, change: func(o *Observation) { o.Revision = 2 }, want: Skipped, reason: ReasonRevision},
		"no target":       {rule: auto, change: func(o *Observation) { o.Target = "" }, want: Skipped, reason: ReasonNoTarget},
		"confidence":      {rule: auto, change: func(o *Observation) { o.Confidence = 0.499 }, want: Skipped, reason: ReasonConfidence},
		"confidence edge": {rule: auto, change: func(o *Observation) { o.Confidence = 0.5 }, want: Pending},
		"obstacle":        {rule: auto, change: func(o *Observation) { o.Obstacle = ReasonParameter }, want: Skipped, reason: ReasonParameter},
		"in flight": {
			rule: other, want: Skipped, reason: ReasonInFlight,
			before: func(t *testing.T, l *Ledger) { mustDecide(t, l, auto, seen("a", 1), start) },
		},
		"after inconclusive": {
			rule: other, want: Skipped, reason: ReasonInconclusive,
			before: func(t *testing.T, l *Ledger) {
				mustDecide(t, l, auto, seen("a", 1), start)
				require.NotNil(t, l.Reject("a", auto.Name, 1, false))
			},
		},
		"next rung after failure": {
			rule: other, want: Pending,
			before: func(t *testing.T, l *Ledger) {
				mustDecide(t, l, auto, seen("a", 1), start)
				require.NotNil(t, l.Reject("a", auto.Name, 1, true))
			},
		},
		"target busy": {
			rule: other, want: Skipped, reason: ReasonTargetBusy,
			before: func(t *testing.T, l *Ledger) {
				l.Observe("b", 1, start)
				o := seen("b", 1)
				o.Target = "service:a"
				mustDecide(t, l, auto, o, start)
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
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			l := begin(t)
			if tc.before != nil {
				tc.before(t, l)
			}
			o := seen("a", 1)
			if tc.change != nil {
				tc.change(&o)
			}
			p := mustDecide(t, l, tc.rule, o, start.Add(tc.after))
			assert.Equal(t, tc.want, p.Outcome)
			assert.Equal(t, tc.reason, p.Reason)
		})
	}
}

// actOn starts an action and has it fail, so that only its traces remain.
func actOn(t *testing.T, l *Ledger, id, target string) {
	t.Helper()
	l.Observe(id, 1, start)
	o := seen(id, 1)
	o.Target = target
	require.Equal(t, Pending, mustDecide(t, l, auto, o, start).Outcome)
	require.NotNil(t, l.Reject(id, auto.Name, 1, true))
}

func TestObserveModeDoesNotSpendTheBudget(t *testing.T) {
	l := NewLedger(Limits{MaxIncidents: 10, ForgetAfter: time.Hour, MaxActions: 1, Window: time.Hour})
	observe := auto
	observe.Name, observe.Mode = "watch", Observe
	for _, id := range []string{"a", "b"} {
		l.Observe(id, 1, start)
		require.Equal(t, Proposed, mustDecide(t, l, observe, seen(id, 1), start).Outcome)
	}
	require.Equal(t, Pending, mustDecide(t, l, auto, seen("a", 1), start).Outcome)
}

func TestCooldownsAreBounded(t *testing.T) {
	l := NewLedger(Limits{MaxIncidents: 1, ForgetAfter: time.Hour, MaxActions: 10, Window: time.Hour})
	actOn(t, l, "a", "x")
	l.Resolve("a", start, true)
	require.Equal(t, New, l.Observe("b", 1, start))
	p := mustDecide(t, l, auto, seen("b", 1), start)
	assert.Equal(t, ReasonLimit, p.Reason)
}

func TestOncePerIncidentAndNoRepeatedSkips(t *testing.T) {
	l := begin(t)
	low := seen("a", 1)
	low.Confidence = 0
	require.Equal(t, ReasonConfidence, mustDecide(t, l, auto, low, start).Reason)
	low.Revision = 2
	_, ok := l.Decide(auto, low, start)
	assert.False(t, ok, "the same reason again is no news")
	require.Equal(t, Pending, mustDecide(t, l, auto, seen("a", 3), start).Outcome)
	require.NotNil(t, l.Reject("a", auto.Name, 3, true))
	_, ok = l.Decide(auto, seen("a", 4), start.Add(time.Hour))
	assert.False(t, ok, "a playbook acts once per incident")
	_, ok = l.Decide(auto, seen("unknown", 1), start)
	assert.False(t, ok)
}

func TestVerification(t *testing.T) {
	accepted := start.Add(10 * time.Second) // so that the deadlines are 100 s after the start
	cases := map[string]struct {
		end    func(l *Ledger) []Change
		want   Outcome
		reason Reason
	}{
		"recovered":         {func(l *Ledger) []Change { return l.Resolve("a", start.Add(100*time.Second), true) }, Succeeded, ReasonRecovered},
		"recovered late":    {func(l *Ledger) []Change { return l.Resolve("a", start.Add(101*time.Second), true) }, Failed, ReasonNotRecovered},
		"no data":           {func(l *Ledger) []Change { return l.Resolve("a", start.Add(time.Second), false) }, Inconclusive, ReasonNoData},
		"still open":        {func(l *Ledger) []Change { return l.Progress("a", start.Add(101*time.Second)) }, Failed, ReasonNotRecovered},
		"still open, early": {func(l *Ledger) []Change { return l.Progress("a", start.Add(100*time.Second)) }, "", ""},
		"silence":           {func(l *Ledger) []Change { return l.Expire(start.Add(100 * time.Second)) }, Failed, ReasonNotRecovered},
		"silence, early":    {func(l *Ledger) []Change { return l.Expire(start.Add(100*time.Second - 1)) }, "", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			l := begin(t)
			mustDecide(t, l, auto, seen("a", 1), start)
			ok, change := l.Dispatch("a", auto.Name, 1, start)
			require.True(t, ok)
			require.Nil(t, change)
			require.Nil(t, l.Accept("a", auto.Name, 1, accepted))
			got := tc.end(l)
			if tc.want == "" {
				assert.Empty(t, got)
				return
			}
			require.Len(t, got, 1)
			assert.Equal(t, tc.want, got[0].Play.Outcome)
			assert.Equal(t, tc.reason, got[0].Play.Reason)
			assert.Empty(t, l.Expire(start.Add(time.Hour)), "an end is final")
			assert.Empty(t, l.Resolve("a", start, true))
		})
	}
}

func TestReopen(t *testing.T) {
	l := begin(t)
	_, ok := l.Reopen("a", 9, start)
	require.False(t, ok, "it is open")
	l.Resolve("a", start, true)
	_, ok = l.Reopen("a", 1, start)
	assert.False(t, ok, "an old event reopens nothing")
	changes, ok := l.Reopen("a", 9, start)
	require.True(t, ok)
	if len(changes) > 0 {
		assert.Equal(t, ReasonReturned, changes[0].Play.Reason)
	}
	assert.Equal(t, Duplicate, l.Observe("a", 9, start))
	assert.Equal(t, Known, l.Observe("a", 10, start), "it goes on")
	_, ok = l.Reopen("nobody", 1, start)
	assert.False(t, ok)
}

func TestStaleActionsAreNotDispatched(t *testing.T) {
	t.Run("resolved before the attempt", func(t *testing.T) {
		l := begin(t)
		mustDecide(t, l, auto, seen("a", 1), start)
		got := l.Resolve("a", start, true)
		require.Len(t, got, 1)
		assert.Equal(t, Skipped, got[0].Play.Outcome)
		assert.Equal(t, ReasonStale, got[0].Play.Reason)
		ok, change := l.Dispatch("a", auto.Name, 1, start)
		assert.False(t, ok)
		assert.Nil(t, change)
	})
	t.Run("resolved between attempts", func(t *testing.T) {
		l := begin(t)
		mustDecide(t, l, auto, seen("a", 1), start)
		_, _ = l.Dispatch("a", auto.Name, 1, start)
		assert.Empty(t, l.Resolve("a", start, true))
		ok, change := l.Dispatch("a", auto.Name, 1, start)
		assert.False(t, ok)
		require.NotNil(t, change)
		assert.Equal(t, Inconclusive, change.Play.Outcome)
	})
	t.Run("resolved before acceptance", func(t *testing.T) {
		l := begin(t)
		mustDecide(t, l, auto, seen("a", 1), start)
		_, _ = l.Dispatch("a", auto.Name, 1, start)
		l.Resolve("a", start, true)
		require.Equal(t, Inconclusive, l.Accept("a", auto.Name, 1, start).Play.Outcome)
	})
	t.Run("deadline passed", func(t *testing.T) {
		l := begin(t)
		mustDecide(t, l, auto, seen("a", 1), start)
		ok, change := l.Dispatch("a", auto.Name, 1, start.Add(90*time.Second))
		assert.False(t, ok)
		require.NotNil(t, change)
		assert.Equal(t, Skipped, change.Play.Outcome)
	})
	t.Run("waiting past the deadline", func(t *testing.T) {
		l := begin(t)
		mustDecide(t, l, auto, seen("a", 1), start)
		require.Equal(t, Skipped, l.Expire(start.Add(90 * time.Second))[0].Play.Outcome)
		l = begin(t)
		mustDecide(t, l, auto, seen("a", 1), start)
		_, _ = l.Dispatch("a", auto.Name, 1, start)
		require.Equal(t, Inconclusive, l.Expire(start.Add(90 * time.Second))[0].Play.Outcome)
	})
	t.Run("replaced by a later decision", func(t *testing.T) {
		l := begin(t)
		mustDecide(t, l, auto, seen("a", 1), start)
		ok, _ := l.Dispatch("a", auto.Name, 7, start)
		assert.False(t, ok)
		assert.Nil(t, l.Accept("a", auto.Name, 7, start))
		assert.Nil(t, l.Reject("a", auto.Name, 7, true))
	})
}

func TestObserveVerdicts(t *testing.T) {
	l := NewLedger(Limits{MaxIncidents: 2, ForgetAfter: time.Hour, MaxActions: 1, Window: time.Hour})
	assert.Equal(t, New, l.Observe("a", 1, start))
	assert.Equal(t, Duplicate, l.Observe("a", 1, start))
	assert.Equal(t, Known, l.Observe("a", 3, start))
	assert.Equal(t, Duplicate, l.Observe("a", 2, start), "an older revision")
	assert.Equal(t, New, l.Observe("b", 1, start.Add(time.Minute)))
	assert.Equal(t, Refused, l.Observe("c", 1, start))
	l.Resolve("b", start, true)
	l.Resolve("a", start, true)
	assert.Equal(t, Duplicate, l.Observe("a", 4, start), "after its end")
	assert.Equal(t, New, l.Observe("c", 1, start.Add(2*time.Minute)), "the resolved one silent for longest makes room")
	assert.Nil(t, l.Incident("a"))
	assert.Equal(t, 2, l.Len())
	resolved, open := l.Forget(start.Add(61 * time.Minute))
	assert.Equal(t, []int{1, 0}, []int{resolved, open})
	resolved, open = l.Forget(start.Add(62 * time.Minute))
	assert.Equal(t, []int{0, 1}, []int{resolved, open})
}

func TestEncodeDecode(t *testing.T) {
	l := begin(t)
	mustDecide(t, l, auto, seen("a", 1), start)
	_, _ = l.Dispatch("a", auto.Name, 1, start)
	actOnOther := seen("b", 1)
	l.Observe("b", 1, start)
	mustDecide(t, l, auto, actOnOther, start)
	want, err := l.Encode()
	require.NoError(t, err)
	fresh := NewLedger(limits)
	require.NoError(t, fresh.Decode(want))
	got, err := fresh.Encode()
	require.NoError(t, err)
	assert.JSONEq(t, string(want), string(got))
	require.Nil(t, fresh.Accept("a", auto.Name, 1, start))
	require.Equal(t, Succeeded, fresh.Resolve("a", start, true)[0].Play.Outcome)
}

func TestDecodeErrors(t *testing.T) {
	for name, tc := range map[string]struct{ in, want string }{
		"no json":       {"x", "decode ledger: "},
		"version":       {`{"version":2}`, "decode ledger: version must be 1, got 2"},
		"null incident": {`{"version":1,"incidents":{"a":null}}`, "decode ledger: an incident is null"},
		"null play":     {`{"version":1,"incidents":{"a":{"plays":{"p":null}}}}`, "decode ledger: a play is null"},
	} {
		t.Run(name, func(t *testing.T) {
			l := begin(t)
			require.ErrorContains(t, l.Decode([]byte(tc.in)), tc.want)
			assert.Equal(t, 1, l.Len(), "what was there stays")
		})
	}
}

// TestInvariants walks at random and checks what must hold at every step whatever happens.
func TestInvariants(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	l := NewLedger(limits)
	var starts []time.Time
	lastOn := map[string]time.Time{}
	now := start
	for range 5_000 {
		now = now.Add(time.Duration(rng.IntN(20)) * time.Second)
		id := fmt.Sprintf("i%d", rng.IntN(150))
		rule := auto
		rule.Name = fmt.Sprintf("p%d", rng.IntN(3))
		inc := l.Incident(id)
		rev := int64(1)
		if inc != nil {
			rev = inc.Revision + int64(rng.IntN(2))
		}
		switch rng.IntN(6) {
		case 0, 1, 2:
			if v := l.Observe(id, rev, now); v == New || v == Known {
				o := seen(id, rev)
				o.Target, o.At, o.Confidence = fmt.Sprintf("t%d", rng.IntN(5)), now, rng.Float64()
				if p, ok := l.Decide(rule, o, now); ok && p.Outcome == Pending {
					starts = append(starts, now)
					last, before := lastOn[rule.Name+o.Target]
					require.False(t, before && now.Sub(last) < rule.Cooldown)
					lastOn[rule.Name+o.Target] = now
				}
			}
		case 3:
			if goOn, _ := l.Dispatch(id, rule.Name, rev, now); goOn {
				l.Accept(id, rule.Name, rev, now)
			}
		case 4:
			l.Resolve(id, now, rng.IntN(2) == 0)
		case 5:
			l.Expire(now)
			l.Forget(now)
		}
		require.LessOrEqual(t, l.Len(), limits.MaxIncidents)
		busy := map[string]int{}
		for _, inc := range l.incidents {
			n := 0
			for _, p := range inc.Plays {
				if p.inFlight() {
					n++
					busy[p.Target]++
					require.LessOrEqual(t, busy[p.Target], 1)
				}
			}
			require.LessOrEqual(t, n, 1)
		}
	}
	require.Greater(t, len(starts), 50)
	for i := limits.MaxActions; i < len(starts); i++ {
		require.GreaterOrEqual(t, starts[i].Sub(starts[i-limits.MaxActions]), limits.Window)
	}
}

func FuzzDecode(f *testing.F) {
	l := NewLedger(limits)
	l.Observe("a", 1, start)
	l.Decide(auto, seen("a", 1), start)
	b, err := l.Encode()
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte(`{"version":1,"incidents":{"a":{"plays":{"p":{}}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := NewLedger(limits)
		if l.Decode(b) != nil {
			return
		}
		l.Observe("a", 5, start)
		l.Decide(auto, seen("a", 5), start)
		l.Expire(start.Add(time.Hour))
		l.Forget(start.Add(time.Hour))
		_, err := l.Encode()
		require.NoError(t, err)
	})
}
