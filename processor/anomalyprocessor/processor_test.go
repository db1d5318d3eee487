package anomalyprocessor

import (
	"bytes"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"golang.org/x/sync/errgroup"

	"github.com/paramedic-otel/paramedic/semconv"
)

func TestEpisodeOfAGauge(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.EmitBand = true })
	r := seeded(1)
	const step = 5 * time.Second
	for n := range 360 {
		require.Empty(t, h.feed(gauge("queue.length", "{item}", at(n, step), 100+5*r.NormFloat64())))
	}
	for n := 360; n < 400; n++ {
		h.feed(gauge("queue.length", "{item}", at(n, step), 200+5*r.NormFloat64()))
	}
	for n := 400; n < 500; n++ {
		h.feed(gauge("queue.length", "{item}", at(n, step), 100+5*r.NormFloat64()))
	}

	require.NotEmpty(t, h.scores)
	first, last := h.scores[0], h.scores[len(h.scores)-1]
	assert.False(t, first.at.After(at(361, step)), "the second affected point at the latest, got %s", first.at)
	assert.GreaterOrEqual(t, h.scores[1].value, 0.99)
	assert.Equal(t, "queue.length", first.metric)
	assert.Equal(t, semconv.SignalValue, first.signal)
	assert.Equal(t, "baseline", first.detector)
	assert.Equal(t, map[string]any{"i": int64(0)}, first.attributes)
	assert.Equal(t, at(400, step), last.at, "once more when it is over")
	assert.Less(t, last.value, h.cfg.MinScore)
	for _, s := range h.scores {
		assert.Equal(t, at(360, step), s.onset)
		assert.InDelta(t, 100, s.beside[semconv.MetricAnomalyExpected], 5)
		assert.InDelta(t, 110, s.beside[semconv.MetricAnomalyUpper], 8)
		assert.InDelta(t, 90, s.beside[semconv.MetricAnomalyLower], 8)
	}
	assert.Greater(t, first.beside[semconv.MetricAnomalyDeviation], 10.0)
	for n := 361; n < 400; n++ {
		assert.GreaterOrEqual(t, h.scores[len(h.scores)-1-400+n].value, 0.99, "it stays abnormal")
	}
}

func TestCPUOncePerMinuteAfterHalfAnHour(t *testing.T) {
	h := newHarness(t)
	r := seeded(2)
	for n := range 30 {
		h.feed(gauge("k8s.container.cpu_limit_utilization", "1", at(n, time.Minute), 0.05+0.005*r.NormFloat64()))
	}
	require.Empty(t, h.scores)
	h.feed(gauge("k8s.container.cpu_limit_utilization", "1", at(30, time.Minute), 0.9))
	h.feed(gauge("k8s.container.cpu_limit_utilization", "1", at(31, time.Minute), 0.9))
	require.NotEmpty(t, h.scores)
	assert.GreaterOrEqual(t, h.scores[0].value, 0.99)
	assert.Equal(t, at(30, time.Minute), h.scores[0].onset)
}

// Batches may come at once; no point may be lost or judged twice.
func TestConcurrentBatches(t *testing.T) {
	h := newHarness(t)
	assert.True(t, h.processor.Capabilities().MutatesData)
	var group errgroup.Group
	for source := range 8 {
		group.Go(func() error {
			r := seeded(uint64(source))
			for n := range 200 {
				md := gauge("g", "1", at(n, time.Minute), 10+r.NormFloat64(), 20+r.NormFloat64())
				md.ResourceMetrics().At(0).Resource().Attributes().PutInt("source", int64(source))
				if err := h.processor.ConsumeMetrics(t.Context(), md); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	assert.Equal(t, int64(8*200*2), h.counter("otelcol_processor_anomaly_scored_datapoints", ""))
	assert.Equal(t, 8*200*2, h.sink.DataPointCount())
}

func TestShutdownBeforeStartAndTwice(t *testing.T) {
	p, err := NewFactory().CreateMetrics(t.Context(), newHarness(t).settings(), createDefaultConfig(), consumertest.NewNop())
	require.NoError(t, err)
	require.NoError(t, p.Shutdown(t.Context()))
	require.NoError(t, p.Shutdown(t.Context()))
}

// A batch that waits while its shard is written is one that comes after: else what it changes would not be written.
func TestBatchIsOfTheTimeItIsScored(t *testing.T) {
	p, err := newAnomalyProcessor((&harness{telemetry: componenttest.NewTelemetry()}).settings(), createDefaultConfig().(*Config))
	require.NoError(t, err)
	p.mu.Lock()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := p.processMetrics(t.Context(), gauge("g", "1", begin, 1))
		assert.NoError(t, err)
	})
	stacks := make([]byte, 1<<20)
	for waits := false; !waits; waits = bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte("[sync.Mutex.Lock")) {
		runtime.Gosched()
	}
	written := time.Now().UnixNano()
	p.mu.Unlock()
	wg.Wait()
	require.NotZero(t, p.table.streams.size)
	assert.GreaterOrEqual(t, p.table.streams.at(0).arrived, written)
}
