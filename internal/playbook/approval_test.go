package playbook

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asks is a playbook that two people must approve.
func asks(plan bool) Rule {
	return rule(func(r *Rule) { r.Mode, r.Approvers, r.Steps[0].Planned = Approve, 2, plan })
}

// awaiting makes a ledger with a play that waits for people.
func awaiting(t *testing.T, r Rule) (*Ledger, Change) {
	t.Helper()
	l := begin(t, r)
	c := mustDecide(t, l, r.Name, seen("a", 1), start)
	if r.Steps[0].Planned {
		c = admit(t, l, c.Ref, aPlan(nil), start)
	}
	require.Equal(t, Awaiting, c.Play.Outcome)
	require.Equal(t, start.Add(15*time.Minute), c.Play.Expires)
	require.Zero(t, spent(l, start), "nothing is charged before it may act")
	goOn, _ := l.Dispatch(c.Ref, start)
	require.False(t, goOn)
	return l, c
}

func approve(t *testing.T, l *Ledger, intent, by string, now time.Time) Change {
	t.Helper()
	changes, err := l.Approve(intent, by, "", now)
	require.NoError(t, err)
	return changes[len(changes)-1]
}

func TestApprove(t *testing.T) {
	l, c := awaiting(t, asks(false))
	now := start.Add(14 * time.Minute)
	require.Equal(t, Awaiting, approve(t, l, c.Intent(), "ann", start).Play.Outcome)
	_, err := l.Approve(c.Intent(), "ann", "", now)
	require.ErrorIs(t, err, ErrTwice)
	_, err = l.Approve(c.Intent(), "", "", now)
	require.ErrorIs(t, err, ErrNobody)
	l = restart(t, l, asks(false))
	got := approve(t, l, c.Intent(), "bob", now)
	assert.Equal(t, Pending, got.Play.Outcome)
	assert.True(t, got.Play.Charged)
	assert.Equal(t, []Approval{{"ann", start}, {"bob", now}}, got.Play.Approvals)
	assert.Equal(t, now.Add(90*time.Second), got.Play.Deadline, "the wait does not shorten the time to act")
	assert.Equal(t, now.Add(90*time.Second), got.Play.EventDeadline)
	_, err = l.Approve(c.Intent(), "cid", "", now)
	require.ErrorIs(t, err, ErrNotAwaiting)
	_, err = l.Approve("nothing", "ann", "", now)
	require.ErrorIs(t, err, ErrUnknownIntent)
	goOn, _ := l.Dispatch(c.Ref, now)
	assert.True(t, goOn)
}

func TestApproveLooksAtTheWorldAgain(t *testing.T) {
	t.Run("without a plan", func(t *testing.T) {
		for name, tc := range map[string]struct {
			change func(l *Ledger)
			reason Reason
		}{
			"paused": {func(l *Ledger) { l.SetWorld(World{Paused: "a file"}) }, ReasonPaused},
			"budget": {func(l *Ledger) {
				for _, id := range []string{"b", "c", "d"} {
					actOn(t, l, id, "service:"+id)
				}
			}, ReasonBudget},
		} {
			t.Run(name, func(t *testing.T) {
				ask := asks(false)
				ask.Name = "asks"
				l := begin(t, auto, ask)
				c := mustDecide(t, l, "asks", seen("a", 1), start)
				tc.change(l)
				approve(t, l, c.Intent(), "ann", start)
				got := approve(t, l, c.Intent(), "bob", start)
				assert.Equal(t, Skipped, got.Play.Outcome)
				assert.Equal(t, tc.reason, got.Play.Reason)
			})
		}
	})
	t.Run("with a plan", func(t *testing.T) {
		l, c := awaiting(t, asks(true))
		approve(t, l, c.Intent(), "ann", start)
		got := approve(t, l, c.Intent(), "bob", start)
		require.Equal(t, Pending, got.Play.Outcome)
		require.False(t, got.Play.Charged)
		goOn, _ := l.Dispatch(c.Ref, start)
		require.False(t, goOn, "it is planned anew first")
		got = admit(t, l, c.Ref, aPlan(func(p *Plan) { p.Summary, p.Weight = "now it is fewer", 0 }), start)
		assert.Equal(t, Dispatched, got.Play.Outcome)
		assert.Len(t, got.Play.Approvals, 2)
	})
}

