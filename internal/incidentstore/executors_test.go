package incidentstore

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// clockOf is what the database's clock shows.
func clockOf(t *testing.T, s *Store) (now time.Time) {
	t.Helper()
	require.NoError(t, s.view(t.Context(), "read clock", func(tx *tx) (err error) {
		now, err = tx.clock()
		return err
	}))
	return now
}

func TestCommands(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t, func(s *Settings) { s.MaxCommands = 3 })
		c, err := s.Submit(t.Context(), Command{ID: "mine", Kind: CommandUndo, Arguments: json.RawMessage(`{"intent":"n-1"}`), By: "ann", State: CommandDone}, "token")
		require.NoError(t, err)
		assert.NotEqual(t, "mine", c.ID)
		assert.Equal(t, CommandPending, c.State)
		assert.Equal(t, 5*time.Minute, c.ExpiresAt.Sub(c.CreatedAt))
		_, err = s.Submit(t.Context(), Command{Kind: CommandUndo, By: "ann"}, "token")
		require.ErrorIs(t, err, ErrConflict, "a token is good for one use")
		second, err := s.Submit(t.Context(), Command{Kind: CommandReplay, By: "bob"}, "")
		require.NoError(t, err)
		_, err = s.Submit(t.Context(), Command{Kind: CommandReplay, By: "bob"}, "")
		require.NoError(t, err)
		_, err = s.Submit(t.Context(), Command{Kind: CommandReplay}, "another")
		require.ErrorIs(t, err, ErrFull)
		_, err = s.Submit(t.Context(), Command{Kind: CommandReplay, Arguments: json.RawMessage("{")}, "")
		require.ErrorContains(t, err, "must be JSON")

		now := c.CreatedAt
		taken, err := s.Take(t.Context(), "one", 1, time.Minute, now)
		require.NoError(t, err)
		require.Len(t, taken, 1)
		want := c
		want.State, want.TakenBy = CommandTaken, "one"
		assert.Equal(t, want, taken[0], "the oldest first")
		_, err = s.Submit(t.Context(), Command{Kind: CommandReplay}, "another")
		require.NoError(t, err, "what was refused has not used its token")
		taken, err = s.Take(t.Context(), "two", 1, time.Minute, now)
		require.NoError(t, err)
		assert.Equal(t, second.ID, taken[0].ID)

		require.ErrorIs(t, s.Answer(t.Context(), "two", Command{ID: c.ID, State: CommandDone}), ErrConflict)
		require.ErrorIs(t, s.Answer(t.Context(), "two", Command{ID: "none", State: CommandDone}), ErrNotFound)
		require.ErrorContains(t, s.Answer(t.Context(), "one", Command{ID: c.ID, State: CommandTaken}), "its state must be")
		require.ErrorContains(t, s.Answer(t.Context(), "one", Command{ID: c.ID, State: CommandDone, Result: json.RawMessage("{")}), "must be JSON")
		again, err := s.Take(t.Context(), "two", 10, time.Minute, now.Add(time.Minute))
		require.NoError(t, err)
		require.Len(t, again, 4, "whose lease is over is taken again")
		require.ErrorIs(t, s.Answer(t.Context(), "one", Command{ID: c.ID, State: CommandDone}), ErrConflict)
		require.NoError(t, s.Answer(t.Context(), "two", Command{ID: c.ID, State: CommandRefused, Status: 409, Code: "late", Message: "too late", Result: json.RawMessage(`{"a":1}`)}))
		require.ErrorIs(t, s.Answer(t.Context(), "two", Command{ID: c.ID, State: CommandDone}), ErrConflict, "it is answered once")
		got, err := s.Command(t.Context(), c.ID)
		require.NoError(t, err)
		want = c
		want.State, want.TakenBy, want.Status, want.Code, want.Message, want.Result = CommandRefused, "two", 409, "late", "too late", json.RawMessage(`{"a":1}`)
		assert.Equal(t, &want, got)

		last, err := s.Submit(t.Context(), Command{Kind: CommandReplay}, "")
		require.NoError(t, err)
		taken, err = s.Take(t.Context(), "one", 10, time.Minute, last.ExpiresAt)
		require.NoError(t, err)
		assert.Empty(t, taken)
		for id, message := range map[string]string{last.ID: "no executor took it in time", second.ID: "two took it and did not say in time what became of it"} {
			got, err = s.Command(t.Context(), id)
			require.NoError(t, err)
			assert.Equal(t, CommandExpired, got.State)
			assert.Equal(t, message, got.Message)
		}
		_, err = s.Command(t.Context(), "none")
		require.ErrorIs(t, err, ErrNotFound)
		assert.Len(t, kinds(t, s), 5+1+4)
	})
}

