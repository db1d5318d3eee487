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
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Score is one anomaly.score point, or one of anomaly.explanation. Resource and Point are valid only while it is being
// read.
type Score struct {
	Resource pcommon.Map
	Point    pmetric.NumberDataPoint
	// Explains is true for the score of a point of a series that the configuration wants explained. Such scores come for
	// all points, besides those that the abnormal ones have.
	Explains bool
}

// Onset is the time of the first point of the episode.
func (s Score) Onset() time.Time { return s.Point.StartTimestamp().AsTime() }

// Value is the score, 0 to 1.
func (s Score) Value() float64 { return s.Point.DoubleValue() }

// Metric is the name of the scored metric.
func (s Score) Metric() string { return s.attribute(semconv.AttrAnomalyMetric) }

// Signal names what of the metric was scored.
func (s Score) Signal() string { return s.attribute(semconv.AttrAnomalySignal) }

// Detector names the detector that gave the score.
func (s Score) Detector() string { return s.attribute(semconv.AttrAnomalyDetector) }

func (s Score) attribute(name string) string {
	v, _ := s.Point.Attributes().Get(name)
	return v.AsString()
}

// Episode follows the scores of one series and tells the point that opens an episode from those in which it goes on.
type Episode struct {
	open  bool
	onset time.Time
}

// Opens takes the next score that was sent, and says whether it opens an episode.
func (e *Episode) Opens(score float64, onset time.Time, threshold float64) bool {
	if score < threshold {
		e.open = false
		return false
	}
	opens := !e.open || !onset.Equal(e.onset)
	e.open, e.onset = true, onset
	return opens
}

// Processor is a running anomaly processor.
type Processor struct {
	metrics   processor.Metrics
	telemetry *componenttest.Telemetry
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
	telemetry := componenttest.NewTelemetry()
	set := telemetry.NewTelemetrySettings()
	set.Logger = zap.NewNop()
	factory := anomalyprocessor.NewFactory()
	p, err := factory.CreateMetrics(ctx, processor.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: set}, cfg, sink)
	if err != nil {
		return nil, fmt.Errorf("create anomaly processor: %w", err)
	}
	if err := p.Start(ctx, host); err != nil {
		return nil, errors.Join(fmt.Errorf("start anomaly processor: %w", err), p.Shutdown(ctx), telemetry.Shutdown(ctx))
	}
	return &Processor{metrics: p, telemetry: telemetry}, nil
}

// Consume scores metrics; read is called before it returns.
func (p *Processor) Consume(ctx context.Context, md pmetric.Metrics) error {
	return p.metrics.ConsumeMetrics(ctx, md)
}

// Close shuts the processor down.
func (p *Processor) Close(ctx context.Context) error {
	return errors.Join(p.metrics.Shutdown(ctx), p.telemetry.Shutdown(ctx))
}

// Held is the number of series that the processor holds: its signals.
func (p *Processor) Held() (int64, error) {
	m, err := p.telemetry.GetMetric("otelcol_processor_anomaly_held_series")
	if err != nil {
		return 0, err
	}
	var held int64
	switch data := m.Data.(type) {
	case metricdata.Gauge[int64]:
		held = data.DataPoints[0].Value
	case metricdata.Sum[int64]:
		held = data.DataPoints[0].Value
	}
	return held, nil
}

// Count is the sum of one of the processor's counters.
func (p *Processor) Count(name string) (int64, error) {
	m, err := p.telemetry.GetMetric(name)
	if err != nil {
		return 0, err
	}
	var n int64
	if data, ok := m.Data.(metricdata.Sum[int64]); ok {
		for _, point := range data.DataPoints {
			n += point.Value
		}
	}
	return n, nil
}

// visit hands every score to read. Scores stand in the last scope of a resource.
func visit(md pmetric.Metrics, read func(Score)) {
	for _, rm := range md.ResourceMetrics().All() {
		scopes := rm.ScopeMetrics()
		if scopes.Len() == 0 {
			continue
		}
		for _, m := range scopes.At(scopes.Len() - 1).Metrics().All() {
			explains := m.Name() == semconv.MetricAnomalyExplanation
			if m.Name() != semconv.MetricAnomalyScore && !explains {
				continue
			}
			for _, p := range m.Gauge().DataPoints().All() {
				read(Score{Resource: rm.Resource().Attributes(), Point: p, Explains: explains})
			}
		}
	}
}
