package logpatternconnector

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/logpattern"
	"github.com/paramedic-otel/paramedic/semconv"
)

const byTemplate = semconv.AttrLogRecordTemplate

// idOf returns the ID of a template that a miner makes of a line.
func idOf(line string) string {
	p, _ := logpattern.New(logpattern.DefaultSettings()).Match(line, 0)
	return p.ID.String()
}

func TestAnnotate(t *testing.T) {
	const line = "sent 17 bytes to 10.0.0.1"
	for annotate, want := range map[Annotate]map[string]any{
		AnnotateOff:         {"k": "v"},
		AnnotateID:          {"k": "v", semconv.AttrLogPatternID: idOf(line)},
		AnnotateIDAndText:   {"k": "v", semconv.AttrLogPatternID: idOf(line), byTemplate: "sent <*> bytes to <*>"},
		AnnotateReplaceBody: {"k": "v", semconv.AttrLogPatternID: idOf(line), byTemplate: "sent <*> bytes to <*>"},
	} {
		t.Run(string(annotate), func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.Annotate = annotate })
			w.consume(rec{text: line, attrs: map[string]any{"k": "v"}})
			require.Len(t, w.records(), 1)
			assert.Equal(t, want, w.records()[0].Attributes().AsRaw())
			body := line
			if annotate == AnnotateReplaceBody {
				body = "sent <*> bytes to <*>"
			}
			assert.Equal(t, body, w.records()[0].Body().Str())
			assert.Equal(t, annotate != AnnotateOff, w.logs.Capabilities().MutatesData)
		})
	}
}

// TestReplaceBody lets nothing of an exception's message out.
func TestReplaceBody(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Annotate = AnnotateReplaceBody })
	w.consume(rec{text: "failed for 12345", attrs: map[string]any{
		"exception.type": "E", "exception.message": "for 12345", "exception.stacktrace": "E: for 12345\n\tat a.b(C.java:1)",
	}})
	assert.NotContains(t, fmt.Sprint(w.records()[0].Attributes().AsRaw(), w.records()[0].Body().AsString()), "12345")
}

func TestForwardRecords(t *testing.T) {
	w := newWorld(t, quick, func(c *Config) { c.ForwardRecords, c.Annotate = false, AnnotateID })
	assert.False(t, w.logs.Capabilities().MutatesData)
	w.consume(rec{text: "started", severity: info}, rec{text: "goes on", at: 2 * second, severity: info}, rec{text: "broken", at: 2 * second, severity: fault})
	assert.Empty(t, w.records())
	assert.Equal(t, []string{"shop log.pattern.new ERROR: broken"}, w.told())
}

func TestCounts(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		w.consume(
			rec{at: time.Duration(i) * second, severity: info, text: fmt.Sprintf("order %d placed", i)},
			rec{at: time.Duration(i) * second, severity: fault, text: fmt.Sprintf("order %d failed", i)},
			rec{at: time.Duration(i) * second, severity: info, text: "tick", svc: "clock"},
		)
	}
	w.stop()
	assert.Equal(t, map[string]int64{
		"shop|order <*> placed|INFO": 30, "shop|order <*> failed|ERROR": 30, "clock|tick|INFO": 30,
	}, w.counts(semconv.MetricLogPatternCount, byTemplate, "severity"))
	assert.Equal(t, map[string]int64{"shop": 30, "clock": 0}, w.counts(semconv.MetricLogErrorCount))
	var times []string
	w.points(semconv.MetricLogErrorCount, func(resource pcommon.Map, dp pmetric.NumberDataPoint) {
		assert.NotContains(t, resource.AsRaw(), "k8s.pod.name")
		if v, _ := resource.Get("service.name"); v.Str() == "shop" {
			times = append(times, fmt.Sprintf("%s-%s %d", dp.StartTimestamp().AsTime().Sub(epoch), dp.Timestamp().AsTime().Sub(epoch), dp.IntValue()))
		}
	})
	assert.Equal(t, []string{"0s-10s 10", "10s-20s 10", "20s-29.000000001s 10"}, times, "the last is not over at shutdown")
	for _, md := range w.metricsSink.AllMetrics() {
		m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
		assert.Equal(t, pmetric.AggregationTemporalityDelta, m.Sum().AggregationTemporality())
		assert.True(t, m.Sum().IsMonotonic())
	}
}