func TestAnotherPlanIsApprovedAnew(t *testing.T) {
	for name, change := range map[string]func(*Plan){
		"another target":  func(p *Plan) { p.Target = "Deployment shop/cart" },
		"another lock":    func(p *Plan) { p.Locks = []string{"Deployment/shop/cart"} },
		"more is touched": func(p *Plan) { p.Weight = 2 },
		"destructive":     func(p *Plan) { p.Destructive = true },
		"no way back":     func(p *Plan) { p.Undoable = false },
		"graver":          func(p *Plan) { p.Criticality = "critical" },
		"another class":   func(p *Plan) { p.Class = "node" },
		"another effect":  func(p *Plan) { p.Effect = "to revision 3" },
	} {
		t.Run(name, func(t *testing.T) {
			l, c := awaiting(t, asks(true))
			approve(t, l, c.Intent(), "ann", start)
			approve(t, l, c.Intent(), "bob", start.Add(time.Minute))
			got := admit(t, l, c.Ref, aPlan(change), start.Add(time.Minute))
			assert.Equal(t, Awaiting, got.Play.Outcome)
			assert.Empty(t, got.Play.Approvals)
			assert.NotEmpty(t, got.Play.Detail)
			assert.Equal(t, start.Add(15*time.Minute), got.Play.Expires, "there is no more time than before")
			assert.Zero(t, spent(l, start))
		})
	}
}

// TestAskedAnew has people say yes to what they were asked before: it does not count for what they are asked now.
func TestAskedAnew(t *testing.T) {
	l, c := awaiting(t, asks(true))
	before := c.Play.Asked()
	require.Len(t, before, 32)
	for _, by := range []string{"ann", "bob"} {
		_, err := l.Approve(c.Intent(), by, before, start)
		require.NoError(t, err)
	}
	c = admit(t, l, c.Ref, aPlan(func(p *Plan) { p.Effect = "to revision 3" }), start)
	require.Equal(t, Awaiting, c.Play.Outcome)
	require.NotEqual(t, before, c.Play.Asked())
	_, err := l.Approve(c.Intent(), "ann", before, start)
	require.ErrorIs(t, err, ErrOther)
	p, _ := l.At(c.Ref)
	require.Empty(t, p.Approvals)
	l = restart(t, l, asks(true))
	_, err = l.Approve(c.Intent(), "ann", c.Play.Asked(), start)
	require.NoError(t, err)
	got := approve(t, l, c.Intent(), "bob", start)
	assert.Equal(t, c.Play.Asked(), got.Play.Asked(), "who has approved changes nothing of what is asked")
}

// TestNothingIsNotApprovedForSomething approves that nothing has to be done, and then something has.
func TestNothingIsNotApprovedForSomething(t *testing.T) {
	nothing := aPlan(func(p *Plan) { p.NoOp, p.Effect = true, "" })
	something := aPlan(func(p *Plan) { p.Effect = "" })
	assert.False(t, nothing.allows(something))
	assert.True(t, something.allows(nothing))
	assert.NotEqual(t, (&Play{Plan: nothing}).Asked(), (&Play{Plan: something}).Asked())
}

// TestAskedWithoutAPlan tells orders apart that are not planned.
func TestAskedWithoutAPlan(t *testing.T) {
	orders := func(s string) []json.RawMessage { return []json.RawMessage{json.RawMessage(s)} }
	a, b := &Play{Target: "x", Orders: orders(`{"pods":1}`)}, &Play{Target: "x", Orders: orders(`{"pods":2}`)}
	assert.NotEqual(t, a.Asked(), b.Asked())
	assert.Equal(t, a.Asked(), (&Play{Target: "x", Orders: orders(`{"pods":1}`), Revision: 7}).Asked())
}

