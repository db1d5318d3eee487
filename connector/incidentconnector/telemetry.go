package incidentconnector

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// instruments are the engine's own metrics with their options prepared.
type instruments struct {
	builder *metadata.TelemetryBuilder

	metrics, logs                []metric.AddOption
	limit, late, skewed, invalid []metric.AddOption
	opened, updated, resolved    []metric.AddOption
	edges, services, contexts    []metric.RecordOption
	signals, series, symptoms    []metric.RecordOption
	incidents, outbox            []metric.RecordOption
	relations, resources         []metric.RecordOption
	changes, objects             []metric.RecordOption

	corrupt, foreign, noRoom, model, settings, stale, storage           []metric.AddOption
	restoredEdges, restoredServices, restoredRelations                  []metric.AddOption
	restoredContexts, restoredSignals, restoredSeries, restoredSymptoms []metric.AddOption
	restoredIncidents, restoredOutbox, restoredObjects, restoredBudgets []metric.AddOption

	budgets   []metric.RecordOption
	decisions map[decisionKind][]metric.AddOption
}

func newInstruments(set component.TelemetrySettings) (*instruments, error) {
	b, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, err
	}
	add := func(key, value string) []metric.AddOption {
		return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.String(key, value)))}
	}
	held := func(value string) []metric.RecordOption {
		return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("held", value)))}
	}
	decided := map[decisionKind][]metric.AddOption{}
	for v, reasons := range verdicts {
		for _, r := range reasons {
			decided[decisionKind{v, r}] = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(
				attribute.String("decision", string(v)), attribute.String("reason", string(r))))}
		}
	}
	return &instruments{
		builder: b, decisions: decided, budgets: held("budgets"), restoredBudgets: add("held", "budgets"),
		metrics: add("signal", "metrics"), logs: add("signal", "logs"),
		limit: add("reason", "limit"), late: add("reason", "late"), skewed: add("reason", "skewed"), invalid: add("reason", "invalid"),
		opened: add("status", "opened"), updated: add("status", "updated"), resolved: add("status", "resolved"),
		edges: held("edges"), services: held("services"), contexts: held("log_contexts"),
		signals: held("signals"), series: held("series"), symptoms: held("symptoms"),
		incidents: held("incidents"), outbox: held("outbox"),
		corrupt: add("cause", "corrupt"), foreign: add("cause", "foreign"), noRoom: add("cause", "limit"), model: add("cause", "model"),
		settings: add("cause", "settings"), stale: add("cause", "stale"), storage: add("cause", "storage"),
		restoredEdges: add("held", "edges"), restoredServices: add("held", "services"), restoredRelations: add("held", "relations"),
		restoredContexts: add("held", "log_contexts"), restoredSignals: add("held", "signals"), restoredSeries: add("held", "series"),
		restoredSymptoms: add("held", "symptoms"), restoredIncidents: add("held", "incidents"), restoredOutbox: add("held", "outbox"),
		restoredObjects: add("held", "objects"),
		relations:       held("relations"), resources: held("resources"), changes: held("changes"),
		objects: held("objects"),
	}, nil
}

// refusals counts items of one batch that were not used as they came.
type refusals struct {
	limit, late, skewed, invalid int64
}

func (t *instruments) refused(ctx context.Context, r refusals) {
	add := func(n int64, options []metric.AddOption) {
		if n > 0 {
			t.builder.ConnectorIncidentRefusedItems.Add(ctx, n, options...)
		}
	}
	add(r.limit, t.limit)
	add(r.late, t.late)
	add(r.skewed, t.skewed)
	add(r.invalid, t.invalid)
}

// decided counts decisions, and forgets them.
func (t *instruments) decided(ctx context.Context, counts map[decisionKind]int64) {
	for kind, n := range counts {
		t.builder.ConnectorIncidentDecisions.Add(ctx, n, t.decisions[kind]...)
	}
	clear(counts)
}

func (t *instruments) droppedEvents(ctx context.Context, n int64) {
	t.builder.ConnectorIncidentDroppedEvents.Add(ctx, n)
}

func (t *instruments) emittedEvent(ctx context.Context, name semconv.EventName) {
	options := t.updated
	switch name {
	case semconv.EventIncidentOpened:
		options = t.opened
	case semconv.EventIncidentResolved:
		options = t.resolved
	}
	t.builder.ConnectorIncidentEmittedEvents.Add(ctx, 1, options...)
}
