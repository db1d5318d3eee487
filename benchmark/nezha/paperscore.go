package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// paperCounts are the figures of one row of the summary of paper mode.
type paperCounts struct {
	faults, first, three, five, inner int
}

func (c *paperCounts) add(r *result) {
	c.faults++
	within := func(k int) int {
		if r.rank >= 1 && r.rank <= k {
			return 1
		}
		return 0
	}
	c.first += within(1)
	c.three += within(3)
	c.five += within(5)
	if r.inner {
		c.inner++
	}
}

func (c *paperCounts) row(name string) string {
	return fmt.Sprintf("%s\t%d\t%s\t%s\t%s\t%s\t", name, c.faults, share(c.first, c.faults), share(c.three, c.faults),
		share(c.five, c.faults), share(c.inner, c.faults))
}

func share(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f (%d)", float64(part)/float64(whole), part)
}

func summarizePaper(w io.Writer, d *day, results []result) {
	var all, complete paperCounts
	byType := map[string]*paperCounts{}
	var millis []float64
	for i := range results {
		r := &results[i]
		all.add(r)
		if e := d.Faults[i].Evaluation; e.Traces && e.Logs {
			complete.add(r)
		}
		if byType[r.Type] == nil {
			byType[r.Type] = &paperCounts{}
		}
		byType[r.Type].add(r)
		if r.Millis != nil {
			millis = append(millis, *r.Millis)
		}
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "%s\tfaults\tAS@1\tAS@3\tAS@5\tAIS@1\t\n", d.System)
	for _, kind := range sortedKeys(byType) {
		fmt.Fprintln(t, byType[kind].row(kind))
	}
	if complete.faults < all.faults {
		fmt.Fprintln(t, complete.row("with traces and logs"))
	}
	fmt.Fprintln(t, all.row("all"))
	t.Flush()
	if len(millis) > 0 {
		slices.Sort(millis)
		fmt.Fprintf(w, "time for one answer, from the alert to the incident: median %.1f ms, most %.1f ms\n", millis[len(millis)/2], millis[len(millis)-1])
	}
}

func printAnswers(w io.Writer, results []result) {
	for i := range results {
		r := &results[i]
		fmt.Fprintf(w, "%s %s %s [%s]: place %d, inner %v\n", r.ID, r.Type, r.Service, r.Label, r.rank, r.inner)
		for _, c := range r.Ranking {
			fmt.Fprintf(w, "    %.2f %s %s\n", c.Score, c.Entity, c.Kind)
		}
		for _, e := range r.Evidence {
			fmt.Fprintf(w, "         %s: %s\n", e.Signal, e.Summary)
		}
	}
}
