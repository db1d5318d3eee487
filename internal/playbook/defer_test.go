package playbook

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// deferred makes a ledger in which the playbook waits for a pause to end.
func deferred(t *testing.T, r Rule) *Ledger {
	t.Helper()
	l := begin(t, r)
	l.SetWorld(World{Paused: "a file"})
	require.Equal(t, ReasonPaused, mustDecide(t, l, r.Name, seen("a", 1), start).Play.Reason)
	return l
}

func TestReconsider(t *testing.T) {
	hour := start.Add(time.Hour)
	l := deferred(t, auto)
	l.TakeChanged()
	require.Empty(t, l.Reconsider(hour), "it is still paused")
	require.Empty(t, l.TakeChanged(), "and nothing has to be stored for that")
	l.SetWorld(World{})
	c := one(t, l.Reconsider(hour))
	assert.Equal(t, Pending, c.Play.Outcome)
	assert.Equal(t, hour.Add(90*time.Second), c.Play.EventDeadline, "event time went on meanwhile")
	assert.Empty(t, l.Reconsider(hour))
}

func TestWhatIsToldOfLongAgoIsNotReconsidered(t *testing.T) {
	l := begin(t, auto)
	l.limits.MaxEventAge = 5 * time.Minute
	l.SetWorld(World{Paused: "a file"})
	mustDecide(t, l, "restart", seen("a", 1), start)
	l.SetWorld(World{})
	c := one(t, l.Reconsider(start.Add(6*time.Minute)))
	assert.Equal(t, Skipped, c.Play.Outcome)
	assert.Equal(t, ReasonFrozen, c.Play.Reason)
	assert.Empty(t, l.Reconsider(start.Add(7*time.Minute)))
	later := seen("a", 2)
	later.At = start.Add(8 * time.Minute)
	require.Equal(t, Known, l.Observe("a", 2, start.Add(8*time.Minute)))
	assert.Equal(t, Pending, mustDecide(t, l, "restart", later, start.Add(8*time.Minute)).Play.Outcome, "it goes on")
}

func TestReconsiderAfterARestart(t *testing.T) {
	l := restart(t, deferred(t, auto), auto)
	l.SetWorld(World{})
	assert.Equal(t, Pending, one(t, l.Reconsider(start)).Play.Outcome)
}

func TestWhatNoLongerHoldsIsNotReconsidered(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, l *Ledger) *Ledger{
		"the incident is over": func(_ *testing.T, l *Ledger) *Ledger {
			l.Resolve("a", start, true, start)
			return l
		},
		"a later event did not call for the playbook": func(t *testing.T, l *Ledger) *Ledger {
			require.Equal(t, Known, l.Observe("a", 2, start))
			return l
		},
		"the incident came back": func(t *testing.T, l *Ledger) *Ledger {
			l.Resolve("a", start, true, start)
			_, ok := l.Reopen("a", 2, start)
			require.True(t, ok)
			return l
		},
		"the playbook was changed": func(t *testing.T, l *Ledger) *Ledger {
			return restart(t, l, rule(func(r *Rule) { r.Version = "v2" }))
		},
		"the playbook was removed": func(t *testing.T, l *Ledger) *Ledger { return restart(t, l) },
		"the incident was forgotten": func(t *testing.T, l *Ledger) *Ledger {
			_, open := l.Forget(start.Add(time.Hour))
			require.Equal(t, 1, open)
			return l
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := change(t, deferred(t, auto))
			l.SetWorld(World{})
			assert.Empty(t, l.Reconsider(start))
			assert.Empty(t, l.Open())
		})
	}
}

func TestALaterEventIsReconsidered(t *testing.T) {
	l := deferred(t, auto)
	require.Equal(t, Known, l.Observe("a", 2, start))
	_, ok := l.Decide("restart", seen("a", 2), start)
	require.False(t, ok, "the same reason is no news")
	l.SetWorld(World{})
	assert.Equal(t, int64(2), one(t, l.Reconsider(start)).Play.Revision)
}

func TestRefusedForWhatPasses(t *testing.T) {
	l := begin(t, planned(nil))
	c := mustDecide(t, l, "restart", seen("a", 1), start)
	l.SetWorld(World{Window: "sale"})
	require.Equal(t, ReasonWindow, admit(t, l, c.Ref, aPlan(nil), start).Play.Reason)
	l.SetWorld(World{})
	assert.Equal(t, Pending, one(t, l.Reconsider(start)).Play.Outcome)
	l.Refuse(c.Ref, "owner", "somebody else owns it", start)
	assert.Empty(t, l.Reconsider(start), "that does not pass")
}

func TestTurnsAreBounded(t *testing.T) {
	settings := calm()
	settings.Budget[0].MaxActions, settings.MaxCharges = 10_000, 10_000
	l := NewLedger(Limits{MaxIncidents: 5000, ForgetAfter: time.Hour}, NewPolicy(settings), auto)
	l.SetWorld(World{Stale: "no data"})
	for i := range 2500 {
		id := fmt.Sprint(i)
		l.Observe(id, 1, start)
		mustDecide(t, l, "restart", seen(id, 1), start)
	}
	l.SetWorld(World{})
	seen := map[string]bool{}
	for _, want := range []int{1000, 1000, 500, 0} {
		changes := l.Reconsider(start)
		require.Len(t, changes, want)
		for _, c := range changes {
			require.False(t, seen[c.Incident])
			seen[c.Incident] = true
		}
	}
}
