package endtoend

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

const horizontal = repository + "/examples/horizontal/"

// gateway is a collector that counts calls and writes them to a file.
type gateway struct {
	*collector
	file string
}

func startGateway(t testing.TB) *gateway {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "graph.jsonl")
	return &gateway{collector: start(t, setup{
		dir: dir, config: horizontal + "config-gateway.yaml", overlay: fmt.Sprintf("exporters: {file/graph: {path: %q}}", file),
	}), file: file}
}

func startBalancer(t testing.TB, gateways []*gateway) *collector {
	t.Helper()
	var addresses []string
	for _, g := range gateways {
		addresses = append(addresses, g.grpc)
	}
	// Without its queues a request is answered when the gateways have the spans: simulated time passes so fast that spans which
	// waited in one would be too late.
	return start(t, setup{config: horizontal + "config-balancer.yaml", overlay: fmt.Sprintf(
		"exporters: {loadbalancing: {protocol: {otlp: {sending_queue: {enabled: false}}}, resolver: {static: {hostnames: [%s]}}}}",
		strings.Join(addresses, ", "))})
}

// totals adds up the last values of all series of the service graph in the files of the gateways, by metric and attributes.
func totals(t testing.TB, gateways ...*gateway) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, g := range gateways {
		last := map[string]float64{}
		f, err := os.Open(g.file)
		require.NoError(t, err)
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(lines.Bytes())
			require.NoError(t, err)
			addMetrics(t, md, last)
		}
		require.NoError(t, lines.Err())
		require.NoError(t, f.Close())
		for series, value := range last {
			out[series] += value
		}
	}
	return out
}

// addMetrics puts the values of sums, and the counts and buckets of explicit histograms, over those before.
func addMetrics(t testing.TB, md pmetric.Metrics, last map[string]float64) {
	t.Helper()
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				series := func(attrs pcommon.Map) string {
					key, err := json.Marshal(attrs.AsRaw())
					require.NoError(t, err)
					return m.Name() + string(key)
				}
				switch m.Type() {
				case pmetric.MetricTypeSum:
					for _, dp := range m.Sum().DataPoints().All() {
						last[series(dp.Attributes())] = float64(dp.IntValue())
					}
				case pmetric.MetricTypeHistogram:
					for _, dp := range m.Histogram().DataPoints().All() {
						for i, n := range dp.BucketCounts().All() {
							last[fmt.Sprintf("%s bucket %d", series(dp.Attributes()), i)] = float64(n)
						}
					}
				case pmetric.MetricTypeExponentialHistogram:
					for _, dp := range m.ExponentialHistogram().DataPoints().All() {
						last[series(dp.Attributes())+" count"] = float64(dp.Count())
					}
				default:
				}
			}
		}
	}
}

// TestHorizontal sends the spans of a shop to two collectors, either getting those of other services, which spread the traces
// over three gateways with the load-balancing exporter: the gateways together count what one collector does that gets all.
func TestHorizontal(t *testing.T) {
	t.Parallel()
	gateways := []*gateway{startGateway(t), startGateway(t), startGateway(t)}
	alone := startGateway(t)
	var balancers []*sender
	var collectors []*collector
	for range 2 {
		c := startBalancer(t, gateways)
		collectors = append(collectors, c)
		balancers = append(balancers, newSender(t, c.grpc))
	}
	all := newSender(t, alone.grpc)
	sim := newShop(t, 20, shop.ScheduledFault{
		Offset: 30 * time.Second, Fault: shop.Fault{Kind: shop.ErrorBurst, Duration: time.Minute},
	})
	sides := map[string]int{}
	spans := 0
	for range int(2 * time.Minute / shop.TickLength) {
		td, _, _ := sim.Tick()
		spans += td.SpanCount()
		for i, part := range split(td, sides) {
			balancers[i].sendTraces(part)
		}
		all.sendTraces(td)
	}
	require.NotZero(t, spans)
	for _, c := range append(collectors, alone.collector) {
		c.stop()
	}
	for _, g := range gateways {
		assert.NotZero(t, g.metric("otelcol_connector_tracegraph_received_spans"), "each gateway has its share")
		g.stop()
	}
	want, got := totals(t, alone), totals(t, gateways...)
	require.NotEmpty(t, want)
	failed := 0.0
	for series, n := range want {
		if strings.HasPrefix(series, "traces_service_graph_request_failed_total") {
			failed += n
		}
	}
	assert.NotZero(t, failed)
	assert.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)))
	assert.Equal(t, want, got)
}

// split gives each service to one of two sides, so that most calls have one span on either.
func split(td ptrace.Traces, sides map[string]int) [2]ptrace.Traces {
	out := [2]ptrace.Traces{ptrace.NewTraces(), ptrace.NewTraces()}
	for _, rs := range td.ResourceSpans().All() {
		name, _ := rs.Resource().Attributes().Get("service.name")
		side, ok := sides[name.Str()]
		if !ok {
			side = len(sides) % 2
			sides[name.Str()] = side
		}
		rs.CopyTo(out[side].ResourceSpans().AppendEmpty())
	}
	return out
}
