package playbook

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVerification(t *testing.T) {
	accepted := start.Add(10 * time.Second) // so that the deadlines are 100 s after the start
	cases := map[string]struct {
		end      func(l *Ledger) []Change
		world    World
		want     Outcome
		reason   Reason
		escalate bool
	}{
		"recovered": {
			end:  func(l *Ledger) []Change { return l.Resolve("a", start.Add(100*time.Second), true, accepted) },
			want: Succeeded, reason: ReasonRecovered,
		},
		"recovered late": {
			end:  func(l *Ledger) []Change { return l.Resolve("a", start.Add(101*time.Second), true, accepted) },
			want: Failed, reason: ReasonNotRecovered, escalate: true,
		},
		"no data": {
			end:  func(l *Ledger) []Change { return l.Resolve("a", start.Add(time.Second), false, accepted) },
			want: Inconclusive, reason: ReasonNoData, escalate: true,
		},
		"an outage of our own looks like recovery": {
			end: func(l *Ledger) []Change { return l.Resolve("a", start.Add(time.Second), true, accepted) }, world: World{Stale: "no data"},
			want: Inconclusive, reason: ReasonNoData, escalate: true,
		},
		"merged into one that is not known": {
			end:  func(l *Ledger) []Change { return l.Merge("a", "b", accepted) },
			want: Inconclusive, reason: ReasonMerged, escalate: true,
		},
		"merged into itself": {
			end:  func(l *Ledger) []Change { return l.Merge("a", "a", accepted) },
			want: Inconclusive, reason: ReasonMerged, escalate: true,
		},
		"still open": {
			end:  func(l *Ledger) []Change { return l.Progress("a", start.Add(101*time.Second), accepted) },
			want: Failed, reason: ReasonNotRecovered, escalate: true,
		},
		"still open, early": {end: func(l *Ledger) []Change { return l.Progress("a", start.Add(100*time.Second), accepted) }},
		"silence": {
			end:  func(l *Ledger) []Change { return l.Expire(start.Add(100 * time.Second)) },
			want: Failed, reason: ReasonNotRecovered, escalate: true,
		},
		"silence, early": {end: func(l *Ledger) []Change { return l.Expire(start.Add(100*time.Second - 1)) }},
		"silence since our input has stopped": {
			end: func(l *Ledger) []Change { return l.Expire(start.Add(100 * time.Second)) }, world: World{Stale: "no data"},
			want: Inconclusive, reason: ReasonNoData, escalate: true,
		},
		"worse": {
			end:  func(l *Ledger) []Change { return l.Assess(Ref{"a", "restart", 1, 0}, Worse, accepted) },
			want: Failed, reason: ReasonWorse, escalate: true,
		},
		"signals without the incident's end": {end: func(l *Ledger) []Change { return l.Assess(Ref{"a", "restart", 1, 0}, Met, accepted) }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			l := begin(t, auto)
			c := mustDecide(t, l, "restart", seen("a", 1), start)
			goOn, changes := l.Dispatch(c.Ref, start)
			require.True(t, goOn)
			require.Nil(t, changes)
			require.Equal(t, Accepted, one(t, l.Accept(c.Ref, nil, accepted)).Play.Outcome)
			l.SetWorld(tc.world)
			got := tc.end(l)
			if tc.want == "" {
				assert.Empty(t, got)
				return
			}
			end := one(t, got)
			assert.Equal(t, tc.want, end.Play.Outcome)
			assert.Equal(t, tc.reason, end.Play.Reason)
			assert.Equal(t, tc.escalate, end.Escalate)
			assert.Empty(t, l.Expire(start.Add(time.Hour)), "an end is final")
			assert.Empty(t, l.Resolve("a", start, true, accepted))
			assert.Empty(t, l.Merge("a", "b", accepted))
			assert.Empty(t, l.Assess(c.Ref, Worse, accepted))
		})
	}
}

