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

func traceOf(i, n int) pcommon.TraceID { return pcommon.TraceID{1, byte(i >> 8), byte(i), byte(n)} }

// withExemplars adds to the graph of a bucket an exemplar for each edge and metric of durations, which took as long as seconds
// says, and one for each failed call.
func withExemplars(i int, data []any, seconds float64) []any {
	md := data[0].(pmetric.Metrics)
	for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		put := func(xs pmetric.ExemplarSlice, trace pcommon.TraceID) pmetric.Exemplar {
			x := xs.AppendEmpty()
			x.SetTraceID(trace)
			x.SetSpanID(pcommon.SpanID{1})
			x.SetTimestamp(pcommon.NewTimestampFromTime(at(i).Add(-time.Second)))
			return x
		}
		switch {
		case m.Type() == pmetric.MetricTypeHistogram:
			for _, p := range m.Histogram().DataPoints().All() {
				put(p.Exemplars(), traceOf(i, 1)).SetDoubleValue(seconds)
				put(p.Exemplars(), traceOf(i, 2)).SetDoubleValue(seconds / 2)
				put(p.Exemplars(), pcommon.TraceID{}).SetDoubleValue(9)
			}
		case m.Name() == semconv.MetricGraphRequestFailedTotal:
			for _, p := range m.Sum().DataPoints().All() {
				if p.IntValue() > 0 {
					put(p.Exemplars(), traceOf(i, 3)).SetIntValue(1)
				}
			}
		}
	}
	return data
}

// evidenceWith returns the evidence for the cause with a signal.
func evidenceWith(t *testing.T, cause semconv.Cause, signal string) semconv.Evidence {
	t.Helper()
	for _, ev := range cause.Evidence {
		if ev.Signal == signal {
			return ev
		}
	}
	require.Failf(t, "no such evidence", "%s in %v", signal, cause.Evidence)
	return semconv.Evidence{}
}

// TestExamplesOfEdges has exemplars on all calls, and asks for those of the calls in trouble.
func TestExamplesOfEdges(t *testing.T) {
	normal := func(i int) []any { return withExemplars(i, calm(i), 5) }
	t.Run("failed", func(t *testing.T) {
		w := newWorld(t, nil)
		w.play(0, 240, normal)
		w.play(240, 252, func(i int) []any { return withExemplars(i, stockFails(i), 5) })
		ids := evidenceWith(t, w.one().Cause(), semconv.MetricGraphRequestFailedTotal).TraceIDs
		require.NotEmpty(t, ids)
		assert.LessOrEqual(t, len(ids), semconv.MaxTraceIDs)
		for _, id := range ids {
			assert.True(t, strings.HasSuffix(strings.TrimRight(id, "0"), "3"), "only failed ones: %s", id)
		}
		assert.Contains(t, ids, traceOf(241, 3).String())
		w.stop()
	})
	t.Run("slow", func(t *testing.T) {
		w := newWorld(t, nil)
		w.play(0, 240, normal)
		w.play(240, 252, func(i int) []any { return withExemplars(i, stockSlow(i), 0.8) })
		ids := evidenceWith(t, w.one().Cause(), semconv.MetricGraphRequestServer).TraceIDs
		require.NotEmpty(t, ids)
		assert.Equal(t, "01", ids[0][:2])
		assert.True(t, strings.HasSuffix(strings.TrimRight(ids[0], "0"), "1"), "the slowest first: %s", ids[0])
		for _, id := range ids {
			var bucket int
			_, err := fmt.Sscanf(id[2:6], "%x", &bucket)
			require.NoError(t, err)
			assert.GreaterOrEqual(t, bucket, 238, "none from before the trouble, though those took longer")
		}
		w.stop()
	})
}

func TestTracesKeepTheBest(t *testing.T) {
	var list traces
	since := at(10)
	for i := range 30 {
		list.put(traceExample{id: traceOf(i, 0), at: at(i), value: float64(30 - i)}, since)
		list.put(traceExample{id: traceOf(i, 0), at: at(i), value: float64(30 - i)}, since)
	}
	ids := list.ids(since)
	require.Len(t, ids, semconv.MaxTraceIDs)
	assert.Equal(t, traceOf(10, 0).String(), ids[0], "the longest of those that are not too old")
	assert.Empty(t, list.ids(at(99)))
}