func TestApprovalsExpire(t *testing.T) {
	l, c := awaiting(t, asks(true))
	approve(t, l, c.Intent(), "ann", start)
	late := start.Add(15 * time.Minute)
	_, err := l.Approve(c.Intent(), "bob", "", late)
	require.ErrorIs(t, err, ErrNotAwaiting)
	require.Empty(t, l.Expire(late.Add(-1)))
	got := one(t, l.Expire(late))
	assert.Equal(t, Expired, got.Play.Outcome)
	assert.True(t, got.Escalate)
	_, err = l.Approve(c.Intent(), "bob", "", start)
	require.ErrorIs(t, err, ErrUnknownIntent)
	_, err = l.Deny(c.Intent(), "bob", start)
	require.ErrorIs(t, err, ErrUnknownIntent)
}

func TestApprovalsDoNotOutlastTheIncident(t *testing.T) {
	l, c := awaiting(t, asks(true))
	got := one(t, l.Resolve("a", start, true, start))
	assert.Equal(t, ReasonStale, got.Play.Reason)
	_, err := l.Approve(c.Intent(), "ann", "", start)
	require.ErrorIs(t, err, ErrUnknownIntent)
}

func TestApprovalsAreOfOneVersion(t *testing.T) {
	for name, rules := range map[string][]Rule{"changed": {rule(func(r *Rule) { r.Version = "v2" })}, "removed": nil} {
		t.Run(name, func(t *testing.T) {
			l, c := awaiting(t, asks(false))
			l = restart(t, l, rules...)
			got := approve(t, l, c.Intent(), "ann", start)
			assert.Equal(t, Skipped, got.Play.Outcome)
			assert.Equal(t, ReasonVersion, got.Play.Reason)
		})
	}
}

func TestSomebodyMustApprove(t *testing.T) {
	r := asks(false)
	r.Approvers = 0
	l, c := awaiting(t, r)
	assert.Equal(t, Pending, approve(t, l, c.Intent(), "ann", start).Play.Outcome)
}

func TestDeny(t *testing.T) {
	l, c := awaiting(t, asks(true))
	approve(t, l, c.Intent(), "ann", start)
	_, err := l.Deny(c.Intent(), "", start)
	require.ErrorIs(t, err, ErrNobody)
	changes, err := l.Deny(c.Intent(), "bob", start)
	require.NoError(t, err)
	got := one(t, changes)
	assert.Equal(t, Denied, got.Play.Outcome)
	assert.Equal(t, "denied by bob", got.Play.Detail)
	assert.False(t, got.Escalate, "a person knows")
	assert.Empty(t, l.Open())

	l = begin(t, auto)
	c = mustDecide(t, l, "restart", seen("a", 1), start)
	_, err = l.Deny(c.Intent(), "bob", start)
	require.ErrorIs(t, err, ErrNotAwaiting)
}

// TestALaterStepIsNotWanted: what was done before is taken back where the playbook says so.
func TestALaterStepIsNotWanted(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, l *Ledger, c Change) []Change{
		"denied": func(t *testing.T, l *Ledger, c Change) []Change {
			changes, err := l.Deny(c.Intent(), "ann", start)
			require.NoError(t, err)
			return changes
		},
		"expired": func(_ *testing.T, l *Ledger, _ Change) []Change { return l.Expire(start.Add(15 * time.Minute)) },
	} {
		for _, follows := range []OnFailure{RollBack, Next, Escalate} {
			t.Run(name+" "+string(follows), func(t *testing.T) {
				r := ladder(Next, follows, Escalate)
				r.TierModes = map[string]Mode{"critical": Approve}
				l := begin(t, r)
				ref := act(t, l, "restart", start)
				l.Assess(ref, Worse, start)
				ref.Step = 1
				c := admit(t, l, ref, aPlan(func(p *Plan) { p.Criticality = "critical" }), start)
				require.Equal(t, Awaiting, c.Play.Outcome)
				changes := end(t, l, c)
				last := changes[len(changes)-1]
				if follows == RollBack {
					require.Len(t, changes, 2)
					assert.Equal(t, Undoing, last.Play.Outcome)
					return
				}
				require.Len(t, changes, 1, "a person's no does not lead to the next step")
				assert.True(t, last.Escalate)
			})
		}
	}
}
