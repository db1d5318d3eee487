package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/paramedic-otel/paramedic/internal/calibration"
	"github.com/paramedic-otel/paramedic/internal/rootcause"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

// write writes one JSON object a line and injection.
func write(path string, judged []judged) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	enc := json.NewEncoder(f)
	for _, j := range judged {
		for _, r := range j.results {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func report(w io.Writer, o options, all []judged) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "injections\tnumber\tdetected\tone incident\troot cause kept\ttop-1\ttop-3\ttop-1 at last\ttime to detect\ttime to cause\t")
	var results, single, paired []result
	byKind := map[string][]result{}
	var c counts
	var opening, last []guess
	for _, j := range all {
		results = append(results, j.results...)
		c.add(j.counts)
		for _, r := range j.results {
			byKind[r.Kind] = append(byKind[r.Kind], r)
			if r.Paired {
				paired = append(paired, r)
			} else {
				single = append(single, r)
			}
		}
		for _, g := range j.guesses {
			if g.opening {
				opening = append(opening, g)
			} else {
				last = append(last, g)
			}
		}
	}
	for _, k := range shop.SteadyFaultKinds() {
		row(t, string(k), byKind[string(k)])
	}
	row(t, "alone", single)
	row(t, "in pairs", paired)
	row(t, "all", results)
	t.Flush()
	precision, recall := part(c.together, c.together+c.mixed), part(c.together, c.together+c.apart)
	fmt.Fprintf(w, "\n%d alerts (%d with repetitions) became %d incidents: compression %.4f (%.4f)\n", c.alerts, c.firing, c.incidents,
		1-part(c.incidents, c.alerts), 1-part(c.incidents, c.firing))
	fmt.Fprintf(w, "pairs of symptoms: F1 %.4f (precision %.4f, recall %.4f); purity %.4f; false incidents %d\n",
		2*precision*recall/max(precision+recall, 1e-9), precision, recall, part(c.pure, c.held), c.false)
	reliability(w, "at the opening", opening)
	reliability(w, "at last", last)
	if o.fit {
		fit(w, append(opening, last...))
	}
}

func (c *counts) add(o counts) {
	c.alerts += o.alerts
	c.firing += o.firing
	c.incidents += o.incidents
	c.false += o.false
	c.together += o.together
	c.mixed += o.mixed
	c.apart += o.apart
	c.held += o.held
	c.pure += o.pure
}

func part(n, of int) float64 { return float64(n) / float64(max(of, 1)) }

func row(w io.Writer, name string, results []result) {
	if len(results) == 0 {
		return
	}
	count := func(is func(result) bool) string {
		n := 0
		for _, r := range results {
			if is(r) {
				n++
			}
		}
		return fmt.Sprintf("%.3f", part(n, len(results)))
	}
	fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", name, len(results),
		count(func(r result) bool { return r.Detected }),
		count(func(r result) bool { return r.Incidents == 1 && !r.Merged }),
		count(func(r result) bool { return r.RootKept }),
		count(func(r result) bool { return r.Opening.Top1 }),
		count(func(r result) bool { return r.Opening.Top3 }),
		count(func(r result) bool { return r.Last.Top1 }),
		median(results, func(r result) float64 { return r.Detect }),
		median(results, func(r result) float64 { return r.Cause }))
}

// median counts what never came as later than anything.
func median(results []result, of func(result) float64) string {
	var values []float64
	for _, r := range results {
		v := of(r)
		if v < 0 {
			v = math.Inf(1)
		}
		values = append(values, v)
	}
	slices.Sort(values)
	m := values[(len(values)-1)/2]
	if math.IsInf(m, 1) {
		return "never"
	}
	return time.Duration(m * float64(time.Second)).String()
}

// bins is the number of equal parts of the range of confidence that are looked at apart.
const bins = 10

