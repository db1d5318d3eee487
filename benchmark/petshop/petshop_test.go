package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/nodeimpact"
)

const graphText = `,front,cart,db
front,0.0,1.0,0.0
cart,0.0,0.0,1.0
db,0.0,0.0,0.0
`

func TestReadGraph(t *testing.T) {
	got, err := readGraph(strings.NewReader(graphText))
	require.NoError(t, err)
	assert.Equal(t, []nodeimpact.Call{{Client: "front", Server: "cart"}, {Client: "cart", Server: "db"}}, got)
	for name, text := range map[string]string{"nothing": "", "no number": ",a\na,x\n", "ragged": ",a\na,1,1\n"} {
		_, err := readGraph(strings.NewReader(text))
		assert.Error(t, err, name)
	}
}

func TestReadTable(t *testing.T) {
	got, err := readTable(strings.NewReader(`microservice,front,front,front,front,cart
metric,latency,latency,requests,availability,requests
statistic,Average,p99,Sum,Average,Sum
unix_timestamp,,,,,
300.0,0.5,9,10,97.5,
600.0,,9,0,,4
`))
	require.NoError(t, err)
	assert.Equal(t, []float64{300, 600}, got.times)
	assert.Equal(t, []string{"cart", "front"}, got.names())
	front := got.services["front"]
	assert.Equal(t, 10.0, front[0].Requests)
	assert.Equal(t, 0.5, front[0].Values[nodeimpact.Latency])
	assert.InDelta(t, 0.025, front[0].Values[nodeimpact.Failures], 1e-12)
	assert.True(t, math.IsNaN(front[1].Values[nodeimpact.Latency]))
	assert.True(t, math.IsNaN(got.services["cart"][0].Requests))
	assert.True(t, math.IsNaN(got.services["cart"][1].Values[nodeimpact.Failures]))
	for name, text := range map[string]string{
		"nothing": "", "no headers": "a,b\n", "no number": "s,a\nm,requests\ns,Sum\nt,\n1,x\n", "no time": "s,a\nm,requests\ns,Sum\nt,\nx,1\n",
	} {
		_, err := readTable(strings.NewReader(text))
		assert.Error(t, err, name)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(graphText)
	f.Add("microservice,a,a\nmetric,latency,requests\nstatistic,Average,Sum\nt,,\n1,0.5,inf\n2,,NaN\n3,-1,1e300\n4,1e308,1e308\n")
	f.Fuzz(func(t *testing.T, text string) {
		calls, err := readGraph(strings.NewReader(text))
		if err != nil {
			calls = nil
		}
		table, err := readTable(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, name := range table.names() {
			require.Len(t, table.services[name], len(table.times))
			r := run{parameters: nodeimpact.Defaults()}
			services := r.services(table, 0, len(table.times), r.learn(table.names(), func(s string) []nodeimpact.Sample { return table.services[s] }))
			for _, kind := range []nodeimpact.Kind{nodeimpact.Latency, nodeimpact.Failures} {
				for _, c := range r.parameters.Rank(services, calls, nodeimpact.Symptom{Service: name, Kind: kind, Onset: 2}).Named {
					require.Contains(t, table.services, c.Name)
				}
			}
		}
	})
}

func TestRankOfCause(t *testing.T) {
	for name, c := range map[string]struct {
		ranking []ranked
		want    int
	}{
		"first":                 {[]ranked{{"a", 3}, {"b", 2}}, 1},
		"second":                {[]ranked{{"b", 3}, {"a", 2}, {"c", 1}}, 2},
		"ties count against us": {[]ranked{{"a", 3}, {"b", 3}, {"c", 3}}, 3},
		"not named":             {[]ranked{{"b", 3}}, missed},
		"empty":                 {nil, missed},
	} {
		r := result{Ranking: c.ranking, cause: "a"}
		assert.Equal(t, c.want, r.rank(), name)
	}
}

func TestOnset(t *testing.T) {
	times := []float64{0, 300, 600, 900}
	assert.Equal(t, 2, onset(times, 301))
	assert.Equal(t, 2, onset(times, 600))
	assert.Equal(t, 4, onset(times, 901))
}

func TestConstantFloor(t *testing.T) {
	results := []result{{cause: "a"}, {cause: "b"}, {cause: "b"}, {cause: "c"}, {cause: "d"}}
	c := total(constant(results))
	assert.Equal(t, cell{issues: 5, top1: 2, top3: 4, millis: make([]float64, 5)}, c)
}

// writeScenario writes a scenario in which, at the end of the calls, db is slow in one issue and fails in another.
func writeScenario(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put := func(text string, path ...string) {
		t.Helper()
		file := filepath.Join(append([]string{dir, "shop"}, path...)...)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	table := func(rows int, value func(row int, metric string) float64) string {
		var b strings.Builder
		services, metrics := []string{"front", "cart", "db"}, []string{latency, "requests", availability}
		line := func(first string, cell func(service, metric string) string) {
			b.WriteString(first)
			for _, s := range services {
				for _, m := range metrics {
					b.WriteString("," + cell(s, m))
				}
			}
			b.WriteString("\n")
		}
		line("microservice", func(s, _ string) string { return s })
		line("metric", func(_, m string) string { return m })
		line("statistic", func(_, m string) string {
			return map[string]string{"requests": "Sum"}[m] + map[bool]string{true: "Average"}[m != "requests"]
		})
		line("unix_timestamp", func(_, _ string) string { return "" })
		for row := range rows {
			line(fmt.Sprint(300*row), func(_, m string) string { return fmt.Sprint(value(row, m)) })
		}
		return b.String()
	}
	rng := rand.New(rand.NewSource(1))
	normal := func(_ int, metric string) float64 {
		return map[string]float64{latency: 0.1 * (1 + 0.03*rng.NormFloat64()), "requests": 500, availability: 100}[metric]
	}
	faulty := func(what string, by float64) func(int, string) float64 {
		return func(row int, metric string) float64 {
			if metric == what && (row == 2 || row == 3) {
				return normal(row, metric) + by
			}
			return normal(row, metric)
		}
	}
	target := func(metric string) string {
		return fmt.Sprintf(`{"target":{"node":"front","metric":%q,"timestamp":590},"root_cause":{"node":"db","metric":null}}`, metric)
	}
	put(graphText, "graph.csv")
	put(table(60, normal), "noissue", "metrics.csv")
	put(table(5, faulty(latency, 0.3)), "train", "issue_0", "metrics.csv")
	put(target(latency), "train", "issue_0", "target.json")
	put(table(5, faulty(availability, -20)), "test", "issue_0", "metrics.csv")
	put(target(availability), "test", "issue_0", "target.json")
	return dir
}

func TestRun(t *testing.T) {
	dir := writeScenario(t)
	for _, mode := range []string{modeWindow, modeBaseline} {
		out := filepath.Join(t.TempDir(), "out.jsonl")
		var text bytes.Buffer
		o := options{data: dir, out: out, mode: mode, verbose: true, sweeps: mode == modeWindow}
		require.NoError(t, o.run(&text))
		assert.Regexp(t, `all +2 +1\.000 +1\.000`, text.String())
		assert.Contains(t, text.String(), "ties at the top: 0")
		lines := readLines(t, out)
		require.Len(t, lines, 2)
		assert.Equal(t, "shop train issue_0 latency "+mode, strings.Join([]string{lines[0].Scenario, lines[0].Split, lines[0].Issue, lines[0].Metric, lines[0].Mode}, " "))
		assert.Equal(t, "db", lines[0].Ranking[0].Entity)
		assert.Equal(t, "test", lines[1].Split)
		assert.Positive(t, lines[1].Millis)
	}
	out := filepath.Join(t.TempDir(), "out.jsonl")
	var text bytes.Buffer
	o := options{data: dir, out: out, mode: modeSpecificity}
	require.NoError(t, o.run(&text))
	lines := readLines(t, out)
	assert.Len(t, lines, 24, "12 windows, two metrics")
	for _, l := range lines {
		assert.NotNil(t, l.Ranking)
		assert.Empty(t, l.Ranking, l.Issue)
	}
	assert.Contains(t, text.String(), "1.0000")

	single, err := readScenarios(filepath.Join(dir, "shop"))
	require.NoError(t, err)
	assert.Len(t, single[0].issues, 2, "a scenario's own folder will do")

	o = options{data: t.TempDir(), mode: modeWindow}
	assert.ErrorContains(t, o.run(&text), "graph.csv")
}

func readLines(t *testing.T, path string) []result {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var out []result
	d := json.NewDecoder(bytes.NewReader(text))
	for d.More() {
		var r result
		require.NoError(t, d.Decode(&r))
		out = append(out, r)
	}
	return out
}

// TestData guards the figures, where PETSHOP_DATA says where the data is.
func TestData(t *testing.T) {
	dir := os.Getenv("PETSHOP_DATA")
	if dir == "" {
		t.Skip("PETSHOP_DATA is not set to the folder of scenarios")
	}
	scenarios, err := readScenarios(dir)
	require.NoError(t, err)
	for _, r := range []run{
		{mode: modeWindow}, {mode: modeWindow, late: time.Minute}, {mode: modeWindow, late: 5 * time.Minute}, {mode: modeBaseline},
	} {
		r.parameters = nodeimpact.Defaults()
		c := total(r.all(scenarios))
		assert.GreaterOrEqual(t, share(c.top1, c.issues), 0.96, "%s %s", r.mode, r.late)
		assert.InDelta(t, 1, share(c.top3, c.issues), 1e-9)
	}
	quiet := run{mode: modeSpecificity, parameters: nodeimpact.Defaults()}
	for i := range scenarios {
		for _, metric := range []string{latency, availability} {
			windows := quiet.windows(&scenarios[i], metric, windowRows)
			assert.Equal(t, len(windows), empty(windows), metric)
		}
	}
}
