package endtoend

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/internal/otlpjsonl"
	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

const graphMetric = "otelcol_connector_tracegraph_"

// conserved expects that each span, and each followed link, has one outcome or still waits.
func conserved(t *testing.T, c *collector) {
	t.Helper()
	in := c.metric(graphMetric+"received_spans") + c.metric(graphMetric+"followed_links")
	assert.Equal(t, in, c.metric(graphMetric+"resolved_spans")+c.metric(graphMetric+"pending_spans"), "spans in and out")
}

func TestSpansWithoutParents(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	invalid := p.metric(graphMetric+"resolved_spans", `outcome="invalid"`)
	orphans := p.metric(graphMetric+"resolved_spans", `outcome="orphan"`)
	const n = 200
	for i := range n {
		td := ptrace.NewTraces()
		spans := traceResource(td, "stray").ScopeSpans().AppendEmpty().Spans()
		id := func(k int) (out pcommon.SpanID) {
			binary.BigEndian.PutUint64(out[:], uint64(1_000_000+10*i+k))
			return out
		}
		add := func(k int, kind ptrace.SpanKind, parent pcommon.SpanID) ptrace.Span {
			s := spans.AppendEmpty()
			s.SetTraceID(pcommon.TraceID{15: 1, 0: byte(i), 1: byte(i >> 8), 2: byte(k)})
			s.SetSpanID(id(k))
			s.SetParentSpanID(parent)
			s.SetKind(kind)
			s.SetStartTimestamp(pcommon.NewTimestampFromTime(p.sim.Now().Add(-20 * time.Millisecond)))
			s.SetEndTimestamp(pcommon.NewTimestampFromTime(p.sim.Now().Add(-10 * time.Millisecond)))
			return s
		}
		add(1, ptrace.SpanKindServer, id(9))            // its parent never comes
		add(2, ptrace.SpanKindClient, pcommon.SpanID{}) // nobody answers, and it names nobody
		add(3, ptrace.SpanKindInternal, id(3))          // its own parent
		add(4, ptrace.SpanKindServer, id(4))            // the same for a callee
		add(5, ptrace.SpanKindServer, pcommon.SpanID{}).SetTraceID(pcommon.TraceID{})
		add(6, ptrace.SpanKindServer, pcommon.SpanID{}).SetSpanID(pcommon.SpanID{})
		consumer := add(7, ptrace.SpanKindConsumer, pcommon.SpanID{})
		consumer.Links().AppendEmpty().SetSpanID(id(8)) // a link into nowhere
		backward := add(8, ptrace.SpanKindServer, pcommon.SpanID{})
		backward.SetStartTimestamp(backward.EndTimestamp() + 1e9) // ends before it begins
		backward.Status().SetCode(ptrace.StatusCode(99))
		p.send.sendTraces(td)
	}
	p.send.run(p.sim, 30*time.Second, nil)
	assert.Equal(t, 2.0*n, p.metric(graphMetric+"resolved_spans", `outcome="invalid"`)-invalid)
	assert.GreaterOrEqual(t, p.metric(graphMetric+"resolved_spans", `outcome="orphan"`)-orphans, float64(n))
	conserved(t, p.collector)
	p.survives(t)
}

func traceResource(td ptrace.Traces, service string) ptrace.ResourceSpans {
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr(semconv.AttrServiceName, service)
	rs.Resource().Attributes().PutStr(semconv.AttrServiceNamespace, "shop")
	return rs
}

// TestSkewedClocks gives one service a clock that is five minutes fast and another one that is as slow, as sent by an
// agent for all together, and by each service for itself.
func TestSkewedClocks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		apart bool
	}{
		{"sent together", false},
		{"each for itself", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			hooks := newReceiver(t, "")
			c := start(t, setup{webhook: hooks.url()})
			s, sim := newSender(t, c.grpc), newShop(t, rate)
			tick := func() {
				s.sendSkewed(sim, test.apart, map[string]time.Duration{"user": 5 * time.Minute, "search": -5 * time.Minute})
			}
			for range int(learn / shop.TickLength) {
				tick()
			}
			c.running()
			conserved(t, c)
			assert.Empty(t, hooks.deliveries(), "incidents before the fault")
			assert.Positive(t, c.metric("otelcol_connector_incident_refused_items", `reason="skewed"`)+
				c.metric("otelcol_connector_incident_refused_items", `reason="late"`), "items with a wrong clock")
			assert.Positive(t, c.metric(graphMetric+"adjusted_spans"), "spans with a wrong clock")

			fault, err := sim.Inject(shop.Fault{Kind: shop.ErrorBurst})
			require.NoError(t, err)
			found := func() bool {
				_, ok := hooks.first(semconv.EventTypeIncidentOpened, "")
				return ok
			}
			for range int(watch / shop.TickLength) {
				if tick(); found() {
					break
				}
			}
			require.Eventually(t, found, patience, poll, "the fault was not found")
			opened, _ := hooks.first(semconv.EventTypeIncidentOpened, "")
			assert.Equal(t, fault.Service, opened.event.cause())
			c.running()
			c.stop()
		})
	}
}

