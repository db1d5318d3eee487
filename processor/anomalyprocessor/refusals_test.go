package anomalyprocessor

import (
	"math"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/metadatatest"
)

// Each point passes, is not learnt from, and is counted under its reason.
func TestRefusals(t *testing.T) {
	last := at(calm, minute)
	one := func(change func(pmetric.NumberDataPoint)) pmetric.Metrics {
		md := gauge("g", "1", last.Add(minute), 10)
		change(md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0))
		return md
	}
	unspecified := func() pmetric.Metrics {
		return sum(calm+1, pmetric.AggregationTemporalityUnspecified, true, func(p pmetric.NumberDataPoint) { p.SetIntValue(1) })
	}
	wide := func(set func(pmetric.Metric)) pmetric.Metrics {
		md, m := metrics("wide", "1")
		set(m)
		return md
	}
	for name, tc := range map[string]struct {
		reason string
		md     pmetric.Metrics
	}{
		"NaN":          {"not_a_number", one(func(p pmetric.NumberDataPoint) { p.SetDoubleValue(math.NaN()) })},
		"infinity":     {"not_a_number", one(func(p pmetric.NumberDataPoint) { p.SetDoubleValue(math.Inf(-1)) })},
		"no value":     {"no_recorded_value", one(func(p pmetric.NumberDataPoint) { p.SetFlags(p.Flags().WithNoRecordedValue(true)) })},
		"duplicate":    {"duplicate", one(func(p pmetric.NumberDataPoint) { p.SetTimestamp(pcommon.NewTimestampFromTime(last)) })},
		"out of order": {"out_of_order", one(func(p pmetric.NumberDataPoint) { p.SetTimestamp(pcommon.NewTimestampFromTime(last.Add(-1))) })},
		"no time":      {"no_timestamp", one(func(p pmetric.NumberDataPoint) { p.SetTimestamp(0) })},
		"no such time": {"no_timestamp", one(func(p pmetric.NumberDataPoint) { p.SetTimestamp(math.MaxUint64) })},
		"far future": {"future", one(func(p pmetric.NumberDataPoint) {
			p.SetTimestamp(pcommon.NewTimestampFromTime(time.Now().Add(time.Hour)))
		})},
		"below its valid range": {"invalid", one(func(p pmetric.NumberDataPoint) { p.SetDoubleValue(-0.001) })},
		"above its valid range": {"invalid", one(func(p pmetric.NumberDataPoint) { p.SetIntValue(1001) })},
		"no temporality":        {"temporality", unspecified()},
		"many buckets": {"buckets", wide(func(m pmetric.Metric) {
			m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
			m.Histogram().DataPoints().AppendEmpty().BucketCounts().FromRaw(make([]uint64, 1025))
		})},
		"many exponential buckets": {"buckets", wide(func(m pmetric.Metric) {
			m.SetEmptyExponentialHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
			p := m.ExponentialHistogram().DataPoints().AppendEmpty()
			p.Positive().BucketCounts().FromRaw(make([]uint64, 600))
			p.Negative().BucketCounts().FromRaw(make([]uint64, 600))
		})},
		"many quantiles": {"buckets", wide(func(m pmetric.Metric) {
			p := m.SetEmptySummary().DataPoints().AppendEmpty()
			for range 1025 {
				p.QuantileValues().AppendEmpty()
			}
		})},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, func(c *Config) {
				c.Policies = []Policy{{Match: "g", ValidRange: &Range{Min: number(0), Max: number(1000)}}}
			})
			r := seeded(1)
			for n := 1; n <= calm; n++ {
				h.feed(gauge("g", "1", at(n, minute), 10+r.NormFloat64()))
			}
			require.Empty(t, h.feed(tc.md))
			assert.Equal(t, int64(1), h.refused(tc.reason))
			assert.Equal(t, int64(calm), h.counter("otelcol_processor_anomaly_scored_datapoints", ""))
			assert.Equal(t, int64(calm+1), h.counter("otelcol_processor_anomaly_seen_datapoints", ""))
			for n := calm + 1; n <= 2*calm; n++ {
				require.Empty(t, h.feed(gauge("g", "1", at(n, minute), 10+r.NormFloat64())))
			}
		})
	}
}

