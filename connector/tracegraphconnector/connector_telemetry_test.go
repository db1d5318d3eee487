package tracegraphconnector

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/paramedic-otel/paramedic/connector/tracegraphconnector/internal/metadatatest"
)

type dps = []metricdata.DataPoint[int64]

func value(n int64) dps { return dps{{Value: n, Attributes: *attribute.EmptySet()}} }

func by(key string, values map[string]int64) (out dps) {
	for name, n := range values {
		out = append(out, metricdata.DataPoint[int64]{Attributes: attribute.NewSet(attribute.String(key, name)), Value: n})
	}
	return out
}

func observed(t *testing.T, change func(*Config), next consumer.Metrics) (*traceGraph, *componenttest.Telemetry) {
	tel := componenttest.NewTelemetry()
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })
	cfg := createDefaultConfig().(*Config)
	cfg.FlushInterval = 5 * time.Second
	change(cfg)
	c, err := NewFactory().CreateTracesToMetrics(t.Context(), metadatatest.NewSettings(tel), cfg, next)
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
	return c.(*traceGraph), tel
}

func TestTelemetry(t *testing.T) {
	ignore := metricdatatest.IgnoreTimestamp()
	c, tel := observed(t, func(c *Config) {
		c.MaxLinks, c.MaxSamplingWeight, c.EdgeTTL, c.MaxPending = 1, 2, 12*second, 50
	}, consumertest.NewNop())
	consume := func(spans ...sp) { require.NoError(t, c.ConsumeTraces(t.Context(), batch(spans...))) }

	consume(append(call(1, 0),
		sp{svc: "a", trace: 2, id: 1, kind: kindServer, state: "ot=th:c"},                        // entry, weight
		sp{svc: "a", trace: 2, id: 1, kind: kindServer},                                          // duplicate
		sp{svc: "a", trace: 2, id: 2, parent: 1, kind: kindInternal},                             // internal
		sp{svc: "a", trace: 2, id: 3, parent: 1, kind: kindServer},                               // nested
		sp{svc: "a", trace: 3, id: 1, kind: kindClient, attrs: map[string]any{"db.system": "x"}}, // virtual
		sp{svc: "a", trace: 4, kind: kindClient},                                                 // invalid
		sp{svc: "a", trace: 5, id: 1, parent: 9, kind: kindServer},                               // orphan
		sp{svc: "a", trace: 6, id: 1, kind: kindClient},                                          // unmatched
		sp{svc: "a", trace: 7, id: 1, kind: kindProducer},                                        // paired
		sp{svc: "b", trace: 7, id: 2, kind: kindConsumer, links: []uint64{1, 8}},                 // linked
	)...)
	metadatatest.AssertEqualConnectorTracegraphReceivedSpans(t, tel, value(12), ignore)
	metadatatest.AssertEqualConnectorTracegraphFollowedLinks(t, tel, value(1), ignore)
	metadatatest.AssertEqualConnectorTracegraphIgnoredLinks(t, tel, value(1), ignore)
	metadatatest.AssertEqualConnectorTracegraphPendingSpans(t, tel, value(2), ignore)
	metadatatest.AssertEqualConnectorTracegraphHeldRecords(t, tel, value(10), ignore)
	metadatatest.AssertEqualConnectorTracegraphRecordsLimit(t, tel, value(50), ignore)
	metadatatest.AssertEqualConnectorTracegraphEdges(t, tel, value(4), ignore)
	metadatatest.AssertEqualConnectorTracegraphEdgesLimit(t, tel, value(10_000), ignore)
	metadatatest.AssertEqualConnectorTracegraphNodes(t, tel, value(4), ignore)

	consume(sp{svc: "z", trace: 8, id: 1, kind: kindInternal, at: 9 * second})
	consume(sp{svc: "z", trace: 8, id: 2, kind: kindInternal, at: 18 * second})
	consume(sp{svc: "z", trace: 8, id: 3, kind: kindInternal, at: time.Second})      // late
	consume(sp{svc: "z", trace: 8, id: 4, kind: kindInternal, at: 1000 * time.Hour}) // clock_skew
	consume(sp{svc: "z", trace: 8, id: 5, kind: kindInternal, at: 26 * second})
	metadatatest.AssertEqualConnectorTracegraphAdjustedSpans(t, tel,
		by("reason", map[string]int64{"late": 1, "clock_skew": 1, "weight": 1}), ignore)
	metadatatest.AssertEqualConnectorTracegraphResolvedSpans(t, tel, by("outcome", map[string]int64{
		"entry": 1, "duplicate": 1, "internal": 6, "nested": 1, "virtual": 1, "invalid": 1, "orphan": 1, "unmatched": 1,
		"paired": 4, "linked": 1,
	}), ignore)
	metadatatest.AssertEqualConnectorTracegraphExpiredEdges(t, tel, value(3), ignore)
	metadatatest.AssertEqualConnectorTracegraphFlushDuration(t, tel, []metricdata.HistogramDataPoint[float64]{{}}, ignore,
		metricdatatest.IgnoreValue())

	for i := range 12 {
		consume(call(uint64(100+i), time.Hour)...) // ahead
	}
	metadatatest.AssertEqualConnectorTracegraphWatermarkJumps(t, tel, by("direction", map[string]int64{"ahead": 1}), ignore)
	require.NoError(t, c.Shutdown(t.Context()))
}

