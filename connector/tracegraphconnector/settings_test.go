package tracegraphconnector

import (
	"encoding/json"
	"fmt"
	"slices"
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

// rows lists the last points of a sum with all their attributes, sorted.
func rows(t *testing.T, sink *consumertest.MetricsSink, name string) []string {
	var out []string
	points(sink.AllMetrics()[len(sink.AllMetrics())-1:], name, func(dp pmetric.NumberDataPoint) {
		attrs, err := json.Marshal(dp.Attributes().AsRaw())
		require.NoError(t, err)
		out = append(out, fmt.Sprintf("%s %d", attrs, dp.IntValue()))
	})
	slices.Sort(out)
	return out
}

func TestDimensions(t *testing.T) {
	region := func(c, s string) []sp {
		both := call(0, second)
		both[0].attrs, both[1].attrs = map[string]any{"region": s}, map[string]any{"region": c, "code": 7}
		return both
	}
	one, other := region("eu", "us"), region("eu", "asia")
	other[0].trace, other[1].trace = 2, 2
	td := batch(append(one, other...)...)
	td.ResourceSpans().At(0).Resource().Attributes().PutStr("region", "resource")
	sink := run(t, func(c *Config) { c.Dimensions, c.FailedAttribute = []string{"region", "code"}, false }, td)
	assert.Equal(t, []string{
		`{"client":"a","client_code":"7","client_region":"eu","connection_type":"","server":"b","server_region":"asia"} 1`,
		`{"client":"a","client_code":"7","client_region":"eu","connection_type":"","server":"b","server_region":"resource"} 1`,
	}, rows(t, sink, total))
}

// TestDimensionsAreBounded sends more values than there may be edges, and then than there may be sets.
func TestDimensionsAreBounded(t *testing.T) {
	sink := new(consumertest.MetricsSink)
	c, tel := observed(t, func(c *Config) { c.Dimensions, c.MaxEdges = []string{"id"}, 5 }, sink)
	for i := range 20 {
		both := call(uint64(i), second)
		both[0].attrs = map[string]any{"id": i}
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(both...)))
	}
	ignore := metricdatatest.IgnoreTimestamp()
	metadatatest.AssertEqualConnectorTracegraphEdges(t, tel, value(5), ignore)
	metadatatest.AssertEqualConnectorTracegraphRefusedLabels(t, tel, by("label", map[string]int64{"dimensions": 10}), ignore)
	metadatatest.AssertEqualConnectorTracegraphRefusedCalls(t, tel, value(15), ignore)
	require.NoError(t, c.Shutdown(t.Context()))
	assert.Len(t, rows(t, sink, total), 5)
}

// TestDimensionsDoNotRunTogether takes values that look alike when they are written one after the other.
func TestDimensionsDoNotRunTogether(t *testing.T) {
	var in []ptrace.Traces
	for i, attrs := range []map[string]any{
		{"x": "ab"}, {"x": "a", "y": "b"}, {"y": "ab"}, {"x": "", "y": "ab"}, {"x": "ab", "y": ""},
	} {
		both := call(uint64(i), second)
		both[0].attrs = attrs
		in = append(in, batch(both...))
	}
	sink := run(t, func(c *Config) { c.Dimensions = []string{"x", "y"} }, in...)
	assert.Len(t, rows(t, sink, total), 5)
}

func TestFailedAttribute(t *testing.T) {
	both := call(1, second)
	both[0].status = ptrace.StatusCodeError
	in := []ptrace.Traces{batch(call(2, second)...), batch(call(3, second)...), batch(both...)}
	sink := run(t, nil, in...)
	assert.Equal(t, []string{
		`{"client":"a","connection_type":"","failed":false,"server":"b"} 2`, `{"client":"a","connection_type":"","failed":true,"server":"b"} 1`,
	}, rows(t, sink, total))
	assert.Equal(t, []string{`{"client":"a","connection_type":"","failed":true,"server":"b"} 1`},
		rows(t, sink, semconv.MetricGraphRequestFailedTotal))
	sink = run(t, func(c *Config) { c.FailedAttribute = false }, in...)
	assert.Equal(t, []string{`{"client":"a","connection_type":"","server":"b"} 3`}, rows(t, sink, total))
	assert.Equal(t, []string{`{"client":"a","connection_type":"","server":"b"} 1`}, rows(t, sink, semconv.MetricGraphRequestFailedTotal))
	each(sink.AllMetrics(), semconv.MetricGraphRequestServer, func(m pmetric.Metric) {
		require.Equal(t, 1, m.Histogram().DataPoints().Len())
		assert.EqualValues(t, 3, m.Histogram().DataPoints().At(0).Count())
	})
}

