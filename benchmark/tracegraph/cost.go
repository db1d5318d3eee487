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
	s.stamp()
	if to == nil {
		return nil
	}
	return s.send(ctx, to)
}

// stamp makes the batches of the next round.
func (s *stream) stamp() {
	// In the late mode a round has the clients of 20 traces.
	every := step * time.Duration(s.spans()/spansPerBatch)
	at := epoch.Add(time.Duration(s.round) * every)
	s.first.stamp(s.round+1_000_000, at)
	if s.second != nil {
		s.second.stamp(s.round-s.lag+1_000_000, at)
	}
	s.round++
}

// send sends the batches as they are.
func (s *stream) send(ctx context.Context, to consumer.Traces) error {
	if err := to.ConsumeTraces(ctx, s.first.traces); err != nil || s.second == nil {
		return err
	}
	return to.ConsumeTraces(ctx, s.second.traces)
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

// perSpan runs rounds of batches and returns the CPU nanoseconds and the allocations of a span. The streams take turns: all of
// them make their batches, and then all send them.
func perSpan(ctx context.Context, streams []*stream, to consumer.Traces, spans int) (cpu, allocs float64, err error) {
	n := spans / (streams[0].spans() * len(streams))
	runtime.GC()
	objects, began := mallocs(), cpuTime()
	for range n {
		round := streams[0].round
		for k, s := range streams {
			s.round = round + k
			s.stamp()
		}
		streams[0].round = round + len(streams)
		for _, s := range streams {
			if to == nil {
				continue
			}
			if err := s.send(ctx, to); err != nil {
				return 0, 0, err
			}
		}
	}
	used := cpuTime() - began
	total := float64(n * streams[0].spans() * len(streams))
	return float64(used.Nanoseconds()) / total, float64(mallocs()-objects) / total, nil
}

// modes are the ways in which the spans of the cost come.
var modes = []struct {
	process, name string
	late          bool
	// streams is the number of different batches.
	streams int
}{
	{"together", "both sides in one batch", false, 1},
	{"late", "the callee's side in a batch 1 s later", true, 1},
	{"cold", "both sides in one batch, of batches that the caches do not hold", false, 100},
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
	for _, mode := range modes {
		names := []string{"making"}
		for _, c := range costs {
			names = append(names, c.process)
		}
		all := make([]*process, len(names))
		cpu, allocs := make([][]float64, len(names)), make([][]float64, len(names))
		for k, name := range names {
			if all[k], err = startProcess(ctx, "-cost-of", name+"@"+mode.process, "-spans", fmt.Sprint(o.spans)); err != nil {
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
		fmt.Fprintf(out, "\n%s (making the spans: %.0f ns, taken off)\n", mode.name, making)
		fmt.Fprintf(out, "\tCPU ns/span\tallocations/span\tof tracegraph\n")
		for k, c := range costs {
			ns := median(cpu[k+1]) - making
			fmt.Fprintf(out, "%s\t%.0f\t%.2f\t×%.1f\n", c.name, ns, median(allocs[k+1])-median(allocs[0]), ns/ours)
		}
	}
	return nil
}

// serveCost runs a round of the contestant "name@mode" for each line of standard input.
func serveCost(ctx context.Context, what string, spans int) error {
	name, how, _ := strings.Cut(what, "@")
	var streams []*stream
	for _, mode := range modes {
		for k := 0; mode.process == how && k < mode.streams; k++ {
			streams = append(streams, newStream(mode.late))
		}
	}
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
		cpu, allocs, err := perSpan(ctx, streams, to, spans)
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
