package circuitbreaker

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRestart(t *testing.T) {
	s := set(t, Settings{Failures: 1})
	s.Failure("open", at(0))
	s.Failure("probing", at(0))
	allow(t, s, "probing", 10, true, HalfOpen)
	s = restart(t, s)
	allow(t, s, "open", 9, false, Open)
	allow(t, s, "probing", 12, false, HalfOpen)
	moved(t, s.Success("probing", at(13)), "probing", HalfOpen, Closed, 13)
}

func TestSnapshotIsACopy(t *testing.T) {
	s := set(t, Settings{MaxActions: 3, Window: time.Hour})
	allow(t, s, "a", 0, true, Closed)
	snap := s.Snapshot()
	allow(t, s, "a", 1, true, Closed)
	assert.Len(t, snap.Breakers["a"].Actions, 1)
	require.NoError(t, s.Restore(snap))
	snap.Breakers["a"].Actions[0] = at(100)
	assert.Equal(t, 1, s.States(at(1))[0].RecentActions)
}

func TestRestoreIntoLess(t *testing.T) {
	s := set(t, Settings{Failures: 1, MaxActions: 5, Window: time.Hour, RateFailures: 5, RateOutcomes: 5})
	for i, key := range []string{"a", "b", "c", "d"} {
		for range 4 {
			allow(t, s, key, float64(i), true, Closed)
		}
	}
	s.Failure("a", at(5))
	less := set(t, Settings{Failures: 1, MaxActions: 2, Window: time.Hour, MaxKeys: 2})
	require.NoError(t, less.Restore(s.Snapshot()))
	states := less.States(at(5))
	require.Len(t, states, 2)
	assert.Equal(t, "a", states[0].Key, "the open one stays")
	assert.Equal(t, 0, states[0].RecentOutcomes)
	assert.Equal(t, "d", states[1].Key, "and the one that was touched last")
	assert.Equal(t, 2, states[1].RecentActions)
}

func TestBrokenState(t *testing.T) {
	for in, want := range map[string]string{
		`{"breakers":{"a":null}}`:                                            `restore breaker "a": it is null`,
		`{"breakers":{"a":{"state":"ajar"}}}`:                                `restore breaker "a": state must be closed, open or half_open, got "ajar"`,
		`{"breakers":{"a":{"state":"closed","failures":-1}}}`:                `restore breaker "a": failures must not be negative, got -1`,
		`{"breakers":{"a":{"state":"open","probing":true}},"more":"unread"}`: `restore breaker "a": only a half open breaker has a probe, got state "open"`,
	} {
		s := set(t, Settings{Failures: 1})
		s.Failure("p", at(0))
		var snap Snapshot
		require.NoError(t, json.Unmarshal([]byte(in), &snap))
		require.EqualError(t, s.Restore(snap), want)
		allow(t, s, "p", 1, false, Open)
	}
}

func FuzzRestore(f *testing.F) {
	f.Add([]byte(`{"breakers":{"a":{"state":"open","since":"2026-03-02T10:00:00Z","touched":"2026-03-02T10:00:00Z","failures":3}}}`))
	f.Add([]byte(`{"breakers":{"a":{"state":"half_open","probing":true,"probe_since":"2026-03-02T10:00:00Z","actions":["9999-12-31T23:59:59Z"],"outcomes":[{"at":"0001-01-01T00:00:00Z","failed":true}]},"b":null}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var snap Snapshot
		if json.Unmarshal(in, &snap) != nil {
			return
		}
		s := New(Settings{Failures: 2, RateFailures: 2, RateOutcomes: 3, MaxActions: 2, Window: time.Hour, Cooldown: time.Minute, MaxKeys: 3})
		if s.Restore(snap) != nil {
			require.Zero(t, s.Len())
			return
		}
		for minute := range 5 {
			for _, key := range []string{"a", "b", "c", "d"} {
				s.Allow(key, at(float64(minute)))
				s.Failure(key, at(float64(minute)))
				s.Success(key, at(float64(minute)))
				s.Release(key)
			}
			require.LessOrEqual(t, s.Len(), 3)
		}
		for _, st := range s.States(at(5)) {
			require.LessOrEqual(t, st.RecentActions, 2)
			require.LessOrEqual(t, st.RecentOutcomes, 3)
		}
		_, err := json.Marshal(s.Snapshot())
		require.NoError(t, err)
	})
}
