package tracegraphconnector

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/servicegraphconnector"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/semconv"
)

const contribModule = "github.com/open-telemetry/opentelemetry-collector-contrib/connector/servicegraphconnector"

// contribDir returns the folder of contrib's servicegraph connector of the version in go.mod.
func contribDir(t testing.TB) string {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", contribModule).Output()
	require.NoError(t, err)
	dir := strings.TrimSpace(string(out))
	if dir == "" {
		t.Skipf("the module %s is not there", contribModule)
	}
	return dir
}

// series are the metrics of a batch: of each its form, and of each of its points what it says, by its attributes.
type series map[string]map[string]string

// seriesOf leaves out times, exemplars and the metrics that are ours alone.
func seriesOf(t *testing.T, md pmetric.Metrics) series {
	out := series{}
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				if strings.HasPrefix(m.Name(), "traces_service_graph_operation_") {
					continue
				}
				points := map[string]string{"form": fmt.Sprintf("%s %q of %q", m.Type(), m.Unit(), sm.Scope().Name())}
				out[m.Name()] = points
				add := func(attrs pcommon.Map, format string, args ...any) {
					key, err := json.Marshal(attrs.AsRaw())
					require.NoError(t, err)
					assert.NotContains(t, points, string(key), "two points of one series")
					points[string(key)] = fmt.Sprintf(format, args...)
				}
				switch m.Type() {
				case pmetric.MetricTypeSum:
					points["form"] += fmt.Sprint(m.Sum().AggregationTemporality(), m.Sum().IsMonotonic())
					for _, dp := range m.Sum().DataPoints().All() {
						add(dp.Attributes(), "%s %d", dp.ValueType(), dp.IntValue())
					}
				case pmetric.MetricTypeHistogram:
					points["form"] += fmt.Sprint(m.Histogram().AggregationTemporality())
					for _, dp := range m.Histogram().DataPoints().All() {
						add(dp.Attributes(), "%d %.9f %v %v", dp.Count(), dp.Sum(), dp.ExplicitBounds().AsRaw(), dp.BucketCounts().AsRaw())
					}
				case pmetric.MetricTypeExponentialHistogram:
					points["form"] += fmt.Sprint(m.ExponentialHistogram().AggregationTemporality())
					for _, dp := range m.ExponentialHistogram().DataPoints().All() {
						add(dp.Attributes(), "%d %.9f %d %d %d %v", dp.Count(), dp.Sum(), dp.ZeroCount(), dp.Scale(),
							dp.Positive().Offset(), dp.Positive().BucketCounts().AsRaw())
					}
				default:
					t.Errorf("metric %s is a %s", m.Name(), m.Type())
				}
			}
		}
	}
	return out
}

// without removes the points of a metric for which f is true, by attributes and value.
func (s series) without(metric string, f func(attrs, value string) bool) {
	for attrs, value := range s[metric] {
		if attrs != "form" && f(attrs, value) {
			delete(s[metric], attrs)
		}
	}
	if len(s[metric]) == 1 {
		delete(s, metric)
	}
}

// runTheirWay runs a connector in a bubble: all spans, then long enough for whatever waits to be sent.
func runTheirWay(t *testing.T, factory connector.Factory, text string, in []ptrace.Traces) pmetric.Metrics {
	cfg := factory.CreateDefaultConfig()
	require.NoError(t, parse(t, text).Unmarshal(cfg))
	sink := new(consumertest.MetricsSink)
	set := connectortest.NewNopSettings(factory.Type())
	c, err := factory.CreateTracesToMetrics(t.Context(), set, cfg, sink)
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
	for _, td := range in {
		require.NoError(t, c.ConsumeTraces(t.Context(), td))
	}
	time.Sleep(3 * time.Minute)
	synctest.Wait()
	require.NoError(t, c.Shutdown(t.Context()))
	synctest.Wait()
	require.NotEmpty(t, sink.AllMetrics())
	return sink.AllMetrics()[len(sink.AllMetrics())-1]
}

