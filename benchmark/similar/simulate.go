package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/paramedic-otel/paramedic/benchmark/loop"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// injection is one fault in a shop of its own, and what was told of the incident that it became.
type injection struct {
	// Draw is the seed of the plan, Seed that of the shop.
	Draw     int            `json:"draw"`
	Seed     uint64         `json:"seed"`
	Kind     shop.FaultKind `json:"kind"`
	Service  string         `json:"service"`
	Severity float64        `json:"severity"`
	// Onset is when it is injected, from the start of the simulation.
	Onset time.Duration `json:"onset"`
	// Events are those of the incident with the most events; empty when there was none.
	Events []event `json:"events"`
}

// event is one event in the life of an incident.
type event struct {
	Name     semconv.EventName  `json:"name"`
	Time     time.Time          `json:"time"`
	Incident eventdata.Incident `json:"incident"`
}

// Bounds of what is drawn, as in benchmark/incidents.
const (
	leastSeverity, mostSeverity = 0.7, 1.5
	phases                      = 20
)

// newPlan draws repeats of every fault at every service where it has one right answer, in an order of its own.
func newPlan(o options, draw int) []injection {
	rng := rand.New(rand.NewPCG(uint64(draw), 6)) //nolint:gosec // repeatable on purpose
	var plan []injection
	for _, kind := range shop.FaultKinds() {
		services := shop.Targets(kind)
		rng.Shuffle(len(services), func(i, j int) { services[i], services[j] = services[j], services[i] })
		for _, service := range services[:min(len(services), o.services)] {
			for range o.repeats {
				severity := leastSeverity * math.Pow(mostSeverity/leastSeverity, rng.Float64())
				plan = append(plan, injection{
					Draw: draw, Seed: rng.Uint64(), Kind: kind, Service: service, Severity: math.Round(severity*100) / 100,
					Onset: o.learn + time.Duration(rng.IntN(phases))*time.Second,
				})
			}
		}
	}
	rng.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	return plan
}

// simulate runs all injections through the components.
func simulate(ctx context.Context, o options, plan []injection) error {
	errs := make([]error, len(plan))
	next := make(chan int)
	var wait sync.WaitGroup
	for range o.workers {
		wait.Go(func() {
			for i := range next {
				errs[i] = plan[i].run(ctx, o)
			}
		})
	}
	for i := range plan {
		next <- i
	}
	close(next)
	wait.Wait()
	return errors.Join(errs...)
}

// run injects the fault and keeps what was told of its incident.
func (f *injection) run(ctx context.Context, o options) (err error) {
	cfg := shop.DefaultConfig()
	cfg.Seed = f.Seed
	// Each shop at another time of day, and so under another load.
	cfg.Start = time.Date(2026, 3, 2, int(f.Seed%24), 0, 0, 0, time.UTC)
	cfg.Faults = []shop.ScheduledFault{{
		Fault: shop.Fault{Kind: f.Kind, Service: f.Service, Severity: f.Severity, Duration: o.watch}, Offset: f.Onset,
	}}
	sim, err := shop.New(cfg)
	if err != nil {
		return fmt.Errorf("%s at %s: %w", f.Kind, f.Service, err)
	}
	l, err := loop.New(ctx, loop.Default())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close(ctx)) }()
	told := map[string][]event{}
	var order []string
	for range int((f.Onset + o.watch + o.after) / shop.TickLength) {
		td, md, ld := sim.Tick()
		if err := l.Feed(ctx, td, md, ld); err != nil {
			return err
		}
		for _, e := range l.Events() {
			id := e.Incident.ID
			if told[id] == nil {
				order = append(order, id)
			}
			told[id] = append(told[id], event{Name: e.Name, Time: sim.Now(), Incident: dataOf(&e.Incident)})
		}
	}
	for _, id := range order {
		if len(told[id]) > len(f.Events) {
			f.Events = told[id]
		}
	}
	return nil
}