// sendSkewed sends a tick of the shop with the clocks of some services set wrong.
func (s *sender) sendSkewed(sim *shop.Simulation, apart bool, clocks map[string]time.Duration) {
	s.t.Helper()
	td, md, ld := sim.Tick()
	allSpans, allPoints, allRecords := ptrace.NewTraces(), pmetric.NewMetrics(), plog.NewLogs()
	skew := func(resource pcommon.Resource) time.Duration {
		name, ok := resource.Attributes().Get(semconv.AttrServiceName)
		require.True(s.t, ok)
		return clocks[name.Str()]
	}
	for _, rs := range td.ResourceSpans().All() {
		one := otlpjsonl.Batch{Signal: otlpjsonl.Traces, Traces: ptrace.NewTraces()}
		rs.CopyTo(one.Traces.ResourceSpans().AppendEmpty())
		one.Shift(skew(rs.Resource()))
		if apart {
			s.sendTraces(one.Traces)
		} else {
			one.Traces.ResourceSpans().MoveAndAppendTo(allSpans.ResourceSpans())
		}
	}
	for _, rl := range ld.ResourceLogs().All() {
		one := otlpjsonl.Batch{Signal: otlpjsonl.Logs, Logs: plog.NewLogs()}
		rl.CopyTo(one.Logs.ResourceLogs().AppendEmpty())
		one.Shift(skew(rl.Resource()))
		if apart {
			s.sendLogs(one.Logs)
		} else {
			one.Logs.ResourceLogs().MoveAndAppendTo(allRecords.ResourceLogs())
		}
	}
	for _, rm := range md.ResourceMetrics().All() {
		one := otlpjsonl.Batch{Signal: otlpjsonl.Metrics, Metrics: pmetric.NewMetrics()}
		rm.CopyTo(one.Metrics.ResourceMetrics().AppendEmpty())
		one.Shift(skew(rm.Resource()))
		if apart {
			s.sendMetrics(one.Metrics)
		} else {
			one.Metrics.ResourceMetrics().MoveAndAppendTo(allPoints.ResourceMetrics())
		}
	}
	s.sendTraces(allSpans)
	s.sendLogs(allRecords)
	s.sendMetrics(allPoints)
}

// TestManyServices sends spans of more services than any system has.
func TestManyServices(t *testing.T) {
	t.Parallel()
	const services, perRequest = 100_000, 1000
	p := newPatient(t)
	next := uint64(1) << 40
	for from := 0; from < services; from += perRequest {
		td := ptrace.NewTraces()
		for i := range perRequest {
			s := traceResource(td, fmt.Sprintf("service-%d", from+i)).ScopeSpans().AppendEmpty().Spans().AppendEmpty()
			next++
			var span pcommon.SpanID
			binary.BigEndian.PutUint64(span[:], next)
			s.SetTraceID(pcommon.TraceID{15: 2, 0: byte(next), 1: byte(next >> 8), 2: byte(next >> 16)})
			s.SetSpanID(span)
			s.SetKind(ptrace.SpanKindServer)
			s.SetStartTimestamp(pcommon.NewTimestampFromTime(p.sim.Now().Add(-20 * time.Millisecond)))
			s.SetEndTimestamp(pcommon.NewTimestampFromTime(p.sim.Now().Add(-10 * time.Millisecond)))
		}
		p.send.sendTraces(td)
	}
	p.send.run(p.sim, 15*time.Second, nil)
	assert.Positive(t, p.metric(graphMetric+"refused_nodes")+p.metric(graphMetric+"refused_calls"))
	assert.LessOrEqual(t, p.metric(graphMetric+"edges"), p.metric(graphMetric+"edges_limit"))
	assert.Positive(t, p.metric("otelcol_connector_incident_refused_items", `reason="limit"`))
	conserved(t, p.collector)
	assertResident(t, p.collector)
	p.survives(t)
}
