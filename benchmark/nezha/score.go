package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/paramedic-otel/paramedic/semconv"
)

// detectWithin is how long after its onset a fault counts as detected.
const detectWithin = 90 * time.Second

// onsetSlack is how much before the earliest possible onset an incident may be opened for a fault: for the width of one
// bucket nobody can tell.
const onsetSlack = 5 * time.Second

// day is the ground truth of one day.
type day struct {
	System    string       `json:"system"`
	Namespace string       `json:"namespace"`
	Faults    []fault      `json:"faults"`
	FaultFree []freeWindow `json:"fault_free"`
}

// freeWindow is a time that no fault touches.
type freeWindow struct {
	Start, End time.Time
	// Traces is whether its traces are there.
	Traces bool
	Source string
}

// constructed reports whether a window is the source's own fault-free minute.
func (w freeWindow) constructed() bool { return strings.HasPrefix(w.Source, "construct_data/") }

type fault struct {
	ID         string    `json:"id"`
	InjectTime time.Time `json:"inject_time"`
	Service    string    `json:"service"`
	Type       string    `json:"type"`
	Observed   *struct {
		After *time.Time `json:"after"`
		By    time.Time  `json:"by"`
	} `json:"observed_onset"`
	NominalEnd time.Time `json:"nominal_end"`
	// Label is the cause inside the service: a metric, or the two log places between which the code was changed.
	Label      string `json:"nezha_label"`
	Evaluation struct {
		Start, End   time.Time
		Traces, Logs bool
	} `json:"evaluation"`
	Segments []struct {
		Start, End time.Time
	} `json:"segments"`
}

// earliest is the earliest time at which the fault may have begun: the last observation without its effect, or the
// beginning of the recorded minute that shows it.
func (f *fault) earliest() time.Time {
	if f.Observed != nil && f.Observed.After != nil {
		return *f.Observed.After
	}
	start := f.onset()
	for _, s := range f.Segments {
		if !f.onset().Before(s.Start) && f.onset().Before(s.End) {
			start = s.Start
		}
	}
	return start
}

// onset is when the data first show the fault, or the time of injection where that is not known.
func (f *fault) onset() time.Time {
	if f.Observed != nil {
		return f.Observed.By
	}
	return f.InjectTime
}

type result struct {
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Service  string   `json:"service"`
	Detected bool     `json:"detected"`
	Delay    *float64 `json:"delay_s,omitempty"`
	Ranking  []ranked `json:"ranking"`
	// Later is the ranking of the same incident's last event within detectWithin of the onset.
	Later []ranked `json:"ranking_at_90_s"`
	// Label is what the source names as the cause inside the service, Evidence what we do.
	Label    string     `json:"label,omitempty"`
	Evidence []evidence `json:"evidence,omitempty"`
	// Millis is how long the answer took.
	Millis *float64 `json:"millis,omitempty"`
	// inner is true when service and evidence are right.
	inner bool
	// rank and laterRank are the place of the injected service, 0 when it is not in the ranking.
	rank, laterRank int
}

type ranked struct {
	Entity string  `json:"entity"`
	Kind   string  `json:"kind"`
	Score  float64 `json:"score"`
}

