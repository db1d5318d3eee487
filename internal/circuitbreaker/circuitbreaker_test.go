package circuitbreaker

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var epoch = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

func at(minutes float64) time.Time {
	return epoch.Add(time.Duration(minutes * float64(time.Minute)))
}

func set(t *testing.T, s Settings) *Set {
	t.Helper()
	if s.Cooldown == 0 {
		s.Cooldown = 10 * time.Minute
	}
	if s.MaxKeys == 0 {
		s.MaxKeys = 100
	}
	require.NoError(t, s.Validate())
	return New(s)
}

// allow asks and requires the answer.
func allow(t *testing.T, s *Set, key string, minute float64, ok bool, state State) []Transition {
	t.Helper()
	before := s.Check(key, at(minute))
	v, changes := s.Allow(key, at(minute))
	require.Equal(t, ok, v.OK, "%+v", v)
	require.Equal(t, state, v.State, "%+v", v)
	require.Equal(t, ok, v.Reason == "", "a refusal, and nothing else, has a reason: %+v", v)
	require.Equal(t, before, v, "a check says what asking says")
	return changes
}

// moved requires exactly one transition.
func moved(t *testing.T, changes []Transition, key string, from, to State, minute float64) Transition {
	t.Helper()
	require.Len(t, changes, 1)
	c := changes[0]
	require.Equal(t, Transition{Key: key, From: from, To: to, At: at(minute), Reason: c.Reason, Failures: c.Failures}, c)
	require.NotEmpty(t, c.Reason)
	return c
}

func TestConsecutiveFailures(t *testing.T) {
	s := set(t, Settings{Failures: 3})
	allow(t, s, "restart", 0, true, Closed)
	require.Empty(t, s.Failure("restart", at(1)))
	require.Empty(t, s.Failure("restart", at(2)))
	require.Empty(t, s.Success("restart", at(3)), "a success starts the count anew")
	require.Empty(t, s.Failure("restart", at(4)))
	require.Empty(t, s.Inconclusive("restart", at(5)))
	allow(t, s, "restart", 5, true, Closed)
	c := moved(t, s.Failure("restart", at(6)), "restart", Closed, Open, 6)
	assert.Equal(t, "3 actions in a row did not help; the last one failed", c.Reason)
	assert.Equal(t, 3, c.Failures)
	require.Empty(t, s.Failure("restart", at(7)), "it is open already")

	allow(t, s, "scale", 7, true, Closed)
	v := s.Check("restart", at(15.9))
	assert.Equal(t, Verdict{State: Open, Reason: c.Reason, Until: at(16)}, v)
	moved(t, allow(t, s, "restart", 16, true, HalfOpen), "restart", Open, HalfOpen, 16)
	require.Empty(t, allow(t, s, "restart", 17, false, HalfOpen), "one probe at a time")
	assert.Equal(t, at(26), s.Check("restart", at(17)).Until)
	c = moved(t, s.Success("restart", at(18)), "restart", HalfOpen, Closed, 18)
	assert.Equal(t, "the probe helped", c.Reason)
	require.Empty(t, s.Failure("restart", at(19)), "failures are counted anew")
	require.Empty(t, s.Failure("restart", at(19)))
	moved(t, s.Failure("restart", at(19)), "restart", Closed, Open, 19)
}

func TestInconclusiveNeverCloses(t *testing.T) {
	s := set(t, Settings{Failures: 2})
	require.Empty(t, s.Inconclusive("p", at(0)))
	c := moved(t, s.Inconclusive("p", at(0)), "p", Closed, Open, 0)
	assert.Contains(t, c.Reason, "inconclusive")
	allow(t, s, "p", 10, true, HalfOpen)
	c = moved(t, s.Inconclusive("p", at(11)), "p", HalfOpen, Open, 11)
	assert.Equal(t, "the probe was inconclusive", c.Reason)
	allow(t, s, "p", 20.9, false, Open)
	allow(t, s, "p", 21, true, HalfOpen)
}

func TestOnlyAProbeCloses(t *testing.T) {
	s := set(t, Settings{Failures: 1})
	moved(t, s.Failure("p", at(0)), "p", Closed, Open, 0)
	require.Empty(t, s.Success("p", at(1)), "of an action that started before")
	allow(t, s, "p", 2, false, Open)
	require.Empty(t, s.Success("p", at(11)), "the cooldown is over, but no probe was sent")
	assert.Equal(t, HalfOpen, s.Check("p", at(11)).State)
	moved(t, allow(t, s, "p", 11, true, HalfOpen), "p", Open, HalfOpen, 11)
	s.Release("p")
	require.Empty(t, s.Success("p", at(11)), "the probe was not carried out")
	allow(t, s, "p", 11, true, HalfOpen)
	moved(t, s.Success("p", at(12)), "p", HalfOpen, Closed, 12)
}

