// Package nabscore scores the output of an anomaly detector at a fixed threshold by the rules of the Numenta Anomaly
// Benchmark v1.1 (A. Lavin, S. Ahmad, "Evaluating Real-time Anomaly Detection Algorithms - the Numenta Anomaly
// Benchmark", ICMLA 2015).
//
//   - The first min(floor(0.15 n), 750) rows of a file are not scored.
//   - A row alarms when its score is at or above the threshold.
//   - A window earns its best alarm's worth, or costs the profile's FN when it has none.
//   - Every alarm outside a window costs FP, less when a window has just ended.
//   - The result is 100 * (raw - null) / (perfect - null): 0 for a detector that says nothing, 100 for one that is right
//     in the first row of every window and silent elsewhere.
package nabscore

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

const (
	probation     = 0.15
	probationMost = 5000 // rows of which the share counts
	steepness     = 5.0
	farAway       = 3.0 // window widths after a window from which on an alarm costs all
)

// Profile is what hits, false alarms and misses are worth.
type Profile struct {
	Name       string
	TP, FP, FN float64
}

// Profiles returns NAB's three profiles, the standard one first.
func Profiles() []Profile {
	return []Profile{
		{Name: "standard", TP: 1, FP: 0.11, FN: 1},
		{Name: "reward_low_FP_rate", TP: 1, FP: 0.22, FN: 1},
		{Name: "reward_low_FN_rate", TP: 1, FP: 0.11, FN: 2},
	}
}

// Window is a labelled anomaly: the timestamps, as the file has them, of its first and last row.
type Window struct{ First, Last string }

// row is one scored row: what an alarm there is worth with all weights at 1.
type row struct {
	score  float64
	window int // -1 outside
	worth  float64
}

// Series is one file with a score for every row.
type Series struct {
	// Group is the folder of the file, Name its name.
	Group, Name string

	windows int
	scored  int // windows with a row after the probation
	rows    []row
}

// NewSeries prepares one file. stamps and scores are those of its rows in their order.
func NewSeries(group string, stamps []string, scores []float64, windows []Window) (*Series, error) {
	if len(stamps) != len(scores) {
		return nil, fmt.Errorf("every row must have a score, got %d scores for %d rows", len(scores), len(stamps))
	}
	for i, v := range scores {
		if math.IsNaN(v) {
			return nil, fmt.Errorf("score of row %d must be a number", i)
		}
	}
	spans, err := locate(stamps, windows)
	if err != nil {
		return nil, err
	}
	s := &Series{Group: group, windows: len(spans)}
	start := int(math.Min(math.Floor(probation*float64(len(stamps))), probation*probationMost))
	seen := map[int]bool{}
	next, inside := 0, -1
	var last *span
	for i := range stamps {
		if inside < 0 && next < len(spans) && i == spans[next].first {
			inside = next
			next++
		}
		r := row{score: scores[i], window: inside, worth: -1}
		switch {
		case inside >= 0:
			w := &spans[inside]
			r.worth = squash(-float64(w.last-i+1)/float64(w.last-w.first+1)) / squash(-1)
			if i == w.last {
				last, inside = w, -1
			}
		case last != nil:
			r.worth = squash(float64(i-last.last) / float64(max(1, last.last-last.first)))
		}
		if i >= start {
			s.rows = append(s.rows, r)
			if r.window >= 0 {
				seen[r.window] = true
			}
		}
	}
	s.scored = len(seen)
	return s, nil
}

// span is a window by row numbers, both ends included.
type span struct{ first, last int }

func locate(stamps []string, windows []Window) ([]span, error) {
	rows := make(map[string]int, len(stamps))
	for i, t := range stamps {
		if key := normal(t); i == 0 || !has(rows, key) {
			rows[key] = i
		}
	}
	spans := make([]span, 0, len(windows))
	for _, w := range windows {
		first, okFirst := rows[normal(w.First)]
		last, okLast := rows[normal(w.Last)]
		if !okFirst || !okLast || last < first {
			return nil, fmt.Errorf("window %s to %s must begin and end at timestamps of the file", w.First, w.Last)
		}
		spans = append(spans, span{first, last})
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.last, b.last)) })
	for i := 1; i < len(spans); i++ {
		if spans[i].first <= spans[i-1].last {
			return nil, errors.New("windows must not overlap")
		}
	}
	return spans, nil
}

func has(m map[string]int, key string) bool {
	_, ok := m[key]
	return ok
}

// normal makes the spellings of one second alike: with fractions, with a T.
func normal(stamp string) string {
	stamp = strings.Replace(strings.TrimSpace(stamp), "T", " ", 1)
	return stamp[:min(len(stamp), len("2006-01-02 15:04:05"))]
}

// squash is the sigmoid of NAB: 1 far before the right edge of a window, 0 at it, -1 from farAway on.
func squash(y float64) float64 {
	if y > farAway {
		return -1
	}
	return 2/(1+math.Exp(steepness*y)) - 1
}

// Result is what one or more files come to.
type Result struct {
	Files, Windows, Hit int
	// FalseAlarms are the rows outside windows that alarm, FalseRuns the runs that they form.
	FalseAlarms, FalseRuns int
	// Raw, Null and Perfect are the sums of what was earned, of what silence earns, and of what perfection earns.
	Raw, Null, Perfect float64
}

// Score is the result from 0 to 100, negative when silence would have been better; NaN without windows.
func (r Result) Score() float64 {
	if r.Perfect == r.Null {
		return math.NaN()
	}
	return 100 * (r.Raw - r.Null) / (r.Perfect - r.Null)
}

// Add returns the result of both together.
func (r Result) Add(o Result) Result {
	return Result{
		Files: r.Files + o.Files, Windows: r.Windows + o.Windows, Hit: r.Hit + o.Hit,
		FalseAlarms: r.FalseAlarms + o.FalseAlarms, FalseRuns: r.FalseRuns + o.FalseRuns,
		Raw: r.Raw + o.Raw, Null: r.Null + o.Null, Perfect: r.Perfect + o.Perfect,
	}
}

// At returns the result of the file at a threshold.
func (s *Series) At(p Profile, threshold float64) Result {
	r := Result{Files: 1, Windows: s.windows, Null: -p.FN * float64(s.scored), Perfect: p.TP * float64(s.windows)}
	best := map[int]float64{}
	before := false
	for _, x := range s.rows {
		alarm := x.score >= threshold
		outside := alarm && x.window < 0
		switch {
		case outside:
			r.Raw += p.FP * x.worth
			r.FalseAlarms++
			if !before {
				r.FalseRuns++
			}
		case alarm:
			if v, ok := best[x.window]; !ok || x.worth > v {
				best[x.window] = x.worth
			}
		}
		before = outside
	}
	for w := range s.windows { // in order: sums of floats depend on it
		r.Raw += p.TP * best[w]
	}
	r.Hit = len(best)
	r.Raw -= p.FN * float64(s.scored-r.Hit)
	return r
}

// Totals returns the result of all files together and of each group.
func Totals(files []*Series, p Profile, threshold float64) (all Result, groups map[string]Result) {
	groups = map[string]Result{}
	for _, s := range files {
		r := s.At(p, threshold)
		all = all.Add(r)
		groups[s.Group] = groups[s.Group].Add(r)
	}
	return all, groups
}
