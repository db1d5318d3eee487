package incidentconnector

import (
	"strconv"
	"strings"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatautil"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/internal/logflow"
	"github.com/paramedic-otel/paramedic/semconv"
)

// ingestPatterns takes counts of log records by template in. Where the records themselves come
// as well, they say the same and more, and the counts are not read.
func (e *engine) ingestPatterns(m pmetric.Metric, resource [16]byte, note resourceNote) {
	if m.Type() != pmetric.MetricTypeSum || !note.met || e.recordsCome(note.entity.Name) {
		return
	}
	for _, p := range m.Sum().DataPoints().All() {
		template := str(p.Attributes(), semconv.AttrLogRecordTemplate)
		r := reading{count: numberOf(p)}
		if template == "" || !(r.count >= 0) || r.count > maxAmount {
			e.refusals.invalid++
			continue
		}
		at, skewed := e.clock.place(p.Timestamp().AsTime().Add(-1))
		if skewed {
			e.refusals.skewed++
		}
		if m.Sum().AggregationTemporality() == pmetric.AggregationTemporalityCumulative {
			known, refused := e.deltas.since(seriesKey{m.Name(), resource, pdatautil.MapHash(p.Attributes())}, p.StartTimestamp(), p.Timestamp(), &r)
			if refused {
				e.refusals.limit++
			}
			if !known || skewed {
				continue
			}
		}
		if r.count == 0 {
			continue
		}
		e.flow.Observe(logflow.Record{
			Service: note.entity.Name, Bucket: e.openBucket(at), Template: template, Count: r.count,
			Error: isErrorSeverity(p.Attributes()),
		})
	}
}

// recordsCome reports whether log records of a service itself have come lately.
func (e *engine) recordsCome(service string) bool {
	last, ok := e.directory.records[service]
	return ok && e.clock.watermark.Sub(last) < e.cfg.StaleAfter
}

// isErrorSeverity reports whether the attribute severity, as text or as a number, is that of an error or worse.
func isErrorSeverity(attrs pcommon.Map) bool {
	v, ok := attrs.Get(semconv.AttrLogPatternSeverity)
	if !ok {
		return false
	}
	if v.Type() == pcommon.ValueTypeInt {
		return plog.SeverityNumber(v.Int()) >= severityError
	}
	if v.Type() != pcommon.ValueTypeStr {
		return false
	}
	severity := strings.ToLower(v.Str())
	if n, err := strconv.Atoi(severity); err == nil {
		return plog.SeverityNumber(n) >= severityError
	}
	for _, prefix := range []string{"error", "fatal", "critical", "alert", "emerg"} {
		if strings.HasPrefix(severity, prefix) {
			return true
		}
	}
	return false
}

// newPattern is a log template that somebody else has never seen before, or that is written far more or less often than it was.
type newPattern struct {
	event             semconv.EventName
	service, template string
	isError           bool
	at                time.Time
	trace             pcommon.TraceID
}

// maxNewPatterns is how many of them are held until the next bucket is judged.
const maxNewPatterns = 1000

// isPatternEvent reports whether a record tells of a template.
func isPatternEvent(lr plog.LogRecord) bool {
	switch semconv.EventName(lr.EventName()) {
	case semconv.EventLogPatternNew, semconv.EventLogPatternSurge, semconv.EventLogPatternVanished:
		return true
	default:
		return false
	}
}

// observePattern takes a record that tells of a template.
func (e *engine) observePattern(service string, at time.Time, lr plog.LogRecord) {
	template := str(lr.Attributes(), semconv.AttrLogRecordTemplate)
	if template == "" {
		template = messageOf(lr.Body())
	}
	if template == "" {
		e.refusals.invalid++
		return
	}
	if len(e.patterns) >= maxNewPatterns {
		e.refusals.limit++
		return
	}
	e.patterns = append(e.patterns, newPattern{
		semconv.EventName(lr.EventName()), service, bounded(template), lr.SeverityNumber() >= severityError || isErrorSeverity(lr.Attributes()), at, lr.TraceID(),
	})
}

// notePatterns turns what is told of templates into symptoms. That something new is logged says little by itself, nor does a rate.
func (e *engine) notePatterns(now time.Time) {
	later := e.patterns[:0]
	for _, p := range e.patterns {
		if !p.at.Before(now) {
			later = append(later, p)
			continue
		}
		entity := semconv.Entity{Type: semconv.EntityService, Name: p.service}
		kind, what := semconv.CauseUnknown, "a message"
		if p.isError {
			kind, what = semconv.CauseErrors, "an error"
		}
		befell, key := " was never logged before: ", "new\x00"
		switch p.event {
		case semconv.EventLogPatternSurge:
			befell, key = " is logged far more often than before: ", "surge\x00"
		case semconv.EventLogPatternVanished:
			befell, key, kind = " is hardly logged any more: ", "vanished\x00", semconv.CauseUnknown
		}
		s := symptom{
			key: symptomKey{classLog, entity, key + p.template}, logsErrors: p.isError && p.event != semconv.EventLogPatternVanished,
			kind: kind, onset: p.at, surprise: minSurprise, score: scoreOf(minSurprise), signal: string(p.event),
			summary: what + befell + strconv.Quote(excerpt(p.template)),
		}
		if !p.trace.IsEmpty() {
			s.examples = traces{{id: p.trace, at: p.at}}
		}
		e.note(now, observation{trend: excess.Persisting, symptom: s})
	}
	clear(e.patterns[len(later):])
	e.patterns = later
}
