// Command shop measures detection and diagnosis on faults of the simulated shop, and false alarms without any, through
// the real components on simulated time.
//
//	go run ./benchmark/shop -learn 3m -seeds 3 -calm 1h
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/paramedic-otel/paramedic/benchmark/loop"
	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

type options struct {
	learn, watch, calm time.Duration
	bucket, lateness   time.Duration
	seeds              int
	rate               float64
	fault              string
	verbose            bool
}

func main() {
	var o options
	flag.DurationVar(&o.learn, "learn", 3*time.Minute, "simulated time before a fault")
	flag.DurationVar(&o.watch, "watch", 2*time.Minute, "simulated time to watch a fault, and again its cure")
	flag.DurationVar(&o.calm, "calm", time.Hour, "simulated time without a fault for each seed; 0 is none")
	flag.DurationVar(&o.bucket, "bucket", 0, "width of a bucket and of the graph's intervals; 0 takes the defaults")
	flag.DurationVar(&o.lateness, "lateness", 0, "how long the graph waits for late spans, and the incidents one second more; 0 takes the defaults")
	flag.IntVar(&o.seeds, "seeds", 3, "how many seeds to try")
	flag.Float64Var(&o.rate, "rate", shop.DefaultConfig().Rate, "mean user requests a second")
	flag.StringVar(&o.fault, "fault", "", "only this kind of fault")
	flag.BoolVar(&o.verbose, "v", false, "print every incident event")
	flag.Parse()
	if flag.NArg() > 0 || o.seeds < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

// outcome is what became of one fault.
type outcome struct {
	detected, right, named3, recovered bool
	delay, repair                      time.Duration
	kind, cause                        string
	confidence                         float64
	before                             int
}

func run(ctx context.Context, o options, w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "fault\tdetected\tmedian delay\ttop-1\ttop-3\trecovery seen\tmedian time to recovery\tfalse alarms before\tnamed\t\n")
	var all []outcome
	kinds := shop.SteadyFaultKinds()
	if o.fault != "" {
		kinds = shop.FaultKinds()
	}
	for _, kind := range kinds {
		if o.fault != "" && o.fault != string(kind) {
			continue
		}
		var outcomes []outcome
		for seed := range o.seeds {
			got, err := try(ctx, o, kind, uint64(seed+1), w)
			if err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
			outcomes = append(outcomes, got)
		}
		all = append(all, outcomes...)
		row(t, string(kind), outcomes)
	}
	row(t, "all", all)
	t.Flush()
	if o.calm <= 0 {
		return nil
	}
	alarms := 0
	for seed := range o.seeds {
		n, err := calm(ctx, o, uint64(seed+1), w)
		if err != nil {
			return err
		}
		alarms += n
	}
	fmt.Fprintf(w, "without faults: %d incidents in %d runs of %s\n", alarms, o.seeds, o.calm)
	return nil
}

// runner drives one simulation through one loop.
type runner struct {
	sim     *shop.Simulation
	loop    *loop.Loop
	verbose bool
	w       io.Writer
}

func newRunner(ctx context.Context, seed uint64, o options, w io.Writer) (*runner, error) {
	cfg := shop.DefaultConfig()
	cfg.Seed = seed
	cfg.Rate = o.rate
	cfg.Start = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	sim, err := shop.New(cfg)
	if err != nil {
		return nil, err
	}
	configs := loop.Default()
	if o.bucket > 0 {
		configs.Incident.Bucket, configs.Tracegraph.FlushInterval = o.bucket, o.bucket
	}
	if o.lateness > 0 {
		configs.Incident.Lateness, configs.Tracegraph.Lateness = o.lateness+time.Second, o.lateness
	}
	if err := xconfmap.Validate(configs.Incident); err != nil {
		return nil, fmt.Errorf("incident: %w", err)
	}
	l, err := loop.New(ctx, configs)
	if err != nil {
		return nil, err
	}
	return &runner{sim: sim, loop: l, verbose: o.verbose, w: w}, nil
}

// run simulates until the time is over or stop says so for an event.
func (r *runner) run(ctx context.Context, d time.Duration, stop func(semconv.IncidentEvent) bool) error {
	for range int(d / shop.TickLength) {
		td, md, ld := r.sim.Tick()
		if err := r.loop.Feed(ctx, td, md, ld); err != nil {
			return err
		}
		for _, e := range r.loop.Events() {
			if r.verbose {
				describe(r.w, e)
			}
			if stop(e) {
				return nil
			}
		}
	}
	return nil
}

