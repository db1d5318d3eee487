package tracegraphconnector

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/semconv"
)

const second = time.Second

// after moves a span's end.
func after(s sp, by time.Duration) sp {
	s.at += by
	return s
}

// minutes returns a batch for every ten seconds of some minutes.
func minutes(n int, span func(time.Duration) sp) []ptrace.Traces {
	var out []ptrace.Traces
	for i := range 6 * n {
		out = append(out, batch(span(time.Duration(i+1)*10*second)))
	}
	return out
}

// TestKnownAnswers holds a graph with one right answer for each way in which calls show in spans.
func TestKnownAnswers(t *testing.T) {
	callAB := func() (c, s sp) {
		return sp{svc: "a", id: 1, kind: kindClient, at: 100 * time.Millisecond},
			sp{svc: "b", id: 2, parent: 1, kind: kindServer, at: 90 * time.Millisecond}
	}
	c, s := callAB()
	lateServer := s
	lateServer.at = 5100 * time.Millisecond
	unrelated := func(at time.Duration) sp { return sp{svc: "z", trace: 99, id: uint64(at), kind: kindInternal, at: at} }
	db := map[string]any{"db.system.name": "postgres", "db.namespace": "orders"}
	onHost := func(host string) map[string]any {
		return map[string]any{"db.system.name": "postgresql", "db.namespace": "app", "server.address": host}
	}
	kafka := map[string]any{"messaging.system": "kafka", "messaging.destination.name": "orders"}
	clients, servers := make([]sp, 20), make([]sp, 20)
	for i := range clients {
		clients[i], servers[i] = callAB()
		clients[i].trace, servers[i].trace = uint64(i), uint64(i)
	}

	for _, tc := range []struct {
		name    string
		change  func(*Config)
		batches []ptrace.Traces
		want    map[string]int64
	}{
		{
			name:    "client and server in two batches",
			batches: []ptrace.Traces{batch(c), batch(s)},
			want:    map[string]int64{"a > b": 1},
		},
		{
			name:    "server before client in two batches",
			batches: []ptrace.Traces{batch(s), batch(c)},
			want:    map[string]int64{"a > b": 1},
		},
		{
			name:    "server side 5 s later",
			batches: []ptrace.Traces{batch(c), batch(unrelated(3 * second)), batch(lateServer)},
			want:    map[string]int64{"a > b": 1},
		},
		{
			name: "one producer, three consumers",
			batches: []ptrace.Traces{
				batch(sp{svc: "a", id: 1, kind: kindProducer, attrs: kafka}, sp{svc: "b", id: 2, parent: 1, kind: kindConsumer, attrs: kafka}),
				batch(sp{svc: "c", id: 3, parent: 1, kind: kindConsumer, at: second}),
				batch(sp{svc: "d", id: 4, parent: 1, kind: kindConsumer, at: 3 * second}),
			},
			want: map[string]int64{
				"a > b messaging_system": 1, "a > c messaging_system": 1, "a > d messaging_system": 1,
			},
		},
		{
			name: "consumer joined by span link",
			batches: []ptrace.Traces{
				batch(sp{svc: "b", id: 2, kind: kindConsumer, links: []uint64{1}, attrs: kafka}),
				batch(sp{svc: "a", id: 1, kind: kindProducer, attrs: kafka}),
			},
			want: map[string]int64{"a > b messaging_system": 1},
		},
		{
			name: "consumer joined by span link to where its parent is",
			batches: []ptrace.Traces{batch(
				sp{svc: "a", id: 1, kind: kindProducer},
				sp{svc: "b", id: 2, parent: 1, kind: kindConsumer, links: []uint64{1}},
			)},
			want: map[string]int64{"a > b messaging_system": 1},
		},
		{
			name: "a batch of messages from two producers, processed below a span of the consumer's own",
			batches: []ptrace.Traces{batch(
				sp{svc: "b", id: 4, parent: 3, kind: kindConsumer, links: []uint64{1, 2}},
				sp{svc: "b", id: 3, kind: kindInternal},
				sp{svc: "a", id: 1, kind: kindProducer},
				sp{svc: "c", id: 2, kind: kindProducer},
			)},
			want: map[string]int64{"a > b messaging_system": 1, "c > b messaging_system": 1},
		},
		{
			name: "a message received in one span and processed in another",
			batches: []ptrace.Traces{batch(
				sp{svc: "a", id: 1, kind: kindProducer},
				sp{svc: "b", id: 2, kind: kindClient, links: []uint64{1}, attrs: map[string]any{"messaging.operation.type": "receive"}},
				sp{svc: "b", id: 3, parent: 2, kind: kindConsumer, links: []uint64{1}},
			)},
			want: map[string]int64{"a > b messaging_system": 1},
		},
		{
			name: "server's parent is a server",
			batches: []ptrace.Traces{batch(
				sp{svc: "b", id: 2, parent: 1, kind: kindServer}, sp{svc: "a", id: 1, kind: kindServer},
			)},
			want: map[string]int64{"a > b": 1, "user > a virtual_node no client": 1},
		},
		{
			name: "internal span between client and server",
			batches: []ptrace.Traces{
				batch(sp{svc: "b", id: 3, parent: 2, kind: kindServer}),
				batch(sp{svc: "a", id: 2, parent: 1, kind: kindInternal}),
				batch(sp{svc: "a", id: 1, kind: kindClient}),
			},
			want: map[string]int64{"a > b": 1},
		},
		{
			name: "internal spans between server and server",
			batches: []ptrace.Traces{batch(
				sp{svc: "a", id: 1, kind: kindServer},
				sp{svc: "a", id: 2, parent: 1, kind: kindInternal},
				sp{svc: "b", id: 3, parent: 2, kind: kindInternal},
				sp{svc: "b", id: 4, parent: 3, kind: kindServer},
			)},
			want: map[string]int64{"a > b": 1, "user > a virtual_node no client": 1},
		},
		{
			name:    "database with the new conventions",
			batches: []ptrace.Traces{batch(sp{svc: "a", id: 1, kind: kindClient, attrs: db})},
			want:    map[string]int64{"a > postgres/orders database no server": 1},
		},
		{
			name: "two databases of one name on two hosts",
			batches: []ptrace.Traces{batch(
				sp{svc: "a", id: 1, kind: kindClient, attrs: onHost("pg-1")}, sp{svc: "b", id: 2, kind: kindClient, attrs: onHost("pg-2")},
			)},
			want: map[string]int64{"a > pg-1/app database no server": 1, "b > pg-2/app database no server": 1},
		},
		{
			name: "one service name in two namespaces",
			batches: []ptrace.Traces{batch(
				sp{svc: "a", ns: "x", id: 1, kind: kindClient}, sp{svc: "b", ns: "x", id: 2, parent: 1, kind: kindServer},
				sp{svc: "a", ns: "y", id: 3, kind: kindClient}, sp{svc: "b", ns: "y", id: 4, parent: 3, kind: kindServer},
			)},
			want: map[string]int64{"x:a > x:b": 1, "y:a > y:b": 1},
		},
		{
			name:    "the same spans delivered twice",
			batches: []ptrace.Traces{batch(c, s), batch(c, s)},
			want:    map[string]int64{"a > b": 1},
		},
		{
			name: "sampled 1:10",
			batches: []ptrace.Traces{batch(
				sp{svc: "a", id: 1, kind: kindClient, state: "x=y,ot=rv:1;th:e6666666666668"},
				sp{svc: "b", id: 2, parent: 1, kind: kindServer, state: "ot=th:e6666666666668"},
			)},
			want: map[string]int64{"a > b": 10},
		},
		{
			name: "HTTP client, server not instrumented",
			batches: []ptrace.Traces{batch(
				sp{svc: "a", id: 1, kind: kindClient, attrs: map[string]any{"server.address": "api.example.com"}},
			)},
			want: map[string]int64{"a > api.example.com virtual_node no server": 1},
		},
		{
			name: "HTTP client with a peer service, server not instrumented",
			batches: []ptrace.Traces{batch(sp{
				svc: "a", id: 1, kind: kindClient,
				attrs: map[string]any{"server.address": "10.0.0.1", "peer.service": "billing"},
			})},
			want: map[string]int64{"a > billing virtual_node no server": 1},
		},
		{
			name: "server side four minutes later, others going on meanwhile",
			change: func(c *Config) {
				c.PairTimeout, c.IdleTimeout, c.EdgeTTL = 5*time.Minute, 5*time.Minute, 10*time.Minute
			},
			batches: slices.Concat(
				[]ptrace.Traces{batch(c)}, minutes(4, unrelated), []ptrace.Traces{batch(after(s, 4*time.Minute))}, minutes(12, unrelated)[8:],
			),
			want: map[string]int64{"a > b": 1},
		},
		{
			name: "client side four minutes later, others going on meanwhile",
			change: func(c *Config) {
				c.PairTimeout, c.IdleTimeout, c.EdgeTTL = 5*time.Minute, 5*time.Minute, 10*time.Minute
			},
			batches: slices.Concat(
				[]ptrace.Traces{batch(s)}, minutes(4, unrelated), []ptrace.Traces{batch(after(c, 4*time.Minute))}, minutes(12, unrelated)[8:],
			),
			want: map[string]int64{"a > b": 1},
		},
		{
			name: "server side whose span arrives late",
			batches: slices.Concat(
				[]ptrace.Traces{batch(c)}, []ptrace.Traces{batch(unrelated(4 * second)), batch(unrelated(9 * second))}, []ptrace.Traces{batch(s)},
			),
			want: map[string]int64{"a > b": 1},
		},
		{
			name: "two retries, each with spans of its own",
			batches: []ptrace.Traces{batch(
				sp{svc: "a", id: 9, kind: kindInternal},
				sp{svc: "a", id: 1, parent: 9, kind: kindClient}, sp{svc: "b", id: 2, parent: 1, kind: kindServer},
				sp{svc: "a", id: 3, parent: 9, kind: kindClient, at: second}, sp{svc: "b", id: 4, parent: 3, kind: kindServer, at: second},
				sp{svc: "a", id: 5, parent: 9, kind: kindClient, at: 2 * second}, sp{svc: "b", id: 6, parent: 5, kind: kindServer, at: 2 * second},
			)},
			want: map[string]int64{"a > b": 3},
		},
		{
			name: "three attempts below one client span, as proxies and SDKs make them",
			batches: []ptrace.Traces{
				batch(sp{svc: "b", id: 2, parent: 1, kind: kindServer}, sp{svc: "b", id: 3, parent: 1, kind: kindServer}),
				batch(sp{svc: "a", id: 1, kind: kindClient, at: second}, sp{svc: "b", id: 4, parent: 1, kind: kindServer, at: second}),
			},
			want: map[string]int64{"a > b": 3},
		},
		{
			name: "fan-out of one request to three services and a database",
			batches: []ptrace.Traces{batch(
				sp{svc: "a", id: 1, kind: kindServer},
				sp{svc: "a", id: 2, parent: 1, kind: kindClient}, sp{svc: "b", id: 3, parent: 2, kind: kindServer},
				sp{svc: "a", id: 4, parent: 1, kind: kindClient}, sp{svc: "c", id: 5, parent: 4, kind: kindServer},
				sp{svc: "a", id: 6, parent: 1, kind: kindClient}, sp{svc: "d", id: 7, parent: 6, kind: kindServer},
				sp{svc: "a", id: 8, parent: 1, kind: kindClient, attrs: db},
			)},
			want: map[string]int64{
				"user > a virtual_node no client": 1, "a > b": 1, "a > c": 1, "a > d": 1, "a > postgres/orders database no server": 1,
			},
		},
		{
			name: "a service calls itself",
			batches: []ptrace.Traces{
				batch(sp{svc: "a", id: 2, parent: 1, kind: kindServer}), batch(sp{svc: "a", id: 1, kind: kindClient}),
			},
			want: map[string]int64{"a > a": 1},
		},
		{
			name: "a service that stops answering",
			batches: []ptrace.Traces{
				batch(c, s),
				batch(sp{svc: "a", trace: 2, id: 1, kind: kindClient, at: second, attrs: map[string]any{"server.address": "b"}}),
				batch(sp{svc: "a", trace: 3, id: 1, kind: kindClient, at: second, attrs: map[string]any{"server.address": "b"}}),
			},
			want: map[string]int64{"a > b": 1, "a > b virtual_node no server": 2},
		},
		{
			name:    "store of 10; 20 clients, then their servers",
			change:  func(c *Config) { c.MaxPending = 10 },
			batches: []ptrace.Traces{batch(append(append([]sp{}, clients...), servers...)...)},
			want:    map[string]int64{"a > b": 20},
		},
		{
			name: "request from outside",
			batches: []ptrace.Traces{batch(
				sp{svc: "a", id: 1, kind: kindServer}, sp{svc: "b", id: 2, parent: 7, kind: kindServer},
			)},
			want: map[string]int64{"user > a virtual_node no client": 1, "user > b virtual_node no client": 1},
		},
		{
			name: "producer and consumer that never meet",
			batches: []ptrace.Traces{batch(
				sp{svc: "a", id: 1, kind: kindProducer, attrs: kafka}, sp{svc: "b", id: 2, kind: kindConsumer, attrs: kafka, trace: 7},
			)},
			want: map[string]int64{
				"a > kafka/orders messaging_system no server": 1, "kafka/orders > b messaging_system no client": 1,
			},
		},
		{
			name: "a client's call within another client's call",
			batches: []ptrace.Traces{batch(
				sp{svc: "a", id: 2, parent: 1, kind: kindClient, attrs: map[string]any{"server.address": "s3.example.com"}},
				sp{svc: "a", id: 1, kind: kindClient, attrs: map[string]any{"server.address": "storage"}, at: second},
			)},
			want: map[string]int64{"a > s3.example.com virtual_node no server": 1},
		},
		{
			name: "an HTTP call within a database call",
			batches: []ptrace.Traces{batch(
				sp{svc: "a", id: 2, parent: 1, kind: kindClient, attrs: map[string]any{"server.address": "es"}},
				sp{svc: "a", id: 1, kind: kindClient, attrs: map[string]any{"db.system.name": "elasticsearch"}},
			)},
			want: map[string]int64{"a > elasticsearch database no server": 1},
		},
		{
			name: "a server within a server of the same service",
			batches: []ptrace.Traces{batch(
				sp{svc: "a", id: 1, kind: kindServer}, sp{svc: "a", id: 2, parent: 1, kind: kindServer},
			)},
			want: map[string]int64{"user > a virtual_node no client": 1},
		},
		{
			name: "both sides share a span ID",
			batches: []ptrace.Traces{
				batch(sp{svc: "a", id: 1, kind: kindClient}, sp{svc: "b", id: 1, kind: kindServer}),
				batch(sp{svc: "b", id: 1, trace: 2, parent: 5, kind: kindServer}, sp{svc: "a", id: 1, trace: 2, parent: 5, kind: kindClient}),
			},
			want: map[string]int64{"a > b": 2},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sink := run(t, tc.change, tc.batches...)
			assert.Equal(t, tc.want, last(sink, semconv.MetricGraphRequestTotal))
			failed := map[string]int64{}
			for edge := range tc.want {
				failed[edge] = 0
			}
			assert.Equal(t, failed, last(sink, semconv.MetricGraphRequestFailedTotal), "every edge has a count of failures")
		})
	}
}

