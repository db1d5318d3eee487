package outcomes

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var epoch = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

const week = 7 * 24 * time.Hour

func tracker(t testing.TB, s Settings) *Tracker {
	t.Helper()
	if s.MaxPairs == 0 {
		s.MaxPairs = 100
	}
	require.NoError(t, s.Validate())
	return New(s)
}

// record notes so many recoveries and failures.
func record(t testing.TB, tr *Tracker, playbook string, good, bad int, now time.Time) {
	t.Helper()
	for range good {
		require.NoError(t, tr.Record("change", playbook, Recovered, now))
	}
	for range bad {
		require.NoError(t, tr.Record("change", playbook, Ineffective, now))
	}
}

// TestPosterior: with 8 of 10 the distribution is Beta(9, 3), of mean 9/12; its quantiles are those of the tables.
func TestPosterior(t *testing.T) {
	tr := tracker(t, Settings{})
	record(t, tr, "rollback", 8, 1, epoch)
	require.NoError(t, tr.Record("change", "rollback", Reverted, epoch))
	s := tr.Statistics("change", "rollback", epoch)
	assert.Equal(t, Counts{Recovered: 8, Ineffective: 1, Reverted: 1}, s.Counts)
	assert.InDelta(t, 0.75, s.Mean, 1e-12)
	assert.InDelta(t, 0.5299, s.Low, 1e-4)
	assert.InDelta(t, 0.9212, s.High, 1e-4)
	assert.Equal(t, epoch, s.Last)

	unknown := tr.Statistics("change", "restart", epoch)
	assert.InDelta(t, 0.5, unknown.Mean, 1e-12)
	assert.InDelta(t, 0.05, unknown.Low, 1e-9)
	assert.InDelta(t, 0.95, unknown.High, 1e-9)
	assert.Zero(t, unknown.Attempts())
}

// TestInconclusiveIsNoSuccess: ten of them are five failures, Beta(1, 6).
func TestInconclusiveIsNoSuccess(t *testing.T) {
	tr := tracker(t, Settings{Floor: 0.4, FloorOutcomes: 5, MinOutcomes: 1})
	for range 10 {
		require.NoError(t, tr.Record("change", "rollback", Inconclusive, epoch))
	}
	s := tr.Statistics("change", "rollback", epoch)
	assert.InDelta(t, 1.0/7, s.Mean, 1e-12)
	assert.Zero(t, s.Verified())
	assert.InDelta(t, 10, s.Attempts(), 0)
	c := tr.Order("change", []Candidate{{Playbook: "rollback"}}, "i", epoch)
	assert.False(t, c.Learned, "nothing was verified")
	assert.True(t, c.Order[0].Eligible, "nothing was verified")
}

func TestFading(t *testing.T) {
	tr := tracker(t, Settings{HalfLife: week})
	record(t, tr, "rollback", 8, 4, epoch)
	s := tr.Statistics("change", "rollback", epoch.Add(week))
	assert.InDelta(t, 4, s.Recovered, 1e-9)
	assert.InDelta(t, 2, s.Ineffective, 1e-9)
	record(t, tr, "rollback", 1, 0, epoch.Add(2*week))
	s = tr.Statistics("change", "rollback", epoch.Add(2*week))
	assert.InDelta(t, 3, s.Recovered, 1e-9)
	assert.InDelta(t, 1, s.Ineffective, 1e-9)
	assert.Equal(t, epoch.Add(2*week), s.Last)

	never := tracker(t, Settings{})
	record(t, never, "rollback", 8, 4, epoch)
	assert.InDelta(t, 8, never.Statistics("change", "rollback", epoch.Add(1000*week)).Recovered, 0)
}

// TestClockSetBack: what lies ahead fades from now on.
func TestClockSetBack(t *testing.T) {
	tr := tracker(t, Settings{HalfLife: week})
	record(t, tr, "rollback", 8, 0, epoch.Add(100*week))
	assert.InDelta(t, 8, tr.Statistics("change", "rollback", epoch).Recovered, 1e-9)
	assert.InDelta(t, 4, tr.Statistics("change", "rollback", epoch.Add(week)).Recovered, 1e-9)
}

func TestRoom(t *testing.T) {
	tr := tracker(t, Settings{HalfLife: week, MaxPairs: 2})
	record(t, tr, "old", 3, 0, epoch)
	record(t, tr, "seldom", 1, 0, epoch.Add(week))
	// Of the three of old 1.5 are left after a week, and 0.75 after two; of the one of seldom half.
	record(t, tr, "new", 1, 0, epoch.Add(2*week))
	all := tr.All(epoch.Add(2 * week))
	require.Len(t, all, 2)
	assert.Equal(t, []string{"new", "old"}, []string{all[0].Playbook, all[1].Playbook})
}

