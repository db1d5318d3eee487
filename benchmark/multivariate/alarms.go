package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/benchmark/internal/scoring"
	"github.com/paramedic-otel/paramedic/semconv"
)

// together is the pause between two scores of an entity up to which they are one alarm.
const together = 5 * time.Minute

// alarm is a time in which something of an entity was abnormal.
type alarm struct {
	entity     string
	start, end time.Time
	what       string
}

// alarms collects those of one detector.
type alarms struct {
	threshold float64
	detector  string
	// open is when each entity was last abnormal.
	open map[string]time.Time
	all  []alarm
}

func (a *alarms) read(s scoring.Score) {
	if s.Value() < a.threshold || s.Detector() != a.detector {
		return
	}
	entity := entityOf(s.Resource)
	at := s.Point.Timestamp().AsTime()
	if last, ok := a.open[entity]; ok && at.Sub(last) <= together {
		for i := len(a.all) - 1; i >= 0; i-- {
			if a.all[i].entity == entity {
				a.all[i].end = at
				break
			}
		}
	} else {
		a.all = append(a.all, alarm{entity: entity, start: at, end: at, what: s.Metric() + " " + s.Signal()})
	}
	a.open[entity] = at
}

func entityOf(resource pcommon.Map) string {
	v, ok := resource.Get(semconv.AttrServiceName)
	if !ok {
		return ""
	}
	return v.AsString()
}

// label is a time in which an entity is known to be abnormal.
type label struct {
	kind, entity string
	// start is the first time at which it can be seen, end the last one.
	start, end time.Time
}

// counts are the figures of one detector.
type counts struct {
	labels, found, alarms, right int
	delays                       []time.Duration
}

// count compares alarms with labels. An alarm is right when it overlaps a label of its entity; one that overlaps a label of
// another entity only, whose effects may reach this one, counts as neither when lenient. Alarms before from are not looked at.
func count(a *alarms, labels []label, from time.Time, lenient bool, miss func(label, bool), wrong func(alarm)) map[string]*counts {
	of := map[string]*counts{"all": {}}
	for _, l := range labels {
		if of[l.kind] == nil {
			of[l.kind] = &counts{}
		}
		found := false
		var delay time.Duration
		for _, al := range a.all {
			if al.entity == l.entity && !al.start.After(l.end) && !al.end.Before(l.start) {
				found, delay = true, max(0, al.start.Sub(l.start))
				break
			}
		}
		for _, c := range []*counts{of["all"], of[l.kind]} {
			c.labels++
			if found {
				c.found++
				c.delays = append(c.delays, delay)
			}
		}
		miss(l, found)
	}
	for _, al := range a.all {
		if al.start.Before(from) {
			continue
		}
		own, other := false, false
		for _, l := range labels {
			if !al.start.After(l.end) && !al.end.Before(l.start) {
				own = own || l.entity == al.entity
				other = true
			}
		}
		switch {
		case own:
			of["all"].alarms++
			of["all"].right++
		case other && lenient:
		default:
			of["all"].alarms++
			wrong(al)
		}
	}
	return of
}

// table prints the figures of all contestants.
func table(w io.Writer, all []*contestant, labels []label, from time.Time, lenient, verbose bool, sample time.Duration, entityDays float64) error {
	var kinds []string
	for _, l := range labels {
		if !slices.Contains(kinds, l.kind) {
			kinds = append(kinds, l.kind)
		}
	}
	slices.Sort(kinds)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprint(t, "detector\tfound\talarms\tprecision\trecall\tF1\tfalse alarms an entity and day\tmedian delay, samples\tµs a vector\t")
	for _, k := range kinds {
		fmt.Fprintf(t, "%s\t", k)
	}
	fmt.Fprintln(t)
	for _, c := range all {
		of := count(c.alarms, labels, from, lenient, func(l label, found bool) {
			if verbose && !found {
				fmt.Fprintf(w, "%s: missed %s of %s at %s\n", c.name, l.kind, l.entity, l.start.Format(time.RFC3339))
			}
		}, func(a alarm) {
			if verbose {
				fmt.Fprintf(w, "%s: false alarm on %s at %s to %s (%s)\n", c.name, a.entity, a.start.Format(time.RFC3339), a.end.Format(time.TimeOnly), a.what)
			}
		})
		n := of["all"]
		precision, recall, f := 0.0, float64(n.found)/float64(max(1, n.labels)), 0.0
		if n.alarms > 0 {
			precision = float64(n.right) / float64(n.alarms)
		}
		if precision+recall > 0 {
			f = 2 * precision * recall / (precision + recall)
		}
		delay := "-"
		if len(n.delays) > 0 {
			slices.Sort(n.delays)
			delay = fmt.Sprintf("%.0f", float64(n.delays[len(n.delays)/2])/float64(sample))
		}
		cost := "-"
		if len(c.detectors) > 0 {
			vectors, err := c.processor.Count("otelcol_processor_anomaly_assembled_vectors")
			if err != nil {
				return err
			}
			cost = fmt.Sprintf("%.1f", float64(c.took-all[0].took)/float64(max(1, vectors))/1e3)
		}
		fmt.Fprintf(t, "%s\t%d of %d\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%s\t%s\t", c.name, n.found, n.labels, n.alarms, precision, recall, f,
			float64(n.alarms-n.right)/entityDays, delay, cost)
		for _, k := range kinds {
			fmt.Fprintf(t, "%d of %d\t", of[k].found, of[k].labels)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
