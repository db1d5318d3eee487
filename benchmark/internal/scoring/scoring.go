// Package scoring runs the anomaly processor in the benchmark's own process, through its factory, and reads the scores
// that it adds.
package scoring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Score is one anomaly.score point. Resource and Point are valid only while it is being read.
type Score struct {
	Resource pcommon.Map
	Point    pmetric.NumberDataPoint
}

// At is the time of the scored point, Onset that of the first point of its episode.
func (s Score) At() time.Time    { return s.Point.Timestamp().AsTime() }
func (s Score) Onset() time.Time { return s.Point.StartTimestamp().AsTime() }

// Value is the score, 0 to 1.
func (s Score) Value() float64 { return s.Point.DoubleValue() }

// Metric and Signal name the scored signal.
func (s Score) Metric() string { return s.attribute(semconv.AttrAnomalyMetric) }

// Signal names what of the metric was scored.
func (s Score) Signal() string { return s.attribute(semconv.AttrAnomalySignal) }

func (s Score) attribute(name string) string {
	v, _ := s.Point.Attributes().Get(name)
	return v.AsString()
}

// Processor is a running anomaly processor.
type Processor struct {
	metrics processor.Metrics
}

// DefaultConfig returns the processor's default configuration.
func DefaultConfig() *anomalyprocessor.Config {
	return anomalyprocessor.NewFactory().CreateDefaultConfig().(*anomalyprocessor.Config)
}

// New makes and starts a processor that calls read with every score. It must be ended with Close.
func New(ctx context.Context, cfg *anomalyprocessor.Config, read func(Score)) (*Processor, error) {
	return NewWithHost(ctx, cfg, componenttest.NewNopHost(), read)
}

// NewWithHost is New on a host, for its extensions.
func NewWithHost(ctx context.Context, cfg *anomalyprocessor.Config, host component.Host, read func(Score)) (*Processor, error) {
	sink, err := consumer.NewMetrics(func(_ context.Context, md pmetric.Metrics) error {
		visit(md, read)
		return nil
	})
	if err != nil {
		return nil, err
	}
	set := componenttest.NewNopTelemetrySettings()
	set.Logger = zap.NewNop()
	factory := anomalyprocessor.NewFactory()
	p, err := factory.CreateMetrics(ctx, processor.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: set}, cfg, sink)
	if err != nil {
		return nil, fmt.Errorf("create anomaly processor: %w", err)
	}
	if err := p.Start(ctx, host); err != nil {
		return nil, errors.Join(fmt.Errorf("start anomaly processor: %w", err), p.Shutdown(ctx))
	}
	return &Processor{metrics: p}, nil
}

// Consume scores metrics; read is called before it returns.
func (p *Processor) Consume(ctx context.Context, md pmetric.Metrics) error {
	return p.metrics.ConsumeMetrics(ctx, md)
}

// Close shuts the processor down.
func (p *Processor) Close(ctx context.Context) error { return p.metrics.Shutdown(ctx) }

// visit hands every score to read. Scores stand in the last scope of a resource.
func visit(md pmetric.Metrics, read func(Score)) {
	for _, rm := range md.ResourceMetrics().All() {
		scopes := rm.ScopeMetrics()
		if scopes.Len() == 0 {
			continue
		}
		for _, m := range scopes.At(scopes.Len() - 1).Metrics().All() {
			if m.Name() != semconv.MetricAnomalyScore {
				continue
			}
			for _, p := range m.Gauge().DataPoints().All() {
				read(Score{Resource: rm.Resource().Attributes(), Point: p})
			}
		}
	}
}
