package logpatternconnector

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/paramedic-otel/paramedic/semconv"
)

// value returns the value of an instrument, by the value of its only attribute; "" is that of one without.
func (w *world) value(name, attribute string) (n int64) {
	w.t.Helper()
	m, err := w.tel.GetMetric("otelcol_connector_logpattern_" + name)
	if err != nil {
		return 0
	}
	var points []metricdata.DataPoint[int64]
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		points = data.DataPoints
	case metricdata.Gauge[int64]:
		points = data.DataPoints
	}
	for _, p := range points {
		if attribute == "" && p.Attributes.Len() == 0 {
			n += p.Value
		}
		for _, kv := range p.Attributes.ToSlice() {
			if kv.Value.AsString() == attribute {
				n += p.Value
			}
		}
	}
	return n
}

// word returns a word without digits that is another one for each number.
func word(i int) string {
	return string([]byte{"bcdfghjklmnpqrstvwxz"[i%20], 'a', "bcdfghjklmnpqrstvwxz"[i/20%20], 'o', "bcdfghjklmnpqrstvwxz"[i/400%20]})
}

// distinct returns a line with a template of its own for each number.
func distinct(i int) string { return strings.Repeat(word(i)+" ", 2+i%5) + word(i*7) + " " + word(i*31) }

func TestLimitServices(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Services, c.Annotate = 3, AnnotateID })
	for i := range 5 {
		w.consume(rec{svc: fmt.Sprint("s", i), text: "a"})
	}
	assert.Equal(t, int64(3), w.value("held_objects", "services"))
	assert.Equal(t, int64(3), w.value("held_objects_limit", "services"))
	assert.Equal(t, int64(2), w.value("merged_records", "services"))
	require.Len(t, w.records(), 5, "all pass")
	for _, r := range w.records() {
		assert.NotEmpty(t, r.str(semconv.AttrLogPatternID), "and are annotated")
	}
	for i := range 3 {
		w.consume(rec{svc: "s2", text: "a", at: 2*time.Hour + time.Duration(i*20)*second, severity: info})
		for range jumpAfter {
			w.consume(rec{svc: "s2", text: "a", at: 2*time.Hour + time.Duration(i*20)*second, severity: info})
		}
	}
	w.consume(rec{svc: "s9", text: "a", at: 2*time.Hour + 40*second})
	w.stop()
	assert.Contains(t, w.counts(semconv.MetricLogPatternCount), "s9", "those silent for an hour make room")
}

func TestLimitPatterns(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"of one":  func(c *Config) { c.Limits.PatternsPerService = 10 },
		"of all":  func(c *Config) { c.Limits.Patterns = 10 },
		"exactly": func(c *Config) { c.Limits.Patterns, c.Limits.PatternsPerService = 30, 30 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, change)
			for i := range 30 {
				w.consume(rec{text: distinct(i)})
			}
			held := w.value("held_objects", "patterns")
			assert.Equal(t, int64(30)-held, w.value("merged_records", "patterns"))
			assert.Equal(t, name == "exactly", held == 30)
			w.consume(rec{text: distinct(29), at: 20 * second})
			assert.Zero(t, w.value("forgotten_patterns", ""), "none is idle yet")
			w.consume(rec{text: distinct(29), at: 79 * second})
			w.consume(rec{text: distinct(30), at: 130 * second})
			w.consume(rec{text: distinct(30), at: 131 * second})
			w.stop()
			assert.Equal(t, int64(34), w.total(semconv.MetricLogPatternCount))
			assert.Positive(t, w.value("forgotten_patterns", ""), "the oldest made room")
			counts := w.counts(semconv.MetricLogPatternCount, byTemplate)
			assert.Equal(t, int64(2), counts["shop|"+distinct(30)], "there is room again")
		})
	}
}

