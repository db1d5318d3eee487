package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/metrics"
	"sync"
	"time"

	"go.opentelemetry.io/collector/connector"
)

// undisturbed is the share of a processor that each goroutine must have had in a turn for it to be compared by the clock.
const undisturbed = 0.9

// turns are what some number of goroutines did.
type turns struct {
	spans, cpu, wall, waited float64
	// best is the greatest number of spans a second of an undisturbed turn, 0 when there was none.
	best float64
}

// scaling compares two goroutines with one, in short turns of which the fastest counts, since others use the processors, too.
// Where these are never free, the CPU time of a span and the time that goroutines wait for locks say what there is to say.
func scaling(ctx context.Context, o *options, out io.Writer) error {
	fmt.Fprintf(out, "\ntwo goroutines against one\n\tspans/s\tCPU ns/span of one\tof two\twaiting for locks\n")
	for _, c := range []contestant{tracegraph, servicegraphLarge} {
		conn, err := c.start(ctx, nil)
		if err != nil {
			return err
		}
		// Both send the same times, and each traces of its own.
		streams := []*stream{newStream(false), newStream(false)}
		streams[1].first.base = 1 << 40
		var did [3]turns
		for turn := range 100 * o.rounds {
			if turn == 10*o.rounds { // the stores have their size
				did = [3]turns{}
			}
			if err := did[1+turn%2].take(ctx, conn, streams[:1+turn%2]); err != nil {
				return err
			}
			for _, s := range streams {
				s.round = max(streams[0].round, streams[1].round)
			}
		}
		one, two := &did[1], &did[2]
		faster := "never undisturbed"
		if one.best > 0 && two.best > 0 {
			faster = fmt.Sprintf("×%.2f", two.best/one.best)
		}
		fmt.Fprintf(out, "%s\t%s\t%.0f\t%.0f\t%.1f %%\n", c.name, faster, one.cpu/one.spans*1e9, two.cpu/two.spans*1e9,
			100*two.waited/(2*two.wall))
		if err := conn.Shutdown(ctx); err != nil {
			return err
		}
	}
	return nil
}

func lockWait() float64 {
	s := []metrics.Sample{{Name: "/sync/mutex/wait/total:seconds"}}
	metrics.Read(s)
	return s[0].Value.Float64()
}

// take has a goroutine for each stream send for a turn.
func (t *turns) take(ctx context.Context, conn connector.Traces, streams []*stream) error {
	const batches = 60
	errs := make([]error, len(streams))
	waited, cpu, began := lockWait(), cpuTime(), time.Now()
	var wg sync.WaitGroup
	for k, s := range streams {
		wg.Go(func() {
			for range batches {
				if errs[k] = s.next(ctx, conn); errs[k] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	wall, used := time.Since(began).Seconds(), (cpuTime() - cpu).Seconds()
	spans := float64(len(streams) * batches * spansPerBatch)
	t.spans += spans
	t.cpu += used
	t.wall += wall
	t.waited += lockWait() - waited
	if used >= undisturbed*wall*float64(len(streams)) {
		t.best = max(t.best, spans/wall)
	}
	return errors.Join(errs...)
}
