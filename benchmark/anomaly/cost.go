package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatautil"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/benchmark/internal/scoring"
)

// costed is what one point costs.
type costed struct {
	meter
	points int     // of a step
	allocs float64 // objects a point
	bytes  float64 // a series
}

const (
	learnPasses   = 60
	measuredSteps = 2000 // batches, at least
	// Filling a hundred batches leaves some megabytes of garbage.
	stepsPerCollection = 100
)

// cost measures what scoring a point of a known series costs, and beside it, on the same points in the same run, what
// there is to compare it with.
func cost(ctx context.Context, o *options, out io.Writer) error {
	interval := orDefault(o.interval, streamInterval)
	machine(out)
	fmt.Fprintf(out, "a point every %s\n", interval)
	t := table(out)
	fmt.Fprintf(t, "per point of a batch of %d\tCPU\tmean of all rounds\tallocations\tbytes a series\tbatch P50\tP99\tmax\t\n", batchSize)
	for _, series := range []int{10_000, 100_000} {
		batches := make([]pmetric.Metrics, series/batchSize)
		for i := range batches {
			batches[i] = batchOf(i)
		}
		f := newFiller(interval)
		for _, shuffled := range []bool{false, true} {
			c, err := costOfScoring(ctx, batches, f, shuffled)
			if err != nil {
				return err
			}
			name := fmt.Sprintf("anomaly, %d series", series)
			if shuffled {
				name += ", first seen in random order"
			}
			c.print(t, name)
		}
		for _, r := range rivals {
			c, err := r.measure(batches, f)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			c.print(t, fmt.Sprintf("%s, %d series", r.name, series))
		}
	}
	c, err := costOfForest(ctx)
	if err != nil {
		return fmt.Errorf("isolation forest: %w", err)
	}
	c.print(t, fmt.Sprintf("contrib isolationforest v0.144.0, 1 series, after %d points", forestPoints))
	return t.Flush()
}

func (c *costed) print(w io.Writer, name string) {
	size := "-"
	if c.bytes > 0 {
		size = fmt.Sprintf("%.0f", c.bytes)
	}
	mean, quietest := c.perPoint(c.points)
	fmt.Fprintf(w, "%s\t%.0f ns\t%.0f ns\t%.3f\t%s\t%s\t\n", name, quietest, mean, c.allocs, size, c.latencies())
}

func costOfScoring(ctx context.Context, batches []pmetric.Metrics, f *filler, shuffled bool) (c *costed, err error) {
	before := heap()
	cfg := scoring.DefaultConfig()
	cfg.MaxSeries = max(cfg.MaxSeries, len(batches)*batchSize)
	p, err := scoring.New(ctx, cfg, func(scoring.Score) {})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	use := func(md pmetric.Metrics) error { return p.Consume(ctx, md) }
	if shuffled {
		// As after some time of coming and going, series that follow each other in a batch do not lie side by side in
		// memory.
		if err := f.each(batches, monday, use); err != nil {
			return nil, err
		}
	}
	c, err = measure(batches, f, learnPasses, use)
	if err != nil {
		return nil, err
	}
	for _, md := range batches {
		f.fill(md, monday) // takes the last scores away
	}
	c.bytes = float64(heap()-min(before, heap())) / float64(len(batches)*batchSize)
	runtime.KeepAlive(p)
	return c, nil
}

