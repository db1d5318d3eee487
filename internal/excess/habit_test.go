package excess

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
)

// episode is an abnormality that lasts for some buckets, of so many events beyond the expected ones.
type episode struct {
	buckets  int
	strength float64
}

// comesAndGoes plays n equal episodes, each followed by a calm time, into a track that has exposure in every bucket.
func comesAndGoes(n int, e episode, calm int) (*Track, *Timeline) {
	var tl Timeline
	var track Track
	tl.Start(1000)
	learning := Learning{HalfLife: 1200, NormalAfter: 1200}
	closeOne := func() { tl.Close(func(slot int) { track.Retire(slot, 1, learning) }) }
	for range n {
		for range e.buckets {
			closeOne()
			track.Flag(&tl, Verdict{Surprise: 9, Window: 1, Now: Cell{Events: e.strength}}, learning)
		}
		for range calm {
			closeOne()
			track.Calm(&tl)
		}
	}
	return &track, &tl
}

func TestHabit(t *testing.T) {
	learning := Learning{HalfLife: 1200, NormalAfter: 1200}
	burst := episode{buckets: 10, strength: 4}
	for name, c := range map[string]struct {
		before   int
		of       episode
		calm     int
		now      float64
		surprise float64
		most     float64
		least    float64
	}{
		"never before":                    {0, burst, 150, 4, 9, 9, 9},
		"once before is an incident":      {1, burst, 150, 4, 9, 9, 9},
		"again and again":                 {4, burst, 150, 4, 9, 3, 0},
		"never more than it is":           {4, burst, 150, 4, 1.5, 1.5, 0},
		"a lack as well":                  {4, burst, 150, -4, 9, 3, 0},
		"somewhat stronger":               {6, burst, 150, 12, 9, 6, 2},
		"much stronger":                   {12, burst, 150, 100, 30, 30, 10},
		"what was as strong before":       {12, episode{10, 100}, 150, 100, 30, 5, 0},
		"long ones are no habit":          {6, episode{longestHabit + 1, 4}, 150, 4, 9, 9, 9},
		"those without a break are one":   {6, burst, episodeGap / 2, 4, 9, 9, 9},
		"those of long ago are forgotten": {3, burst, 3000, 4, 9, 9, 9},
	} {
		t.Run(name, func(t *testing.T) {
			track, tl := comesAndGoes(c.before, c.of, c.calm)
			got := track.Flag(tl, Verdict{Surprise: c.surprise, Window: 1, Now: Cell{Events: max(0, c.now)}, Expected: max(0, -c.now)}, learning)
			assert.LessOrEqual(t, got, c.most)
			assert.GreaterOrEqual(t, got, c.least)
		})
	}
}

func TestHabitDoesNotExcuseWhatLasts(t *testing.T) {
	track, tl := comesAndGoes(6, episode{10, 4}, 150)
	learning := Learning{HalfLife: 1200, NormalAfter: 1200}
	for i := range 2 * longestHabit {
		tl.Close(func(slot int) { track.Retire(slot, 1, learning) })
		got := track.Flag(tl, Verdict{Surprise: 9, Window: 1, Now: Cell{Events: 4}}, learning)
		if i < longestHabit {
			assert.Less(t, got, 4.0, i)
		} else {
			assert.InDelta(t, 9, got, 0, i)
		}
	}
}

func TestHabitSurvivesARestart(t *testing.T) {
	track, tl := comesAndGoes(6, episode{10, 4}, 150)
	w := binarystate.NewWriter(nil)
	track.Code(w)
	var again Track
	r := binarystate.NewCodecReader(w.Written())
	again.Code(r)
	assert.NoError(t, r.Close())
	v := Verdict{Surprise: 9, Window: 1, Now: Cell{Events: 4}}
	got := again.Flag(tl, v, slowLearning)
	assert.Less(t, got, 4.0)
	assert.InDelta(t, track.Flag(tl, v, slowLearning), got, 0)

	again.Clear()
	assert.Less(t, again.Flag(tl, v, slowLearning), 4.0, "what was learnt is kept")
}
