package incidentconnector

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
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

// TestOneWrongClockAmongMany has in each batch one item of a host whose clock is far off, as batches of many hosts have.
func TestOneWrongClockAmongMany(t *testing.T) {
	for name, wrong := range map[string]func(i int) time.Time{
		"year 2262":    func(int) time.Time { return time.Unix(0, 1<<63-1) },
		"beyond 2262":  func(int) time.Time { return time.Unix(0, -1<<63+5) },
		"a day ahead":  func(i int) time.Time { return at(i).Add(24 * time.Hour) },
		"1970":         func(int) time.Time { return time.Unix(0, 1) },
		"a day behind": func(i int) time.Time { return at(i).Add(-24 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			mixed := func(play func(int) []any) func(int) []any {
				return func(i int) []any {
					md := play(i)[0].(pmetric.Metrics)
					m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
					m.SetName("uptime")
					m.SetEmptyGauge().DataPoints().AppendEmpty().SetTimestamp(pcommon.NewTimestampFromTime(wrong(i)))
					ld := logs(at(i), record{service: "front", body: "alive"}, record{service: "front", body: "well"})
					logs(wrong(i), record{service: "front", body: "lost"}).ResourceLogs().MoveAndAppendTo(ld.ResourceLogs())
					return []any{md, ld}
				}
			}
			w.play(0, 240, mixed(calm))
			require.Empty(t, describe(w.events()))
			w.play(240, 265, mixed(stockFails))
			assert.Equal(t, service("stock"), w.one().Cause().Entity)
			assert.WithinDuration(t, at(239), w.one().StartedAt, 2*step)
			w.stop()
		})
	}
}

// TestLongNamesAreNotKept brings names of which only the beginning is used: the rest takes no memory.
func TestLongNamesAreNotKept(t *testing.T) {
	const times, long = 60, 1 << 18
	assert.Less(t, heldByNames(t, times, long)-heldByNames(t, times, maxNameBytes), float64(times*long)/2, "one long name a time")
}

// heldByNames returns the bytes that are held after many names of a length have come in every place.
func heldByNames(t *testing.T, times, length int) float64 {
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before := heap()
	w := newWorld(t, nil)
	w.feed(calm(0)...)
	feed := func(n int) {
		name := func() string { return fmt.Sprint(n, strings.Repeat("x", length)) }
		resource := map[string]string{}
		for _, key := range actionAttributes {
			resource[key] = name()
		}
		w.feed(
			running(0, resource),
			score(at(0), at(0), resource, name(), 1, 20, 1),
			logs(at(0), record{service: name(), body: name(), severity: plog.SeverityNumberError, span: n + 1}),
			logs(at(0), record{service: "front", attrs: map[string]string{attrDeploymentStatus: "succeeded", attrDeploymentName: name()}}),
			pulled(t, at(0), "events", coreEvent(0, "BackOff", name(), "Pod", name(), 1)),
			graph(at(0), call{client: name(), server: name(), n: 1, attrs: map[string]string{semconv.AttrGraphServerNamespace: name()}}),
			operations(0, pmetric.AggregationTemporalityDelta, operation{"front", "orders", name(), name(), name(), 1}),
		)
	}
	for n := range times {
		feed(n)
	}
	held := heap() - before
	w.stop()
	return held
}

// TestStrongestScoresHaveRoom has more abnormal series than there is room for symptoms.
func TestStrongestScoresHaveRoom(t *testing.T) {
	for range 5 {
		w := newWorld(t, func(cfg *Config) { cfg.Limits.Symptoms = 4 })
		w.play(0, 240, calm)
		w.play(240, 250, func(i int) []any {
			data := calm(i)
			for n := range 20 {
				resource := map[string]string{semconv.AttrServiceName: "orders"}
				data = append(data, scored(i, 240, resource, fmt.Sprintf("jvm.heap.%02d", n), float64(7+n), 0.2))
			}
			return append(data, scored(i, 240, map[string]string{semconv.AttrServiceName: "stock"}, "process.errors", 9, 3))
		})
		require.Equal(t, service("stock"), w.one().Cause().Entity)
		e := w.metrics.(*metricsView).lease.Engine()
		var held []string
		for _, s := range e.sortedSymptoms(func(*symptom) bool { return true }) {
			held = append(held, s.signal)
		}
		require.ElementsMatch(t, []string{"process.errors", "jvm.heap.19", "jvm.heap.18", "jvm.heap.17"}, held)
		w.stop()
	}
}

