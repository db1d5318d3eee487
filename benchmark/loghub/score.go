package main

import "math"

// scores are the measures of one run.
type scores struct {
	// ga is the share of lines whose group has exactly the lines of the true group, fga the harmonic mean of the shares of
	// found and of true groups that are the same.
	ga, fga float64
	// pa is the share of lines whose template is exactly the true one, fta the harmonic mean of the shares of found and of
	// true templates that are right: their group and their text.
	pa, fta float64
	// groups and truth are the numbers of groups.
	groups, truth int
}

// score compares the groups and templates of lines with the true ones. Texts are compared as comparable makes them.
func score(groups, templates, trueTemplates []string) scores {
	found, truth := map[string]int{}, map[string]int{}
	type pair struct{ found, truth string }
	both := map[pair]int{}
	for i := range groups {
		found[groups[i]]++
		truth[trueTemplates[i]]++
		both[pair{groups[i], trueTemplates[i]}]++
	}
	s := scores{groups: len(found), truth: len(truth)}
	right := map[pair]bool{}
	lines := 0
	for p, n := range both {
		if n == found[p.found] && n == truth[p.truth] {
			right[p] = true
			lines += n
		}
	}
	s.ga = float64(lines) / float64(len(groups))
	s.fga = harmonic(len(right), len(found), len(truth))
	exact := 0
	same := map[pair]bool{}
	for i := range groups {
		if comparable(templates[i]) == comparable(trueTemplates[i]) {
			exact++
			if p := (pair{groups[i], trueTemplates[i]}); right[p] {
				same[p] = true
			}
		}
	}
	s.pa = float64(exact) / float64(len(groups))
	s.fta = harmonic(len(same), len(found), len(truth))
	return s
}

// harmonic is the F1 of so many right ones of those found and of those that there are.
func harmonic(right, found, truth int) float64 {
	if right == 0 {
		return 0
	}
	p, r := float64(right)/float64(found), float64(right)/float64(truth)
	f := 2 * p * r / (p + r)
	if math.IsNaN(f) {
		return 0
	}
	return f
}
