package remediationexporter

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/cloudevents"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	digestPeriod = time.Minute
	// maxDigestIDs bounds the incidents that a summary names, of each kind; maxDigestCauses those that are counted, and
	// shownCauses those that it names.
	maxDigestIDs    = 100
	maxDigestCauses = 200
	shownCauses     = 10
)

// digest is what a destination is told in one event, instead of many, when there is more news in a minute than it is to be told.
type digest struct {
	// Start is when the period began, and Sent how much news was queued in it.
	Start time.Time `json:"start"`
	Sent  int       `json:"sent"`
	// The rest is of the news that was not.
	Folded   int                       `json:"folded,omitempty"`
	Types    map[semconv.EventType]int `json:"types,omitempty"`
	Severity semconv.Severity          `json:"severity,omitempty"`
	Causes   map[string]int            `json:"causes,omitempty"`
	Others   int                       `json:"others,omitempty"`
	Opened   eventdata.IncidentIDs     `json:"opened,omitzero"`
	Resolved eventdata.IncidentIDs     `json:"resolved,omitzero"`
}

func addID(d *eventdata.IncidentIDs, id string) {
	if len(d.IDs) < maxDigestIDs {
		d.IDs = append(d.IDs, id)
	} else {
		d.More++
	}
}

func (d *digest) clone() digest {
	out := *d
	out.Types, out.Causes = maps.Clone(d.Types), maps.Clone(d.Causes)
	out.Opened.IDs, out.Resolved.IDs = slices.Clone(d.Opened.IDs), slices.Clone(d.Resolved.IDs)
	return out
}

// severities from the least.
var severities = []semconv.Severity{semconv.SeverityMinor, semconv.SeverityMajor, semconv.SeverityCritical}

func (d *digest) add(typ semconv.EventType, s *eventdata.Summary) {
	d.Folded++
	if d.Types == nil {
		d.Types, d.Causes = map[semconv.EventType]int{}, map[string]int{}
	}
	d.Types[typ]++
	if s == nil {
		return
	}
	if slices.Index(severities, s.Severity) > slices.Index(severities, d.Severity) {
		d.Severity = s.Severity
	}
	switch typ {
	case semconv.EventTypeIncidentOpened:
		addID(&d.Opened, s.ID)
	case semconv.EventTypeIncidentResolved:
		addID(&d.Resolved, s.ID)
		return // the cause was counted when it opened
	}
	if s.Cause == nil {
		return
	}
	cause := fmt.Sprintf("%s of %s %s", s.Cause.Kind, s.Cause.Entity.Type, s.Cause.Entity.Name)
	if _, known := d.Causes[cause]; known || len(d.Causes) < maxDigestCauses {
		d.Causes[cause]++
	} else {
		d.Others++
	}
}

func (d *digest) summary(now time.Time) eventdata.Storm {
	s := eventdata.Storm{
		From: d.Start.UTC(), To: now.UTC(), Events: d.Folded, Types: d.Types, Severity: d.Severity, Causes: []eventdata.CauseCount{},
		OtherEvents: d.Others, Opened: d.Opened, Resolved: d.Resolved,
	}
	for cause, n := range d.Causes {
		s.Causes = append(s.Causes, eventdata.CauseCount{Cause: cause, Events: n})
	}
	slices.SortFunc(s.Causes, func(a, b eventdata.CauseCount) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), cmp.Compare(a.Cause, b.Cause))
	})
	for _, c := range s.Causes[min(shownCauses, len(s.Causes)):] {
		s.OtherEvents += c.Events
	}
	s.Causes = s.Causes[:min(shownCauses, len(s.Causes))]
	return s
}

// alwaysTold is told by itself however much news there is: what asks a person for something, and what automation has done. The
// budget of actions bounds how much of it there is.
var alwaysTold = []semconv.EventType{
	semconv.EventTypeRemediationApprovalRequested, semconv.EventTypeRemediationEscalated, semconv.EventTypeRemediationStarted,
	semconv.EventTypeRemediationSucceeded, semconv.EventTypeRemediationFailed, semconv.EventTypeRemediationInconclusive,
	semconv.EventTypeRemediationRolledBack, semconv.EventTypeDeliveryDestinationDisabled,
}

