package logpatternconnector

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/connector/logpatternconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/internal/patternrate"
	"github.com/paramedic-otel/paramedic/semconv"
)

// eventPrefix is what the names of our events begin with.
const eventPrefix = "log.pattern."

// eventKind is what an event tells of.
type eventKind int

const (
	eventNew eventKind = iota
	eventSurge
	eventVanished
	eventKinds
)

var eventNames = [eventKinds]semconv.EventName{
	semconv.EventLogPatternNew, semconv.EventLogPatternSurge, semconv.EventLogPatternVanished,
}

// event appends an event; ok is false when nobody takes it or there were too many since the last flush.
func (e *engine) event(kind eventKind, p *pattern, at int64, now time.Time) (rl plog.ResourceLogs, lr plog.LogRecord, ok bool) {
	if e.logsViews.Load() == 0 {
		return rl, lr, false
	}
	if e.budget <= 0 {
		e.stats.overBudget++
		return rl, lr, false
	}
	e.budget--
	if e.told.size == 0 {
		e.told.load = plog.NewLogs()
	}
	e.told.size++
	e.told.events[kind]++
	rl = e.told.load.ResourceLogs().AppendEmpty()
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().SetName(metadata.ScopeName)
	lr = sl.LogRecords().AppendEmpty()
	lr.SetEventName(string(eventNames[kind]))
	lr.SetTimestamp(pcommon.Timestamp(max(0, at))) //nolint:gosec // not negative
	lr.SetObservedTimestamp(pcommon.NewTimestampFromTime(now))
	lr.SetSeverityNumber(p.severity.number())
	lr.SetSeverityText(severityNames[p.severity])
	attributes := lr.Attributes()
	attributes.PutStr(semconv.AttrLogPatternID, p.idText)
	attributes.PutStr(semconv.AttrLogRecordTemplate, p.template)
	p.putClasses(attributes)
	if p.exception != nil {
		p.exception.put(attributes)
	}
	return rl, lr, true
}

// tellNew tells of a template that a service writes for the first time, and of the exception in the first record's attributes,
// if there is one.
func (e *engine) tellNew(t *taking, first plog.LogRecord, p *pattern, exception *exceptionCount, at int64) {
	rl, lr, ok := e.event(eventNew, p, at, t.now)
	if !ok {
		return
	}
	t.resource.CopyTo(rl.Resource().Attributes())
	if n := first.SeverityNumber(); n != plog.SeverityNumberUnspecified {
		lr.SetSeverityNumber(n)
	}
	if exception != nil {
		exception.put(lr.Attributes())
	}
	lr.SetTraceID(first.TraceID())
	lr.SetSpanID(first.SpanID())
	lr.SetFlags(first.Flags())
	lr.Body().SetStr(p.template)
}

// tellRate tells of a template whose rate has become another.
func (e *engine) tellRate(s *service, p *pattern, found patternrate.Finding, f *flush, now time.Time) {
	kind := eventSurge
	if found.Kind == patternrate.Vanished {
		kind = eventVanished
	}
	rl, lr, ok := e.event(kind, p, int64(f.end)-1, now) //nolint:gosec // a time
	if !ok {
		return
	}
	for _, a := range s.attributes {
		rl.Resource().Attributes().PutStr(a.name, a.value)
	}
	lr.Body().SetStr(p.template)
	attributes := lr.Attributes()
	attributes.PutDouble(semconv.AttrLogPatternObserved, found.Observed)
	attributes.PutDouble(semconv.AttrLogPatternExpected, found.Expected)
	attributes.PutDouble(semconv.AttrLogPatternWindow, float64(found.Buckets)*e.cfg.FlushInterval.Seconds())
	if p.open[f.place] > 0 {
		lr.SetTraceID(p.traces[f.place].trace)
		lr.SetSpanID(p.traces[f.place].span)
	}
}
