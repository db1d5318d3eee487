package baseline

import (
	"math"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func save(t *testing.T, s *Series) []byte {
	t.Helper()
	b, err := s.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

// A series that was saved and restored in the middle of an episode goes on as if nothing had been.
func TestStateSurvives(t *testing.T) {
	for _, step := range []time.Duration{5 * time.Second, 5 * time.Minute} {
		a := newPlayer(step)
		a.playN(1000, noise(1, 10, 1))
		a.playN(5, noise(2, 40, 1))
		b := *a
		b.Series = Series{}
		require.NoError(t, b.UnmarshalBinary(save(t, &a.Series)))
		assert.Equal(t, a.Series, b.Series)
		values := noise(3, 40, 1)
		for range 300 {
			v := values()
			assert.Equal(t, a.play(v), b.play(v))
		}
	}
}

func TestStateThatCannotBeIsRefused(t *testing.T) {
	p := newPlayer(5 * time.Second)
	p.playN(500, noise(1, 10, 1))
	good := save(t, &p.Series)
	for name, data := range map[string][]byte{
		"nothing":         nil,
		"another version": append([]byte{ModelVersion + 1}, good[1:]...),
		"too short":       good[:len(good)-1],
		"too long":        append(append([]byte(nil), good...), 0),
	} {
		t.Run(name, func(t *testing.T) {
			before := p.Series
			require.Error(t, p.UnmarshalBinary(data))
			assert.Equal(t, before, p.Series)
		})
	}
}

// An heir judges at once, by what its parent has learnt, and has no episode of its own.
func TestHeirStartsWarm(t *testing.T) {
	p := newPlayer(5 * time.Second)
	p.playN(1000, noise(1, 10, 1))
	p.playN(5, always(40))
	require.True(t, p.Abnormal())
	heir := *p
	heir.Series = p.Heir()
	assert.False(t, heir.Abnormal())
	assert.Zero(t, count(heir.playN(500, noise(2, 10.5, 1)), Abnormal))
	assert.Positive(t, count(heir.playN(2, always(40)), Abnormal))
}

func TestMergeKnowsWhatBothKnow(t *testing.T) {
	quiet, loud := newPlayer(5*time.Second), newPlayer(5*time.Second)
	quiet.playN(2000, noise(1, 10, 1))
	loud.playN(2000, noise(2, 10, 3))
	merged := quiet.Series
	merged.Merge(&loud.Series)
	assert.Greater(t, merged.spread, quiet.spread)
	assert.Less(t, merged.spread, loud.spread)
	assert.Equal(t, uint32(4000), merged.points)

	none := Series{}
	none.Merge(&merged)
	assert.Equal(t, merged, none, "nothing learns all")
	before := merged
	merged.Merge(&Series{})
	assert.Equal(t, before, merged, "nothing teaches nothing")
}

// Profiles of a day, learnt by one and not by the other, are half believed after a merge.
func TestMergeOfProfiles(t *testing.T) {
	level := func(i int) float64 {
		if h := i / 12 % 24; h >= 9 && h < 17 {
			return 100
		}
		return 10
	}
	a, b := newPlayer(5*time.Minute), newPlayer(5*time.Minute)
	for i := range 10 * 288 {
		a.play(level(i))
		b.play(40)
	}
	merged := b.Series
	merged.Merge(&a.Series)
	swing := func(s *Series) float64 {
		most, least := math.Inf(-1), math.Inf(1)
		for i := range s.long.day {
			v := float64(s.long.day[i][0]) * float64(s.long.unit)
			most, least = max(most, v), min(least, v)
		}
		return most - least
	}
	assert.Greater(t, swing(&a.Series), 60.0)
	assert.InDelta(t, swing(&a.Series)/2, swing(&merged), swing(&a.Series)/4)
}

func TestSeriesIsSmall(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(Series{}), uintptr(960), "with its key and its stream it must stay below 1.2 kB")
}

// A level that is adopted at the ends of what a value can be is read again.
func TestStateOfLargestValues(t *testing.T) {
	for _, every := range []time.Duration{15 * time.Second, time.Hour} {
		p := newPlayer(every)
		v := 1e-10
		for i := range 6000 {
			v *= 1.05
			p.play(v)
			if i%100 != 99 {
				continue
			}
			state, err := p.AppendBinary(nil)
			require.NoError(t, err)
			var read Series
			require.NoError(t, read.UnmarshalBinary(state), "%d points every %s", i+1, every)
		}
	}
}

// Whatever is read, the next points are judged with finite numbers.
func FuzzUnmarshalBinary(f *testing.F) {
	p := newPlayer(5 * time.Second)
	p.playN(500, noise(1, 10, 1))
	good, err := p.AppendBinary(nil)
	require.NoError(f, err)
	f.Add(good)
	f.Add(good[:100])
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Series
		if s.UnmarshalBinary(data) != nil {
			return
		}
		p := newPlayer(5 * time.Second)
		p.Series = s
		for i := range 100 {
			if s.last > math.MaxInt64-int64(200*time.Minute) {
				return
			}
			v := p.Observe(&p.Series, s.last+int64(i+1)*int64(time.Minute), float64(i), &p.Limits, 0)
			require.False(t, math.IsNaN(v.Score) || math.IsNaN(v.Deviation) || math.IsNaN(v.Expected), "%+v", v)
		}
	})
}
