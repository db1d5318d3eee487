package logpatternconnector

import (
	"context"
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/internal/logpattern"
	"github.com/paramedic-otel/paramedic/semconv"
)

// taking is a batch that is being taken in.
type taking struct {
	ctx      context.Context
	annotate Annotate
	now      time.Time
	times    batchTimes
	resource pcommon.Map
	// service is that of the resource, once it is found; nil when there is no room for it.
	service *service
	found   bool
	// closed is what the first open interval was when it was found.
	closed int64
}

// silentFor is for how long a service must have written nothing to make room for another one.
const silentFor = time.Hour

// take counts and annotates a record.
func (e *engine) take(t *taking, lr plog.LogRecord) {
	if strings.HasPrefix(lr.EventName(), eventPrefix) {
		e.stats.outcomes[outcomeEvent]++
		return
	}
	at := e.timeOf(t, lr)
	interval := e.open(t.ctx, at, t.now)
	if !t.found || t.closed != e.next {
		// Services may be forgotten when an interval is closed.
		t.service, t.found, t.closed = e.serviceOf(t.resource, at), true, e.next
	}
	exception := exceptionAttributes(lr.Attributes())
	found, novelty, ok := e.match(lr, &exception, at)
	var known *pattern
	if t.service == nil {
		e.stats.merged[mergedServices]++
	} else {
		known = e.count(t, lr, &found, &exception, ok, at, interval)
	}
	if ok && t.annotate != AnnotateOff {
		e.annotate(t.annotate, lr, &found, known, novelty)
	}
}

// count counts a record of a service, and returns its pattern there; nil when it has none.
func (e *engine) count(t *taking, lr plog.LogRecord, found *logpattern.Pattern, exception *exceptionValues, ok bool, at, interval int64) *pattern {
	s := t.service
	place := interval & 1
	e.used[place] = true
	severity := severityOf(lr, exception, e.line)
	counts := &s.open[place]
	counts.records++
	s.records++
	s.last = max(s.last, interval)
	if severity >= classError {
		counts.errors++
	}
	trace := lr.TraceID()
	if !trace.IsEmpty() {
		counts.traced++
		counts.traces.Add(mix(binary.LittleEndian.Uint64(trace[:8]) ^ binary.LittleEndian.Uint64(trace[8:])*mixer))
	}
	counted := e.countException(s, exception, interval)
	if !ok {
		counts.other[severity]++
		return nil
	}
	p, isNew := e.patternOf(s, found, severity)
	if p == nil {
		e.stats.merged[mergedPatterns]++
		counts.other[severity]++
		return nil
	}
	if p.open[place]++; p.open[place] == 1 {
		p.traces[place] = traceRef{trace, lr.SpanID()}
	}
	p.last = max(p.last, interval)
	if p.exception != nil && counted == nil {
		p.exception.open[place]++
		p.exception.last = max(p.exception.last, interval)
	}
	if isNew && severity >= e.minSeverity && e.hasLearnt(s, at) {
		e.tellNew(t, lr, p, counted, at)
	}
	return p
}

// timeOf returns when a record counts.
func (e *engine) timeOf(t *taking, lr plog.LogRecord) int64 {
	ts := lr.Timestamp()
	if ts == 0 {
		ts = lr.ObservedTimestamp()
	}
	if ts == 0 || ts > math.MaxInt64/2 {
		// Now is not what the watermark follows: a stream without times may be of another time.
		e.stats.timeless++
		if e.clock.started {
			return max(e.clock.watermark, t.times.newest)
		}
		ts = pcommon.NewTimestampFromTime(t.now)
	}
	at, skewed := e.clock.place(int64(ts), &t.times) //nolint:gosec // checked
	if skewed {
		e.stats.skewed++
	}
	return at
}

// hasLearnt reports whether a service is known well enough for something to be new.
func (e *engine) hasLearnt(s *service, at int64) bool {
	return at-s.first >= int64(e.cfg.Learning.Period) && s.records > uint64(e.cfg.Learning.Records) //nolint:gosec // not negative
}

// match finds the template of a record; ok is false when it has no text.
func (e *engine) match(lr plog.LogRecord, exception *exceptionValues, at int64) (found logpattern.Pattern, novelty logpattern.Novelty, ok bool) {
	e.line = ""
	if e.cfg.AcceptAnnotations {
		if found, ok := annotated(lr.Attributes()); ok {
			found.Template = found.Template[:min(len(found.Template), e.cfg.Limits.LineBytes)]
			e.line = found.Template
			e.stats.outcomes[outcomeAnnotated]++
			return found, logpattern.KnownPattern, true
		}
	}
	e.line = e.textOf(lr.Body())
	if e.line == "" {
		e.line = exception.text()
	}
	if e.line == "" {
		e.stats.outcomes[outcomeNoText]++
		return found, novelty, false
	}
	found, novelty = e.miner.Match(e.line, at)
	e.stats.outcomes[outcomeMined]++
	return found, novelty, true
}

// annotated returns the pattern that a record came with.
func annotated(attributes pcommon.Map) (p logpattern.Pattern, ok bool) {
	id, ok := attributes.Get(semconv.AttrLogPatternID)
	if !ok || id.Type() != pcommon.ValueTypeStr {
		return p, false
	}
	template, ok := attributes.Get(semconv.AttrLogRecordTemplate)
	if !ok || template.Type() != pcommon.ValueTypeStr || template.Str() == "" {
		return p, false
	}
	if p.ID, ok = parseID(id.Str()); !ok {
		return p, false
	}
	p.Template = template.Str()
	if aliases, ok := attributes.Get(semconv.AttrLogPatternAliases); ok && aliases.Type() == pcommon.ValueTypeSlice {
		for _, alias := range aliases.Slice().All() {
			if former, ok := parseID(alias.Str()); ok && former != p.ID && len(p.Aliases) < maxAliases {
				p.Aliases = append(p.Aliases, former)
			}
		}
	}
	return p, true
}

// maxAliases bounds the former IDs that are read of one record.
const maxAliases = 64

// parseID reads the text of an ID.
func parseID(text string) (logpattern.ID, bool) {
	if len(text) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 16, 64)
	return logpattern.ID(n), err == nil
}

// annotate writes the pattern to a record.
func (e *engine) annotate(annotate Annotate, lr plog.LogRecord, p *logpattern.Pattern, known *pattern, novelty logpattern.Novelty) {
	attributes := lr.Attributes()
	if known != nil {
		attributes.PutStr(semconv.AttrLogPatternID, known.idText)
	} else {
		attributes.PutStr(semconv.AttrLogPatternID, p.ID.String())
	}
	if annotate != AnnotateID {
		attributes.PutStr(semconv.AttrLogRecordTemplate, p.Template)
	}
	if novelty == logpattern.GeneralizedPattern && len(p.Aliases) > 0 {
		aliases := attributes.PutEmptySlice(semconv.AttrLogPatternAliases)
		for _, alias := range p.Aliases {
			aliases.AppendEmpty().SetStr(alias.String())
		}
	}
	if annotate == AnnotateReplaceBody {
		lr.Body().SetStr(p.Template)
		attributes.Remove(semconv.AttrExceptionMessage)
		attributes.Remove(semconv.AttrExceptionStacktrace)
	}
}

// mixer is an odd number with evenly distributed bits, that of the golden ratio.
const mixer = 0x9e3779b97f4a7c15

// mix distributes the bits of a number evenly: the finalizer of G. Steele et al., "Fast splittable pseudorandom number
// generators", OOPSLA 2014.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
