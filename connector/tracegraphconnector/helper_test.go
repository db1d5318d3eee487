package tracegraphconnector

import (
	"encoding/binary"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/connector/tracegraphconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	kindServer   = ptrace.SpanKindServer
	kindClient   = ptrace.SpanKindClient
	kindProducer = ptrace.SpanKindProducer
	kindConsumer = ptrace.SpanKindConsumer
	kindInternal = ptrace.SpanKindInternal
)

// epoch is on every grid of the tests.
var epoch = time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)

// sp is a span; at is its end since epoch.
type sp struct {
	svc, ns    string
	trace      uint64
	id, parent uint64
	kind       ptrace.SpanKind
	at, dur    time.Duration
	attrs      map[string]any
	links      []uint64
	state      string
	status     ptrace.StatusCode
}

func spanID(id uint64) (out pcommon.SpanID) {
	binary.BigEndian.PutUint64(out[:], id)
	return out
}

func traceOf(id uint64) (out pcommon.TraceID) {
	binary.BigEndian.PutUint64(out[8:], id+1)
	return out
}

func batch(spans ...sp) ptrace.Traces {
	td := ptrace.NewTraces()
	for _, s := range spans {
		rs := td.ResourceSpans().AppendEmpty()
		if s.svc != "" {
			rs.Resource().Attributes().PutStr("service.name", s.svc)
		}
		if s.ns != "" {
			rs.Resource().Attributes().PutStr("service.namespace", s.ns)
		}
		span := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		span.SetTraceID(traceOf(s.trace))
		span.SetSpanID(spanID(s.id))
		span.SetParentSpanID(spanID(s.parent))
		span.SetKind(s.kind)
		if s.dur == 0 {
			s.dur = 5 * time.Millisecond
		}
		span.SetEndTimestamp(pcommon.NewTimestampFromTime(epoch.Add(s.at)))
		span.SetStartTimestamp(pcommon.NewTimestampFromTime(epoch.Add(s.at - s.dur)))
		span.TraceState().FromRaw(s.state)
		span.Status().SetCode(s.status)
		for k, v := range s.attrs {
			switch v := v.(type) {
			case string:
				span.Attributes().PutStr(k, v)
			case int:
				span.Attributes().PutInt(k, int64(v))
			}
		}
		for _, l := range s.links {
			link := span.Links().AppendEmpty()
			link.SetTraceID(traceOf(s.trace))
			link.SetSpanID(spanID(l))
		}
	}
	return td
}

// start starts a connector with the default configuration as changed.
func start(t testing.TB, change func(*Config)) (connector.Traces, *consumertest.MetricsSink) {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	cfg.FlushInterval = 5 * time.Second
	if change != nil {
		change(cfg)
	}
	require.NoError(t, cfg.Validate())
	sink := new(consumertest.MetricsSink)
	c, err := NewFactory().CreateTracesToMetrics(t.Context(), connectortest.NewNopSettings(metadata.Type), cfg, sink)
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
	return c, sink
}

// run sends batches through a connector to its end.
func run(t testing.TB, change func(*Config), batches ...ptrace.Traces) *consumertest.MetricsSink {
	t.Helper()
	c, sink := start(t, change)
	for _, td := range batches {
		td.MarkReadOnly()
		require.NoError(t, c.ConsumeTraces(t.Context(), td))
	}
	require.NoError(t, c.Shutdown(t.Context()))
	require.NoError(t, c.Shutdown(t.Context()))
	return sink
}

func edgeName(attrs pcommon.Map) string {
	get := func(k string) string {
		v, _ := attrs.Get(k)
		return v.AsString()
	}
	side := func(name, ns string) string {
		if v, ok := attrs.Get(ns); ok {
			return v.Str() + ":" + get(name)
		}
		return get(name)
	}
	out := side(semconv.AttrGraphClient, semconv.AttrGraphClientNamespace) + " > " +
		side(semconv.AttrGraphServer, semconv.AttrGraphServerNamespace)
	if c := get(semconv.AttrGraphConnectionType); c != "" {
		out += " " + c
	}
	if v, ok := attrs.Get(semconv.AttrGraphVirtualNode); ok {
		out += " no " + v.Str()
	}
	return out
}

// points calls f for each data point of a sum.
func points(all []pmetric.Metrics, name string, f func(pmetric.NumberDataPoint)) {
	each(all, name, func(m pmetric.Metric) {
		for _, dp := range m.Sum().DataPoints().All() {
			f(dp)
		}
	})
}

func each(all []pmetric.Metrics, name string, f func(pmetric.Metric)) {
	for _, md := range all {
		for _, rm := range md.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					if m.Name() == name {
						f(m)
					}
				}
			}
		}
	}
}

// last returns the last value of each edge's series, failed and other calls together.
func last(sink *consumertest.MetricsSink, name string) map[string]int64 {
	out := map[string]int64{}
	for _, md := range sink.AllMetrics() {
		now := map[string]int64{}
		points([]pmetric.Metrics{md}, name, func(dp pmetric.NumberDataPoint) { now[edgeName(dp.Attributes())] += dp.IntValue() })
		maps.Copy(out, now)
	}
	return out
}

// history lists all values of a series as "second=value", failed and other calls together.
func history(sink *consumertest.MetricsSink, name, edge string) []string {
	var out []string
	for _, md := range sink.AllMetrics() {
		n, at := int64(0), time.Duration(-1)
		points([]pmetric.Metrics{md}, name, func(dp pmetric.NumberDataPoint) {
			if edgeName(dp.Attributes()) == edge {
				n, at = n+dp.IntValue(), dp.Timestamp().AsTime().Sub(epoch)
			}
		})
		if at >= 0 {
			out = append(out, fmt.Sprintf("%v=%d", at, n))
		}
	}
	return out
}
