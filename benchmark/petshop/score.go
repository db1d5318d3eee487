package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/paramedic-otel/paramedic/internal/nodeimpact"
)

// missed is the rank of a cause that was not named.
const missed = math.MaxInt

// rank returns the place of the true cause when all ties count against it.
func (r *result) rank() int {
	at := slices.IndexFunc(r.Ranking, func(c ranked) bool { return c.Entity == r.cause })
	if at < 0 {
		return missed
	}
	rank := 1
	for i, c := range r.Ranking {
		if i != at && c.Score >= r.Ranking[at].Score {
			rank++
		}
	}
	return rank
}

// cell is a part of the issues.
type cell struct {
	issues, top1, top3 int
	millis             []float64
}

func (c *cell) add(r *result) {
	c.issues++
	rank := r.rank()
	if rank <= 1 {
		c.top1++
	}
	if rank <= 3 {
		c.top3++
	}
	c.millis = append(c.millis, r.Millis)
}

func (c *cell) row(w io.Writer, name string) {
	slices.Sort(c.millis)
	fmt.Fprintf(w, "%-40s %6d %6.3f %6.3f %9.3f %9.3f\n", name, c.issues, share(c.top1, c.issues), share(c.top3, c.issues),
		c.millis[len(c.millis)/2], c.millis[len(c.millis)-1])
}

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// summarize prints a row for each scenario and metric, again for the test split of each, and for all, and the floors.
func summarize(w io.Writer, results []result) {
	cells := map[string]*cell{}
	var all cell
	var names []string
	add := func(name string, r *result) {
		if cells[name] == nil {
			cells[name] = &cell{}
			names = append(names, name)
		}
		cells[name].add(r)
	}
	ties := 0
	for i := range results {
		r := &results[i]
		add(r.Scenario+", "+r.Metric, r)
		if r.Split == "test" {
			add(r.Scenario+", "+r.Metric+", test only", r)
		}
		all.add(r)
		if len(r.Ranking) > 1 && r.Ranking[0].Score <= r.Ranking[1].Score {
			ties++
		}
	}
	slices.Sort(names)
	fmt.Fprintf(w, "%-40s %6s %6s %6s %9s %9s\n", "scenario, metric", "issues", "top-1", "top-3", "ms median", "ms most")
	for _, name := range names {
		cells[name].row(w, name)
	}
	all.row(w, "all")
	fmt.Fprintf(w, "ties at the top: %d\n", ties)
	floor := func(name string, answers []result) {
		c := total(answers)
		fmt.Fprintf(w, "%-40s %6d %6.3f %6.3f\n", "floor: "+name, c.issues, share(c.top1, c.issues), share(c.top3, c.issues))
	}
	floor("the most frequent causes", constant(results))
	floor("the loudest services", loudestOf(results))
}

// total counts all results.
func total(results []result) cell {
	var c cell
	for i := range results {
		c.add(&results[i])
	}
	return c
}

// constant answers with the same list, the most frequent causes, every time: a floor.
func constant(results []result) []result {
	count := map[string]int{}
	for i := range results {
		count[results[i].cause]++
	}
	var list []ranked
	for name, n := range count {
		list = append(list, ranked{name, float64(n)})
	}
	slices.SortFunc(list, func(a, b ranked) int { return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Entity, b.Entity)) })
	for i := range list {
		list[i].Score = float64(len(list) - i)
	}
	out := slices.Clone(results)
	for i := range out {
		out[i].Ranking = list
	}
	return out
}

// loudestOf answers with the services that deviate most: a floor.
func loudestOf(results []result) []result {
	out := slices.Clone(results)
	for i := range out {
		out[i].Ranking = out[i].loudest
	}
	return out
}

// loudest ranks the services by how much their worst bucket exceeds the first one, as a part of it.
func loudest(services []nodeimpact.Service, symptom nodeimpact.Symptom) []ranked {
	var out []ranked
	for _, s := range services {
		if s.Name == symptom.Service || len(s.Buckets) == 0 {
			continue
		}
		normal := s.Buckets[0].Values[symptom.Kind]
		worst := 0.0
		for _, b := range s.Buckets[min(symptom.Onset, len(s.Buckets)):] {
			if rise := b.Values[symptom.Kind] - normal; rise > worst {
				worst = rise
			}
		}
		if worst > 0 {
			out = append(out, ranked{s.Name, worst / max(normal, nodeimpact.Defaults().Failing)})
		}
	}
	slices.SortFunc(out, func(a, b ranked) int { return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Entity, b.Entity)) })
	return out
}
