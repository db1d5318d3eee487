package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
)

// run opens the database and does what was asked.
func (o *options) run(ctx context.Context, stdout io.Writer) (err error) {
	if o.settings.KeepVersion && o.settings.Driver == incidentstore.SQLite {
		// Opening it would make it.
		if _, err := os.Stat(o.settings.Path); err != nil {
			return err
		}
	}
	removed := map[incidentstore.Loss]int64{}
	o.settings.Counted = func(l incidentstore.Loss, n int64) { removed[l] += n }
	s, err := incidentstore.Open(ctx, o.settings)
	if errors.Is(err, incidentstore.ErrOlder) {
		return fmt.Errorf("%w; run incidentstore migrate", err)
	}
	if err != nil {
		return err
	}
	out := bufio.NewWriter(stdout)
	defer func() { err = errors.Join(err, out.Flush(), s.Close()) }()
	switch o.command[0] {
	case "verify":
		return verify(ctx, s, out)
	case "export":
		if o.command[1] == "audit" {
			_, err := s.ExportAudit(ctx, func(r auditchain.Record) error { return auditchain.Write(out, r) })
			return err
		}
		return exportIncidents(ctx, s, out)
	case "stats":
		return stats(ctx, s, out)
	case "prune":
		if err := s.Prune(ctx); err != nil {
			return err
		}
		for _, l := range slices.Sorted(maps.Keys(removed)) {
			fmt.Fprintf(out, "%s  %d\n", l, removed[l])
		}
		return nil
	case "migrate":
		version, err := s.Version(ctx)
		if err == nil {
			fmt.Fprintf(out, "the database has version %d\n", version)
		}
		return err
	default:
		return s.Backup(ctx, o.command[1])
	}
}

func verify(ctx context.Context, s *incidentstore.Store, out io.Writer) error {
	head, records, err := s.VerifyAudit(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d records, unbroken\nhead  %d  %s\n", records, head.Seq, head.Hash)
	if before := head.Seq - records; before > 0 {
		fmt.Fprintf(out, "the %d records before were removed by retention; that they were whole can be shown by an export of theirs only\n", before)
	}
	return nil
}

func exportIncidents(ctx context.Context, s *incidentstore.Store, out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	for cursor := ""; ; {
		found, next, err := s.Incidents(ctx, incidentstore.IncidentFilter{}, incidentstore.Page{Limit: 1000, Cursor: cursor})
		if err != nil {
			return err
		}
		for i := range found {
			inc, err := s.Incident(ctx, found[i].ID)
			if errors.Is(err, incidentstore.ErrNotFound) {
				continue // retention was faster
			}
			if err == nil {
				err = e.Encode(inc)
			}
			if err != nil {
				return err
			}
		}
		if cursor = next; cursor == "" {
			return nil
		}
	}
}

func stats(ctx context.Context, s *incidentstore.Store, out io.Writer) error {
	st, err := s.Stats(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, line := range []struct {
		name  string
		value any
	}{
		{"version", st.Version},
		{"incidents", st.Incidents},
		{"incidents, open", st.OpenIncidents},
		{"evidence", st.Evidence},
		{"intents", st.Intents},
		{"intents, awaiting approval", st.AwaitingIntents},
		{"deliveries", st.Deliveries},
		{"deliveries, queued", st.QueuedDeliveries},
		{"deliveries, dead letters", st.DeadDeliveries},
		{"audit records", st.AuditRecords},
		{"audit anchor", fmt.Sprintf("%d  %s", st.AuditAnchor.Seq, st.AuditAnchor.Hash)},
		{"audit head", fmt.Sprintf("%d  %s", st.AuditHead.Seq, st.AuditHead.Hash)},
		{"silences", st.Silences},
		{"commands, waiting", st.WaitingCommands},
		{"claims", st.Claims},
		{"tokens used", st.UsedTokens},
		{"executors", st.Executors},
		{"bytes", st.Sizes.File},
		{"bytes, used", st.Sizes.Used},
	} {
		fmt.Fprintf(w, "%s\t%v\n", line.name, line.value)
	}
	return w.Flush()
}
