package burnrate

import (
	"math"
	"math/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var epoch = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// workbook are the two policies of the workbook that page and open tickets within hours.
func workbook(minBad float64) []Policy {
	return []Policy{
		{Long: time.Hour, Short: 5 * time.Minute, Burn: 14.4, MinBad: minBad},
		{Long: 6 * time.Hour, Short: 30 * time.Minute, Burn: 6, MinBad: minBad},
	}
}

const month = 30 * 24 * time.Hour

// play counts 100 events every 10 s of which a share is bad, and returns the end.
func play(tr *Tracker, from time.Time, d time.Duration, bad float64) time.Time {
	for end := from.Add(d); from.Before(end); from = from.Add(10 * time.Second) {
		tr.Add(from, 100, 100*bad)
	}
	return from
}

// TestWorkbook plays the examples of the workbook for an objective of 99.9 %: at an error rate of r the burn rate is
// r / 0.001, an hour at 14.4 takes 2 % of the budget of 30 days, and six hours at 6 take 5 %.
func TestWorkbook(t *testing.T) {
	for name, c := range map[string]struct {
		share    float64
		lasts    time.Duration
		policy   int
		burn     float64
		consumed float64
	}{
		"no errors":             {0, time.Hour, -1, 0, 0},
		"just within budget":    {0.001, 6 * time.Hour, -1, 1, 6.0 / 720},
		"2 % in an hour":        {0.01441, time.Hour, 0, 14.4, 0.02},
		"below 2 % in an hour":  {0.0140, time.Hour, -1, 14.0, 14.0 / 720},
		"5 % in six hours":      {0.00601, 6 * time.Hour, 1, 6, 0.05},
		"all fail for a minute": {1, time.Minute, 0, 1000.0 / 60, 1000.0 / 60 / 720},
		"all fail for an hour":  {1, time.Hour, 0, 1000, 1000.0 / 720},
	} {
		t.Run(name, func(t *testing.T) {
			tr := New(0.999, month, workbook(1))
			now := play(tr, epoch, month, 0)
			now = play(tr, now, c.lasts, c.share)
			v := tr.Judge(now.Add(-time.Second))
			assert.Equal(t, c.policy, v.Policy, "%+v", v)
			assert.InDelta(t, c.burn, v.Burn, 0.02*c.burn+1e-9)
			assert.InDelta(t, c.consumed, v.Consumed, 0.02*c.consumed+1e-9)
			assert.True(t, v.Known)
		})
	}
}

// TestResets asserts what the short window is for: an alert ends soon after the errors.
func TestResets(t *testing.T) {
	tr := New(0.999, month, workbook(1)[:1])
	now := play(tr, epoch, 2*time.Hour, 0)
	now = play(tr, now, 30*time.Minute, 0.2)
	require.Zero(t, tr.Judge(now).Policy)
	now = play(tr, now, 4*time.Minute, 0)
	assert.Zero(t, tr.Judge(now).Policy, "the short window remembers")
	now = play(tr, now, 2*time.Minute, 0)
	assert.Equal(t, -1, tr.Judge(now).Policy)
	assert.Greater(t, tr.Judge(now).Burn, 14.4, "though the long window still burns")
}

// TestSince says when the errors began, whatever lay before.
func TestSince(t *testing.T) {
	tr := New(0.999, month, workbook(1))
	now := play(tr, epoch, time.Hour, 0)
	onset := now
	now = play(tr, now, 2*time.Minute, 0.5)
	assert.WithinDuration(t, onset, tr.Judge(now).Since, 10*time.Second)
	assert.Zero(t, New(0.999, month, workbook(1)).Judge(now).Since)
}

// TestFewEvents asserts that one failure among few requests is no alert, and that many are.
func TestFewEvents(t *testing.T) {
	burns := func(bad int, minBad float64) bool {
		tr := New(0.999, month, workbook(minBad))
		for i := range 60 {
			tr.Add(epoch.Add(time.Duration(i)*time.Minute), 1, 0)
		}
		for range bad {
			tr.Add(epoch.Add(time.Hour), 1, 1)
		}
		return tr.Judge(epoch.Add(time.Hour)).Policy >= 0
	}
	assert.True(t, burns(1, 1), "one of 61 burns 16 times too fast")
	assert.False(t, burns(1, 10))
	assert.True(t, burns(10, 10))
}

// TestShortPast takes what was not watched to have been good.
func TestShortPast(t *testing.T) {
	tr := New(0.999, month, workbook(1))
	now := play(tr, epoch, 3*time.Minute, 0.1)
	assert.Equal(t, -1, tr.Judge(now).Policy, "three minutes at 100 are an hour at 5")
	tr = New(0.999, month, workbook(1))
	now = play(tr, epoch, 3*time.Minute, 0.5)
	assert.Zero(t, tr.Judge(now).Policy, "three minutes at 500 are an hour at 25")
}

func TestSettle(t *testing.T) {
	tr := New(0.999, month, workbook(1)[:1])
	now := play(tr, epoch, 2*time.Hour, 0)
	now = play(tr, now, 10*time.Minute, 0.5)
	require.Zero(t, tr.Judge(now).Policy)
	tr.Settle(now)
	assert.Equal(t, -1, tr.Judge(now).Policy)
	again := play(tr, now, 6*time.Minute, 0.5)
	assert.Zero(t, tr.Judge(again).Policy, "it goes on after the short window has passed")
}

func TestUnknown(t *testing.T) {
	tr := New(0.99, month, workbook(1))
	assert.False(t, tr.Judge(epoch).Known)
	play(tr, epoch, time.Minute, 1)
	assert.True(t, tr.Judge(epoch.Add(2*time.Minute)).Known)
	assert.False(t, tr.Judge(epoch.Add(2*time.Hour)).Known, "nothing came lately")
	tr.Clear()
	assert.False(t, tr.Judge(epoch.Add(2*time.Minute)).Known)
	assert.Zero(t, tr.Judge(epoch.Add(2*time.Minute)).Consumed)
}

// TestWindowAgainstList compares a window with all events in a list: slow and obvious.
func TestWindowAgainstList(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for range 50 {
		w := Window{Length: time.Minute}
		type event struct {
			cell       int64
			total, bad float64
		}
		var all []event
		now := epoch.Add(time.Duration(rng.Int63n(int64(time.Hour))))
		first := time.Time{}
		newest := int64(math.MinInt64)
		for range 200 {
			now = now.Add(time.Duration(rng.Int63n(int64(2 * time.Second))))
			if rng.Intn(20) == 0 {
				now = now.Add(90 * time.Second)
			}
			at := now.Add(-time.Duration(rng.Int63n(int64(80 * time.Second))))
			e := event{at.Unix(), float64(rng.Intn(9)), float64(rng.Intn(3))}
			w.Add(at, e.total, e.bad)
			if newest == math.MinInt64 {
				first = at
			}
			newest = max(newest, e.cell)
			if e.cell > newest-Cells {
				all = append(all, e)
				if at.Before(first) {
					first = at
				}
			}
			var total, bad float64
			end := max(newest, now.Unix())
			for _, e := range all {
				if e.cell > end-Cells {
					total += e.total
					bad += e.bad
				}
			}
			gotTotal, gotBad, watched := w.Sums(now)
			require.InDelta(t, total, gotTotal, 1e-9)
			require.InDelta(t, bad, gotBad, 1e-9)
			require.InDelta(t, math.Min(1, max(0, now.Sub(first).Minutes())), watched, 1e-9)
		}
	}
}

func TestAddAllocatesNothing(t *testing.T) {
	tr := New(0.999, month, workbook(1))
	now := epoch
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		now = now.Add(time.Second)
		tr.Add(now, 10, 1)
		tr.Judge(now)
	}))
}

// TestEverythingFails has a rate that only a total failure reaches: 1 less the target is not exact.
func TestEverythingFails(t *testing.T) {
	for _, c := range []struct{ target, rate float64 }{{0.9, 10}, {0.95, 20}, {0.99, 100}, {0.999, 1000}} {
		tr := New(c.target, month, []Policy{{Long: time.Hour, Short: 5 * time.Minute, Burn: c.rate}})
		now := play(tr, epoch, 2*time.Hour, 1)
		v := tr.Judge(now.Add(-time.Second))
		assert.Zero(t, v.Policy, "%v: %+v", c.target, v)
		assert.True(t, v.Since.Before(now.Add(-4*time.Minute)), c.target)
	}
}