func TestCountsAreBounded(t *testing.T) {
	tr := tracker(t, Settings{})
	require.NoError(t, tr.Restore(Snapshot{Pairs: []Pair{{Kind: "change", Playbook: "rollback", Counts: Counts{1e6, 1e6, 1e6, 1e6}, At: epoch}}}))
	for _, o := range []Outcome{Recovered, Ineffective, Reverted, Inconclusive} {
		require.NoError(t, tr.Record("change", "rollback", o, epoch))
	}
	require.NoError(t, tr.Restore(tr.Snapshot()))
}

func TestUnknownOutcome(t *testing.T) {
	tr := tracker(t, Settings{})
	require.EqualError(t, tr.Record("change", "rollback", "fine", epoch), `outcome must be recovered, ineffective, reverted or inconclusive, got "fine"`)
	assert.Empty(t, tr.All(epoch))
}

func TestValidate(t *testing.T) {
	assert.EqualError(t, Settings{HalfLife: -1, MinOutcomes: -1, Floor: 1.5}.Validate(), `half_life must not be negative, got -1ns
min_outcomes must not be negative, got -1
floor must be between 0 and 1, got 1.5
floor_outcomes must be greater than 0 with a floor, got 0
max_pairs must be greater than 0, got 0; it bounds memory`)
}

func TestRestart(t *testing.T) {
	tr := tracker(t, Settings{HalfLife: week, MinOutcomes: 5})
	record(t, tr, "rollback", 8, 4, epoch)
	record(t, tr, "restart", 1, 4, epoch.Add(time.Hour))
	b, err := json.Marshal(tr.Snapshot())
	require.NoError(t, err)
	var s Snapshot
	require.NoError(t, json.Unmarshal(b, &s))
	fresh := tracker(t, tr.settings)
	require.NoError(t, fresh.Restore(s))
	now := epoch.Add(3 * time.Hour)
	assert.Equal(t, tr.All(now), fresh.All(now))
	candidates := []Candidate{{Playbook: "restart"}, {Playbook: "rollback"}}
	assert.Equal(t, tr.Order("change", candidates, "i", now), fresh.Order("change", candidates, "i", now))
}

func TestRestoreIntoLess(t *testing.T) {
	tr := tracker(t, Settings{})
	record(t, tr, "b", 1, 0, epoch)
	record(t, tr, "c", 1, 0, epoch.Add(2))
	record(t, tr, "a", 1, 0, epoch.Add(1))
	less := tracker(t, Settings{MaxPairs: 2})
	require.NoError(t, less.Restore(tr.Snapshot()))
	all := less.All(epoch)
	require.Len(t, all, 2)
	assert.Equal(t, []string{"a", "c"}, []string{all[0].Playbook, all[1].Playbook})
}

func TestBrokenState(t *testing.T) {
	for in, want := range map[string]string{
		`{"pairs":[{"kind":"k","playbook":"p"},{"kind":"k","playbook":"p"}]}`: `restore outcomes of "p" against "k": they are there twice`,
		`{"pairs":[{"kind":"k","playbook":"p","recovered":-1}]}`:              `restore outcomes of "p" against "k": counts must be between 0 and 1e+06, got -1`,
		`{"pairs":[{"kind":"k","playbook":"p","inconclusive":1e300}]}`:        `restore outcomes of "p" against "k": counts must be between 0 and 1e+06, got 1e+300`,
	} {
		tr := tracker(t, Settings{})
		record(t, tr, "kept", 1, 0, epoch)
		var s Snapshot
		require.NoError(t, json.Unmarshal([]byte(in), &s))
		require.EqualError(t, tr.Restore(s), want)
		assert.Len(t, tr.All(epoch), 1)
	}
}

func FuzzRestore(f *testing.F) {
	f.Add([]byte(`{"pairs":[{"kind":"change","playbook":"rollback","recovered":8.5,"ineffective":1,"at":"2026-03-02T10:00:00Z"}]}`))
	f.Add([]byte(`{"pairs":[{"kind":"change","playbook":"a","recovered":1e6,"at":"9999-12-31T23:59:59Z"},{"kind":"change","playbook":"b","reverted":1e-300,"at":"0001-01-01T00:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var s Snapshot
		if json.Unmarshal(in, &s) != nil {
			return
		}
		tr := New(Settings{HalfLife: week, MinOutcomes: 1, Floor: 0.2, FloorOutcomes: 3, MaxPairs: 3})
		if tr.Restore(s) != nil {
			require.Empty(t, tr.All(epoch))
			return
		}
		require.NoError(t, tr.Record("change", "a", Recovered, epoch))
		require.LessOrEqual(t, len(tr.All(epoch)), 3)
		c := tr.Order("change", []Candidate{{"a", true}, {"b", false}, {"c", true}}, "i", epoch)
		require.Len(t, c.Order, 3)
		for _, r := range c.Order {
			require.True(t, r.Low >= 0 && r.Low <= r.High && r.High <= 1, "%+v", r)
			require.True(t, r.Sampled >= 0 && r.Sampled <= 1 && r.Odds >= 0 && r.Odds <= 1+1e-9, "%+v", r)
		}
		_, err := json.Marshal(c)
		require.NoError(t, err)
		_, err = json.Marshal(tr.Snapshot())
		require.NoError(t, err)
	})
}
