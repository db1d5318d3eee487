package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"go.opentelemetry.io/collector/connector"
)

// scaling measures how much faster two goroutines are than one, in short turns of which the fastest counts: others use the
// processors, too.
func scaling(ctx context.Context, o *options, out io.Writer) error {
	fmt.Fprintf(out, "\nspans a second of two goroutines, of what one does\n")
	for _, c := range []contestant{tracegraph, servicegraphLarge} {
		conn, err := c.start(ctx, nil)
		if err != nil {
			return err
		}
		// Both send the same times, and each traces of its own.
		streams := []*stream{newStream(false), newStream(false)}
		streams[1].first.base = 1 << 40
		var best [3]float64
		for turn := range 400 * o.rounds {
			n := 1 + turn%2
			rate, err := together(ctx, conn, streams, n)
			if err != nil {
				return err
			}
			best[n] = max(best[n], rate)
		}
		fmt.Fprintf(out, "%s\t×%.2f\t(%.1f and %.1f million)\n", c.name, best[2]/best[1], best[2]/1e6, best[1]/1e6)
		if err := conn.Shutdown(ctx); err != nil {
			return err
		}
	}
	return nil
}

// together has n goroutines send for a turn and returns the spans a second.
func together(ctx context.Context, conn connector.Traces, streams []*stream, n int) (float64, error) {
	const batches = 50
	errs := make([]error, n)
	began := time.Now()
	var wg sync.WaitGroup
	for k := range n {
		wg.Go(func() {
			for range batches {
				if errs[k] = streams[k].next(ctx, conn); errs[k] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	for _, s := range streams {
		s.round = max(streams[0].round, streams[1].round)
	}
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return float64(n*batches*spansPerBatch) / took.Seconds(), nil
}
