package tracegraphconnector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/connector/tracegraphconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/internal/servicegraph"
	"github.com/paramedic-otel/paramedic/semconv"
)

func stats(c any) servicegraph.Stats { return c.(*traceGraph).graph.Stats() }

func outcomes(s *servicegraph.Stats) (n int64) {
	for _, o := range s.Outcomes {
		n += o
	}
	return n
}

func TestMaxPending(t *testing.T) {
	c, sink := start(t, func(c *Config) { c.MaxPending = 10 })
	var clients, servers []sp
	for i := range 20 {
		both := call(uint64(i), second)
		servers, clients = append(servers, both[0]), append(clients, both[1])
	}
	require.NoError(t, c.ConsumeTraces(t.Context(), batch(clients...)))
	s := stats(c)
	assert.EqualValues(t, 10, s.Pending)
	assert.EqualValues(t, 10, s.Outcomes[servicegraph.OutcomeEvicted])
	require.NoError(t, c.ConsumeTraces(t.Context(), batch(servers...)))
	s = stats(c)
	assert.EqualValues(t, 20, s.Outcomes[servicegraph.OutcomePaired])
	assert.LessOrEqual(t, s.Held, int64(10))
	require.NoError(t, c.Shutdown(t.Context()))
	s = stats(c)
	assert.EqualValues(t, 10, last(sink, total)["a > b"])
	assert.Equal(t, s.Received, outcomes(&s))
}

// TestSettledSpansMakeRoom sends more calls one after the other than there is room for.
func TestSettledSpansMakeRoom(t *testing.T) {
	var in []ptrace.Traces
	for i := range 20 {
		both := call(uint64(i), second)
		in = append(in, batch(both[0]), batch(both[1]))
	}
	sink := run(t, func(c *Config) { c.MaxPending = 3 }, in...)
	assert.Equal(t, map[string]int64{"a > b": 20}, last(sink, total))
}

// TestHugeBatch exceeds the bound of the store by more than a batch may.
func TestHugeBatch(t *testing.T) {
	var clients []sp
	for i := range 10_000 {
		clients = append(clients, sp{svc: "a", trace: uint64(i), id: 1, kind: kindClient})
	}
	c, _ := start(t, func(c *Config) { c.MaxPending = 100 })
	require.NoError(t, c.ConsumeTraces(t.Context(), batch(clients...)))
	s := stats(c)
	assert.EqualValues(t, 100, s.Held)
	assert.EqualValues(t, 9_900, s.Outcomes[servicegraph.OutcomeEvicted])
	require.NoError(t, c.Shutdown(t.Context()))
}

func TestMaxEdges(t *testing.T) {
	var in []sp
	for i := range 5 {
		in = append(in, sp{svc: fmt.Sprint("s", i), id: uint64(i + 1), kind: kindServer})
	}
	c, sink := start(t, func(c *Config) { c.MaxEdges = 3 })
	require.NoError(t, c.ConsumeTraces(t.Context(), batch(in...)))
	require.NoError(t, c.Shutdown(t.Context()))
	s := stats(c)
	assert.Len(t, last(sink, total), 3)
	assert.EqualValues(t, 2, s.RefusedCalls)
	assert.EqualValues(t, 3, s.Edges)

	c, _ = start(t, func(c *Config) { c.MaxEdges = 1 })
	require.NoError(t, c.ConsumeTraces(t.Context(), batch(in...)))
	require.NoError(t, c.Shutdown(t.Context()))
	s = stats(c)
	assert.EqualValues(t, 2, s.Nodes)
	assert.EqualValues(t, 3, s.Outcomes[servicegraph.OutcomeNode])
	assert.Equal(t, s.Received, outcomes(&s))
}

// TestNamesAreForgotten has ever new names of services come and go.
func TestNamesAreForgotten(t *testing.T) {
	c, _ := start(t, func(c *Config) { c.EdgeTTL = 20 * second })
	for i := range 600 {
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(
			sp{svc: fmt.Sprint("s", i), trace: uint64(i), id: 1, kind: kindServer, at: time.Duration(i) * second})))
	}
	s := stats(c)
	assert.Less(t, s.Nodes, int64(45))
	assert.Less(t, s.Edges, int64(30))
	assert.Equal(t, 600-s.Edges, s.ExpiredEdges)
	require.NoError(t, c.Shutdown(t.Context()))
}

func TestMaxLinks(t *testing.T) {
	in := func() []ptrace.Traces {
		return []ptrace.Traces{batch(
			sp{svc: "p", id: 1, kind: kindProducer}, sp{svc: "q", id: 2, kind: kindProducer},
			sp{svc: "c", id: 9, kind: kindConsumer, links: []uint64{0, 1, 2}},
		)}
	}
	assert.Equal(t, map[string]int64{"p > c messaging_system": 1, "q > c messaging_system": 1}, last(run(t, nil, in()...), total))
	assert.Equal(t, map[string]int64{"p > c messaging_system": 1},
		last(run(t, func(c *Config) { c.MaxLinks = 2 }, in()...), total))
}

