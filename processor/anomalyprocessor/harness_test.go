package anomalyprocessor

import (
	"context"
	"fmt"
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
	// added are the scores, and what else was said of a point.
	added []score
}

// score is one anomaly.score point, with what came beside it.
type score struct {
	metric, signal, detector string
	attributes, resource     map[string]any
	// reason is that of its explanation.
	reason string
	// scored says that it is a point of anomaly.score, not only of something else that was added.
	scored    bool
	at, onset time.Time
	value     float64
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
	all := split(h.t, out, before.ResourceMetrics().Len())
	require.Equal(h.t, encode(h.t, before), encode(h.t, out), "the input must pass unchanged, before all scores")
	var got []score
	for _, s := range all {
		if s.scored {
			got = append(got, s)
		}
	}
	h.scores = append(h.scores, got...)
	h.added = append(h.added, all...)
	return got
}

func encode(t *testing.T, md pmetric.Metrics) []byte {
	t.Helper()
	data, err := (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
	require.NoError(t, err)
	return data
}

// split takes what was added out of what a processor sent for so many resources, and returns the points of anomaly.score.
func split(t *testing.T, md pmetric.Metrics, resources int) []score {
	t.Helper()
	var all []score
	n := 0
	md.ResourceMetrics().RemoveIf(func(rm pmetric.ResourceMetrics) bool {
		n++
		seen, ours := 0, rm.ScopeMetrics().Len()-1
		rm.ScopeMetrics().RemoveIf(func(sm pmetric.ScopeMetrics) bool {
			if seen++; seen-1 != ours || sm.Scope().Name() != metadata.ScopeName {
				return false
			}
			all = append(all, scoresOf(t, rm.Resource(), sm)...)
			return true
		})
		return n > resources
	})
	return all
}

// scoresOf reads what was added: a score for each point of anomaly.score, and for each other point that has none.
func scoresOf(t *testing.T, resource pcommon.Resource, sm pmetric.ScopeMetrics) []score {
	t.Helper()
	var all []score
	index := map[string]int{}
	for _, m := range sm.Metrics().All() {
		for _, p := range m.Gauge().DataPoints().All() {
			s := score{
				attributes: p.Attributes().AsRaw(), at: p.Timestamp().AsTime(), onset: p.StartTimestamp().AsTime(),
				beside: map[string]float64{}, resource: resource.Attributes().AsRaw(),
			}
			name := m.Name() + take(s.attributes, semconv.AttrAnomalyStatistic)
			s.reason = take(s.attributes, semconv.AttrAnomalyReason)
			s.metric, s.signal, s.detector = take(s.attributes, semconv.AttrAnomalyMetric), take(s.attributes, semconv.AttrAnomalySignal), take(s.attributes, semconv.AttrAnomalyDetector)
			key := fmt.Sprint(s.metric, s.signal, s.detector, s.attributes, s.at)
			i, known := index[key]
			if !known {
				i = len(all)
				index[key] = i
				all = append(all, s)
			}
			if s.reason != "" {
				all[i].reason = s.reason
			}
			if m.Name() == semconv.MetricAnomalyScore {
				all[i].scored, all[i].value, all[i].onset = true, p.DoubleValue(), s.onset
				continue
			}
			all[i].beside[name] = p.DoubleValue()
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

// counter returns the value of one of our counters, for one value of its attribute if it has one.
func (h *harness) counter(name, reason string) int64 {
	h.t.Helper()
	m, err := h.telemetry.GetMetric(name)
	if err != nil {
		return 0
	}
	total := int64(0)
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		if it := p.Attributes.Iter(); !it.Next() || it.Attribute().Value.AsString() == reason {
			total += p.Value
		}
	}
	return total
}

func (h *harness) refused(reason string) int64 {
	return h.counter("otelcol_processor_anomaly_refused_datapoints", reason)
}