// TestSameAsServicegraph runs both connectors on spans of which contrib's makes the right calls: whole traces in a batch. What
// it compares is what the README calls the same; what it takes out before, the README calls better or different.
func TestSameAsServicegraph(t *testing.T) {
	pair := func(trace uint64, c, s sp) []sp {
		c.svc, c.trace, c.id, c.kind, c.dur = "a", trace, 1, kindClient, 30*time.Millisecond
		s.svc, s.trace, s.id, s.parent, s.kind, s.dur = "b", trace, 2, 1, kindServer, 20*time.Millisecond
		return []sp{c, s}
	}
	attrs := func(kv ...string) map[string]any {
		out := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			out[kv[i]] = kv[i+1]
		}
		return out
	}
	failed := sp{status: ptrace.StatusCodeError}
	entry := sp{svc: "a", trace: 5, id: 1, kind: kindServer}
	calls := batch(append(append(append(pair(1, sp{}, sp{}), pair(2, failed, sp{})...), pair(3, sp{}, failed)...), pair(4, sp{}, sp{})...)...)
	both := ptrace.NewTraces()
	calls.CopyTo(both)
	batch(entry,
		sp{svc: "a", trace: 6, id: 1, kind: kindClient, attrs: attrs("peer.service", "pay", "rpc.service", "Pay")},
		sp{svc: "a", trace: 7, id: 1, kind: kindClient, attrs: attrs("db.name", "orders", "db.system", "postgresql")},
		sp{svc: "a", trace: 8, id: 1, kind: kindProducer}, sp{svc: "c", trace: 8, id: 2, parent: 1, kind: kindConsumer},
	).ResourceSpans().MoveAndAppendTo(both.ResourceSpans())
	dimensions := batch(append(append(
		pair(1, sp{attrs: attrs("region", "eu", "tier", "gold")}, sp{attrs: attrs("region", "us")}),
		pair(2, sp{attrs: attrs("region", "eu")}, sp{})...),
		sp{svc: "a", trace: 7, id: 1, kind: kindClient, attrs: attrs("db.name", "orders", "region", "eu")})...)
	for _, rs := range dimensions.ResourceSpans().All() {
		if name, _ := rs.Resource().Attributes().Get("service.name"); name.Str() == "b" {
			rs.Resource().Attributes().PutStr("region", "of the resource")
			rs.Resource().Attributes().PutInt("shard", 7)
		}
	}

	for name, tc := range map[string]struct {
		config string
		in     ptrace.Traces
	}{
		"calls":              {"virtual_node_extra_label: false", calls},
		"configured buckets": {"{virtual_node_extra_label: false, latency_histogram_buckets: [10ms, 20ms, 1s]}", calls},
		"exponential":        {"{virtual_node_extra_label: false, exponential_histogram_max_size: 20}", calls},
		"every sort of call": {
			"{database_name_attributes: [db.name], virtual_node_peer_attributes: [rpc.service, peer.service], virtual_node_extra_label: true}",
			both,
		},
		"without the label": {
			"{database_name_attributes: [db.name], virtual_node_peer_attributes: [peer.service], virtual_node_extra_label: false}",
			both,
		},
		"without virtual nodes": {
			"{database_name_attributes: [db.name], virtual_node_peer_attributes: [], virtual_node_extra_label: true}", both,
		},
		"databases by default": {"{virtual_node_extra_label: false}", batch(
			sp{svc: "a", trace: 7, id: 1, kind: kindClient, attrs: attrs("db.name", "orders", "peer.service", "")},
		)},
		"dimensions": {
			"{dimensions: [region, tier, shard, none], database_name_attributes: [db.name], virtual_node_extra_label: false}", dimensions,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				theirs := seriesOf(t, runTheirWay(t, servicegraphconnector.NewFactory(), tc.config, []ptrace.Traces{tc.in}))
				md := runTheirWay(t, NewFactory(), tc.config, []ptrace.Traces{tc.in})
				ours := seriesOf(t, md)

				ours.without(semconv.MetricGraphRequestFailedTotal, func(_, value string) bool { return strings.HasSuffix(value, " 0") })
				// Sides that nobody measured.
				noServer := func(attrs, _ string) bool {
					return strings.Contains(attrs, `"database"`) || strings.Contains(attrs, `"connection_type":"virtual_node"`) && !strings.Contains(attrs, `"user"`)
				}
				theirs.without(semconv.MetricGraphRequestServer, noServer)
				theirs.without(semconv.MetricGraphRequestClient, func(attrs, _ string) bool { return strings.Contains(attrs, `"user"`) })
				assert.Equal(t, theirs, ours)
				each([]pmetric.Metrics{md}, semconv.MetricGraphRequestTotal, func(m pmetric.Metric) {
					for _, dp := range m.Sum().DataPoints().All() {
						assert.LessOrEqual(t, dp.StartTimestamp(), dp.Timestamp())
						assert.NotZero(t, dp.StartTimestamp())
					}
				})
			})
		})
	}
}

