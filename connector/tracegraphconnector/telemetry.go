package tracegraphconnector

import (
	"context"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/paramedic-otel/paramedic/connector/tracegraphconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/internal/servicegraph"
)

// instruments are the internal telemetry with its attributes built once.
type instruments struct {
	builder                          *metadata.TelemetryBuilder
	outcomes                         [servicegraph.NumOutcomes][]metric.AddOption
	late, clockSkew, weight          []metric.AddOption
	jumpAhead, jumpBack              []metric.AddOption
	droppedRefused, droppedQueue     []metric.AddOption
	mergedOperations, mergedVariants []metric.AddOption
	labels                           [servicegraph.NumLabels][]metric.AddOption
}

// seenTotals are totals as they were reported last.
type seenTotals struct {
	graph                        servicegraph.Stats
	clampedWeights, ignoredLinks int64
}

var outcomeNames = [servicegraph.NumOutcomes]string{
	servicegraph.OutcomePaired:    "paired",
	servicegraph.OutcomeEntry:     "entry",
	servicegraph.OutcomeOrphan:    "orphan",
	servicegraph.OutcomeVirtual:   "virtual",
	servicegraph.OutcomeUnmatched: "unmatched",
	servicegraph.OutcomeNested:    "nested",
	servicegraph.OutcomeInternal:  "internal",
	servicegraph.OutcomeLinked:    "linked",
	servicegraph.OutcomeDuplicate: "duplicate",
	servicegraph.OutcomeInvalid:   "invalid",
	servicegraph.OutcomeNode:      "node_limit",
	servicegraph.OutcomeEvicted:   "evicted",
}

// labelNames are in the order of the graph's labels.
var labelNames = [servicegraph.NumLabels]string{"dimensions", "operation", "version", "error_type"}

func newInstruments(set component.TelemetrySettings, c *traceGraph) (*instruments, error) {
	builder, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, fmt.Errorf("build telemetry: %w", err)
	}
	option := func(key, value string) []metric.AddOption {
		return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.String(key, value)))}
	}
	t := &instruments{
		builder:        builder,
		late:           option("reason", "late"),
		clockSkew:      option("reason", "clock_skew"),
		weight:         option("reason", "weight"),
		jumpAhead:      option("direction", "ahead"),
		jumpBack:       option("direction", "back"),
		droppedRefused: option("reason", "refused"),
		droppedQueue:   option("reason", "queue"),

		mergedOperations: option("reason", "operations"),
		mergedVariants:   option("reason", "variants"),
	}
	for i, name := range labelNames {
		t.labels[i] = option("label", name)
	}
	for i, name := range outcomeNames {
		t.outcomes[i] = option("outcome", name)
	}
	for _, err := range []error{
		builder.RegisterConnectorTracegraphEdgesCallback(c.observe(func(s *servicegraph.Stats) int64 { return s.Edges })),
		builder.RegisterConnectorTracegraphNodesCallback(c.observe(func(s *servicegraph.Stats) int64 { return s.Nodes })),
		builder.RegisterConnectorTracegraphPendingSpansCallback(
			c.observe(func(s *servicegraph.Stats) int64 { return s.Pending })),
		builder.RegisterConnectorTracegraphHeldRecordsCallback(
			c.observe(func(s *servicegraph.Stats) int64 { return s.Held })),
		builder.RegisterConnectorTracegraphEdgesLimitCallback(
			c.observe(func(*servicegraph.Stats) int64 { return int64(c.cfg.MaxEdges) })),
		builder.RegisterConnectorTracegraphOperationsCallback(
			c.observe(func(s *servicegraph.Stats) int64 { return s.HeldOperations })),
		builder.RegisterConnectorTracegraphOperationsLimitCallback(
			c.observe(func(*servicegraph.Stats) int64 { return int64(c.cfg.Operations.MaxTotal) })),
		builder.RegisterConnectorTracegraphRecordsLimitCallback(
			c.observe(func(*servicegraph.Stats) int64 { return int64(c.cfg.MaxPending) })),
	} {
		if err != nil {
			return nil, fmt.Errorf("register telemetry callback: %w", err)
		}
	}
	return t, nil
}

func (c *traceGraph) observe(value func(*servicegraph.Stats) int64) metric.Int64Callback {
	return func(_ context.Context, o metric.Int64Observer) error {
		s := c.graph.Stats()
		o.Observe(value(&s))
		return nil
	}
}

// report adds what happened since the last time to the instruments. Somebody else who does so at the same time is left to
// it unless this is final.
func (t *instruments) report(ctx context.Context, c *traceGraph, final bool) {
	if final {
		c.reporting.Lock()
	} else if !c.reporting.TryLock() {
		return
	}
	defer c.reporting.Unlock()
	now := seenTotals{
		graph: c.graph.Stats(), clampedWeights: c.clampedWeights.Load(), ignoredLinks: c.ignoredLinks.Load(),
	}
	was := &c.seen
	add := func(counter metric.Int64Counter, now, was int64, opts []metric.AddOption) {
		if now != was {
			counter.Add(ctx, now-was, opts...)
		}
	}
	b := t.builder
	add(b.ConnectorTracegraphReceivedSpans, now.graph.Received, was.graph.Received, nil)
	add(b.ConnectorTracegraphFollowedLinks, now.graph.Links, was.graph.Links, nil)
	add(b.ConnectorTracegraphIgnoredLinks, now.ignoredLinks, was.ignoredLinks, nil)
	for i := range now.graph.Outcomes {
		add(b.ConnectorTracegraphResolvedSpans, now.graph.Outcomes[i], was.graph.Outcomes[i], t.outcomes[i])
	}
	add(b.ConnectorTracegraphAdjustedSpans, now.graph.Late, was.graph.Late, t.late)
	add(b.ConnectorTracegraphAdjustedSpans, now.graph.Skewed, was.graph.Skewed, t.clockSkew)
	add(b.ConnectorTracegraphAdjustedSpans, now.clampedWeights, was.clampedWeights, t.weight)
	add(b.ConnectorTracegraphWatermarkJumps, now.graph.Leaps, was.graph.Leaps, t.jumpAhead)
	add(b.ConnectorTracegraphWatermarkJumps, now.graph.Rewinds, was.graph.Rewinds, t.jumpBack)
	add(b.ConnectorTracegraphRefusedCalls, now.graph.RefusedCalls, was.graph.RefusedCalls, nil)
	add(b.ConnectorTracegraphRefusedNodes, now.graph.RefusedNodes, was.graph.RefusedNodes, nil)
	add(b.ConnectorTracegraphMergedCalls, now.graph.RefusedOperations, was.graph.RefusedOperations, t.mergedOperations)
	add(b.ConnectorTracegraphMergedCalls, now.graph.RefusedVariants, was.graph.RefusedVariants, t.mergedVariants)
	for i := range now.graph.RefusedLabels {
		add(b.ConnectorTracegraphRefusedLabels, now.graph.RefusedLabels[i], was.graph.RefusedLabels[i], t.labels[i])
	}
	add(b.ConnectorTracegraphExpiredEdges, now.graph.ExpiredEdges, was.graph.ExpiredEdges, nil)
	c.seen = now
}
