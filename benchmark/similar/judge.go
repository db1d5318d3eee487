package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// tally counts repeats, and those whose most similar past incident was of the same fault.
type tally struct {
	repeats int
	// kind and service are those where only that was right, both where both were, three where one of the first three was of both.
	kind, service, both, three int
	// rival is how often the newest past incident of the same fingerprint was of the same fault.
	rival int
}

func (t *tally) add(o tally) {
	t.repeats += o.repeats
	t.kind += o.kind
	t.service += o.service
	t.both += o.both
	t.three += o.three
	t.rival += o.rival
}

// moments are when the store is asked: when it is told of the incident, when it knows most of it, and when it is over.
var moments = []string{"opened", "at last", "resolved"}

// judge tells the store of the incidents of each seed, one after the other, and asks for similar ones.
func judge(ctx context.Context, o options, draws [][]injection, w io.Writer) error {
	tallies := make([]map[shop.FaultKind]*tally, len(moments))
	for m := range tallies {
		tallies[m] = map[shop.FaultKind]*tally{}
		for _, k := range shop.FaultKinds() {
			tallies[m][k] = &tally{}
		}
	}
	undetected, injected := 0, 0
	for _, plan := range draws {
		missed, err := judgeOne(ctx, o, plan, tallies, w)
		if err != nil {
			return err
		}
		undetected += missed
		injected += len(plan)
	}
	for m, moment := range moments {
		out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintf(out, "%s\trepeats\tkind and service\tkind\tservice\tamong three\tnewest of the fingerprint\n", moment)
		var all tally
		for _, k := range shop.FaultKinds() {
			tallies[m][k].print(out, string(k))
			all.add(*tallies[m][k])
		}
		all.print(out, "all")
		if err := out.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%d injections of %d seeds, %d of them without an incident\n", injected, len(draws), undetected)
	return nil
}

func (t *tally) print(w io.Writer, name string) {
	if t.repeats == 0 {
		return
	}
	share := func(n int) float64 { return float64(n) / float64(t.repeats) }
	fmt.Fprintf(w, "%s\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\n", name, t.repeats, share(t.both), share(t.kind), share(t.service), share(t.three), share(t.rival))
}

// fault is what was injected.
type fault struct {
	kind    shop.FaultKind
	service string
}

func judgeOne(ctx context.Context, o options, plan []injection, tallies []map[shop.FaultKind]*tally, w io.Writer) (undetected int, err error) {
	folder, err := os.MkdirTemp("", "similar")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	settings := incidentstore.DefaultSettings()
	settings.Path = filepath.Join(folder, "store.db")
	store, err := incidentstore.Open(ctx, settings)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	faults, newest, seen := map[string]fault{}, map[string]fault{}, map[fault]bool{}
	for n, in := range plan {
		if len(in.Events) == 0 {
			undetected++
			continue
		}
		f := fault{in.Kind, in.Service}
		id := fmt.Sprintf("%d", n)
		faults[id] = f
		// Each begins a day after the one before.
		shift := time.Duration(n) * 24 * time.Hour
		for m, e := range in.moments() {
			e.Incident.ID = id
			move(&e.Incident, shift)
			err := store.Record(ctx, []incidentstore.Record{{
				ID: fmt.Sprintf("%s/%d", id, e.Incident.Revision), At: e.Time.Add(shift),
				Incident: &incidentstore.IncidentRecord{Event: e.Name, Incident: e.Incident},
			}})
			if err != nil {
				return 0, err
			}
			if !seen[f] {
				continue
			}
			found, err := store.Similar(ctx, id, 3)
			if err != nil {
				return 0, err
			}
			t := tallies[m][in.Kind]
			t.add(score(f, found, faults, newest[e.Incident.Fingerprint]))
			if o.verbose && (len(found) == 0 || faults[found[0].ID] != f) {
				printMiss(w, moments[m], &in, e.Incident.Title, found, faults)
			}
		}
		seen[f] = true
		newest[in.Events[len(in.Events)-1].Incident.Fingerprint] = f
	}
	return undetected, nil
}

func score(f fault, found []incidentstore.Similar, faults map[string]fault, rival fault) tally {
	t := tally{repeats: 1}
	for n, s := range found {
		got := faults[s.ID]
		if got == f {
			t.three = 1
		}
		if n > 0 {
			continue
		}
		if got.kind == f.kind {
			t.kind = 1
		}
		if got.service == f.service {
			t.service = 1
		}
		if got == f {
			t.both = 1
		}
	}
	if rival == f {
		t.rival = 1
	}
	return t
}

func printMiss(w io.Writer, moment string, in *injection, title string, found []incidentstore.Similar, faults map[string]fault) {
	fmt.Fprintf(w, "%s: %s of %s, %q:", moment, in.Kind, in.Service, title)
	for _, s := range found {
		fmt.Fprintf(w, " %.3f %s of %s;", s.Score, faults[s.ID].kind, faults[s.ID].service)
	}
	fmt.Fprintln(w)
}

// moments are the events at which the store is asked.
func (in *injection) moments() []event {
	first, last := in.Events[0], in.Events[len(in.Events)-1]
	middle := first
	for _, e := range in.Events {
		if e.Name != semconv.EventIncidentResolved {
			middle = e
		}
	}
	return []event{first, middle, last}
}

// move shifts the times that the store looks at.
func move(i *eventdata.Incident, by time.Duration) {
	for _, t := range []**time.Time{&i.StartedAt, &i.DetectedAt, &i.ResolvedAt} {
		if *t != nil {
			moved := (*t).Add(by)
			*t = &moved
		}
	}
}