// TestFailedSeriesStart asserts that a series begins with the interval of its first call, so that none is lost to who sees it
// then for the first time.
func TestFailedSeriesStart(t *testing.T) {
	late := call(2, 9*second)
	late[0].status = ptrace.StatusCodeError
	for _, temporality := range []Temporality{TemporalityCumulative, TemporalityDelta} {
		sink := run(t, func(c *Config) { c.Temporality = temporality }, batch(call(1, second)...), batch(late...))
		starts := map[bool][]time.Duration{}
		points(sink.AllMetrics(), total, func(dp pmetric.NumberDataPoint) {
			failed, _ := dp.Attributes().Get(semconv.AttrGraphFailed)
			starts[failed.Bool()] = append(starts[failed.Bool()], dp.StartTimestamp().AsTime().Sub(epoch))
		})
		assert.Equal(t, []time.Duration{5 * second}, starts[true], temporality)
	}
}

func TestSamplingRatio(t *testing.T) {
	for _, tc := range []struct {
		name      string
		ratio     float64
		maxWeight float64
		state     string
		calls     int
		want      int64
	}{
		{"all", 1, 1e6, "", 3, 3},
		{"one in ten", 0.1, 1e6, "", 3, 30},
		{"rounding is carried over", 0.4, 1e6, "", 4, 10},
		{"a threshold counts more", 0.1, 1e6, "ot=th:8", 3, 6},
		{"no threshold in the state", 0.1, 1e6, "x=y,ot=rv:1", 3, 30},
		{"no number", 0.1, 1e6, "ot=th:zz", 3, 30},
		{"bounded", 0.001, 10, "", 3, 30},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var in []ptrace.Traces
			for i := range tc.calls {
				both := call(uint64(i), second)
				both[0].state, both[1].state = tc.state, tc.state
				in = append(in, batch(both...))
			}
			sink := run(t, func(c *Config) { c.SamplingRatio, c.MaxSamplingWeight = tc.ratio, tc.maxWeight }, in...)
			assert.Equal(t, map[string]int64{"a > b": tc.want}, last(sink, total))
			for _, n := range operationTotals(sink) {
				assert.Equal(t, tc.want, n)
			}
		})
	}
}

func TestVirtualNodePeerAttributes(t *testing.T) {
	in := batch(
		sp{svc: "a", id: 1, kind: kindClient, attrs: map[string]any{"server.address": "10.0.0.1", "rpc.service": "Pay", "peer.port": 80}},
		sp{svc: "a", id: 2, kind: kindClient, attrs: map[string]any{"server.address": "10.0.0.2"}},
		sp{svc: "a", id: 3, kind: kindProducer, attrs: map[string]any{"messaging.system": "kafka", "messaging.destination.name": "orders"}},
		sp{svc: "a", id: 4, kind: kindClient, attrs: map[string]any{"db.system.name": "redis"}},
		sp{svc: "b", id: 5, kind: kindServer},
	)
	for _, tc := range []struct {
		names []string
		want  map[string]int64
	}{
		{conventionalPeers, map[string]int64{
			"a > 10.0.0.1 virtual_node no server": 1, "a > 10.0.0.2 virtual_node no server": 1,
			"a > kafka/orders messaging_system no server": 1, "a > redis database no server": 1, "user > b virtual_node no client": 1,
		}},
		{[]string{"none", "rpc.service", "server.address"}, map[string]int64{
			"a > Pay virtual_node no server": 1, "a > 10.0.0.2 virtual_node no server": 1,
			"a > redis database no server": 1, "user > b virtual_node no client": 1,
		}},
		{[]string{"peer.port", "messaging.system"}, map[string]int64{
			"a > 80 virtual_node no server": 1, "a > kafka messaging_system no server": 1,
			"a > redis database no server": 1, "user > b virtual_node no client": 1,
		}},
		{[]string{}, map[string]int64{"a > redis database no server": 1}},
	} {
		sink := run(t, func(c *Config) { c.VirtualNodePeerAttributes = tc.names }, in)
		assert.Equal(t, tc.want, last(sink, total), "%v", tc.names)
	}
}