func TestSeverity(t *testing.T) {
	w := newWorld(t)
	ld := logs(t,
		rec{text: "2026-01-02 ERROR no"}, rec{text: "level=warn slow"}, rec{text: "[info] fine"}, rec{text: "the error rate is fine"},
		rec{text: "numbered", severity: plog.SeverityNumberFatal2}, rec{text: "named"},
		rec{text: "beyond", severity: math.MaxInt32}, rec{text: "far beyond", severity: 1025}, rec{text: "below", severity: -1},
		rec{text: "thrown", attrs: map[string]any{"exception.type": "E"}},
	)
	ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(5).SetSeverityText("Warning")
	w.consumeLogs(ld)
	w.stop()
	assert.Equal(t, map[string]int64{
		"shop|ERROR": 2, "shop|WARN": 2, "shop|INFO": 1, "shop|UNSPECIFIED": 2, "shop|FATAL": 3,
	}, w.counts(semconv.MetricLogPatternCount, "severity"))
	assert.Equal(t, map[string]int64{"shop": 5}, w.counts(semconv.MetricLogErrorCount))
}

func TestBodies(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MessageFields = []string{"text", "message"} })
	w.consume(
		rec{body: map[string]any{"message": "of a map", "level": "x"}},
		rec{body: map[string]any{"text": "first field", "message": "no"}},
		rec{body: map[string]any{"path": map[string]any{"deep": 1}}},
		rec{body: []byte("of bytes")}, rec{body: int64(7)}, rec{}, rec{body: []any{"a"}},
		rec{attrs: map[string]any{"exception.type": "IOError", "exception.message": "gone"}},
	)
	w.stop()
	assert.Equal(t, map[string]int64{
		"shop|of a map": 1, "shop|first field": 1, "shop|path": 1, "shop|of bytes": 1, "shop|<*>": 1, "shop|": 2, "shop|IOError: gone": 1,
	}, w.counts(semconv.MetricLogPatternCount, byTemplate))
}

const trace = "java.io.IOException: disk %d is full\n\tat com.shop.Store.put(Store.java:12)\n\tat com.shop.Cart.add(Cart.java:%d)"

func TestExceptions(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.consume(
			rec{text: "cannot save", severity: fault, attrs: map[string]any{
				"exception.type": "java.io.IOException", "exception.stacktrace": fmt.Sprintf(trace, i, i),
			}},
			rec{text: "failed " + fmt.Sprintf(trace, i, i), severity: fault},
			rec{text: "no stack", severity: fault, attrs: map[string]any{"exception.type": "TimeoutError"}},
			rec{text: "only a stack", severity: fault, attrs: map[string]any{"exception.stacktrace": fmt.Sprintf(trace, i, i)}},
		)
	}
	w.stop()
	assert.Equal(t, map[string]int64{
		"shop|java.io.IOException|com.shop.Store.put": 15, "shop|TimeoutError|": 5,
	}, w.counts(semconv.MetricLogExceptionCount, semconv.AttrExceptionType, semconv.AttrCodeFunctionName))
}

func TestNewPatternTellsTheException(t *testing.T) {
	w := newWorld(t, quick)
	for i := range 5 {
		w.consume(rec{at: time.Duration(i) * second, severity: info, text: "tick"})
	}
	w.consume(rec{at: 5 * second, severity: fault, text: "cannot save", attrs: map[string]any{
		"exception.type": "java.io.IOException", "exception.stacktrace": fmt.Sprintf(trace, 1, 2),
	}})
	w.stop()
	require.Len(t, w.events(), 1)
	assert.Equal(t, "java.io.IOException", w.events()[0].str(semconv.AttrExceptionType))
	assert.Equal(t, "com.shop.Store.put", w.events()[0].str(semconv.AttrCodeFunctionName))
}

