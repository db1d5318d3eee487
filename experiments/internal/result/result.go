package result

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Clock says what the seconds of a result are.
type Clock string

// The clocks.
const (
	// Simulated time passes as fast as the machine allows; delays of the machine itself are not in the figures.
	Simulated Clock = "simulated"
	// Real time is the machine's own; its delays are in the figures.
	Real Clock = "real"
)

// The systems that figures belong to. An experiment may add others, such as "with shedding".
const (
	Ours       = "ours"
	Thresholds = "static thresholds"
	Manual     = "manual"
	Paper      = "paper"
)

// Result is what one experiment measured.
type Result struct {
	// Name is that of the experiment in lower case with hyphens, and of the file.
	Name string `json:"name"`
	// Number is that of the experiment in the report, from 1.
	Number int    `json:"number"`
	Title  string `json:"title"`
	// About says in a few sentences what was done, which components were real, and what was not.
	About string `json:"about"`
	// Command makes this result anew from the root of the repository.
	Command string  `json:"command"`
	Clock   Clock   `json:"clock"`
	Machine Machine `json:"machine"`
	// Seeds are those of all runs; each is an independent repetition.
	Seeds []uint64 `json:"seeds"`
	// Quick marks a subset of the runs, for continuous integration; its figures are rough.
	Quick bool `json:"quick,omitempty"`
	// Took is the wall time in seconds that the experiment needed.
	Took    float64  `json:"took_seconds"`
	Figures []Figure `json:"figures,omitempty"`
	Samples []Sample `json:"samples,omitempty"`
	Tables  []Table  `json:"tables,omitempty"`
	Series  []Series `json:"series,omitempty"`
	Goals   []Goal   `json:"goals"`
	// Notes are sentences of the reader's interest: how to read a figure, why one falls short, what would close it.
	Notes []string `json:"notes,omitempty"`
}

// Figure is one number for each seed, such as a recall.
type Figure struct {
	Name string `json:"name"`
	// Unit is by UCUM or empty for a plain number; "%" for shares, which are given as 0 to 1.
	Unit   string `json:"unit,omitempty"`
	System string `json:"system"`
	// Group is a part of the cases, such as a kind of fault; empty means all of them.
	Group string `json:"group,omitempty"`
	// Value is that of all seeds together, PerSeed the values in the order of [Result.Seeds].
	Value   float64   `json:"value"`
	PerSeed []float64 `json:"per_seed,omitempty"`
	// Spread is over PerSeed.
	Spread *Summary `json:"spread,omitempty"`
}

// Sample is a set of observations, such as the times to detect of all faults of a kind.
type Sample struct {
	Name   string `json:"name"`
	Unit   string `json:"unit"`
	System string `json:"system"`
	Group  string `json:"group,omitempty"`
	// Never is how many of the cases have no value because it did not come to it, such as faults not detected. They count as later
	// than anything in the summary.
	Never  int       `json:"never,omitempty"`
	Values []float64 `json:"values"`
	// Summary is over the values and those that never came.
	Summary Summary `json:"summary"`
}

// Summary describes observations. A quantile that falls among those that never came is nil.
type Summary struct {
	N      int      `json:"n"`
	Min    *float64 `json:"min"`
	Q1     *float64 `json:"q1"`
	Median *float64 `json:"median"`
	Q3     *float64 `json:"q3"`
	Max    *float64 `json:"max"`
}

// Table is made as the report prints it.
type Table struct {
	Title string   `json:"title"`
	Head  []string `json:"head"`
	// Rows have one cell for each of Head; the first is the row's name.
	Rows [][]string `json:"rows"`
	Note string     `json:"note,omitempty"`
}

// Series is a curve for a plot.
type Series struct {
	// Plot groups the series of one picture, Name is that of the line.
	Plot  string `json:"plot"`
	Name  string `json:"name"`
	XUnit string `json:"x_unit"`
	YUnit string `json:"y_unit"`
	// Points are (x, y), or (x, y, z) for a contour.
	Points [][]float64 `json:"points"`
	// Marks are named moments of the x axis.
	Marks []Mark `json:"marks,omitempty"`
}

// Mark is a named place on the x axis.
type Mark struct {
	Name string  `json:"name"`
	X    float64 `json:"x"`
}

// Goal is a figure that was promised or set, and what became of it.
type Goal struct {
	// From says whose it is: a paper's promise ("paper"), or the project's own goal ("goal").
	From string `json:"from"`
	// What is measured, such as "median time to detect".
	What string `json:"what"`
	// Unit is that of Want and Got, as in [Figure].
	Unit string `json:"unit,omitempty"`
	// Relation is "<=", ">=" or "=".
	Relation string  `json:"relation"`
	Want     float64 `json:"want"`
	// Got is nil when it was not measured or never came.
	Got *float64 `json:"got"`
	Met bool     `json:"met"`
	// Why tells, for a goal that is not met, what stood in the way and what would close it.
	Why string `json:"why,omitempty"`
}

// Where goals come from.
const (
	FromPaper   = "paper"
	FromProject = "goal"
)

// AddFigure adds a figure with the spread of its values by seed.
func (r *Result) AddFigure(name, unit, system, group string, value float64, perSeed []float64) {
	f := Figure{Name: name, Unit: unit, System: system, Group: group, Value: round(value)}
	for _, v := range perSeed {
		f.PerSeed = append(f.PerSeed, round(v))
	}
	if len(perSeed) > 0 {
		s := Summarise(f.PerSeed, 0)
		f.Spread = &s
	}
	r.Figures = append(r.Figures, f)
}