func TestExponentialHistogramsCarryTimestamps(t *testing.T) {
	sink := run(t, func(c *Config) { c.Histogram.Type = HistogramExponential }, batch(
		sp{svc: "a", id: 1, kind: kindClient, at: second, dur: 3 * second},
		sp{svc: "b", id: 2, parent: 1, kind: kindServer, at: second, dur: 2 * second},
	))
	seconds := map[string]float64{}
	for _, name := range []string{semconv.MetricGraphRequestClient, semconv.MetricGraphRequestServer} {
		each(sink.AllMetrics(), name, func(m pmetric.Metric) {
			dp := m.ExponentialHistogram().DataPoints().At(0)
			assert.Equal(t, epoch.Add(second), dp.Timestamp().AsTime())
			assert.NotZero(t, dp.StartTimestamp())
			assert.EqualValues(t, 1, dp.Count())
			assert.Equal(t, 1, dp.Positive().BucketCounts().Len())
			seconds[name] = dp.Sum()
		})
	}
	assert.Equal(t, map[string]float64{semconv.MetricGraphRequestClient: 3, semconv.MetricGraphRequestServer: 2}, seconds)
}

// TestNothingIsLostAtShutdown ends a connector in the middle of an interval, twice.
func TestNothingIsLostAtShutdown(t *testing.T) {
	c, sink := start(t, nil)
	require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(1, second)...)))
	require.NoError(t, c.ConsumeTraces(t.Context(), batch(
		sp{svc: "a", trace: 2, id: 1, kind: kindClient, at: second, attrs: map[string]any{"server.address": "x"}})))
	require.Empty(t, sink.AllMetrics())
	require.NoError(t, c.Shutdown(t.Context()))
	want := map[string]int64{"a > b": 1, "a > x virtual_node no server": 1}
	assert.Equal(t, want, last(sink, semconv.MetricGraphRequestTotal))
	require.NoError(t, c.Shutdown(t.Context()))
	assert.Equal(t, want, last(sink, semconv.MetricGraphRequestTotal))
	require.Len(t, sink.AllMetrics(), 1)
}

