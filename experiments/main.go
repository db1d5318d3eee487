// Command experiments repeats what papers on self-healing systems measured, with the real components, and writes what came
// of it as JSON, as a report and as pictures:
//
//	go run ./experiments [-quick] [-only names] [-seeds n] [-out folder]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/experiments/internal/bubble"
	"github.com/paramedic-otel/paramedic/experiments/internal/experiment"
	"github.com/paramedic-otel/paramedic/experiments/internal/result"
)

type options struct {
	quick, list     bool
	only, out       string
	seeds, first    int
	parallel        int
	reportOnly      bool
	simulated, real bool
}

func main() {
	bubble.Main()
	var o options
	flag.BoolVar(&o.quick, "quick", false, "run a small subset, as continuous integration does; its figures are rough")
	flag.BoolVar(&o.list, "list", false, "list the experiments and run none")
	flag.StringVar(&o.only, "only", "", "run only these experiments, separated by commas")
	flag.StringVar(&o.out, "out", "experiments/results", "folder for results, report and pictures")
	flag.IntVar(&o.seeds, "seeds", 0, "how many seeds to repeat everything with; 0 is 5, or 1 with -quick")
	flag.IntVar(&o.first, "first", 1, "the first seed")
	flag.IntVar(&o.parallel, "parallel", 2, "how many simulated runs may be under way at once")
	flag.BoolVar(&o.reportOnly, "report", false, "run nothing, only make the report and the pictures of the results that are there")
	flag.BoolVar(&o.simulated, "simulated", false, "run only what runs on simulated time")
	flag.BoolVar(&o.real, "real", false, "run only what runs in real time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, experiments(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "experiments:", err)
		os.Exit(1)
	}
}

// run runs what the options choose of all experiments, and makes the report.
func run(ctx context.Context, o options, all []experiment.Experiment, log io.Writer) error {
	chosen, err := choose(o, all)
	if err != nil {
		return err
	}
	if o.list {
		for _, e := range chosen {
			fmt.Fprintf(log, "%s\t%s time\n", e.Name, e.Clock)
		}
		return nil
	}
	if o.reportOnly {
		chosen = nil
	}
	for _, e := range chosen {
		fmt.Fprintf(log, "=== %s (%s time)\n", e.Name, e.Clock)
		if err := runOne(ctx, o, e, log); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	return publish(o.out)
}

// choose returns the experiments that the options name, what is simulated first.
func choose(o options, all []experiment.Experiment) ([]experiment.Experiment, error) {
	var errs []error
	if o.seeds < 0 || o.seeds > 1000 {
		errs = append(errs, fmt.Errorf("seeds must be between 0 and 1000, got %d", o.seeds))
	}
	if o.first < 0 {
		errs = append(errs, fmt.Errorf("first must not be negative, got %d", o.first))
	}
	if o.parallel < 1 {
		errs = append(errs, fmt.Errorf("parallel must be at least 1, got %d", o.parallel))
	}
	var names, known []string
	if o.only != "" {
		names = strings.Split(o.only, ",")
	}
	for _, e := range all {
		known = append(known, e.Name)
	}
	for _, n := range names {
		if !slices.Contains(known, n) {
			errs = append(errs, fmt.Errorf("only must name some of %s, got %q", strings.Join(known, ", "), n))
		}
	}
	chosen := slices.DeleteFunc(slices.Clone(all), func(e experiment.Experiment) bool {
		return names != nil && !slices.Contains(names, e.Name) ||
			o.simulated && !o.real && e.Clock != result.Simulated || o.real && !o.simulated && e.Clock != result.Real
	})
	slices.SortStableFunc(chosen, func(a, b experiment.Experiment) int { return order(a) - order(b) })
	return chosen, errors.Join(errs...)
}

func order(e experiment.Experiment) int {
	if e.Clock == result.Simulated {
		return 0
	}
	return 1
}

func runOne(ctx context.Context, o options, e experiment.Experiment, log io.Writer) error {
	const seeds, quickSeeds = 5, 1
	n := o.seeds
	switch {
	case n > 0:
	case o.quick:
		n = quickSeeds
	default:
		n = seeds
	}
	opts := experiment.Options{Quick: o.quick, Parallel: o.parallel, Log: log}
	for i := range n {
		opts.Seeds = append(opts.Seeds, uint64(o.first+i)) //nolint:gosec // not negative
	}
	began := time.Now()
	r, err := e.Run(ctx, opts)
	if err != nil {
		return err
	}
	r.Command = command(o, e.Name, n)
	r.Machine = result.ThisMachine()
	r.Quick = o.quick
	r.Took = time.Since(began).Round(time.Second / 10).Seconds()
	fmt.Fprintf(log, "    %.0f s\n", r.Took)
	return r.Save(o.out)
}

// command is what makes the result of an experiment anew.
func command(o options, name string, seeds int) string {
	parts := []string{"go run ./experiments -only", name, "-seeds", fmt.Sprint(seeds)}
	if o.first != 1 {
		parts = append(parts, "-first", fmt.Sprint(o.first))
	}
	if o.quick {
		parts = append(parts, "-quick")
	}
	return strings.Join(parts, " ")
}
