package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
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
	fmt.Fprintf(w, "%-36s %6d %6.3f %6.3f %9.3f %9.3f\n", name, c.issues, share(c.top1, c.issues), share(c.top3, c.issues),
		c.millis[len(c.millis)/2], c.millis[len(c.millis)-1])
}

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// summarize prints a row for each scenario and metric, and for all.
func summarize(w io.Writer, results []result) {
	cells := map[string]*cell{}
	var all cell
	var names []string
	for i := range results {
		r := &results[i]
		name := r.Scenario + ", " + r.Metric
		if cells[name] == nil {
			cells[name] = &cell{}
			names = append(names, name)
		}
		cells[name].add(r)
		all.add(r)
	}
	slices.Sort(names)
	fmt.Fprintf(w, "%-36s %6s %6s %6s %9s %9s\n", "scenario, metric", "issues", "top-1", "top-3", "ms median", "ms most")
	for _, name := range names {
		cells[name].row(w, name)
	}
	all.row(w, "all")
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
