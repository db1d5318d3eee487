// Package safety maps where it is safe to operate: what users of the simulated shop get at rising request rates, with all of its pods and with
// some of them gone.
package safety

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/experiments/internal/experiment"
	"github.com/paramedic-otel/paramedic/experiments/internal/plots"
	"github.com/paramedic-otel/paramedic/experiments/internal/result"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

// Name is that of the experiment.
const Name = "safe-operation"

const (
	// bucket is the time over which a point is measured, settle how long a level lasts before it is.
	bucket = 10 * time.Second
	settle = 20 * time.Second
	// Points at each level, and at each in the quick subset.
	points, quickPoints = 6, 2
	// Users are served well up to this 99th percentile and this share of errors.
	goodLatency = time.Second
	goodErrors  = 0.01
)

// demands are those that are tried, as factors on what the shop is sized for.
var demands = []float64{0.2, 0.5, 0.8, 1.1, 1.4, 1.7, 2, 2.2, 2.4, 2.6, 2.8, 3, 3.2, 3.4, 3.7, 4}

// capacities are the shares of the pods that are there.
var capacities = []float64{1, 2.0 / 3, 1.0 / 3}

// Experiment is what the command runs.
func Experiment() experiment.Experiment {
	return experiment.Experiment{Name: Name, Clock: result.Simulated, Run: run}
}

// point is what users got in a bucket.
type point struct{ rate, latency, errors float64 }

func run(ctx context.Context, o experiment.Options) (*result.Result, error) {
	type job struct {
		seed     uint64
		capacity float64
	}
	var jobs []job
	for _, seed := range o.Seeds {
		for _, c := range capacities {
			jobs = append(jobs, job{seed, c})
		}
	}
	n := points
	if o.Quick {
		n = quickPoints
	}
	swept := make([][][]point, len(jobs))
	if err := experiment.Each(ctx, o.Parallel, len(jobs), func(ctx context.Context, i int) (err error) {
		swept[i], err = sweep(ctx, jobs[i].seed, jobs[i].capacity, n)
		return err
	}); err != nil {
		return nil, err
	}
	r := &result.Result{
		Name: Name, Number: 8, Title: "Where it is safe to operate", Clock: result.Simulated, Seeds: o.Seeds,
		About: fmt.Sprintf("The simulated shop alone, without any of our components, under demands from a fifth to four times of what it is sized for, with all of its pods, "+
			"two thirds and a third of them. A point is %s: request rate, 99th percentile of the latency of users' requests, share of errors. The picture shows them with "+
			"the contours of the errors.", bucket),
	}
	series := result.Series{
		Plot: plots.SafeOperation, Name: "Safe operation: errors over request rate and latency", XUnit: "requests per second",
		YUnit: "99th percentile of latency, s",
	}
	table := result.Table{
		Title: "Highest demand that is served well", Head: []string{"pods", "requests per second"},
		Note: fmt.Sprintf("Well is a median of the 99th percentiles up to %s and errors up to %.0f %% over all points at this demand, and at all below it.", goodLatency, 100*goodErrors),
	}
	for _, c := range capacities {
		var perSeed []float64
		for i, j := range jobs {
			if j.capacity != c {
				continue
			}
			perSeed = append(perSeed, safeUpTo(swept[i]))
			for _, level := range swept[i] {
				for _, p := range level {
					series.Points = append(series.Points, []float64{p.rate, p.latency, p.errors})
				}
			}
		}
		name := fmt.Sprintf("%.0f %% of the pods", 100*c)
		median := result.Summarise(perSeed, 0).Median
		r.AddFigure("highest demand that is served well", "/s", name, "", *median, perSeed)
		table.Rows = append(table.Rows, []string{name, fmt.Sprintf("%.1f", *median)})
		if c == 1 {
			series.Marks = append(series.Marks, result.Mark{Name: "safe with all pods", X: *median})
		}
	}
	r.Series = append(r.Series, series)
	r.Tables = append(r.Tables, table)
	return r, nil
}

// safeUpTo is the highest mean rate of a level such that it and all below are served well.
func safeUpTo(levels [][]point) float64 {
	best := 0.0
	for _, level := range levels {
		var requests, failed float64
		var latencies []float64
		for _, p := range level {
			requests += p.rate
			failed += p.rate * p.errors
			latencies = append(latencies, p.latency)
		}
		if requests == 0 || failed/requests > goodErrors || *result.Summarise(latencies, 0).Median > goodLatency.Seconds() {
			break
		}
		best = requests / float64(len(level))
	}
	return best
}

// sweep raises the demand step by step.
func sweep(ctx context.Context, seed uint64, capacity float64, n int) ([][]point, error) {
	cfg := shop.DefaultConfig()
	cfg.Seed, cfg.MetricsOnly = seed, true
	cfg.Start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	cfg.Period = 31 * 24 * time.Hour // flat meanwhile
	var took []float64
	failed := 0
	cfg.Watch = func(e shop.Experience) {
		if e.Message {
			return
		}
		took = append(took, e.Took.Seconds())
		if e.Failed {
			failed++
		}
	}
	s, err := shop.New(cfg)
	if err != nil {
		return nil, err
	}
	s.Tick()
	curve := s.State().Load / cfg.Rate
	for _, svc := range s.State().Services {
		replicas := max(1, int(float64(svc.Replicas)*capacity+0.5))
		if replicas == svc.Replicas {
			continue
		}
		if _, err := s.Act(shop.Action{Name: shop.Scale, Service: svc.Name, Replicas: replicas}); err != nil {
			return nil, err
		}
	}
	var levels [][]point
	for _, demand := range demands {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.SetLoad(demand/curve, 0); err != nil {
			return nil, err
		}
		for range int(settle / shop.TickLength) {
			s.Tick()
		}
		var level []point
		for range n {
			took, failed = took[:0], 0
			for range int(bucket / shop.TickLength) {
				s.Tick()
			}
			if len(took) == 0 {
				continue
			}
			slices.Sort(took)
			level = append(level, point{
				rate: float64(len(took)) / bucket.Seconds(), latency: took[len(took)*99/100], errors: float64(failed) / float64(len(took)),
			})
		}
		levels = append(levels, level)
	}
	return levels, nil
}