func TestDatabaseNameAttributes(t *testing.T) {
	span := sp{svc: "a", id: 1, kind: kindClient, attrs: map[string]any{
		"db.system.name": "postgresql", "db.namespace": "orders", "server.address": "pg-1", "shard": "7",
	}}
	for _, tc := range []struct {
		names []string
		want  string
	}{
		{nil, "a > pg-1/orders database no server"},
		{[]string{"db.namespace"}, "a > orders database no server"},
		{[]string{"db.name", "shard", "db.namespace"}, "a > 7 database no server"},
		{[]string{"db.name"}, "a > pg-1/orders database no server"},
		{[]string{"of.resource"}, "a > main database no server"},
	} {
		in := batch(span)
		in.ResourceSpans().At(0).Resource().Attributes().PutStr("of.resource", "main")
		sink := run(t, func(c *Config) { c.DatabaseNameAttributes = tc.names }, in)
		assert.Equal(t, map[string]int64{tc.want: 1}, last(sink, total), "%v", tc.names)
	}
}

func TestVirtualNodeExtraLabel(t *testing.T) {
	yes, no := true, false
	in := batch(append(call(0, second),
		sp{svc: "a", id: 7, kind: kindServer}, sp{svc: "a", id: 8, kind: kindClient, attrs: map[string]any{"db.system.name": "redis"}})...)
	for _, tc := range []struct {
		label *bool
		want  map[string]string
	}{
		{nil, map[string]string{"a > b": "absent", "user > a": "client", "a > redis": "server"}},
		{&no, map[string]string{"a > b": "absent", "user > a": "absent", "a > redis": "absent"}},
		{&yes, map[string]string{"a > b": "", "user > a": "client", "a > redis": ""}},
	} {
		sink := run(t, func(c *Config) { c.VirtualNodeExtraLabel = tc.label }, in)
		got := map[string]string{}
		points(sink.AllMetrics(), total, func(dp pmetric.NumberDataPoint) {
			client, _ := dp.Attributes().Get("client")
			server, _ := dp.Attributes().Get("server")
			label := "absent"
			if v, ok := dp.Attributes().Get(semconv.AttrGraphVirtualNode); ok {
				label = v.Str()
			}
			got[client.Str()+" > "+server.Str()] = label
		})
		assert.Equal(t, tc.want, got)
	}
}

func TestMetricsTimestampOffset(t *testing.T) {
	sink := run(t, func(c *Config) { c.MetricsTimestampOffset = time.Minute }, every(second, 8*second)...)
	assert.Equal(t, []string{"-55s=1", "-52s=2"}, historyWithOffset(sink, "a > b"))
	points(sink.AllMetrics(), total, func(dp pmetric.NumberDataPoint) {
		assert.Less(t, dp.StartTimestamp(), dp.Timestamp())
	})
}

func historyWithOffset(sink *consumertest.MetricsSink, edge string) (out []string) {
	points(sink.AllMetrics(), total, func(dp pmetric.NumberDataPoint) {
		if edgeName(dp.Attributes()) == edge {
			out = append(out, fmt.Sprintf("%v=%d", dp.Timestamp().AsTime().Sub(epoch), dp.IntValue()))
		}
	})
	return out
}

// TestExemplars sends calls of 1 to 20 ms, every fifth failed, and looks for the slowest of both sorts.
func TestExemplars(t *testing.T) {
	var spans []sp
	for i := range 20 {
		both := call(uint64(i), second+time.Duration(i)*time.Millisecond)
		both[0].dur, both[1].dur = time.Duration(i+1)*time.Millisecond, time.Duration(i+2)*time.Millisecond
		if i%5 == 0 {
			both[0].status = ptrace.StatusCodeError
		}
		spans = append(spans, both...)
	}
	type exemplar struct {
		trace uint64
		span  uint64
		took  time.Duration
		at    time.Duration
	}
	read := func(x pmetric.Exemplar) exemplar {
		trace, span := x.TraceID(), x.SpanID()
		return exemplar{
			trace: uint64(trace[15]) - 1, span: uint64(span[7]),
			took: time.Duration(x.DoubleValue() * 1e9).Round(time.Microsecond), at: x.Timestamp().AsTime().Sub(epoch),
		}
	}
	for _, tc := range []struct {
		n            int
		ok, failures []uint64
	}{
		{n: 0},
		{n: 1, ok: []uint64{19}, failures: []uint64{15}},
		{n: 3, ok: []uint64{19, 18, 17}, failures: []uint64{15, 10, 5}},
		{n: 16, ok: []uint64{19, 18, 17, 16, 14, 13, 12, 11, 9, 8, 7, 6, 4, 3, 2, 1}, failures: []uint64{15, 10, 5, 0}},
	} {
		for _, histogram := range []HistogramType{HistogramExplicit, HistogramExponential} {
			for _, split := range []bool{true, false} {
				sink := run(t, func(c *Config) { c.MaxExemplars, c.Histogram.Type, c.FailedAttribute = tc.n, histogram, split }, batch(spans...))
				for name, span := range map[string]uint64{semconv.MetricGraphRequestClient: 1, semconv.MetricGraphRequestServer: 2} {
					var want, got []exemplar
					for _, trace := range slices.Concat(tc.ok, tc.failures) {
						took := time.Duration(trace+1) * time.Millisecond
						if span == 1 {
							took += time.Millisecond
						}
						want = append(want, exemplar{trace, span, took, second + time.Duration(trace)*time.Millisecond})
					}
					each(sink.AllMetrics(), name, func(m pmetric.Metric) {
						if histogram == HistogramExplicit {
							for _, dp := range m.Histogram().DataPoints().All() {
								for _, x := range dp.Exemplars().All() {
									got = append(got, read(x))
								}
							}
							return
						}
						for _, dp := range m.ExponentialHistogram().DataPoints().All() {
							for _, x := range dp.Exemplars().All() {
								got = append(got, read(x))
							}
						}
					})
					assert.Equal(t, want, got, "%s of %d, %s", name, tc.n, histogram)
				}
				var failed []uint64
				points(sink.AllMetrics(), semconv.MetricGraphRequestFailedTotal, func(dp pmetric.NumberDataPoint) {
					for _, x := range dp.Exemplars().All() {
						assert.EqualValues(t, 1, x.IntValue())
						assert.EqualValues(t, 2, read(x).span, "the callee's")
						failed = append(failed, read(x).trace)
					}
				})
				assert.Equal(t, tc.failures, failed)
			}
		}
	}
}