// TestSummaryOfOperations tells how and at what calls fail.
func TestSummaryOfOperations(t *testing.T) {
	for _, c := range []struct {
		name string
		ops  []operation
		want string
	}{
		{"all alike", []operation{{"orders", "stock", "GET /stock/{id}", "503", "", 30}}, " instead of 0.0 % (error.type=503, GET /stock/{id})"},
		{"most", []operation{{"orders", "stock", "GET /stock/{id}", "503", "", 20}, {"orders", "stock", "PUT /stock/{id}", "503", "", 10}}, "(error.type=503, mostly GET /stock/{id})"},
		{"different", []operation{{"orders", "stock", "a", "1", "", 10}, {"orders", "stock", "b", "2", "", 10}, {"orders", "stock", "c", "3", "", 10}}, " instead of 0.0 %"},
		{"operations without a name", []operation{{"orders", "stock", semconv.GraphOtherOperation, "timeout", "", 30}}, "(error.type=timeout)"},
		{"another edge", []operation{{"front", "orders", "GET /", "503", "", 30}}, " instead of 0.0 %"},
		{"calls that do not fail", []operation{{"orders", "stock", "GET /", "", "", 30}}, " instead of 0.0 %"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.play(0, 240, calm)
			w.play(240, 252, func(i int) []any {
				return append([]any{operations(i, pmetric.AggregationTemporalityDelta, c.ops...)}, stockFails(i)...)
			})
			summary := evidenceWith(t, w.one().Cause(), semconv.MetricGraphRequestFailedTotal).Summary
			assert.True(t, strings.HasSuffix(summary, c.want), summary)
			assert.Contains(t, summary, "of the calls from orders fail")
			w.stop()
		})
	}
}

func TestTally(t *testing.T) {
	var tl tally
	for n := range 3 * maxTallied {
		tl.add(fmt.Sprint(n), 1, at(0))
	}
	assert.Len(t, tl.entries, maxTallied)
	name, _ := tl.most(at(0))
	assert.Empty(t, name)
	tl.add("late", 100, at(1))
	name, share := tl.most(at(1))
	assert.Equal(t, "late", name)
	assert.InDelta(t, 0.93, share, 0.01)
	tl.add("later", 90, at(1).Add(5*tallyHalfLife))
	name, _ = tl.most(at(1).Add(5 * tallyHalfLife))
	assert.Equal(t, "later", name, "what lies back weighs less")
}

// TestDetailsPastTheLimit tells of more edges than there is room for, and of hostile ones.
func TestDetailsPastTheLimit(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Edges = 2; c.Limits.Services = 2 })
	w.feed(graph(at(0), call{client: "a", server: "b", n: 1}))
	for n := range 5 {
		w.feed(operations(1, pmetric.AggregationTemporalityDelta, operation{"a", fmt.Sprint("b", n), "op", "503", "1", 3}))
	}
	engine := w.metrics.(*metricsView).lease.Engine()
	assert.Len(t, engine.details.edges, 2)
	assert.Len(t, engine.directory.versions, 2)
	assert.Equal(t, int64(6), w.count("refused_items", "limit"))
	w.feed(operations(1, pmetric.AggregationTemporalityDelta, operation{"", "b", "op", "503", "1", 3}, operation{"a", "b", "op", "503", "1", -3}))
	assert.Equal(t, int64(2), w.count("refused_items", "invalid"))
	w.stop()
}

// patterns returns counts of log records by template.
func patterns(i int, service string, counts map[string]int64) any {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr(semconv.AttrServiceName, service)
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(semconv.MetricLogPatternCount)
	m.SetUnit("{record}")
	s := m.SetEmptySum()
	s.SetIsMonotonic(true)
	s.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	for _, template := range sortedKeysOf(counts) {
		severity, name, _ := strings.Cut(template, " ")
		p := s.DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(at(i)))
		p.SetIntValue(counts[template])
		p.Attributes().PutStr(semconv.AttrLogPatternID, template)
		p.Attributes().PutStr(semconv.AttrLogPatternSeverity, severity)
		p.Attributes().PutStr(semconv.AttrLogRecordTemplate, name)
	}
	return md
}