// AddSample adds a sample with its summary, and returns the summary.
func (r *Result) AddSample(name, unit, system, group string, values []float64, never int) Summary {
	s := Sample{Name: name, Unit: unit, System: system, Group: group, Never: never, Values: []float64{}}
	for _, v := range values {
		s.Values = append(s.Values, round(v))
	}
	s.Summary = Summarise(s.Values, never)
	r.Samples = append(r.Samples, s)
	return s.Summary
}

// AddGoal judges what was got; nil means that it was not measured or never came, which meets nothing. why is kept only if the goal is not met.
func (r *Result) AddGoal(from, what, unit, relation string, want float64, got *float64, why string) {
	g := Goal{From: from, What: what, Unit: unit, Relation: relation, Want: want}
	if got != nil {
		v := round(*got)
		g.Got = &v
		switch relation {
		case "<=":
			g.Met = v <= want
		case ">=":
			g.Met = v >= want
		case "=":
			g.Met = v == want
		}
	}
	if !g.Met {
		g.Why = why
	}
	r.Goals = append(r.Goals, g)
}

// Note adds a note.
func (r *Result) Note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// round keeps files small and equal on all machines: six significant digits.
func round(v float64) float64 {
	const digits = 6
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return v
	}
	scale := math.Pow(10, digits-math.Ceil(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// Summarise describes values of which never more did not come. Quantiles are interpolated linearly (type 7 of Hyndman and Fan).
func Summarise(values []float64, never int) Summary {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	n := len(sorted) + never
	s := Summary{N: n}
	if n == 0 {
		return s
	}
	quantile := func(q float64) *float64 {
		at := q * float64(n-1)
		low, share := int(at), at-math.Floor(at)
		if low >= len(sorted) || share > 0 && low+1 >= len(sorted) {
			return nil
		}
		v := sorted[low]
		if share > 0 {
			v += share * (sorted[low+1] - v)
		}
		v = round(v)
		return &v
	}
	s.Min, s.Q1, s.Median, s.Q3, s.Max = quantile(0), quantile(0.25), quantile(0.5), quantile(0.75), quantile(1)
	return s
}

var validName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// Validate reports everything that a result lacks or must not have.
func (r *Result) Validate() error {
	var errs []error
	if !validName.MatchString(r.Name) {
		errs = append(errs, fmt.Errorf("name must be lower case with hyphens, got %q", r.Name))
	}
	if r.Number < 1 || r.Title == "" || r.About == "" {
		errs = append(errs, errors.New("number, title and about must be set"))
	}
	if !strings.HasPrefix(r.Command, "go run ./experiments") {
		errs = append(errs, fmt.Errorf("command must begin with go run ./experiments, got %q", r.Command))
	}
	if r.Clock != Simulated && r.Clock != Real {
		errs = append(errs, fmt.Errorf("clock must be %s or %s, got %q", Simulated, Real, r.Clock))
	}
	if len(r.Seeds) == 0 {
		errs = append(errs, errors.New("seeds must not be empty"))
	}
	for _, f := range r.Figures {
		if math.IsNaN(f.Value) || math.IsInf(f.Value, 0) {
			errs = append(errs, fmt.Errorf("figure %q of %s must be a number, got %v", f.Name, f.System, f.Value))
		}
	}
	for _, t := range r.Tables {
		for _, row := range t.Rows {
			if len(row) != len(t.Head) {
				errs = append(errs, fmt.Errorf("table %q must have %d cells in each row, got %d", t.Title, len(t.Head), len(row)))
			}
		}
	}
	for _, g := range r.Goals {
		if !g.Met && g.Why == "" {
			errs = append(errs, fmt.Errorf("goal %q is not met and must say why", g.What))
		}
		if !slices.Contains([]string{"<=", ">=", "="}, g.Relation) {
			errs = append(errs, fmt.Errorf("relation of goal %q must be <=, >= or =, got %q", g.What, g.Relation))
		}
	}
	return errors.Join(errs...)
}

// Save validates the result and writes it to the folder.
func (r *Result) Save(folder string) error {
	if err := r.Validate(); err != nil {
		return fmt.Errorf("result of %s: %w", r.Name, err)
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("result of %s: %w", r.Name, err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, r.Name+".json"), append(compact(text), '\n'), 0o644) //nolint:gosec // a document
}

var numbers = regexp.MustCompile(`\[[\s\d.,eE+-]+\]`)

// compact puts lists of numbers on one line each.
func compact(text []byte) []byte {
	return numbers.ReplaceAllFunc(text, func(list []byte) []byte {
		return []byte(strings.Join(strings.Fields(string(list)), ""))
	})
}

// Load reads all results of a folder, in the order of their numbers and names.
func Load(folder string) ([]*Result, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	var results []*Result
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		r := &Result{}
		if err := json.Unmarshal(text, r); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if err := r.Validate(); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		results = append(results, r)
	}
	slices.SortFunc(results, func(a, b *Result) int {
		if a.Number != b.Number {
			return a.Number - b.Number
		}
		return strings.Compare(a.Name, b.Name)
	})
	return results, nil
}
