// Command anomaly measures the anomaly processor: false alarms, detection delay, calibration and cost. Each flag below asks for
// one table.
//
//	go run ./benchmark/anomaly -week
//	go run ./benchmark/anomaly -delay
//	go run ./benchmark/anomaly -calibration
//	go run ./benchmark/anomaly -cost
//	go run ./benchmark/anomaly -million
//	go run ./benchmark/anomaly -overhead -collector bin/otelcol-paramedic
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

type options struct {
	seeds    int
	rate     float64
	interval time.Duration
	days     float64
	learn    time.Duration
	watch    time.Duration
	series   int
	worst    int

	collector string
}

// measurement is one table that can be asked for.
type measurement struct {
	name, usage string
	run         func(context.Context, *options, io.Writer) error
	wanted      bool
}

func measurements() []*measurement {
	return []*measurement{
		{name: "week", usage: "false alarms on the shop's fault-free week", run: week},
		{name: "delay", usage: "detection delay on the shop's faults", run: delay},
		{name: "calibration", usage: "false alarms on calm noise against sensitivity and score", run: calibration},
		{name: "cost", usage: "CPU, allocations, memory and latency of a point, beside scale marks", run: cost},
		{name: "million", usage: "memory and latency of a million series", run: million},
		{name: "overhead", usage: "CPU that the processor adds to a collector", run: overhead},
	}
}

func main() {
	var o options
	all := measurements()
	for _, m := range all {
		flag.BoolVar(&m.wanted, m.name, false, "measure "+m.usage)
	}
	flag.IntVar(&o.seeds, "seeds", 3, "-delay: how many seeds to try")
	flag.Float64Var(&o.rate, "rate", shop.DefaultConfig().Rate, "-week, -delay: mean user requests a second")
	flag.DurationVar(&o.interval, "interval", 0, "time between two points; 0 is 5s, with -calibration 1m, with -cost 10s")
	flag.Float64Var(&o.days, "days", 0, "simulated days; 0 is 7, with -calibration 28")
	flag.DurationVar(&o.learn, "learn", time.Hour, "-delay: simulated time before a fault")
	flag.DurationVar(&o.watch, "watch", 2*time.Minute, "-delay: simulated time to watch a fault; -million: time to measure")
	flag.IntVar(&o.series, "series", 40, "-calibration: series of each kind of noise")
	flag.IntVar(&o.worst, "worst", 10, "-week: how many of the worst series to print")
	flag.StringVar(&o.collector, "collector", "", "-overhead: the built collector")
	flag.Parse()
	asked := false
	for _, m := range all {
		asked = asked || m.wanted
	}
	if !asked || flag.NArg() > 0 || o.seeds < 1 || o.series < 1 || o.days < 0 {
		flag.Usage()
		os.Exit(2)
	}
	for _, m := range all {
		if !m.wanted {
			continue
		}
		began := time.Now()
		if err := m.run(context.Background(), &o, os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "anomaly: %s: %v\n", m.name, err)
			os.Exit(1)
		}
		fmt.Printf("%s took %s\n\n", m.name, time.Since(began).Round(100*time.Millisecond))
	}
}

func table(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 4, 2, ' ', 0) }

func orDefault[T comparable](v, instead T) T {
	var zero T
	if v == zero {
		return instead
	}
	return v
}
