package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/consumer"
)

// step is the event time from one batch to the next: 1,000 traces a second.
const step = 10 * time.Millisecond

// epoch is when streams begin.
var epoch = time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)

// stream makes the batches of a mode.
type stream struct {
	first, second *batch
	// lag is by how many rounds the second batch, if there is one, is late.
	lag   int
	round int
}

func newStream(late bool) *stream {
	if !late {
		return &stream{first: newBatch(both)}
	}
	return &stream{first: newBatch(clients), second: newBatch(servers), lag: 50}
}

// spans is the number of spans of a round.
func (s *stream) spans() int {
	if s.second != nil {
		return 2 * spansPerBatch
	}
	return spansPerBatch
}

// next sends the batches of a round to a consumer, or only makes them.
func (s *stream) next(ctx context.Context, to consumer.Traces) error {
	// In the late mode a round has the clients of 20 traces.
	every := step * time.Duration(s.spans()/spansPerBatch)
	at := epoch.Add(time.Duration(s.round) * every)
	for k, b := range []*batch{s.first, s.second} {
		if b == nil {
			continue
		}
		b.stamp(s.round-k*s.lag+1_000_000, at)
		if to != nil {
			if err := to.ConsumeTraces(ctx, b.traces); err != nil {
				return err
			}
		}
	}
	s.round++
	return nil
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("getrusage of this process: " + err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// perSpan runs a round of batches and returns the CPU nanoseconds and the allocations of a span.
func perSpan(ctx context.Context, s *stream, to consumer.Traces, spans int) (cpu, allocs float64, err error) {
	n := spans / s.spans()
	runtime.GC()
	objects, began := mallocs(), cpuTime()
	for range n {
		if err := s.next(ctx, to); err != nil {
			return 0, 0, err
		}
	}
	used := cpuTime() - began
	total := float64(n * s.spans())
	return float64(used.Nanoseconds()) / total, float64(mallocs()-objects) / total, nil
}

// costs are the contestants of the cost, by the names of their processes.
var costs = []struct {
	process string
	contestant
}{
	{"tracegraph", tracegraph},
	{"lean", lean},
	{"servicegraph-large", servicegraphLarge},
	{"servicegraph", servicegraph},
}

// cost measures the CPU time and the allocations of a span, in rounds by turns, the making of the spans taken off. Each
// connector has a process of its own, so that none has the others' memory to collect.
func cost(ctx context.Context, o *options, out io.Writer) (err error) {
	for _, late := range []bool{false, true} {
		names := []string{"making"}
		for _, c := range costs {
			names = append(names, c.process)
		}
		all := make([]*process, len(names))
		cpu, allocs := make([][]float64, len(names)), make([][]float64, len(names))
		for k, name := range names {
			if all[k], err = startProcess(ctx, "-cost-of", fmt.Sprintf("%s@%v", name, late), "-spans", fmt.Sprint(o.spans)); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, all[k].stop()) }()
		}
		for round := range o.rounds + 1 {
			for k, p := range all {
				line, err := p.ask("")
				if err != nil {
					return err
				}
				var c, a float64
				if _, err := fmt.Sscan(line, &c, &a); err != nil {
					return fmt.Errorf("read answer of %s: %w", names[k], err)
				}
				if round > 0 { // the first is until the stores have their size
					cpu[k], allocs[k] = append(cpu[k], c), append(allocs[k], a)
				}
			}
		}
		making := median(cpu[0])
		ours := median(cpu[1]) - making
		mode := "both sides in one batch"
		if late {
			mode = "the callee's side in a batch 1 s later"
		}
		fmt.Fprintf(out, "\n%s (making the spans: %.0f ns, taken off)\n", mode, making)
		fmt.Fprintf(out, "\tCPU ns/span\tallocations/span\tof tracegraph\n")
		for k, c := range costs {
			ns := median(cpu[k+1]) - making
			fmt.Fprintf(out, "%s\t%.0f\t%.2f\t×%.1f\n", c.name, ns, median(allocs[k+1])-median(allocs[0]), ns/ours)
		}
	}
	return nil
}

// serveCost runs a round of the contestant "name@late" for each line of standard input.
func serveCost(ctx context.Context, what string, spans int) error {
	name, late, _ := strings.Cut(what, "@")
	s := newStream(late == "true")
	var to consumer.Traces
	for _, c := range costs {
		if c.process == name {
			conn, err := c.start(ctx, nil)
			if err != nil {
				return err
			}
			defer func() { _ = conn.Shutdown(ctx) }()
			to = conn
		}
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		cpu, allocs, err := perSpan(ctx, s, to, spans)
		if err != nil {
			return err
		}
		fmt.Println(cpu, allocs)
	}
	return lines.Err()
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
