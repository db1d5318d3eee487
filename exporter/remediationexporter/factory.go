package remediationexporter

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/exporter/remediationexporter/internal/metadata"
	"github.com/paramedic-otel/paramedic/internal/sharedengine"
)

// NewFactory returns the factory of the remediation exporter.
func NewFactory() exporter.Factory {
	f := &factory{}
	return exporter.NewFactory(metadata.Type, createDefaultConfig,
		exporter.WithLogs(f.createLogs, metadata.LogsStability), exporter.WithMetrics(f.createMetrics, metadata.MetricsStability))
}

// factory keeps one engine for each configuration: the pipelines of both signals lead to it.
type factory struct {
	engines sharedengine.Set[*Config, *remediationExporter]
}

func (f *factory) createLogs(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Logs, error) {
	v, err := f.newView(ctx, set, cfg)
	if err != nil {
		return nil, err
	}
	return &logsView{v}, nil
}

func (f *factory) createMetrics(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Metrics, error) {
	v, err := f.newView(ctx, set, cfg)
	if err != nil {
		return nil, err
	}
	v.lease.Engine().fed = true
	return &metricsView{v}, nil
}

func (f *factory) newView(ctx context.Context, set exporter.Settings, cfg component.Config) (view, error) {
	config := cfg.(*Config)
	lease, err := f.engines.Lease(config, func() (*remediationExporter, error) { return newRemediationExporter(ctx, set, config) })
	return view{lease}, err
}

// view is the exporter as the pipelines of one signal see it.
type view struct {
	lease *sharedengine.Lease[*Config, *remediationExporter]
}

// Start starts the engine, unless the other view has.
func (v view) Start(ctx context.Context, host component.Host) error { return v.lease.Start(ctx, host) }

// Shutdown stops the engine with the last view.
func (v view) Shutdown(ctx context.Context) error { return v.lease.Shutdown(ctx) }

// Capabilities implements consumer: data are only read.
func (view) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

type logsView struct{ view }

// ConsumeLogs takes incident events.
func (v *logsView) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	return v.lease.Engine().ConsumeLogs(ctx, ld)
}

type metricsView struct{ view }

// ConsumeMetrics takes the series that signals select.
func (v *metricsView) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	return v.lease.Engine().ConsumeMetrics(ctx, md)
}