// TestVerdictOfMergedIncidents: an action for an incident that goes on as a part of another is judged by the end of that one.
func TestVerdictOfMergedIncidents(t *testing.T) {
	in, late := start.Add(80*time.Second), start.Add(91*time.Second)
	type say func(l *Ledger) []Change
	resolve := func(id string, at time.Time, recovered bool) say {
		return func(l *Ledger) []Change { return l.Resolve(id, at, recovered, start) }
	}
	merge := func(id, into string) say { return func(l *Ledger) []Change { return l.Merge(id, into, start) } }
	assess := func(a Assessment) say {
		return func(l *Ledger) []Change { return l.Assess(Ref{"a", "restart", 1, 0}, a, start) }
	}
	reopen := func(l *Ledger) []Change {
		changes, ok := l.Reopen("a", 2, start)
		require.True(t, ok)
		return changes
	}
	for name, tc := range map[string]struct {
		assessed bool
		say      []say
		want     Outcome
		reason   Reason
	}{
		"recovered":               {say: []say{resolve("b", in, true)}, want: Succeeded, reason: ReasonRecovered},
		"another one recovered":   {say: []say{resolve("c", in, true)}},
		"recovered late":          {say: []say{resolve("b", late, true)}, want: Failed, reason: ReasonNotRecovered},
		"no data":                 {say: []say{resolve("b", in, false)}, want: Inconclusive, reason: ReasonNoData},
		"goes on":                 {say: []say{func(l *Ledger) []Change { return l.Progress("b", in, start) }}},
		"goes on for too long":    {say: []say{func(l *Ledger) []Change { return l.Progress("b", late, start) }}, want: Failed, reason: ReasonNotRecovered},
		"silence":                 {say: []say{func(l *Ledger) []Change { return l.Expire(late) }}, want: Failed, reason: ReasonNotRecovered},
		"merged again":            {say: []say{merge("b", "c"), resolve("c", in, true)}, want: Succeeded, reason: ReasonRecovered},
		"merged into the unknown": {say: []say{merge("b", "d")}, want: Inconclusive, reason: ReasonMerged},
		"on its own again":        {say: []say{reopen, resolve("b", in, true)}},
		"on its own to the end":   {say: []say{reopen, resolve("a", in, true)}, want: Succeeded, reason: ReasonRecovered},
		"signals after the end":   {assessed: true, say: []say{resolve("b", in, true), assess(Met)}, want: Succeeded, reason: ReasonRecovered},
		"signals before the end":  {assessed: true, say: []say{assess(Met), resolve("b", in, true)}, want: Succeeded, reason: ReasonRecovered},
		"signals against it":      {assessed: true, say: []say{resolve("b", in, true), func(l *Ledger) []Change { return l.Expire(late) }}, want: Inconclusive, reason: ReasonNoData},
	} {
		t.Run(name, func(t *testing.T) {
			rule := planned(func(r *Rule) { r.Steps[0].Assessed = tc.assessed })
			l := begin(t, rule)
			l.Observe("b", 1, start)
			l.Observe("c", 1, start)
			ref := act(t, l, "restart", start)
			require.Empty(t, l.Merge("a", "b", start))
			for i, s := range tc.say {
				l = restart(t, l, rule)
				changes := s(l)
				if i < len(tc.say)-1 || tc.want == "" {
					require.Empty(t, changes)
					continue
				}
				c := one(t, changes)
				assert.Equal(t, ref, c.Ref)
				assert.Equal(t, tc.want, c.Play.Outcome)
				assert.Equal(t, tc.reason, c.Play.Reason)
				assert.Equal(t, tc.want != Succeeded, c.Escalate)
			}
		})
	}
}

