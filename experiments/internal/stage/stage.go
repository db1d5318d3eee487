package stage

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/benchmark/loop"
	"github.com/paramedic-otel/paramedic/experiments/internal/thresholds"
	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Config says what is on the stage.
type Config struct {
	// Shop is the simulation; its Watch is taken.
	Shop shop.Config
	// Unwatched leaves our components out, and with them traces and logs, which nobody else reads.
	Unwatched bool
	// Scores, if it is set, sees the scored metrics.
	Scores func(pmetric.Metrics)
	// Lost, if it is set, says whether the telemetry of the present second never arrives.
	Lost func(now time.Time) bool
}

// Stage is a shop that is being watched.
type Stage struct {
	Shop   *shop.Simulation
	Users  *Users
	loop   *loop.Loop
	alerts *thresholds.Monitor
	lost   func(time.Time) bool
}

// News is what one second brought.
type News struct {
	// Now is the end of the second.
	Now time.Time
	// Events are those of incidents, Alerts the static alerts that began to fire.
	Events []semconv.IncidentEvent
	Alerts []thresholds.Alert
	// Metrics are those that were exported; they may be empty.
	Metrics pmetric.Metrics
}

// Quickstart returns the configuration of the components as examples/quickstart has it.
func Quickstart() (loop.Configs, error) {
	cfg := loop.Default()
	cfg.Tracegraph.Lateness = time.Second
	cfg.Incident.Lateness = 2 * time.Second
	cfg.Incident.ResolveAfter = 30 * time.Second
	if err := xconfmap.Validate(cfg.Incident); err != nil {
		return cfg, fmt.Errorf("incident: %w", err)
	}
	return cfg, nil
}

// New sets the stage. It must be ended with Close.
func New(ctx context.Context, cfg Config) (*Stage, error) {
	s := &Stage{Users: newUsers(), alerts: thresholds.NewMonitor(thresholds.DefaultRules()), lost: cfg.Lost}
	cfg.Shop.Watch = s.Users.watch
	cfg.Shop.MetricsOnly = cfg.Unwatched
	var err error
	if s.Shop, err = shop.New(cfg.Shop); err != nil {
		return nil, err
	}
	if cfg.Unwatched {
		return s, nil
	}
	configs, err := Quickstart()
	if err != nil {
		return nil, err
	}
	configs.Scores = cfg.Scores
	s.loop, err = loop.New(ctx, configs)
	return s, err
}

// Close ends what New has begun.
func (s *Stage) Close(ctx context.Context) error {
	if s.loop == nil {
		return nil
	}
	return s.loop.Close(ctx)
}

// Tick lets a second pass.
func (s *Stage) Tick(ctx context.Context) (News, error) {
	td, md, ld := s.Shop.Tick()
	n := News{Now: s.Shop.Now(), Metrics: md}
	if s.lost != nil && s.lost(n.Now) {
		td, md, ld = ptrace.NewTraces(), pmetric.NewMetrics(), plog.NewLogs()
	}
	n.Alerts = s.alerts.Consume(md) // first, since our components own what they are given
	if s.loop == nil {
		return n, nil
	}
	if err := s.loop.Feed(ctx, td, md, ld); err != nil {
		return n, err
	}
	n.Events = s.loop.Events()
	return n, nil
}

// Run lets time pass and hands each second to see.
func (s *Stage) Run(ctx context.Context, d time.Duration, see func(News)) error {
	for range int(d / shop.TickLength) {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := s.Tick(ctx)
		if err != nil {
			return err
		}
		if see != nil {
			see(n)
		}
	}
	return nil
}
