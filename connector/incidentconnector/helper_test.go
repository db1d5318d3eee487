package incidentconnector

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector/internal/metadatatest"
	"github.com/paramedic-otel/paramedic/semconv"
)

// epoch is on every grid of the tests.
var epoch = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)

// step is the bucket of the tests.
const step = 5 * time.Second

// at returns when bucket i ends.
func at(i int) time.Time { return epoch.Add(time.Duration(i+1) * step) }

// world is a connector with both of its views.
type world struct {
	t       testing.TB
	metrics connector.Metrics
	logs    connector.Logs
	sink    *consumertest.LogsSink
	tel     *componenttest.Telemetry
}

func newWorld(t testing.TB, change func(*Config)) *world {
	sink := new(consumertest.LogsSink)
	w := newWorldTo(t, change, sink)
	w.sink = sink
	return w
}

func newWorldTo(t testing.TB, change func(*Config), next consumer.Logs) *world {
	t.Helper()
	return newWorldOn(t, componenttest.NewNopHost(), change, next)
}

func newWorldOn(t testing.TB, host component.Host, change func(*Config), next consumer.Logs) *world {
	t.Helper()
	cfg := createDefaultConfig().(*Config)
	cfg.Bucket, cfg.MaxClockSkew = step, 24*step
	if change != nil {
		change(cfg)
	}
	w := &world{t: t, tel: componenttest.NewTelemetry()}
	set := metadatatest.NewSettings(w.tel)
	factory := NewFactory()
	var err error
	w.metrics, err = factory.CreateMetricsToLogs(context.Background(), set, cfg, next)
	require.NoError(t, err)
	w.logs, err = factory.CreateLogsToLogs(context.Background(), set, cfg, next)
	require.NoError(t, err)
	require.NoError(t, w.metrics.Start(context.Background(), host))
	require.NoError(t, w.logs.Start(context.Background(), host))
	return w
}

func (w *world) stop() {
	require.NoError(w.t, w.metrics.Shutdown(context.Background()))
	require.NoError(w.t, w.logs.Shutdown(context.Background()))
}

// feed takes pmetric.Metrics and plog.Logs, in order.
func (w *world) feed(data ...any) {
	for _, d := range data {
		switch d := d.(type) {
		case pmetric.Metrics:
			d.MarkReadOnly()
			require.NoError(w.t, w.metrics.ConsumeMetrics(context.Background(), d))
		case plog.Logs:
			d.MarkReadOnly()
			require.NoError(w.t, w.logs.ConsumeLogs(context.Background(), d))
		default:
			require.Failf(w.t, "not telemetry", "%T", d)
		}
	}
}

// play feeds what make returns for the buckets from up to to.
func (w *world) play(from, to int, make func(i int) []any) {
	for i := from; i < to; i++ {
		w.feed(make(i)...)
	}
}

func decode(t testing.TB, all []plog.Logs) (events []semconv.IncidentEvent) {
	for _, ld := range all {
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					if lr.EventName() == string(semconv.EventIncidentDecision) {
						continue
					}
					event, err := semconv.DecodeIncidentEvent(lr)
					require.NoError(t, err)
					events = append(events, event)
				}
			}
		}
	}
	return events
}

func (w *world) events() []semconv.IncidentEvent { return decode(w.t, w.sink.AllLogs()) }

// last returns the newest state of each incident, in the order in which they were opened.
func (w *world) last() (incidents []semconv.Incident) {
	at := map[string]int{}
	for _, e := range w.events() {
		i, ok := at[e.Incident.ID]
		if !ok {
			i = len(incidents)
			at[e.Incident.ID] = i
			incidents = append(incidents, semconv.Incident{})
		}
		incidents[i] = e.Incident
	}
	return incidents
}

// one returns the newest state of the only incident.
func (w *world) one() *semconv.Incident {
	w.t.Helper()
	incidents := w.last()
	require.Len(w.t, incidents, 1)
	return &incidents[0]
}

