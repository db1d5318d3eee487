package stormgate

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var epoch = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time {
	return epoch.Add(time.Duration(seconds * float64(time.Second)))
}

// usual: more than four incidents within a minute are a storm, until fewer than two open within any minute for five.
var usual = Settings{MaxIncidents: 4, Window: time.Minute, MaxActions: 1, Quiet: 5 * time.Minute, Jitter: 10 * time.Minute}

func gate(t *testing.T, s Settings) *Gate {
	t.Helper()
	require.NoError(t, s.Validate())
	return New(s)
}

func events(changes []Change) []Event {
	var out []Event
	for _, c := range changes {
		out = append(out, c.Event)
	}
	return out
}

func TestStorm(t *testing.T) {
	g := gate(t, usual)
	for i := range 4 {
		require.Empty(t, g.Opened(fmt.Sprint("early", i), "cart", at(float64(i))))
	}
	require.Empty(t, g.Opened("early3", "cart", at(4)), "it is told again")
	require.Empty(t, g.Opened("5", "cart", at(60)), "the first has left the window")
	require.False(t, g.Status(at(60)).Storm)
	changes := g.Opened("6", "payment", at(60.9))
	assert.Equal(t, []Change{{Began, at(60.9), "5 incidents of 2 targets opened within 1m0s, more than 4: at most 1 actions start until it is over"}}, changes)

	require.True(t, g.Start("a", "cart", at(61)).OK)
	require.True(t, g.Start("a", "cart", at(61)).OK, "the same action again")
	v := g.Start("b", "payment", at(61))
	assert.Equal(t, Verdict{
		Reason: ReasonStorm, Until: at(420),
		Detail: "a storm of incidents goes on since 2026-03-02T10:01:00Z, and 1 of 1 actions have started",
	}, v)
	assert.Equal(t, v, g.Check("payment", at(61)))
	assert.Equal(t, Status{Storm: true, Began: at(60.9), Until: at(420), Incidents: 4, Targets: 2}, g.Status(at(61)), "those from 2 s on")

	// Two are within the minute until 120 s, when the one of 60 s leaves it.
	require.Empty(t, g.Tick(at(419.9)))
	changes = g.Tick(at(420))
	assert.Equal(t, []Change{
		{Ended, at(420), "fewer than 2 incidents opened within any 1m0s for 5m0s; the storm began at 2026-03-02T10:01:00Z"},
		{CatchUp, at(420), "the storm is over: actions are spread over 10m0s"},
	}, changes)
	require.Empty(t, g.Tick(at(421)))
	require.False(t, g.Status(at(421)).Storm)
}

func TestStormGoesOnWhileHalfOpen(t *testing.T) {
	g := gate(t, usual)
	for i := range 5 {
		g.Opened(fmt.Sprint(i), "cart", at(0))
	}
	require.True(t, g.Status(at(0)).Storm)
	// Two within a minute, now and then.
	for _, s := range []float64{300, 359, 600, 659} {
		require.Empty(t, g.Opened(fmt.Sprint(s), "cart", at(s)), s)
	}
	// One a minute is fewer than half.
	for i := range 5 {
		require.Empty(t, g.Opened(fmt.Sprint("late", i), "cart", at(719+60*float64(i))))
	}
	require.Empty(t, g.Tick(at(959.9)))
	assert.Equal(t, []Event{Ended, CatchUp}, events(g.Opened("next", "cart", at(960))))
}

func TestActionsRightBeforeAStormCount(t *testing.T) {
	g := gate(t, usual)
	require.True(t, g.Start("long ago", "cart", at(0)).OK)
	for i := range 5 {
		g.Opened(fmt.Sprint(i), "cart", at(61))
	}
	require.True(t, g.Check("cart", at(62)).OK)

	g = gate(t, usual)
	require.True(t, g.Start("just now", "cart", at(2)).OK)
	for i := range 5 {
		g.Opened(fmt.Sprint(i), "cart", at(61))
	}
	require.False(t, g.Check("cart", at(62)).OK)
	g.Release("just now")
	require.True(t, g.Start("instead", "cart", at(62)).OK)
	require.False(t, g.Start("more", "cart", at(62)).OK)
}

// TestThousandIncidents is the storm of 1,000 incidents in a minute.
func TestThousandIncidents(t *testing.T) {
	for most := 1; most <= 3; most++ {
		s := usual
		s.MaxActions = most
		g := gate(t, s)
		started, told := 0, 0
		for i := range 1000 {
			now := at(60 * float64(i) / 1000)
			told += len(g.Opened(fmt.Sprint(i), fmt.Sprint("target", i%7), now))
			if g.Start(fmt.Sprint("action", i), fmt.Sprint("target", i%7), now).OK {
				started++
			}
		}
		// The storm is seen at the fifth incident; four actions may have started before.
		assert.LessOrEqual(t, started, max(4, most))
		assert.Equal(t, 1, told)
		assert.LessOrEqual(t, len(g.state.Openings), 5)
		assert.LessOrEqual(t, len(g.state.Starts), most)
	}
}

