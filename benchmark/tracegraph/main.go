// Command tracegraph compares the cost of the tracegraph connector with that of contrib's servicegraph connector on the same
// spans. Without a flag it prints everything; each flag asks for one table.
//
//	go run ./benchmark/tracegraph
//	go run ./benchmark/tracegraph -cost
//	go run ./benchmark/tracegraph -memory
//	go run ./benchmark/tracegraph -pipeline
//	go run ./benchmark/tracegraph -scaling
//	go run ./benchmark/tracegraph -kept
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"text/tabwriter"
)

type options struct {
	rounds, spans int
}

// measurement is one table that can be asked for.
type measurement struct {
	name, usage string
	run         func(context.Context, *options, io.Writer) error
	wanted      bool
}

func main() {
	var o options
	var collector, costOf string
	all := []*measurement{
		{name: "cost", usage: "CPU time and allocations of a span", run: cost},
		{name: "memory", usage: "heap of calls of which one side came", run: memory},
		{name: "pipeline", usage: "CPU time of a pipeline with and without the connector", run: pipeline},
		{name: "scaling", usage: "the speed of two goroutines against one", run: scaling},
		{name: "kept", usage: "the share of calls counted under load, in real time", run: kept},
	}
	some := false
	for _, m := range all {
		flag.BoolVar(&m.wanted, m.name, false, "measure "+m.usage)
	}
	flag.IntVar(&o.rounds, "rounds", 9, "rounds that medians are taken of")
	flag.IntVar(&o.spans, "spans", 400_000, "spans of a round")
	flag.StringVar(&collector, "collector", "", "used by -pipeline for the process that it measures")
	flag.StringVar(&costOf, "cost-of", "", "used by -cost for the processes that it measures")
	flag.Parse()
	if collector+costOf != "" {
		var err error
		if collector != "" {
			err = serve(context.Background(), collector)
		} else {
			err = serveCost(context.Background(), costOf, o.spans)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	for _, m := range all {
		some = some || m.wanted
	}
	fmt.Printf("%s, %d of %d CPUs, %s/%s\n", runtime.Version(), runtime.GOMAXPROCS(0), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)
	for _, m := range all {
		if some && !m.wanted {
			continue
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
		err := m.run(context.Background(), &o, w)
		if flushErr := w.Flush(); err == nil {
			err = flushErr
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", m.name, err)
			os.Exit(1)
		}
	}
}
