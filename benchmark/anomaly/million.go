package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/benchmark/internal/scoring"
)

const (
	millionSeries = 1_000_000
	millionLearn  = 3 // passes before the measured time
)

// million measures a million series in one process, with the garbage collector as it is, each batch decoded just before
// it is scored, and what was learnt written to the file storage extension all the while, as in a collector.
func million(ctx context.Context, o *options, out io.Writer) (err error) {
	var marshaler pmetric.ProtoMarshaler
	var unmarshaler pmetric.ProtoUnmarshaler
	encoded := make([][]byte, millionSeries/batchSize)
	f := newFiller(time.Minute)
	for i := range encoded {
		md := batchOf(i)
		f.fill(md, monday)
		if encoded[i], err = marshaler.MarshalMetrics(md); err != nil {
			return err
		}
	}
	before := heap()

	cfg := scoring.DefaultConfig()
	cfg.MaxSeries = millionSeries
	host, err := newStorageHost(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.close(ctx)) }()
	cfg.Storage = &host.id
	p, err := scoring.NewWithHost(ctx, cfg, host, func(scoring.Score) {})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	now := monday
	pass := func(use func(pmetric.Metrics) error) error {
		now = now.Add(f.interval)
		for _, data := range encoded {
			md, err := unmarshaler.UnmarshalMetrics(data)
			if err != nil {
				return err
			}
			f.fill(md, now)
			if err := use(md); err != nil {
				return err
			}
		}
		return nil
	}
	for range millionLearn {
		if err := pass(func(md pmetric.Metrics) error { return p.Consume(ctx, md) }); err != nil {
			return err
		}
	}
	var m meter
	for began := time.Now(); time.Since(began) < o.watch; {
		if err := pass(func(md pmetric.Metrics) error { return m.step(func() error { return p.Consume(ctx, md) }) }); err != nil {
			return err
		}
	}
	held, err := p.Held()
	if err != nil {
		return err
	}
	size := heap() - before
	peak, err := peakMemory()
	if err != nil {
		return err
	}
	written, err := p.Count("otelcol_processor_anomaly_written_bytes")
	if err != nil {
		return err
	}
	mean, _ := m.perPoint(batchSize)
	machine(out)
	t := table(out)
	fmt.Fprintf(t, "series\theap of the processor\tbytes a series\tpeak memory of the process\tof it the generator's input\twritten to storage\tCPU a point\tbatches\tP50\tP99\tmax\t\n")
	fmt.Fprintf(t, "%d\t%d MiB\t%.0f\t%d MiB\t%d MiB\t%d MiB\t%.0f ns\t%d\t%s\t\n", held, size>>20, float64(size)/millionSeries, peak>>20, before>>20, written>>20,
		mean, len(m.latency), m.latencies())
	runtime.KeepAlive(encoded)
	return t.Flush()
}

// peakMemory is the most that the process has had resident, in bytes.
func peakMemory() (uint64, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kib), "kB")), 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("/proc/self/status must have a line VmHWM")
}