func TestLimitSeries(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.SeriesPerService = 2 })
	for i := range 10 {
		w.consume(rec{text: "frequent", severity: info}, rec{text: "often", severity: info})
		if i%2 == 0 {
			w.consume(rec{text: "seldom", severity: info})
		}
	}
	w.consume(rec{text: "once", severity: fault})
	w.stop()
	assert.Equal(t, int64(26), w.total(semconv.MetricLogPatternCount))
	counts := w.counts(semconv.MetricLogPatternCount, byTemplate, "severity")
	assert.Equal(t, int64(1), counts["shop|once|ERROR"], "errors first")
	assert.Equal(t, int64(15), counts["shop||INFO"])
	assert.Equal(t, int64(15), w.value("merged_records", "series"))

	w = newWorld(t, func(c *Config) { c.Limits.Series = 5 })
	for i := range 4 {
		for k := range 3 {
			w.consume(rec{svc: fmt.Sprint("s", i), text: distinct(k), severity: info})
		}
	}
	w.stop()
	n := 0
	w.points(semconv.MetricLogPatternCount, func(_ pcommon.Map, dp pmetric.NumberDataPoint) {
		if v, _ := dp.Attributes().Get(semconv.AttrLogPatternID); v.Str() != semconv.LogPatternOther {
			n++
		}
	})
	assert.Equal(t, 4, n, "one for each service")
	assert.Equal(t, int64(12), w.total(semconv.MetricLogPatternCount))
}

func TestLimitExceptions(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Exceptions = 2 })
	for i := range 4 {
		w.consume(rec{text: "x", attrs: map[string]any{"exception.type": fmt.Sprint("E", i)}})
	}
	w.stop()
	assert.Equal(t, map[string]int64{"shop|E0": 1, "shop|E1": 1, "shop|other": 2}, w.counts(semconv.MetricLogExceptionCount, semconv.AttrExceptionType))
	assert.Equal(t, int64(2), w.value("merged_records", "exceptions"))
}

func TestLimitEvents(t *testing.T) {
	w := newWorld(t, quick, func(c *Config) { c.Limits.Events = 3 })
	w.consume(rec{text: "a"}, rec{text: "a", at: 2 * second})
	for i := range 10 {
		w.consume(rec{text: distinct(i), severity: fault, at: 3 * second})
	}
	assert.Len(t, w.events(), 3)
	assert.Equal(t, int64(7), w.value("dropped_events", "limit"))
	w.consume(rec{text: "a", at: 20 * second})
	w.consume(rec{text: distinct(11), severity: fault, at: 20 * second})
	assert.Len(t, w.events(), 4, "again in the next interval")
	assert.Equal(t, int64(4), w.value("sent_events", "new"))
}

func TestLimitTemplates(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Templates = 100 })
	for i := range 150 {
		w.consume(rec{text: distinct(i)})
	}
	assert.LessOrEqual(t, w.value("held_objects", "templates"), int64(100))
	assert.Positive(t, w.value("template_changes", "evicted"))
	assert.Equal(t, int64(150), w.value("template_changes", "new"))
	assert.Equal(t, int64(64<<20), w.value("template_memory_limit", ""))

	w = newWorld(t, func(c *Config) { c.Limits.TemplateBytes = 1 << 20 })
	for i := range 2000 {
		w.consume(rec{text: strings.Repeat(distinct(i)+" ", 20)})
	}
	assert.LessOrEqual(t, w.value("template_memory", ""), int64(1<<20))
	assert.Positive(t, w.value("template_changes", "evicted"))
}

func TestLimitLineBytes(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.LineBytes = 64 })
	long := strings.Repeat("long ", 200_000)
	w.consume(
		rec{text: long}, rec{body: []byte(long)}, rec{body: map[string]any{"a": long, "b": long}}, rec{text: "\xff\xfe bad"},
		rec{text: "\x00\x01\x02\x03\x04\x05\x06\x07\x08"},
	)
	w.stop()
	assert.Equal(t, int64(5), w.total(semconv.MetricLogPatternCount))
	assert.Equal(t, int64(3), w.value("bounded_texts", "truncated"))
	assert.GreaterOrEqual(t, w.value("bounded_texts", "invalid_utf8"), int64(1))
	w.points(semconv.MetricLogPatternCount, func(_ pcommon.Map, dp pmetric.NumberDataPoint) {
		if v, ok := dp.Attributes().Get(byTemplate); ok {
			assert.Less(t, len(v.Str()), 200)
		}
	})
}

