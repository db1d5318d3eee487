package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/semconv"
)

type bench struct {
	options
	settings incidentstore.Settings
	w        io.Writer
}

func (b *bench) run(ctx context.Context) (err error) {
	began := time.Now()
	s, err := incidentstore.Open(ctx, b.settings)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := b.fill(ctx, s); err != nil {
		return err
	}
	fmt.Fprintf(b.w, "%s: %d incidents with %d evidence records, %d intents and %d audit records, stored in %s\n", b.settings.Driver, b.incidents,
		b.incidents*b.evidence, b.incidents, b.audit, time.Since(began).Round(time.Second))
	if err := b.size(ctx, s, "size"); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	began = time.Now()
	if s, err = incidentstore.Open(ctx, b.settings); err != nil {
		return err
	}
	if _, _, err := s.Incidents(ctx, incidentstore.IncidentFilter{}, incidentstore.Page{Limit: 50}); err != nil {
		return err
	}
	fmt.Fprintf(b.w, "open, and the first list: %s\n", time.Since(began).Round(time.Millisecond))
	began = time.Now()
	_, records, err := s.VerifyAudit(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.w, "audit of %d records verified in %s\n", records, time.Since(began).Round(time.Millisecond))
	if err := b.questions(ctx, s); err != nil {
		return err
	}
	return b.retention(ctx, s)
}

func (b *bench) size(ctx context.Context, s *incidentstore.Store, what string) error {
	z, err := s.Sizes(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.w, "%s: %.0f MB, of which %.0f MB are used\n", what, float64(z.File)/1e6, float64(z.Used)/1e6)
	return nil
}

// questions asks everything people ask.
func (b *bench) questions(ctx context.Context, s *incidentstore.Store) error {
	rng := rand.New(rand.NewPCG(6, 2)) //nolint:gosec // repeatable on purpose
	f := newFiller()
	acked := false
	list := func(filter func() incidentstore.IncidentFilter, limit int) func() error {
		return func() error {
			_, _, err := s.Incidents(ctx, filter(), incidentstore.Page{Limit: limit})
			return err
		}
	}
	is := func(x incidentstore.IncidentFilter) func() incidentstore.IncidentFilter {
		return func() incidentstore.IncidentFilter { return x }
	}
	deep, err := b.cursors(ctx, s)
	if err != nil {
		return err
	}
	random := func() string { return id(rng.IntN(b.incidents)) }
	out := tabwriter.NewWriter(b.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "question\tP50\tP99\tmost")
	for _, q := range []struct {
		name string
		ask  func() error
	}{
		{"get one, with evidence", func() error { _, err := s.Incident(ctx, random()); return err }},
		{"timeline", func() error { _, err := s.Timeline(ctx, random(), 200); return err }},
		{"similar, 5", func() error { _, err := s.Similar(ctx, random(), 5); return err }},
		{"list 50, all", list(is(incidentstore.IncidentFilter{}), 50)},
		{"list 100, all", list(is(incidentstore.IncidentFilter{}), 100)},
		{"list 50, deep pages", func() error {
			_, _, err := s.Incidents(ctx, incidentstore.IncidentFilter{}, incidentstore.Page{Limit: 50, Cursor: deep[rng.IntN(len(deep))]})
			return err
		}},
		{"list 50, open", list(is(incidentstore.IncidentFilter{Status: semconv.StatusOpen}), 50)},
		{"list 50, of a severity", list(is(incidentstore.IncidentFilter{Severity: semconv.SeverityMajor}), 50)},
		{"list 50, of a service", list(func() incidentstore.IncidentFilter { return incidentstore.IncidentFilter{Service: f.service()} }, 50)},
		{"list 50, of a service and kind", list(func() incidentstore.IncidentFilter {
			return incidentstore.IncidentFilter{Service: f.service(), CauseKind: kinds[rng.IntN(len(kinds))]}
		}, 50)},
		{"list 50, of the gateway, open", list(is(incidentstore.IncidentFilter{Service: "shop/gateway", Status: semconv.StatusOpen}), 50)},
		{"list 50, not acknowledged, of a kind", list(is(incidentstore.IncidentFilter{Acknowledged: &acked, CauseKind: semconv.CauseMemory}), 50)},
		{"list 50, of a month", list(func() incidentstore.IncidentFilter {
			since := start.Add(time.Duration(rng.IntN(b.incidents)) * 10 * time.Minute)
			return incidentstore.IncidentFilter{Since: since, Until: since.AddDate(0, 1, 0)}
		}, 50)},
		{"list 50, with a common text", list(is(incidentstore.IncidentFilter{Text: "memory"}), 50)},
		{"list 50, with a text that is nowhere", list(is(incidentstore.IncidentFilter{Text: "nowhere"}), 50)},
		{"intents 50, of a playbook", func() error {
			_, _, err := s.Intents(ctx, incidentstore.IntentFilter{Playbook: "restart"}, incidentstore.Page{Limit: 50})
			return err
		}},
	} {
		if err := b.measure(out, q.name, q.ask); err != nil {
			return fmt.Errorf("%s: %w", q.name, err)
		}
	}
	return out.Flush()
}

// cursors are those of pages all over the list.
func (b *bench) cursors(ctx context.Context, s *incidentstore.Store) ([]string, error) {
	var all []string
	for cursor := ""; ; {
		_, next, err := s.Incidents(ctx, incidentstore.IncidentFilter{}, incidentstore.Page{Limit: 1000, Cursor: cursor})
		if err != nil || next == "" {
			return append(all, cursor), err
		}
		all, cursor = append(all, next), next
	}
}

func (b *bench) measure(w io.Writer, name string, ask func() error) error {
	runtime.GC()
	took := make([]time.Duration, b.queries)
	for i := range took {
		began := time.Now()
		if err := ask(); err != nil {
			return err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	at := func(share float64) time.Duration {
		return took[min(int(share*float64(len(took))), len(took)-1)].Round(10 * time.Microsecond)
	}
	_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", name, at(0.5), at(0.99), at(1))
	return err
}

// retention opens the store with half the bounds, and sees it shrink.
func (b *bench) retention(ctx context.Context, s *incidentstore.Store) (err error) {
	halved := b.settings
	halved.MaxIncidents, halved.MaxAuditRecords = b.incidents/2, b.audit/2
	if halved.Driver == incidentstore.PostgreSQL {
		// Its own background work makes the room of removed rows free for new ones.
		return nil
	}
	if err := s.Close(); err != nil {
		return err
	}
	half, err := incidentstore.Open(ctx, halved)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, half.Close()) }()
	began := time.Now()
	if err := half.Prune(ctx); err != nil {
		return err
	}
	fmt.Fprintf(b.w, "half of it removed in %s\n", time.Since(began).Round(100*time.Millisecond))
	if err := b.size(ctx, half, "size after it"); err != nil {
		return err
	}
	_, _, err = half.VerifyAudit(ctx)
	return err
}
