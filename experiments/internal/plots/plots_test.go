package plots

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/experiments/internal/report"
	"github.com/paramedic-otel/paramedic/experiments/internal/result"
)

func results() []*result.Result {
	r := &result.Result{Name: "all", Number: 1}
	r.AddSample(TimeToDetect, "s", result.Ours, "crash", []float64{4, 8, 9, 11, 0}, 1)
	r.AddSample(TimeToDetect, "s", result.Thresholds, "", []float64{300, 310, 400}, 0)
	r.AddSample(TimeToRecover, "s", result.Ours, "", []float64{20, 30, 31}, 0)
	r.AddSample("something else", "s", result.Ours, "", []float64{1}, 0)
	for _, name := range []string{"latency", "CPU", "memory"} {
		s := result.Series{Plot: FaultCourse, Name: name, XUnit: "s", YUnit: "share", Marks: []result.Mark{{Name: "fault"}, {Name: "cure", X: 5}}}
		for x := range 20 {
			s.Points = append(s.Points, []float64{float64(x) - 5, float64(x * x)})
		}
		r.Series = append(r.Series, s)
	}
	safe := result.Series{Plot: SafeOperation, Name: "safe", XUnit: "/s", YUnit: "s", Marks: []result.Mark{{Name: "safe", X: 10}}}
	for x := range 40 {
		safe.Points = append(safe.Points, []float64{float64(x), 0.1 + float64(x*x)/200, max(0, float64(x-25)/20)})
	}
	r.Series = append(r.Series, safe)
	return []*result.Result{r}
}

func TestDraw(t *testing.T) {
	folder := t.TempDir()
	pictures, err := Draw(folder, results())
	require.NoError(t, err)
	var files []string
	for _, p := range pictures {
		files = append(files, p.File)
		text, err := os.ReadFile(filepath.Join(folder, p.File))
		require.NoError(t, err)
		assert.Contains(t, string(text), "</svg>", p.File)
		assert.NotContains(t, string(text), "NaN", p.File)
	}
	assert.Equal(t, []string{"time-to-detect.svg", "time-to-recover.svg", "fault-course.svg", "safe-operation.svg"}, files)
	text, err := os.ReadFile(filepath.Join(folder, "time-to-detect.svg"))
	require.NoError(t, err)
	assert.Contains(t, string(text), "all: ours, crash (1 never)")
	assert.Contains(t, string(text), "all: static thresholds")
	text, err = os.ReadFile(filepath.Join(folder, "safe-operation.svg"))
	require.NoError(t, err)
	assert.Contains(t, string(text), "above 25 %")

	again := t.TempDir()
	same, err := Draw(again, results())
	require.NoError(t, err)
	require.Equal(t, pictures, same)
	for _, f := range files {
		a, err := os.ReadFile(filepath.Join(folder, f))
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(again, f))
		require.NoError(t, err)
		assert.Equal(t, string(a), string(b), f)
	}
	nothing, err := Draw(folder, []*result.Result{{Name: "empty"}})
	require.NoError(t, err)
	assert.Equal(t, []report.Picture(nil), nothing)
}
