package logpatternconnector

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/internal/sharedengine"
)

// view is what the collector makes for one pair of signals.
type view struct {
	lease *sharedengine.Lease[*Config, *engine]
}

// logsView is the view that sends logs.
type logsView struct {
	view
	cfg  *Config
	next consumer.Logs
}

// metricsView is the view that sends metrics.
type metricsView struct {
	view
	next consumer.Metrics
}

// Start starts the engine, if this is its first view, and lets it send through this one.
func (v *logsView) Start(ctx context.Context, host component.Host) error {
	if err := v.lease.Start(ctx, host); err != nil {
		return err
	}
	e := v.lease.Engine()
	e.logsViews.Add(1)
	e.events.open(v, v.next.ConsumeLogs)
	return nil
}

// Shutdown sends what waits, closes this way out, and stops the engine if this was its last view.
func (v *logsView) Shutdown(ctx context.Context) error {
	e := v.lease.Engine()
	if e.events.opened(v) {
		e.flushAll(ctx)
		e.events.close(ctx, v)
		e.logsViews.Add(-1)
	}
	return v.lease.Shutdown(ctx)
}

// Capabilities says whether records are changed.
func (v *logsView) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: v.cfg.ForwardRecords && v.cfg.Annotate != AnnotateOff}
}

// ConsumeLogs takes records in and passes them on. The error is that of the next component.
func (v *logsView) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	e := v.lease.Engine()
	annotate := v.cfg.Annotate
	if !v.cfg.ForwardRecords {
		annotate = AnnotateOff
	}
	e.consume(ctx, ld, annotate, time.Now())
	var err error
	if v.cfg.ForwardRecords {
		err = v.next.ConsumeLogs(ctx, ld)
	}
	e.send(ctx)
	return err
}

// Start starts the engine, if this is its first view, and lets it send through this one.
func (v *metricsView) Start(ctx context.Context, host component.Host) error {
	if err := v.lease.Start(ctx, host); err != nil {
		return err
	}
	v.lease.Engine().metrics.open(v, v.next.ConsumeMetrics)
	return nil
}

// Shutdown sends what waits, closes this way out, and stops the engine if this was its last view.
func (v *metricsView) Shutdown(ctx context.Context) error {
	e := v.lease.Engine()
	if e.metrics.opened(v) {
		e.flushAll(ctx)
		e.metrics.close(ctx, v)
	}
	return v.lease.Shutdown(ctx)
}

// Capabilities says that the data are only read.
func (v *metricsView) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: false}
}

// ConsumeLogs takes records in, unless the view that sends logs does: the collector hands the same records to both.
func (v *metricsView) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	e := v.lease.Engine()
	if e.logsViews.Load() == 0 {
		e.consume(ctx, ld, AnnotateOff, time.Now())
		e.send(ctx)
	}
	return nil
}
