package incidentconnector

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/servicegraphconnector"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/semconv"
)

// visits returns the spans of n visits to the front, which calls orders, which calls stock, which asks its database. Of those of
// the service that fails its own calls and those of its callers fail.
func visits(now time.Time, n int, failing string, failed int) ptrace.Traces {
	td := ptrace.NewTraces()
	spans := map[string]ptrace.SpanSlice{}
	for _, name := range []string{"front", "orders", "stock"} {
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr(semconv.AttrServiceName, name)
		spans[name] = rs.ScopeSpans().AppendEmpty().Spans()
	}
	next := uint64(now.UnixNano())
	for i := range n {
		next++
		trace := pcommon.TraceID{1, byte(next >> 40), byte(next >> 32), byte(next >> 24), byte(next >> 16), byte(next >> 8), byte(next), byte(i)}
		depth := byte(0)
		parent := pcommon.SpanID{}
		broken := i < failed
		span := func(service string, kind ptrace.SpanKind, took time.Duration) ptrace.Span {
			depth++
			s := spans[service].AppendEmpty()
			s.SetTraceID(trace)
			s.SetSpanID(pcommon.SpanID{depth, byte(next >> 16), byte(next >> 8), byte(next), byte(i), 1})
			s.SetParentSpanID(parent)
			s.SetKind(kind)
			s.SetStartTimestamp(pcommon.NewTimestampFromTime(now.Add(-took)))
			s.SetEndTimestamp(pcommon.NewTimestampFromTime(now))
			if broken {
				s.Status().SetCode(ptrace.StatusCodeError)
			}
			parent = s.SpanID()
			return s
		}
		span("front", ptrace.SpanKindServer, 30*time.Millisecond)
		span("front", ptrace.SpanKindClient, 20*time.Millisecond)
		span("orders", ptrace.SpanKindServer, 18*time.Millisecond)
		broken = broken && failing != "orders"
		span("orders", ptrace.SpanKindClient, 8*time.Millisecond)
		span("stock", ptrace.SpanKindServer, 7*time.Millisecond)
		broken = broken && failing != "stock"
		span("stock", ptrace.SpanKindClient, 2*time.Millisecond).Attributes().PutStr("db.name", "inventory")
	}
	return td
}

// TestGraphOfContrib diagnoses from what contrib's servicegraph connector makes of spans.
func TestGraphOfContrib(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*servicegraphconnector.Config){
		"explicit histograms":    func(*servicegraphconnector.Config) {},
		"exponential histograms": func(c *servicegraphconnector.Config) { c.ExponentialHistogramMaxSize = 160 },
		"virtual node label":     func(c *servicegraphconnector.Config) { c.VirtualNodeExtraLabel = true },
	} {
		for _, failing := range []string{"stock", "orders"} {
			t.Run(name+", "+failing, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, nil)
					factory := servicegraphconnector.NewFactory()
					cfg := factory.CreateDefaultConfig().(*servicegraphconnector.Config)
					every := step
					cfg.MetricsFlushInterval = &every
					cfg.Store = servicegraphconnector.StoreConfig{MaxItems: 10_000, TTL: time.Second}
					change(cfg)
					graph, err := factory.CreateTracesToMetrics(t.Context(), connectortest.NewNopSettings(factory.Type()), cfg, w.metrics)
					require.NoError(t, err)
					require.NoError(t, graph.Start(t.Context(), componenttest.NewNopHost()))
					visit(t, graph, 100, failing, 0)
					require.Empty(t, w.events())
					began := time.Now()
					visit(t, graph, 8, failing, 30)
					open := w.one()
					assert.Equal(t, service(failing), open.Cause().Entity)
					assert.Equal(t, semconv.CauseErrors, open.Cause().Kind)
					assert.Equal(t, []string{"front"}, open.EntryPoints)
					assert.Less(t, open.DetectedAt.Sub(began), 20*time.Second, "the first failures count though their series are new")
					visit(t, graph, 40, failing, 0)
					assert.Equal(t, semconv.ResolutionRecovered, w.one().Resolution)
					require.NoError(t, graph.Shutdown(t.Context()))
					w.stop()
				})
			})
		}
	}
}

// visit sends 40 visits in each of n buckets.
func visit(t *testing.T, graph connector.Traces, n int, failing string, failed int) {
	for range n {
		require.NoError(t, graph.ConsumeTraces(context.Background(), visits(time.Now(), 40, failing, failed)))
		time.Sleep(step)
		synctest.Wait()
	}
}
