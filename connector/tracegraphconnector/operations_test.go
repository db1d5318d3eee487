package tracegraphconnector

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/paramedic-otel/paramedic/connector/tracegraphconnector/internal/metadatatest"
	"github.com/paramedic-otel/paramedic/semconv"
)

// named is a span with a name, and its service with a version.
type named struct {
	sp
	name, version string
}

func namedBatch(spans ...named) ptrace.Traces {
	plain := make([]sp, len(spans))
	for i := range spans {
		plain[i] = spans[i].sp
	}
	td := batch(plain...)
	for i, rs := range td.ResourceSpans().All() {
		if spans[i].version != "" {
			rs.Resource().Attributes().PutStr("service.version", spans[i].version)
		}
		rs.ScopeSpans().At(0).Spans().At(0).SetName(spans[i].name)
	}
	return td
}

// operationName is an operation's series: the edge, what is done, and how it failed in which version.
func operationName(attrs pcommon.Map) string {
	out := edgeName(attrs)
	for _, key := range []string{semconv.AttrGraphOperation, semconv.AttrErrorType, semconv.AttrGraphServerVersion} {
		if v, ok := attrs.Get(key); ok {
			out += " | " + v.AsString()
		} else if key != semconv.AttrGraphServerVersion {
			out += " | -"
		}
	}
	return out
}

// operationTotals returns the last counts of all operations.
func operationTotals(sink *consumertest.MetricsSink) map[string]int64 {
	out := map[string]int64{}
	points(sink.AllMetrics(), semconv.MetricGraphOperationRequestTotal, func(dp pmetric.NumberDataPoint) {
		out[operationName(dp.Attributes())] = dp.IntValue()
	})
	return out
}

// served is a call of b by a, of which the callee's span has the name and attributes.
func served(trace uint64, name string, attrs map[string]any) []named {
	return []named{
		{sp: sp{svc: "a", trace: trace, id: 1, kind: kindClient, dur: 30 * time.Millisecond}, name: "client"},
		{sp: sp{svc: "b", trace: trace, id: 2, parent: 1, kind: kindServer, attrs: attrs, dur: 20 * time.Millisecond}, name: name},
	}
}

