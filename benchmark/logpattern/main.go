// Command logpattern measures what the logpattern connector adds to the CPU time of a logs pipeline, otlp → batch → nop, beside the
// same pipeline without it.
//
//	go run ./benchmark/logpattern
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
)

func main() {
	var collector string
	rounds := flag.Int("rounds", 9, "rounds that medians are taken of")
	records := flag.Int("records", 200_000, "records of a round")
	flag.StringVar(&collector, "collector", "", "used for the processes that are measured")
	flag.Parse()
	run := func() error { return measure(context.Background(), *rounds, *records, os.Stdout) }
	if collector != "" {
		run = func() error { return serve(context.Background(), collector) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// measure sends the same records to each pipeline, by turns.
func measure(ctx context.Context, rounds, records int, to io.Writer) (err error) {
	fmt.Fprintf(to, "%s, %d of %d CPUs, %s/%s\n\n", runtime.Version(), runtime.GOMAXPROCS(0), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	all := make([]*collector, len(pipelines))
	for k, p := range pipelines {
		if all[k], err = startCollector(ctx, p.name); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, all[k].stop()) }()
	}
	s := newStream()
	for round := range rounds + 1 {
		requests, err := s.requests(max(1, records/recordsPerBatch))
		if err != nil {
			return err
		}
		for _, c := range all {
			ns, err := c.send(ctx, requests)
			if err != nil {
				return err
			}
			if round > 0 { // in the first one templates are learnt
				c.spent = append(c.spent, ns)
			}
		}
	}
	w := tabwriter.NewWriter(to, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "otlp → batch → nop, and\tCPU ns/record\tof none")
	base := median(all[0].spent)
	for k, p := range pipelines {
		ns := median(all[k].spent)
		fmt.Fprintf(w, "%s\t%.0f\t×%.2f\n", p.title, ns, ns/base)
	}
	return w.Flush()
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
