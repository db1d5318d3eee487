package incidentconnector

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/sharedengine"
)

// view is the part of the connector that the collector makes for one pair of signals.
type view struct {
	lease *sharedengine.Lease[*Config, *engine]
	input input
	// Either of both is where it sends.
	next        consumer.Logs
	nextMetrics consumer.Metrics
}

type (
	metricsView struct{ *view }
	logsView    struct{ *view }
)

// Start starts the engine, if this is its first view, and lets it send through this one.
func (v *view) Start(ctx context.Context, host component.Host) error {
	if err := v.lease.Start(ctx, host); err != nil {
		return err
	}
	engine := v.lease.Engine()
	engine.intake.start(v)
	if v.nextMetrics != nil {
		engine.measures.open(v)
		return nil
	}
	engine.outbox.open(v)
	return nil
}

// Shutdown sends what waits, closes this way out, and stops the engine if this was its last view. Open
// incidents stay open for whoever was told of them: that nobody watches them any more does not end them.
func (v *view) Shutdown(ctx context.Context) error {
	engine := v.lease.Engine()
	engine.intake.stop(v)
	if v.nextMetrics != nil {
		engine.measures.drain(ctx)
		engine.measures.close(v)
		return v.lease.Shutdown(ctx)
	}
	engine.outbox.drain(ctx)
	engine.outbox.close(v)
	return v.lease.Shutdown(ctx)
}

// Capabilities says that the data are only read.
func (v *view) Capabilities() consumer.Capabilities { return consumer.Capabilities{MutatesData: false} }

// ConsumeMetrics takes anomaly scores and service graph metrics. It never fails: data that say nothing are counted.
func (v *metricsView) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	if engine := v.lease.Engine(); engine.intake.takes(v.view) {
		engine.consumeMetrics(ctx, md)
	}
	return nil
}

// ConsumeLogs takes log records and change events. It never fails: data that say nothing are counted.
func (v *logsView) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	if engine := v.lease.Engine(); engine.intake.takes(v.view) {
		engine.consumeLogs(ctx, ld)
	}
	return nil
}