func TestNewPattern(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Learning = LearningConfig{Period: 60 * second, Records: 10} })
	for i := range 100 {
		w.consume(rec{at: time.Duration(i) * second, severity: info, text: fmt.Sprintf("order %d placed", i)})
		if i == 30 {
			w.consume(rec{at: 30 * second, severity: fault, text: "while it learns"})
		}
	}
	w.consume(
		rec{at: 100 * second, severity: info, text: "too harmless"},
		rec{at: 100 * second, severity: fault, text: "while it learns"},
		rec{at: 100 * second, severity: fault, text: "cannot lock row 7", trace: 9},
		rec{at: 101 * second, severity: fault, text: "cannot lock row 8", trace: 10},
		rec{at: 101 * second, severity: fault, text: "of a service that nobody knows", svc: "newcomer"},
		rec{at: 101 * second, severity: plog.SeverityNumberFatal, text: "too harmless"},
	)
	assert.Equal(t, []string{"shop log.pattern.new ERROR: cannot lock row <*>", "shop log.pattern.new FATAL: too harmless"}, w.told())
	e := w.events()[0]
	assert.Equal(t, "shop-1", e.str("k8s.pod.name"), "the resource of the first record")
	assert.Equal(t, idOf("cannot lock row 7"), e.str(semconv.AttrLogPatternID))
	assert.Equal(t, "cannot lock row <*>", e.Body().Str())
	assert.Equal(t, fault, e.SeverityNumber())
	assert.Equal(t, byte(9), [16]byte(e.TraceID())[15])
	assert.Equal(t, pcommon.SpanID{7: 9}, e.SpanID())
	assert.Equal(t, epoch.Add(100*second), e.Timestamp().AsTime())
}

func TestMinSeverity(t *testing.T) {
	for severity, want := range map[Severity]int{"unspecified": 3, "info": 3, "warn": 2, "error": 1, "fatal": 0} {
		w := newWorld(t, quick, func(c *Config) { c.MinSeverity = severity })
		w.consume(rec{text: "a", severity: info}, rec{text: "a", severity: info, at: 2 * second})
		w.consume(rec{text: "b", severity: info, at: 2 * second}, rec{text: "c", severity: warn, at: 2 * second}, rec{text: "d", severity: fault, at: 2 * second})
		assert.Len(t, w.events(), want, severity)
	}
}

// TestGeneralized has a template become more general: its counts go on, and nothing is new.
func TestGeneralized(t *testing.T) {
	names := []string{"ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida", "jon", "kim", "leo"}
	w := newWorld(t, quick, func(c *Config) { c.Annotate, c.MinSeverity = AnnotateIDAndText, "info" })
	w.consume(rec{text: "x", severity: info}, rec{text: "x", severity: info, at: 2 * second})
	for i, name := range append(names, names...) {
		w.consume(rec{text: "user " + name + " has logged in", severity: info, at: time.Duration(3+i) * second})
	}
	before := len(w.events())
	assert.Less(t, before, len(names))
	aliases := 0
	for _, r := range w.records() {
		if v, ok := r.Attributes().Get(semconv.AttrLogPatternAliases); ok {
			aliases += v.Slice().Len()
		}
	}
	assert.Positive(t, aliases, "told with the record that made it more general")
	for i, name := range names {
		w.consume(rec{text: "user " + name + " has logged in", severity: info, at: time.Duration(30+i) * second})
	}
	w.stop()
	assert.Len(t, w.events(), before)
	assert.Equal(t, int64(2+3*len(names)), w.total(semconv.MetricLogPatternCount))
	last := w.records()[len(w.records())-1]
	assert.Equal(t, "user <*> has logged in", last.str(byTemplate))
}

// TestRates has a step vanish and a warning surge, while the traffic is six times what it was.
func TestRates(t *testing.T) {
	for name, traced := range map[string]bool{"by traces": true, "by activity": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.Rates.HalfLife = 10 * time.Minute })
			request := uint64(0)
			minute := func(m, requests int, vanish, surge bool) {
				for s := range 60 {
					var batch []rec
					for i := range requests {
						request++
						id := uint64(0)
						if traced {
							id = request
						}
						at := time.Duration(m)*time.Minute + time.Duration(s)*second
						batch = append(batch, rec{at: at, severity: info, text: fmt.Sprintf("request %d", request), trace: id},
							rec{at: at, severity: info, text: fmt.Sprintf("answer %d", request), trace: id})
						if !vanish {
							batch = append(batch, rec{at: at, severity: info, text: fmt.Sprintf("stored %d rows", request), trace: id})
						}
						if i == 0 && s%3 == 0 || surge {
							batch = append(batch, rec{at: at, severity: warn, text: fmt.Sprintf("retry %d", request), trace: id})
						}
					}
					w.consume(batch...)
				}
			}
			for m := range 20 {
				minute(m, 4, false, false)
			}
			require.Empty(t, w.told())
			minute(20, 16, false, false)
			require.Empty(t, w.told(), "more requests, not another behaviour")
			minute(21, 4, false, false)
			minute(22, 4, true, false)
			assert.Equal(t, []string{"shop log.pattern.vanished INFO: stored <*> rows"}, w.told())
			for m := range 10 {
				minute(23+m, 4, false, false)
			}
			assert.Len(t, w.told(), 1)
			minute(33, 4, false, true)
			w.stop()
			require.Equal(t, []string{
				"shop log.pattern.vanished INFO: stored <*> rows", "shop log.pattern.surge WARN: retry <*>",
			}, w.told())
			vanished, surge := w.events()[0], w.events()[1]
			assert.Equal(t, "0", vanished.str(semconv.AttrLogPatternObserved))
			expected, _ := vanished.Attributes().Get(semconv.AttrLogPatternExpected)
			assert.Greater(t, expected.Double(), 20.0)
			window, _ := surge.Attributes().Get(semconv.AttrLogPatternWindow)
			assert.Positive(t, window.Double())
			assert.Equal(t, traced, !surge.TraceID().IsEmpty())
		})
	}
}

