package anomalyprocessor

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	minute  = 10 * time.Second // the pace of the series of these tests
	calm    = 100              // points before the change
	changed = 4                // points after it
)

// stamp sets the times of a point; a series begins at begin unless said otherwise.
func stamp(p interface {
	SetTimestamp(pcommon.Timestamp)
	SetStartTimestamp(pcommon.Timestamp)
}, start, at time.Time,
) {
	p.SetStartTimestamp(pcommon.NewTimestampFromTime(start))
	p.SetTimestamp(pcommon.NewTimestampFromTime(at))
}

func sum(n int, temporality pmetric.AggregationTemporality, monotonic bool, set func(pmetric.NumberDataPoint)) pmetric.Metrics {
	md, m := metrics("requests", "{request}")
	s := m.SetEmptySum()
	s.SetAggregationTemporality(temporality)
	s.SetIsMonotonic(monotonic)
	p := s.DataPoints().AppendEmpty()
	start := begin
	if temporality == pmetric.AggregationTemporalityDelta {
		start = at(n-1, minute)
	}
	stamp(p, start, at(n, minute))
	set(p)
	return md
}

// expect feeds a calm series and then a changed one, and checks which signals are abnormal and what was expected.
func expect(t *testing.T, want map[string]float64, point func(n int, changed bool) pmetric.Metrics) {
	t.Helper()
	h := newHarness(t, func(c *Config) { c.EmitBand = true })
	for n := 1; n <= calm; n++ {
		require.Empty(t, h.feed(point(n, false)))
	}
	for n := calm + 1; n <= calm+changed; n++ {
		h.feed(point(n, true))
	}
	got := map[string]float64{}
	for _, s := range h.scores {
		got[s.signal] = s.beside[semconv.MetricAnomalyExpected]
	}
	require.Len(t, got, len(want), "%v", got)
	for signal, expected := range want {
		assert.InEpsilon(t, expected, got[signal], 0.03, signal)
	}
}

func TestSums(t *testing.T) {
	const cumulative, delta = pmetric.AggregationTemporalityCumulative, pmetric.AggregationTemporalityDelta
	wave := func(n int) float64 { return float64(n % 3) }
	t.Run("cumulative ints become rates", func(t *testing.T) {
		total := int64(math.MaxInt64 / 2) // far beyond what a double counts exactly
		expect(t, map[string]float64{semconv.SignalRate: 10}, func(n int, changed bool) pmetric.Metrics {
			total += 99 + int64(n%3)
			if changed {
				total += 900
			}
			return sum(n, cumulative, true, func(p pmetric.NumberDataPoint) { p.SetIntValue(total) })
		})
	})
	t.Run("cumulative doubles become rates", func(t *testing.T) {
		total := 0.0
		expect(t, map[string]float64{semconv.SignalRate: 10.05}, func(n int, changed bool) pmetric.Metrics {
			total += 99.5 + wave(n)
			if changed {
				total += 900
			}
			return sum(n, cumulative, true, func(p pmetric.NumberDataPoint) { p.SetDoubleValue(total) })
		})
	})
	t.Run("deltas become rates", func(t *testing.T) {
		expect(t, map[string]float64{semconv.SignalRate: 10}, func(n int, changed bool) pmetric.Metrics {
			v := 99 + int64(n%3)
			if changed {
				v = 1000
			}
			return sum(n, delta, true, func(p pmetric.NumberDataPoint) { p.SetIntValue(v) })
		})
	})
	t.Run("a non-monotonic sum is a value", func(t *testing.T) {
		expect(t, map[string]float64{semconv.SignalValue: 100}, func(n int, changed bool) pmetric.Metrics {
			v := 99 + int64(n%3)
			if changed {
				v = 1000
			}
			return sum(n, cumulative, false, func(p pmetric.NumberDataPoint) { p.SetIntValue(v) })
		})
	})
}