// folds reports whether news is told in a summary instead of by itself, and puts it there. e.mu is held.
func (e *remediationExporter) folds(ctx context.Context, h *destination, typ semconv.EventType, s *eventdata.Summary, now time.Time) bool {
	if h.maxPerMinute == 0 || slices.Contains(alwaysTold, typ) {
		return false
	}
	e.closeDigest(ctx, h, now)
	if h.digest.Start.IsZero() {
		h.digest.Start = now
	}
	h.digested = true
	if h.digest.Sent < h.maxPerMinute {
		h.digest.Sent++
		return false
	}
	e.fold(ctx, h, typ, s)
	return true
}

// fold puts news into the summary. e.mu is held.
func (e *remediationExporter) fold(ctx context.Context, h *destination, typ semconv.EventType, s *eventdata.Summary) {
	h.digest.add(typ, s)
	h.digested = true
	e.after(func() { e.telemetry.ExporterRemediationFoldedEvents.Add(ctx, 1) })
}

// closeDigest ends a period that is over, and queues its summary if there is one. e.mu is held.
func (e *remediationExporter) closeDigest(ctx context.Context, h *destination, now time.Time) {
	if h.digest.Start.IsZero() || now.Sub(h.digest.Start) < digestPeriod && !now.Before(h.digest.Start) {
		return
	}
	e.tellDigest(ctx, h, now)
}

// tellDigest queues the summary, if there is something in it, and begins anew. e.mu is held.
func (e *remediationExporter) tellDigest(ctx context.Context, h *destination, now time.Time) {
	old := h.digest
	h.digest, h.digested = digest{}, true
	if old.Folded == 0 {
		return
	}
	typ := semconv.EventTypeIncidentStorm
	d := delivery{ID: deliveryID(typ, h.name, "", old.Start.UnixNano(), ""), Type: typ}
	text, number := logSeverity(old.Severity)
	ev := &cloudevents.Event{
		ID: d.ID, Source: e.cfg.Source, Type: string(typ), Subject: "storm/" + strconv.FormatInt(old.Start.Unix(), 10), Time: cloudTime(now),
		SeverityText: text, SeverityNumber: number, Data: eventdata.StormData{Storm: old.summary(now)},
	}
	body, err := ev.Marshal()
	if err != nil {
		e.after(func() { e.logger.Error("the summary of a storm could not be encoded", zap.Error(err)) })
		return
	}
	d.Body = body
	e.offer(ctx, h, d)
}

// tellDigests queues what summaries there are, all of them or those whose minute is over. e.mu is held.
func (e *remediationExporter) tellDigests(ctx context.Context, all bool, now time.Time) {
	for _, h := range e.destinations {
		if all {
			e.tellDigest(ctx, h, now)
		} else {
			e.closeDigest(ctx, h, now)
		}
	}
}

func digestKey(name string) string { return "digest/" + name }

func (h *destination) digestOp() *storage.Operation {
	if h.digest.Start.IsZero() {
		return storage.DeleteOperation(digestKey(h.name))
	}
	b, _ := json.Marshal(h.digest) // cannot fail: strings, numbers and a time of the wall clock
	return storage.SetOperation(digestKey(h.name), b)
}

// loadDigest restores what was folded before a restart.
func (h *destination) loadDigest(b []byte) error {
	if b == nil {
		return nil
	}
	var d digest
	if err := json.Unmarshal(b, &d); err != nil {
		return fmt.Errorf("decode summary of %s: %w", h.name, err)
	}
	if len(d.Causes) > maxDigestCauses || len(d.Opened.IDs) > maxDigestIDs || len(d.Resolved.IDs) > maxDigestIDs || (d.Types == nil) != (d.Causes == nil) {
		return fmt.Errorf("decode summary of %s: it makes no sense", h.name)
	}
	h.digest = d
	return nil
}
