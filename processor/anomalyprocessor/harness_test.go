package anomalyprocessor

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/metadata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// begin is when the recordings of these tests begin.
var begin = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// harness feeds a processor and keeps what it says.
type harness struct {
	t         *testing.T
	cfg       *Config
	sink      *consumertest.MetricsSink
	telemetry *componenttest.Telemetry
	processor processor.Metrics
	scores    []score
}

// score is one anomaly.score point, with what came beside it.
type score struct {
	metric, signal, detector string
	attributes               map[string]any
	at, onset                time.Time
	value                    float64
	// beside holds the other anomaly metrics of the same point by name.
	beside map[string]float64
}

func newHarness(t *testing.T, change ...func(*Config)) *harness {
	t.Helper()
	h := &harness{t: t, cfg: createDefaultConfig().(*Config), sink: new(consumertest.MetricsSink), telemetry: componenttest.NewTelemetry()}
	for _, f := range change {
		f(h.cfg)
	}
	require.NoError(t, h.cfg.Validate())
	p, err := NewFactory().CreateMetrics(t.Context(), h.settings(), h.cfg, h.sink)
	require.NoError(t, err)
	require.NoError(t, p.Start(t.Context(), componenttest.NewNopHost()))
	h.processor = p
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, p.Shutdown(ctx))
		require.NoError(t, h.telemetry.Shutdown(ctx))
	})
	return h
}

func (h *harness) settings() processor.Settings {
	return processor.Settings{ID: component.NewID(metadata.Type), TelemetrySettings: h.telemetry.NewTelemetrySettings(), BuildInfo: component.NewDefaultBuildInfo()}
}

// feed sends metrics through the processor, checks that they came out unchanged and first, and returns the new scores.
func (h *harness) feed(md pmetric.Metrics) []score {
	h.t.Helper()
	before := pmetric.NewMetrics()
	md.CopyTo(before)
	h.sink.Reset()
	require.NoError(h.t, h.processor.ConsumeMetrics(h.t.Context(), md))
	require.Len(h.t, h.sink.AllMetrics(), 1)
	out := h.sink.AllMetrics()[0]
	got := split(h.t, out)
	require.Equal(h.t, encode(h.t, before), encode(h.t, out), "the input must pass unchanged, before all scores")
	h.scores = append(h.scores, got...)
	return got
}

func encode(t *testing.T, md pmetric.Metrics) []byte {
	t.Helper()
	data, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
	require.NoError(t, err)
	return data
}

// split takes the scores out of what a processor sent.
func split(t *testing.T, md pmetric.Metrics) []score {
	t.Helper()
	var all []score
	for _, rm := range md.ResourceMetrics().All() {
		seen, ours := 0, rm.ScopeMetrics().Len()-1
		rm.ScopeMetrics().RemoveIf(func(sm pmetric.ScopeMetrics) bool {
			if seen++; seen-1 != ours || sm.Scope().Name() != metadata.ScopeName {
				return false
			}
			all = append(all, scoresOf(t, sm)...)
			return true
		})
	}
	return all
}

func scoresOf(t *testing.T, sm pmetric.ScopeMetrics) []score {
	t.Helper()
	var all []score
	for i, m := range sm.Metrics().All() {
		require.Equal(t, i == 0, m.Name() == semconv.MetricAnomalyScore)
		for j, p := range m.Gauge().DataPoints().All() {
			if i > 0 {
				all[j].beside[m.Name()] = p.DoubleValue()
				continue
			}
			s := score{
				attributes: p.Attributes().AsRaw(), at: p.Timestamp().AsTime(), onset: p.StartTimestamp().AsTime(),
				value: p.DoubleValue(), beside: map[string]float64{},
			}
			s.metric, s.signal, s.detector = take(s.attributes, semconv.AttrAnomalyMetric), take(s.attributes, semconv.AttrAnomalySignal), take(s.attributes, semconv.AttrAnomalyDetector)
			all = append(all, s)
		}
	}
	return all
}

func take(m map[string]any, key string) string {
	s, _ := m[key].(string)
	delete(m, key)
	return s
}

// metrics makes metrics with one resource and one metric.
func metrics(name, unit string) (pmetric.Metrics, pmetric.Metric) {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr(semconv.AttrServiceName, "cart")
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName("library")
	m := sm.Metrics().AppendEmpty()
	m.SetName(name)
	m.SetUnit(unit)
	return md, m
}

func gauge(name, unit string, at time.Time, values ...float64) pmetric.Metrics {
	md, m := metrics(name, unit)
	points := m.SetEmptyGauge().DataPoints()
	for i, v := range values {
		p := points.AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(at))
		p.SetDoubleValue(v)
		p.Attributes().PutInt("i", int64(i))
	}
	return md
}

// at returns the time of the n-th point at an interval.
func at(n int, interval time.Duration) time.Time { return begin.Add(time.Duration(n) * interval) }

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// counter returns the value of one of our counters, for one reason if it has that attribute.
func (h *harness) counter(name, reason string) int64 {
	h.t.Helper()
	m, err := h.telemetry.GetMetric(name)
	if err != nil {
		return 0
	}
	total := int64(0)
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		if v, ok := p.Attributes.Value("reason"); !ok || v.AsString() == reason {
			total += p.Value
		}
	}
	return total
}

func (h *harness) refused(reason string) int64 {
	return h.counter("otelcol_processor_anomaly_refused_datapoints", reason)
}
