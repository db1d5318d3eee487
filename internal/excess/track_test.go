package excess

import (
	"math"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var slowLearning = Learning{HalfLife: math.Inf(1), NormalAfter: 1000}

func TestTimelineSlot(t *testing.T) {
	var tl Timeline
	require.False(t, tl.Started())
	tl.Start(100)
	require.True(t, tl.Started())
	for _, c := range []struct{ bucket, counted int64 }{
		{100, 100},
		{101, 101},
		{100 + Lookahead - 1, 100 + Lookahead - 1},
		{100 + Lookahead, 100 + Lookahead - 1},
		{math.MaxInt64, 100 + Lookahead - 1},
		{99, 100},
		{math.MinInt64, 100},
	} {
		assert.Equal(t, SlotOf(c.counted), tl.Slot(c.bucket), c.bucket)
	}
}

func TestSlotOf(t *testing.T) {
	for bucket, want := range map[int64]int{0: 0, 1: 1, 63: 63, 64: 0, -1: 63, -64: 0, -65: 63, 6401: 1} {
		assert.Equal(t, want, SlotOf(bucket), bucket)
	}
	for _, bucket := range []int64{math.MinInt64, math.MinInt64 + 1, math.MaxInt64} {
		assert.GreaterOrEqual(t, SlotOf(bucket), 0)
		assert.Less(t, SlotOf(bucket), Cells)
	}
}

func TestTimelineJump(t *testing.T) {
	for _, distance := range []int64{-5, 0, 1, 7, Cells - 1, Cells, Cells + 1, 1 << 40} {
		var jumped Timeline
		jumped.Start(1000)
		emptied := map[int]int{}
		jumped.Jump(1000+distance, func(slot int) { emptied[slot]++ })
		assert.Equal(t, 1000+max(0, distance), jumped.Next(), distance)
		assert.Len(t, emptied, int(min(max(0, distance), Cells)), distance)
		for slot, n := range emptied {
			assert.Equal(t, 1, n, "slot %d at %d", slot, distance)
		}
		if distance > Cells {
			continue
		}
		stepped, want := Timeline{}, map[int]int{}
		stepped.Start(1000)
		for range max(0, distance) {
			stepped.Close(func(slot int) { want[slot]++ })
		}
		assert.Equal(t, want, emptied, "a jump is as many closes")
	}
}

// plainTrack keeps every bucket in a map: slow and obvious.
type plainTrack struct {
	counts   map[int64]Cell
	abnormal map[int64]bool
	past     Cell
}

// TestTrackAgainstPlainMap compares the ring with a map over random counts, late and early ones, jumps and flags.
func TestTrackAgainstPlainMap(t *testing.T) {
	rng := rand.New(rand.NewSource(11))
	learning := Learning{HalfLife: 20, NormalAfter: 1 << 40}
	keep := math.Exp2(-1 / learning.HalfLife)
	const first = 37
	var tl Timeline
	var track Track
	var exposure Counts
	plain := plainTrack{counts: map[int64]Cell{}, abnormal: map[int64]bool{}}
	tl.Start(first)
	retire := func(slot int) {
		track.Retire(slot, float64(exposure[slot]), learning)
		exposure[slot] = 0
	}
	learn := func(next int64) {
		bucket := next - Lookback
		c := plain.counts[bucket]
		if !plain.abnormal[bucket] && c.Exposure > 0 {
			plain.past.Events = plain.past.Events*keep + c.Events
			plain.past.Exposure = plain.past.Exposure*keep + c.Exposure
		}
		delete(plain.counts, bucket)
		delete(plain.abnormal, bucket)
	}
	var w Window
	for range 3000 {
		for range rng.Intn(4) {
			bucket := tl.Next() + int64(rng.Intn(50)) - 8
			placed := min(max(bucket, tl.Next()), tl.Next()+Lookahead-1)
			c := Cell{Events: float64(rng.Intn(5)), Exposure: float64(rng.Intn(20))}
			slot := tl.Slot(bucket)
			track.Events[slot] += float32(c.Events)
			exposure[slot] += float32(c.Exposure)
			old := plain.counts[placed]
			plain.counts[placed] = Cell{old.Events + c.Events, old.Exposure + c.Exposure}
		}
		steps := int64(1)
		if rng.Intn(50) == 0 {
			steps = int64(rng.Intn(2 * Cells))
		}
		for range steps {
			learn(tl.Next())
			tl.Close(retire)
		}
		if rng.Intn(10) == 0 {
			n := rng.Intn(5)
			track.Flag(&tl, Verdict{Window: n}, learning)
			for i := range int64(n) {
				plain.abnormal[tl.Next()-1-i] = true
			}
		}
		require.InDelta(t, plain.past.Events, track.Past().Events, 1e-6)
		require.InDelta(t, plain.past.Exposure, track.Past().Exposure, 1e-6)
		track.Load(&w, &tl, &exposure)
		for i := range Lookback {
			bucket := tl.Next() - Lookback + int64(i)
			require.Equal(t, plain.counts[bucket], w.cells[i])
			require.Equal(t, !plain.abnormal[bucket], w.usable[i])
			require.Equal(t, !plain.abnormal[bucket], track.Usable(SlotOf(bucket)))
		}
		require.GreaterOrEqual(t, track.Dispersion(), 1.0)
	}
}

func TestTrackForgetsByHalves(t *testing.T) {
	var track Track
	learning := Learning{HalfLife: 1}
	for range 3 {
		track.Events[5] = 8
		track.Retire(5, 16, learning)
	}
	assert.Equal(t, Cell{8 + 4 + 2, 16 + 8 + 4}, track.Past())
	assert.Zero(t, track.Events[5])
	track.Events[5] = 8
	track.Retire(5, 0, learning)
	assert.Equal(t, Cell{14, 28}, track.Past(), "no exposure tells nothing and ages nothing")
	assert.Zero(t, track.Events[5])
}

func TestTrackDispersion(t *testing.T) {
	assert.InDelta(t, 1, new(Track).Dispersion(), 0)
	assert.InDelta(t, 4, (&Track{Clustered: 4}).Dispersion(), 0)

	rng := rand.New(rand.NewSource(3))
	learnt := func(next func() float64) float64 {
		var track Track
		for range 4000 {
			track.Events[0] = float32(next())
			track.Retire(0, 1, Learning{HalfLife: 1000})
		}
		return track.Dispersion()
	}
	assert.Less(t, learnt(func() float64 { return poisson(rng, 5) }), 2.0)
	assert.Greater(t, learnt(func() float64 { return 6 * poisson(rng, 1) }), 3.0, "clusters of six")
}

func TestFlagUntilNewNormal(t *testing.T) {
	learning := Learning{HalfLife: 100, NormalAfter: 3}
	var tl Timeline
	var track Track
	tl.Start(0)
	for i := range 5 {
		tl.Close(func(int) {})
		track.Flag(&tl, Verdict{Window: 1}, learning)
		assert.Equal(t, i < 3, !track.Usable(SlotOf(int64(i))), i)
	}
	track.Calm(&tl)
	tl.Close(func(int) {})
	track.Flag(&tl, Verdict{Window: 1}, learning)
	assert.False(t, track.Usable(SlotOf(5)), "a calm bucket starts the count anew")
	track.Flag(&tl, Verdict{Window: 1000}, slowLearning)
	for i := int64(6); i > 6-Lookback; i-- {
		assert.False(t, track.Usable(SlotOf(i-1)))
	}
	for i := range int64(Lookahead) {
		assert.True(t, track.Usable(SlotOf(6+i)), "buckets to come are not flagged")
	}
}

func TestTrend(t *testing.T) {
	excessOf := Verdict{Now: Cell{50, 100}, Past: Cell{0, 100}}
	lackOf := Verdict{Now: Cell{0, 100}, Past: Cell{100, 100}}
	for name, c := range map[string]struct {
		verdict Verdict
		// cells are the newest closed buckets, the newest last.
		cells []Cell
		want  Trend
	}{
		"as abnormal as before":         {excessOf, []Cell{{5, 10}, {5, 10}}, Persisting},
		"worse than before":             {excessOf, []Cell{{9, 10}, {9, 10}}, Persisting},
		"gone":                          {excessOf, []Cell{{0, 10}, {0, 10}}, Subsided},
		"nearer to normal":              {excessOf, []Cell{{2, 10}, {2, 10}}, Subsided},
		"nearer to abnormal":            {excessOf, []Cell{{3, 10}, {3, 10}}, Persisting},
		"no exposure":                   {excessOf, []Cell{{}, {}, {}, {}, {}, {}, {}, {}}, Unknown},
		"too little exposure":           {excessOf, []Cell{{0, 1}, {0, 1}, {0, 1}}, Unknown},
		"an empty bucket is no news":    {excessOf, []Cell{{50, 100}, {}}, Persisting},
		"enough in more buckets":        {excessOf, []Cell{{0, 1}, {0, 1}, {0, 1}, {0, 1}}, Subsided},
		"a lack that lasts":             {lackOf, []Cell{{0, 5}, {0, 5}}, Persisting},
		"a lack that is made good":      {lackOf, []Cell{{5, 5}, {5, 5}}, Subsided},
		"more than before a lack":       {lackOf, []Cell{{9, 5}, {9, 5}}, Subsided},
		"a verdict without past":        {Verdict{Now: Cell{1, 1}}, []Cell{{1, 1}, {1, 1}}, Unknown},
		"a verdict without an exposure": {Verdict{Past: Cell{1, 1}}, []Cell{{1, 1}, {1, 1}}, Unknown},
		"what is older does not count":  {excessOf, []Cell{{50, 100}, {0, 10}, {0, 10}}, Subsided},
	} {
		t.Run(name, func(t *testing.T) {
			var tl Timeline
			var track Track
			var exposure Counts
			tl.Start(1000)
			for _, cell := range c.cells {
				slot := SlotOf(tl.Next())
				track.Events[slot], exposure[slot] = float32(cell.Events), float32(cell.Exposure)
				tl.Close(func(int) {})
			}
			assert.Equal(t, c.want, track.Trend(&tl, &exposure, c.verdict))
		})
	}
}

// fill closes n buckets of the same counts.
func fill(tl *Timeline, track *Track, exposure *Counts, n int, c Cell) {
	for range n {
		slot := SlotOf(tl.Next())
		track.Events[slot], exposure[slot] = float32(c.Events), float32(c.Exposure)
		tl.Close(func(slot int) {
			track.Retire(slot, float64(exposure[slot]), slowLearning)
			exposure[slot] = 0
		})
	}
}

func TestTrackScans(t *testing.T) {
	var tl Timeline
	var track Track
	var exposure Counts
	var w Window
	tl.Start(0)
	fill(&tl, &track, &exposure, 200, Cell{10, 10})
	fill(&tl, &track, &exposure, 2, Cell{40, 10})
	track.Load(&w, &tl, &exposure)
	above := track.Above(&w, Options{MinEvents: 3, MinRatio: 2})
	assert.Greater(t, above.Surprise, 9.0)
	assert.Equal(t, 2, above.Window)
	assert.InDelta(t, 20, above.Expected, 1e-6)
	assert.Zero(t, track.Below(&w, Options{MinEvents: 3, MinRatio: 2}).Surprise)
	assert.Zero(t, track.AboveTail(&w, Cell{4000, 100}, Options{MinEvents: 3, MinRatio: 2}).Surprise, "another past, another verdict")

	fill(&tl, &track, &exposure, 60, Cell{10, 10})
	fill(&tl, &track, &exposure, 4, Cell{0, 10})
	track.Load(&w, &tl, &exposure)
	below := track.Below(&w, Options{MinEvents: 3, MinRatio: 2})
	assert.Greater(t, below.Surprise, 9.0)
	assert.Equal(t, 4, below.Window)
	assert.Equal(t, Cell{0, 40}, below.Now)
	assert.Zero(t, track.Above(&w, Options{MinEvents: 3, MinRatio: 2}).Surprise)
}

func TestTrackDoesNotAllocate(t *testing.T) {
	var tl Timeline
	var track Track
	var exposure Counts
	var w Window
	tl.Start(0)
	assert.Zero(t, testing.AllocsPerRun(200, func() {
		fill(&tl, &track, &exposure, 1, Cell{3, 10})
		track.Load(&w, &tl, &exposure)
		track.Above(&w, Options{MinEvents: 1, MinRatio: 1})
	}))
}

func BenchmarkTrackBucket(b *testing.B) {
	var tl Timeline
	var track Track
	var exposure Counts
	var w Window
	tl.Start(0)
	b.ReportAllocs()
	for b.Loop() {
		fill(&tl, &track, &exposure, 1, Cell{3, 10})
		track.Load(&w, &tl, &exposure)
		track.Above(&w, Options{MinEvents: 1, MinRatio: 1})
	}
}
