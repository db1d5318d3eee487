// Package report writes what experiments measured as a Markdown document. Everything in it comes from the results.
package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/paramedic-otel/paramedic/experiments/internal/result"
)

// Picture is a file beside the report.
type Picture struct{ File, Title string }

// Markdown returns the report of all results, in their order.
func Markdown(results []*result.Result, pictures []Picture) string {
	w := &writer{}
	w.line("# Experiments")
	w.line("")
	w.line("What papers on self-healing systems promise, repeated with this collector's own components. This page is written by `go run ./experiments` from the")
	w.line("JSON files beside it; edit neither. [experiments/README.md](../README.md) tells how each experiment is set up.")
	w.line("")
	w.machines(results)
	w.headline(results)
	if len(pictures) > 0 {
		w.line("## Pictures")
		w.line("")
		for _, p := range pictures {
			w.line("![%s](%s)", p.Title, p.File)
			w.line("")
		}
	}
	for _, r := range results {
		w.result(r)
	}
	return strings.TrimRight(w.String(), "\n") + "\n"
}

type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) { fmt.Fprintf(&w.Builder, format+"\n", args...) }

// table writes a Markdown table.
func (w *writer) table(head []string, rows [][]string) {
	row := func(cells []string) {
		w.WriteString("|")
		for _, c := range cells {
			w.WriteString(" " + escape(c) + " |")
		}
		w.WriteString("\n")
	}
	row(head)
	w.WriteString("|" + strings.Repeat(" --- |", len(head)) + "\n")
	for _, r := range rows {
		row(r)
	}
	w.WriteString("\n")
}

func escape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "|", "\\|"), "\n", " ")
}

// machines says where the results come from; mostly it is one machine.
func (w *writer) machines(results []*result.Result) {
	var seen []string
	for _, r := range results {
		if m := machine(r.Machine); !slices.Contains(seen, m) {
			seen = append(seen, m)
		}
	}
	if len(seen) == 0 {
		return
	}
	w.line("Machine: %s.", strings.Join(seen, "; "))
	w.line("")
}

func machine(m result.Machine) string {
	return fmt.Sprintf("%d cores, %s, %s, %s", m.Cores, m.CPU, m.System, m.Go)
}

// headline is the table of all that was promised.
func (w *writer) headline(results []*result.Result) {
	met, all := 0, 0
	var rows [][]string
	for _, r := range results {
		for _, g := range r.Goals {
			all++
			verdict := "missed"
			if g.Met {
				met++
				verdict = "met"
			}
			rows = append(rows, []string{
				fmt.Sprintf("%d. [%s](#%s)", r.Number, r.Title, anchor(r)), g.What, source(g.From), strings.TrimSpace(g.Relation + " " + number(g.Want, g.Unit)),
				optional(g.Got, g.Unit), verdict,
			})
		}
	}
	if len(rows) == 0 {
		return
	}
	w.line("## Promises and goals")
	w.line("")
	w.line("%d of %d are met. Those of papers are what they promise for systems of this kind, on other shops and other machines; the others are the project's own.", met, all)
	w.line("")
	w.table([]string{"experiment", "measured", "whose", "promised", "reached", ""}, rows)
	var missed []string
	for _, r := range results {
		for _, g := range r.Goals {
			if !g.Met {
				missed = append(missed, fmt.Sprintf("- %s: %s %s %s, reached %s: %s.", r.Title, g.What, g.Relation, number(g.Want, g.Unit), optional(g.Got, g.Unit), strings.TrimSuffix(g.Why, ".")))
			}
		}
	}
	if len(missed) > 0 {
		w.line("What falls short, and why:")
		w.line("")
		for _, m := range missed {
			w.line("%s", m)
		}
		w.line("")
	}
}

func source(from string) string {
	if from == result.FromPaper {
		return "paper"
	}
	return "ours"
}

func title(r *result.Result) string { return fmt.Sprintf("%d. %s", r.Number, r.Title) }

// anchor is what a heading is linked by.
func anchor(r *result.Result) string {
	var b strings.Builder
	for _, c := range strings.ToLower(title(r)) {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_':
			b.WriteRune(c)
		case c == ' ':
			b.WriteRune('-')
		}
	}
	return b.String()
}