// Two sources whose clocks differ by minutes do not disturb each other, and a source a few minutes ahead of us is scored.
func TestSkewedClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		r := seeded(1)
		for n := range 400 {
			for i, skew := range []time.Duration{-7 * time.Minute, 0, 7 * time.Minute} {
				value := 10 + r.NormFloat64()
				if n >= 395 && i == 2 {
					value += 30
				}
				md := gauge("g", "1", time.Now().Add(skew), value)
				md.ResourceMetrics().At(0).Resource().Attributes().PutInt("source", int64(i))
				h.feed(md)
			}
			time.Sleep(5 * time.Second)
		}
		assert.Equal(t, int64(1200), h.counter("otelcol_processor_anomaly_scored_datapoints", ""))
		require.NotEmpty(t, h.scores)
		assert.GreaterOrEqual(t, h.scores[len(h.scores)-1].value, 0.99)
	})
}

func TestMillionSeriesAreBoundedAndCounted(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.MaxSeries = 1000 })
	const batches, size = 100, 10_000
	for b := range batches {
		md, m := metrics("g", "1")
		points := m.SetEmptyGauge().DataPoints()
		points.EnsureCapacity(size)
		for i := range size {
			p := points.AppendEmpty()
			p.SetTimestamp(pcommon.NewTimestampFromTime(begin))
			p.SetIntValue(1)
			p.Attributes().PutStr("user", strconv.Itoa(b*size+i))
		}
		require.NoError(t, h.processor.ConsumeMetrics(t.Context(), md))
		h.sink.Reset()
	}
	assert.Equal(t, int64(1000), h.counter("otelcol_processor_anomaly_scored_datapoints", ""))
	assert.Equal(t, int64(batches*size-1000), h.refused("limit"))
	metadatatest.AssertEqualProcessorAnomalyHeldSeries(t, h.telemetry, []metricdata.DataPoint[int64]{{Value: 1000}}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualProcessorAnomalyLimitSeries(t, h.telemetry, []metricdata.DataPoint[int64]{{Value: 1000}}, metricdatatest.IgnoreTimestamp())
}

func TestIdleSeriesExpireAndMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, func(c *Config) { c.MaxSeries, c.SeriesTTL, c.EvictAfter = 2, 10*time.Minute, 0 })
		send := func(i int64) {
			md := gauge("g", "1", time.Now(), 1)
			md.ResourceMetrics().At(0).Resource().Attributes().PutInt("i", i)
			h.feed(md)
		}
		send(1)
		time.Sleep(9 * time.Minute)
		send(2)
		send(3)
		assert.Equal(t, int64(1), h.refused("limit"))
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		metadatatest.AssertEqualProcessorAnomalyExpiredSeries(t, h.telemetry, []metricdata.DataPoint[int64]{{Value: 1}}, metricdatatest.IgnoreTimestamp())
		send(3)
		assert.Equal(t, int64(1), h.refused("limit"))
		metadatatest.AssertEqualProcessorAnomalyHeldSeries(t, h.telemetry, []metricdata.DataPoint[int64]{{Value: 2}}, metricdatatest.IgnoreTimestamp())
	})
}

// At max_series, a series that has been idle for evict_after makes room; one that goes on does not.
func TestIdleSeriesMakeRoomWhenItIsScarce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, func(c *Config) { c.MaxSeries, c.EvictAfter = 20, 5*time.Minute })
		send := func(i int64) {
			md := gauge("g", "1", time.Now(), 1)
			md.ResourceMetrics().At(0).Resource().Attributes().PutInt("i", i)
			h.feed(md)
		}
		for i := range int64(20) {
			send(i)
		}
		for range 5 {
			time.Sleep(time.Minute - time.Millisecond)
			for i := range int64(10) {
				send(i)
			}
		}
		send(100)
		assert.Equal(t, int64(1), h.refused("limit"), "none has been idle for long enough")
		time.Sleep(time.Second)
		for i := int64(100); i < 120; i++ {
			send(i)
			time.Sleep(time.Millisecond)
		}
		assert.Equal(t, int64(11), h.refused("limit"))
		assert.Equal(t, int64(10), h.counter("otelcol_processor_anomaly_evicted_series", ""))
		seen := h.counter("otelcol_processor_anomaly_scored_datapoints", "")
		for i := range int64(10) {
			send(i)
		}
		assert.Equal(t, seen+10, h.counter("otelcol_processor_anomaly_scored_datapoints", ""), "those that went on are still held")
	})
}