func TestOperations(t *testing.T) {
	http := map[string]any{"http.request.method": "GET", "http.route": "/items/{id}"}
	failing := func(kv ...any) map[string]any {
		out := map[string]any{"http.request.method": "GET", "http.route": "/items/{id}"}
		for i := 0; i < len(kv); i += 2 {
			out[kv[i].(string)] = kv[i+1]
		}
		return out
	}
	statusError := func(spans []named, side int) []named {
		spans[side].status = ptrace.StatusCodeError
		return spans
	}
	kafka := map[string]any{"messaging.system": "kafka", "messaging.destination.name": "orders", "messaging.operation.type": "process"}
	for _, tc := range []struct {
		name  string
		spans []named
		want  string
	}{
		{"HTTP route", served(1, "x", http), "a > b | GET /items/{id} | -"},
		{"older HTTP names", served(1, "x", map[string]any{"http.method": "GET", "http.route": "/a"}), "a > b | GET /a | -"},
		{"name with a raw path", served(1, "GET /items/7?a=b", map[string]any{"http.request.method": "GET"}), "a > b | GET /items/{} | -"},
		{"remote procedure", served(1, "x", map[string]any{"rpc.service": "shop.Cart", "rpc.method": "Add"}), "a > b | shop.Cart/Add | -"},
		{"no name", served(1, "", nil), "a > b | _other | -"},
		{
			"message", []named{
				{sp: sp{svc: "a", id: 1, kind: kindProducer, attrs: kafka}},
				{sp: sp{svc: "b", id: 2, parent: 1, kind: kindConsumer, attrs: kafka}},
			}, "a > b messaging_system | process orders | -",
		},
		{
			"message in a template's destination", []named{{sp: sp{svc: "b", id: 2, kind: kindConsumer, attrs: map[string]any{
				"messaging.system": "kafka", "messaging.destination.name": "orders-7", "messaging.destination.template": "orders-{n}",
				"messaging.operation.name": "poll",
			}}}}, "kafka/orders-{n} > b messaging_system no client | poll orders-{n} | -",
		},
		{
			"database", []named{{sp: sp{svc: "a", id: 1, kind: kindClient, attrs: map[string]any{
				"db.system.name": "postgresql", "db.operation.name": "SELECT", "db.collection.name": "orders",
				"db.query.text": "SELECT * FROM orders WHERE id = 5",
			}}, name: "SELECT * FROM orders WHERE id = 5"}}, "a > postgresql database no server | SELECT orders | -",
		},
		{
			"database by older names", []named{{sp: sp{svc: "a", id: 1, kind: kindClient, attrs: map[string]any{
				"db.system": "mysql", "db.operation": "INSERT", "db.sql.table": "t",
			}}}}, "a > mysql database no server | INSERT t | -",
		},
		{
			"virtual node", []named{{sp: sp{svc: "a", id: 1, kind: kindClient, attrs: map[string]any{
				"server.address": "api", "http.request.method": "GET", "url.template": "/v1/{x}", "url.full": "https://api/v1/5",
			}}, name: "GET"}}, "a > api virtual_node no server | GET /v1/{x} | -",
		},
		{"entry", []named{{sp: sp{svc: "b", id: 1, kind: kindServer}, name: "GET /", version: "2"}}, "user > b virtual_node no client | GET / | - | 2"},
		{"caller without a span", []named{
			{sp: sp{svc: "a", id: 1, parent: 9, kind: kindInternal}}, {sp: sp{svc: "b", id: 2, parent: 1, kind: kindServer}, name: "f"},
		}, "a > b | f | -"},
		{"error type of the callee", served(1, "x", failing("error.type", "timeout", "http.response.status_code", 503)), "a > b | GET /items/{id} | timeout"},
		{"HTTP status", served(1, "x", failing("http.response.status_code", 503)), "a > b | GET /items/{id} | 503"},
		{"gRPC status", served(1, "x", map[string]any{"rpc.method": "m", "rpc.grpc.status_code": 14}), "a > b | m | UNAVAILABLE"},
		{"gRPC status by its name", served(1, "x", map[string]any{"rpc.method": "m", "rpc.response.status_code": "INTERNAL"}), "a > b | m | INTERNAL"},
		{"failed for no known reason", statusError(served(1, "x", http), 1), "a > b | GET /items/{id} | _OTHER"},
		{"failed for the caller alone", statusError(served(1, "x", http), 0), "a > b | GET /items/{id} | _OTHER"},
		{"an identifier for an error type", statusError(served(1, "x", failing("error.type", "order 123 is gone")), 1), "a > b | GET /items/{id} | order {} is gone"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sink := run(t, nil, namedBatch(tc.spans...))
			assert.Equal(t, map[string]int64{tc.want: 1}, operationTotals(sink))
		})
	}
}

// TestOperationsTellVersionsApart follows a callee to its next version.
func TestOperationsTellVersionsApart(t *testing.T) {
	var spans []named
	for i := range 10 {
		both := served(uint64(i), "f", nil)
		both[1].version = fmt.Sprintf("v%d", 1+i/6)
		if i == 9 {
			both[1].status = ptrace.StatusCodeError
			both[1].attrs = map[string]any{"error.type": "timeout"}
		}
		both[0].at, both[1].at = time.Duration(i)*second, time.Duration(i)*second
		spans = append(spans, both...)
	}
	sink := run(t, nil, namedBatch(spans...))
	assert.Equal(t, map[string]int64{"a > b | f | - | v1": 6, "a > b | f | - | v2": 3, "a > b | f | timeout | v2": 1}, operationTotals(sink))
	// The second version was first seen in the second interval.
	starts := map[string]time.Duration{}
	points(sink.AllMetrics(), semconv.MetricGraphOperationRequestTotal, func(dp pmetric.NumberDataPoint) {
		starts[operationName(dp.Attributes())] = dp.StartTimestamp().AsTime().Sub(epoch)
	})
	assert.Equal(t, map[string]time.Duration{
		"a > b | f | - | v1": 0, "a > b | f | - | v2": 5 * second, "a > b | f | timeout | v2": 5 * second,
	}, starts)
	seen := []string{}
	each(sink.AllMetrics(), semconv.MetricGraphOperationLastSeen, func(m pmetric.Metric) {
		assert.Equal(t, "s", m.Unit())
		for _, dp := range m.Gauge().DataPoints().All() {
			seen = append(seen, fmt.Sprintf("%s: %v to %v", operationName(dp.Attributes()), dp.StartTimestamp().AsTime().Sub(epoch),
				dp.DoubleValue()-float64(epoch.Unix())))
		}
	})
	assert.Equal(t, []string{"a > b | f | -: 0s to 4", "a > b | f | -: 0s to 9"}, seen)
}