// TestPartsAreUnderWay: no second action is begun for an incident while one for a part of it is judged.
func TestPartsAreUnderWay(t *testing.T) {
	l := begin(t, auto)
	l.Observe("b", 1, start)
	act(t, l, "restart", start)
	require.Empty(t, l.Merge("a", "b", start))
	c := mustDecide(t, l, "restart", seen("b", 1), start)
	assert.Equal(t, Skipped, c.Play.Outcome)
	assert.Equal(t, ReasonInFlight, c.Play.Reason)
}

// TestAssessment: the incident's own end and independent signals must agree, in whichever order they come.
func TestAssessment(t *testing.T) {
	end := start.Add(90 * time.Second)
	type say func(l *Ledger, ref Ref) []Change
	assess := func(a Assessment) say {
		return func(l *Ledger, ref Ref) []Change { return l.Assess(ref, a, start) }
	}
	resolve := func(l *Ledger, _ Ref) []Change { return l.Resolve("a", start, true, start) }
	expire := func(l *Ledger, _ Ref) []Change { return l.Expire(end) }
	for name, tc := range map[string]struct {
		say    []say
		want   Outcome
		reason Reason
	}{
		"met, then over":                {[]say{assess(Met), resolve}, Succeeded, ReasonRecovered},
		"over, then met":                {[]say{resolve, assess(Unmet), assess(Met)}, Succeeded, ReasonRecovered},
		"met, and no longer, then over": {[]say{assess(Met), assess(Unmet), resolve, expire}, Failed, ReasonNotRecovered},
		"over, and never met":           {[]say{resolve, assess(Unmet), expire}, Failed, ReasonNotRecovered},
		"over, and nobody knows":        {[]say{resolve, expire}, Inconclusive, ReasonNoData},
		"over, and the signals stop":    {[]say{assess(Unmet), resolve, assess(Unknown), expire}, Inconclusive, ReasonNoData},
		"met, and not over":             {[]say{assess(Met), expire}, Failed, ReasonNotRecovered},
		"over, and worse":               {[]say{resolve, assess(Worse)}, Failed, ReasonWorse},
	} {
		t.Run(name, func(t *testing.T) {
			l := begin(t, planned(func(r *Rule) { r.Steps[0].Assessed = true }))
			ref := act(t, l, "restart", start)
			for i, s := range tc.say {
				changes := s(l, ref)
				l = restart(t, l, *l.rules["restart"])
				if i < len(tc.say)-1 {
					require.Empty(t, changes)
					continue
				}
				c := one(t, changes)
				assert.Equal(t, tc.want, c.Play.Outcome)
				assert.Equal(t, tc.reason, c.Play.Reason)
				assert.Equal(t, tc.want != Succeeded, c.Escalate)
			}
		})
	}
}

func TestReopen(t *testing.T) {
	l := begin(t, auto)
	_, ok := l.Reopen("a", 9, start)
	require.False(t, ok, "it is open")
	act(t, l, "restart", start)
	require.Equal(t, Succeeded, one(t, l.Resolve("a", start, true, start)).Play.Outcome)
	_, ok = l.Reopen("a", 1, start)
	assert.False(t, ok, "an old event reopens nothing")
	changes, ok := l.Reopen("a", 9, start)
	require.True(t, ok)
	c := one(t, changes)
	assert.Equal(t, Failed, c.Play.Outcome)
	assert.Equal(t, ReasonReturned, c.Play.Reason)
	assert.True(t, c.Escalate)
	assert.Equal(t, Duplicate, l.Observe("a", 9, start))
	assert.Equal(t, Known, l.Observe("a", 10, start), "it goes on")
	_, ok = l.Decide("restart", seen("a", 10), start.Add(time.Hour))
	assert.False(t, ok, "a playbook that has acted does not act again")
	_, ok = l.Reopen("nobody", 1, start)
	assert.False(t, ok)
}