func TestLostProbeFreesItself(t *testing.T) {
	s := set(t, Settings{Failures: 1})
	s.Failure("p", at(0))
	allow(t, s, "p", 10, true, HalfOpen)
	allow(t, s, "p", 19.9, false, HalfOpen)
	require.Empty(t, allow(t, s, "p", 20, true, HalfOpen), "it was half open before")
	allow(t, s, "p", 20, false, HalfOpen)
}

func TestReleaseFreesTheProbe(t *testing.T) {
	s := set(t, Settings{Failures: 1, MaxActions: 2, Window: time.Hour})
	s.Failure("p", at(0))
	for range 5 {
		allow(t, s, "p", 10, true, HalfOpen)
		allow(t, s, "p", 10, false, HalfOpen)
		s.Release("p")
	}
	assert.Equal(t, 0, s.States(at(10))[0].RecentActions)
	assert.False(t, s.States(at(10))[0].Probing)
	s.Release("unknown")
}

func TestRecurrence(t *testing.T) {
	s := set(t, Settings{MaxActions: 3, Window: time.Hour})
	for _, minute := range []float64{0, 20, 40} {
		allow(t, s, "pod/a", minute, true, Closed)
		s.Success("pod/a", at(minute+1))
	}
	assert.Equal(t, 3, s.States(at(41))[0].RecentActions)
	c := moved(t, allow(t, s, "pod/a", 59.9, false, Open), "pod/a", Closed, Open, 59.9)
	assert.Equal(t, "it was acted on 3 times within 1h0m0s, which may be flapping", c.Reason)
	allow(t, s, "pod/b", 59.9, true, Closed)
	allow(t, s, "pod/a", 60, false, Open)
	allow(t, s, "pod/a", 69.9, true, HalfOpen)
	moved(t, s.Success("pod/a", at(70)), "pod/a", HalfOpen, Closed, 70)
	allow(t, s, "pod/a", 71, true, Closed)
	allow(t, s, "pod/a", 72, true, Closed)
	allow(t, s, "pod/a", 73, false, Open)
}

func TestRecurrenceSlides(t *testing.T) {
	s := set(t, Settings{MaxActions: 2, Window: time.Hour})
	allow(t, s, "pod", 0, true, Closed)
	allow(t, s, "pod", 30, true, Closed)
	assert.False(t, s.Check("pod", at(59.9)).OK)
	allow(t, s, "pod", 60, true, Closed)
	assert.False(t, s.Check("pod", at(89.9)).OK)
	allow(t, s, "pod", 90, true, Closed)
	s.Release("pod")
	allow(t, s, "pod", 90, true, Closed)
}

// TestRate opens at 3 failures among the last 5, at an order without two failures in a row.
func TestRate(t *testing.T) {
	s := set(t, Settings{RateFailures: 3, RateOutcomes: 5})
	for i, failed := range []bool{true, false, false, true, false, false, true, false} {
		if failed {
			require.Empty(t, s.Failure("fleet", at(float64(i))))
		} else {
			require.Empty(t, s.Success("fleet", at(float64(i))))
		}
	}
	// The last five are then two failures, and then three.
	require.Empty(t, s.Failure("fleet", at(8)))
	c := moved(t, s.Inconclusive("fleet", at(9)), "fleet", Closed, Open, 9)
	assert.Equal(t, "3 of the last 5 actions did not help; the last one was inconclusive", c.Reason)
	allow(t, s, "fleet", 19, true, HalfOpen)
	moved(t, s.Success("fleet", at(20)), "fleet", HalfOpen, Closed, 20)
	assert.Empty(t, s.States(at(20)), "it begins anew")
}

func TestRateForgetsByTime(t *testing.T) {
	s := set(t, Settings{RateFailures: 2, RateOutcomes: 5, Window: time.Hour})
	require.Empty(t, s.Failure("fleet", at(0)))
	require.Empty(t, s.Failure("fleet", at(60)))
	moved(t, s.Failure("fleet", at(119.9)), "fleet", Closed, Open, 119.9)
}

func TestReset(t *testing.T) {
	s := set(t, Settings{Failures: 1})
	require.Empty(t, s.Reset("p", at(0)))
	s.Failure("p", at(0))
	c := moved(t, s.Reset("p", at(1)), "p", Open, Closed, 1)
	assert.Equal(t, "reset", c.Reason)
	allow(t, s, "p", 1, true, Closed)
	require.Empty(t, s.Reset("p", at(2)))
}

