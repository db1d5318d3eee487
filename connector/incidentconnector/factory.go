package incidentconnector

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/internal/sharedengine"
)

// NewFactory returns the factory of the incident connector.
func NewFactory() connector.Factory {
	f := &factory{}
	return connector.NewFactory(
		metadata.Type,
		createDefaultConfig,
		connector.WithMetricsToLogs(f.createMetricsToLogs, metadata.MetricsToLogsStability),
		connector.WithLogsToLogs(f.createLogsToLogs, metadata.LogsToLogsStability),
		connector.WithMetricsToMetrics(f.createMetricsToMetrics, metadata.MetricsToMetricsStability),
		connector.WithLogsToMetrics(f.createLogsToMetrics, metadata.LogsToMetricsStability),
	)
}

type factory struct {
	engines sharedengine.Set[*Config, *engine]
}

func (f *factory) createMetricsToLogs(_ context.Context, set connector.Settings, cfg component.Config, next consumer.Logs) (connector.Metrics, error) {
	v, err := f.newView(set, cfg, view{input: inputMetrics, next: next})
	if err != nil {
		return nil, err
	}
	return &metricsView{v}, nil
}

func (f *factory) createLogsToLogs(_ context.Context, set connector.Settings, cfg component.Config, next consumer.Logs) (connector.Logs, error) {
	v, err := f.newView(set, cfg, view{input: inputLogs, next: next})
	if err != nil {
		return nil, err
	}
	return &logsView{v}, nil
}

func (f *factory) createMetricsToMetrics(_ context.Context, set connector.Settings, cfg component.Config, next consumer.Metrics) (connector.Metrics, error) {
	v, err := f.newView(set, cfg, view{input: inputMetrics, nextMetrics: next})
	if err != nil {
		return nil, err
	}
	return &metricsView{v}, nil
}

func (f *factory) createLogsToMetrics(_ context.Context, set connector.Settings, cfg component.Config, next consumer.Metrics) (connector.Logs, error) {
	v, err := f.newView(set, cfg, view{input: inputLogs, nextMetrics: next})
	if err != nil {
		return nil, err
	}
	return &logsView{v}, nil
}

// newView returns a view that sends to where v does.
func (f *factory) newView(set connector.Settings, cfg component.Config, v view) (*view, error) {
	config := cfg.(*Config)
	lease, err := f.engines.Lease(config, func() (*engine, error) { return newEngine(config, set) })
	if err != nil {
		return nil, err
	}
	v.lease = lease
	if v.next != nil {
		lease.Engine().outbox.want()
	}
	return &v, nil
}