// A counter that begins anew must neither alarm nor make its series forget.
func TestCounterResets(t *testing.T) {
	for name, tc := range map[string]struct {
		start   time.Time // of the counter that begins anew
		refused int64
	}{
		"without a new start time":              {begin, 1},
		"with a new start time, half way":       {at(calm, minute).Add(minute / 2), 0},
		"with a new start time, a moment ago":   {at(calm+1, minute).Add(-time.Second), 1},
		"with a new start time that cannot be":  {at(calm+1, minute).Add(time.Second), 1},
		"with a start time before the last one": {at(calm, minute).Add(-time.Hour), 1},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			total, start := int64(1_000_000), begin
			rate := int64(10)
			point := func(n int) pmetric.Metrics {
				return sum(n, pmetric.AggregationTemporalityCumulative, true, func(p pmetric.NumberDataPoint) {
					stamp(p, start, at(n, minute))
					p.SetIntValue(total)
				})
			}
			for n := 1; n <= 2*calm; n++ {
				total += 10*rate + int64(n%3)
				if n == calm+1 {
					total, start = 5*rate, tc.start
				}
				require.Empty(t, h.feed(point(n)), n)
			}
			assert.Equal(t, tc.refused, h.refused("reset"))
			assert.Equal(t, int64(1), h.refused("start"))
			rate *= 10
			for n := 2*calm + 1; n <= 2*calm+changed; n++ {
				total += 10 * rate
				h.feed(point(n))
			}
			assert.NotEmpty(t, h.scores)
		})
	}
}

// explicit adds a histogram point in which all values lie around a size: 8 of 10 in its bucket, one below, one above.
func explicit(p pmetric.HistogramDataPoint, bucket int, count uint64, mean float64) {
	p.ExplicitBounds().FromRaw([]float64{0.1, 0.2, 0.4, 0.8, 1.6})
	counts := make([]uint64, 6)
	counts[bucket-1], counts[bucket], counts[bucket+1] = count/10, count-2*(count/10), count/10
	p.BucketCounts().FromRaw(counts)
	p.SetCount(count)
	p.SetSum(mean * float64(count))
}

func TestHistograms(t *testing.T) {
	histogram := func(n int, temporality pmetric.AggregationTemporality, total *pmetric.HistogramDataPoint, bucket int, count uint64, mean float64) pmetric.Metrics {
		md, m := metrics("http.server.request.duration", "s")
		h := m.SetEmptyHistogram()
		h.SetAggregationTemporality(temporality)
		p := h.DataPoints().AppendEmpty()
		explicit(p, bucket, count, mean)
		start := at(n-1, minute)
		if total != nil {
			start = begin
			p.SetCount(p.Count() + total.Count())
			p.SetSum(p.Sum() + total.Sum())
			for i := range total.BucketCounts().Len() {
				p.BucketCounts().SetAt(i, p.BucketCounts().At(i)+total.BucketCounts().At(i))
			}
			p.CopyTo(*total)
		}
		stamp(p, start, at(n, minute))
		return md
	}
	slow := func(n int, changed bool) (int, uint64, float64) {
		if changed {
			return 3, 500, 0.6
		}
		return 1, 500, 0.15 + 0.001*float64(n%3)
	}
	// 10 below, 80 in (0.1, 0.2], 10 above: half of them lie below 0.15, and 99 % below 0.2 + 0.9 of the next bucket.
	latency := map[string]float64{semconv.SignalMean: 0.151, semconv.SignalP50: 0.15, semconv.SignalP90: 0.2, semconv.SignalP99: 0.38}
	t.Run("delta", func(t *testing.T) {
		expect(t, latency, func(n int, changed bool) pmetric.Metrics {
			bucket, count, mean := slow(n, changed)
			return histogram(n, pmetric.AggregationTemporalityDelta, nil, bucket, count, mean)
		})
	})
	t.Run("cumulative", func(t *testing.T) {
		total := pmetric.NewHistogramDataPoint()
		expect(t, latency, func(n int, changed bool) pmetric.Metrics {
			bucket, count, mean := slow(n, changed)
			return histogram(n, pmetric.AggregationTemporalityCumulative, &total, bucket, count, mean)
		})
	})
	t.Run("more of the same is traffic only", func(t *testing.T) {
		total := pmetric.NewHistogramDataPoint()
		expect(t, map[string]float64{semconv.SignalRate: 10}, func(n int, changed bool) pmetric.Metrics {
			count := uint64(100)
			if changed {
				count = 1000
			}
			return histogram(n, pmetric.AggregationTemporalityCumulative, &total, 1, count, 0.15+0.001*float64(n%3))
		})
	})
	t.Run("a quantile of too few observations is not scored", func(t *testing.T) {
		expect(t, map[string]float64{semconv.SignalMean: 0.151, semconv.SignalP50: 0.15, semconv.SignalP90: 0.2}, func(n int, changed bool) pmetric.Metrics {
			bucket, _, mean := slow(n, changed)
			return histogram(n, pmetric.AggregationTemporalityDelta, nil, bucket, 50, mean)
		})
	})
	t.Run("new bounds begin anew", func(t *testing.T) {
		h := newHarness(t)
		total := pmetric.NewHistogramDataPoint()
		for n := 1; n <= calm; n++ {
			h.feed(histogram(n, pmetric.AggregationTemporalityCumulative, &total, 1, 100, 0.15))
		}
		md := histogram(calm+1, pmetric.AggregationTemporalityCumulative, &total, 1, 100, 0.15)
		md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Histogram().DataPoints().At(0).ExplicitBounds().FromRaw([]float64{1, 2, 3, 4, 5})
		require.Empty(t, h.feed(md))
		assert.Equal(t, int64(1), h.refused("reset"))
	})
}

