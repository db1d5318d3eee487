package anomalyprocessor

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"

	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/metadata"
)

// runner drives the scoring alone, without the collector's own measuring around it.
type runner struct {
	tb testing.TB
	p  *anomalyProcessor
	n  int
}

// steady returns a processor that has learnt n series, and a batch with a point of each.
func steady(tb testing.TB, n int) (*runner, [variants][]pmetric.Metrics) {
	tb.Helper()
	cfg := createDefaultConfig().(*Config)
	cfg.MaxSeries = 2_000_000
	p, err := newAnomalyProcessor(processor.Settings{TelemetrySettings: componenttest.NewNopTelemetrySettings()}, cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, p.shutdown(tb.Context())) })
	r := &runner{tb: tb, p: p}
	batches := batchesOf(n)
	for range 30 {
		r.run(batches)
	}
	return r, batches
}

// variants is the number of batches with other values that are sent in turn: setting a value allocates.
const variants = 7

func batchesOf(n int) [variants][]pmetric.Metrics {
	var all [variants][]pmetric.Metrics
	for v := range all {
		all[v] = variant(n, v)
	}
	return all
}

func variant(n, v int) []pmetric.Metrics {
	const size = 1000
	var all []pmetric.Metrics
	for left := n; left > 0; left -= size {
		md := pmetric.NewMetrics()
		for i := range min(size, left) {
			if i%100 == 0 {
				md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty()
			}
			rm := md.ResourceMetrics().At(i / 100)
			rm.Resource().Attributes().PutStr("service.name", fmt.Sprintf("service-%d-%d", left, i/100))
			rm.Resource().Attributes().PutStr("k8s.pod.name", fmt.Sprintf("pod-%d-%d", left, i/100))
			sm := rm.ScopeMetrics().At(0)
			if i%10 == 0 {
				m := sm.Metrics().AppendEmpty()
				m.SetName(fmt.Sprintf("metric.%d", i%100))
				m.SetUnit("1")
				m.SetEmptyGauge()
			}
			p := sm.Metrics().At(sm.Metrics().Len() - 1).Gauge().DataPoints().AppendEmpty()
			p.Attributes().PutStr("http.route", fmt.Sprintf("/route/%d", i%10))
			p.Attributes().PutStr("http.request.method", "GET")
			p.Attributes().PutInt("http.response.status_code", 200)
			p.SetDoubleValue(100 + float64((v*7919+i*104729)%13))
		}
		all = append(all, md)
	}
	return all
}

// run moves the batches on by one interval and scores them.
func (r *runner) run(batches [variants][]pmetric.Metrics) {
	r.n++
	now := pcommon.NewTimestampFromTime(at(r.n, 10*time.Second))
	for _, md := range batches[r.n%variants] {
		for _, rm := range md.ResourceMetrics().All() {
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				for _, p := range m.Gauge().DataPoints().All() {
					p.SetTimestamp(now)
				}
			}
		}
		_, err := r.p.processMetrics(r.tb.Context(), md)
		require.NoError(r.tb, err)
	}
}

func TestKnownCalmSeriesDoNotAllocate(t *testing.T) {
	r, batches := steady(t, 1000)
	assert.Zero(t, testing.AllocsPerRun(50, func() { r.run(batches) }))
}

// Counters, histograms and ratios of them do not allocate either, once they are known.
func TestKnownCountsDoNotAllocate(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	errorsOverRequests(cfg)
	cfg.EmitBand = false
	p, err := newAnomalyProcessor(processor.Settings{TelemetrySettings: componenttest.NewNopTelemetrySettings()}, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.shutdown(t.Context())) })
	s := serving()
	var batches []pmetric.Metrics
	total := pmetric.NewHistogramDataPoint()
	for n := range 400 {
		md := s.point(n, map[int64]int64{200: 500 + int64(n%3), 503: 5})
		m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().AppendEmpty()
		m.SetName("duration")
		m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		point := m.Histogram().DataPoints().AppendEmpty()
		explicit(point, 1, 500+uint64(n%3), 0.15)
		stamp(point, begin, at(n, minute))
		if n > 0 {
			point.SetCount(point.Count() + total.Count())
			point.SetSum(point.Sum() + total.Sum())
			for i := range total.BucketCounts().Len() {
				point.BucketCounts().SetAt(i, point.BucketCounts().At(i)+total.BucketCounts().At(i))
			}
		}
		point.CopyTo(total)
		batches = append(batches, md)
	}
	next := 0
	run := func() {
		_, err := p.processMetrics(t.Context(), batches[next])
		require.NoError(t, err)
		next++
	}
	for range 300 {
		run()
	}
	assert.Zero(t, testing.AllocsPerRun(90, run))
}

func TestMemoryOfASeriesIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("measures the heap")
	}
	batches := batchesOf(20_000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r, _ := steady(t, 0)
	for range 30 {
		r.run(batches)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	assert.Less(t, (after.HeapAlloc-before.HeapAlloc)/20_000, uint64(1200), "bytes a series")
	runtime.KeepAlive(batches)
	runtime.KeepAlive(r)
}

func BenchmarkProcessor(b *testing.B) {
	for _, n := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("series=%d", n), func(b *testing.B) {
			var before, after runtime.MemStats
			batches := batchesOf(n)
			runtime.GC()
			runtime.ReadMemStats(&before)
			r, _ := steady(b, 0)
			for range 30 {
				r.run(batches)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportAllocs()
			for b.Loop() {
				r.run(batches)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/point")
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/series")
		})
	}
}

// BenchmarkPipeline measures the same through the collector's processor helper.
func BenchmarkPipeline(b *testing.B) {
	cfg := createDefaultConfig()
	set := processor.Settings{TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	set.ID.UnmarshalText([]byte(metadata.Type.String())) //nolint:errcheck // the type is valid
	p, err := NewFactory().CreateMetrics(b.Context(), set, cfg, consumertest.NewNop())
	require.NoError(b, err)
	batches := batchesOf(1000)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		md := batches[n%variants][0]
		now := pcommon.NewTimestampFromTime(at(n, 10*time.Second))
		for _, rm := range md.ResourceMetrics().All() {
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				for _, p := range m.Gauge().DataPoints().All() {
					p.SetTimestamp(now)
				}
			}
		}
		require.NoError(b, p.ConsumeMetrics(b.Context(), md))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/point")
}