func TestReport(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		lost := map[Loss]int64{}
		s := d.open(t, func(s *Settings) { s.Counted = func(l Loss, n int64) { lost[l] += n } })
		e := ExecutorStatus{Name: "b", At: at(1), Leads: true, Status: json.RawMessage(`{"paused":false}`)}
		require.NoError(t, s.Report(t.Context(), e))
		e.At = at(2)
		require.NoError(t, s.Report(t.Context(), e))
		require.NoError(t, s.Report(t.Context(), ExecutorStatus{Name: "a", At: at(1)}))
		found, err := s.Executors(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []ExecutorStatus{{Name: "a", At: at(1)}, e}, found)
		require.ErrorContains(t, s.Report(t.Context(), ExecutorStatus{}), "name must not be empty")
		for n := range maxExecutors {
			require.NoError(t, s.Report(t.Context(), ExecutorStatus{Name: fmt.Sprint("x", n), At: at(3)}))
		}
		found, err = s.Executors(t.Context())
		require.NoError(t, err)
		assert.Len(t, found, maxExecutors)
		assert.EqualValues(t, 2, lost[LossExecutors])
	})
}

func TestLead(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		lead := func(candidate string) (string, int64) {
			leader, fence, err := s.Lead(t.Context(), "e", candidate, time.Minute)
			require.NoError(t, err)
			return fmt.Sprint(leader), fence
		}
		expect := func(candidate, want string, wantFence int64) {
			t.Helper()
			leader, fence := lead(candidate)
			assert.Equal(t, want, leader)
			assert.Equal(t, wantFence, fence)
		}
		expect("a", "a", 1)
		expect("b", "a", 1)
		d.later(59 * time.Second)
		expect("b", "a", 1)
		expect("a", "a", 1)
		d.later(61 * time.Second)
		expect("a", "a", 1)
		d.later(61 * time.Second)
		expect("b", "b", 2)
		expect("a", "b", 2)
		require.NoError(t, s.Resign(t.Context(), "e", "a"), "who does not lead changes nothing")
		expect("a", "b", 2)
		require.NoError(t, s.Resign(t.Context(), "e", "b"))
		expect("a", "a", 3)
		require.NoError(t, s.Resign(t.Context(), "e", "a"))
		expect("a", "a", 4)
		_, _, err := s.Lead(t.Context(), "", "a", time.Minute)
		require.Error(t, err)
	})
}