func TestExponentialHistograms(t *testing.T) {
	// All values of a call lie in one bucket of scale 3 around 2^(bucket/8); the first calm points are of a finer scale.
	feed := func(cumulative bool) func(n int, changed bool) pmetric.Metrics {
		totals := map[int]uint64{}
		count, total := uint64(0), 0.0
		return func(n int, changed bool) pmetric.Metrics {
			md, m := metrics("rpc.server.duration", "ms")
			h := m.SetEmptyExponentialHistogram()
			p := h.DataPoints().AppendEmpty()
			start := at(n-1, minute)
			h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
			if cumulative {
				h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
				start = begin
			} else {
				clear(totals)
				count, total = 0, 0
			}
			bucket, mean := 40, 33.0 // 32 ms and a little more
			if changed {
				bucket, mean = 72, 530
			}
			totals[bucket] += 500
			count += 500
			total += 500 * (mean + 0.1*float64(n%3))
			scale, low, high := 3, 40, 40
			for b := range totals {
				low, high = min(low, b), max(high, b)
			}
			if cumulative && n <= calm/2 {
				scale, low, high = 4, 2*low, 2*high
			}
			counts := make([]uint64, high-low+1)
			for b, c := range totals {
				counts[b<<(scale-3)-low] += c
			}
			p.SetScale(int32(scale))
			p.Positive().SetOffset(int32(low))
			p.Positive().BucketCounts().FromRaw(counts)
			p.SetCount(count)
			p.SetSum(total)
			stamp(p, start, at(n, minute))
			return md
		}
	}
	want := map[string]float64{semconv.SignalMean: 33.1, semconv.SignalP50: math.Exp2(40.5 / 8), semconv.SignalP90: math.Exp2(40.9 / 8), semconv.SignalP99: math.Exp2(40.99 / 8)}
	t.Run("delta", func(t *testing.T) { expect(t, want, feed(false)) })
	t.Run("cumulative, scale changes", func(t *testing.T) { expect(t, want, feed(true)) })
}

func TestSummaries(t *testing.T) {
	count, total := uint64(0), 0.0
	expect(t, map[string]float64{semconv.SignalMean: 0.101, semconv.SignalP90: 0.201, "p99.9": 0.301, semconv.SignalRate: 10},
		func(n int, changed bool) pmetric.Metrics {
			md, m := metrics("rpc_durations_seconds", "s")
			p := m.SetEmptySummary().DataPoints().AppendEmpty()
			factor := 1.0
			calls := uint64(99 + n%3)
			if changed {
				factor, calls = 10, 1000
			}
			jitter := 0.001 * float64(n%3)
			count += calls
			total += float64(calls) * factor * (0.1 + jitter)
			p.SetCount(count)
			p.SetSum(total)
			for q, v := range map[float64]float64{0.9: 0.2, 0.999: 0.3} {
				value := p.QuantileValues().AppendEmpty()
				value.SetQuantile(q)
				value.SetValue(factor * (v + jitter))
			}
			empty := p.QuantileValues().AppendEmpty()
			empty.SetQuantile(0.5)
			empty.SetValue(math.NaN()) // what Prometheus says when nothing was observed
			stamp(p, begin, at(n, minute))
			return md
		})
}
