package incidentconnector

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector/internal/metadatatest"
	"github.com/paramedic-otel/paramedic/semconv"
)

// measured is a connector with all four views, which are all handed the same data, as the collector does.
type measured struct {
	*world
	toMetrics [2]connector.Metrics
	toLogs    [2]connector.Logs
	out       *consumertest.MetricsSink
}

func newMeasured(t *testing.T, change func(*Config), next consumer.Metrics) *measured {
	cfg := createDefaultConfig().(*Config)
	if change != nil {
		change(cfg)
	}
	w := &world{t: t, tel: componenttest.NewTelemetry(), sink: new(consumertest.LogsSink)}
	m := &measured{world: w, out: new(consumertest.MetricsSink)}
	if next == nil {
		next = m.out
	}
	set := metadatatest.NewSettings(w.tel)
	factory := NewFactory()
	var err error
	w.metrics, err = factory.CreateMetricsToLogs(t.Context(), set, cfg, w.sink)
	require.NoError(t, err)
	w.logs, err = factory.CreateLogsToLogs(t.Context(), set, cfg, w.sink)
	require.NoError(t, err)
	toMetrics, err := factory.CreateMetricsToMetrics(t.Context(), set, cfg, next)
	require.NoError(t, err)
	toLogs, err := factory.CreateLogsToMetrics(t.Context(), set, cfg, next)
	require.NoError(t, err)
	m.toMetrics, m.toLogs = [2]connector.Metrics{toMetrics, w.metrics}, [2]connector.Logs{toLogs, w.logs}
	for i := range 2 {
		require.NoError(t, m.toMetrics[i].Start(t.Context(), componenttest.NewNopHost()))
		require.NoError(t, m.toLogs[i].Start(t.Context(), componenttest.NewNopHost()))
	}
	return m
}

func (m *measured) play(from, to int, make func(i int) []any) {
	for i := from; i < to; i++ {
		for _, d := range make(i) {
			for v := range 2 {
				switch d := d.(type) {
				case pmetric.Metrics:
					require.NoError(m.t, m.toMetrics[v].ConsumeMetrics(m.t.Context(), d))
				case plog.Logs:
					require.NoError(m.t, m.toLogs[v].ConsumeLogs(m.t.Context(), d))
				}
			}
		}
	}
}

func (m *measured) stop() {
	for i := range 2 {
		require.NoError(m.t, m.toMetrics[i].Shutdown(m.t.Context()))
		require.NoError(m.t, m.toLogs[i].Shutdown(m.t.Context()))
	}
}

// newest returns the last metric of a name, of a service where one is given.
func (m *measured) newest(name, service string) (found pmetric.Metric) {
	for _, md := range m.out.AllMetrics() {
		for _, rm := range md.ResourceMetrics().All() {
			if str(rm.Resource().Attributes(), semconv.AttrServiceName) != service {
				continue
			}
			for _, metric := range rm.ScopeMetrics().At(0).Metrics().All() {
				if metric.Name() == name {
					found = metric
				}
			}
		}
	}
	return found
}

func TestIncidentMetrics(t *testing.T) {
	m := newMeasured(t, nil, nil)
	m.play(0, 240, whole)
	m.play(240, 262, whole)
	assert.Equal(t, int64(262*11), m.count("received_items", "metrics"), "what two views are handed counts once")
	assert.Equal(t, int64(262*2), m.count("received_items", "logs"))
	active := m.newest(semconv.MetricIncidentActive, "").Gauge().DataPoints()
	require.Equal(t, 3, active.Len())
	for _, p := range active.All() {
		want := int64(0)
		if str(p.Attributes(), semconv.AttrIncidentSeverity) == string(semconv.SeverityCritical) {
			want = 1
		}
		assert.Equal(t, want, p.IntValue())
	}
	available := func(service string) float64 {
		return m.newest(semconv.MetricServiceAvailability, service).Gauge().DataPoints().At(0).DoubleValue()
	}
	assert.InDelta(t, 0.25, available("front"), 1e-9, "30 of 40 fail")
	assert.InDelta(t, 0.25, available("stock"), 1e-9)

	m.play(262, 340, whole)
	assert.InDelta(t, 1, available("front"), 1e-9)
	require.Len(t, m.last(), 1)
	incident := m.last()[0]
	for name, want := range map[string]time.Duration{
		semconv.MetricIncidentTimeToDetect:  incident.DetectedAt.Sub(incident.StartedAt),
		semconv.MetricIncidentTimeToResolve: incident.ResolvedAt.Sub(incident.StartedAt),
	} {
		h := m.newest(name, "").Histogram()
		assert.Equal(t, pmetric.AggregationTemporalityCumulative, h.AggregationTemporality())
		p := h.DataPoints().At(0)
		assert.Equal(t, uint64(1), p.Count(), name)
		assert.InDelta(t, want.Seconds(), p.Sum(), 1e-9, name)
		assert.Equal(t, p.ExplicitBounds().Len()+1, p.BucketCounts().Len())
	}
	assert.Equal(t, uint64(1), m.newest(semconv.MetricIncidentTimeToDiagnose, "").Histogram().DataPoints().At(0).Count())

	// What comes back in says nothing, not even what time it is.
	w := newWorld(t, nil)
	for _, md := range m.out.AllMetrics() {
		w.feed(md)
	}
	engine := w.metrics.(*metricsView).lease.Engine()
	assert.False(t, engine.clock.started())
	assert.Empty(t, engine.directory.names)
	w.stop()
	m.stop()
	require.NoError(t, m.toMetrics[0].Shutdown(t.Context()), "twice")
}

func TestMetricsInterval(t *testing.T) {
	batches := func(interval time.Duration) int {
		m := newMeasured(t, func(c *Config) { c.MetricsInterval = interval }, nil)
		m.play(0, 60, calm)
		m.stop()
		return len(m.out.AllMetrics())
	}
	assert.InDelta(t, 20, batches(15*time.Second), 3, "five minutes")
	assert.InDelta(t, 5, batches(time.Minute), 1)
}

// TestViewsTakeOver shuts the view down that takes what comes in: the other one goes on.
func TestViewsTakeOver(t *testing.T) {
	m := newMeasured(t, nil, nil)
	m.play(0, 10, calm)
	require.NoError(t, m.toMetrics[0].Shutdown(t.Context()))
	require.NoError(t, m.toMetrics[1].ConsumeMetrics(t.Context(), calm(10)[0].(pmetric.Metrics)))
	assert.Equal(t, int64(11*11), m.count("received_items", "metrics"))
	m.stop()
}

func TestMetricsRefused(t *testing.T) {
	m := newMeasured(t, nil, consumertest.NewErr(errors.New("busy")))
	m.play(0, 60, calm)
	assert.Positive(t, m.count("dropped_points", ""))
	m.stop()
}

func TestTimes(t *testing.T) {
	var l times
	for _, d := range []time.Duration{-time.Second, time.Second, 1500 * time.Millisecond, 48 * time.Hour} {
		l.record(d)
	}
	assert.Equal(t, uint64(2), l.counts[0], "up to and with a second")
	assert.Equal(t, uint64(1), l.counts[1])
	assert.Equal(t, uint64(1), l.counts[len(l.counts)-1])
	assert.Len(t, l.counts, len(timeBounds)+1)
	assert.InDelta(t, 0, l.least, 0)
	assert.InDelta(t, 48*3600, l.most, 0)
}