func TestClaims(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		start := clockOf(t, s)
		claim := func(key, owner string, change ...func(*Claim)) ClaimOutcome {
			t.Helper()
			c := Claim{
				Key: key, Owner: owner, Locks: []string{key, "shop/" + key}, Lease: time.Minute, Class: "restart", Window: time.Hour,
				Total: 3, PerClass: 2, MaxWeight: 4,
			}
			for _, f := range change {
				f(&c)
			}
			out, err := s.Claim(t.Context(), c)
			require.NoError(t, err)
			return out
		}
		locks := func(l ...string) func(*Claim) { return func(c *Claim) { c.Locks = l } }
		assert.Equal(t, ClaimOutcome{Granted: true}, claim("k1", "a", func(c *Claim) { c.Weight = 2 }))
		again := claim("k1", "a")
		assert.True(t, again.Granted && again.Again)
		held := claim("k1", "b")
		assert.Equal(t, ClaimHeld, held.Reason)
		assert.Contains(t, held.Detail, "a is at it since")
		assert.WithinDuration(t, start.Add(time.Minute), held.Until, 10*time.Second)
		held = claim("k2", "b", locks("k2", "k1", "k1"))
		assert.Equal(t, ClaimHeld, held.Reason)
		assert.Equal(t, "a is acting on k1", held.Detail)
		budget := claim("k2", "b", func(c *Claim) { c.Weight = 3 })
		assert.Equal(t, ClaimBudget, budget.Reason)
		assert.Equal(t, "2 pods or nodes of class restart in 1h0m0s and 3 more, at most 4 are allowed", budget.Detail)

		require.NoError(t, s.Finish(t.Context(), "k1", "a"))
		require.NoError(t, s.Finish(t.Context(), "unknown", "a"))
		done := claim("k1", "a")
		assert.False(t, done.Granted)
		assert.Equal(t, ClaimDone, done.Reason)
		require.ErrorIs(t, s.Release(t.Context(), "k1", "a"), ErrConflict)
		cool := claim("k2", "b", locks("k1"), func(c *Claim) { c.Cooldown = 5 * time.Minute })
		assert.Equal(t, ClaimCooldown, cool.Reason)
		assert.WithinDuration(t, start.Add(5*time.Minute), cool.Until, 10*time.Second)
		d.later(5*time.Minute + 10*time.Second)
		assert.True(t, claim("k2", "b", locks("k1"), func(c *Claim) { c.Cooldown = 5 * time.Minute }).Granted)
		require.ErrorIs(t, s.Release(t.Context(), "k2", "a"), ErrConflict)
		require.NoError(t, s.Release(t.Context(), "k2", "b"))
		require.NoError(t, s.Release(t.Context(), "k2", "b"), "as if it had never been")
		assert.True(t, claim("k3", "b", locks("k1")).Granted)

		assert.Contains(t, claim("k4", "c").Detail, "2 actions of class restart")
		other := func(c *Claim) { c.Class = "scale" }
		assert.True(t, claim("k5", "c", other).Granted)
		over := claim("k6", "c", other)
		assert.Equal(t, "3 actions in 1h0m0s, at most 3 are allowed", over.Detail)
		assert.WithinDuration(t, start.Add(time.Hour), over.Until, 10*time.Second)
		d.later(2 * time.Minute)
		// The lease of k3 is over: who comes may take it over, and it counts as it did.
		taken := claim("k3", "c", locks("k1"))
		assert.True(t, taken.Granted && taken.Again)
		assert.Contains(t, taken.Detail, "b claimed it and did not say in time")
		assert.Equal(t, ClaimHeld, claim("k3", "b").Reason)
		d.later(time.Hour)
		assert.True(t, claim("k6", "c", other).Granted)
		zero := claim("k7", "c", func(c *Claim) { c.Total = 0 })
		assert.Equal(t, ClaimBudget, zero.Reason, "0 allows nothing")
		_, err := s.Claim(t.Context(), Claim{Key: "k"})
		require.ErrorContains(t, err, "locks must be 1 to 64")
	})
}

func TestClaimsAreBounded(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t, func(s *Settings) { s.MaxClaims = 3 })
		claim := func(n int) error {
			_, err := s.Claim(t.Context(), Claim{
				Key: fmt.Sprint(n), Owner: "a", Locks: []string{fmt.Sprint(n)}, Lease: time.Minute, Window: time.Hour, Total: 9, PerClass: 9, MaxWeight: 9,
			})
			return err
		}
		for n := range 3 {
			require.NoError(t, claim(n))
		}
		require.ErrorIs(t, claim(3), ErrFull, "young ones are not forgotten")
		d.later(25 * time.Hour)
		require.NoError(t, claim(3))
	})
}