func TestStates(t *testing.T) {
	s := set(t, Settings{Failures: 2, RateFailures: 5, RateOutcomes: 5})
	s.Failure("b", at(0))
	s.Failure("c", at(0))
	s.Failure("c", at(1))
	s.Failure("a", at(2))
	s.Failure("a", at(2))
	allow(t, s, "a", 12, true, HalfOpen)
	assert.Equal(t, []Status{
		{Key: "a", State: HalfOpen, Reason: "2 actions in a row did not help; the last one failed", Since: at(12), Until: at(22), Failures: 2, RecentFailures: 2, RecentOutcomes: 2, Probing: true},
		{Key: "b", State: Closed, Failures: 1, RecentFailures: 1, RecentOutcomes: 1},
		{Key: "c", State: HalfOpen, Reason: "2 actions in a row did not help; the last one failed", Since: at(1), Failures: 2, RecentFailures: 2, RecentOutcomes: 2},
	}, s.States(at(12)))
	assert.Equal(t, Open, s.States(at(10))[2].State)
}

func TestRoom(t *testing.T) {
	s := set(t, Settings{Failures: 2, RateFailures: 5, RateOutcomes: 5, MaxKeys: 3})
	s.Success("a", at(0))
	s.Success("b", at(1))
	s.Success("c", at(2))
	s.Success("a", at(3))
	s.Success("d", at(4))
	assert.Equal(t, []string{"a", "c", "d"}, keys(s), "b was untouched for longest")

	s.Failure("a", at(5))
	s.Failure("c", at(6))
	s.Failure("d", at(7))
	v, changes := s.Allow("e", at(14))
	require.Empty(t, changes)
	assert.Equal(t, Verdict{State: Open, Reason: "no room for another breaker: all 3 have counted something lately"}, v)
	assert.Equal(t, v, s.Check("e", at(14)))
	allow(t, s, "a", 14, true, Closed)
	allow(t, s, "e", 16, true, Closed)
	s.Success("e", at(16))
	assert.Equal(t, []string{"a", "d", "e"}, keys(s), "c was untouched for a cooldown")

	for _, key := range []string{"a", "d", "f"} {
		s.Failure(key, at(16))
		s.Failure(key, at(16))
	}
	assert.Equal(t, []string{"a", "d", "f"}, keys(s), "an outcome drives out what is closed")
	require.Empty(t, s.Failure("g", at(1000)))
	v, _ = s.Allow("g", at(1000))
	assert.False(t, v.OK, "open breakers are never forgotten")
}

// TestEmptyIsNotKept: what has counted nothing, or nothing any more, takes no room.
func TestEmptyIsNotKept(t *testing.T) {
	s := set(t, Settings{Failures: 2})
	allow(t, s, "a", 0, true, Closed)
	assert.Zero(t, s.Len())
	s.Failure("a", at(1))
	assert.Equal(t, 1, s.Len())
	s.Success("a", at(2))
	assert.Zero(t, s.Len())

	s = set(t, Settings{MaxActions: 3, Window: time.Hour, MaxKeys: 10_000})
	allow(t, s, "a", 0, true, Closed)
	assert.Equal(t, 1, s.Len())
	s.Release("a")
	assert.Zero(t, s.Len())
	for i := range 5000 {
		allow(t, s, fmt.Sprint(i), float64(i), true, Closed)
		require.LessOrEqual(t, s.Len(), 128, "60 are within the window")
	}
}

func keys(s *Set) []string {
	return slices.Sorted(maps.Keys(s.Snapshot().Breakers))
}

// TestClockSetBack: whatever was counted in a future that will not come again does not hold longer than its full duration.
func TestClockSetBack(t *testing.T) {
	const year = 365 * 24 * 60
	s := set(t, Settings{Failures: 1, MaxActions: 2, Window: time.Hour})
	s.Failure("open", at(year))
	s.Failure("probing", at(year-20))
	allow(t, s, "probing", year, true, HalfOpen)
	allow(t, s, "acted", year, true, Closed)
	allow(t, s, "acted", year, true, Closed)

	allow(t, s, "open", 0, false, Open)
	allow(t, s, "probing", 0, false, HalfOpen)
	assert.False(t, s.Check("acted", at(0)).OK)
	allow(t, s, "open", 10, true, HalfOpen)
	allow(t, s, "probing", 10, true, HalfOpen)
	allow(t, s, "acted", 60, true, Closed)
}