func TestCatchUpSpreadsTargets(t *testing.T) {
	g := gate(t, usual)
	changes := g.CatchUp("a maintenance window ended", at(0))
	require.Equal(t, []Change{{CatchUp, at(0), "a maintenance window ended: actions are spread over 10m0s"}}, changes)
	const targets = 1000
	var minutes [10]int
	same := 0
	other := gate(t, usual)
	other.CatchUp("another", at(1000))
	for i := range targets {
		target := fmt.Sprintf("shop/deployment/cart-%d", i)
		v := g.Check(target, at(0))
		if v.OK {
			continue
		}
		require.Equal(t, ReasonCatchUp, v.Reason)
		turn := v.Until.Sub(at(0))
		require.Less(t, turn, usual.Jitter)
		minutes[int(turn/time.Minute)]++
		require.False(t, g.Check(target, v.Until.Add(-1)).OK)
		require.True(t, g.Check(target, v.Until).OK)
		if d := other.Check(target, at(1000)).Until.Sub(at(1000)) - turn; d.Abs() < time.Second {
			same++
		}
	}
	for m, n := range minutes {
		// The binomial's standard deviation is 9.5.
		assert.InDelta(t, targets/10, n, 45, "minute %d", m)
	}
	assert.Less(t, same, 20, "nobody is last every time")
	assert.Equal(t, at(600), g.Status(at(1)).CatchUpUntil)
	assert.True(t, g.Status(at(600)).CatchUpUntil.IsZero())
}

func TestCatchUpIsDeterministic(t *testing.T) {
	a, b := gate(t, usual), gate(t, usual)
	a.CatchUp("x", at(0))
	b.CatchUp("y", at(0))
	assert.Equal(t, a.Check("cart", at(1)), b.Check("cart", at(1)))
	assert.Equal(t, a.Check("cart", at(1)), restart(t, a).Check("cart", at(1)))
}

func TestWithoutJitter(t *testing.T) {
	s := usual
	s.Jitter = 0
	g := gate(t, s)
	require.Empty(t, g.CatchUp("x", at(0)))
	require.True(t, g.Check("cart", at(0)).OK)
	for i := range 5 {
		g.Opened(fmt.Sprint(i), "cart", at(0))
	}
	assert.Equal(t, []Event{Ended}, events(g.Tick(at(361))))
}

// TestClockSetBack: a storm of a future that will not come again is over after one window and its quiet.
func TestClockSetBack(t *testing.T) {
	const year = 365 * 24 * 3600
	g := gate(t, usual)
	for i := range 5 {
		g.Opened(fmt.Sprint(i), "cart", at(year))
	}
	g.Start("a", "cart", at(year))
	require.Empty(t, g.Tick(at(0)))
	require.False(t, g.Check("cart", at(0)).OK)
	require.Empty(t, g.Tick(at(359.9)))
	require.Equal(t, []Event{Ended, CatchUp}, events(g.Tick(at(360))))
	g.CatchUp("x", at(year))
	g.Check("cart", at(400))
	require.True(t, g.Check("cart", at(1000)).OK)
}

func TestValidate(t *testing.T) {
	assert.EqualError(t, Settings{Quiet: -1, Jitter: -1}.Validate(), `max_incidents must be between 1 and 10000, got 0
window must be greater than 0, got 0s
max_actions must be between 1 and 1000, got 0
quiet must not be negative, got -1ns
jitter must not be negative, got -1ns`)
}

// TestAgainstReference compares with a slow one that looks at the whole past, second by second.
func TestAgainstReference(t *testing.T) {
	for seed := range int64(30) {
		rng := rand.New(rand.NewSource(seed))
		s := Settings{MaxIncidents: 1 + rng.Intn(6), Window: 20 * time.Second, MaxActions: 1 + rng.Intn(3), Quiet: 30 * time.Second}
		g := gate(t, s)
		var openings, starts []int
		storm, began, calm := false, 0, 0
		storms, held := 0, 0
		for second := range 1500 {
			what := fmt.Sprintf("seed %d second %d", seed, second)
			// Calm is for how many seconds fewer than half have been in the window, up to now.
			count := func() int {
				n := 0
				for _, o := range openings {
					if second-o < 20 {
						n++
					}
				}
				return n
			}
			if 2*count() < s.MaxIncidents {
				calm++
			} else {
				calm = 0
			}
			ended := storm && calm > 30
			if ended {
				storm = false
			}
			changes := g.Tick(at(float64(second)))
			require.Equal(t, ended, len(changes) == 1, what)
			if busy := (second / 200) % 2; rng.Float64() < []float64{0.02, 0.4}[busy] {
				openings = append(openings, second)
				if 2*count() >= s.MaxIncidents {
					calm = 0
				}
				begins := !storm && count() > s.MaxIncidents
				if begins {
					storm, began = true, second
					storms++
				}
				require.Equal(t, begins, len(g.Opened(fmt.Sprint("i", second), "t", at(float64(second)))) == 1, what)
			}
			if rng.Float64() < 0.2 {
				n := 0
				for _, a := range starts {
					if a >= began-20 {
						n++
					}
				}
				ok := !storm || n < s.MaxActions
				require.Equal(t, ok, g.Start(fmt.Sprint("a", second), "t", at(float64(second))).OK, what)
				if ok {
					starts = append(starts, second)
				} else {
					held++
				}
			}
			if rng.Intn(50) == 0 {
				g = restart(t, g)
			}
		}
		require.Positive(t, storms)
		require.Positive(t, held)
	}
}

func restart(t *testing.T, g *Gate) *Gate {
	t.Helper()
	b, err := json.Marshal(g.Snapshot())
	require.NoError(t, err)
	var s Snapshot
	require.NoError(t, json.Unmarshal(b, &s))
	fresh := New(g.settings)
	require.NoError(t, fresh.Restore(s))
	again, err := json.Marshal(fresh.Snapshot())
	require.NoError(t, err)
	require.JSONEq(t, string(b), string(again))
	return fresh
}