func try(ctx context.Context, o options, kind shop.FaultKind, seed uint64, w io.Writer) (out outcome, err error) {
	r, err := newRunner(ctx, seed, o, w)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, r.loop.Close(ctx)) }()
	if err := r.run(ctx, o.learn, func(e semconv.IncidentEvent) bool {
		if e.Name == semconv.EventIncidentOpened {
			out.before++
		}
		return false
	}); err != nil {
		return out, err
	}
	status, err := r.sim.Inject(shop.Fault{Kind: kind})
	if err != nil {
		return out, err
	}
	injected := r.sim.Now()
	var incident semconv.Incident
	if err := r.run(ctx, o.watch, func(e semconv.IncidentEvent) bool {
		if e.Name != semconv.EventIncidentOpened {
			return false
		}
		incident = e.Incident
		out.detected = true
		out.delay = r.sim.Now().Sub(injected)
		cause := e.Incident.Cause()
		out.cause, out.kind, out.confidence = bare(cause.Entity.Name), string(cause.Kind), cause.Confidence
		for i, c := range e.Incident.Causes[:min(3, len(e.Incident.Causes))] {
			if bare(c.Entity.Name) == status.Service {
				out.right, out.named3 = out.right || i == 0, true
			}
		}
		return true
	}); err != nil || !out.detected {
		return out, err
	}
	if _, err := r.sim.Act(shop.Action{Name: status.Cure, Service: status.Service}); err != nil {
		return out, err
	}
	err = r.run(ctx, o.watch+time.Minute, func(e semconv.IncidentEvent) bool {
		if e.Name != semconv.EventIncidentResolved || e.Incident.ID != incident.ID {
			return false
		}
		out.recovered = e.Incident.Resolution == semconv.ResolutionRecovered
		out.repair = e.Incident.ResolvedAt.Sub(injected)
		return true
	})
	return out, err
}

func calm(ctx context.Context, o options, seed uint64, w io.Writer) (alarms int, err error) {
	r, err := newRunner(ctx, seed, o, w)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.loop.Close(ctx)) }()
	err = r.run(ctx, o.calm, func(e semconv.IncidentEvent) bool {
		if e.Name == semconv.EventIncidentOpened {
			alarms++
		}
		return false
	})
	return alarms, err
}

func row(w io.Writer, name string, outcomes []outcome) {
	var detected, right, named3, recovered, before int
	var delays, repairs []time.Duration
	var causes []string
	for _, o := range outcomes {
		before += o.before
		if !o.detected {
			continue
		}
		detected++
		delays = append(delays, o.delay)
		if o.right {
			right++
		}
		if o.named3 {
			named3++
		}
		if o.recovered {
			recovered++
			repairs = append(repairs, o.repair)
		}
		if s := fmt.Sprintf("%s(%s)", o.cause, o.kind); name != "all" && !slices.Contains(causes, s) {
			causes = append(causes, s)
		}
	}
	n := len(outcomes)
	fmt.Fprintf(w, "%s\t%d/%d\t%s\t%d/%d\t%d/%d\t%d/%d\t%s\t%d\t%s\t\n", name, detected, n, median(delays), right, n, named3, n,
		recovered, n, median(repairs), before, strings.Join(causes, " "))
}

func median(d []time.Duration) string {
	if len(d) == 0 {
		return "-"
	}
	slices.Sort(d)
	return d[len(d)/2].Round(time.Second).String()
}

func bare(name string) string { return name[strings.LastIndex(name, "/")+1:] }

func describe(w io.Writer, e semconv.IncidentEvent) {
	fmt.Fprintf(w, "%s %s %.8s %s %s %s\n", e.Time.Format(time.TimeOnly), e.Name, e.Incident.ID, e.Incident.Severity, e.Incident.Title, e.Incident.Resolution)
	if e.Name != semconv.EventIncidentOpened {
		return
	}
	for _, c := range e.Incident.Causes {
		fmt.Fprintf(w, "    %.2f %s %s share %.2f\n", c.Confidence, c.Entity, c.Kind, c.Share)
		for _, ev := range c.Evidence {
			fmt.Fprintf(w, "         %s %s (deviation %.1f, score %.9f)\n", ev.Onset.Format(time.TimeOnly), ev.Summary, ev.Deviation, ev.Score)
		}
	}
}
