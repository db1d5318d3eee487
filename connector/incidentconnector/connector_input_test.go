package incidentconnector

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// eachMetric rewrites the metrics of a batch.
func eachMetric(md pmetric.Metrics, f func(pmetric.Metric)) pmetric.Metrics {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				f(m)
			}
		}
	}
	return md
}

// TestShapesOfGraphMetrics plays the same trouble in every shape in which the graph's metrics may come.
func TestShapesOfGraphMetrics(t *testing.T) {
	t.Parallel()
	cumulate := func(reset int) func(i int, md pmetric.Metrics) pmetric.Metrics {
		sums, counts := map[string]int64{}, map[string][]uint64{}
		seconds := map[string]float64{}
		start := 0
		return func(i int, md pmetric.Metrics) pmetric.Metrics {
			if reset > 0 && i%reset == reset-1 {
				clear(sums)
				clear(counts)
				clear(seconds)
				start = i
			}
			begin := pcommon.NewTimestampFromTime(at(start - 1))
			return eachMetric(md, func(m pmetric.Metric) {
				name := func(attrs pcommon.Map) string { return m.Name() + str(attrs, "client") + ">" + str(attrs, "server") }
				switch m.Type() {
				case pmetric.MetricTypeSum:
					m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
					for _, p := range m.Sum().DataPoints().All() {
						sums[name(p.Attributes())] += p.IntValue()
						p.SetIntValue(sums[name(p.Attributes())])
						p.SetStartTimestamp(begin)
					}
				case pmetric.MetricTypeHistogram:
					m.Histogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
					for _, p := range m.Histogram().DataPoints().All() {
						key := name(p.Attributes())
						if counts[key] == nil {
							counts[key] = make([]uint64, p.BucketCounts().Len())
						}
						total := uint64(0)
						for b, n := range p.BucketCounts().AsRaw() {
							counts[key][b] += n
							total += counts[key][b]
						}
						seconds[key] += p.Sum()
						p.BucketCounts().FromRaw(counts[key])
						p.SetCount(total)
						p.SetSum(seconds[key])
						p.SetStartTimestamp(begin)
					}
				}
			})
		}
	}
	shapes := map[string]func() func(i int, md pmetric.Metrics) pmetric.Metrics{
		"delta": func() func(int, pmetric.Metrics) pmetric.Metrics {
			return func(_ int, md pmetric.Metrics) pmetric.Metrics { return md }
		},
		"cumulative":         func() func(int, pmetric.Metrics) pmetric.Metrics { return cumulate(0) },
		"cumulative, resets": func() func(int, pmetric.Metrics) pmetric.Metrics { return cumulate(37) },
		"doubles": func() func(int, pmetric.Metrics) pmetric.Metrics {
			return func(_ int, md pmetric.Metrics) pmetric.Metrics {
				return eachMetric(md, func(m pmetric.Metric) {
					if m.Type() == pmetric.MetricTypeSum {
						for _, p := range m.Sum().DataPoints().All() {
							p.SetDoubleValue(float64(p.IntValue()))
						}
					}
				})
			}
		},
		"milliseconds": func() func(int, pmetric.Metrics) pmetric.Metrics {
			return func(_ int, md pmetric.Metrics) pmetric.Metrics {
				return eachMetric(md, func(m pmetric.Metric) {
					if m.Type() != pmetric.MetricTypeHistogram {
						return
					}
					m.SetUnit("ms")
					for _, p := range m.Histogram().DataPoints().All() {
						p.SetSum(1000 * p.Sum())
						scaled := p.ExplicitBounds().AsRaw()
						for b := range scaled {
							scaled[b] *= 1000
						}
						p.ExplicitBounds().FromRaw(scaled)
					}
				})
			}
		},
		"exponential histograms": func() func(int, pmetric.Metrics) pmetric.Metrics {
			return func(_ int, md pmetric.Metrics) pmetric.Metrics {
				return eachMetric(md, func(m pmetric.Metric) {
					if m.Type() != pmetric.MetricTypeHistogram {
						return
					}
					was := pmetric.NewMetric()
					m.CopyTo(was)
					h := m.SetEmptyExponentialHistogram()
					h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
					for _, p := range was.Histogram().DataPoints().All() {
						q := h.DataPoints().AppendEmpty()
						p.Attributes().CopyTo(q.Attributes())
						q.SetTimestamp(p.Timestamp())
						q.SetCount(p.Count())
						q.SetSum(p.Sum())
						q.SetScale(2)
						mean := p.Sum() / float64(p.Count())
						q.Positive().SetOffset(int32(math.Floor(4 * math.Log2(mean))))
						q.Positive().BucketCounts().FromRaw([]uint64{p.Count()})
					}
				})
			}
		},
		// The servicegraph connector of opentelemetry-collector-contrib writes more attributes and its own resource.
		"contrib": func() func(int, pmetric.Metrics) pmetric.Metrics {
			inner := cumulate(0)
			return func(i int, md pmetric.Metrics) pmetric.Metrics {
				md = inner(i, md)
				return eachMetric(md, func(m pmetric.Metric) {
					mark := func(attrs pcommon.Map) {
						attrs.PutBool("failed", false)
						attrs.PutStr("client_http.method", "GET")
					}
					switch m.Type() {
					case pmetric.MetricTypeSum:
						for _, p := range m.Sum().DataPoints().All() {
							mark(p.Attributes())
						}
					case pmetric.MetricTypeHistogram:
						for _, p := range m.Histogram().DataPoints().All() {
							mark(p.Attributes())
						}
					}
				})
			}
		},
	}
	for name, make := range shapes {
		for trouble, play := range map[string]func(int) []any{"errors": stockFails, "latency": stockSlow} {
			t.Run(name+" "+trouble, func(t *testing.T) {
				shape := make()
				w := newWorld(t, nil)
				shaped := func(play func(int) []any) func(int) []any {
					return func(i int) []any { return []any{shape(i, play(i)[0].(pmetric.Metrics))} }
				}
				w.play(0, 240, shaped(calm))
				require.Empty(t, describe(w.events()))
				w.play(240, 265, shaped(play))
				assert.Equal(t, service("stock"), w.one().Cause().Entity)
				assert.Equal(t, trouble, string(w.one().Cause().Kind))
				w.stop()
				assert.Zero(t, w.count("refused_items", ""))
			})
		}
	}
}