func TestMaxNameLength(t *testing.T) {
	sink := run(t, func(c *Config) { c.MaxNameLength = 16 }, batch(
		sp{svc: strings.Repeat("x", 40), id: 1, kind: kindServer}, sp{svc: strings.Repeat("é", 9) + "x", id: 2, kind: kindServer},
		sp{svc: "x" + strings.Repeat("é", 9), id: 3, kind: kindServer},
	))
	assert.Equal(t, map[string]int64{
		"user > " + strings.Repeat("x", 16) + " virtual_node no client": 1,
		"user > " + strings.Repeat("é", 8) + " virtual_node no client":  1,
		"user > x" + strings.Repeat("é", 7) + " virtual_node no client": 1,
	}, last(sink, total))
}

func TestSamplingWeights(t *testing.T) {
	weigh := func(limit float64, states ...string) int64 {
		var in []sp
		for i, state := range states {
			in = append(in, sp{svc: "a", trace: uint64(i), id: 1, kind: kindServer, state: state})
		}
		sink := run(t, func(c *Config) { c.MaxSamplingWeight = limit }, batch(in...))
		return last(sink, total)["user > a virtual_node no client"]
	}
	assert.EqualValues(t, 2, weigh(1000, "ot=th:8"))
	assert.EqualValues(t, 1, weigh(1000, "ot=th:0"))
	assert.EqualValues(t, 1, weigh(1000, "vendor=th:8"))
	assert.EqualValues(t, 1, weigh(1000, "ot=rv:8;p:8"))
	assert.EqualValues(t, 1, weigh(1000, "ot=th:zz"))
	assert.EqualValues(t, 1, weigh(1000, "ot=th:fffffffffffffff"), "too long")
	assert.EqualValues(t, 1000, weigh(1000, "ot=th:ffffffffffffff"))
	assert.EqualValues(t, 1, weigh(1, "ot=th:c"))
	// Four thirds each: what rounding leaves over is not lost.
	assert.EqualValues(t, 12, weigh(1000, strings.Split(strings.Repeat("ot=th:4,", 9), ",")[:9]...))
}

// Whoever judges by weighted counts can tell how many calls they are made of.
func TestUnseenRequests(t *testing.T) {
	const unseen = semconv.MetricGraphUnseenRequestTotal
	in := []ptrace.Traces{batch(
		sp{svc: "a", trace: 1, id: 1, kind: kindServer, state: "ot=th:8"},
		sp{svc: "a", trace: 2, id: 1, kind: kindServer, state: "ot=th:8"},
		sp{svc: "a", trace: 3, id: 1, kind: kindServer, state: "ot=th:c", status: ptrace.StatusCodeError},
		sp{svc: "b", trace: 4, id: 1, kind: kindServer},
	), batch(sp{svc: "a", trace: 5, id: 1, kind: kindServer, state: "ot=th:8", at: 8 * time.Second})}
	for name, c := range map[string]struct {
		change func(*Config)
		want   []string
	}{
		"cumulative":     {func(*Config) {}, []string{"5s=5", "8s=6"}},
		"delta":          {func(c *Config) { c.Temporality = TemporalityDelta }, []string{"5s=5", "8s=1"}},
		"not told apart": {func(c *Config) { c.FailedAttribute = false }, []string{"5s=5", "8s=6"}},
		"a ratio": {func(c *Config) {
			c.SamplingRatio, c.MaxSamplingWeight = 0.5, 2
		}, []string{"5s=3", "8s=4"}},
		"without weights": {func(c *Config) { c.MaxSamplingWeight = 1 }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			sink := run(t, c.change, in...)
			got := history(sink, unseen, "user > a virtual_node no client")
			assert.Equal(t, c.want, got)
			assert.Equal(t, name == "a ratio", len(history(sink, unseen, "user > b virtual_node no client")) > 0)
		})
	}
	failed := map[bool]int64{}
	points(run(t, nil, in[0]).AllMetrics(), unseen, func(p pmetric.NumberDataPoint) {
		v, _ := p.Attributes().Get(semconv.AttrGraphFailed)
		failed[v.Bool()] = p.IntValue()
	})
	assert.Equal(t, map[bool]int64{false: 2, true: 3}, failed)
}

func TestBuckets(t *testing.T) {
	in := func() ptrace.Traces {
		return batch(
			sp{svc: "a", trace: 1, id: 1, kind: kindServer, dur: 10 * time.Millisecond},
			sp{svc: "a", trace: 2, id: 1, kind: kindServer, dur: 11 * time.Millisecond},
			sp{svc: "a", trace: 3, id: 1, kind: kindServer, dur: 2 * second},
		)
	}
	sink := run(t, func(c *Config) { c.Histogram.Buckets = []time.Duration{10 * time.Millisecond, second} }, in())
	each(sink.AllMetrics(), semconv.MetricGraphRequestServer, func(m pmetric.Metric) {
		dp := m.Histogram().DataPoints().At(0)
		assert.Equal(t, []float64{0.01, 1}, dp.ExplicitBounds().AsRaw())
		assert.Equal(t, []uint64{1, 1, 1}, dp.BucketCounts().AsRaw())
		assert.InDelta(t, 2.021, dp.Sum(), 1e-9)
	})
	sink = run(t, func(c *Config) { c.Histogram.Type, c.Histogram.MaxSize = HistogramExponential, 4 }, in())
	each(sink.AllMetrics(), semconv.MetricGraphRequestServer, func(m pmetric.Metric) {
		dp := m.ExponentialHistogram().DataPoints().At(0)
		assert.EqualValues(t, 3, dp.Count())
		assert.EqualValues(t, -2, dp.Scale(), "from 2^-8 to 2^0 and beyond in four buckets")
		assert.LessOrEqual(t, dp.Positive().BucketCounts().Len(), 4)
	})
}