// measure runs f over the batches in turn, each just filled, as one that was just received is. Garbage is collected in
// between and outside of what is measured.
func measure(batches []pmetric.Metrics, f *filler, learn int, use func(pmetric.Metrics) error) (*costed, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	c := &costed{points: batchSize}
	c.cpu = make([]time.Duration, 0, measuredSteps+len(batches))
	c.latency = make([]time.Duration, 0, measuredSteps+len(batches))
	now := monday
	pass := func(each func(pmetric.Metrics) error) error {
		now = now.Add(f.interval)
		for _, md := range batches {
			f.fill(md, now)
			if err := each(md); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range learn {
		if err := pass(use); err != nil {
			return nil, err
		}
		if (i+1)*len(batches)%stepsPerCollection == 0 {
			runtime.GC()
		}
	}
	for collected := 0; len(c.latency) < measuredSteps; {
		if len(c.latency) >= collected {
			runtime.GC()
			collected = len(c.latency) + stepsPerCollection
		}
		if err := pass(func(md pmetric.Metrics) error { return c.step(func() error { return use(md) }) }); err != nil {
			return nil, err
		}
	}
	// Filling allocates: the batches are filled before the allocations are counted.
	if err := pass(func(pmetric.Metrics) error { return nil }); err != nil {
		return nil, err
	}
	before := mallocs()
	for _, md := range batches {
		if err := use(md); err != nil {
			return nil, err
		}
	}
	c.allocs = float64(mallocs()-before) / float64(len(batches)*batchSize)
	return c, nil
}

// rival is something whose cost is known, to compare with.
type rival struct {
	name    string
	measure func([]pmetric.Metrics, *filler) (*costed, error)
}

var rivals = []rival{
	{"pdatautil.MapHash of the attributes", costOfHash},
	{"averages and a 48-bin season, no identity", costOfAverages},
	{"decoding from OTLP", costOfDecoding},
}

func costOfHash(batches []pmetric.Metrics, f *filler) (*costed, error) {
	hashed := byte(0)
	defer func() { runtime.KeepAlive(hashed) }()
	return measure(batches, f, 1, func(md pmetric.Metrics) error {
		for _, rm := range md.ResourceMetrics().All() {
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				for _, p := range m.Gauge().DataPoints().All() {
					hashed ^= pdatautil.MapHash(p.Attributes())[0]
				}
			}
		}
		return nil
	})
}

func costOfDecoding(batches []pmetric.Metrics, f *filler) (*costed, error) {
	decoded := 0
	defer func() { runtime.KeepAlive(decoded) }()
	var marshaler pmetric.ProtoMarshaler
	var unmarshaler pmetric.ProtoUnmarshaler
	f.fill(batches[0], monday)
	data, err := marshaler.MarshalMetrics(batches[0])
	if err != nil {
		return nil, err
	}
	return measure(batches[:min(len(batches), 10)], f, 1, func(pmetric.Metrics) error {
		md, err := unmarshaler.UnmarshalMetrics(data)
		decoded += md.ResourceMetrics().Len()
		return err
	})
}

// averages is the least state that could be called a detector: level, spread and a mean for each half hour of the day.
type averages struct {
	level, spread float64
	season        [48]float32
	points        uint64
}

// costOfAverages scores without knowing whose points they are: by their place in the stream.
func costOfAverages(batches []pmetric.Metrics, f *filler) (*costed, error) {
	const weight, far = 0.05, 6
	exceeded := 0
	defer func() { runtime.KeepAlive(exceeded) }()
	index := make(map[uint64]*averages, len(batches)*batchSize)
	for _, i := range rand.New(rand.NewPCG(2, 2)).Perm(len(batches) * batchSize) {
		index[uint64(i)] = &averages{}
	}
	at := 0
	return measure(batches, f, learnPasses, func(md pmetric.Metrics) error {
		for _, rm := range md.ResourceMetrics().All() {
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				for _, p := range m.Gauge().DataPoints().All() {
					a := index[uint64(at)]
					at = (at + 1) % len(index)
					bin := &a.season[int64(p.Timestamp())/1_800_000_000_000%48]
					residual := p.DoubleValue() - a.level - float64(*bin)
					if a.points > 30 && (residual > far*a.spread || residual < -far*a.spread) {
						exceeded++
					}
					a.points++
					a.level += weight * residual
					a.spread += weight * (max(residual, -residual) - a.spread)
					*bin += float32(weight * (residual - float64(*bin)))
				}
			}
		}
		return nil
	})
}
