package remediationexporter

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/semconv"
)

// ordered returns the playbooks that an event calls for in the order in which they are asked: what has helped against such
// causes before comes first, and the choice is explained where it differs from the configuration. e.mu is held.
func (e *remediationExporter) ordered(ev *incoming, now time.Time) []*book {
	if len(ev.matched) < 2 {
		return ev.matched
	}
	names := make([]string, 0, len(ev.matched))
	for _, b := range ev.matched {
		names = append(names, b.cfg.Name)
	}
	kind := string(ev.Incident.Cause().Kind)
	order, choice := e.ledger.Order(kind, ev.Incident.ID, names, now)
	if !choice.Learned {
		return ev.matched
	}
	fields := map[string]string{"cause_kind": clip(kind, maxDetail), "outcomes": strconv.FormatFloat(choice.Verified, 'f', 1, 64)}
	for _, r := range choice.Order {
		fields["playbook."+r.Playbook] = fmt.Sprintf("odds %.2f, drawn %.2f, helps %.2f (%.2f to %.2f) after %.1f outcomes%s",
			r.Odds, r.Sampled, r.Mean, r.Low, r.High, r.Verified(), explained(r.Detail))
	}
	e.audit.note(now, auditchain.Entry{
		Kind: string(semconv.EventRemediationOrder), Incident: ev.Incident.ID, Text: clip(choice.Detail, maxDetail), Fields: fields,
	})
	e.after(func() {
		e.logger.Info("remediation order", zap.String("incident_id", ev.Incident.ID), zap.String("cause_kind", kind),
			zap.String("detail", choice.Detail), zap.Strings("playbooks", order))
	})
	books := make([]*book, 0, len(order))
	for _, name := range order {
		books = append(books, e.bookOf(name))
	}
	return books
}

func explained(detail string) string {
	if detail == "" {
		return ""
	}
	return "; " + strings.TrimSpace(detail)
}