// TestBusyDownstream has the next component block while intervals close.
func TestBusyDownstream(t *testing.T) {
	release := make(chan struct{})
	var mu sync.Mutex
	var got []pcommon.Timestamp
	next, err := consumer.NewMetrics(func(_ context.Context, md pmetric.Metrics) error {
		<-release
		mu.Lock()
		defer mu.Unlock()
		got = append(got, md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().At(0).Timestamp())
		return nil
	})
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	cfg.FlushInterval = 5 * time.Second
	cfg.MaxUnsent = 3
	c, err := NewFactory().CreateTracesToMetrics(t.Context(), connectortest.NewNopSettings(metadata.Type), cfg, next)
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
	require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(1, 0)...)))
	sent := make(chan error)
	go func() { sent <- c.ConsumeTraces(t.Context(), batch(call(2, 8*second)...)) }()
	// The first flush is being sent, or will be by one of these, who must not wait for it.
	inner := c.(*traceGraph)
	for len(inner.sending) == 0 {
		select {
		case <-t.Context().Done():
			t.Fatal("nothing is sent")
		default:
		}
	}
	for i := 2; i < 9; i++ {
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(uint64(i+1), time.Duration(i)*5*second)...)))
	}
	close(release)
	require.NoError(t, <-sent)
	require.NoError(t, c.Shutdown(t.Context()))
	mu.Lock()
	defer mu.Unlock()
	assert.IsIncreasing(t, got)
	assert.LessOrEqual(t, len(got), 5, "the one under way, three that waited, the last")
	assert.Equal(t, pcommon.NewTimestampFromTime(epoch.Add(40*second)), got[len(got)-1])
}

func TestRefusingDownstream(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	cfg.FlushInterval = 5 * time.Second
	c, err := NewFactory().CreateTracesToMetrics(t.Context(), connectortest.NewNopSettings(metadata.Type), cfg,
		consumertest.NewErr(errors.New("full")))
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
	for _, td := range every(0, 8*second, 13*second) {
		require.NoError(t, c.ConsumeTraces(t.Context(), td), "the spans were counted; sending them again is of no use")
	}
	require.NoError(t, c.Shutdown(t.Context()))
}

func TestShutdownWithoutStart(t *testing.T) {
	c, err := NewFactory().CreateTracesToMetrics(t.Context(), connectortest.NewNopSettings(metadata.Type),
		createDefaultConfig(), consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, c.Shutdown(t.Context()))
	require.NoError(t, c.Shutdown(t.Context()))
}

func TestConcurrentConsume(t *testing.T) {
	c, sink := start(t, nil)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 200 {
				assert.NoError(t, c.ConsumeTraces(t.Context(), batch(call(uint64(worker*1000+i), time.Duration(i)*100*time.Millisecond)...)))
			}
		})
	}
	wg.Wait()
	require.NoError(t, c.Shutdown(t.Context()))
	assert.Equal(t, map[string]int64{"a > b": 800}, last(sink, total))
}

func TestConsumeDoesNotAllocate(t *testing.T) {
	c, _ := start(t, nil)
	td := benchBatch()
	round := 0
	step := func() {
		stamp(td, round, epoch.Add(time.Duration(round)*10*time.Millisecond))
		round++
		require.NoError(t, c.ConsumeTraces(t.Context(), td))
	}
	for round < 2000 { // until the store has its size
		step()
	}
	// 400 rounds are four seconds and one flush.
	allocs := testing.AllocsPerRun(400, step)
	assert.Less(t, allocs, 5.0, "for 200 spans, a flush included")
	require.NoError(t, c.Shutdown(t.Context()))
}

// TestCancelledRequest has the request that closes an interval given up by its sender.
func TestCancelledRequest(t *testing.T) {
	var errs []error
	next, err := consumer.NewMetrics(func(ctx context.Context, _ pmetric.Metrics) error {
		errs = append(errs, ctx.Err())
		return nil
	})
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	cfg.FlushInterval = 5 * time.Second
	c, err := NewFactory().CreateTracesToMetrics(t.Context(), connectortest.NewNopSettings(metadata.Type), cfg, next)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, td := range every(0, 8*second) {
		require.NoError(t, c.ConsumeTraces(ctx, td))
	}
	assert.Equal(t, []error{nil}, errs)
	require.NoError(t, c.Shutdown(t.Context()))
}