// An older recording is refused as out of order only until series_ttl has passed; then the series starts anew.
func TestOlderRecordingIsScoredInTheEnd(t *testing.T) {
	for name, pace := range map[string]time.Duration{"played on": minute, "the last point over and over": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, func(c *Config) { c.SeriesTTL = 10 * time.Minute })
				h.feed(gauge("g", "1", time.Now(), 1))
				older := time.Now().Add(-24 * time.Hour)
				if pace == 0 {
					older = time.Now()
				}
				for n := range 59 { // 9 minutes and 50 seconds
					time.Sleep(minute)
					h.feed(gauge("g", "1", older.Add(time.Duration(n)*pace), 1))
				}
				assert.Equal(t, int64(1), h.counter("otelcol_processor_anomaly_scored_datapoints", ""))
				for n := 59; n < 70; n++ {
					time.Sleep(minute)
					h.feed(gauge("g", "1", older.Add(time.Duration(n)*pace), 1))
				}
				assert.Greater(t, h.counter("otelcol_processor_anomaly_scored_datapoints", ""), int64(1))
			})
		})
	}
}

// An agent that sends a long backlog once more, alone or between new points, takes nothing away of what was learnt.
func TestResentBacklogForgetsNothing(t *testing.T) {
	for name, live := range map[string]bool{"alone": false, "between new points": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, func(c *Config) { c.SeriesTTL = 20 * time.Minute })
				r := seeded(1)
				var sent []time.Time
				send := func() {
					time.Sleep(minute)
					sent = append(sent, time.Now())
					require.Empty(t, h.feed(gauge("g", "1", time.Now(), 10+r.NormFloat64())))
				}
				for range calm {
					send()
				}
				backlog := sent[:calm-1]
				for _, t0 := range backlog {
					if live {
						send()
					} else {
						time.Sleep(minute)
					}
					h.feed(gauge("g", "1", t0, 1000))
				}
				assert.Equal(t, int64(calm-1), h.refused("out_of_order"))
				assert.Empty(t, h.scores)
				for range 2 {
					time.Sleep(minute)
					h.feed(gauge("g", "1", time.Now(), 40))
				}
				require.NotEmpty(t, h.scores)
				assert.GreaterOrEqual(t, h.scores[len(h.scores)-1].value, 0.99)
			})
		})
	}
}

func TestTelemetryOfAnEpisode(t *testing.T) {
	h := newHarness(t)
	r := seeded(1)
	for n := range calm {
		h.feed(gauge("g", "1", at(n, minute), 10+r.NormFloat64()))
	}
	for n := calm; n < calm+4; n++ {
		h.feed(gauge("g", "1", at(n, minute), 1000))
	}
	h.feed(gauge("g", "1", at(calm+4, minute), 10))
	h.feed(gauge("g", "1", at(calm+4, minute), 10))

	ignore := metricdatatest.IgnoreTimestamp()
	one := func(v int64) []metricdata.DataPoint[int64] { return []metricdata.DataPoint[int64]{{Value: v}} }
	metadatatest.AssertEqualProcessorAnomalySeenDatapoints(t, h.telemetry, one(calm+6), ignore)
	metadatatest.AssertEqualProcessorAnomalyScoredDatapoints(t, h.telemetry, one(calm+5), ignore)
	metadatatest.AssertEqualProcessorAnomalyEmittedScores(t, h.telemetry, one(int64(len(h.scores))), ignore)
	metadatatest.AssertEqualProcessorAnomalyOpenedEpisodes(t, h.telemetry, one(1), ignore)
	metadatatest.AssertEqualProcessorAnomalyRefusedDatapoints(t, h.telemetry, []metricdata.DataPoint[int64]{
		{Value: 1, Attributes: attribute.NewSet(attribute.String("reason", "duplicate"))},
	}, ignore)
	metadatatest.AssertEqualProcessorAnomalyEvaluationDuration(t, h.telemetry, []metricdata.HistogramDataPoint[float64]{{Count: calm + 6}}, ignore, metricdatatest.IgnoreValue())
}
