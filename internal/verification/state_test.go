package verification

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func encode(t testing.TB, v *Verification) string {
	t.Helper()
	b, err := v.Encode()
	require.NoError(t, err)
	return string(b)
}

func TestRestore(t *testing.T) {
	s := settings("a", "b")
	v := New(s, begun)
	play(v, 0, "x", said{10, Good}, said{20, Good}, said{30, Good})
	play(v, 1, "", said{20, Bad}, said{28, Bad})
	require.True(t, v.Changed())
	b := encode(t, v)
	assert.False(t, v.Changed())
	play(v, 0, "x", said{31, Good})
	assert.False(t, v.Changed(), "what goes on need not be stored")
	play(v, 0, "x", said{32, Neutral})
	assert.True(t, v.Changed())

	back, err := Restore(s, begun, []byte(b), after(31))
	require.NoError(t, err)
	assert.Equal(t, begun, back.Begun())
	assert.False(t, back.Changed())
	assert.Equal(t, []Verdict{Met, Unmet}, back.Judge(after(31)).Signals)
	assert.Equal(t, []Verdict{Unknown, Unknown}, back.Judge(after(60)).Signals, "what is stale is so after a restart too")
	play(back, 1, "", said{30, Bad})
	assert.Equal(t, Worse, back.Judge(after(31)).Verdict, "a stretch goes on")
}

func TestRestoreRefuses(t *testing.T) {
	s := settings("a")
	v := New(s, begun)
	play(v, 0, "x", said{10, Good}, said{20, Good}, said{30, Good})
	b := encode(t, v)
	require.Contains(t, b, `"reading":2`)
	for name, tc := range map[string]struct {
		b    string
		now  float64
		want string
	}{
		"no json":            {"{", 40, "unexpected end"},
		"another action":     {strings.Replace(b, "10:00:00", "09:00:00", 1), 40, "it is of an action at"},
		"other signals":      {strings.Replace(b, `"a"`, `"b"`, 1), 40, "it has other signals"},
		"no signals":         {`{"begun":"2026-03-01T10:00:00Z"}`, 40, "it has other signals"},
		"from the future":    {b, 29, "a reading is not of this time"},
		"before settling":    {strings.ReplaceAll(b, "10:00:30", "10:00:01"), 40, "a reading is not of this time"},
		"no such reading":    {strings.Replace(b, `"reading":2`, `"reading":4`, 1), 40, "reading 4 is none"},
		"good without begin": {strings.Replace(b, `"good"`, `"bad"`, 1), 40, "a stretch does not fit"},
		"begin after end":    {strings.Replace(b, "10:00:10", "10:00:31", 1), 40, "a stretch is not of this time"},
		"null":               {`{"begun":"2026-03-01T10:00:00Z","signals":[{"name":"a","series":{"x":null}}]}`, 40, "a series is null"},
		"too many": {
			`{"begun":"2026-03-01T10:00:00Z","signals":[{"name":"a","series":{"1":null,"2":null,"3":null,"4":null,"5":null}}]}`, 40,
			"more than 4 series",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Restore(s, begun, []byte(tc.b), after(tc.now))
			require.ErrorIs(t, err, errRestore)
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

// TestRestartMakesNothingBetter kills and restores at random times, from what was stored when something had changed, and
// compares with one that never stopped: a restart never makes a success, nor a failure.
func TestRestartMakesNothingBetter(t *testing.T) {
	verdicts := map[Verdict]int{}
	for seed := range uint64(5000) {
		rng := rand.New(rand.NewPCG(seed, 2))
		s := settings("a", "b")
		s.Require = rng.IntN(3)
		steady, killed := New(s, begun), New(s, begun)
		stored := encode(t, killed)
		mood := Good
		end := 60 + rng.IntN(60)
		for at := range end {
			if rng.IntN(20) == 0 {
				mood = Reading(rng.IntN(4))
			}
			for signal := range 2 {
				if rng.IntN(3) == 0 {
					steady.Observe(signal, "x", after(float64(at)), after(float64(at)), mood, after(float64(at)))
					killed.Observe(signal, "x", after(float64(at)), after(float64(at)), mood, after(float64(at)))
				}
			}
			if killed.Changed() {
				stored = encode(t, killed)
			}
			if rng.IntN(20) == 0 {
				var err error
				killed, err = Restore(s, begun, []byte(stored), after(float64(at)))
				require.NoError(t, err)
			}
		}
		want, got := steady.Judge(after(float64(end))), killed.Judge(after(float64(end)))
		verdicts[got.Verdict]++
		if got.Verdict == Met || got.Verdict == Worse {
			require.Equal(t, want.Verdict, got.Verdict, "seed %d: %s", seed, want.Detail)
		}
	}
	for v := Unknown; v <= Worse; v++ {
		assert.Greater(t, verdicts[v], 100, v.String())
	}
}

func FuzzRestore(f *testing.F) {
	s := settings("a", "b")
	v := New(s, begun)
	play(v, 0, "x", said{10, Good}, said{20, Good}, said{30, Good})
	play(v, 1, "", said{20, Bad}, said{28, Neutral})
	f.Add(encode(f, v))
	f.Add(`{"begun":"2026-03-01T10:00:00Z","signals":[{"name":"a"},{"name":"b","crowded":true}]}`)
	f.Add(`{}`)
	f.Fuzz(func(t *testing.T, b string) {
		now := after(40)
		v, err := Restore(s, begun, []byte(b), now)
		if err != nil {
			require.ErrorIs(t, err, errRestore)
			return
		}
		first := v.Judge(now)
		again, err := Restore(s, begun, []byte(encode(t, v)), now)
		require.NoError(t, err)
		second := again.Judge(now)
		assert.True(t, first.Equal(&second))
		assert.NotEqual(t, Met, v.Judge(now.Add(s.StaleAfter+time.Second)).Verdict, "nothing that was restored is known for ever")
	})
}