func TestReopenWhileSignalsAreAwaited(t *testing.T) {
	l := begin(t, planned(func(r *Rule) { r.Steps[0].Assessed = true }))
	ref := act(t, l, "restart", start)
	require.Empty(t, l.Resolve("a", start, true, start))
	changes, ok := l.Reopen("a", 2, start)
	require.True(t, ok)
	assert.Equal(t, ReasonReturned, one(t, changes).Play.Reason)
	assert.Empty(t, l.Assess(ref, Met, start), "an incident that goes on has not recovered")
}

func TestReopenTakesBackOneAtATime(t *testing.T) {
	second := ladder(RollBack)
	second.Name = "scale"
	l := begin(t, ladder(RollBack), second)
	act(t, l, "restart", start)
	l.Resolve("a", start, true, start)
	_, _ = l.Reopen("a", 2, start)
	p, _ := l.Play("a", "restart")
	require.Equal(t, Undoing, p.Outcome)
	assert.Equal(t, ReasonInFlight, mustDecide(t, l, "scale", seen("a", 2), start).Play.Reason)
}

func TestAnIntentOfAnotherOccurrence(t *testing.T) {
	l := begin(t, auto)
	first := mustDecide(t, l, "restart", seen("a", 1), start)
	l.Resolve("a", start, true, start)
	_, ok := l.Reopen("a", 2, start)
	require.True(t, ok)
	second := mustDecide(t, l, "restart", seen("a", 2), start)
	assert.Equal(t, Pending, second.Play.Outcome)
	assert.NotEqual(t, first.Intent(), second.Intent())
	assert.Len(t, first.Intent(), 32)
	assert.NotEqual(t, IntentID("ab", "c", "", 0, 0), IntentID("a", "bc", "", 0, 0))
}

func TestAnIntentIsOfOneTarget(t *testing.T) {
	l := begin(t, rule(func(r *Rule) { r.Mode = Approve }))
	first := mustDecide(t, l, "restart", seen("a", 1), start)
	require.Equal(t, Known, l.Observe("a", 2, start))
	cause := func(string) (string, float64) { return "service:b", 0.9 }
	c := one(t, l.Reread("a", cause, start))
	assert.Equal(t, Skipped, c.Play.Outcome)
	assert.Equal(t, ReasonStale, c.Play.Reason)
	o := seen("a", 2)
	o.Target = "service:b"
	second := mustDecide(t, l, "restart", o, start)
	require.Equal(t, Awaiting, second.Play.Outcome)
	_, err := l.Approve(first.Intent(), "ann", "", start)
	require.ErrorIs(t, err, ErrUnknownIntent, "that was asked of another target")
	assert.Empty(t, l.Reread("a", cause, start), "it is the cause")
	unsure := func(string) (string, float64) { return "service:b", 0.4 }
	assert.Equal(t, ReasonStale, one(t, l.Reread("a", unsure, start)).Play.Reason)
}

func TestACauseThatChangesBetweenSteps(t *testing.T) {
	for follows, want := range map[OnFailure]Outcome{Next: Failed, Escalate: Failed, RollBack: Undoing} {
		l := begin(t, ladder(Next, follows, Escalate))
		ref := act(t, l, "restart", start)
		require.Empty(t, l.Reread("a", func(string) (string, float64) { return "", 0 }, start), "what was begun is finished")
		l.Assess(ref, Worse, start)
		changes := l.Reread("a", func(string) (string, float64) { return "", 0 }, start)
		last := changes[len(changes)-1]
		assert.Equal(t, want, last.Play.Outcome)
		assert.Equal(t, want == Failed, last.Escalate)
	}
}

func TestOccurred(t *testing.T) {
	l, missed := begin(t, auto), begin(t, auto)
	l.Resolve("a", start, true, start)
	_, ok := l.Reopen("a", 3, start)
	require.True(t, ok)
	l.Occurred("a", 1)
	missed.Observe("a", 3, start)
	missed.Occurred("a", 1)
	missed.Occurred("nobody", 1)
	a, b := mustDecide(t, l, "restart", seen("a", 3), start), mustDecide(t, missed, "restart", seen("a", 3), start)
	assert.Equal(t, a.Intent(), b.Intent(), "two replicas lead to the same intent")
}

