package otlpjsonl

import (
	"iter"
	"math"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Signal says what a Batch holds.
type Signal uint8

// The signals, in the order of their tables.
const (
	Traces Signal = iota
	Metrics
	Logs
	// NumSignals is for arrays indexed by Signal.
	NumSignals
)

// String is the name of the signal, in lower case.
func (s Signal) String() string {
	return [...]string{"traces", "metrics", "logs", "unknown"}[min(s, NumSignals)]
}

// Batch is one line. Of Traces, Metrics and Logs only the one that Signal names is set; the receiver
// owns it and may change it.
type Batch struct {
	Signal  Signal
	Traces  ptrace.Traces
	Metrics pmetric.Metrics
	Logs    plog.Logs

	// Time is the event time of the line: that of its latest item. A span counts by its end, a log
	// record by its time or else its observed time, a metric by each point's time. A line without
	// any time takes that of the line before it in its file.
	Time pcommon.Timestamp
	// First is the time of the earliest item.
	First pcommon.Timestamp
	// Items are the spans, points or records in it.
	Items int
	// Undated says that no item has a time.
	Undated bool
	// Late says that it came too late for the reorder window: its Time is before one delivered.
	Late bool

	// File is the position of the file among the paths given to Open, Line counts from 1.
	File int
	Line int64
	// Bytes is the length of the line.
	Bytes int

	undated int // items without a time
}

// maxTime is the last moment a pcommon.Timestamp can be converted to a time.Time.
var maxTime = time.Unix(0, math.MaxInt64)

// extent gathers the event times of items; 0 is "no time" and counts as an item only.
type extent struct {
	first, last pcommon.Timestamp
	items       int
	undated     int
}

func (e *extent) add(t pcommon.Timestamp) {
	e.items++
	if t == 0 {
		e.undated++
		return
	}
	if e.first == 0 || t < e.first {
		e.first = t
	}
	e.last = max(e.last, t)
}

func (b *Batch) measure() {
	var e extent
	switch b.Signal {
	case Traces:
		for _, rs := range b.Traces.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					e.add(s.EndTimestamp())
				}
			}
		}
	case Metrics:
		for _, rm := range b.Metrics.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					e.addMetric(m)
				}
			}
		}
	case Logs:
		for _, rl := range b.Logs.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, r := range sl.LogRecords().All() {
					e.add(recordTime(r))
				}
			}
		}
	}
	b.Time, b.First, b.Items = e.last, e.first, e.items
	b.undated, b.Undated = e.undated, e.last == 0
}

func recordTime(r plog.LogRecord) pcommon.Timestamp {
	if t := r.Timestamp(); t != 0 {
		return t
	}
	return r.ObservedTimestamp()
}

type point interface {
	Timestamp() pcommon.Timestamp
	SetTimestamp(pcommon.Timestamp)
	StartTimestamp() pcommon.Timestamp
	SetStartTimestamp(pcommon.Timestamp)
}

func (e *extent) addMetric(m pmetric.Metric) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		addPoints(e, m.Gauge().DataPoints().All())
	case pmetric.MetricTypeSum:
		addPoints(e, m.Sum().DataPoints().All())
	case pmetric.MetricTypeHistogram:
		addPoints(e, m.Histogram().DataPoints().All())
	case pmetric.MetricTypeExponentialHistogram:
		addPoints(e, m.ExponentialHistogram().DataPoints().All())
	case pmetric.MetricTypeSummary:
		addPoints(e, m.Summary().DataPoints().All())
	}
}

func addPoints[P point](e *extent, points iter.Seq2[int, P]) {
	for _, p := range points {
		e.add(p.Timestamp())
	}
}

// cut removes the items outside [from, to) and whatever is empty without them. An item without a
// time is in no span of time and goes too.
func (b *Batch) cut(from, to pcommon.Timestamp) {
	out := func(t pcommon.Timestamp) bool { return t == 0 || t < from || t >= to }
	switch b.Signal {
	case Traces:
		b.Traces.ResourceSpans().RemoveIf(func(rs ptrace.ResourceSpans) bool {
			rs.ScopeSpans().RemoveIf(func(ss ptrace.ScopeSpans) bool {
				ss.Spans().RemoveIf(func(s ptrace.Span) bool { return out(s.EndTimestamp()) })
				return ss.Spans().Len() == 0
			})
			return rs.ScopeSpans().Len() == 0
		})
	case Metrics:
		b.Metrics.ResourceMetrics().RemoveIf(func(rm pmetric.ResourceMetrics) bool {
			rm.ScopeMetrics().RemoveIf(func(sm pmetric.ScopeMetrics) bool {
				sm.Metrics().RemoveIf(func(m pmetric.Metric) bool { return cutMetric(m, out) })
				return sm.Metrics().Len() == 0
			})
			return rm.ScopeMetrics().Len() == 0
		})
	case Logs:
		b.Logs.ResourceLogs().RemoveIf(func(rl plog.ResourceLogs) bool {
			rl.ScopeLogs().RemoveIf(func(sl plog.ScopeLogs) bool {
				sl.LogRecords().RemoveIf(func(r plog.LogRecord) bool { return out(recordTime(r)) })
				return sl.LogRecords().Len() == 0
			})
			return rl.ScopeLogs().Len() == 0
		})
	}
	b.measure()
}

func cutMetric(m pmetric.Metric, out func(pcommon.Timestamp) bool) bool {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return cutPoints(m.Gauge().DataPoints(), out)
	case pmetric.MetricTypeSum:
		return cutPoints(m.Sum().DataPoints(), out)
	case pmetric.MetricTypeHistogram:
		return cutPoints(m.Histogram().DataPoints(), out)
	case pmetric.MetricTypeExponentialHistogram:
		return cutPoints(m.ExponentialHistogram().DataPoints(), out)
	case pmetric.MetricTypeSummary:
		return cutPoints(m.Summary().DataPoints(), out)
	}
	return true
}

func cutPoints[P point](points interface {
	RemoveIf(func(P) bool)
	Len() int
}, out func(pcommon.Timestamp) bool,
) bool {
	points.RemoveIf(func(p P) bool { return out(p.Timestamp()) })
	return points.Len() == 0
}
