package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// comparable makes texts of templates comparable: white space does not count, and wildcards in a row, with nothing but
// white space or one separator in between, are one.
func comparable(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for {
		shorter := text
		for _, sep := range []string{"", " ", ".", ":", ",", "/", "-"} {
			shorter = strings.ReplaceAll(shorter, "<*>"+sep+"<*>", "<*>")
		}
		if shorter == text {
			return text
		}
		text = shorter
	}
}

// printErrors shows the groups that are wrong.
func printErrors(w io.Writer, s system, r result) {
	truth, found := map[string]map[string]int{}, map[string]map[string]int{}
	for i := range s.lines {
		for _, e := range []struct {
			m    map[string]map[string]int
			a, b string
		}{{truth, s.correct[i], r.templates[i]}, {found, r.templates[i], s.correct[i]}} {
			if e.m[e.a] == nil {
				e.m[e.a] = map[string]int{}
			}
			e.m[e.a][e.b]++
		}
	}
	show := func(kind string, m map[string]map[string]int) {
		var keys []string
		for k, parts := range m {
			if len(parts) > 1 {
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		for _, k := range keys {
			n := 0
			var parts []string
			for p, c := range m[k] {
				n += c
				parts = append(parts, fmt.Sprintf("      %d %s", c, p))
			}
			slices.Sort(parts)
			fmt.Fprintf(w, "   %s %d: %s\n%s\n", kind, n, k, strings.Join(parts[:min(len(parts), 8)], "\n"))
		}
	}
	show("split", truth)
	show("merged", found)
}