func TestOperationDurations(t *testing.T) {
	for _, temporality := range []Temporality{TemporalityCumulative, TemporalityDelta} {
		var in []ptrace.Traces
		for i := range 4 {
			both := served(uint64(i), "f", nil)
			both[0].at, both[1].at = time.Duration(i)*3*second, time.Duration(i)*3*second
			in = append(in, namedBatch(both...))
		}
		sink := run(t, func(c *Config) { c.Temporality = temporality }, in...)
		counts, sums := map[string]uint64{}, map[string]float64{}
		for _, name := range []string{semconv.MetricGraphOperationRequestClient, semconv.MetricGraphOperationRequestServer} {
			each(sink.AllMetrics(), name, func(m pmetric.Metric) {
				for _, dp := range m.ExponentialHistogram().DataPoints().All() {
					if temporality == TemporalityCumulative {
						counts[name], sums[name] = 0, 0
					}
					counts[name] += dp.Count()
					sums[name] += dp.Sum()
					assert.EqualValues(t, 3, dp.Scale())
					assert.Equal(t, 1, dp.Positive().BucketCounts().Len())
				}
			})
		}
		assert.Equal(t, map[string]uint64{
			semconv.MetricGraphOperationRequestClient: 4, semconv.MetricGraphOperationRequestServer: 4,
		}, counts, temporality)
		assert.InDelta(t, 0.12, sums[semconv.MetricGraphOperationRequestClient], 1e-9)
		assert.InDelta(t, 0.08, sums[semconv.MetricGraphOperationRequestServer], 1e-9)
	}
}

// manyOperations returns calls of n operations, each with an error type of its own.
func manyOperations(callee string, n int) []named {
	var out []named
	for i := range n {
		name := strings.Repeat(string(rune('a'+i%26)), 1+i/26)
		both := served(uint64(i)+1000*uint64(callee[0]), name, map[string]any{"error.type": "e" + name, "http.response.status_code": 500})
		both[1].svc = callee
		out = append(out, both...)
	}
	return out
}

