package logpatternconnector

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/connector/logpatternconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/connector/logpatternconnector/internal/metadatatest"
	"github.com/paramedic-otel/paramedic/semconv"
)

// epoch is on every grid of the tests.
var epoch = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)

const (
	second = time.Second
	info   = plog.SeverityNumberInfo
	warn   = plog.SeverityNumberWarn
	fault  = plog.SeverityNumberError
)

// rec is a log record; at is its time since epoch.
type rec struct {
	svc      string
	at       time.Duration
	severity plog.SeverityNumber
	text     string
	body     any
	trace    uint64
	attrs    map[string]any
	event    string
}

func logs(t testing.TB, records ...rec) plog.Logs {
	ld := plog.NewLogs()
	of := map[string]plog.LogRecordSlice{}
	for _, r := range records {
		if r.svc == "" {
			r.svc = "shop"
		}
		to, ok := of[r.svc]
		if !ok {
			rl := ld.ResourceLogs().AppendEmpty()
			rl.Resource().Attributes().PutStr("service.name", r.svc)
			rl.Resource().Attributes().PutStr("k8s.pod.name", r.svc+"-1")
			to = rl.ScopeLogs().AppendEmpty().LogRecords()
			of[r.svc] = to
		}
		lr := to.AppendEmpty()
		lr.SetTimestamp(pcommon.NewTimestampFromTime(epoch.Add(r.at)))
		lr.SetSeverityNumber(r.severity)
		lr.SetEventName(r.event)
		if r.body != nil {
			require.NoError(t, lr.Body().FromRaw(r.body))
		} else if r.text != "" {
			lr.Body().SetStr(r.text)
		}
		if r.trace != 0 {
			var trace pcommon.TraceID
			binary.BigEndian.PutUint64(trace[8:], r.trace)
			lr.SetTraceID(trace)
			lr.SetSpanID(pcommon.SpanID{7: byte(r.trace)})
		}
		require.NoError(t, lr.Attributes().FromRaw(r.attrs))
	}
	return ld
}

// world is a connector with both of its views.
type world struct {
	t           testing.TB
	cfg         *Config
	logs        connector.Logs
	metrics     connector.Logs
	logSink     *consumertest.LogsSink
	metricsSink *consumertest.MetricsSink
	tel         *componenttest.Telemetry
	stopped     bool
}

// quick is a configuration that learns within a second.
func quick(c *Config) { c.Learning = LearningConfig{Period: second, Records: 1} }

func newWorld(t testing.TB, changes ...func(*Config)) *world {
	return newWorldOn(t, componenttest.NewNopHost(), changes...)
}

func newWorldOn(t testing.TB, host component.Host, changes ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, logSink: new(consumertest.LogsSink), metricsSink: new(consumertest.MetricsSink)}
	w.open(host, w.logSink, w.metricsSink, changes...)
	return w
}

func (w *world) open(host component.Host, nextLogs consumer.Logs, nextMetrics consumer.Metrics, changes ...func(*Config)) {
	w.t.Helper()
	cfg := createDefaultConfig().(*Config)
	for _, change := range changes {
		change(cfg)
	}
	w.cfg = cfg
	w.tel = componenttest.NewTelemetry()
	set := metadatatest.NewSettings(w.tel)
	set.ID = component.NewID(metadata.Type)
	f := NewFactory()
	var err error
	w.logs, err = f.CreateLogsToLogs(w.t.Context(), set, cfg, nextLogs)
	require.NoError(w.t, err)
	w.metrics, err = f.CreateLogsToMetrics(w.t.Context(), set, cfg, nextMetrics)
	require.NoError(w.t, err)
	require.NoError(w.t, w.logs.Start(w.t.Context(), host))
	require.NoError(w.t, w.metrics.Start(w.t.Context(), host))
	w.t.Cleanup(w.stop)
}

// consume hands a batch to both views, as the collector does.
func (w *world) consume(records ...rec) {
	w.t.Helper()
	w.consumeLogs(logs(w.t, records...))
}

func (w *world) consumeLogs(ld plog.Logs) {
	w.t.Helper()
	own := plog.NewLogs()
	ld.CopyTo(own)
	if !w.logs.Capabilities().MutatesData {
		own.MarkReadOnly()
	}
	require.NoError(w.t, w.logs.ConsumeLogs(w.t.Context(), own))
	ld.MarkReadOnly()
	require.NoError(w.t, w.metrics.ConsumeLogs(w.t.Context(), ld))
}

func (w *world) stop() {
	if w.stopped {
		return
	}
	w.stopped = true
	require.NoError(w.t, w.logs.Shutdown(context.Background()))
	require.NoError(w.t, w.metrics.Shutdown(context.Background()))
}

// got is a record that was sent.
type got struct {
	plog.LogRecord
	resource pcommon.Map
}

func (w *world) sent(events bool) (out []got) {
	for _, ld := range w.logSink.AllLogs() {
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					if (lr.EventName() != "") == events {
						out = append(out, got{lr, rl.Resource().Attributes()})
					}
				}
			}
		}
	}
	return out
}

func (w *world) events() []got  { return w.sent(true) }
func (w *world) records() []got { return w.sent(false) }

// told lists the events.
func (w *world) told() (out []string) {
	for _, g := range w.events() {
		out = append(out, fmt.Sprintf("%s %s %s: %s", g.str("service.name"), g.EventName(), g.SeverityText(), g.str(semconv.AttrLogRecordTemplate)))
	}
	return out
}

func (g got) str(name string) string {
	if v, ok := g.Attributes().Get(name); ok {
		return v.AsString()
	}
	if v, ok := g.resource.Get(name); ok {
		return v.AsString()
	}
	return ""
}

// points visits the points of a metric with their resources.
func (w *world) points(name string, visit func(pcommon.Map, pmetric.NumberDataPoint)) {
	for _, md := range w.metricsSink.AllMetrics() {
		for _, rm := range md.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					if m.Name() == name {
						for _, dp := range m.Sum().DataPoints().All() {
							visit(rm.Resource().Attributes(), dp)
						}
					}
				}
			}
		}
	}
}

// counts sums a metric up by service and the values of attributes.
func (w *world) counts(name string, by ...string) map[string]int64 {
	out := map[string]int64{}
	w.points(name, func(resource pcommon.Map, dp pmetric.NumberDataPoint) {
		key := ""
		if v, ok := resource.Get("service.name"); ok {
			key = v.Str()
		}
		for _, attribute := range by {
			key += "|"
			if v, ok := dp.Attributes().Get(attribute); ok {
				key += v.AsString()
			}
		}
		out[key] += dp.IntValue()
	})
	return out
}

func (w *world) total(name string) (n int64) {
	for _, v := range w.counts(name) {
		n += v
	}
	return n
}
