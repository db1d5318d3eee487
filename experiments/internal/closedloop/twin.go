package closedloop

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/experiments/internal/thresholds"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

const (
	twinLearn = 2 * time.Minute
	// twinWatch is how long a fault is left alone to see whether static thresholds find it.
	twinWatch = 12 * time.Minute
)

// twin is a fault that nobody does anything about, in simulated time: what static thresholds say of it, and what people who wait
// for them, or for complaints, take by [thresholds.People].
type twin struct {
	// Alerted is when the first alert fired, in seconds since the fault; nil is never. Right says that it was of the faulty service.
	Alerted *float64
	Right   bool
	// Impact is the greatest share of services that fared worse at a time.
	Impact float64
	// Degraded is the mean number of services that fare worse in a second.
	Degraded float64
	Times    thresholds.Times
}

func playTwin(seed uint64, f shop.Fault) (twin, error) {
	v := newVitals()
	cfg := shop.DefaultConfig()
	cfg.Seed, cfg.Rate, cfg.Steady, cfg.MetricsInterval = seed, rate, true, metricsInterval
	cfg.Start = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	cfg.Watch = v.experienced
	simulation, err := shop.New(cfg)
	if err != nil {
		return twin{}, err
	}
	monitor := thresholds.NewMonitor(thresholds.DefaultRules())
	t := twin{Times: thresholds.DefaultPeople().Draw(rand.New(rand.NewPCG(seed, uint64(len(f.Kind)))))} //nolint:gosec // a repeatable draw
	service := ""
	for at := time.Duration(0); at < twinLearn+twinWatch; at += shop.TickLength {
		if at == twinLearn {
			v.learnt()
			status, err := simulation.Inject(f)
			if err != nil {
				return twin{}, err
			}
			service = status.Service
		}
		traces, metrics, _ := simulation.Tick()
		v.saw(traces)
		v.second()
		alerts := monitor.Consume(metrics)
		if at < twinLearn {
			continue
		}
		state := simulation.State()
		hurt := float64(len(v.impact(&state)))
		t.Impact = max(t.Impact, hurt/float64(len(state.Services)))
		t.Degraded += hurt * shop.TickLength.Seconds() / twinWatch.Seconds()
		if len(alerts) > 0 && t.Alerted == nil {
			after := (at + shop.TickLength - twinLearn).Seconds()
			t.Alerted = &after
			t.Right = slices.ContainsFunc(alerts, func(a thresholds.Alert) bool { return workload(a.Service) == service })
		}
	}
	return t, nil
}