// TestInstancesAddUp spreads the traces of calls over three connectors, either side in batches of its own and in any order, as
// load balancers before them do: together they count what one does that gets all.
func TestInstancesAddUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 15))
	var spans []sp
	for trace := range uint64(500) {
		at := time.Duration(trace) * 40 * time.Millisecond
		caller, callee := string(rune('a'+rng.IntN(4))), string(rune('e'+rng.IntN(4)))
		spans = append(spans,
			sp{svc: caller, trace: trace, id: 1, kind: kindServer, at: at},
			sp{svc: caller, trace: trace, id: 2, parent: 1, kind: kindClient, at: at},
			sp{svc: callee, trace: trace, id: 3, parent: 2, kind: kindServer, at: at, status: ptrace.StatusCode(rng.IntN(3))},
			sp{svc: callee, trace: trace, id: 4, parent: 3, kind: kindClient, at: at, attrs: map[string]any{"db.system.name": "redis"}})
	}
	for i := 0; i+40 <= len(spans); i += 40 {
		rng.Shuffle(40, func(a, b int) { spans[i+a], spans[i+b] = spans[i+b], spans[i+a] })
	}
	count := func(instances int, name string) map[string]int64 {
		sums := map[string]int64{}
		for instance := range instances {
			var in []ptrace.Traces
			for _, s := range spans {
				if int(s.trace*2654435761>>16)%instances == instance {
					in = append(in, batch(s))
				}
			}
			for edge, n := range last(run(t, nil, in...), name) {
				sums[edge] += n
			}
		}
		return sums
	}
	for _, name := range []string{
		semconv.MetricGraphRequestTotal, semconv.MetricGraphRequestFailedTotal, semconv.MetricGraphOperationRequestTotal,
	} {
		want := count(1, name)
		require.Greater(t, len(want), 20)
		assert.Equal(t, want, count(3, name), name)
	}
}