func TestOutOfOrderPointsOfACumulativeSeries(t *testing.T) {
	w := newWorld(t, nil)
	point := func(i int, n int64) pmetric.Metrics {
		return eachMetric(graph(at(i), call{client: "a", server: "b", n: float64(n)}), func(m pmetric.Metric) {
			if m.Type() == pmetric.MetricTypeSum {
				m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
			}
		})
	}
	w.feed(point(0, 100), point(2, 160), point(1, 130), point(2, 160), point(3, 190))
	e := w.metrics.(*metricsView).lease.Engine()
	w.feed(graph(at(8)))
	w.feed(graph(at(8), call{client: "x", server: "y", n: 1}))
	assert.InDelta(t, 90, e.edges.RequestsIn(serviceNode("b"), 20), 0, "60 and 30; the older and the repeated point say nothing")
	w.stop()
}

func TestInvalidItems(t *testing.T) {
	for name, c := range map[string]any{
		"NaN requests": eachMetric(graph(at(0), call{client: "a", server: "b"}), func(m pmetric.Metric) {
			if m.Name() == semconv.MetricGraphRequestTotal {
				m.Sum().DataPoints().At(0).SetDoubleValue(math.NaN())
			}
		}),
		"infinite requests": eachMetric(graph(at(0), call{client: "a", server: "b"}), func(m pmetric.Metric) {
			if m.Name() == semconv.MetricGraphRequestTotal {
				m.Sum().DataPoints().At(0).SetDoubleValue(math.Inf(1))
			}
		}),
		"negative requests": eachMetric(graph(at(0), call{client: "a", server: "b"}), func(m pmetric.Metric) {
			if m.Name() == semconv.MetricGraphRequestTotal {
				m.Sum().DataPoints().At(0).SetIntValue(-1)
			}
		}),
		"NaN seconds":          graph(at(0), call{client: "a", server: "b", n: 1, took: math.NaN()}),
		"NaN score":            score(at(0), at(0), map[string]string{"service.name": "a"}, "m", math.NaN(), 1, 1),
		"record without times": logs(time.Unix(0, 0), record{service: "a", body: "x"}),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.feed(c)
			w.stop()
			assert.Equal(t, int64(1), w.count("refused_items", "invalid"))
		})
	}
	w := newWorld(t, nil)
	w.feed(graph(at(0), call{server: "b"}))
	w.stop()
	assert.Equal(t, int64(2), w.count("refused_items", "invalid"), "both points lack a client")
}