func TestRatesOff(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Rates.Enabled = false })
	for i := range 1000 {
		n := 2
		if i > 900 {
			n = 50
		}
		var batch []rec
		for range n {
			batch = append(batch, rec{at: time.Duration(i) * second, severity: info, text: "a"})
		}
		w.consume(append(batch, rec{at: time.Duration(i) * second, severity: info, text: "b"})...)
	}
	w.stop()
	assert.Empty(t, w.told())
}

// TestGateway has a gateway take what an agent has annotated.
func TestGateway(t *testing.T) {
	agent := newWorld(t, func(c *Config) { c.Annotate = AnnotateReplaceBody })
	gateway := newWorld(t, quick, func(c *Config) { c.AcceptAnnotations = true; c.MinSeverity = "info" })
	names := []string{"ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida", "jon", "kim", "leo"}
	for i, name := range append(append([]string{}, names...), names...) {
		agent.consume(rec{text: "user " + name + " has logged in", severity: info, at: time.Duration(i) * second})
		all := agent.logSink.AllLogs()
		gateway.consumeLogs(all[len(all)-1])
	}
	gateway.consume(rec{text: "not annotated 7", at: 30 * second, severity: info}, rec{
		text: "has a wrong one", at: 30 * second, severity: info,
		attrs: map[string]any{semconv.AttrLogPatternID: "zz", byTemplate: "x"},
	})
	agent.stop()
	gateway.stop()
	counts := gateway.counts(semconv.MetricLogPatternCount, semconv.AttrLogPatternID, byTemplate)
	assert.Equal(t, int64(2*len(names)+2), gateway.total(semconv.MetricLogPatternCount))
	agents := agent.counts(semconv.MetricLogPatternCount, semconv.AttrLogPatternID, byTemplate)
	for key, n := range agents {
		assert.Equal(t, n, counts[key], key)
	}
	assert.Contains(t, counts, "shop|"+idOf("not annotated 7")+"|not annotated <*>")
	assert.Contains(t, counts, "shop|"+idOf("has a wrong one")+"|has a wrong one")

	unaware := newWorld(t)
	unaware.consume(rec{text: "my own words", attrs: map[string]any{semconv.AttrLogPatternID: "0123456789abcdef", byTemplate: "forged"}})
	unaware.stop()
	assert.Equal(t, map[string]int64{"shop|my own words": 1}, unaware.counts(semconv.MetricLogPatternCount, byTemplate))
}

// TestEventsPass has events of patterns, as from an agent, pass without being mined.
func TestEventsPass(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Annotate = AnnotateID })
	w.consume(rec{text: "told before", event: string(semconv.EventLogPatternNew)})
	w.stop()
	require.Len(t, w.events(), 1)
	assert.Zero(t, w.events()[0].Attributes().Len())
	assert.Empty(t, w.counts(semconv.MetricLogPatternCount))
}

func TestIdleFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.consume(rec{text: "a"})
		time.Sleep(14 * second)
		synctest.Wait()
		assert.Empty(t, w.metricsSink.AllMetrics())
		time.Sleep(8 * second)
		synctest.Wait()
		assert.Len(t, w.metricsSink.AllMetrics(), 1)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Len(t, w.metricsSink.AllMetrics(), 1, "once")
		w.consume(rec{text: "a", at: second})
		w.stop()
		assert.Equal(t, int64(2), w.total(semconv.MetricLogPatternCount), "late, but not lost")
	})
}