func TestTelemetryOfLimits(t *testing.T) {
	ignore := metricdatatest.IgnoreTimestamp()
	c, tel := observed(t, func(c *Config) { c.MaxEdges, c.MaxPending = 1, 1 }, consumertest.NewErr(errors.New("full")))
	require.NoError(t, c.ConsumeTraces(t.Context(), batch(
		sp{svc: "a", trace: 3, id: 1, kind: kindClient, attrs: map[string]any{"db.system": "x"}},
		sp{svc: "b", trace: 2, id: 1, kind: kindServer}, // no room for b
		sp{svc: "a", trace: 1, id: 1, kind: kindServer}, // none for the user
		sp{svc: "a", trace: 3, id: 2, kind: kindClient},
		sp{svc: "a", trace: 3, id: 3, kind: kindClient},
	)))
	metadatatest.AssertEqualConnectorTracegraphRefusedCalls(t, tel, value(1), ignore)
	metadatatest.AssertEqualConnectorTracegraphRefusedNodes(t, tel, value(2), ignore)
	require.NoError(t, c.Shutdown(t.Context()))
	metadatatest.AssertEqualConnectorTracegraphResolvedSpans(t, tel, by("outcome", map[string]int64{
		"virtual": 1, "node_limit": 1, "entry": 1, "evicted": 1, "unmatched": 1,
	}), ignore)
	metadatatest.AssertEqualConnectorTracegraphDroppedDatapoints(t, tel, by("reason", map[string]int64{"refused": 6}), ignore)
}

func TestTelemetryOfSending(t *testing.T) {
	ignore := metricdatatest.IgnoreTimestamp()
	c, tel := observed(t, func(c *Config) { c.MaxUnsent = 1 }, consumertest.NewNop())
	// Three intervals close in one batch: at 5, 10 and 15 seconds. A flush of the one edge has four points, and four of its operation.
	require.NoError(t, c.ConsumeTraces(t.Context(), batch(slices.Concat(
		call(1, 0), call(2, 8*second), call(3, 13*second), call(4, 18*second))...)))
	metadatatest.AssertEqualConnectorTracegraphDroppedDatapoints(t, tel, by("reason", map[string]int64{"queue": 16}), ignore)
	metadatatest.AssertEqualConnectorTracegraphSentDatapoints(t, tel, value(8), ignore)
	require.NoError(t, c.Shutdown(t.Context()))
	metadatatest.AssertEqualConnectorTracegraphSentDatapoints(t, tel, value(16), ignore)
}

func TestTelemetryOfRewinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, tel := observed(t, func(*Config) {}, consumertest.NewNop())
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(1, time.Hour)...)))
		time.Sleep(time.Minute)
		for i := range 12 {
			require.NoError(t, c.ConsumeTraces(t.Context(), batch(call(uint64(i), 0)...)))
		}
		metadatatest.AssertEqualConnectorTracegraphWatermarkJumps(t, tel,
			by("direction", map[string]int64{"back": 1}), metricdatatest.IgnoreTimestamp())
		require.NoError(t, c.Shutdown(t.Context()))
	})
}

// sumOf adds up the points of a counter or gauge.
func sumOf(t *testing.T, tel *componenttest.Telemetry, name string) (sum int64) {
	m, err := tel.GetMetric("otelcol_connector_tracegraph_" + name)
	if err != nil {
		return 0 // nothing was counted yet
	}
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		for _, dp := range data.DataPoints {
			sum += dp.Value
		}
	case metricdata.Gauge[int64]:
		for _, dp := range data.DataPoints {
			sum += dp.Value
		}
	default:
		t.Fatalf("%s is %T", name, m.Data)
	}
	return sum
}

// TestEverySpanIsAccountedFor sends spans that are paired, expire, are evicted, find no room, come twice, late and without
// identity, and asserts after each batch that what came in is what was resolved and what waits.
func TestEverySpanIsAccountedFor(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 7))
	c, tel := observed(t, func(c *Config) { c.MaxPending, c.MaxEdges, c.MaxLinks = 100, 6, 2 }, consumertest.NewNop())
	kinds := []ptrace.SpanKind{kindServer, kindClient, kindProducer, kindConsumer, kindInternal}
	received := int64(0)
	for round := range 60 {
		var spans []sp
		for range 50 {
			s := sp{
				svc: string(rune('a' + rng.IntN(12))), trace: rng.Uint64N(300), id: rng.Uint64N(6), parent: rng.Uint64N(6),
				kind: kinds[rng.IntN(len(kinds))], at: time.Duration(round)*second - time.Duration(rng.IntN(4))*second,
			}
			if rng.IntN(4) == 0 {
				s.attrs = map[string]any{"server.address": "x", "db.system": []string{"", "redis"}[rng.IntN(2)]}
			}
			if s.kind == kindConsumer {
				s.links = []uint64{rng.Uint64N(6), rng.Uint64N(6), 1}[:rng.IntN(4)]
			}
			spans = append(spans, s)
		}
		received += int64(len(spans))
		require.NoError(t, c.ConsumeTraces(t.Context(), batch(spans...)))
		require.Equal(t, received, sumOf(t, tel, "received_spans"))
		require.Equal(t, received+sumOf(t, tel, "followed_links"), sumOf(t, tel, "resolved_spans")+sumOf(t, tel, "pending_spans"))
	}
	require.NoError(t, c.Shutdown(t.Context()))
	assert.Equal(t, received+sumOf(t, tel, "followed_links"), sumOf(t, tel, "resolved_spans"))
	m, err := tel.GetMetric("otelcol_connector_tracegraph_resolved_spans")
	require.NoError(t, err)
	var reasons []string
	for _, dp := range m.Data.(metricdata.Sum[int64]).DataPoints {
		v, _ := dp.Attributes.Value("outcome")
		reasons = append(reasons, v.AsString())
	}
	assert.ElementsMatch(t, outcomeNames[:], reasons, "each reason was met")
}
