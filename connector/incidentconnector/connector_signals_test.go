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
	t.Parallel()
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
		metric, unit, signal string
		want                 semconv.CauseKind
		failure, felt        bool
	}{
		{"http.server.request.duration", "s", semconv.SignalP90, semconv.CauseLatency, false, true},
		{"http.server.request.duration", "s", semconv.SignalMean, semconv.CauseLatency, false, true},
		{"http.server.request.duration", "s", semconv.SignalRate, semconv.CauseTraffic, false, true},
		{"http.server.error.ratio", "1", semconv.SignalRatio, semconv.CauseErrors, true, false},
		{"k8s.container.restarts", "{restart}", semconv.SignalValue, semconv.CauseCrash, true, false},
		{"k8s.container.restarts", "{restart}", semconv.SignalMissing, semconv.CauseUnknown, false, false},
		{"k8s.deployment.available", "{pod}", semconv.SignalValue, semconv.CauseCrash, false, false},
		{"k8s.statefulset.ready_pods", "{pod}", semconv.SignalValue, semconv.CauseCrash, false, false},
		{"container_oom_events_total", "", semconv.SignalRate, semconv.CauseCrash, true, false},
		{"room.temperature", "Cel", semconv.SignalValue, semconv.CauseUnknown, false, false},
		{"jvm.gc.duration", "s", semconv.SignalP99, semconv.CauseMemory, false, false},
		{"go_gc_duration_seconds", "s", semconv.SignalMean, semconv.CauseMemory, false, false},
		{"container.cpu.throttling_data.throttled_periods", "{period}", semconv.SignalRate, semconv.CauseCPU, false, false},
		{"system.disk.operation_time", "s", semconv.SignalRate, semconv.CauseDisk, false, false},
		{"system.filesystem.utilization", "1", semconv.SignalValue, semconv.CauseDisk, false, false},
		{"k8s.volume.inodes.free", "", semconv.SignalValue, semconv.CauseDisk, false, false},
		{"process.open_file_descriptors", "{count}", semconv.SignalValue, semconv.CauseSaturation, false, false},
		{"process_open_fds", "", semconv.SignalValue, semconv.CauseSaturation, false, false},
		{"jvm.thread.count", "{thread}", semconv.SignalValue, semconv.CauseSaturation, false, false},
		{"db.client.connection.count", "{connection}", semconv.SignalValue, semconv.CauseSaturation, false, true},
		{"hikaricp_pool_active", "", semconv.SignalValue, semconv.CauseSaturation, false, true},
		{"rabbitmq.queue.depth", "{message}", semconv.SignalValue, semconv.CauseSaturation, false, true},
		{"kafka.consumer_group.lag_sum", "1", semconv.SignalValue, semconv.CauseSaturation, false, true},
		{"feature.flags", "", semconv.SignalValue, semconv.CauseUnknown, false, false},
		{"k8s.pod.network.errors", "{error}", semconv.SignalRate, semconv.CauseNetwork, true, false},
		{"system.network.dropped", "{packet}", semconv.SignalRate, semconv.CauseNetwork, true, false},
		{"system.network.io", "By", semconv.SignalRate, semconv.CauseNetwork, false, false},
		{"system.network.tcp.retransmits", "", semconv.SignalRate, semconv.CauseNetwork, false, false},
		{"postgresql.backends", "1", semconv.SignalValue, semconv.CauseUnknown, false, false},
		{"render", "ms", semconv.SignalP50, semconv.CauseLatency, false, true},
		{"checkouts", "{failure}", semconv.SignalRate, semconv.CauseErrors, true, false},
		{semconv.SignalEntity, "", semconv.SignalEntity, semconv.CauseUnknown, false, true},
		{"sales", "{item}", semconv.SignalValue, semconv.CauseUnknown, false, false},
	} {
		got := kindOf(test.metric, func() string { return test.unit }, test.signal)
		assert.Equal(t, test.want, got.kind, "%s of %s", test.signal, test.metric)
		assert.Equal(t, test.failure, got.failure, "%s of %s", test.signal, test.metric)
		assert.Equal(t, test.felt, got.felt, "%s of %s", test.signal, test.metric)
	}
}

// TestSpreadsOfSignals asserts how much a signal says about where the cause is.
func TestSpreadsOfSignals(t *testing.T) {
	for _, test := range []struct {
		name   string
		signal signal
		want   float64
	}{
		{"deviation", signal{signal: semconv.SignalValue, deviation: -7, score: 1}, 7},
		{"a jump of a flat series", signal{signal: semconv.SignalValue, deviation: 1e9}, maxDeviation},
		{"latency", signal{signal: semconv.SignalP99, rule: kindRule{kind: semconv.CauseLatency, felt: true}, deviation: 7}, 7},
		{"missing", signal{signal: semconv.SignalMissing, score: 1}, 0},
		{"entity", signal{signal: semconv.SignalEntity, score: 0.998650}, 3},
		{"certain", signal{signal: semconv.SignalEntity, score: 1}, maxDeviation},
		{"hostile", signal{signal: semconv.SignalEntity, score: 1e300, detector: strings.Repeat("x", 9)}, maxDeviation},
	} {
		assert.InDelta(t, test.want, test.signal.spreads(), 1e-3, test.name)
	}
}
