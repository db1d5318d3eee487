package main

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/paramedic-otel/paramedic/benchmark/internal/nabscore"
)

const nothingToScore = "no labels/combined_windows.json names these files: nothing can be scored"

// outcome is what one pass came to: the results of the three profiles and, for the first one, of each group and file.
type outcome struct {
	shift         time.Duration
	threshold     float64
	profiles      []nabscore.Result
	groups, files map[string]nabscore.Result
}

func outcomeOf(files []*nabscore.Series, threshold float64, shift time.Duration) outcome {
	o := outcome{shift: shift, threshold: threshold, files: map[string]nabscore.Result{}}
	for _, f := range files {
		o.files[f.Group+"/"+f.Name] = f.At(nabscore.Profiles()[0], threshold)
	}
	for i, p := range nabscore.Profiles() {
		total, groups := nabscore.Totals(files, p, threshold)
		o.profiles = append(o.profiles, total)
		if i == 0 {
			o.groups = groups
		}
	}
	return o
}

func report(w io.Writer, o outcome, verbose bool) {
	if o.profiles[0].Files == 0 {
		fmt.Fprintln(w, nothingToScore)
		return
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "profile, at %v\tscore\twindows hit\tfalse alarms\tfiles\t\n", o.threshold)
	for i, p := range nabscore.Profiles() {
		line(t, p.Name, o.profiles[i])
	}
	fmt.Fprintf(t, "group, standard profile\t\t\t\t\t\n")
	for _, g := range slices.Sorted(maps.Keys(o.groups)) {
		line(t, g, o.groups[g])
	}
	if verbose {
		fmt.Fprintf(t, "file, standard profile\t\t\t\t\t\n")
		for _, f := range slices.Sorted(maps.Keys(o.files)) {
			line(t, f, o.files[f])
		}
	}
	t.Flush()
}

func line(w io.Writer, name string, r nabscore.Result) {
	fmt.Fprintf(w, "%s\t%s\t%d/%d\t%d\t%d\t\n", name, points(r.Score()), r.Hit, r.Windows, r.FalseAlarms, r.Files)
}

func points(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.2f", v)
}

// reportShifts prints one line for each shift and the means.
func reportShifts(w io.Writer, all []outcome, verbose bool) {
	if all[0].profiles[0].Files == 0 {
		fmt.Fprintln(w, nothingToScore)
		return
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "shift, at %v", all[0].threshold)
	for _, p := range nabscore.Profiles() {
		fmt.Fprintf(t, "\t%s", p.Name)
	}
	fmt.Fprintf(t, "\twindows hit\tfalse alarms\t\n")
	for _, o := range all {
		fmt.Fprintf(t, "%s", o.shift)
		for _, r := range o.profiles {
			fmt.Fprintf(t, "\t%s", points(r.Score()))
		}
		fmt.Fprintf(t, "\t%d/%d\t%d\t\n", o.profiles[0].Hit, o.profiles[0].Windows, o.profiles[0].FalseAlarms)
	}
	fmt.Fprint(t, "mean")
	for i := range nabscore.Profiles() {
		fmt.Fprintf(t, "\t%s", points(mean(all, func(o *outcome) nabscore.Result { return o.profiles[i] }, nabscore.Result.Score)))
	}
	standard := func(o *outcome) nabscore.Result { return o.profiles[0] }
	fmt.Fprintf(t, "\t%s\t%s\t\n", hits(all, standard), falseAlarms(all, standard))
	means(t, "group, mean", all, func(o *outcome) map[string]nabscore.Result { return o.groups })
	if verbose {
		means(t, "file, mean", all, func(o *outcome) map[string]nabscore.Result { return o.files })
	}
	t.Flush()
}

// means prints the mean of each part of the corpus over all shifts.
func means(w io.Writer, title string, all []outcome, parts func(*outcome) map[string]nabscore.Result) {
	fmt.Fprintf(w, "%s\tstandard\t\t\twindows hit\tfalse alarms\t\n", title)
	for _, name := range slices.Sorted(maps.Keys(parts(&all[0]))) {
		of := func(o *outcome) nabscore.Result { return parts(o)[name] }
		fmt.Fprintf(w, "%s\t%s\t\t\t%s\t%s\t\n", name, points(mean(all, of, nabscore.Result.Score)), hits(all, of), falseAlarms(all, of))
	}
}

func hits(all []outcome, of func(*outcome) nabscore.Result) string {
	m := mean(all, of, func(r nabscore.Result) float64 { return float64(r.Hit) })
	return fmt.Sprintf("%.1f/%d", m, of(&all[0]).Windows)
}

func falseAlarms(all []outcome, of func(*outcome) nabscore.Result) string {
	return fmt.Sprintf("%.1f", mean(all, of, func(r nabscore.Result) float64 { return float64(r.FalseAlarms) }))
}

func mean(all []outcome, of func(*outcome) nabscore.Result, f func(nabscore.Result) float64) float64 {
	sum := 0.0
	for i := range all {
		sum += f(of(&all[i]))
	}
	return sum / float64(len(all))
}
