// Command incidents injects faults into the simulated shop, one at a time and in overlapping pairs, and measures what the
// real components make of the alerts: whether each injection becomes one incident with the right cause, how soon, and
// whether the stated confidence can be believed.
//
//	go run ./benchmark/incidents -seeds 2 -out FILE
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/paramedic-otel/paramedic/benchmark/loop"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

type options struct {
	seeds, first        int
	each, pairs         int
	kinds               []shop.FaultKind
	learn, watch, after time.Duration
	calm                time.Duration
	bucket, lateness    time.Duration
	evaluate            time.Duration
	distortion          distortion
	workers             int
	out                 string
	only                string
	verbose, fit        bool
	calmSeeds           int
}

func main() {
	var o options
	var kinds string
	flag.IntVar(&o.seeds, "seeds", 2, "how many seeds to draw faults with")
	flag.IntVar(&o.first, "first", 1, "the first seed")
	flag.IntVar(&o.each, "each", 12, "injections of each kind alone, for each seed")
	flag.IntVar(&o.pairs, "pairs", 15, "overlapping pairs of injections for each seed")
	flag.StringVar(&kinds, "kinds", "", "only these kinds of faults, separated by commas")
	flag.DurationVar(&o.learn, "learn", 10*time.Minute, "least simulated time before a fault")
	flag.DurationVar(&o.watch, "watch", 2*time.Minute, "simulated time for which a fault lasts")
	flag.DurationVar(&o.after, "after", 90*time.Second, "simulated time to go on after the last fault")
	flag.DurationVar(&o.calm, "calm", 0, "simulated time without a fault, for each of -calm-seeds; 0 is none")
	flag.IntVar(&o.calmSeeds, "calm-seeds", 8, "how many shops to watch without a fault")
	flag.DurationVar(&o.bucket, "bucket", 0, "width of a bucket and of the graph's intervals; 0 takes the defaults")
	flag.DurationVar(&o.lateness, "lateness", 0, "how long the graph waits for late spans, and the incidents one second more; 0 takes the defaults")
	flag.DurationVar(&o.evaluate, "evaluate", time.Minute, "how often the alert manager to compare with evaluates its rules, and fires again what is still abnormal")
	flag.Float64Var(&o.distortion.dropEdges, "drop-edges", 0, "share of the edges of the service graph that are missing")
	flag.Float64Var(&o.distortion.sample, "sample", 1, "share of the traces that are kept, chosen at their head")
	flag.DurationVar(&o.distortion.skew, "skew", 0, "how far the clock of one node is ahead and that of another behind")
	flag.DurationVar(&o.distortion.late, "late", 0, "how long after the onset of a fault nothing is told")
	flag.IntVar(&o.workers, "workers", 2, "simulations at a time")
	flag.StringVar(&o.out, "out", "", "file to write one JSON object per line and injection to")
	flag.StringVar(&o.only, "only", "", "only the scenario of this name")
	flag.BoolVar(&o.fit, "fit", false, "fit the calibration of confidence anew and print its parameters")
	flag.BoolVar(&o.verbose, "v", false, "print every incident event and what failed")
	flag.Parse()
	for _, k := range strings.Split(kinds, ",") {
		if k != "" {
			o.kinds = append(o.kinds, shop.FaultKind(k))
		}
	}
	if flag.NArg() > 0 || o.seeds < 1 || o.workers < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(context.Background(), o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "incidents:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, w io.Writer) error {
	start := time.Now()
	plan, err := newPlan(o)
	if err != nil {
		return err
	}
	judged, err := inParallel(plan, o.workers, func(s scenario) (judged, error) { return try(ctx, o, s) })
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := write(o.out, judged); err != nil {
			return err
		}
	}
	if o.verbose {
		for i := range judged {
			judged[i].describe(w)
		}
	}
	report(w, o, judged)
	if o.calm > 0 {
		if err := reportCalm(ctx, w, o); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "took %s\n", time.Since(start).Round(100*time.Millisecond))
	return nil
}

// inParallel does something for each item, in the order of the items as far as the results show.
func inParallel[T, R any](items []T, workers int, do func(T) (R, error)) ([]R, error) {
	results, errs := make([]R, len(items)), make([]error, len(items))
	next := make(chan int)
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for i := range next {
				results[i], errs[i] = do(items[i])
			}
		})
	}
	for i := range items {
		next <- i
	}
	close(next)
	wait.Wait()
	return results, errors.Join(errs...)
}

// configs are those of the components under test.
func (o options) configs() loop.Configs {
	c := loop.Default()
	if o.bucket > 0 {
		c.Incident.Bucket, c.Tracegraph.FlushInterval = o.bucket, o.bucket
		c.Incident.MaxClockSkew = min(c.Incident.MaxClockSkew, 32*o.bucket)
	}
	if o.lateness > 0 {
		c.Incident.Lateness, c.Tracegraph.Lateness = o.lateness+time.Second, o.lateness
	}
	return c
}

func reportCalm(ctx context.Context, w io.Writer, o options) error {
	seeds := make([]int, o.calmSeeds)
	for i := range seeds {
		seeds[i] = o.first + i
	}
	counts, err := inParallel(seeds, o.workers, func(seed int) (int, error) {
		t, err := simulate(ctx, o, scenario{name: fmt.Sprintf("calm-%d", seed), seed: uint64(seed)}, o.calm)
		return len(t.incidents), err
	})
	if err != nil {
		return err
	}
	n := 0
	for _, c := range counts {
		n += c
	}
	fmt.Fprintf(w, "without faults: %d incidents in %d shops, %s each\n", n, o.calmSeeds, o.calm)
	return nil
}