func TestFailures(t *testing.T) {
	for _, tc := range []struct {
		name string
		c, s sp
		want int64
	}{
		{name: "neither side", want: 0},
		{name: "client", c: sp{status: ptrace.StatusCodeError}, want: 1},
		{name: "server", s: sp{status: ptrace.StatusCodeError}, want: 1},
		{name: "both sides", c: sp{status: ptrace.StatusCodeError}, s: sp{status: ptrace.StatusCodeError}, want: 1},
		{name: "HTTP 503 without a status", s: sp{attrs: map[string]any{"http.response.status_code": 503}}, want: 1},
		{name: "HTTP 503 by the older name", c: sp{attrs: map[string]any{"http.status_code": 503}}, want: 1},
		{name: "HTTP 404 without a status", s: sp{attrs: map[string]any{"http.response.status_code": 404}}, want: 0},
		{
			name: "HTTP 503 that the service calls fine",
			s:    sp{status: ptrace.StatusCodeOk, attrs: map[string]any{"http.response.status_code": 503}}, want: 0,
		},
		{name: "gRPC unavailable", s: sp{attrs: map[string]any{"rpc.grpc.status_code": 14}}, want: 1},
		{name: "gRPC not found", s: sp{attrs: map[string]any{"rpc.grpc.status_code": 5}}, want: 0},
		{name: "gRPC by the newer name", s: sp{attrs: map[string]any{"rpc.response.status_code": "INTERNAL"}}, want: 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.c.svc, tc.c.id, tc.c.kind = "a", 1, kindClient
			tc.s.svc, tc.s.id, tc.s.parent, tc.s.kind = "b", 2, 1, kindServer
			sink := run(t, nil, batch(tc.c, tc.s))
			assert.Equal(t, map[string]int64{"a > b": tc.want}, last(sink, semconv.MetricGraphRequestFailedTotal))
		})
	}
}
