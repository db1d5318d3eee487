package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/otlpjsonl"
)

// runNezha judges the resource faults of each day. A day's faults lie in its first hours and the samples are a minute apart, too
// few to learn before them; so the fault-free rest of the day is fed first, moved back by a day.
func runNezha(ctx context.Context, o *options, w io.Writer) error {
	days, err := filepath.Glob(filepath.Join(o.nezha, "*", "faults.json"))
	if err != nil {
		return err
	}
	if len(days) == 0 {
		return fmt.Errorf("no */faults.json in %s", o.nezha)
	}
	for _, path := range days {
		if err := runDay(ctx, o, filepath.Dir(path), w); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

type nezhaFault struct {
	InjectTime time.Time `json:"inject_time"`
	Service    string    `json:"service"`
	Type       string    `json:"type"`
	Category   string    `json:"category"`
	Observed   *struct {
		By time.Time `json:"by"`
	} `json:"observed_onset"`
	NominalEnd time.Time `json:"nominal_end"`
}

const minute = time.Minute

func runDay(ctx context.Context, o *options, dir string, w io.Writer) error {
	text, err := os.ReadFile(filepath.Join(dir, "faults.json"))
	if err != nil {
		return err
	}
	var day struct {
		System string       `json:"system"`
		Faults []nezhaFault `json:"faults"`
	}
	if err := json.Unmarshal(text, &day); err != nil {
		return err
	}
	var labels, others []label
	var last time.Time
	for _, f := range day.Faults {
		// A sample is of the minute before it.
		start := f.InjectTime
		if f.Observed != nil && f.Observed.By.After(start) {
			start = f.Observed.By
		}
		l := label{kind: f.Type, entity: f.Service, start: start.Add(-5 * time.Second), end: f.NominalEnd.Add(2 * minute)}
		if f.Category == "resource" {
			labels = append(labels, l)
		} else {
			others = append(others, l)
		}
		if l.end.After(last) {
			last = l.end
		}
	}
	batches, err := read(filepath.Join(dir, "metrics.jsonl.gz"))
	if err != nil {
		return err
	}
	all, err := start(ctx, o)
	if err != nil {
		return err
	}
	rest := last.Add(10 * minute)
	var order []dated
	services := map[string]bool{}
	for _, b := range batches {
		if b.at.After(rest) {
			shift(b.metrics, -24*time.Hour)
			b.at = b.at.Add(-24 * time.Hour)
		}
		order = append(order, b)
		for _, rm := range b.metrics.ResourceMetrics().All() {
			services[entityOf(rm.Resource().Attributes())] = true
		}
	}
	slices.SortStableFunc(order, func(a, b dated) int { return a.at.Compare(b.at) })
	from := rest.Add(-24 * time.Hour)
	var first time.Time
	for _, b := range order {
		if first.IsZero() && b.at.After(from.Add(20*time.Hour)) {
			first = b.at
		}
		if err := feed(ctx, all, b.metrics); err != nil {
			return err
		}
	}
	from = cmp.Or(first, order[0].at)
	for _, l := range labels {
		if l.start.Before(from) {
			from = l.start.Add(-10 * minute)
		}
	}
	hours := rest.Sub(from).Hours()
	fmt.Fprintf(w, "\n%s: %d resource faults, %d other faults, %d services, %.1f hours\n\n", day.System, len(labels), len(others), len(services), hours)
	// Alarms in the time of any fault, on any service, may be of its making.
	for _, c := range all {
		c.alarms.all = slices.DeleteFunc(c.alarms.all, func(a alarm) bool {
			return slices.ContainsFunc(others, func(l label) bool { return !a.start.After(l.end.Add(5*minute)) && !a.end.Before(l.start.Add(-minute)) })
		})
	}
	if err := table(w, all, labels, from, true, o.verbose, minute, float64(len(services))*hours/24); err != nil {
		return err
	}
	return stop(ctx, all)
}

type dated struct {
	at      time.Time
	metrics pmetric.Metrics
}

func read(path string) (all []dated, err error) {
	merger, err := otlpjsonl.Open([]string{path}, otlpjsonl.DefaultOptions())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, merger.Close()) }()
	for {
		b, err := merger.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, dated{at: timeOf(b.Metrics), metrics: b.Metrics})
	}
}

func timeOf(md pmetric.Metrics) (at time.Time) {
	each(md, func(p pmetric.NumberDataPoint) {
		if at.IsZero() {
			at = p.Timestamp().AsTime()
		}
	})
	return at
}

func shift(md pmetric.Metrics, by time.Duration) {
	each(md, func(p pmetric.NumberDataPoint) {
		p.SetTimestamp(pcommon.NewTimestampFromTime(p.Timestamp().AsTime().Add(by)))
	})
}

// each visits all points: Nezha's metrics are gauges.
func each(md pmetric.Metrics, visit func(pmetric.NumberDataPoint)) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				for _, p := range m.Gauge().DataPoints().All() {
					visit(p)
				}
			}
		}
	}
}