// TestServicegraphsOwnCases takes the spans and the expected metrics of the tests of contrib's connector.
func TestServicegraphsOwnCases(t *testing.T) {
	dir := filepath.Join(contribDir(t), "testdata")
	const config = "latency_histogram_buckets: [100ms, 1s, 10s], virtual_node_extra_label: "
	for _, tc := range []struct{ spans, metrics, config string }{
		{
			"extra-dimensions-queue-db-trace.yaml", "extra-dimensions-queue-db-expected-metrics.yaml",
			"{dimensions: [db.system, messaging.system], " + config + "false}",
		},
		{
			"virtual-node-label-client-trace.yaml", "virtual-node-label-client-expected-metrics.yaml",
			"{dimensions: [peer.service, db.system, messaging.system], virtual_node_peer_attributes: [peer.service, db.system, messaging.system], " + config + "true}",
		},
		{
			"failed-label-not-work-simple-trace.yaml", "failed-label-not-work-expect-metrics.yaml",
			"{dimensions: [some-attribute, non-existing-attribute], virtual_node_extra_label: false}",
		},
		// The callee has no name: there is no node "unknown" here.
		{"virtual-node-label-server-trace.yaml", "", "{virtual_node_extra_label: true}"},
	} {
		t.Run(tc.spans, func(t *testing.T) {
			in, err := golden.ReadTraces(filepath.Join(dir, tc.spans))
			require.NoError(t, err)
			// A span without an identity is not counted here.
			for i, rs := range in.ResourceSpans().All() {
				for j, span := range rs.ScopeSpans().At(0).Spans().All() {
					if span.SpanID().IsEmpty() {
						span.SetSpanID(spanID(uint64(1000*i + j + 1)))
					}
				}
			}
			cfg, err := load(t, tc.config)
			require.NoError(t, err)
			sink := run(t, func(c *Config) { *c = *cfg }, in)
			if tc.metrics == "" {
				assert.Empty(t, sink.AllMetrics())
				return
			}
			md, err := golden.ReadMetrics(filepath.Join(dir, tc.metrics))
			require.NoError(t, err)
			md.ResourceMetrics().At(0).ScopeMetrics().At(0).Scope().SetName(scopeName)
			want, got := seriesOf(t, md), seriesOf(t, sink.AllMetrics()[len(sink.AllMetrics())-1])
			got.without(semconv.MetricGraphRequestFailedTotal, func(_, value string) bool { return strings.HasSuffix(value, " 0") })
			want.without(semconv.MetricGraphRequestClient, func(attrs, _ string) bool { return strings.Contains(attrs, `"user"`) })
			assert.Equal(t, want, got)
		})
	}
}
