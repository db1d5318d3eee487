package shop_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

func TestSpansFormTrees(t *testing.T) {
	type key struct {
		trace pcommon.TraceID
		span  pcommon.SpanID
	}
	s := newShop(t, config())
	for _, kind := range []shop.FaultKind{shop.MemoryLeak, shop.NetworkDelay, shop.TrafficSurge, shop.DatabaseLocks} {
		_, err := s.Inject(shop.Fault{Kind: kind})
		require.NoError(t, err)
	}
	all := map[key]ptrace.Span{}
	const ticks, settle = 60, 30
	for range ticks {
		from := s.Now()
		traces, _, _ := s.Tick()
		for _, rs := range traces.ResourceSpans().All() {
			last := pcommon.Timestamp(0)
			for _, span := range rs.ScopeSpans().At(0).Spans().All() {
				end := span.EndTimestamp()
				assert.False(t, end.AsTime().Before(from) || !end.AsTime().Before(s.Now()), "a span is sent in the tick in which it ends")
				assert.GreaterOrEqual(t, end, last, "in the order of time")
				last = end
				k := key{span.TraceID(), span.SpanID()}
				_, twice := all[k]
				require.False(t, twice, "IDs are unique")
				all[k] = span
			}
		}
	}
	roots := 0
	for k, span := range all {
		assert.False(t, k.trace.IsEmpty() || k.span.IsEmpty())
		assert.Greater(t, span.EndTimestamp(), span.StartTimestamp())
		if span.ParentSpanID().IsEmpty() {
			roots++
			assert.Equal(t, ptrace.SpanKindServer, span.Kind(), "users are not instrumented")
			continue
		}
		parent, ok := all[key{k.trace, span.ParentSpanID()}]
		if !ok {
			// The parent is still running.
			assert.Greater(t, span.EndTimestamp().AsTime(), s.Now().Add(-settle*time.Second))
			continue
		}
		assert.GreaterOrEqual(t, span.StartTimestamp(), parent.StartTimestamp())
		switch span.Kind() {
		case ptrace.SpanKindServer:
			assert.Equal(t, ptrace.SpanKindClient, parent.Kind())
		case ptrace.SpanKindConsumer:
			assert.Equal(t, ptrace.SpanKindProducer, parent.Kind())
		case ptrace.SpanKindClient, ptrace.SpanKindProducer:
			assert.Contains(t, []ptrace.SpanKind{ptrace.SpanKindServer, ptrace.SpanKindConsumer}, parent.Kind())
		default:
			assert.Fail(t, "unexpected kind", span.Kind())
		}
	}
	assert.Greater(t, roots, 500)
}

func TestWorstCaseStillSendsSpansWhenTheyEnd(t *testing.T) {
	s := newShop(t, config())
	for _, f := range []shop.Fault{
		{Kind: shop.CPUHog, Service: "frontend"},
		{Kind: shop.MemoryLeak, Service: "frontend"},
		{Kind: shop.CPUHog, Service: "gateway"},
		{Kind: shop.MemoryLeak, Service: "gateway"},
		{Kind: shop.CPUHog, Service: "search"},
		{Kind: shop.SlowDependency, Service: "catalogue"},
		{Kind: shop.TrafficSurge, Service: "notification"},
		{Kind: shop.Crash, Service: "analytics", Duration: 30 * time.Second},
		{Kind: shop.DatabaseLocks},
		{Kind: shop.NetworkDelay},
	} {
		f.Severity = 10
		_, err := s.Inject(f)
		require.NoError(t, err)
	}
	longest := time.Duration(0)
	for range 200 {
		from := s.Now()
		traces, _, _ := s.Tick()
		for _, span := range spans(traces) {
			end := span.EndTimestamp().AsTime()
			require.False(t, end.Before(from) || !end.Before(s.Now()))
			longest = max(longest, duration(span))
		}
	}
	assert.Greater(t, longest, 30*time.Second, "or this test shows nothing")
	assert.Zero(t, s.State().Dropped)
}

func TestSpansFollowConventions(t *testing.T) {
	s := newShop(t, config())
	for _, kind := range []shop.FaultKind{shop.ErrorBurst, shop.Crash} {
		_, err := s.Inject(shop.Fault{Kind: kind})
		require.NoError(t, err)
	}
	want := map[string][]string{
		"http server": {"http.request.method", "http.route", "http.response.status_code", "url.path", "url.scheme", "server.address"},
		"http client": {"http.request.method", "url.full", "server.address", "server.port"},
		"rpc":         {"rpc.system.name", "rpc.method", "rpc.response.status_code", "server.address"},
		"db":          {"db.system.name", "db.namespace", "db.operation.name", "server.address", "server.port"},
		"messaging":   {"messaging.system", "messaging.destination.name", "messaging.operation.type", "messaging.operation.name"},
	}
	seen, failed := map[string]int{}, 0
	for range 60 {
		traces, _, _ := s.Tick()
		for _, span := range spans(traces) {
			attrs := span.Attributes()
			has := func(name string) bool { _, ok := attrs.Get(name); return ok }
			kind := "http client"
			switch {
			case has("messaging.system"):
				kind = "messaging"
			case has("db.system.name"):
				kind = "db"
			case has("rpc.method"):
				kind = "rpc"
			case span.Kind() == ptrace.SpanKindServer:
				kind = "http server"
			}
			seen[kind]++
			for _, name := range want[kind] {
				require.True(t, has(name), "%s: %s has no %s", kind, span.Name(), name)
			}
			require.Equal(t, span.Status().Code() == ptrace.StatusCodeError, has("error.type"))
			if span.Status().Code() == ptrace.StatusCodeError && span.Kind() == ptrace.SpanKindServer {
				failed++
				require.Equal(t, 1, span.Events().Len())
				assert.Equal(t, "exception", span.Events().At(0).Name())
				_, ok := span.Events().At(0).Attributes().Get(semconv.AttrExceptionType)
				assert.True(t, ok)
			}
		}
	}
	assert.Len(t, seen, len(want))
	assert.Positive(t, failed)
}