// TestExemplarsOfAnInterval asserts that an example is told once, and that it does not depend on the order of the calls.
func TestExemplarsOfAnInterval(t *testing.T) {
	traces := func(in ...ptrace.Traces) (out []string) {
		sink := run(t, func(c *Config) { c.MaxExemplars = 1 }, in...)
		for _, md := range sink.AllMetrics() {
			each([]pmetric.Metrics{md}, semconv.MetricGraphRequestServer, func(m pmetric.Metric) {
				for _, x := range m.Histogram().DataPoints().At(0).Exemplars().All() {
					trace := x.TraceID()
					out = append(out, fmt.Sprint(trace[15]-1))
				}
			})
		}
		return out
	}
	slow := func(trace uint64, at time.Duration) []sp {
		both := call(trace, at)
		both[0].dur = second
		return both
	}
	a, b, c := batch(call(1, second)...), batch(slow(2, second)...), batch(call(3, 8*second)...)
	assert.Equal(t, []string{"2", "3"}, traces(a, b, c))
	assert.Equal(t, []string{"2", "3"}, traces(b, a, c))
	// Of calls that take as long, the earliest, or that of the lowest trace.
	d, e, f := batch(call(5, second)...), batch(call(4, second)...), batch(call(6, second/2)...)
	assert.Equal(t, []string{"4"}, traces(d, e))
	assert.Equal(t, []string{"4"}, traces(e, d))
	assert.Equal(t, []string{"6"}, traces(e, f, d))
}

// TestExemplarsOfOneSide takes calls of which only one side is known, and those whose sides share an identity.
func TestExemplarsOfOneSide(t *testing.T) {
	for _, tc := range []struct {
		name           string
		spans          []sp
		client, server []byte
	}{
		{"caller", []sp{{svc: "a", id: 1, kind: kindClient, attrs: map[string]any{"db.system": "x"}}}, []byte{1}, nil},
		{"callee", []sp{{svc: "a", id: 2, kind: kindServer}}, nil, []byte{2}},
		{"link", []sp{{svc: "a", id: 1, kind: kindProducer}, {svc: "b", id: 2, kind: kindConsumer, links: []uint64{1}}}, []byte{1}, []byte{2}},
		{"shared", []sp{{svc: "a", id: 3, kind: kindClient}, {svc: "b", id: 3, kind: kindServer}}, []byte{3}, []byte{3}},
		{"shared, callee first", []sp{{svc: "b", id: 3, parent: 9, kind: kindServer}, {svc: "a", id: 3, parent: 9, kind: kindClient}}, []byte{3}, []byte{3}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sink := run(t, nil, batch(tc.spans...))
			for name, want := range map[string][]byte{semconv.MetricGraphRequestClient: tc.client, semconv.MetricGraphRequestServer: tc.server} {
				var got []byte
				each(sink.AllMetrics(), name, func(m pmetric.Metric) {
					for _, x := range m.Histogram().DataPoints().At(0).Exemplars().All() {
						id := x.SpanID()
						assert.Equal(t, spanID(uint64(id[7])), id)
						got = append(got, id[7])
					}
				})
				assert.Equal(t, want, got, name)
			}
		})
	}
}
