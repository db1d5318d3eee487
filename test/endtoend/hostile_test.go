package endtoend

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// patient is a collector that has learnt what a shop is like. Whatever is then done to it, it must still close the loop.
type patient struct {
	*collector
	hooks *receiver
	send  *sender
	sim   *shop.Simulation
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	p := &patient{hooks: newReceiver(t, ""), sim: newShop(t, rate)}
	p.collector = start(t, setup{webhook: p.hooks.url()})
	p.send = newSender(t, p.grpc)
	p.send.run(p.sim, learn, nil)
	return p
}

// survives expects that nothing was taken for an incident, and that a fault is then found and cured.
func (p *patient) survives(t *testing.T) {
	t.Helper()
	p.running()
	require.Empty(t, p.hooks.deliveries(), "incidents before the fault")
	closeLoop(t, p.collector, p.hooks, p.send, p.sim, shop.ErrorBurst)
	p.stop()
}

const refusedPoints = "otelcol_processor_anomaly_refused_datapoints"

func TestBrokenFile(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	clean, dirty := filepath.Join(t.TempDir(), "clean.jsonl"), filepath.Join(t.TempDir(), "dirty.jsonl")
	record(t, clean, p.sim, 30*time.Second)
	text, err := os.ReadFile(clean)
	require.NoError(t, err)

	broken := []string{
		`{"resourceSpans":[{`, `not JSON`, `{"resourceMetrics":{"a":1}}`, "\x00\xff\xfe", `[]`, `"resourceLogs"`,
		`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"soon"}]}]}]}`,
		`{"resourceLogs":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
	}
	// Unknown fields are those of a newer OTLP: what is known counts. Of the points only 20 can be scored.
	const odd = 4
	unknown := []string{
		`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"room.temperature","gauge":{"dataPoints":[` +
			`{"timeUnixNano":"1772445780000000000","asDouble":"NaN"},{"timeUnixNano":"1772445780000000000","asDouble":"-Infinity"},` +
			`{"timeUnixNano":"1772445780000000000","asDouble":20},{"timeUnixNano":"1772445779000000000","asDouble":20}]}}]}]}]}`,
		`{"resourceLogs":[{"resource":{"attributes":[],"colour":"blue"},"scopeLogs":[{"logRecords":[{"timeUnixNano":"1772445780000000000","body":{"stringValue":"hello"},"mood":{"good":[true]}}],"x":1}]}],"extra":null}`,
		`{"resourceProfiles":[{"a":1}]}`,
	}
	var out bytes.Buffer
	lines := bytes.SplitAfter(text, []byte("\n"))
	for i, line := range lines {
		if i < len(broken) {
			out.WriteString(broken[i] + "\n")
		}
		if i < len(unknown) {
			out.WriteString(unknown[i] + "\n")
		}
		out.Write(line)
	}
	require.Greater(t, len(lines), len(broken))
	require.NoError(t, os.WriteFile(dirty, out.Bytes(), 0o600))

	spans := p.metric("otelcol_receiver_accepted_spans")
	points := p.metric("otelcol_receiver_accepted_metric_points")
	records := p.metric("otelcol_receiver_accepted_log_records")
	want := runTool(t, "replay", "--dry-run", clean)
	require.Zero(t, want.exit, want.stderr)
	r := runTool(t, "replay", "--endpoint", p.grpc, "--speed", "max", dirty)
	assert.Equal(t, 1, r.exit, "exit status says that lines were broken")
	// Profiles are no signal that is known.
	assert.Contains(t, r.stdout, fmt.Sprintf(" %d broken", len(broken)+1))
	assert.Contains(t, r.stdout, " 0 too long")
	total := func(stdout, item string) (n float64) {
		for line := range strings.Lines(stdout) {
			if rest, ok := strings.CutPrefix(line, item); ok {
				require.NotEmpty(t, strings.Fields(rest))
				n = number(t, strings.Fields(rest)[0])
			}
		}
		return n
	}
	assert.Equal(t, total(want.stdout, "spans"), p.metric("otelcol_receiver_accepted_spans")-spans)
	assert.Equal(t, total(want.stdout, "data points")+odd, p.metric("otelcol_receiver_accepted_metric_points")-points)
	assert.Equal(t, total(want.stdout, "log records")+1, p.metric("otelcol_receiver_accepted_log_records")-records)
	assert.Equal(t, 2.0, p.metric(refusedPoints, `reason="not_a_number"`))
	assert.Equal(t, 1.0, p.metric(refusedPoints, `reason="out_of_order"`))
	p.survives(t)
}

func TestBrokenRequests(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, err := io.CopyN(z, zeros{}, 1<<26)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	p := newPatient(t)

	const json = "application/json"
	before := p.metric("otelcol_receiver_accepted_log_records")
	for _, test := range []struct {
		name, path, contentType, encoding, body string
		want                                    int
	}{
		{"unknown fields", "/v1/logs", json, "", `{"resourceLogs":[{"new":{"a":[1]},"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"},"new":1}]}]}],"new":"1"}`, 200},
		{"nothing", "/v1/traces", json, "", `{}`, 200},
		{"broken JSON", "/v1/traces", json, "", `{"resourceSpans":[{`, 400},
		{"wrong type", "/v1/metrics", json, "", `{"resourceMetrics":[{"scopeMetrics":7}]}`, 400},
		{"deep nesting", "/v1/logs", json, "", `{"resourceLogs":` + strings.Repeat("[", 200_000), 400},
		{"deep attribute", "/v1/logs", json, "", deepAttribute(20_000), 200},
		{"broken protobuf", "/v1/traces", "application/x-protobuf", "", "\x0a\xff\xff\xff\xff\x0f", 400},
		{"no OTLP", "/v1/traces", "text/html", "", "<html>", 415},
		{"gzip bomb", "/v1/metrics", json, "gzip", bomb.String(), 400},
		{"broken gzip", "/v1/metrics", json, "gzip", "no gzip", 400},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.http+test.path, strings.NewReader(test.body))
		require.NoError(t, err)
		req.Header.Set("Content-Type", test.contentType)
		if test.encoding != "" {
			req.Header.Set("Content-Encoding", test.encoding)
		}
		resp, err := client.Do(req)
		require.NoError(t, err, test.name)
		answer, err := io.ReadAll(resp.Body)
		require.NoError(t, err, test.name)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, test.want, resp.StatusCode, "%s: %.200s", test.name, answer)
		p.running()
	}
	assert.Equal(t, 2.0, p.metric("otelcol_receiver_accepted_log_records")-before)
	p.survives(t)
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func deepAttribute(depth int) string {
	return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":` + strings.Repeat(`{"arrayValue":{"values":[`, depth) +
		`{"intValue":"1"}` + strings.Repeat(`]}}`, depth) + `}]}]}]}`
}

func TestNotANumber(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	nan, inf := math.NaN(), math.Inf(1)
	now := p.sim.Now()
	for i, values := range [][]float64{{nan}, {inf}, {-inf}, {nan, inf}, {-inf, nan}} {
		md, points := gauge("checkout", "room.temperature")
		for k, v := range values {
			point(points, now.Add(time.Duration(i)*time.Second), v).Attributes().PutInt("sensor", int64(k))
		}
		p.send.sendMetrics(md)
	}
	assert.Equal(t, 7.0, p.metric(refusedPoints, `reason="not_a_number"`))

	// The same in metrics of the service graph, as another producer might send them.
	const invalid = "otelcol_connector_incident_refused_items"
	require.Zero(t, p.metric(invalid, `reason="invalid"`))
	md := pmetric.NewMetrics()
	metrics := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	for i, v := range []float64{nan, inf, -inf, -1} {
		m := metrics.AppendEmpty()
		m.SetName(semconv.MetricGraphRequestTotal)
		m.SetEmptySum().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		m.Sum().SetIsMonotonic(true)
		edge(point(m.Sum().DataPoints(), now.Add(time.Duration(i)*time.Millisecond), v).Attributes())
	}
	for _, v := range []float64{nan, inf, -inf} {
		m := metrics.AppendEmpty()
		m.SetName(semconv.MetricGraphRequestServer)
		m.SetUnit("s")
		m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		h := m.Histogram().DataPoints().AppendEmpty()
		h.SetTimestamp(pcommon.NewTimestampFromTime(now))
		h.SetCount(1)
		h.SetSum(v)
		h.BucketCounts().FromRaw([]uint64{0, 1})
		h.ExplicitBounds().FromRaw([]float64{nan})
		edge(h.Attributes())
	}
	p.send.sendMetrics(md)
	assert.Equal(t, 7.0, p.metric(invalid, `reason="invalid"`))
	p.survives(t)
}

// edge makes the attributes those of calls from gateway to cart.
func edge(attributes pcommon.Map) {
	attributes.PutStr(semconv.AttrGraphClient, "gateway")
	attributes.PutStr(semconv.AttrGraphServer, "cart")
	attributes.PutStr("client_service.namespace", "shop")
	attributes.PutStr("server_service.namespace", "shop")
}

func TestOutOfOrder(t *testing.T) {
	t.Parallel()
	p := newPatient(t)
	base := p.metric(refusedPoints)
	now := p.sim.Now()
	// In seconds: three points go back, two stand still, one is of a time before time, one of the far future.
	for _, at := range []int{-50, -40, -45, -40, -30, -60, -30, -20, -25, -10} {
		md, points := gauge("checkout", "room.temperature")
		point(points, now.Add(time.Duration(at)*time.Second), 20)
		p.send.sendMetrics(md)
	}
	md, points := gauge("checkout", "room.temperature")
	point(points, time.Unix(0, 0), 20)
	point(points, time.Now().Add(24*365*time.Hour), 20)
	p.send.sendMetrics(md)
	assert.Equal(t, 3.0, p.metric(refusedPoints, `reason="out_of_order"`))
	assert.Equal(t, 2.0, p.metric(refusedPoints, `reason="duplicate"`))
	assert.Equal(t, 1.0, p.metric(refusedPoints, `reason="no_timestamp"`))
	assert.Equal(t, 1.0, p.metric(refusedPoints, `reason="future"`))

	// A counter that goes back without saying so.
	resets := p.metric(refusedPoints, `reason="reset"`)
	for i, v := range []float64{10, 20, 5, 15, 3} {
		md := pmetric.NewMetrics()
		m := resource(md, "checkout").ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName("doors.opened")
		m.SetEmptySum().SetIsMonotonic(true)
		m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		point(m.Sum().DataPoints(), now.Add(time.Duration(i)*time.Second), v).SetStartTimestamp(pcommon.NewTimestampFromTime(begin))
		p.send.sendMetrics(md)
	}
	assert.Equal(t, 2.0, p.metric(refusedPoints, `reason="reset"`)-resets)
	assert.Equal(t, 7.0+3, p.metric(refusedPoints)-base, "every point that was not scored is counted, the counter's first one too")
	assert.Equal(t, p.metric("otelcol_processor_anomaly_seen_datapoints"),
		p.metric("otelcol_processor_anomaly_scored_datapoints")+p.metric(refusedPoints))
	p.survives(t)
}

// resource adds the resource of a service of the shop.
func resource(md pmetric.Metrics, service string) pmetric.ResourceMetrics {
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr(semconv.AttrServiceName, service)
	rm.Resource().Attributes().PutStr(semconv.AttrServiceNamespace, "shop")
	return rm
}

// gauge returns an empty gauge of a service.
func gauge(service, name string) (pmetric.Metrics, pmetric.NumberDataPointSlice) {
	md := pmetric.NewMetrics()
	m := resource(md, service).ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(name)
	return md, m.SetEmptyGauge().DataPoints()
}

func point(points pmetric.NumberDataPointSlice, at time.Time, value float64) pmetric.NumberDataPoint {
	p := points.AppendEmpty()
	p.SetTimestamp(pcommon.NewTimestampFromTime(at))
	p.SetDoubleValue(value)
	return p
}
