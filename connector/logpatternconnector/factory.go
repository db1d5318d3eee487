package logpatternconnector

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"

	"github.com/paramedic-otel/paramedic/connector/logpatternconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/internal/sharedengine"
)

// NewFactory returns the factory of the logpattern connector.
func NewFactory() connector.Factory {
	f := &factory{}
	return connector.NewFactory(
		metadata.Type,
		createDefaultConfig,
		connector.WithLogsToLogs(f.createLogsToLogs, metadata.LogsToLogsStability),
		connector.WithLogsToMetrics(f.createLogsToMetrics, metadata.LogsToMetricsStability),
	)
}

type factory struct {
	engines sharedengine.Set[*Config, *engine]
}

func (f *factory) createLogsToLogs(_ context.Context, set connector.Settings, cfg component.Config, next consumer.Logs) (connector.Logs, error) {
	lease, err := f.lease(set, cfg.(*Config))
	if err != nil {
		return nil, err
	}
	return &logsView{view: view{lease: lease}, cfg: cfg.(*Config), next: next}, nil
}

func (f *factory) createLogsToMetrics(_ context.Context, set connector.Settings, cfg component.Config, next consumer.Metrics) (connector.Logs, error) {
	lease, err := f.lease(set, cfg.(*Config))
	if err != nil {
		return nil, err
	}
	return &metricsView{view: view{lease: lease}, next: next}, nil
}

func (f *factory) lease(set connector.Settings, cfg *Config) (*sharedengine.Lease[*Config, *engine], error) {
	return f.engines.Lease(cfg, func() (*engine, error) { return newEngine(cfg, set) })
}