func TestDeepBody(t *testing.T) {
	w := newWorld(t)
	ld := logs(t, rec{text: "x"})
	m := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Body().SetEmptyMap()
	for range 1000 {
		m.PutStr("k", "v")
		m = m.PutEmptyMap("deep")
	}
	w.consumeLogs(ld)
	w.stop()
	assert.Equal(t, map[string]int64{"shop|k=v deep": 1}, w.counts(semconv.MetricLogPatternCount, byTemplate))
}

func TestPatternTTL(t *testing.T) {
	w := newWorld(t, quick, func(c *Config) { c.PatternTTL = time.Hour })
	w.consume(rec{text: "a", severity: info}, rec{text: "once", severity: fault})
	for m := range 80 {
		w.consume(rec{text: "a", severity: info, at: time.Duration(m) * time.Minute})
	}
	assert.Equal(t, int64(1), w.value("forgotten_patterns", ""))
	w.consume(rec{text: "once", severity: fault, at: 80 * time.Minute})
	assert.Equal(t, []string{"shop log.pattern.new ERROR: once"}, w.told())
}

func TestTimes(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxClockSkew = 30 * second; c.Lateness = 5 * second })
	w.consume(rec{text: "a", at: 4 * second})
	w.consume(rec{text: "a", at: 13 * second})
	assert.Empty(t, w.metricsSink.AllMetrics(), "not late enough")
	w.consume(rec{text: "a", at: 5 * second})
	w.consume(rec{text: "a", at: 15 * second})
	assert.Equal(t, int64(2), w.total(semconv.MetricLogPatternCount))
	w.consume(rec{text: "a", at: 6 * second})
	assert.Equal(t, int64(1), w.value("adjusted_records", "late"))
	w.consume(rec{text: "a", at: 1000 * second})
	assert.Equal(t, int64(1), w.value("adjusted_records", "clock_skew"))
	ld := logs(t, rec{text: "a"})
	ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).SetTimestamp(0)
	w.consumeLogs(ld)
	assert.Equal(t, int64(1), w.value("adjusted_records", "missing"))
	for range 8 {
		w.consume(rec{text: "a", at: 1000 * second})
	}
	for range 8 {
		w.consume(rec{text: "a", at: 20 * second})
	}
	assert.Equal(t, int64(1), w.value("watermark_jumps", ""))
	w.stop()
	assert.Equal(t, int64(23), w.total(semconv.MetricLogPatternCount), "each counts once")
}

// TestRefusals has the next components refuse what they are sent for a while, and for good.
func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		err     error
		sent    int64
		dropped int64
		reason  string
	}{
		"for a while":  {errors.New("busy"), 1, 0, "queue"},
		"for good":     {consumererror.NewPermanent(errors.New("no")), 0, 1, "refused"},
		"for too long": {errors.New("busy"), 1, 1, "queue"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t, logSink: new(consumertest.LogsSink), metricsSink: new(consumertest.MetricsSink)}
			var err error
			logs, e := consumer.NewLogs(func(_ context.Context, ld plog.Logs) error {
				if ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).EventName() != "" && err != nil {
					return err
				}
				return w.logSink.ConsumeLogs(context.Background(), ld)
			})
			require.NoError(t, e)
			metrics, e := consumer.NewMetrics(func(_ context.Context, md pmetric.Metrics) error {
				if err != nil {
					return err
				}
				return w.metricsSink.ConsumeMetrics(context.Background(), md)
			})
			require.NoError(t, e)
			w.open(componenttest.NewNopHost(), logs, metrics, quick, func(c *Config) { c.Limits.Unsent = 1 })
			w.consume(rec{text: "a"}, rec{text: "a", at: 3 * second})
			err = tc.err
			w.consume(rec{text: "new", severity: fault, at: 4 * second})
			if name == "for too long" {
				w.consume(rec{text: "newer", severity: fault, at: 5 * second})
			}
			err = nil
			w.consume(rec{text: "a", at: 6 * second})
			assert.Equal(t, tc.sent, w.value("sent_events", "new"))
			assert.Equal(t, tc.dropped, w.value("dropped_events", tc.reason))
			err = tc.err
			w.consume(rec{text: "a", at: 16 * second})
			err = nil
			w.consume(rec{text: "a", at: 17 * second})
			w.stop()
			got := w.total(semconv.MetricLogPatternCount)
			assert.Equal(t, tc.reason == "queue", got == int64(len(w.records())), "%d", got)
			if tc.reason == "refused" {
				assert.Equal(t, int64(3), w.value("dropped_datapoints", "refused"))
			}
			assert.Positive(t, w.value("sent_datapoints", ""))
		})
	}
}

