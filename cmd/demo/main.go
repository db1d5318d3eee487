// Command demo shows the loop from a fault to its verified recovery: it starts the collector and the simulated shop,
// breaks the shop, and tells what the collector makes of it. It ends with 0 only if the loop has closed.
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
	"syscall"
	"time"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

type options struct {
	bin, config  string
	kinds        []string
	learn        time.Duration
	detectWithin time.Duration
	timeout      time.Duration
	seed         uint64
	rate         float64
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	var fault string
	var all []string
	for _, k := range shop.SteadyFaultKinds() {
		all = append(all, string(k))
	}
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.bin, "bin", "bin", "folder with otelcol-paramedic and shop")
	flags.StringVar(&o.config, "config", "examples/quickstart/config.yaml", "configuration of the collector")
	flags.StringVar(&fault, "fault", "crash", "faults, separated by commas, or all: "+strings.Join(all, ", "))
	flags.DurationVar(&o.learn, "learn", 90*time.Second, "time to learn what is normal before the fault")
	flags.DurationVar(&o.detectWithin, "detect-within", 15*time.Second, "longest time from the fault to the incident; a memory leak, which hurts nobody until it has grown, gets twice that")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Minute, "longest time for one fault, learning included")
	flags.Uint64Var(&o.seed, "seed", 1, "seed of the shop's randomness")
	flags.Float64Var(&o.rate, "rate", 40, "mean user requests a second of the shop")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("no arguments are taken besides flags, got %q", flags.Arg(0))
	}
	o.kinds = strings.Split(fault, ",")
	if fault == "all" {
		o.kinds = all
	}
	for _, k := range o.kinds {
		if !slices.Contains(all, k) {
			return o, fmt.Errorf("fault must be all or some of %s, got %q", strings.Join(all, ", "), k)
		}
	}
	if o.learn < 0 || o.detectWithin <= 0 || o.timeout <= o.learn {
		return o, errors.New("learn must not be negative, detect-within must be positive, timeout must be longer than learn")
	}
	return o, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	opts, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(2)
	}
	closed := playAll(ctx, opts, newTeller(os.Stdout))
	stop()
	if !closed {
		os.Exit(1)
	}
}

// playAll plays one fault after another, each with fresh processes, and reports whether the loop closed for all.
func playAll(ctx context.Context, opts options, t *teller) bool {
	closed := true
	var outcomes []outcome
	for i, kind := range opts.kinds {
		if i > 0 {
			t.line(plain, "")
		}
		t.line(bold, "=== %s", kind)
		t.began, t.injected = time.Now(), time.Time{}
		r := run{opts: opts, kind: kind, tell: t, open: map[string]bool{}}
		v, err := r.play(ctx)
		if err != nil {
			t.line(red, "demo: %v", err)
		}
		closed = closed && err == nil && v.closed()
		outcomes = append(outcomes, outcome{kind: kind, facts: r.facts, verdict: v, err: err})
		if ctx.Err() != nil {
			closed = false
			break
		}
	}
	if len(opts.kinds) > 1 {
		t.tellOutcomes(outcomes)
	}
	return closed
}