// TestLogPatterns counts log records by template in place of the records.
func TestLogPatterns(t *testing.T) {
	usual := map[string]int64{"INFO reserved <*> items": 40, "INFO shelf <*> counted": 40}
	for _, c := range []struct {
		name    string
		trouble map[string]int64
		summary string
	}{
		{"a new error", map[string]int64{"INFO reserved <*> items": 40, "INFO shelf <*> counted": 40, "ERROR cannot lock row <*>": 15}, `error "cannot lock row <*>" logged `},
		{"a template that vanishes", map[string]int64{"INFO reserved <*> items": 40}, `what is missing is "shelf <*> counted"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.play(0, 240, func(i int) []any { return append(calm(i), patterns(i, "stock", usual)) })
			require.Empty(t, w.events())
			w.play(240, 260, func(i int) []any { return append(calm(i), patterns(i, "stock", c.trouble)) })
			cause := w.one().Cause()
			assert.Equal(t, service("stock"), cause.Entity)
			assert.Equal(t, semconv.CauseErrors, cause.Kind)
			assert.Contains(t, fmt.Sprint(cause.Evidence), c.summary)
			w.stop()
		})
	}
}

// TestPatternsAndRecords has both the records and their counts: they count once.
func TestPatternsAndRecords(t *testing.T) {
	w := newWorld(t, nil)
	both := func(i int) []any {
		return append(calm(i), logs(at(i).Add(-time.Second), record{service: "stock", body: "reserved 3 items", severity: plog.SeverityNumberInfo}),
			patterns(i, "stock", map[string]int64{"INFO reserved <*> items": 1}))
	}
	w.play(0, 20, both)
	engine := w.metrics.(*metricsView).lease.Engine()
	assert.InDelta(t, 10, engine.flow.Records("stock", 10), 0)
	w.play(20, 80, func(i int) []any {
		return append(calm(i), patterns(i, "stock", map[string]int64{"INFO reserved <*> items": 5}))
	})
	assert.InDelta(t, 50, engine.flow.Records("stock", 10), 0, "the counts alone")
	w.stop()
}

func TestCumulativeAndInvalidPatterns(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 3, calm)
	for i := 3; i < 10; i++ {
		data := patterns(i, "stock", map[string]int64{"INFO a": int64(10 * i), "INFO ": 1, "INFO b": -1}).(pmetric.Metrics)
		data.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		w.feed(calm(i)[0], data)
	}
	assert.Equal(t, int64(14), w.count("refused_items", "invalid"))
	engine := w.metrics.(*metricsView).lease.Engine()
	assert.InDelta(t, 10, engine.flow.Records("stock", 1), 0)
	w.stop()
}

func TestSeverityOfPatterns(t *testing.T) {
	for severity, want := range map[any]bool{
		"ERROR": true, "error2": true, "Fatal": true, "critical": true, "17": true, int64(21): true,
		"WARN": false, "INFO": false, "16": false, int64(9): false, "": false, 1.5: false,
	} {
		m := pcommon.NewMap()
		require.NoError(t, m.FromRaw(map[string]any{semconv.AttrLogPatternSeverity: severity}))
		assert.Equal(t, want, isErrorSeverity(m), severity)
	}
	assert.False(t, isErrorSeverity(pcommon.NewMap()))
}

// TestNewPatterns has somebody else say that an error was never logged before.
func TestNewPatterns(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 240, func(i int) []any {
		data := append(calm(i), runs(i, semconv.AttrServiceVersion, "1"))
		if i%20 == 3 && i < 200 {
			data = append(data, logs(at(i), record{service: "stock", event: string(semconv.EventLogPatternNew), severity: plog.SeverityNumberInfo, attrs: map[string]string{semconv.AttrLogRecordTemplate: fmt.Sprintf("hello %c", 'a'+i/20)}}))
		}
		return data
	})
	require.Empty(t, w.events(), "that alone opens nothing")
	w.play(240, 252, func(i int) []any {
		data := stockFails(i)
		if i == 240 {
			data = append(data, logs(at(i).Add(-time.Second), record{service: "stock", span: 77, event: string(semconv.EventLogPatternNew), severity: plog.SeverityNumberError, attrs: map[string]string{semconv.AttrLogRecordTemplate: "cannot lock row <*>"}}))
		}
		return data
	})
	evidence := evidenceWith(t, w.one().Cause(), string(semconv.EventLogPatternNew))
	assert.Equal(t, `an error was never logged before: "cannot lock row <*>"`, evidence.Summary)
	assert.Equal(t, []string{pcommon.TraceID{1, 0, 0, 77}.String()}, evidence.TraceIDs)
	assert.Zero(t, w.metrics.(*metricsView).lease.Engine().flow.Records("stock", 20), "it is no record of the service")
	w.stop()
}

// TestPatternRates has somebody else say that a message is logged far more, or less, often than before.
func TestPatternRates(t *testing.T) {
	for event, want := range map[semconv.EventName]string{
		semconv.EventLogPatternSurge:    `a message is logged far more often than before: "row stored"`,
		semconv.EventLogPatternVanished: `a message is hardly logged any more: "row stored"`,
	} {
		w := newWorld(t, nil)
		w.play(0, 240, func(i int) []any { return append(calm(i), runs(i, semconv.AttrServiceVersion, "1")) })
		w.play(240, 252, func(i int) []any {
			data := stockFails(i)
			if i == 240 {
				data = append(data, logs(at(i).Add(-time.Second), record{service: "stock", event: string(event), severity: plog.SeverityNumberInfo, attrs: map[string]string{semconv.AttrLogRecordTemplate: "row stored"}}))
			}
			return data
		})
		assert.Equal(t, want, evidenceWith(t, w.one().Cause(), string(event)).Summary)
		assert.Zero(t, w.metrics.(*metricsView).lease.Engine().flow.Records("stock", 20), "it is no record of the service")
		w.stop()
	}
}

// TestExamplesOfLogs asks for the traces in which an error was logged, and no others.
func TestExamplesOfLogs(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 240, func(i int) []any { return talk(i, chatter(i)...) })
	w.play(240, 260, func(i int) []any {
		records := chatter(i)
		for n := range 10 {
			records = append(records,
				record{service: "stock", body: fmt.Sprintf("cannot lock row %d", 100*i+n), severity: plog.SeverityNumberError, span: 0x10000*i + n},
				record{service: "stock", body: "harmless", severity: plog.SeverityNumberInfo, span: 0x10000*i + 0x1000 + n})
		}
		return talk(i, records...)
	})
	evidence := evidenceWith(t, w.one().Cause(), semconv.AttrLogRecordTemplate)
	require.NotEmpty(t, evidence.TraceIDs)
	assert.LessOrEqual(t, len(evidence.TraceIDs), semconv.MaxTraceIDs)
	for _, id := range evidence.TraceIDs {
		assert.Equal(t, "00", id[4:6], "of an error: %s", id)
	}
	w.stop()
}

func TestFits(t *testing.T) {
	long := "cannot lock the row " + strings.Repeat("x", maxExampleBytes)
	for _, c := range []struct {
		template, text string
		want           bool
	}{
		{"cannot lock row <*>", "cannot lock row 17", true},
		{"cannot lock row <*>", "cannot unlock column 17", false},
		{"user=<*> is <*> late", "user=7, is 3  late", true},
		{"", "anything", true},
		{"a b", "b a", false},
		{"cannot lock the row <*> at the end", long[:maxExampleBytes], true},
		{"failed to read", long[:maxExampleBytes], false},
	} {
		assert.Equal(t, c.want, fits(c.template, c.text), c.template)
	}
}

func TestLogExamplesAreBounded(t *testing.T) {
	var l logExamples
	for i := range 100 {
		l.add(strings.Repeat("x", 1000), traceOf(i, 1), at(0), step)
	}
	require.Len(t, l.list, maxLogExamples)
	assert.Equal(t, traceOf(0, 1), l.list[0].trace, "a flood does not push out its own beginning")
	assert.Len(t, l.list[0].text, maxExampleBytes)
	l.add("y", pcommon.TraceID{}, at(2), step)
	l.add("y", traceOf(200, 1), at(2), step)
	assert.Equal(t, traceOf(200, 1), l.list[0].trace)
}

// TestEvidenceOfAllSides has more callers complain about stock than there is room for, and Kubernetes and its log once each.
func TestEvidenceOfAllSides(t *testing.T) {
	calls := func(i int, failed float64) any {
		var all []call
		for n := range 2 * maxEvidence {
			all = append(all, call{client: fmt.Sprint("caller", n), server: "stock", n: 40, failed: failed, took: 0.004, waited: 0.0045})
		}
		return graph(at(i), all...)
	}
	w := newWorld(t, nil)
	w.play(0, 240, func(i int) []any {
		return []any{calls(i, 0), running(i, pod("stock", "node-1")), logs(at(i), chatter(i)...)}
	})
	w.play(240, 260, func(i int) []any {
		records := chatter(i)
		for n := range 4 {
			records = append(records, record{service: "stock", body: fmt.Sprintf("cannot lock row %d", 100*i+n), severity: plog.SeverityNumberError})
		}
		return []any{
			calls(i, 30), running(i, pod("stock", "node-1")), logs(at(i), records...),
			watched(t, at(i), "events", "MODIFIED", coreEvent(i, "Unhealthy", "Readiness probe failed", "Pod", "stock-7d9f5-abcde", int64(i))),
			scored(i, 240, pod("stock", "node-1"), "jobs", 20, 3),
		}
	})
	cause := w.one().Cause()
	assert.Equal(t, service("stock"), cause.Entity)
	for _, signal := range []string{semconv.MetricGraphRequestFailedTotal, semconv.AttrLogRecordTemplate, "k8s.event Unhealthy", "jobs"} {
		evidenceWith(t, cause, signal)
	}
	assert.Len(t, cause.Evidence, maxEvidence+1, "and the impact")
	w.stop()
}