// TestRefusedRecords returns the error of the component that the records are passed on to.
func TestRefusedRecords(t *testing.T) {
	w := &world{t: t}
	w.open(componenttest.NewNopHost(), consumertest.NewErr(errors.New("busy")), new(consumertest.MetricsSink))
	assert.EqualError(t, w.logs.ConsumeLogs(t.Context(), logs(t, rec{text: "a"})), "busy")
}

// TestViews shuts the views down one after the other: nothing is lost or counted twice.
func TestViews(t *testing.T) {
	w := newWorld(t)
	w.consume(rec{text: "a"})
	require.NoError(t, w.logs.Shutdown(t.Context()))
	assert.Equal(t, int64(1), w.total(semconv.MetricLogPatternCount))
	require.NoError(t, w.metrics.ConsumeLogs(t.Context(), logs(t, rec{text: "a", at: 20 * second})))
	require.NoError(t, w.metrics.Shutdown(t.Context()))
	require.NoError(t, w.metrics.Shutdown(t.Context()), "once more")
	assert.Equal(t, int64(2), w.total(semconv.MetricLogPatternCount))
	w.stopped = true

	for outcome, want := range map[string]int64{"mined": 2, "no_text": 0} {
		assert.Equal(t, want, w.value("received_records", outcome))
	}
}

func TestReceived(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AcceptAnnotations = true })
	w.consume(rec{text: "a"}, rec{}, rec{text: "a", event: "log.pattern.new"},
		rec{text: "a", attrs: map[string]any{semconv.AttrLogPatternID: "0123456789abcdef", byTemplate: "b"}})
	for _, outcome := range []string{"mined", "no_text", "event", "annotated"} {
		assert.Equal(t, int64(1), w.value("received_records", outcome), outcome)
	}
	w.stop()
	m, err := w.tel.GetMetric("otelcol_connector_logpattern_flush_duration")
	require.NoError(t, err)
	assert.NotEmpty(t, m.Data)
}

// TestAllocations has records of known templates taken in without any allocation for each.
func TestAllocations(t *testing.T) {
	w := newWorld(t)
	var records []rec
	for i := range 100 {
		records = append(records, rec{severity: info, text: fmt.Sprintf("order %d placed", i), trace: uint64(i + 1), attrs: map[string]any{"k": "v"}})
	}
	ld := logs(t, records...)
	e := w.logs.(*logsView).lease.Engine()
	e.consume(t.Context(), ld, AnnotateOff, time.Now())
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		e.consume(t.Context(), ld, AnnotateOff, epoch)
	}), 10.0, "for a batch of 100")
}