// checkLives checks what holds of every sequence of events.
func checkLives(t testing.TB, events []semconv.IncidentEvent) {
	t.Helper()
	revisions := map[string]int64{}
	resolved := map[string]bool{}
	var last time.Time
	for _, e := range events {
		id := e.Incident.ID
		assert.Equal(t, revisions[id]+1, e.Incident.Revision, "revisions count up")
		again := resolved[id] && e.Incident.Reopened > 0
		assert.Equal(t, revisions[id] == 0 || again, e.Name == semconv.EventIncidentOpened, "opened comes first")
		assert.False(t, resolved[id] && !again, "resolved comes last, unless it is reopened")
		assert.Equal(t, e.Name == semconv.EventIncidentResolved, e.Incident.Status == semconv.StatusResolved)
		assert.Equal(t, e.Name == semconv.EventIncidentResolved, e.Incident.Resolution != "")
		assert.False(t, e.Time.Before(last), "events are in order")
		assert.False(t, e.Incident.StartedAt.After(e.Incident.DetectedAt))
		if e.Incident.Status == semconv.StatusResolved {
			assert.False(t, e.Incident.ResolvedAt.Before(e.Incident.StartedAt))
		}
		total := 0.0
		for _, c := range e.Incident.Causes {
			assert.NotEmpty(t, c.Evidence, "a cause has evidence")
			total += c.Confidence
		}
		assert.LessOrEqual(t, total, 1.0001)
		revisions[id], resolved[id], last = e.Incident.Revision, e.Name == semconv.EventIncidentResolved, e.Time
	}
}

// call is n calls of equal duration, in seconds, on an edge in one bucket.
type call struct {
	client, server string
	n, failed      float64
	took, waited   float64
	attrs          map[string]string
}

func (c call) put(m pcommon.Map) {
	m.PutStr(semconv.AttrGraphClient, c.client)
	m.PutStr(semconv.AttrGraphServer, c.server)
	connection := ""
	if c.client == semconv.GraphUser {
		connection = semconv.ConnectionVirtual
	}
	m.PutStr(semconv.AttrGraphConnectionType, connection)
	for k, v := range c.attrs {
		m.PutStr(k, v)
	}
}

var bounds = []float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10}

// graph returns delta service graph metrics of an interval that ends at a time.
func graph(end time.Time, calls ...call) pmetric.Metrics {
	md := pmetric.NewMetrics()
	metrics := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	sum := func(name string, value func(call) float64) {
		m := metrics.AppendEmpty()
		m.SetName(name)
		s := m.SetEmptySum()
		s.SetIsMonotonic(true)
		s.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		for _, c := range calls {
			p := s.DataPoints().AppendEmpty()
			p.SetTimestamp(pcommon.NewTimestampFromTime(end))
			p.SetIntValue(int64(value(c)))
			c.put(p.Attributes())
		}
	}
	histogram := func(name string, value func(call) float64) {
		m := metrics.AppendEmpty()
		m.SetName(name)
		m.SetUnit("s")
		h := m.SetEmptyHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		for _, c := range calls {
			if value(c) == 0 {
				continue
			}
			p := h.DataPoints().AppendEmpty()
			p.SetTimestamp(pcommon.NewTimestampFromTime(end))
			p.SetCount(uint64(c.n))
			p.SetSum(c.n * value(c))
			p.ExplicitBounds().FromRaw(bounds)
			counts := make([]uint64, len(bounds)+1)
			i := 0
			for i < len(bounds) && value(c) > bounds[i] {
				i++
			}
			counts[i] = uint64(c.n)
			p.BucketCounts().FromRaw(counts)
			c.put(p.Attributes())
		}
	}
	sum(semconv.MetricGraphRequestTotal, func(c call) float64 { return c.n })
	sum(semconv.MetricGraphRequestFailedTotal, func(c call) float64 { return c.failed })
	histogram(semconv.MetricGraphRequestServer, func(c call) float64 { return c.took })
	histogram(semconv.MetricGraphRequestClient, func(c call) float64 { return c.waited })
	return md
}

