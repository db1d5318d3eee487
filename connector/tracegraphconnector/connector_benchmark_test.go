package tracegraphconnector

import (
	"fmt"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/servicegraphconnector"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

const (
	benchServices = 12
	benchTraces   = 10
	benchSpans    = 20
)

// benchBatch returns ten traces of 20 spans in the order of services: ten calls each, a client and a server with the
// attributes that instrumentations give them.
func benchBatch() ptrace.Traces {
	td := ptrace.NewTraces()
	var spans [benchServices]ptrace.SpanSlice
	for i := range spans {
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", fmt.Sprintf("service-%d", i))
		rs.Resource().Attributes().PutStr("service.namespace", "shop")
		rs.Resource().Attributes().PutStr("k8s.pod.name", fmt.Sprintf("service-%d-0", i))
		spans[i] = rs.ScopeSpans().AppendEmpty().Spans()
	}
	for range benchTraces {
		for call := range benchSpans / 2 {
			for side, kind := range []ptrace.SpanKind{ptrace.SpanKindClient, ptrace.SpanKindServer} {
				span := spans[(call+side)%benchServices].AppendEmpty()
				span.SetKind(kind)
				span.SetName("GET /items/{id}")
				span.Attributes().PutStr("http.request.method", "GET")
				span.Attributes().PutInt("http.response.status_code", 200)
				span.Attributes().PutStr("url.path", "/items/7")
				span.Attributes().PutStr("server.address", "items")
				span.Attributes().PutInt("server.port", 8080)
			}
		}
	}
	return td
}

// stamp gives the spans of a batch new identities and times, in the order in which benchBatch made them.
func stamp(td ptrace.Traces, round int, at time.Time) {
	var next [benchServices]int
	for trace := range benchTraces {
		id := traceOf(uint64(round*benchTraces + trace))
		for call := range benchSpans / 2 {
			for side := range 2 {
				service := (call + side) % benchServices
				span := td.ResourceSpans().At(service).ScopeSpans().At(0).Spans().At(next[service])
				next[service]++
				span.SetTraceID(id)
				span.SetSpanID(spanID(uint64(2*call + side + 1)))
				span.SetParentSpanID(spanID(uint64(2*call + side)))
				span.SetStartTimestamp(pcommon.NewTimestampFromTime(at.Add(-20 * time.Millisecond)))
				span.SetEndTimestamp(pcommon.NewTimestampFromTime(at))
			}
		}
	}
}

// BenchmarkConsume compares with contrib's servicegraph connector on the same spans at 1,000 traces a second of event
// time; "stamp" is what giving the spans new identities costs, which is part of both.
func BenchmarkConsume(b *testing.B) {
	report := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchTraces*benchSpans), "ns/span")
	}
	step := benchTraces * time.Millisecond
	b.Run("stamp", func(b *testing.B) {
		td := benchBatch()
		b.ReportAllocs()
		for round := 0; b.Loop(); round++ {
			stamp(td, round, epoch.Add(time.Duration(round)*step))
		}
		report(b)
	})
	for _, bc := range []struct {
		name    string
		factory connector.Factory
		change  func(component.Config)
	}{
		{name: "tracegraph", factory: NewFactory(), change: func(component.Config) {}},
		{
			name: "servicegraph", factory: servicegraphconnector.NewFactory(),
			// With its default of 1,000 items the store is full most of the time, and refusing is cheap.
			change: func(c component.Config) { c.(*servicegraphconnector.Config).Store.MaxItems = 500_000 },
		},
	} {
		b.Run(bc.name, func(b *testing.B) {
			cfg := bc.factory.CreateDefaultConfig()
			bc.change(cfg)
			c, err := bc.factory.CreateTracesToMetrics(
				b.Context(), connectortest.NewNopSettings(bc.factory.Type()), cfg, consumertest.NewNop())
			require.NoError(b, err)
			require.NoError(b, c.Start(b.Context(), componenttest.NewNopHost()))
			td := benchBatch()
			b.ReportAllocs()
			for round := 0; b.Loop(); round++ {
				stamp(td, round, epoch.Add(time.Duration(round)*step))
				if err := c.ConsumeTraces(b.Context(), td); err != nil {
					b.Fatal(err)
				}
			}
			report(b)
			require.NoError(b, c.Shutdown(b.Context()))
		})
	}
}
