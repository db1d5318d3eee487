package incidentconnector

import (
	"fmt"
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

// TestLongNamesAreNotKept brings names of a megabyte, of which only the beginning is used.
func TestLongNamesAreNotKept(t *testing.T) {
	w := newWorld(t, nil)
	w.feed(calm(0)...)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	feed := func(n int) {
		long := fmt.Sprint(n, strings.Repeat("x", 1<<20))
		resource := map[string]string{}
		for _, key := range actionAttributes {
			resource[key] = strings.Clone(long)
		}
		w.feed(
			running(0, resource),
			score(at(0), at(0), resource, strings.Clone(long), 1, 20, 1),
			logs(at(0), record{service: strings.Clone(long), body: strings.Clone(long), severity: plog.SeverityNumberError, span: n + 1}),
			logs(at(0), record{service: "front", attrs: map[string]string{attrDeploymentStatus: "succeeded", attrDeploymentName: strings.Clone(long)}}),
			pulled(t, at(0), "events", coreEvent(0, "BackOff", strings.Clone(long), "Pod", strings.Clone(long), 1)),
			graph(at(0), call{client: strings.Clone(long), server: strings.Clone(long), n: 1, attrs: map[string]string{semconv.AttrGraphServerNamespace: strings.Clone(long)}}),
		)
	}
	for n := range 60 {
		feed(n)
	}
	assert.Less(t, float64(heap())-float64(before), 50e6, "60 times a dozen megabytes came in")
	w.stop()
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
