package excess

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/binarystate/statetest"
)

// The codec knows every field. When this fails for a new one, add it to Track.Code or Timeline.Code, and raise ModelVersion.
func TestCodeKnowsEveryField(t *testing.T) {
	var track Track
	statetest.Fill(&track, func(field string) bool { return field == "Track.Clustered" })
	w := binarystate.NewWriter(nil)
	track.Code(w)
	var got Track
	r := binarystate.NewCodecReader(w.Written())
	got.Code(r)
	require.NoError(t, r.Close())
	assert.Empty(t, statetest.Lost(track, got), "fields that Track.Code does not know")

	var line, again Timeline
	statetest.Fill(&line, nil)
	w = binarystate.NewWriter(nil)
	line.Code(w)
	r = binarystate.NewCodecReader(w.Written())
	again.Code(r)
	require.NoError(t, r.Close())
	assert.Empty(t, statetest.Lost(line, again), "fields that Timeline.Code does not know")
}

func TestCodeRefusesWhatCannotBe(t *testing.T) {
	for name, spoil := range map[string]func(*Track){
		"less than no events":    func(t *Track) { t.past.Events = -1 },
		"boundless exposure":     func(t *Track) { t.block.Exposure = 1e30 },
		"boundless dispersion":   func(t *Track) { t.dispersion = -1e30 },
		"less than no episodes":  func(t *Track) { t.habit.episodes = -1 },
		"boundless strength":     func(t *Track) { t.habit.strength = 1e30 },
		"flagged less than once": func(t *Track) { t.flagged = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			var track Track
			spoil(&track)
			w := binarystate.NewWriter(nil)
			track.Code(w)
			r := binarystate.NewCodecReader(w.Written())
			new(Track).Code(r)
			require.ErrorIs(t, r.Close(), binarystate.ErrInvalid)
		})
	}
}

// What was dropped is neither counted nor learnt, nor held for abnormal when the slot is used again.
func TestDropLearnsNothing(t *testing.T) {
	var tl Timeline
	tl.Start(100)
	var track Track
	slot := tl.Slot(100)
	track.Events[slot] = 5
	tl.Close(func(int) {})
	track.Flag(&tl, Verdict{Window: 1}, Learning{HalfLife: 10, NormalAfter: 10})
	tl.Jump(100+Cells, track.Drop)
	assert.Equal(t, int64(100+Cells), tl.Next())
	assert.Zero(t, track.Events)
	assert.Zero(t, track.Past())
	assert.True(t, track.Usable(slot))
}

func FuzzTrackCode(f *testing.F) {
	var seed Track
	statetest.Fill(&seed, nil)
	w := binarystate.NewWriter(nil)
	seed.Code(w)
	f.Add(w.Written())
	f.Fuzz(func(t *testing.T, data []byte) {
		r := binarystate.NewCodecReader(data)
		track := Track{Clustered: 2}
		track.Code(r)
		if r.Close() != nil {
			return
		}
		var tl Timeline
		tl.Start(1000)
		var window Window
		exposure := Counts{1, 2, 3, 4}
		track.Load(&window, &tl, &exposure)
		for _, v := range []Verdict{
			track.Above(&window, Options{MinEvents: 1, MinRatio: 1}), track.Below(&window, Options{MinEvents: 1, MinRatio: 1}),
			track.Above(&window, Options{MinEvents: 1, MinRatio: 1, Share: true}),
		} {
			assert.False(t, v.Surprise < 0 || v.Surprise > MaxSurprise, "surprise is %v", v.Surprise)
			track.Trend(&tl, &exposure, v)
		}
		track.Retire(3, 5, Learning{HalfLife: 10, NormalAfter: 10})
	})
}
