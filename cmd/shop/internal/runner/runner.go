// Package runner drives the simulated shop: in step with the wall clock, faster by a factor, or as fast as the sink takes
// the telemetry.
package runner

import (
	"context"
	"fmt"
	"time"

	"github.com/paramedic-otel/paramedic/cmd/shop/internal/sink"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

// Runner moves a simulation on and its telemetry into a sink.
type Runner struct {
	Simulation *shop.Simulation
	Sink       sink.Sink
	// Speed is simulated time per real time; 0 is as fast as the sink allows.
	Speed float64
	// Duration is the simulated time after which Run returns; 0 is never.
	Duration time.Duration
	// Status, if set, is called after ticks, at most once each StatusEvery of real time.
	Status      func()
	StatusEvery time.Duration
}

// Run returns nil when the duration is over and the context's error when that is done before. The telemetry of a tick is
// sent at its end. A run that fell behind, because the sink was away, catches up without leaving anything out.
func (r *Runner) Run(ctx context.Context) error {
	begin := time.Now()
	reported := begin
	for n := time.Duration(1); r.Duration == 0 || n*shop.TickLength <= r.Duration; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.Speed > 0 {
			if err := sleep(ctx, time.Until(begin.Add(time.Duration(float64(n*shop.TickLength)/r.Speed)))); err != nil {
				return err
			}
		}
		traces, metrics, logs := r.Simulation.Tick()
		if err := r.Sink.Send(ctx, sink.Batch{Traces: traces, Metrics: metrics, Logs: logs}); err != nil {
			return fmt.Errorf("send telemetry: %w", err)
		}
		if now := time.Now(); r.Status != nil && now.Sub(reported) >= r.StatusEvery {
			reported = now
			r.Status()
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
