package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/servicegraphconnector"
	"go.opentelemetry.io/collector/component"

	"github.com/paramedic-otel/paramedic/connector/tracegraphconnector"
)

const halves = 1_000_000

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one finalised
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// memory measures the heap that a million calls take of which one side is there.
func memory(ctx context.Context, _ *options, out io.Writer) error {
	fmt.Fprintf(out, "\nheap for %d calls of which one side came\n\tB each, the caller's side\tB each, the callee's side\n", halves)
	ours, theirs := tracegraph, servicegraph
	ours.change = func(c component.Config) { c.(*tracegraphconnector.Config).MaxPending = 2 * halves }
	theirs.change = func(c component.Config) {
		store := &c.(*servicegraphconnector.Config).Store
		store.MaxItems, store.TTL = 2*halves, time.Hour // its time is the clock's
	}
	for _, c := range []contestant{ours, theirs} {
		fmt.Fprint(out, c.name)
		for _, s := range []sides{clients, servers} {
			conn, err := c.start(ctx, nil)
			if err != nil {
				return err
			}
			b := newBatch(s)
			before := heap()
			// In a second of event time, so that all wait at the end.
			for round := range halves / spansPerBatch {
				b.stamp(round+1, epoch.Add(time.Duration(round)*time.Second/(halves/spansPerBatch)))
				if err := conn.ConsumeTraces(ctx, b.traces); err != nil {
					return err
				}
			}
			fmt.Fprintf(out, "\t%.0f", float64(heap()-before)/halves)
			if err := conn.Shutdown(ctx); err != nil {
				return err
			}
		}
		fmt.Fprintln(out)
	}
	return nil
}