func TestOperationLimits(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   map[string]int64
		merged map[string]int64
	}{
		{
			"of an edge", func(c *Config) { c.Operations.MaxPerEdge = 2 },
			map[string]int64{
				"a > b | a | ea": 1, "a > b | b | eb": 1, "a > b | _other | ec": 1, "a > b | _other | ed": 1,
				"a > c | a | ea": 1, "a > c | b | eb": 1, "a > c | _other | ec": 1, "a > c | _other | ed": 1,
			},
			map[string]int64{"operations": 4},
		},
		{
			"of all edges", func(c *Config) { c.Operations.MaxTotal = 3 },
			map[string]int64{
				"a > b | a | ea": 1, "a > b | b | eb": 1, "a > b | c | ec": 1, "a > b | _other | ed": 1,
				"a > c | _other | ea": 1, "a > c | _other | eb": 1, "a > c | _other | ec": 1, "a > c | _other | ed": 1,
			},
			map[string]int64{"operations": 5},
		},
		{
			"of variants", func(c *Config) { c.Operations.MaxPerEdge, c.Operations.MaxVariants = 1, 1 },
			map[string]int64{
				"a > b | a | ea": 1, "a > b | _other | eb": 1, "a > b | _other | _OTHER": 2,
				"a > c | a | ea": 1, "a > c | _other | eb": 1, "a > c | _other | _OTHER": 2,
			},
			map[string]int64{"operations": 6, "variants": 4},
		},
		{"off", func(c *Config) { c.Operations.Enabled = false }, map[string]int64{}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sink := new(consumertest.MetricsSink)
			c, tel := observed(t, tc.change, sink)
			require.NoError(t, c.ConsumeTraces(t.Context(), namedBatch(manyOperations("b", 4)...)))
			require.NoError(t, c.ConsumeTraces(t.Context(), namedBatch(manyOperations("c", 4)...)))
			if tc.merged != nil {
				metadatatest.AssertEqualConnectorTracegraphMergedCalls(t, tel, by("reason", tc.merged), metricdatatest.IgnoreTimestamp())
			}
			metadatatest.AssertEqualConnectorTracegraphOperationsLimit(
				t, tel, value(int64(c.cfg.Operations.MaxTotal)), metricdatatest.IgnoreTimestamp())
			held := map[string]bool{}
			for series := range tc.want {
				held[strings.Join(strings.Split(series, " | ")[:2], " | ")] = true
			}
			metadatatest.AssertEqualConnectorTracegraphOperations(t, tel, value(int64(len(held))), metricdatatest.IgnoreTimestamp())
			require.NoError(t, c.Shutdown(t.Context()))
			assert.Equal(t, tc.want, operationTotals(sink))
			if len(tc.want) == 0 {
				each(sink.AllMetrics(), semconv.MetricGraphOperationLastSeen, func(pmetric.Metric) { t.Error("sent") })
			}
		})
	}
}

func TestOperationSketchSize(t *testing.T) {
	for size, scale := range map[int]int32{2: -3, 64: 3} {
		var spans []named
		for i, d := range []time.Duration{time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond} {
			both := served(uint64(i), "f", nil)
			both[1].dur = d
			spans = append(spans, both...)
		}
		sink := run(t, func(c *Config) { c.Operations.MaxSize = size }, namedBatch(spans...))
		each(sink.AllMetrics(), semconv.MetricGraphOperationRequestServer, func(m pmetric.Metric) {
			dp := m.ExponentialHistogram().DataPoints().At(0)
			assert.Equal(t, scale, dp.Scale())
			assert.LessOrEqual(t, dp.Positive().BucketCounts().Len(), size)
		})
	}
}

// TestOperationsLeave lets one of two operations rest for longer than edge_ttl.
func TestOperationsLeave(t *testing.T) {
	var in []ptrace.Traces
	for i := range 60 {
		name := "busy"
		if i == 0 {
			name = "resting"
		}
		both := served(uint64(i), name, nil)
		both[0].at, both[1].at = time.Duration(i)*second, time.Duration(i)*second
		in = append(in, namedBatch(both...))
	}
	c, sink := start(t, func(c *Config) { c.EdgeTTL = 20 * second })
	for _, td := range in {
		require.NoError(t, c.ConsumeTraces(t.Context(), td))
	}
	assert.EqualValues(t, 1, stats(c).HeldOperations)
	require.NoError(t, c.Shutdown(t.Context()))
	var resting []string
	points(sink.AllMetrics(), semconv.MetricGraphOperationRequestTotal, func(dp pmetric.NumberDataPoint) {
		if name, _ := dp.Attributes().Get(semconv.AttrGraphOperation); name.Str() == "resting" {
			resting = append(resting, dp.Timestamp().AsTime().Sub(epoch).String())
		}
	})
	assert.Equal(t, []string{"5s", "10s", "15s", "20s", "25s"}, resting)
	assert.Equal(t, map[string]int64{"a > b": 60}, last(sink, total))
}
