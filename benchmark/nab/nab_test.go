package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/benchmark/internal/scoring"
)

const steady, broken = "real/steady.csv", "real/broken.csv"

// corpusIn writes a small NAB folder: noise that stays, and noise that jumps far in row 700 for 50 rows. The second has a
// repeated timestamp and a gap.
func corpusIn(t *testing.T, labels string) string {
	t.Helper()
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 1))
	for _, key := range []string{steady, broken} {
		var b strings.Builder
		b.WriteString("timestamp,value\n")
		at := time.Date(2014, 2, 14, 14, 30, 0, 0, time.UTC)
		for i := range 1000 {
			v := 100 + rng.NormFloat64()
			if key == broken {
				if i >= 700 && i < 750 {
					v += 200
				}
				if i == 400 {
					at = at.Add(-5 * time.Minute)
				}
				if i == 500 {
					at = at.Add(7 * time.Hour)
				}
			}
			fmt.Fprintf(&b, "%s,%.3f\n", at.Format(time.DateTime), v)
			at = at.Add(5 * time.Minute)
		}
		put(t, filepath.Join(dir, "data", key), b.String())
	}
	if labels != "" {
		put(t, filepath.Join(dir, "labels", "combined_windows.json"), labels)
	}
	return dir
}

func put(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// written reads a result file.
func written(t *testing.T, path string) (lines [][]string, scores []float64) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	require.Equal(t, "timestamp,value,anomaly_score", all[0])
	for _, line := range all[1:] {
		f := strings.Split(line, ",")
		require.Len(t, f, 3)
		v, err := strconv.ParseFloat(f[2], 64)
		require.NoError(t, err)
		require.False(t, math.IsNaN(v))
		lines, scores = append(lines, f), append(scores, v)
	}
	return lines, scores
}

func labelsFor(t *testing.T, dir string) string {
	t.Helper()
	c, err := readCorpus(dir)
	require.NoError(t, err)
	rows := c.files[0].rows
	require.Equal(t, broken, c.files[0].key)
	return fmt.Sprintf(`{%q: [["%s.000000", "%s.000000"]], %q: []}`, broken, rows[695].stamp, rows[720].stamp, steady)
}

func TestAJumpIsAnAlarmAndEveryRowIsWritten(t *testing.T) {
	for _, shift := range []time.Duration{0, -95 * time.Minute, 3 * 24 * time.Hour} {
		t.Run(shift.String(), func(t *testing.T) {
			dir, out := corpusIn(t, ""), t.TempDir()
			put(t, filepath.Join(dir, "labels", "combined_windows.json"), labelsFor(t, dir))
			var said strings.Builder
			require.NoError(t, run(t.Context(), dir, out, shift, true, &said))

			text, err := os.ReadFile(filepath.Join(out, "threshold"))
			require.NoError(t, err)
			threshold, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
			require.NoError(t, err)
			assert.Equal(t, config().MinScore, threshold)

			c, err := readCorpus(dir)
			require.NoError(t, err)
			for _, f := range c.files {
				lines, scores := written(t, filepath.Join(out, f.key))
				require.Len(t, lines, len(f.rows))
				var alarms []int
				for i := range lines {
					require.Equal(t, []string{f.rows[i].stamp, f.rows[i].text}, lines[i][:2], "timestamps are those of the input")
					if scores[i] >= threshold {
						alarms = append(alarms, i)
					}
				}
				// How good the detector is, is not for this test: a few false alarms pass, an alarm for every abnormal row
				// does not.
				inJump := 0
				for _, i := range alarms {
					if i >= 700 && i < 750 {
						inJump++
					}
				}
				assert.LessOrEqual(t, len(alarms), 8, f.key)
				if f.key == broken {
					assert.GreaterOrEqual(t, inJump, 1)
					assert.LessOrEqual(t, inJump, 4, "an episode that goes on is not a new alarm")
				}
			}
			assert.Contains(t, said.String(), "1/1")
			assert.Contains(t, said.String(), "\nreal/broken")
			assert.Contains(t, said.String(), "reward_low_FN_rate")
		})
	}
}

func TestWithoutLabelsTheFilesAreWritten(t *testing.T) {
	dir, out := corpusIn(t, ""), t.TempDir()
	var said strings.Builder
	require.NoError(t, run(t.Context(), dir, out, 0, true, &said))
	assert.Contains(t, said.String(), nothingToScore)
	lines, _ := written(t, filepath.Join(out, broken))
	assert.Len(t, lines, 1000)
}

func TestShiftsPrintTheMeanAndWriteEach(t *testing.T) {
	dir, out := corpusIn(t, ""), t.TempDir()
	put(t, filepath.Join(dir, "labels", "combined_windows.json"), labelsFor(t, dir))
	var said strings.Builder
	require.NoError(t, runShifts(t.Context(), dir, out, 3, true, &said))
	assert.Contains(t, said.String(), "\n1h14m0s")
	assert.Contains(t, said.String(), "\nmean")
	assert.Contains(t, said.String(), "\nreal/broken")
	for _, name := range []string{"shift-000", "shift-037", "shift-074"} {
		lines, _ := written(t, filepath.Join(out, name, broken))
		assert.Len(t, lines, 1000)
	}
}

func TestEpisodesAlarmOnce(t *testing.T) {
	var e scoring.Episode
	first, second := time.Unix(100, 0), time.Unix(200, 0)
	for i, step := range []struct {
		score float64
		onset time.Time
		want  float64
	}{
		{0.99, first, 0.99},
		{0.98, first, 0.98 * 0.45},
		{0.97, second, 0.97},           // another episode without a pause
		{0.4, second, 0.4 * 0.45},      // over
		{0.96, second, 0.96},           // opened again
		{0.96, second, 0.96 * 0.9 / 2}, // goes on
	} {
		v := verdict{score: step.score, sent: true, onset: step.onset}
		assert.InDelta(t, step.want, v.toWrite(&e, 0.9), 1e-12, "step %d", i)
	}
	v := verdict{score: 0.95} // explained, but not sent: a point of an episode that is nothing new
	assert.InDelta(t, 0.95*0.45, v.toWrite(&e, 0.9), 1e-12)
}

func TestInputThatIsNoCorpus(t *testing.T) {
	for name, text := range map[string]string{
		"must have a header":                          "",
		"must have the columns timestamp and value":   "time,value\n",
		"row 1: parsing time":                         "timestamp,value\nx,1\n",
		`row 1: strconv.ParseFloat: parsing "broken"`: "timestamp,value\n2014-01-01 00:00:00,broken\n",
	} {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "data", "g", "f.csv"), text)
		assert.ErrorContains(t, run(t.Context(), dir, t.TempDir(), 0, false, new(strings.Builder)), name)
	}
	assert.ErrorContains(t, run(t.Context(), t.TempDir(), t.TempDir(), 0, false, new(strings.Builder)), "found none")
	dir := corpusIn(t, "[]")
	assert.ErrorContains(t, run(t.Context(), dir, t.TempDir(), 0, false, new(strings.Builder)), "combined_windows.json")
}
