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
const detectWithin = 60 * time.Second

// laterWithin is when the ranking is looked at again.
const laterWithin = 90 * time.Second

// onsetSlack is how much before the earliest possible onset an incident may be opened for a fault: for the width of one
// bucket nobody can tell.
const onsetSlack = 5 * time.Second

// day is the ground truth of one day.
type day struct {
	System    string       `json:"system"`
	Namespace string       `json:"namespace"`
	Faults    []fault      `json:"faults"`
	FaultFree []freeWindow `json:"fault_free"`
	Minutes   []struct {
		Traces struct{ First, Last time.Time }
	}
	// recorded are the times with traces, one after the other.
	recorded []window
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
	// Opened is whether an incident was opened for it, and not an open one changed.
	Opened bool `json:"opened"`
	// Later is the ranking of the same incident's last event within laterWithin of the onset.
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
	d.record()
	return d, nil
}

// score finds, for each fault, the first event within detectWithin of its onset that tells of it: one that opens an incident,
// or one of an incident that is open already which names evidence that began with the fault. Whether it is right does not
// matter for this. The ranking is that of this event: what a human or a playbook is told first; that of the same incident a
// while later stands beside it. With late, the ranking is looked at that much later. Ties count against us.
func score(d *day, events []semconv.IncidentEvent, late time.Duration) []result {
	results := make([]result, 0, len(d.Faults))
	for i := range d.Faults {
		f := &d.Faults[i]
		r := result{ID: f.ID, Type: f.Type, Service: f.Service, Ranking: []ranked{}, Later: []ranked{}}
		matched, first := "", time.Time{}
		for _, e := range events {
			after := d.seen(f.onset(), e.Time)
			if e.Incident.ID == matched && after <= laterWithin {
				r.Later = ranking(e)
				r.laterRank = rankOf(r.Later, f.Service)
			}
			if e.Incident.ID == matched && e.Time.Sub(first) <= late {
				r.Ranking, r.rank = r.Later, r.laterRank
			}
			if r.Detected || e.Time.Before(f.earliest().Add(-onsetSlack)) || after > detectWithin || !tellsOf(e, f) {
				continue
			}
			s := max(0, after.Seconds())
			r.Detected, r.Delay, r.Opened = true, &s, e.Name == semconv.EventIncidentOpened
			matched, first = e.Incident.ID, e.Time
			r.Ranking = ranking(e)
			r.rank = rankOf(r.Ranking, f.Service)
			r.Later, r.laterRank = r.Ranking, r.rank
		}
		results = append(results, r)
	}
	return results
}

// tellsOf reports whether an event tells of a fault: an incident is opened, anew or again, or an open one has evidence that
// began with the fault.
func tellsOf(e semconv.IncidentEvent, f *fault) bool {
	switch e.Name {
	case semconv.EventIncidentOpened:
		return true
	case semconv.EventIncidentUpdated:
		for _, c := range e.Incident.Causes {
			for _, ev := range c.Evidence {
				if !ev.Onset.Before(f.earliest().Add(-onsetSlack)) {
					return true
				}
			}
		}
	}
	return false
}

// seen returns how much time with traces there is from one time to another: nothing can be seen in a gap of the recording. Time
// before the first of them counts as it is.
func (d *day) seen(from, to time.Time) time.Duration {
	if !to.After(from) {
		return to.Sub(from)
	}
	sum := time.Duration(0)
	for _, w := range d.recorded {
		start, end := w.start, w.end
		if start.Before(from) {
			start = from
		}
		if end.After(to) {
			end = to
		}
		if end.After(start) {
			sum += end.Sub(start)
		}
	}
	return sum
}

func ranking(e semconv.IncidentEvent) []ranked {
	out := []ranked{}
	for _, c := range e.Incident.Causes {
		out = append(out, ranked{Entity: bare(c.Entity.Name), Kind: string(c.Kind), Score: c.Confidence})
	}
	return out
}

// record joins the recorded minutes where they overlap or follow one another.
func (d *day) record() {
	for _, m := range d.Minutes {
		if m.Traces.First.IsZero() {
			continue
		}
		// A minute's first and last trace are told to the second.
		d.recorded = append(d.recorded, window{m.Traces.First, m.Traces.Last.Add(2 * time.Second)})
	}
	slices.SortFunc(d.recorded, func(a, b window) int { return a.start.Compare(b.start) })
	joined := d.recorded[:0]
	for _, w := range d.recorded {
		if n := len(joined); n > 0 && !w.start.After(joined[n-1].end) {
			if w.end.After(joined[n-1].end) {
				joined[n-1].end = w.end
			}
			continue
		}
		joined = append(joined, w)
	}
	d.recorded = joined
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
	faults, detected, opened, first, three, laterFirst, laterThree int
	delays                                                         []float64
}

func (c *counts) add(r *result) {
	c.faults++
	if !r.Detected {
		return
	}
	c.detected++
	if r.Opened {
		c.opened++
	}
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
	return fmt.Sprintf("%s\t%d\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t", name, c.faults, percent(c.detected, c.faults), c.opened, median,
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
	fmt.Fprintf(t, "%s\tfaults\tdetected in %s\topened\tmedian delay\ttop-1 at once\ttop-3\ttop-1 at %s\ttop-3\t\n", d.System, detectWithin, laterWithin)
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
	var lone, metricsOnly int
	for _, e := range events {
		if e.Name != semconv.EventIncidentOpened || e.Incident.Reopened > 0 {
			continue
		}
		opened++
		switch {
		case d.during(e.Incident.DetectedAt):
			matched++
		case d.seen(e.Incident.DetectedAt.Add(-metricsInterval), e.Incident.DetectedAt) == 0:
			metricsOnly++
		default:
			lone++
		}
		if d.faultFree(e.Incident.DetectedAt) {
			calm++
		}
	}
	var free, recorded time.Duration
	for _, f := range d.FaultFree {
		free += f.End.Sub(f.Start)
	}
	for _, w := range d.recorded {
		recorded += w.end.Sub(w.start)
	}
	span := time.Duration(0)
	if n := len(d.recorded); n > 0 {
		span = d.recorded[n-1].end.Sub(d.recorded[0].start)
	}
	fmt.Fprintf(w, "incidents: %d opened, %d of them during a fault or within 3 minutes of its end, %d with no fault near (%.1f an hour from the first trace to the last, %s of which %s are recorded), %d where only metrics are recorded\n",
		opened, matched, lone, float64(lone)/max(span.Hours(), 1), span.Round(time.Minute), recorded.Round(time.Minute), metricsOnly)
	fmt.Fprintf(w, "%d of them in windows that are known to be free of faults, %s in all\n", calm, free)
}

// metricsInterval is the distance of the samples of metrics.
const metricsInterval = time.Minute

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