func TestValidate(t *testing.T) {
	require.NoError(t, Settings{Failures: 3, RateFailures: 5, RateOutcomes: 10, MaxActions: 3, Window: time.Hour, Cooldown: time.Minute, MaxKeys: 1}.Validate())
	assert.EqualError(t, Settings{Failures: -1, RateFailures: 2, RateOutcomes: 1, MaxActions: 1001}.Validate(),
		`failures must not be negative, got -1
rate_failures must be between 1 and rate_outcomes, which must be at most 1000, or both 0, got 2 of 1
max_actions must be between 0 and 1000, got 1001
window must be greater than 0 with max_actions, and never negative, got 0s
cooldown must be greater than 0, got 0s
max_keys must be greater than 0, got 0; it bounds memory`)
	assert.ErrorContains(t, Settings{RateOutcomes: 5, Cooldown: 1, MaxKeys: 1}.Validate(), "rate_failures")
}

// TestAgainstReference compares one breaker with a slow one that looks at the whole past for every answer.
func TestAgainstReference(t *testing.T) {
	settings := Settings{Failures: 3, RateFailures: 4, RateOutcomes: 7, MaxActions: 5, Window: time.Hour, Cooldown: 10 * time.Minute, MaxKeys: 1}
	for seed := range int64(50) {
		rng := rand.New(rand.NewSource(seed))
		s, ref := set(t, settings), &reference{s: settings}
		now, states := epoch, map[State]int{}
		for step := range 400 {
			now = now.Add(time.Duration(rng.Intn(6)) * time.Minute)
			what := fmt.Sprintf("seed %d step %d", seed, step)
			switch r := rng.Float64(); {
			case r < 0.5:
				v, _ := s.Allow("p", now)
				ok, state := ref.allow(now)
				require.Equal(t, ok, v.OK, what)
				require.Equal(t, state, v.State, what)
				states[state]++
			case r < 0.75:
				s.Success("p", now)
				ref.outcome(now, false)
			default:
				s.Failure("p", now)
				ref.outcome(now, true)
			}
			if rng.Intn(20) == 0 {
				s = restart(t, s)
			}
		}
		require.Len(t, states, 3, "all states were seen")
	}
}

// reference keeps everything since the last closing.
type reference struct {
	s        Settings
	state    State
	since    time.Time
	probe    *time.Time
	starts   []time.Time
	outcomes []Outcome
}

func (r *reference) allow(now time.Time) (bool, State) {
	switch r.state {
	case Open, HalfOpen:
		if r.state == Open && now.Sub(r.since) < r.s.Cooldown {
			return false, Open
		}
		if r.state == HalfOpen && r.probe != nil && now.Sub(*r.probe) < r.s.Cooldown {
			return false, HalfOpen
		}
		r.state, r.probe = HalfOpen, &now
		r.starts = append(r.starts, now)
		return true, HalfOpen
	}
	n := 0
	for _, t := range r.starts {
		if now.Sub(t) < r.s.Window {
			n++
		}
	}
	if n >= r.s.MaxActions {
		r.state, r.since = Open, now
		return false, Open
	}
	r.starts = append(r.starts, now)
	return true, Closed
}

func (r *reference) outcome(now time.Time, failed bool) {
	r.outcomes = append(r.outcomes, Outcome{now, failed})
	switch r.state {
	case HalfOpen:
		switch {
		case failed:
			r.state, r.since, r.probe = Open, now, nil
		case r.probe != nil:
			r.state, r.probe, r.outcomes = Closed, nil, nil
			r.starts = r.starts[len(r.starts)-1:]
		}
		return
	case Open:
		return
	}
	if !failed {
		return
	}
	row, rate := 0, 0
	for i := len(r.outcomes) - 1; i >= 0 && r.outcomes[i].Failed; i-- {
		row++
	}
	for _, o := range r.outcomes[max(0, len(r.outcomes)-r.s.RateOutcomes):] {
		if o.Failed && now.Sub(o.At) < r.s.Window {
			rate++
		}
	}
	if row >= r.s.Failures || rate >= r.s.RateFailures {
		r.state, r.since = Open, now
	}
}

func restart(t *testing.T, s *Set) *Set {
	t.Helper()
	b, err := json.Marshal(s.Snapshot())
	require.NoError(t, err)
	var snap Snapshot
	require.NoError(t, json.Unmarshal(b, &snap))
	fresh := New(s.settings)
	require.NoError(t, fresh.Restore(snap))
	again, err := json.Marshal(fresh.Snapshot())
	require.NoError(t, err)
	require.JSONEq(t, string(b), string(again))
	return fresh
}
