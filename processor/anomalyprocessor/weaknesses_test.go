package anomalyprocessor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// What the isolation forest processor of the OpenTelemetry Collector (v0.144.0) does wrong, this one must do right.
// Its other weaknesses have tests elsewhere: counters, histograms (signals_test.go), options that nothing reads
// (settings_test.go), no telemetry (refusals_test.go).
func TestWeaknessesOfTheIsolationForestProcessor(t *testing.T) {
	const step = 10 * time.Second
	t.Run("one model for all series", func(t *testing.T) {
		h := newHarness(t)
		r := seeded(1)
		for n := range 200 {
			require.Empty(t, h.feed(gauge("g", "1", at(n, step), 10+r.NormFloat64(), 1000+r.NormFloat64())), "each is normal for itself")
		}
		h.feed(gauge("g", "1", at(200, step), 1000, 10))
		scores := h.feed(gauge("g", "1", at(201, step), 1000, 10))
		require.Len(t, scores, 2, "and abnormal when they change places")
		assert.Positive(t, scores[0].beside[semconv.MetricAnomalyDeviation])
		assert.Negative(t, scores[1].beside[semconv.MetricAnomalyDeviation])
	})
	t.Run("only the first data point scored", func(t *testing.T) {
		h := newHarness(t)
		r := seeded(1)
		values := make([]float64, 50)
		feed := func(n int, last float64) []score {
			for i := range values {
				values[i] = 10 + r.NormFloat64()
			}
			values[49] += last
			return h.feed(gauge("g", "1", at(n, step), values...))
		}
		for n := range 200 {
			require.Empty(t, feed(n, 0))
		}
		feed(200, 50)
		scores := feed(201, 50)
		require.Len(t, scores, 1)
		assert.Equal(t, int64(49), scores[0].attributes["i"])
	})
	t.Run("integers read as 0", func(t *testing.T) {
		h := newHarness(t, func(c *Config) { c.EmitBand = true })
		feed := func(n int, v int64) []score {
			md, m := metrics("g", "1")
			p := m.SetEmptyGauge().DataPoints().AppendEmpty()
			p.SetTimestamp(pcommon.NewTimestampFromTime(at(n, step)))
			p.SetIntValue(v)
			return h.feed(md)
		}
		for n := range 200 {
			require.Empty(t, feed(n, 500+int64(n%7)))
		}
		feed(200, 900)
		scores := feed(201, 900)
		require.Len(t, scores, 1)
		assert.InDelta(t, 503, scores[0].beside[semconv.MetricAnomalyExpected], 2)
	})
	t.Run("the score makes new series", func(t *testing.T) {
		scores := usual.tell(newHarness(t))
		require.Greater(t, len(scores), 5)
		for _, s := range scores {
			assert.Equal(t, scores[0].attributes, s.attributes)
		}
	})
	t.Run("cost grows with what was seen", func(t *testing.T) {
		p, md := steady(t, 1)
		for range 10_000 {
			p.run(md)
		}
		assert.Zero(t, testing.AllocsPerRun(100, func() { p.run(md) }))
	})
	t.Run("randomness from the clock", func(t *testing.T) {
		assert.Equal(t, usual.tell(newHarness(t)), usual.tell(newHarness(t)))
	})
	t.Run("no expected value, no reason", func(t *testing.T) {
		s := usual.tell(newHarness(t, func(c *Config) { c.EmitBand = true }))[1]
		assert.InDelta(t, 100, s.beside[semconv.MetricAnomalyExpected], 2)
		assert.Greater(t, s.beside[semconv.MetricAnomalyDeviation], 10.0)
		assert.Equal(t, at(usual.calm, usual.step), s.onset)
	})
}

func TestOwnMetricsAreNotScored(t *testing.T) {
	h := newHarness(t)
	for _, name := range []string{
		semconv.MetricAnomalyScore, semconv.MetricAnomalyDeviation, semconv.MetricAnomalyExpected, semconv.MetricAnomalyLower, semconv.MetricAnomalyUpper,
	} {
		s := usual
		s.name = name
		require.Empty(t, s.tell(h))
	}
	assert.Zero(t, h.counter("otelcol_processor_anomaly_seen_datapoints", ""))
}

// A second processor behind the first adds its scores behind the first one's, and scores none of them.
func TestTwoInARow(t *testing.T) {
	first, second := newHarness(t), newHarness(t)
	r := seeded(7)
	for n := range 310 {
		v := 100 + r.NormFloat64()
		if n >= 300 {
			v = 250
		}
		md := gauge("g", "1", at(n, time.Minute), v)
		require.NoError(t, first.processor.ConsumeMetrics(t.Context(), md))
		second.feed(first.sink.AllMetrics()[n])
	}
	assert.NotEmpty(t, second.scores)
	assert.Equal(t, int64(310), second.counter("otelcol_processor_anomaly_seen_datapoints", ""))
}

