package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/experiments/internal/bubble"
	"github.com/paramedic-otel/paramedic/experiments/internal/experiment"
	"github.com/paramedic-otel/paramedic/experiments/internal/result"
)

func TestMain(m *testing.M) {
	bubble.Main()
	os.Exit(m.Run())
}

// fake is an experiment that takes no time.
func fake(name string, clock result.Clock, got *[]string) experiment.Experiment {
	return experiment.Experiment{Name: name, Clock: clock, Run: func(_ context.Context, o experiment.Options) (*result.Result, error) {
		*got = append(*got, name)
		return &result.Result{Name: name, Number: 1, Title: name, About: "It is a test.", Clock: clock, Seeds: o.Seeds}, nil
	}}
}

func TestOptions(t *testing.T) {
	var got []string
	all := []experiment.Experiment{fake("real-one", result.Real, &got), fake("first", result.Simulated, &got), fake("second", result.Simulated, &got)}
	for name, tc := range map[string]struct {
		change func(*options)
		want   []string
	}{
		"all, simulated first": {func(*options) {}, []string{"first", "second", "real-one"}},
		"only":                 {func(o *options) { o.only = "second,real-one" }, []string{"second", "real-one"}},
		"simulated":            {func(o *options) { o.simulated = true }, []string{"first", "second"}},
		"real":                 {func(o *options) { o.real = true }, []string{"real-one"}},
		"list":                 {func(o *options) { o.list = true }, nil},
		"report":               {func(o *options) { o.reportOnly = true }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got = nil
			o := options{out: t.TempDir(), parallel: 2, first: 1}
			tc.change(&o)
			require.NoError(t, run(t.Context(), o, all, io.Discard))
			assert.Equal(t, tc.want, got)
			results, err := result.Load(o.out)
			require.NoError(t, err)
			assert.Len(t, results, len(tc.want))
			for _, r := range results {
				assert.Len(t, r.Seeds, 5)
				assert.Equal(t, "go run ./experiments -only "+r.Name+" -seeds 5", r.Command)
			}
			if !o.list {
				assert.FileExists(t, filepath.Join(o.out, "REPORT.md"))
			}
		})
	}
	o := options{out: t.TempDir(), parallel: 1, first: 7, quick: true}
	require.NoError(t, run(t.Context(), o, all[:1], io.Discard))
	results, err := result.Load(o.out)
	require.NoError(t, err)
	assert.Equal(t, []uint64{7}, results[0].Seeds)
	assert.Equal(t, "go run ./experiments -only real-one -seeds 1 -first 7 -quick", results[0].Command)
	require.EqualError(t, run(t.Context(), options{seeds: -1, first: -1, only: "third"}, all, io.Discard),
		"seeds must be between 0 and 1000, got -1\nfirst must not be negative, got -1\nparallel must be at least 1, got 0\nonly must name some of real-one, first, second, got \"third\"")
}

// TestReportIsGenerated makes report and pictures of the committed results anew: nobody has edited them.
func TestReportIsGenerated(t *testing.T) {
	committed, err := filepath.Glob("results/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, committed)
	folder := t.TempDir()
	for _, path := range committed {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, filepath.Base(path)), text, 0o600))
	}
	require.NoError(t, publish(folder))
	names, err := filepath.Glob(filepath.Join(folder, "*"))
	require.NoError(t, err)
	for _, name := range names {
		want, err := os.ReadFile(name)
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join("results", filepath.Base(name)))
		require.NoError(t, err)
		assert.Equal(t, string(want), string(got), "results/%s is generated: go run ./experiments -report", filepath.Base(name))
	}
}

// TestQuickSubset runs a little of everything simulated and compares it with the committed results: the same figures and tables, and
// nothing far off.
func TestQuickSubset(t *testing.T) {
	if os.Getenv("EXPERIMENTS_QUICK") == "" {
		t.Skip("it takes a minute: set EXPERIMENTS_QUICK")
	}
	o := options{out: t.TempDir(), parallel: 2, first: 1, quick: true, simulated: true}
	require.NoError(t, run(t.Context(), o, experiments(), io.Discard))
	quick, err := result.Load(o.out)
	require.NoError(t, err)
	require.NotEmpty(t, quick)
	committed, err := result.Load("results")
	require.NoError(t, err)
	full := map[string]*result.Result{}
	for _, r := range committed {
		assert.False(t, r.Quick, "%s: no quick subset is committed", r.Name)
		full[r.Name] = r
	}
	for _, q := range quick {
		r := full[q.Name]
		if !assert.NotNil(t, r, "%s has no committed result", q.Name) {
			continue
		}
		assert.Equal(t, shape(r), shape(q), q.Name)
		assert.True(t, q.Quick)
	}
	for _, bound := range []struct {
		experiment, figure, system string
		least, most                float64
	}{
		{"labelled-cases", "labelled faults detected (recall)", result.Ours, 0.85, 1},
		{"labelled-cases", "precision", result.Ours, 0.85, 1},
		{"alert-noise", "fewer incidents than raw anomalies", result.Ours, 0.8, 1},
		{"availability", "availability, MTBF / (MTBF + MTTR)", "with the loop", 0.95, 1},
		{"availability", "actions that made things worse", "with the loop", 0, 2},
	} {
		found := false
		for _, q := range quick {
			for _, f := range q.Figures {
				if q.Name == bound.experiment && f.Name == bound.figure && f.System == bound.system {
					found = true
					assert.GreaterOrEqual(t, f.Value, bound.least, bound.figure)
					assert.LessOrEqual(t, f.Value, bound.most, bound.figure)
				}
			}
		}
		assert.True(t, found, "%s: %s", bound.experiment, bound.figure)
	}
}

// shape is what does not depend on how much was run.
func shape(r *result.Result) map[string][]string {
	s := map[string][]string{}
	for _, f := range r.Figures {
		s["figures"] = append(s["figures"], f.Name+", "+f.System)
	}
	for _, t := range r.Tables {
		s["tables"] = append(s["tables"], t.Title)
		s[t.Title] = t.Head
	}
	for _, g := range r.Goals {
		s["goals"] = append(s["goals"], g.What)
	}
	for _, x := range r.Series {
		s["series"] = append(s["series"], x.Plot+", "+x.Name)
	}
	return s
}