// TestHostileBounds has histogram bounds that no duration has.
func TestHostileBounds(t *testing.T) {
	w := newWorld(t, nil)
	for _, b := range [][]float64{{math.Inf(1), math.Inf(1)}, {1e300, 1e308}, {math.NaN(), -1}, {-1e300, 1e300}} {
		w.feed(eachMetric(graph(at(0), call{client: "a", server: "b", n: 9, took: 1}), func(m pmetric.Metric) {
			if m.Type() == pmetric.MetricTypeHistogram && m.Histogram().DataPoints().Len() > 0 {
				m.Histogram().DataPoints().At(0).ExplicitBounds().FromRaw(b)
				m.Histogram().DataPoints().At(0).BucketCounts().FromRaw([]uint64{3, 3, 3})
			}
		}))
	}
	w.play(1, 40, calm)
	w.stop()
}

func TestNoData(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 240, calm)
	w.play(240, 260, stockFails)
	require.Equal(t, semconv.StatusOpen, w.one().Status)
	w.play(260, 320, func(i int) []any { return []any{logs(at(i), record{service: "other", body: "alive"})} })
	assert.Equal(t, semconv.ResolutionNoData, w.one().Resolution)
	checkLives(t, w.events())
	w.stop()
}

// TestIdle lets the clock on the wall end an incident after the data have stopped.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.play(0, 240, calm)
		w.play(240, 260, stockFails)
		require.Equal(t, semconv.StatusOpen, w.one().Status)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		require.Len(t, w.last(), 1)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		assert.Equal(t, semconv.ResolutionNoData, w.one().Resolution)
		checkLives(t, w.events())
		w.stop()
	})
}

func TestIdleAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.IdleAfter = time.Hour })
		w.play(0, 240, calm)
		w.play(240, 260, stockFails)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		assert.Equal(t, semconv.StatusOpen, w.one().Status, "not idle for long enough")
		w.stop()
	})
}

// TestClockFarAheadFirst has a wrong clock begin; the right data must find incidents all the same.
func TestClockFarAheadFirst(t *testing.T) {
	w := newWorld(t, nil)
	w.feed(logs(epoch.AddDate(10, 0, 0), record{service: "odd", body: "x"}))
	w.play(0, 300, calm)
	w.play(300, 320, stockFails)
	assert.Equal(t, service("stock"), w.one().Cause().Entity)
	w.stop()
}

func TestSkewedAndLateItems(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 20, calm)
	w.feed(logs(at(19).Add(time.Hour), record{service: "odd", body: "x"}))
	assert.Equal(t, int64(1), w.count("refused_items", "skewed"))
	w.feed(graph(at(3), call{client: "a", server: "b", n: 1}))
	assert.Equal(t, int64(2), w.count("refused_items", "late"), "two points of a closed bucket")
	w.play(20, 40, calm)
	assert.Equal(t, int64(2), w.count("refused_items", "late"), "one wrong clock does not move time")
	w.stop()
}

func TestOwnEventsAreNotRead(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 300 {
		w.feed(calm(i)[0])
		if i > 200 {
			for range 10 {
				w.feed(logs(at(i), record{service: "stock", event: string(semconv.EventIncidentOpened), body: "loop", severity: plog.SeverityNumberError}))
			}
		}
	}
	assert.Empty(t, w.events())
	w.stop()
}

func TestStructuredBodies(t *testing.T) {
	for _, key := range []string{"message", "msg", "event", "log"} {
		body := pcommon.NewValueMap()
		body.Map().PutStr(key, "text")
		assert.Equal(t, "text", messageOf(body))
	}
	assert.Empty(t, messageOf(pcommon.NewValueInt(1)))
	assert.Empty(t, messageOf(pcommon.NewValueMap()))
}
