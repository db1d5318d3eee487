// Package loop runs the real detection and diagnosis components in one process, wired as the quickstart configuration
// wires them, for benchmarks and tests that feed them recorded or simulated telemetry.
package loop

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector"
	"github.com/paramedic-otel/paramedic/connector/tracegraphconnector"
	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Loop takes telemetry in and collects the incident events that come of it.
type Loop struct {
	Traces  consumer.Traces
	Metrics consumer.Metrics
	Logs    consumer.Logs

	running []component.Component

	mu sync.Mutex
	// mu guards everything below.
	events []semconv.IncidentEvent
}

// Configs are the configurations of the components; Default returns their defaults.
type Configs struct {
	Tracegraph *tracegraphconnector.Config
	Anomaly    *anomalyprocessor.Config
	Incident   *incidentconnector.Config
	// Logger takes what the incident connector logs; nil drops it.
	Logger *zap.Logger
	// Graph and Scores, when they are set, see the service graph and the scored metrics before the incident connector does,
	// and may change them.
	Graph, Scores func(pmetric.Metrics)
}

// Default returns the default configurations.
func Default() Configs {
	return Configs{
		Tracegraph: tracegraphconnector.NewFactory().CreateDefaultConfig().(*tracegraphconnector.Config),
		Anomaly:    anomalyprocessor.NewFactory().CreateDefaultConfig().(*anomalyprocessor.Config),
		Incident:   incidentconnector.NewFactory().CreateDefaultConfig().(*incidentconnector.Config),
	}
}

// New makes and starts a loop. It must be ended with Close.
func New(ctx context.Context, cfg Configs) (*Loop, error) {
	l := &Loop{}
	sink, err := consumer.NewLogs(l.collect)
	if err != nil {
		return nil, err
	}
	set := componenttest.NewNopTelemetrySettings()
	set.Logger = zap.NewNop()
	connectorSettings := func(f connector.Factory) connector.Settings {
		return connector.Settings{ID: component.NewID(f.Type()), TelemetrySettings: set}
	}
	incidents := incidentconnector.NewFactory()
	incidentSettings := connectorSettings(incidents)
	if cfg.Logger != nil {
		incidentSettings.Logger = cfg.Logger
	}
	metricsIn, err := incidents.CreateMetricsToLogs(ctx, incidentSettings, cfg.Incident, sink)
	if err != nil {
		return nil, fmt.Errorf("create incident connector for metrics: %w", err)
	}
	logsIn, err := incidents.CreateLogsToLogs(ctx, incidentSettings, cfg.Incident, sink)
	if err != nil {
		return nil, fmt.Errorf("create incident connector for logs: %w", err)
	}
	scores, err := tap(cfg.Scores, metricsIn)
	if err != nil {
		return nil, err
	}
	edges, err := tap(cfg.Graph, metricsIn)
	if err != nil {
		return nil, err
	}
	anomalies := anomalyprocessor.NewFactory()
	scored, err := anomalies.CreateMetrics(ctx, processor.Settings{ID: component.NewID(anomalies.Type()), TelemetrySettings: set}, cfg.Anomaly, scores)
	if err != nil {
		return nil, fmt.Errorf("create anomaly processor: %w", err)
	}
	graphs := tracegraphconnector.NewFactory()
	graph, err := graphs.CreateTracesToMetrics(ctx, connectorSettings(graphs), cfg.Tracegraph, edges)
	if err != nil {
		return nil, fmt.Errorf("create tracegraph connector: %w", err)
	}
	// What is fed comes last, so that all that it feeds runs already.
	for _, c := range []component.Component{metricsIn, logsIn, scored, graph} {
		if err := c.Start(ctx, componenttest.NewNopHost()); err != nil {
			return nil, errors.Join(err, l.Close(ctx))
		}
		l.running = append(l.running, c)
	}
	l.Traces, l.Metrics, l.Logs = graph, scored, logsIn
	return l, nil
}

// tap returns a consumer that shows metrics to see before it hands them on.
func tap(see func(pmetric.Metrics), next consumer.Metrics) (consumer.Metrics, error) {
	if see == nil {
		return next, nil
	}
	return consumer.NewMetrics(func(ctx context.Context, md pmetric.Metrics) error {
		see(md)
		return next.ConsumeMetrics(ctx, md)
	}, consumer.WithCapabilities(consumer.Capabilities{MutatesData: true}))
}

// Close shuts the components down, the feeding ones first.
func (l *Loop) Close(ctx context.Context) error {
	var errs []error
	for i := len(l.running) - 1; i >= 0; i-- {
		errs = append(errs, l.running[i].Shutdown(ctx))
	}
	l.running = nil
	return errors.Join(errs...)
}

// Events returns and forgets the incident events so far.
func (l *Loop) Events() []semconv.IncidentEvent {
	l.mu.Lock()
	defer l.mu.Unlock()
	events := l.events
	l.events = nil
	return events
}

func (l *Loop) collect(_ context.Context, ld plog.Logs) error {
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				event, err := semconv.DecodeIncidentEvent(lr)
				if err != nil {
					return err
				}
				l.mu.Lock()
				l.events = append(l.events, event)
				l.mu.Unlock()
			}
		}
	}
	return nil
}

// Feed hands over whichever of the three is not empty.
func (l *Loop) Feed(ctx context.Context, td ptrace.Traces, md pmetric.Metrics, ld plog.Logs) error {
	var errs []error
	if td != (ptrace.Traces{}) && td.SpanCount() > 0 {
		errs = append(errs, l.Traces.ConsumeTraces(ctx, td))
	}
	if md != (pmetric.Metrics{}) && md.DataPointCount() > 0 {
		errs = append(errs, l.Metrics.ConsumeMetrics(ctx, md))
	}
	if ld != (plog.Logs{}) && ld.LogRecordCount() > 0 {
		errs = append(errs, l.Logs.ConsumeLogs(ctx, ld))
	}
	return errors.Join(errs...)
}