func BenchmarkConsume(b *testing.B) {
	for _, annotate := range []Annotate{AnnotateOff, AnnotateIDAndText} {
		b.Run(string(annotate), func(b *testing.B) {
			w := newWorld(b)
			var records []rec
			for i := range 200 {
				records = append(records, rec{severity: info, text: fmt.Sprintf("order %d placed by user %d in %d ms", i, i*7, i%13), trace: uint64(i + 1)})
			}
			ld := logs(b, records...)
			e := w.logs.(*logsView).lease.Engine()
			b.ReportAllocs()
			for b.Loop() {
				e.consume(b.Context(), ld, annotate, epoch)
			}
			b.ReportMetric(float64(b.N)*200/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkHeld prints the memory of a template and of a pattern, each with a text of its own.
func BenchmarkHeld(b *testing.B) {
	const n = 5000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for b.Loop() {
		w := newWorld(b, func(c *Config) { c.Limits.PatternsPerService = n })
		e := w.logs.(*logsView).lease.Engine()
		var used [2]float64
		for s := range used {
			var records []rec
			for i := range n {
				records = append(records, rec{svc: fmt.Sprint("s", s), text: distinct(i)})
			}
			ld := logs(b, records...)
			before, patterns := heap(), e.patterns
			e.consume(b.Context(), ld, AnnotateOff, epoch)
			used[s] = float64(heap()-before) / float64(e.patterns-patterns)
			runtime.KeepAlive(ld)
		}
		b.ReportMetric(used[0]-used[1], "B/template")
		b.ReportMetric(used[1], "B/pattern")
		w.stop()
	}
}

func TestServiceAttributes(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.ServiceAttributes = []string{"k8s.pod.name", "absent"} })
	w.consume(rec{text: "a"}, rec{text: "a", svc: "cart"})
	w.stop()
	var resources []map[string]any
	w.points(semconv.MetricLogErrorCount, func(resource pcommon.Map, _ pmetric.NumberDataPoint) {
		resources = append(resources, resource.AsRaw())
	})
	assert.Equal(t, []map[string]any{{"k8s.pod.name": "cart-1"}, {"k8s.pod.name": "shop-1"}}, resources)
}

// TestLearning turns both settings of it.
func TestLearning(t *testing.T) {
	for learning, want := range map[LearningConfig]int{
		{}:                             1,
		{Period: 30 * second}:          1,
		{Period: 50 * second}:          0,
		{Records: 9}:                   1,
		{Period: second, Records: 100}: 0,
	} {
		w := newWorld(t, func(c *Config) { c.Learning = learning })
		for i := range 10 {
			w.consume(rec{text: "a", severity: info, at: time.Duration(i) * 4 * second})
		}
		w.consume(rec{text: "b", severity: fault, at: 40 * second})
		assert.Len(t, w.events(), want, "%v", learning)
	}
}

// BenchmarkClose closes intervals while as much is held as may be by default.
func BenchmarkClose(b *testing.B) {
	w := newWorld(b)
	e := w.logs.(*logsView).lease.Engine()
	at := time.Duration(0)
	batch := func() {
		for s := range 25 {
			var records []rec
			for i := range 1900 {
				records = append(records, rec{svc: fmt.Sprint("s", s), severity: info, text: distinct(i), at: at})
			}
			e.consume(b.Context(), logs(b, records...), AnnotateOff, epoch)
		}
		at += w.cfg.FlushInterval
	}
	for range 40 {
		batch()
	}
	for b.Loop() {
		b.StopTimer()
		batch()
		b.StartTimer()
		e.mu.Lock()
		e.closeUntil(b.Context(), e.next+1, epoch)
		e.mu.Unlock()
	}
}

// TestConcurrently has records come on several ways at a time.
func TestConcurrently(t *testing.T) {
	w := newWorld(t, quick)
	var wait sync.WaitGroup
	for g := range 4 {
		wait.Go(func() {
			for i := range 50 {
				ld := logs(t, rec{svc: fmt.Sprint("s", g%2), text: distinct(i + g), severity: fault, at: time.Duration(i) * second})
				assert.NoError(t, w.logs.ConsumeLogs(t.Context(), ld))
				assert.NoError(t, w.metrics.ConsumeLogs(t.Context(), ld))
			}
		})
	}
	wait.Wait()
	w.stop()
	assert.Len(t, w.records(), 200)
	assert.Equal(t, int64(200), w.total(semconv.MetricLogPatternCount))
}