func TestObserveVerdicts(t *testing.T) {
	l := NewLedger(Limits{MaxIncidents: 2, ForgetAfter: time.Hour}, NewPolicy(calm()))
	assert.Equal(t, New, l.Observe("a", 1, start))
	assert.Equal(t, Duplicate, l.Observe("a", 1, start))
	assert.Equal(t, Known, l.Observe("a", 3, start))
	assert.Equal(t, Duplicate, l.Observe("a", 2, start), "an older revision")
	assert.Equal(t, New, l.Observe("b", 1, start.Add(time.Minute)))
	assert.Equal(t, Refused, l.Observe("c", 1, start))
	l.Resolve("b", start, true, start)
	l.Resolve("a", start, true, start)
	assert.Equal(t, Duplicate, l.Observe("a", 4, start), "after its end")
	assert.Equal(t, New, l.Observe("c", 1, start.Add(2*time.Minute)), "the resolved one silent for longest makes room")
	assert.Nil(t, l.Incident("a"))
	assert.Equal(t, 2, l.Len())
	resolved, open := l.Forget(start.Add(61 * time.Minute))
	assert.Equal(t, []int{1, 0}, []int{resolved, open})
	resolved, open = l.Forget(start.Add(62 * time.Minute))
	assert.Equal(t, []int{0, 1}, []int{resolved, open})
}

func TestWhatIsUnderWayIsNotForgotten(t *testing.T) {
	l := NewLedger(Limits{MaxIncidents: 2, ForgetAfter: time.Minute}, NewPolicy(calm()), planned(func(r *Rule) { r.Steps[0].Assessed = true }))
	l.Observe("a", 1, start)
	l.Observe("open", 1, start.Add(time.Hour))
	act(t, l, "restart", start)
	require.Empty(t, l.Resolve("a", start, true, start), "its recovery is still looked at")
	assert.Equal(t, Refused, l.Observe("b", 1, start))
	_, open := l.Forget(start.Add(time.Hour))
	assert.Zero(t, open)
	require.NotNil(t, l.Incident("a"))
	l.Expire(start.Add(time.Hour))
	resolved, _ := l.Forget(start.Add(time.Hour))
	assert.Equal(t, 1, resolved)
}

func TestEventsKeepAnIncident(t *testing.T) {
	l := begin(t, auto)
	for i := range 200 {
		now := start.Add(time.Duration(i) * 30 * time.Minute)
		require.Equal(t, Known, l.Observe("a", int64(i+2), now))
		l.Forget(now)
		require.Equal(t, 1, l.Len())
	}
	_, open := l.Forget(start.Add(199*30*time.Minute + time.Hour))
	assert.Equal(t, 1, open)
}

func TestForgettingAfterTheClockWasSetBack(t *testing.T) {
	l := begin(t, auto)
	yesterday := start.Add(-24 * time.Hour)
	l.Forget(yesterday)
	require.Equal(t, 1, l.Len())
	_, open := l.Forget(yesterday.Add(time.Hour))
	assert.Equal(t, 1, open, "it is kept for its time once more, and not for a day")
}

func TestManyIncidentsComeAndGo(t *testing.T) {
	l := NewLedger(Limits{MaxIncidents: 50, ForgetAfter: time.Hour}, NewPolicy(calm()))
	for i := range 5000 {
		id := time.Duration(i).String()
		require.Equal(t, New, l.Observe(id, 1, start.Add(time.Duration(i)*time.Second)))
		l.Resolve(id, start, true, start)
		require.LessOrEqual(t, l.Len(), 50)
	}
	assert.LessOrEqual(t, l.ages.Len(), 2*50+65, "what no longer holds does not pile up")
	assert.LessOrEqual(t, l.ended.Len(), 2*50+65)
}
