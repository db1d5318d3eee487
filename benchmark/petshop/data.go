package main

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/nodeimpact"
)

// scenario is a folder of the data.
type scenario struct {
	name   string
	calls  []nodeimpact.Call
	normal *table
	issues []issue
}

// issue is one incident. Its cause is only for scoring.
type issue struct {
	split, name, metric, symptom, cause string
	onset                               float64
	table                               *table
}

// table is a metrics.csv.
type table struct {
	times    []float64
	services map[string][]nodeimpact.Sample
}

// readScenarios reads every folder that has a graph.csv, or the folder itself if it has one.
func readScenarios(dir string) ([]scenario, error) {
	if _, err := os.Stat(filepath.Join(dir, "graph.csv")); err == nil {
		s, err := readScenario(dir)
		return []scenario{s}, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []scenario
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if _, err := os.Stat(filepath.Join(path, "graph.csv")); err != nil {
			continue
		}
		s, err := readScenario(path)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no folder with a graph.csv", dir)
	}
	return out, nil
}

func readScenario(path string) (scenario, error) {
	s := scenario{name: filepath.Base(path)}
	var err error
	if s.calls, err = readFile(filepath.Join(path, "graph.csv"), readGraph); err != nil {
		return s, err
	}
	s.normal, err = readFile(filepath.Join(path, "noissue", "metrics.csv"), readTable)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	for _, split := range []string{"train", "test"} {
		folders, err := filepath.Glob(filepath.Join(path, split, "issue_*"))
		if err != nil {
			return s, err
		}
		slices.SortFunc(folders, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
		for _, f := range folders {
			i, err := readIssue(f)
			if err != nil {
				return s, err
			}
			i.split = split
			s.issues = append(s.issues, i)
		}
	}
	return s, nil
}

func readIssue(path string) (issue, error) {
	i := issue{name: filepath.Base(path)}
	var err error
	if i.table, err = readFile(filepath.Join(path, "metrics.csv"), readTable); err != nil {
		return i, err
	}
	text, err := os.ReadFile(filepath.Join(path, "target.json"))
	if err != nil {
		return i, err
	}
	var target struct {
		Target struct {
			Node, Metric string
			Timestamp    float64
		}
		RootCause struct{ Node string } `json:"root_cause"`
	}
	if err := json.Unmarshal(text, &target); err != nil {
		return i, fmt.Errorf("%s: %w", path, err)
	}
	i.symptom, i.metric, i.onset, i.cause = target.Target.Node, target.Target.Metric, target.Target.Timestamp, target.RootCause.Node
	return i, nil
}

func readFile[T any](path string, read func(io.Reader) (T, error)) (T, error) {
	f, err := os.Open(path)
	if err != nil {
		var none T
		return none, err
	}
	defer f.Close()
	out, err := read(f)
	if err != nil {
		return out, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

// readGraph reads an adjacency matrix: the service of the row calls that of the column.
func readGraph(r io.Reader) ([]nodeimpact.Call, error) {
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errors.New("no header")
	}
	var out []nodeimpact.Call
	for _, row := range rows[1:] {
		for i := 1; i < len(row); i++ {
			v, err := strconv.ParseFloat(row[i], 64)
			if err != nil {
				return nil, fmt.Errorf("call of %q by %q: %w", rows[0][i], row[0], err)
			}
			if v != 0 {
				out = append(out, nodeimpact.Call{Client: row[0], Server: rows[0][i]})
			}
		}
	}
	return out, nil
}

// headers is how many rows of a metrics.csv come before the values: service, metric, statistic, name of the index.
const headers = 4

// readTable reads what the services reported. A value that is missing is NaN.
func readTable(r io.Reader) (*table, error) {
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) < headers {
		return nil, errors.New("no header")
	}
	t := &table{services: map[string][]nodeimpact.Sample{}}
	values := rows[headers:]
	for i, service := range rows[0] {
		if i == 0 {
			continue
		}
		if t.services[service] == nil {
			t.services[service] = missing(len(values))
		}
		samples := t.services[service]
		for j, row := range values {
			v := math.NaN()
			if row[i] != "" {
				if v, err = strconv.ParseFloat(row[i], 64); err != nil {
					return nil, fmt.Errorf("%s of %q: %w", rows[1][i], service, err)
				}
			}
			switch [2]string{rows[1][i], rows[2][i]} {
			case [2]string{"latency", "Average"}:
				samples[j].Values[nodeimpact.Latency] = v
			case [2]string{"availability", "Average"}:
				samples[j].Values[nodeimpact.Failures] = 1 - v/100
			case [2]string{"requests", "Sum"}:
				samples[j].Requests = v
			}
		}
	}
	for _, row := range values {
		v, err := strconv.ParseFloat(row[0], 64)
		if err != nil {
			return nil, fmt.Errorf("time: %w", err)
		}
		t.times = append(t.times, v)
	}
	return t, nil
}

func missing(n int) []nodeimpact.Sample {
	none := nodeimpact.Sample{Requests: math.NaN()}
	for k := range none.Values {
		none.Values[k] = math.NaN()
	}
	return slices.Repeat([]nodeimpact.Sample{none}, n)
}

// names returns the services in order.
func (t *table) names() []string {
	out := make([]string, 0, len(t.services))
	for name := range t.services {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

const (
	latency      = "latency"
	availability = "availability"
)

// kindOf returns what a symptom of a metric is about: how long requests take, where it is not how many fail.
func kindOf(metric string) nodeimpact.Kind {
	if metric == availability {
		return nodeimpact.Failures
	}
	return nodeimpact.Latency
}