// shop is calm: users call the front, which calls orders, which call stock.
func shop() (front, orders, stock call) {
	return call{client: "user", server: "front", n: 40, took: 0.03},
		call{client: "front", server: "orders", n: 40, took: 0.015, waited: 0.016},
		call{client: "orders", server: "stock", n: 40, took: 0.004, waited: 0.0045}
}

func calm(i int) []any {
	front, orders, stock := shop()
	return []any{graph(at(i), front, orders, stock)}
}

// stockFails lets most calls to stock fail, and with them those of its callers.
func stockFails(i int) []any {
	front, orders, stock := shop()
	front.failed, orders.failed, stock.failed = 30, 30, 30
	return []any{graph(at(i), front, orders, stock)}
}

// stockSlow lets stock take long, and with it its callers.
func stockSlow(i int) []any {
	front, orders, stock := shop()
	front.took, orders.took, stock.took = 0.83, 0.815, 0.804
	orders.waited, stock.waited = 0.816, 0.8045
	return []any{graph(at(i), front, orders, stock)}
}

// score returns the anomaly points of one series.
func score(end, onset time.Time, resource map[string]string, metric string, score, deviation, value float64) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	for k, v := range resource {
		rm.Resource().Attributes().PutStr(k, v)
	}
	metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
	gauge := func(name string, v float64) pmetric.NumberDataPoint {
		m := metrics.AppendEmpty()
		m.SetName(name)
		p := m.SetEmptyGauge().DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(end))
		p.SetStartTimestamp(pcommon.NewTimestampFromTime(onset))
		p.SetDoubleValue(v)
		return p
	}
	gauge(metric, value)
	for _, m := range []struct {
		name  string
		value float64
	}{{semconv.MetricAnomalyScore, score}, {semconv.MetricAnomalyDeviation, deviation}} {
		p := gauge(m.name, m.value)
		p.Attributes().PutStr(semconv.AttrAnomalyMetric, metric)
		p.Attributes().PutStr(semconv.AttrAnomalySignal, semconv.SignalValue)
		p.Attributes().PutStr(semconv.AttrAnomalyDetector, "test")
	}
	return md
}

// record is a log record.
type record struct {
	service, body, event string
	severity             plog.SeverityNumber
	span                 int
	attrs                map[string]string
}

func logs(t time.Time, records ...record) plog.Logs {
	ld := plog.NewLogs()
	for _, r := range records {
		rl := ld.ResourceLogs().AppendEmpty()
		if r.service != "" {
			rl.Resource().Attributes().PutStr(semconv.AttrServiceName, r.service)
		}
		lr := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		lr.SetTimestamp(pcommon.NewTimestampFromTime(t))
		lr.Body().SetStr(r.body)
		lr.SetEventName(r.event)
		lr.SetSeverityNumber(r.severity)
		if r.span != 0 {
			lr.SetTraceID(pcommon.TraceID{1, byte(r.span >> 16), byte(r.span >> 8), byte(r.span)})
			lr.SetSpanID(pcommon.SpanID{1, byte(r.span >> 16), byte(r.span >> 8), byte(r.span)})
		}
		for k, v := range r.attrs {
			lr.Attributes().PutStr(k, v)
		}
	}
	return ld
}

// count returns the sum of an instrument's points that carry an attribute value; all of them when it is empty.
func (w *world) count(name, attribute string) (total int64) {
	w.t.Helper()
	m, err := w.tel.GetMetric("otelcol_connector_incident_" + name)
	if err != nil {
		return 0
	}
	return sumOf(m, attribute)
}

// refusing is a consumer that refuses while err is set.
type refusing struct {
	consumertest.LogsSink
	mu      sync.Mutex
	err     error
	refused int
}

func (r *refusing) refuse(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *refusing) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		r.refused++
		return r.err
	}
	return r.LogsSink.ConsumeLogs(ctx, ld)
}

func describe(events []semconv.IncidentEvent) (out []string) {
	for _, e := range events {
		c := e.Incident.Cause()
		out = append(out, fmt.Sprintf("%s %s %s %s %d", e.Time.Sub(epoch), e.Name, c.Entity, c.Kind, e.Incident.Revision))
	}
	return out
}
