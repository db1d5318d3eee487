package playbook

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSilenced holds one incident back and no other, and lets it go on by itself.
func TestSilenced(t *testing.T) {
	l := begin(t, auto)
	by := "maintenance of payment"
	l.SetSilenced(func(incident string) string {
		if incident == "a" {
			return by
		}
		return ""
	})
	c := mustDecide(t, l, "restart", seen("a", 1), start)
	assert.Equal(t, Skipped, c.Play.Outcome)
	assert.Equal(t, ReasonSilenced, c.Play.Reason)
	assert.Equal(t, by, c.Play.Detail)
	assert.Empty(t, l.Reconsider(start.Add(time.Minute)), "it still is")
	require.Equal(t, New, l.Observe("b", 1, start))
	assert.Equal(t, Pending, mustDecide(t, l, "restart", seen("b", 1), start).Play.Outcome)

	by = ""
	assert.Equal(t, Pending, one(t, l.Reconsider(start.Add(2*time.Minute))).Play.Outcome)
}

// TestSilencedBeforeItIsHandedOver stops what is decided, and finishes what was begun.
func TestSilencedBeforeItIsHandedOver(t *testing.T) {
	for _, begun := range []bool{false, true} {
		l := begin(t, auto)
		c := mustDecide(t, l, "restart", seen("a", 1), start)
		if begun {
			goOn, _ := l.Dispatch(c.Ref, start)
			require.True(t, goOn)
		}
		l.SetSilenced(func(string) string { return "maintenance" })
		goOn, changes := l.Dispatch(c.Ref, start)
		assert.Equal(t, begun, goOn)
		if !begun {
			assert.Equal(t, ReasonSilenced, one(t, changes).Play.Reason)
		}
	}
}

// TestSilencedWhenApproved does not act on what a person approves meanwhile.
func TestSilencedWhenApproved(t *testing.T) {
	l := begin(t, rule(func(r *Rule) { r.Mode = Approve }))
	c := mustDecide(t, l, "restart", seen("a", 1), start)
	l.SetSilenced(func(string) string { return "maintenance" })
	changes, err := l.Approve(c.Intent(), "ann", "", start)
	require.NoError(t, err)
	assert.Equal(t, ReasonSilenced, one(t, changes).Play.Reason)
}

// TestCaution asks people though the playbook need not, before or after the world was looked at.
func TestCaution(t *testing.T) {
	o := seen("a", 1)
	o.Caution = "ann called such an incident a false alarm"
	for name, r := range map[string]Rule{"ordered": auto, "planned": planned(nil)} {
		t.Run(name, func(t *testing.T) {
			l := begin(t, r)
			c := mustDecide(t, l, "restart", o, start)
			if name == "planned" {
				require.Equal(t, Pending, c.Play.Outcome)
				c = admit(t, l, c.Ref, aPlan(nil), start)
			}
			assert.Equal(t, Awaiting, c.Play.Outcome)
			assert.Equal(t, ReasonCaution, c.Play.Reason)
			assert.Equal(t, o.Caution, c.Play.Detail)
			assert.Equal(t, start.Add(15*time.Minute), c.Play.Expires)
			l = restart(t, l, r)
			_, err := l.Approve(c.Intent(), "ann", "", start.Add(time.Minute))
			require.NoError(t, err)
			p, _ := l.Play("a", "restart")
			assert.Equal(t, Pending, p.Outcome)
			if name == "planned" {
				assert.Equal(t, Dispatched, admit(t, l, c.Ref, aPlan(nil), start.Add(time.Minute)).Play.Outcome)
			}
		})
	}
	l := begin(t, rule(func(r *Rule) { r.Mode = Suggest }))
	assert.Equal(t, Suggested, mustDecide(t, l, "restart", o, start).Play.Outcome, "a lesser mode stays as it is")
}