func TestLogsBelongToSpans(t *testing.T) {
	s := newShop(t, config())
	_, err := s.Inject(shop.Fault{Kind: shop.ErrorBurst})
	require.NoError(t, err)
	known := map[pcommon.SpanID]bool{}
	var wanted []plog.LogRecord
	severities := map[plog.SeverityNumber]int{}
	for tick := range 60 {
		traces, _, logs := s.Tick()
		for _, span := range spans(traces) {
			known[span.SpanID()] = true
		}
		for _, lr := range records(logs) {
			severities[lr.SeverityNumber()]++
			assert.NotContains(t, lr.Body().Str(), "{", "all placeholders are filled in")
			if tick < 50 {
				wanted = append(wanted, lr)
			}
			_, ok := lr.Attributes().Get(semconv.AttrExceptionType)
			assert.Equal(t, lr.SeverityNumber() == plog.SeverityNumberError, ok, lr.Body().Str())
		}
	}
	for _, lr := range wanted {
		assert.True(t, known[lr.SpanID()], lr.Body().Str())
	}
	assert.Positive(t, severities[plog.SeverityNumberInfo])
	assert.Positive(t, severities[plog.SeverityNumberError])
}

func TestMetricsAreCumulativeAndDescribed(t *testing.T) {
	type series struct{ pod, metric, attrs string }
	s := newShop(t, config())
	counts := map[series]uint64{}
	names := map[string]bool{}
	services := map[string]bool{}
	for range 30 {
		traces, metrics, _ := s.Tick()
		for _, rs := range traces.ResourceSpans().All() {
			requirePod(t, rs.Resource().Attributes())
		}
		for _, rm := range metrics.ResourceMetrics().All() {
			attrs := rm.Resource().Attributes()
			pod, isPod := attrs.Get(semconv.AttrK8sPodName)
			if isPod {
				requirePod(t, attrs)
			}
			name, _ := attrs.Get(semconv.AttrServiceName)
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				names[m.Name()] = true
				if m.Type() != pmetric.MetricTypeHistogram {
					continue
				}
				services[name.Str()] = true
				assert.Equal(t, pmetric.AggregationTemporalityCumulative, m.Histogram().AggregationTemporality())
				for _, p := range m.Histogram().DataPoints().All() {
					var sum uint64
					for _, b := range p.BucketCounts().All() {
						sum += b
					}
					assert.Equal(t, p.Count(), sum)
					assert.Equal(t, config().Start, p.StartTimestamp().AsTime())
					k := series{pod.Str(), m.Name(), attributes(p.Attributes())}
					assert.GreaterOrEqual(t, p.Count(), counts[k])
					counts[k] = p.Count()
				}
			}
		}
	}
	assert.Len(t, services, 13, "all but the data stores serve requests or messages")
	for _, name := range []string{
		"http.server.request.duration", "messaging.process.duration", "k8s.pod.cpu.usage",
		"k8s.container.cpu_limit_utilization", "k8s.container.memory_limit_utilization", "k8s.container.restarts",
		"db.client.connection.count", "kafka.consumer_group.lag_sum", "postgresql.backends", "redis.memory.used",
		"k8s.deployment.desired_pods", "http.server.active_requests",
	} {
		assert.True(t, names[name], name)
	}
}

func attributes(m pcommon.Map) string {
	out := ""
	for k, v := range m.All() {
		out += k + "=" + v.AsString() + " "
	}
	return out
}

func requirePod(t *testing.T, attrs pcommon.Map) {
	t.Helper()
	for _, name := range []string{
		semconv.AttrServiceName, semconv.AttrServiceVersion, semconv.AttrServiceInstanceID, semconv.AttrK8sNamespaceName,
		semconv.AttrK8sPodName, semconv.AttrK8sNodeName, semconv.AttrServiceCriticality,
	} {
		_, ok := attrs.Get(name)
		require.True(t, ok, name)
	}
	namespace, _ := attrs.Get(semconv.AttrServiceNamespace)
	require.Equal(t, shop.Namespace, namespace.Str())
	_, deployment := attrs.Get(semconv.AttrK8sDeploymentName)
	_, statefulSet := attrs.Get(semconv.AttrK8sStatefulSetName)
	require.True(t, deployment != statefulSet)
}

func TestRestartResetsCounts(t *testing.T) {
	s := newShop(t, config())
	run(s, 20)
	before := state(t, s, "user").Pods
	_, err := s.Act(shop.Action{Name: shop.Restart, Service: "user"})
	require.NoError(t, err)
	assert.NotEqual(t, before, state(t, s, "user").Pods)
	restarted := s.Now()
	for range 5 {
		_, metrics, _ := s.Tick()
		for _, rm := range metrics.ResourceMetrics().All() {
			name, _ := rm.Resource().Attributes().Get(semconv.AttrServiceName)
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				if name.Str() == "user" && m.Type() == pmetric.MetricTypeHistogram {
					assert.Equal(t, restarted, m.Histogram().DataPoints().At(0).StartTimestamp().AsTime())
				}
			}
		}
	}
}