// TestGarbage feeds records and points with the keys that matter and nonsense below them.
func TestGarbage(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var value func(v pcommon.Value, depth int)
	value = func(v pcommon.Value, depth int) {
		switch r.IntN(9) {
		case 0:
			v.SetStr("\xff\xfe" + string(rune(r.IntN(70000))))
		case 1:
			v.SetInt(int64(r.Uint64()))
		case 2:
			v.SetDouble([]float64{math.NaN(), math.Inf(1), -1e308, 0}[r.IntN(4)])
		case 3:
			v.SetBool(true)
		case 4:
			v.SetEmptyBytes().FromRaw([]byte{0, 255})
		case 5, 6:
			if depth > 0 {
				m := v.SetEmptyMap()
				for _, k := range []string{"metadata", "spec", "status", "name", "namespace", "template", "containers", "object", "type", "involvedObject", "kind", "containerStatuses", "data", "context", "subject"} {
					if r.IntN(2) == 0 {
						value(m.PutEmpty(k), depth-1)
					}
				}
			}
		case 7:
			if depth > 0 {
				s := v.SetEmptySlice()
				for range r.IntN(4) {
					value(s.AppendEmpty(), depth-1)
				}
			}
		case 8:
			v.SetStr([]string{"Pod", "Deployment", "ReplicaSet", "DELETED", "x", ""}[r.IntN(6)])
		}
	}
	keys := append([]string{attrK8sResource, attrK8sObjectKind, attrK8sObjectName, attrK8sEventReason, attrDeploymentStatus, attrDeploymentName, attrPipelineTaskType, "severity", semconv.AttrLogRecordTemplate, semconv.AttrDeploymentID, semconv.AttrContainerImageTags}, actionAttributes...)
	for range 40 {
		w := newWorld(t, func(c *Config) { c.WarmUp = 0; c.Persistence = 1 })
		for i := range 30 {
			ld := plog.NewLogs()
			for range 5 {
				rl := ld.ResourceLogs().AppendEmpty()
				for range r.IntN(6) {
					value(rl.Resource().Attributes().PutEmpty(keys[r.IntN(len(keys))]), 1)
				}
				lr := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
				lr.SetTimestamp(pcommon.Timestamp([]uint64{0, 1, 1<<63 - 1, 1 << 63, math.MaxUint64, uint64(at(i).UnixNano())}[min(r.IntN(12), 5)]))
				lr.SetEventName([]string{"", "log.pattern.new", "deployment.changed", "alert.raised", "incident.opened", "incident.decision"}[r.IntN(6)])
				for range r.IntN(6) {
					value(lr.Attributes().PutEmpty(keys[r.IntN(len(keys))]), 1)
				}
				if r.IntN(2) == 0 {
					lr.Attributes().PutStr(attrK8sResource, []string{"events", "pods", "deployments", "configmaps", "PODS"}[r.IntN(5)])
				}
				value(lr.Body(), 6)
			}
			w.feed(ld)
			md := calm(i)[0].(pmetric.Metrics)
			for range 3 {
				rm := md.ResourceMetrics().AppendEmpty()
				for range r.IntN(4) {
					value(rm.Resource().Attributes().PutEmpty(keys[r.IntN(len(keys))]), 1)
				}
				m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
				m.SetName([]string{semconv.MetricAnomalyScore, semconv.MetricAnomalyDeviation, semconv.MetricGraphRequestTotal, semconv.MetricGraphRequestServer, semconv.MetricGraphOperationRequestTotal, semconv.MetricLogPatternCount}[r.IntN(6)])
				var p pmetric.NumberDataPoint
				switch r.IntN(4) {
				case 0:
					p = m.SetEmptyGauge().DataPoints().AppendEmpty()
				case 1:
					p = m.SetEmptySum().DataPoints().AppendEmpty()
					m.Sum().SetAggregationTemporality(pmetric.AggregationTemporality(r.IntN(3)))
				case 2:
					h := m.SetEmptyExponentialHistogram().DataPoints().AppendEmpty()
					h.SetScale(int32(r.Uint32()))
					h.Positive().SetOffset(int32(r.Uint32()))
					h.Positive().BucketCounts().FromRaw([]uint64{1, math.MaxUint64, 3})
					h.SetSum(math.NaN())
					h.Attributes().PutStr("client", "a")
					h.Attributes().PutStr("server", "b")
					continue
				case 3:
					h := m.SetEmptyHistogram().DataPoints().AppendEmpty()
					h.BucketCounts().FromRaw([]uint64{1, 2, 3, 4})
					h.ExplicitBounds().FromRaw([]float64{math.NaN()})
					h.Attributes().PutStr("client", "a")
					h.Attributes().PutStr("server", "b")
					continue
				}
				p.SetTimestamp(pcommon.NewTimestampFromTime(at(i)))
				p.SetDoubleValue([]float64{math.NaN(), 1, 1e300, -3}[r.IntN(4)])
				for _, k := range []string{"client", "server", "connection_type", "virtual_node", "operation", "error.type", "anomaly.metric", "anomaly.signal", "topic"} {
					if r.IntN(2) == 0 {
						value(p.Attributes().PutEmpty(k), 0)
					}
				}
			}
			w.feed(md)
		}
		w.stop()
	}
}

// TestDeepObjects has objects of Kubernetes that are nested without end.
func TestDeepObjects(t *testing.T) {
	w := newWorld(t, nil)
	deep := map[string]any{}
	cur := deep
	for range 20_000 {
		next := map[string]any{}
		cur["spec"] = next
		cur = next
	}
	obj := deployment("stock", "x", func(d map[string]any) { inTemplate(d)["spec"].(map[string]any)["deep"] = deep })
	w.feed(pulled(t, at(0), "deployments", obj))
	w.feed(pulled(t, at(0), "configmaps", map[string]any{"metadata": map[string]any{"name": "c"}, "data": deep}))
	w.stop()
}
