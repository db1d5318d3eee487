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
	fmt.Fprintf(w, "%-36s %9s %9s %9s %9s\n", "scenario, metric", "windows", "empty", "with overlap", "empty")
	for i := range scenarios {
		s := &scenarios[i]
		if s.normal == nil {
			continue
		}
		for _, metric := range []string{latency, availability} {
			var apart, all, quietApart, quietAll int
			for from := 0; from+windowRows <= len(s.normal.times); from++ {
				a := r.window(s, metric, from)
				quiet := len(a.Ranking) == 0
				all++
				if quiet {
					quietAll++
				}
				if from%windowRows == 0 {
					apart++
					if quiet {
						quietApart++
					}
					out = append(out, a)
				}
			}
			fmt.Fprintf(w, "%-36s %9d %9.4f %9d %9.4f\n", s.name+", "+metric, apart, share(quietApart, apart), all, share(quietAll, all))
		}
	}
	return out
}

// window asks for the cause of a symptom in a fault-free window.
func (r *run) window(s *scenario, metric string, from int) result {
	normal := r.learn(s.normal.names(), func(service string) []nodeimpact.Sample {
		return slices.Concat(s.normal.services[service][:from], s.normal.services[service][from+windowRows:])
	})
	kind, _ := kindOf(metric)
	symptom := nodeimpact.Symptom{Service: s.symptom(), Kind: kind, Onset: faultyRow}
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
