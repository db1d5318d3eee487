package main

import (
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/paramedic-otel/paramedic/internal/logpattern"
)

// trial is a setting of the miner with the scores of each system.
type trial struct {
	settings logpattern.Settings
	scores   []scores
}

// perturb prints how the averages move when a setting is moved, what choosing the settings on all systems but one gives on
// that one, and what other orders of the lines give.
func perturb(w io.Writer, systems []system) {
	var trials []trial
	for _, words := range []int{3, 4, 5, 6, 8, 12} {
		for _, values := range []int{2, 3, 4, 5, 6} {
			for _, subjects := range []int{8, 16, 32} {
				t := trial{settings: logpattern.DefaultSettings()}
				t.settings.DistinctWords, t.settings.DistinctValues, t.settings.DistinctSubjects = words, values, subjects
				for _, s := range systems {
					r := mine([]system{s}, t.settings)
					t.scores = append(t.scores, score(r.final, r.templates, s.correct))
				}
				trials = append(trials, t)
			}
		}
	}
	fmt.Fprintln(w, "| words | values | subjects | GA | FGA | worst GA |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	d := logpattern.DefaultSettings()
	for _, t := range trials {
		moved := 0
		for _, same := range []bool{
			t.settings.DistinctWords == d.DistinctWords, t.settings.DistinctValues == d.DistinctValues, t.settings.DistinctSubjects == d.DistinctSubjects,
		} {
			if !same {
				moved++
			}
		}
		if moved > 1 {
			continue
		}
		ga, fga, worst := t.average(-1)
		fmt.Fprintf(w, "| %d | %d | %d | %.3f | %.3f | %.3f |\n",
			t.settings.DistinctWords, t.settings.DistinctValues, t.settings.DistinctSubjects, ga, fga, worst)
	}
	fmt.Fprintln(w, "\n| left out | words | values | subjects | GA of it | FGA of it |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	ga, fga := 0.0, 0.0
	for i, s := range systems {
		best, bestSum := 0, -1.0
		for j, t := range trials {
			if g, f, _ := t.average(i); g+f > bestSum {
				best, bestSum = j, g+f
			}
		}
		t := trials[best]
		ga += t.scores[i].ga
		fga += t.scores[i].fga
		fmt.Fprintf(w, "| %s | %d | %d | %d | %.3f | %.3f |\n", s.name,
			t.settings.DistinctWords, t.settings.DistinctValues, t.settings.DistinctSubjects, t.scores[i].ga, t.scores[i].fga)
	}
	n := float64(len(systems))
	fmt.Fprintf(w, "| average | | | | %.3f | %.3f |\n", ga/n, fga/n)
	fmt.Fprintln(w, "\n| lines in another order | GA | FGA |")
	fmt.Fprintln(w, "|---|---|---|")
	for seed := range uint64(shuffles) {
		t := trial{}
		for _, s := range systems {
			s = shuffled(s, seed)
			r := mine([]system{s}, logpattern.DefaultSettings())
			t.scores = append(t.scores, score(r.final, r.templates, s.correct))
		}
		ga, fga, _ := t.average(-1)
		fmt.Fprintf(w, "| seed %d | %.3f | %.3f |\n", seed, ga, fga)
	}
}

// shuffles is how many other orders are tried.
const shuffles = 5

// shuffled returns a system with its lines in another order.
func shuffled(s system, seed uint64) system {
	order := rand.New(rand.NewPCG(seed, 5)).Perm(len(s.lines))
	out := system{name: s.name}
	for _, i := range order {
		out.ids = append(out.ids, s.ids[i])
		out.lines = append(out.lines, s.lines[i])
		out.correct = append(out.correct, s.correct[i])
	}
	return out
}

// average returns the average scores of all systems but one, and the worst grouping accuracy among them.
func (t trial) average(without int) (ga, fga, worst float64) {
	worst = 1
	n := 0.0
	for i, s := range t.scores {
		if i != without {
			ga, fga, worst = ga+s.ga, fga+s.fga, min(worst, s.ga)
			n++
		}
	}
	return ga / n, fga / n, worst
}