func readDay(path string) (*day, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d := &day{}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// score finds, for each fault, the first incident that was opened within detectWithin of its onset. The ranking is that
// of the opening event: what a human or a playbook is told first; that of the same incident when the time is up stands beside
// it. Ties count against us.
func score(d *day, events []semconv.IncidentEvent) []result {
	results := make([]result, 0, len(d.Faults))
	for i := range d.Faults {
		f := &d.Faults[i]
		r := result{ID: f.ID, Type: f.Type, Service: f.Service, Ranking: []ranked{}, Later: []ranked{}}
		matched := ""
		for _, e := range events {
			if e.Incident.ID == matched && e.Time.Sub(f.onset()) <= detectWithin {
				r.Later = ranking(e)
				r.laterRank = rankOf(r.Later, f.Service)
			}
			if e.Name != semconv.EventIncidentOpened || r.Detected {
				continue
			}
			delay := e.Incident.DetectedAt.Sub(f.onset())
			if e.Incident.DetectedAt.Before(f.earliest().Add(-onsetSlack)) || delay > detectWithin {
				continue
			}
			s := max(0, delay.Seconds())
			r.Detected, r.Delay = true, &s
			matched = e.Incident.ID
			r.Ranking = ranking(e)
			r.rank = rankOf(r.Ranking, f.Service)
			r.Later, r.laterRank = r.Ranking, r.rank
		}
		results = append(results, r)
	}
	return results
}

func ranking(e semconv.IncidentEvent) []ranked {
	out := []ranked{}
	for _, c := range e.Incident.Causes {
		out = append(out, ranked{Entity: bare(c.Entity.Name), Kind: string(c.Kind), Score: c.Confidence})
	}
	return out
}

// rankOf returns the place of a service, behind all that have the same score.
func rankOf(ranking []ranked, service string) int {
	for _, r := range ranking {
		if r.Entity != service {
			continue
		}
		place := 0
		for _, other := range ranking {
			if other.Score >= r.Score {
				place++
			}
		}
		return place
	}
	return 0
}

// bare returns a service name without its namespace.
func bare(name string) string { return name[strings.LastIndex(name, "/")+1:] }

// counts are the figures of one row of the summary.
type counts struct {
	faults, detected, first, three, laterFirst, laterThree int
	delays                                                 []float64
}

func (c *counts) add(r *result) {
	c.faults++
	if !r.Detected {
		return
	}
	c.detected++
	c.delays = append(c.delays, *r.Delay)
	if r.rank == 1 {
		c.first++
	}
	if r.rank >= 1 && r.rank <= 3 {
		c.three++
	}
	if r.laterRank == 1 {
		c.laterFirst++
	}
	if r.laterRank >= 1 && r.laterRank <= 3 {
		c.laterThree++
	}
}

func (c *counts) row(name string) string {
	median := "-"
	if len(c.delays) > 0 {
		slices.Sort(c.delays)
		median = fmt.Sprintf("%.0f s", c.delays[len(c.delays)/2])
	}
	return fmt.Sprintf("%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t", name, c.faults, percent(c.detected, c.faults), median,
		percent(c.first, c.detected), percent(c.three, c.detected), percent(c.laterFirst, c.detected), percent(c.laterThree, c.detected))
}

func percent(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%d (%.0f %%)", part, 100*float64(part)/float64(whole))
}

func summarize(w io.Writer, d *day, events []semconv.IncidentEvent, results []result) {
	var all counts
	byType := map[string]*counts{}
	frequency := map[string]int{}
	for i := range results {
		r := &results[i]
		all.add(r)
		if byType[r.Type] == nil {
			byType[r.Type] = &counts{}
		}
		byType[r.Type].add(r)
		frequency[r.Service]++
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "%s\tfaults\tdetected in %s\tmedian delay\ttop-1 at opening\ttop-3\ttop-1 at 90 s\ttop-3\t\n", d.System, detectWithin)
	for _, kind := range sortedKeys(byType) {
		fmt.Fprintln(t, byType[kind].row(kind))
	}
	fmt.Fprintln(t, all.row("all"))
	t.Flush()

	most := make([]int, 0, len(frequency))
	for _, n := range frequency {
		most = append(most, n)
	}
	slices.SortFunc(most, func(a, b int) int { return b - a })
	three := 0
	for _, n := range most[:min(3, len(most))] {
		three += n
	}
	fmt.Fprintf(w, "floors: naming the most frequent service always: top-1 %s, the three most frequent: top-3 %s\n",
		percent(most[0], len(results)), percent(three, len(results)))

	opened, matched, calm := 0, 0, 0
	for _, e := range events {
		if e.Name != semconv.EventIncidentOpened {
			continue
		}
		opened++
		if d.during(e.Incident.DetectedAt) {
			matched++
		}
		if d.faultFree(e.Incident.DetectedAt) {
			calm++
		}
	}
	fmt.Fprintf(w, "incidents: %d opened, %d of them during a fault or within 3 minutes of its end, %d in windows that are known to be free of faults\n", opened, matched, calm)
	var free time.Duration
	for _, f := range d.FaultFree {
		free += f.End.Sub(f.Start)
	}
	fmt.Fprintf(w, "fault-free windows with traces or logs: %s in all\n", free)
}

func (d *day) during(t time.Time) bool {
	for i := range d.Faults {
		f := &d.Faults[i]
		start := f.earliest()
		if f.InjectTime.Before(start) {
			start = f.InjectTime
		}
		if !t.Before(start.Add(-onsetSlack)) && t.Before(f.NominalEnd.Add(3*time.Minute)) {
			return true
		}
	}
	return false
}

func (d *day) faultFree(t time.Time) bool {
	for _, f := range d.FaultFree {
		if t.After(f.Start) && t.Before(f.End) {
			return true
		}
	}
	return false
}

func printEvents(w io.Writer, d *day, events []semconv.IncidentEvent) {
	for _, e := range events {
		near := "no fault"
		for i := range d.Faults {
			f := &d.Faults[i]
			if after := e.Time.Sub(f.onset()); after > -onsetSlack && after < 6*time.Minute {
				near = fmt.Sprintf("%s %s %s %+.0f s", f.ID, f.Type, f.Service, after.Seconds())
			}
		}
		fmt.Fprintf(w, "%s %s %.8s %s [%s] %s %s\n", e.Time.Format(time.TimeOnly), e.Name, e.Incident.ID, e.Incident.Severity, near, e.Incident.Title, e.Incident.Resolution)
		if e.Name != semconv.EventIncidentOpened {
			continue
		}
		for _, c := range e.Incident.Causes {
			fmt.Fprintf(w, "    %.2f %s %s\n", c.Confidence, c.Entity, c.Kind)
			for _, ev := range c.Evidence {
				fmt.Fprintf(w, "         %s %s (deviation %.1f, score %.6f)\n", ev.Onset.Format(time.TimeOnly), ev.Summary, ev.Deviation, ev.Score)
			}
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