// The series of a metric depend on the resource and the name of the scope, not on the scope's version, nor on the order of
// attributes.
func TestIdentity(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.MaxSeries = 3 })
	feed := func(n int, scope, version, service string, swap bool) {
		md := gauge("g", "1", at(n, time.Minute), 1)
		rm := md.ResourceMetrics().At(0)
		rm.Resource().Attributes().PutStr(semconv.AttrServiceName, service)
		rm.ScopeMetrics().At(0).Scope().SetName(scope)
		rm.ScopeMetrics().At(0).Scope().SetVersion(version)
		a := rm.ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).Attributes()
		a.Clear()
		if swap {
			a.PutStr("b", "2")
			a.PutStr("a", "1")
		} else {
			a.PutStr("a", "1")
			a.PutStr("b", "2")
		}
		h.feed(md)
	}
	feed(1, "x", "1", "cart", false)
	feed(2, "x", "2", "cart", true)
	feed(3, "x", "1", "shop", false)
	feed(4, "y", "1", "cart", true)
	assert.Zero(t, h.refused("limit"))
	feed(5, "x", "1", "pay", false)
	assert.Equal(t, int64(1), h.refused("limit"))
}

// Two scopes of one resource have a counter of the same name, of different height.
func TestScopesDoNotDisturbEachOther(t *testing.T) {
	h := newHarness(t)
	for n := 1; n <= calm; n++ {
		md := pmetric.NewMetrics()
		rm := md.ResourceMetrics().AppendEmpty()
		for i, scope := range []string{"x", "y"} {
			total := int64(n * 10 * (i + 1))
			one := sum(n, pmetric.AggregationTemporalityCumulative, true, func(p pmetric.NumberDataPoint) { p.SetIntValue(total) })
			sm := rm.ScopeMetrics().AppendEmpty()
			one.ResourceMetrics().At(0).ScopeMetrics().At(0).CopyTo(sm)
			sm.Scope().SetName(scope)
		}
		require.Empty(t, h.feed(md))
	}
	assert.Zero(t, h.refused("duplicate"))
	assert.Zero(t, h.refused("reset"))
	assert.Equal(t, int64(2*(calm-1)), h.counter("otelcol_processor_anomaly_scored_datapoints", ""))
}

// FuzzConservation feeds whatever decodes as OTLP: all of it must come out unchanged and first, and each point must be
// counted once, as scored or as refused.
func FuzzConservation(f *testing.F) {
	for _, md := range []pmetric.Metrics{
		gauge("g", "1", begin, 1, 2, 3),
		sum(1, pmetric.AggregationTemporalityCumulative, true, func(p pmetric.NumberDataPoint) { p.SetIntValue(5) }),
	} {
		data, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(data)
		if err != nil {
			t.Skip()
		}
		h := newHarness(t, func(c *Config) {
			c.MaxSeries, c.WarmUp = 50, WarmUp{Points: 8}
			c.Explain.Metrics = []string{".*"}
			c.Shadow = configoptional.Some(Shadow{Emit: true})
			c.Ratios = []Ratio{{Name: "r", Numerator: RatioPart{Metric: "g"}, Denominator: RatioPart{Metric: "requests"}}}
		})
		points := 0
		for range 3 {
			again := pmetric.NewMetrics()
			md.CopyTo(again)
			for _, rm := range again.ResourceMetrics().All() {
				for _, sm := range rm.ScopeMetrics().All() {
					for _, m := range sm.Metrics().All() {
						if kindOf(m) != kindNone && h.selects(m.Name()) {
							points += pointsOf(m)
						}
					}
				}
			}
			require.NoError(t, h.processor.ConsumeMetrics(t.Context(), again))
			split(t, again, md.ResourceMetrics().Len())
			require.Equal(t, encode(t, md), encode(t, again))
		}
		seen := h.counter("otelcol_processor_anomaly_seen_datapoints", "")
		require.Equal(t, int64(points), seen)
		refused := int64(0)
		for _, name := range reasonNames[1:] {
			refused += h.refused(name)
		}
		require.Equal(t, seen, refused+h.counter("otelcol_processor_anomaly_scored_datapoints", ""))
	})
}

func pointsOf(m pmetric.Metric) int {
	md := pmetric.NewMetrics()
	m.CopyTo(md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty())
	return md.DataPointCount()
}

func (h *harness) selects(name string) bool {
	s, err := newSelector(h.cfg)
	require.NoError(h.t, err)
	return s.selected(name)
}
