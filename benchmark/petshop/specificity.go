package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/paramedic-otel/paramedic/internal/nodeimpact"
)

const (
	// windowRows is how many rows a window has, and faultyRow the first of them that would surely be faulty.
	windowRows = 5
	faultyRow  = 2
)

// specificity asks for the cause of nothing in every fault-free window, and returns the answers of those that follow each
// other. The rows of the window itself are not learnt from.
func (r *run) specificity(w io.Writer, scenarios []scenario) []result {
	var out []result
	fmt.Fprintf(w, "%-40s %9s %9s %9s %9s\n", "scenario, metric", "windows", "empty", "with overlap", "empty")
	for i := range scenarios {
		s := &scenarios[i]
		for _, metric := range []string{latency, availability} {
			apart := r.windows(s, metric, windowRows)
			all := r.windows(s, metric, 1)
			fmt.Fprintf(w, "%-40s %9d %9.4f %9d %9.4f\n", s.name+", "+metric, len(apart), share(empty(apart), len(apart)), len(all),
				share(empty(all), len(all)))
			out = append(out, apart...)
		}
	}
	return out
}

// specificitySweep prints what becomes of the specificity with other parameters, over windows that follow each other.
func specificitySweep(w io.Writer, r run, scenarios []scenario) {
	fmt.Fprintf(w, "\n%-40s %6s\n", "parameter times 0.5, 0.7, 1.4, 2", "empty")
	for _, p := range knobs {
		for _, factor := range factors {
			v := r
			p.scale(&v.parameters, factor)
			var all []result
			for i := range scenarios {
				for _, metric := range []string{latency, availability} {
					all = append(all, v.windows(&scenarios[i], metric, windowRows)...)
				}
			}
			fmt.Fprintf(w, "%-40s %6.4f\n", fmt.Sprintf("%s × %v", p.name, factor), share(empty(all), len(all)))
		}
	}
}

func empty(results []result) int {
	n := 0
	for i := range results {
		if len(results[i].Ranking) == 0 {
			n++
		}
	}
	return n
}

// windows asks about the fault-free windows that begin every so many rows.
func (r *run) windows(s *scenario, metric string, every int) []result {
	if s.normal == nil {
		return nil
	}
	var out []result
	for from := 0; from+windowRows <= len(s.normal.times); from += every {
		out = append(out, r.window(s, metric, from))
	}
	return out
}

// window asks for the cause of a symptom in a fault-free window.
func (r *run) window(s *scenario, metric string, from int) result {
	normal := r.learn(s.normal.names(), func(service string) []nodeimpact.Sample {
		return slices.Concat(s.normal.services[service][:from], s.normal.services[service][from+windowRows:])
	})
	symptom := nodeimpact.Symptom{Service: s.symptom(), Kind: kindOf(metric), Onset: faultyRow}
	causes := r.parameters.Rank(r.services(s.normal, from, from+windowRows, normal), s.calls, symptom)
	return result{
		Scenario: s.name, Split: "noissue", Issue: fmt.Sprintf("window_%d", from), Metric: metric, Mode: r.mode, Ranking: ranking(causes),
	}
}

// symptom returns the service that most issues were noticed at: the one that is watched.
func (s *scenario) symptom() string {
	count := map[string]int{}
	for i := range s.issues {
		count[s.issues[i].symptom]++
	}
	names := make([]string, 0, len(count))
	for name := range count {
		names = append(names, name)
	}
	if len(names) == 0 {
		return ""
	}
	return slices.MinFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b)) })
}
