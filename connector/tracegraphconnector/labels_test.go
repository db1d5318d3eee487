package tracegraphconnector

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/paramedic-otel/paramedic/connector/tracegraphconnector/internal/metadatatest"
	"github.com/paramedic-otel/paramedic/semconv"
)

// TestManyNames has names come and go for much longer than they are kept, more than there is room for at a time.
func TestManyNames(t *testing.T) {
	c, _ := observed(t, func(c *Config) { c.EdgeTTL = 10 * second }, consumertest.NewNop())
	// Letters only: a number would not be part of a name.
	word := func(i int) string {
		return strings.NewReplacer("0", "a", "1", "b", "2", "c", "3", "d", "4", "e", "5", "f", "6", "g", "7", "h", "8", "i", "9", "j").
			Replace(fmt.Sprint(i))
	}
	for i := range 400 {
		var spans []named
		for j := range 3 {
			both := served(uint64(3*i+j), word(3*i+j), map[string]any{"error.type": word(3*i + j), "http.response.status_code": 500})
			both[0].at, both[1].at = second*2*time.Duration(i), second*2*time.Duration(i)
			both[1].version = word(i)
			spans = append(spans, both...)
		}
		require.NoError(t, c.ConsumeTraces(t.Context(), namedBatch(spans...)))
	}
	// Of 1,200 error types, not more than 254 are there in three times edge_ttl.
	s := c.graph.Stats()
	assert.Equal(t, [4]int64{}, s.RefusedLabels)
	assert.LessOrEqual(t, s.HeldOperations, int64(30))
	require.NoError(t, c.Shutdown(t.Context()))
}

func TestTooManyErrorTypes(t *testing.T) {
	sink := new(consumertest.MetricsSink)
	c, tel := observed(t, func(c *Config) { c.Operations.MaxVariants = 1000 }, sink)
	for i := range 260 {
		name := strings.Repeat("x", 1+i%26) + strings.Repeat("y", i/26)
		require.NoError(t, c.ConsumeTraces(t.Context(), namedBatch(served(uint64(i), "f",
			map[string]any{"error.type": name, "http.response.status_code": 500})...)))
	}
	metadatatest.AssertEqualConnectorTracegraphRefusedLabels(
		t, tel, by("label", map[string]int64{"error_type": 6}), metricdatatest.IgnoreTimestamp())
	require.NoError(t, c.Shutdown(t.Context()))
	totals := operationTotals(sink)
	assert.Len(t, totals, 255)
	assert.EqualValues(t, 6, totals["a > b | f | _OTHER"])
	assert.Equal(t, map[string]int64{"a > b": 260}, last(sink, semconv.MetricGraphRequestTotal))
}

// TestLongNames asserts that what is kept of a name is bounded.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("a/", 60)
	spans := served(1, long, map[string]any{"error.type": strings.Repeat("e/", 60), "http.response.status_code": 500})
	spans[1].version = long
	spans[1].attrs["id"] = long
	sink := run(t, func(c *Config) { c.MaxNameLength, c.Dimensions = 20, []string{"id"} }, namedBatch(spans...))
	points(sink.AllMetrics(), semconv.MetricGraphRequestTotal, func(dp pmetric.NumberDataPoint) {
		id, _ := dp.Attributes().Get("server_id")
		assert.Equal(t, long[:20], id.Str())
	})
	assert.Equal(t, map[string]int64{
		"a > b | " + long[:20] + " | " + strings.Repeat("e/", 10) + " | " + long[:20]: 1,
	}, operationTotals(sink))
}

func TestLabelCache(t *testing.T) {
	c, _ := start(t, nil)
	graph := c.(*traceGraph).graph
	cache := newLabelCache(graph.Operations, 2)
	ids := map[string]bool{}
	for range 3 {
		for i := range 20 {
			name := fmt.Sprint("name", i)
			id := cache.id([]byte(name))
			assert.Equal(t, name, graph.Operations.Value(id))
			known, ok := cache.known(name)
			assert.True(t, ok)
			assert.Equal(t, id, known)
			ids[fmt.Sprint(id)] = true
		}
	}
	assert.Len(t, ids, 20)
	_, ok := cache.known("")
	assert.False(t, ok)
	require.NoError(t, c.Shutdown(t.Context()))
}

// TestSteadyStateDoesNotAllocate takes whole batches with dimensions and operations.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	c, _ := start(t, func(c *Config) {
		c.Dimensions, c.FlushInterval, c.EdgeTTL = []string{"http.request.method", "k8s.pod.name"}, maxInterval, maxInterval
		c.IdleTimeout = maxInterval
	})
	td := benchBatch()
	round := 0
	consume := func() {
		stamp(td, round, epoch.Add(time.Duration(round)*10*second/1000))
		require.NoError(t, c.ConsumeTraces(t.Context(), td))
		round++
	}
	for range 2000 {
		consume()
	}
	assert.Less(t, testing.AllocsPerRun(300, consume), 2.0, "of 200 spans")
	require.NoError(t, c.Shutdown(t.Context()))
}

// TestLabelsSideBySide takes batches in by several goroutines, and compares with taking them in one after the other.
func TestLabelsSideBySide(t *testing.T) {
	var in []ptrace.Traces
	for i := range 400 {
		spans := served(uint64(i), strings.Repeat("f", 1+i%7), map[string]any{"region": strings.Repeat("r", i%3)})
		spans[1].version = strings.Repeat("v", i%4)
		spans[1].dur = time.Duration(i+1) * time.Millisecond
		if i%5 == 0 {
			spans[1].attrs["error.type"], spans[1].status = strings.Repeat("e", 1+i%2), ptrace.StatusCodeError
		}
		in = append(in, namedBatch(spans...))
	}
	counts := func(workers int) (map[string]int64, []string) {
		c, sink := start(t, func(c *Config) { c.Dimensions = []string{"region"} })
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < len(in); i += workers {
					assert.NoError(t, c.ConsumeTraces(t.Context(), in[i]))
				}
			})
		}
		wg.Wait()
		require.NoError(t, c.Shutdown(t.Context()))
		var examples []string
		points(sink.AllMetrics(), semconv.MetricGraphRequestFailedTotal, func(dp pmetric.NumberDataPoint) {
			for _, x := range dp.Exemplars().All() {
				region, _ := dp.Attributes().Get("server_region")
				examples = append(examples, region.Str()+" "+x.TraceID().String())
			}
		})
		totals := map[string]int64{}
		points(sink.AllMetrics(), semconv.MetricGraphOperationRequestTotal, func(dp pmetric.NumberDataPoint) {
			region, _ := dp.Attributes().Get("server_region")
			totals[operationName(dp.Attributes())+" "+region.Str()] += dp.IntValue()
		})
		return totals, examples
	}
	want, examples := counts(1)
	require.Len(t, examples, 6)
	for range 3 {
		got, told := counts(4)
		assert.Equal(t, want, got)
		assert.Equal(t, examples, told)
	}
}
