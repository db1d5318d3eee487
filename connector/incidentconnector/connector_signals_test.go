package incidentconnector

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// said is one gauge point as the anomaly processor adds it, with the time of bucket i.
func said(i int, service, name, metric, signal, detector string, value float64) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr(semconv.AttrServiceName, service)
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(name)
	p := m.SetEmptyGauge().DataPoints().AppendEmpty()
	p.SetTimestamp(pcommon.NewTimestampFromTime(at(i).Add(-2 * time.Second)))
	p.SetDoubleValue(value)
	p.Attributes().PutStr(semconv.AttrAnomalyMetric, metric)
	p.Attributes().PutStr(semconv.AttrAnomalySignal, signal)
	p.Attributes().PutStr(semconv.AttrAnomalyDetector, detector)
	return md
}

// TestOnlyScoresAct feeds everything else that the anomaly processor adds, as alarming as it can be.
func TestOnlyScoresAct(t *testing.T) {
	for _, name := range []string{
		semconv.MetricAnomalyShadowScore, semconv.MetricAnomalyExplanation, semconv.MetricAnomalyContribution,
		semconv.MetricAnomalyInformationGain, semconv.MetricAnomalyExpected, semconv.MetricAnomalyLower, semconv.MetricAnomalyUpper,
		semconv.MetricAnomalyDeviation,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.play(0, 60, calm)
			w.play(60, 100, func(i int) []any {
				return append(calm(i), said(i, "orders", name, "app.errors", semconv.SignalRate, "baseline", 1))
			})
			assert.Empty(t, w.metrics.(*metricsView).lease.Engine().signals.held)
			w.stop()
			assert.Empty(t, w.events())
		})
	}
}

// TestEvidenceOfSignals lets a service log errors while one more signal of it is abnormal.
func TestEvidenceOfSignals(t *testing.T) {
	failing := func(i int) []any {
		records := chatter(i)
		for n := range 10 {
			records = append(records, record{service: "orders", body: fmt.Sprintf("cannot lock row %d", 100*i+n), severity: plog.SeverityNumberError})
		}
		return talk(i, records...)
	}
	healthy := func(i int) []any { return talk(i, chatter(i)...) }
	for _, test := range []struct {
		name, metric, signal, detector string
		deviation                      float64
		summary                        string
	}{
		{"missing", "container.cpu.utilization", semconv.SignalMissing, "absence", 0, "container.cpu.utilization came regularly and is missing"},
		{"entity", semconv.SignalEntity, semconv.SignalEntity, "fusion", 0, "all signals together are abnormal (fusion, score 0.999)"},
		{"detector without deviation", "jobs", semconv.SignalValue, "model", 0, "jobs (value) is abnormal (model, score 0.999)"},
		{"another detector", "jobs", semconv.SignalValue, "stl_esd", 9, "jobs (value) deviates by 9.0 times its normal spread"},
		{"ratio", "miss.ratio", semconv.SignalRatio, "baseline", 9, "miss.ratio (ratio) deviates by 9.0 times its normal spread"},
		{"quantile", "size", semconv.SignalP90, "baseline", -9, "size (p90) deviates by -9.0 times its normal spread"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, nil)
			signal := func(i int, score, deviation float64) (data []any) {
				data = append(data, said(i, "orders", semconv.MetricAnomalyScore, test.metric, test.signal, test.detector, score))
				if test.deviation != 0 {
					data = append(data, said(i, "orders", semconv.MetricAnomalyDeviation, test.metric, test.signal, test.detector, deviation))
				}
				return data
			}
			w.play(0, 200, healthy)
			w.play(200, 220, func(i int) []any { return append(healthy(i), signal(i, 0.999, test.deviation)...) })
			require.Empty(t, w.events(), "it opens nothing by itself")
			w.play(220, 240, func(i int) []any { return append(failing(i), signal(i, 0.999, test.deviation)...) })
			cause := w.one().Cause()
			assert.Equal(t, service("orders"), cause.Entity)
			assert.Equal(t, semconv.CauseErrors, cause.Kind, "what is evidence does not name the trouble")
			var summaries []string
			for _, e := range cause.Evidence {
				summaries = append(summaries, e.Summary)
			}
			assert.Contains(t, summaries, test.summary)
			w.play(240, 241, func(i int) []any { return append(healthy(i), signal(i, 0, 0)...) })
			w.play(241, 300, healthy)
			assert.Equal(t, semconv.ResolutionRecovered, w.one().Resolution)
			w.stop()
		})
	}
}

func TestKindOfSignal(t *testing.T) {
	for _, test := range []struct {
		metric, signal string
		want           semconv.CauseKind
	}{
		{"http.server.request.duration", semconv.SignalP90, semconv.CauseLatency},
		{"http.server.request.duration", semconv.SignalMean, semconv.CauseLatency},
		{"http.server.request.duration", semconv.SignalRate, semconv.CauseTraffic},
		{"http.server.error.ratio", semconv.SignalRatio, semconv.CauseErrors},
		{"k8s.container.restarts", semconv.SignalValue, semconv.CauseCrash},
		{"k8s.container.restarts", semconv.SignalMissing, semconv.CauseUnknown},
		{semconv.SignalEntity, semconv.SignalEntity, semconv.CauseUnknown},
		{"sales", semconv.SignalValue, semconv.CauseUnknown},
	} {
		assert.Equal(t, test.want, kindOf(test.metric, test.signal), "%s of %s", test.signal, test.metric)
	}
}

// TestSpreadsOfSignals asserts how much a signal says about where the cause is.
func TestSpreadsOfSignals(t *testing.T) {
	for _, test := range []struct {
		name   string
		signal signal
		felt   bool
		want   float64
	}{
		{"deviation", signal{signal: semconv.SignalValue, deviation: -7, score: 1}, false, 7},
		{"a jump of a flat series", signal{signal: semconv.SignalValue, deviation: 1e9}, false, maxDeviation},
		{"latency", signal{signal: semconv.SignalP99, kind: semconv.CauseLatency, deviation: 7}, true, 7},
		{"missing", signal{signal: semconv.SignalMissing, score: 1}, false, 0},
		{"entity", signal{signal: semconv.SignalEntity, score: 0.998650}, true, 3},
		{"certain", signal{signal: semconv.SignalEntity, score: 1}, true, maxDeviation},
		{"hostile", signal{signal: semconv.SignalEntity, score: 1e300, detector: strings.Repeat("x", 9)}, true, maxDeviation},
	} {
		assert.Equal(t, test.felt, test.signal.felt(), test.name)
		assert.InDelta(t, test.want, test.signal.spreads(), 1e-3, test.name)
	}
}
