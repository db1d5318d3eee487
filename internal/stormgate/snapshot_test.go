package stormgate

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRestartInAStorm(t *testing.T) {
	g := gate(t, usual)
	for i := range 5 {
		g.Opened(fmt.Sprint(i), "cart", at(0))
	}
	g.Start("a", "cart", at(1))
	g = restart(t, g)
	require.Empty(t, g.Opened("4", "cart", at(2)))
	require.False(t, g.Start("b", "cart", at(2)).OK)
	require.True(t, g.Start("a", "cart", at(2)).OK, "the same action again")
	require.Equal(t, []Event{Ended, CatchUp}, events(g.Tick(at(360))))
}

func TestSnapshotIsACopy(t *testing.T) {
	g := gate(t, usual)
	g.Opened("a", "cart", at(0))
	s := g.Snapshot()
	require.NoError(t, g.Restore(s))
	s.Openings[0].At = at(-1000)
	assert.Equal(t, 1, g.Status(at(0)).Incidents)
}

func TestRestoreIntoLess(t *testing.T) {
	g := gate(t, Settings{MaxIncidents: 10, Window: time.Minute, MaxActions: 10})
	for i := range 10 {
		g.Opened(fmt.Sprint(i), "cart", at(float64(i)))
		g.Start(fmt.Sprint(i), "cart", at(float64(i)))
	}
	less := gate(t, Settings{MaxIncidents: 2, Window: time.Minute, MaxActions: 1})
	require.NoError(t, less.Restore(g.Snapshot()))
	assert.Equal(t, Snapshot{
		Openings: []Opening{{"7", "cart", at(7)}, {"8", "cart", at(8)}, {"9", "cart", at(9)}}, Starts: []Start{{"9", at(9)}}, BusyUntil: at(65),
	}, less.Snapshot())
}

func TestBrokenState(t *testing.T) {
	for in, want := range map[string]string{
		`{"storm":true}`:                                   "restore storm gate: a storm, and nothing else, has a beginning, got storm true that began at 0001-01-01 00:00:00 +0000 UTC",
		`{"began":"2026-03-02T10:00:00Z"}`:                 "restore storm gate: a storm, and nothing else, has a beginning, got storm false that began at 2026-03-02 10:00:00 +0000 UTC",
		`{"openings":[{"incident":"a"},{"incident":"a"}]}`: `restore storm gate: incident "a" opened twice`,
		`{"starts":[{"key":"a"},{"key":"a"}]}`:             `restore storm gate: action "a" started twice`,
	} {
		g := gate(t, usual)
		g.CatchUp("x", at(0))
		before := g.Snapshot()
		var s Snapshot
		require.NoError(t, json.Unmarshal([]byte(in), &s))
		require.EqualError(t, g.Restore(s), want)
		assert.Equal(t, before, g.Snapshot())
	}
}

func FuzzRestore(f *testing.F) {
	f.Add([]byte(`{"openings":[{"incident":"a","target":"cart","at":"2026-03-02T10:00:00Z"}],"starts":[{"key":"a","at":"2026-03-02T10:00:00Z"}],"busy_until":"9999-12-31T23:59:59Z","storm":true,"began":"2026-03-02T10:00:00Z"}`))
	f.Add([]byte(`{"catch_up":"2026-03-02T09:59:00Z","openings":[{"at":"9999-01-01T00:00:00Z"},{"incident":"b"}]}`))
	f.Add([]byte(`{"storm":true,"began":"0001-01-01T00:00:01Z","starts":[{},{"key":"x"},{"key":"y"}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var s Snapshot
		if json.Unmarshal(in, &s) != nil {
			return
		}
		g := New(usual)
		if g.Restore(s) != nil {
			require.Empty(t, g.Snapshot())
			return
		}
		for i := range 20 {
			now := at(float64(i * 7))
			g.Opened(fmt.Sprint(i), "cart", now)
			g.Start(fmt.Sprint(i), "cart", now)
			require.LessOrEqual(t, len(g.state.Openings), 5)
			require.LessOrEqual(t, len(g.state.Starts), 1)
			_, err := json.Marshal(g.Snapshot())
			require.NoError(t, err)
		}
		g.Tick(at(1000))
		require.False(t, g.Status(at(1000)).Storm)
		require.True(t, g.Check("cart", at(2000)).OK)
	})
}
