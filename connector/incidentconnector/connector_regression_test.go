package incidentconnector

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// TestScoresThatComeOften feeds a score every second: the newest always lies after the bucket that is judged.
func TestScoresThatComeOften(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 20, calm)
	w.play(20, 40, func(i int) []any {
		var out []any
		for s := range 5 {
			out = append(out, score(at(i).Add(time.Duration(s-4)*time.Second), at(20), resourceOf("orders"), "container.cpu.utilization", 1, 20, .95))
		}
		return append(out, calm(i)...)
	})
	w.stop()
	assert.Len(t, w.last(), 1)
}

// TestInfiniteDeviation asserts that no number gets into an event that nobody can decode.
func TestInfiniteDeviation(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 20, calm)
	w.play(20, 40, func(i int) []any { return append(calm(i), cpu(i, 20, "orders", 1, math.Inf(1), .95)) })
	assert.Equal(t, int64(20), w.count("refused_items", "invalid"))
	w.stop()
	w.events()
}

// TestDeltasAfterWrongClock starts with cumulative points of ten years ahead.
func TestDeltasAfterWrongClock(t *testing.T) {
	w := newWorld(t, nil)
	n := int64(0)
	point := func(at time.Time) pmetric.Metrics {
		n += 10
		return eachMetric(graph(at, call{client: "a", server: "b", n: float64(n)}), func(m pmetric.Metric) {
			if m.Type() == pmetric.MetricTypeSum {
				m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
			}
		})
	}
	for i := range 3 {
		w.feed(point(at(i).AddDate(10, 0, 0)))
	}
	for i := range 60 {
		w.feed(point(at(i)))
	}
	engine := w.metrics.(*metricsView).lease.Engine()
	assert.Positive(t, engine.edges.RequestsIn(serviceNode("b"), 10))
	w.stop()
}

// TestFuturePoint gives known cumulative series one point of the next day; what follows must count as before.
func TestFuturePoint(t *testing.T) {
	requests := func(future bool) float64 {
		w := newWorld(t, nil)
		n := int64(0)
		for i := range 60 {
			n += 10
			end := at(i)
			if future && i == 30 {
				end = end.AddDate(0, 0, 1)
			}
			w.feed(eachMetric(graph(end, call{client: "a", server: "b", n: float64(n)}), func(m pmetric.Metric) {
				if m.Type() == pmetric.MetricTypeSum {
					m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
				}
			}))
		}
		engine := w.metrics.(*metricsView).lease.Engine()
		w.stop()
		return engine.edges.RequestsIn(serviceNode("b"), 20)
	}
	assert.InDelta(t, requests(false), requests(true), 0)
}

// TestHugeAmounts asserts that a number which would swallow all others is refused.
func TestHugeAmounts(t *testing.T) {
	w := newWorld(t, nil)
	for i, n := range []float64{1e13, 1e30, 1e39, 1e300} {
		w.feed(graph(at(i), call{client: "a", server: "b", n: n}))
	}
	w.play(4, 240, calm)
	w.play(240, 260, stockFails)
	assert.NotZero(t, w.count("refused_items", "invalid"))
	w.stop()
	assert.Len(t, w.last(), 1)
}

// TestSteadyIncidentIsRepeated lets a fault go on without any change.
func TestSteadyIncidentIsRepeated(t *testing.T) {
	t.Parallel()
	events := func(interval time.Duration) int {
		w := newWorld(t, func(cfg *Config) { cfg.RepeatInterval = interval })
		w.play(0, 240, calm)
		w.play(240, 360, stockFails)
		w.stop()
		return len(w.events())
	}
	assert.GreaterOrEqual(t, events(time.Minute), 8, "ten minutes")
	assert.Less(t, events(time.Hour), 5)
}

// TestGraphWithoutNamespaces takes a graph from a producer that leaves namespaces out: its names mean the services whose
// telemetry has one.
func TestGraphWithoutNamespaces(t *testing.T) {
	w := newWorld(t, nil)
	known := map[string]string{semconv.AttrServiceName: "stock", semconv.AttrServiceNamespace: "shop"}
	w.play(0, 2, calm)
	w.feed(score(at(2), at(2), known, "x", 0, 0, 0))
	w.play(3, 240, calm)
	w.play(240, 260, stockFails)
	w.stop()
	assert.Equal(t, service("shop/stock"), w.one().Cause().Entity)
}

// TestResolvedEvidenceOpensNothing lets a few calls fail after an incident is over, while its failures still lie within the
// longest window.
func TestResolvedEvidenceOpensNothing(t *testing.T) {
	w := newWorld(t, func(cfg *Config) { cfg.ResolveAfter = 10 * time.Second })
	w.play(0, 240, calm)
	w.play(240, 246, stockFails)
	w.play(246, 251, calm)
	assert.Equal(t, semconv.StatusResolved, w.one().Status)
	w.play(251, 252, func(i int) []any {
		front, orders, stock := shop()
		stock.failed = 1
		return []any{graph(at(i), front, orders, stock)}
	})
	w.play(252, 270, calm)
	w.stop()
	assert.Len(t, w.last(), 1, "one fault, one incident")
}

// TestStoreBecomesKnown lets a database be called by its address before its own telemetry says which service it is.
func TestStoreBecomesKnown(t *testing.T) {
	w := newWorld(t, nil)
	calls := func(i int) []any {
		return []any{graph(at(i), call{client: "orders", server: "db/main", n: 20, attrs: map[string]string{
			semconv.AttrGraphConnectionType: semconv.ConnectionDatabase, semconv.AttrGraphVirtualNode: "server",
		}})}
	}
	w.play(0, 3, calls)
	w.feed(score(at(3), at(3), resourceOf("db"), "x", 0, 0, 0))
	w.play(3, 120, calls)
	w.metrics.(*metricsView).lease.Engine().idle(t.Context(), time.Now())
	assert.Equal(t, int64(1), w.count("held_items", "edges"), "the edge to the address is gone")
	w.stop()
	assert.Empty(t, w.events(), "nobody misses it")
}
