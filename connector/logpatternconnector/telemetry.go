package logpatternconnector

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/paramedic-otel/paramedic/connector/logpatternconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/internal/logpattern"
)

// outcome is what became of a record.
type outcome int

const (
	outcomeMined outcome = iota
	outcomeAnnotated
	outcomeNoText
	outcomeEvent
	outcomes
)

// mergedBy is the limit because of which records have no series of their own.
type mergedBy int

const (
	mergedServices mergedBy = iota
	mergedPatterns
	mergedExceptions
	mergedSeries
	mergedReasons
)

// stats are what happened since the last report.
type stats struct {
	outcomes                                      [outcomes]int64
	merged                                        [mergedReasons]int64
	late, skewed, timeless                        int64
	truncated, invalid, binary                    int64
	newTemplates, generalizedTemplates, evictions int64
	forgotten, overBudget, rewinds                int64
}

// addMiner adds what the miner counted between two times.
func (s *stats) addMiner(before, after logpattern.Stats) {
	since := func(to *int64, before, after uint64) { *to += int64(after - before) } //nolint:gosec // counts of records
	since(&s.truncated, before.Truncated, after.Truncated)
	since(&s.invalid, before.InvalidUTF8, after.InvalidUTF8)
	since(&s.binary, before.Binary, after.Binary)
	since(&s.newTemplates, before.New, after.New)
	since(&s.generalizedTemplates, before.Generalized, after.Generalized)
	since(&s.evictions, before.Evicted, after.Evicted)
}

// instruments are the internal telemetry with its attributes built once.
type instruments struct {
	builder  *metadata.TelemetryBuilder
	outcomes [outcomes][]metric.AddOption
	merged   [mergedReasons][]metric.AddOption
	events   [eventKinds][]metric.AddOption
	failures map[failure][]metric.AddOption

	late, skewed, timeless             []metric.AddOption
	truncated, invalid, binary         []metric.AddOption
	newTemplate, generalized, evicted  []metric.AddOption
	dropRefused, dropQueue, dropBudget []metric.AddOption
}

func newInstruments(set component.TelemetrySettings, e *engine) (*instruments, error) {
	builder, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, fmt.Errorf("build telemetry: %w", err)
	}
	option := func(key, value string) []metric.AddOption {
		return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.String(key, value)))}
	}
	t := &instruments{
		builder:     builder,
		failures:    map[failure][]metric.AddOption{},
		late:        option("reason", "late"),
		skewed:      option("reason", "clock_skew"),
		timeless:    option("reason", "missing"),
		truncated:   option("reason", "truncated"),
		invalid:     option("reason", "invalid_utf8"),
		binary:      option("reason", "binary"),
		newTemplate: option("novelty", "new"),
		generalized: option("novelty", "generalized"),
		evicted:     option("novelty", "evicted"),
		dropRefused: option("reason", "refused"),
		dropQueue:   option("reason", "queue"),
		dropBudget:  option("reason", "limit"),
	}
	for i, name := range [outcomes]string{"mined", "annotated", "no_text", "event"} {
		t.outcomes[i] = option("outcome", name)
	}
	for i, name := range [mergedReasons]string{"services", "patterns", "exceptions", "series"} {
		t.merged[i] = option("reason", name)
	}
	for i, name := range [eventKinds]string{"new", "surge", "vanished"} {
		t.events[i] = option("event", name)
	}
	for _, f := range []failure{failureCorrupt, failureVersion, failureStale, failureTooLarge, failureStorage} {
		t.failures[f] = option("reason", string(f))
	}
	held := func(name string) []metric.ObserveOption {
		return []metric.ObserveOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("held", name)))}
	}
	templates, services, patterns := held("templates"), held("services"), held("patterns")
	for _, err := range []error{
		builder.RegisterConnectorLogpatternHeldObjectsCallback(func(_ context.Context, o metric.Int64Observer) error {
			e.mu.Lock()
			t, s, p := e.miner.Len(), len(e.services), e.patterns
			e.mu.Unlock()
			o.Observe(int64(t), templates...)
			o.Observe(int64(s), services...)
			o.Observe(int64(p), patterns...)
			return nil
		}),
		builder.RegisterConnectorLogpatternHeldObjectsLimitCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(e.cfg.Limits.Templates), templates...)
			o.Observe(int64(e.cfg.Limits.Services), services...)
			o.Observe(int64(e.cfg.Limits.Patterns), patterns...)
			return nil
		}),
		builder.RegisterConnectorLogpatternTemplateMemoryCallback(func(_ context.Context, o metric.Int64Observer) error {
			e.mu.Lock()
			n := e.miner.Memory()
			e.mu.Unlock()
			o.Observe(int64(n))
			return nil
		}),
		builder.RegisterConnectorLogpatternTemplateMemoryLimitCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(int64(e.cfg.Limits.TemplateBytes))
			return nil
		}),
	} {
		if err != nil {
			return nil, fmt.Errorf("register telemetry callback: %w", err)
		}
	}
	return t, nil
}

// report adds what happened to the instruments.
func (t *instruments) report(ctx context.Context, s *stats) {
	add := func(counter metric.Int64Counter, n int64, opts []metric.AddOption) {
		if n != 0 {
			counter.Add(ctx, n, opts...)
		}
	}
	b := t.builder
	for i, n := range s.outcomes {
		add(b.ConnectorLogpatternReceivedRecords, n, t.outcomes[i])
	}
	for i, n := range s.merged {
		add(b.ConnectorLogpatternMergedRecords, n, t.merged[i])
	}
	add(b.ConnectorLogpatternAdjustedRecords, s.late, t.late)
	add(b.ConnectorLogpatternAdjustedRecords, s.skewed, t.skewed)
	add(b.ConnectorLogpatternAdjustedRecords, s.timeless, t.timeless)
	add(b.ConnectorLogpatternBoundedTexts, s.truncated, t.truncated)
	add(b.ConnectorLogpatternBoundedTexts, s.invalid, t.invalid)
	add(b.ConnectorLogpatternBoundedTexts, s.binary, t.binary)
	add(b.ConnectorLogpatternTemplateChanges, s.newTemplates, t.newTemplate)
	add(b.ConnectorLogpatternTemplateChanges, s.generalizedTemplates, t.generalized)
	add(b.ConnectorLogpatternTemplateChanges, s.evictions, t.evicted)
	add(b.ConnectorLogpatternForgottenPatterns, s.forgotten, nil)
	add(b.ConnectorLogpatternDroppedEvents, s.overBudget, t.dropBudget)
	add(b.ConnectorLogpatternWatermarkJumps, s.rewinds, nil)
	*s = stats{}
}

func (t *instruments) sentEvents(ctx context.Context, p *parcel[plog.Logs]) {
	for i, n := range p.events {
		if n > 0 {
			t.builder.ConnectorLogpatternSentEvents.Add(ctx, n, t.events[i]...)
		}
	}
}

func (t *instruments) sentPoints(ctx context.Context, p *parcel[pmetric.Metrics]) {
	t.builder.ConnectorLogpatternSentDatapoints.Add(ctx, p.size)
}

func (t *instruments) droppedEvents(ctx context.Context, n int64, full bool) {
	t.builder.ConnectorLogpatternDroppedEvents.Add(ctx, n, t.dropReason(full)...)
}

func (t *instruments) droppedPoints(ctx context.Context, n int64, full bool) {
	t.builder.ConnectorLogpatternDroppedDatapoints.Add(ctx, n, t.dropReason(full)...)
}

func (t *instruments) dropReason(full bool) []metric.AddOption {
	if full {
		return t.dropQueue
	}
	return t.dropRefused
}