func (w *writer) result(r *result.Result) {
	w.line("## %s", title(r))
	w.line("")
	w.line("%s", r.About)
	w.line("")
	seeds := make([]string, len(r.Seeds))
	for i, s := range r.Seeds {
		seeds[i] = fmt.Sprint(s)
	}
	quick := ""
	if r.Quick {
		quick = " This is the quick subset: its figures are rough."
	}
	w.line("`%s` (%s time, seeds %s, %.0f s on %s).%s", r.Command, r.Clock, strings.Join(seeds, ", "), r.Took, machine(r.Machine), quick)
	w.line("")
	w.figures(r)
	for _, t := range r.Tables {
		if len(t.Rows) == 0 {
			continue
		}
		w.line("### %s", t.Title)
		w.line("")
		w.table(t.Head, t.Rows)
		if t.Note != "" {
			w.line("%s", t.Note)
			w.line("")
		}
	}
	w.samples(r)
	for _, n := range r.Notes {
		w.line("- %s", n)
	}
	if len(r.Notes) > 0 {
		w.line("")
	}
}

// figures puts systems beside each other.
func (w *writer) figures(r *result.Result) {
	type key struct{ name, unit, group string }
	var keys []key
	var systems []string
	cells := map[key]map[string]string{}
	for _, f := range r.Figures {
		k := key{f.Name, f.Unit, f.Group}
		if cells[k] == nil {
			cells[k] = map[string]string{}
			keys = append(keys, k)
		}
		if !slices.Contains(systems, f.System) {
			systems = append(systems, f.System)
		}
		cells[k][f.System] = figure(f)
	}
	if len(keys) == 0 {
		return
	}
	var rows [][]string
	for _, k := range keys {
		name := k.name
		if k.group != "" {
			name += ", " + k.group
		}
		row := []string{name}
		for _, s := range systems {
			c := cells[k][s]
			if c == "" {
				c = "–"
			}
			row = append(row, c)
		}
		rows = append(rows, row)
	}
	w.table(append([]string{"figure, all seeds (least to most of a seed)"}, systems...), rows)
}

func figure(f result.Figure) string {
	text := number(f.Value, f.Unit)
	if s := f.Spread; s != nil && s.N > 1 && s.Min != nil && s.Max != nil {
		text += fmt.Sprintf(" (%s to %s)", bare(*s.Min, f.Unit), bare(*s.Max, f.Unit))
	}
	return text
}

func (w *writer) samples(r *result.Result) {
	var rows [][]string
	for _, s := range r.Samples {
		name := s.Name
		if s.Group != "" {
			name += ", " + s.Group
		}
		never := "–"
		if s.Never > 0 {
			never = fmt.Sprint(s.Never)
		}
		q := s.Summary
		rows = append(rows, []string{
			name, s.System, fmt.Sprint(q.N), optional(q.Median, s.Unit), bareOptional(q.Q1, s.Unit), bareOptional(q.Q3, s.Unit), bareOptional(q.Min, s.Unit),
			bareOptional(q.Max, s.Unit), never,
		})
	}
	if len(rows) == 0 {
		return
	}
	w.line("### Spread")
	w.line("")
	w.table([]string{"measured", "system", "cases", "median", "first quartile", "third quartile", "least", "most", "never"}, rows)
}

func optional(v *float64, unit string) string {
	if v == nil {
		return "never"
	}
	return number(*v, unit)
}

func bareOptional(v *float64, unit string) string {
	if v == nil {
		return "never"
	}
	return bare(*v, unit)
}

// number writes a value with its unit, in three digits or so.
func number(v float64, unit string) string {
	text := bare(v, unit)
	if unit == "" {
		return text
	}
	return text + " " + unit
}

func bare(v float64, unit string) string {
	if unit == "%" {
		v *= 100
		if v != 0 && math.Abs(v) < 100 && math.Abs(v) > 99 {
			return fmt.Sprintf("%.4g", v) // 99.98 is not 100
		}
	}
	switch a := math.Abs(v); {
	case v == math.Trunc(v) && a < 1e6:
		return fmt.Sprintf("%.0f", v)
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}