// reliability prints how often causes that were named with some confidence were right.
func reliability(w io.Writer, name string, guesses []guess) {
	outcomes := outcomesOf(guesses)
	table := calibration.Reliability(outcomes, bins)
	fmt.Fprintf(w, "\nconfidence in the first cause of %d incidents %s\n", len(guesses), name)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "confidence\tincidents\tmean\tright\t")
	for _, b := range table {
		fmt.Fprintf(t, "%.1f to %.1f\t%d\t%.3f\t%.3f\t\n", b.From, b.To, b.N, b.Stated, b.Right)
	}
	t.Flush()
	fmt.Fprintf(w, "expected calibration error %.4f, Brier score %.4f\n", calibration.Error(table), calibration.Brier(outcomes))
	fmt.Fprint(w, "named from a confidence of")
	for _, least := range []float64{0, 0.5, 0.8, 0.9} {
		named, right := 0, 0
		for _, o := range outcomes {
			if o.Stated >= least {
				named++
				if o.Right {
					right++
				}
			}
		}
		fmt.Fprintf(w, "  %.1f: %.3f, right %.3f", least, part(named, len(outcomes)), part(right, named))
	}
	fmt.Fprintln(w)
}

func outcomesOf(guesses []guess) []calibration.Outcome {
	var out []calibration.Outcome
	for _, g := range guesses {
		out = append(out, calibration.Outcome{Stated: g.confidence, Right: g.right})
	}
	return out
}

// fit prints the map from what the ranking says of itself to confidence that fits the incidents best, and what its error is
// on each kind of fault when it is fitted to all others.
func fit(w io.Writer, guesses []guess) {
	var raw []calibration.Outcome
	for _, g := range guesses {
		raw = append(raw, calibration.Outcome{Stated: rootcause.Calibration().Score(g.confidence), Right: g.right})
	}
	m := calibration.Fit(raw)
	fmt.Fprintf(w, "\nfitted to %d guesses: intercept %.3f, slope %.3f\n", len(raw), m.Intercept, m.Slope)
	for _, kind := range shop.SteadyFaultKinds() {
		var others, left []calibration.Outcome
		for n, g := range guesses {
			if g.kind == kind {
				left = append(left, raw[n])
			} else {
				others = append(others, raw[n])
			}
		}
		m := calibration.Fit(others)
		stated := 0.0
		right := 0
		for _, o := range left {
			stated += m.Of(o.Stated)
			if o.Right {
				right++
			}
		}
		fmt.Fprintf(w, "without %s: intercept %.3f, slope %.3f; of its %d the mean confidence is %.3f, right %.3f\n",
			kind, m.Intercept, m.Slope, len(left), stated/float64(max(1, len(left))), part(right, len(left)))
	}
}

// describe prints what did not go as it should, and the events.
func (j *judged) describe(w io.Writer) {
	wrong := len(j.trace.incidents) != len(j.scenario.faults)
	for _, r := range j.results {
		wrong = wrong || r.Incidents != 1 || r.Merged || !r.RootKept || !r.Opening.Top1 || !r.Last.Top1
	}
	if !wrong {
		return
	}
	fmt.Fprintf(w, "\n%s\n", j.scenario.name)
	for n, r := range j.results {
		fmt.Fprintf(w, "  injected %s %s:%s severity %.2f: incidents %d merged %t kept %t detect %gs cause %gs symptoms %d\n",
			j.onset(n).Format(time.TimeOnly), r.Kind, r.Service, r.Severity, r.Incidents, r.Merged, r.RootKept, r.Detect, r.Cause, r.Symptoms)
	}
	for _, i := range j.trace.incidents {
		for _, e := range i.events {
			fmt.Fprintf(w, "  %s %s %.8s %s", e.Time.Format(time.TimeOnly), e.Name, i.id, e.Incident.Title)
			for _, c := range e.Incident.Causes[:min(3, len(e.Incident.Causes))] {
				fmt.Fprintf(w, "; %s %s %.2f", bare(c.Entity.Name), c.Kind, c.Confidence)
			}
			fmt.Fprintln(w)
		}
	}
	for n, s := range j.trace.symptoms {
		fmt.Fprintf(w, "    %s %b %.8s %s %s: %s\n", s.found.Format(time.TimeOnly), j.labels[n], s.incident+"--------", s.class, bare(s.entity), s.summary)
	}
}
