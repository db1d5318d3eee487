package semconv

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Keys of the body map of an incident event.
const (
	bodyTitle      = "title"
	bodyCauses     = "causes"
	bodyTimeline   = "timeline"
	bodyImpact     = "impact"
	bodyChanges    = "changes"
	keyEntity      = "entity"
	keyType        = "type"
	keyName        = "name"
	keyKind        = "kind"
	keyConfidence  = "confidence"
	keyShare       = "share"
	keyResource    = "resource"
	keyEvidence    = "evidence"
	keySignal      = "signal"
	keyOnset       = "onset"
	keyDeviation   = "deviation"
	keyScore       = "score"
	keySummary     = "summary"
	keyServices    = "services"
	keyRatio       = "ratio"
	keyTime        = "time"
	keyText        = "text"
	keyChange      = "change"
	keyTraceIDs    = "trace_ids"
	maxListEntries = 1000
)

// IsIncidentEvent reports whether the record's event name is one of an incident's life.
func IsIncidentEvent(lr plog.LogRecord) bool {
	switch EventName(lr.EventName()) {
	case EventIncidentOpened, EventIncidentUpdated, EventIncidentResolved:
		return true
	default:
		return false
	}
}

// Encode writes the event into an empty log record.
func (e IncidentEvent) Encode(lr plog.LogRecord) {
	inc := &e.Incident
	lr.SetEventName(string(e.Name))
	lr.SetTimestamp(pcommon.NewTimestampFromTime(e.Time))
	lr.SetObservedTimestamp(pcommon.NewTimestampFromTime(e.Time))
	number, text := inc.Severity.logSeverity()
	lr.SetSeverityNumber(number)
	lr.SetSeverityText(text)

	cause := inc.Cause()
	attrs := lr.Attributes()
	attrs.EnsureCapacity(20)
	attrs.PutStr(AttrIncidentID, inc.ID)
	attrs.PutInt(AttrIncidentRevision, inc.Revision)
	attrs.PutStr(AttrIncidentFingerprint, inc.Fingerprint)
	attrs.PutStr(AttrIncidentStatus, string(inc.Status))
	attrs.PutStr(AttrIncidentSeverity, string(inc.Severity))
	if inc.Resolution != "" {
		attrs.PutStr(AttrIncidentResolution, string(inc.Resolution))
	}
	putTime(attrs, AttrIncidentStartedAt, inc.StartedAt)
	putTime(attrs, AttrIncidentDetectedAt, inc.DetectedAt)
	putTime(attrs, AttrIncidentResolvedAt, inc.ResolvedAt)
	if cause.Entity != (Entity{}) {
		attrs.PutStr(AttrIncidentCauseEntityType, string(cause.Entity.Type))
		attrs.PutStr(AttrIncidentCauseEntityName, cause.Entity.Name)
	}
	attrs.PutStr(AttrIncidentCauseKind, string(cause.Kind))
	attrs.PutDouble(AttrIncidentCauseConfidence, cause.Confidence)
	putStrings(attrs, AttrIncidentEntryPoints, inc.EntryPoints)
	attrs.PutDouble(AttrIncidentImpactRatio, inc.Impact.Ratio)
	inc.encodeLife(attrs)

	body := lr.Body().SetEmptyMap()
	body.PutStr(bodyTitle, inc.Title)
	causes := body.PutEmptySlice(bodyCauses)
	for i := range inc.Causes {
		inc.Causes[i].encode(causes.AppendEmpty().SetEmptyMap())
	}
	timeline := body.PutEmptySlice(bodyTimeline)
	for _, t := range inc.Timeline {
		m := timeline.AppendEmpty().SetEmptyMap()
		putTime(m, keyTime, t.Time)
		m.PutStr(keyText, t.Text)
	}
	inc.Impact.encode(body.PutEmptyMap(bodyImpact))
	inc.encodeGraph(body)
	changes := body.PutEmptySlice(bodyChanges)
	for _, c := range inc.Changes {
		c.encode(changes.AppendEmpty().SetEmptyMap())
	}
	if len(inc.Decisions) == 0 {
		return
	}
	decisions := body.PutEmptySlice(bodyDecisions)
	for _, d := range inc.Decisions {
		m := decisions.AppendEmpty().SetEmptyMap()
		putTime(m, keyTime, d.Time)
		putText(m, keyIncident, d.Incident)
		m.PutStr(keySubject, d.Subject)
		m.PutStr(keyDecision, d.Verdict)
		m.PutStr(keyReason, d.Reason)
		putText(m, keyDetail, d.Detail)
	}
}

// DecodeIncidentEvent reads an incident event from a log record that may come from anywhere. It returns all that is
// wrong with the record at once: an unknown event name, a missing incident.id, an unknown status or severity, a number
// outside its range or a time that is not RFC 3339. Unknown attributes and body keys are ignored, and lists are cut off
// after 1,000 entries.
func DecodeIncidentEvent(lr plog.LogRecord) (IncidentEvent, error) {
	d := decoder{}
	e := IncidentEvent{Name: EventName(lr.EventName())}
	if !IsIncidentEvent(lr) {
		d.fail("event name", "must be %s, %s or %s, got %q", EventIncidentOpened, EventIncidentUpdated, EventIncidentResolved, lr.EventName())
	}
	if lr.Timestamp() > math.MaxInt64 {
		d.fail("timestamp", "is out of range: %d", uint64(lr.Timestamp()))
	}
	e.Time = lr.Timestamp().AsTime()
	inc := &e.Incident
	attrs := lr.Attributes()
	inc.ID = d.str(attrs, AttrIncidentID)
	if inc.ID == "" {
		d.fail(AttrIncidentID, "must not be empty")
	}
	inc.Revision = d.integer(attrs, AttrIncidentRevision)
	inc.Fingerprint = d.str(attrs, AttrIncidentFingerprint)
	inc.Status = IncidentStatus(d.str(attrs, AttrIncidentStatus))
	if inc.Status != StatusOpen && inc.Status != StatusResolved {
		d.fail(AttrIncidentStatus, "must be %s or %s, got %q", StatusOpen, StatusResolved, inc.Status)
	}
	inc.Severity = Severity(d.str(attrs, AttrIncidentSeverity))
	if _, text := inc.Severity.logSeverity(); text == "" {
		d.fail(AttrIncidentSeverity, "must be %s, %s or %s, got %q", SeverityCritical, SeverityMajor, SeverityMinor, inc.Severity)
	}
	inc.Resolution = Resolution(d.str(attrs, AttrIncidentResolution))
	switch inc.Resolution {
	case "", ResolutionRecovered, ResolutionNoData, ResolutionMerged:
	default:
		d.fail(AttrIncidentResolution, "must be %s, %s or %s, got %q", ResolutionRecovered, ResolutionNoData, ResolutionMerged, inc.Resolution)
	}
	inc.StartedAt = d.time(attrs, AttrIncidentStartedAt)
	inc.DetectedAt = d.time(attrs, AttrIncidentDetectedAt)
	inc.ResolvedAt = d.time(attrs, AttrIncidentResolvedAt)
	inc.EntryPoints = d.strings(attrs, AttrIncidentEntryPoints)

	body := pcommon.NewMap()
	if lr.Body().Type() == pcommon.ValueTypeMap {
		body = lr.Body().Map()
	} else if lr.Body().Type() != pcommon.ValueTypeEmpty {
		d.fail("body", "must be a map, got %s", lr.Body().Type())
	}
	inc.Title = d.str(body, bodyTitle)
	for m := range d.maps(body, bodyCauses) {
		inc.Causes = append(inc.Causes, d.cause(m))
	}
	if len(inc.Causes) == 0 {
		d.flatCause(attrs, inc)
	}
	for m := range d.maps(body, bodyTimeline) {
		inc.Timeline = append(inc.Timeline, TimelineEntry{Time: d.time(m, keyTime), Text: d.str(m, keyText)})
	}
	inc.Impact = d.impact(attrs, d.child(body, bodyImpact))
	inc.Graph = d.graph(body)
	d.life(attrs, body, inc)
	for m := range d.maps(body, bodyChanges) {
		inc.Changes = append(inc.Changes, d.change(m))
	}
	if len(d.errs) > 0 {
		return IncidentEvent{}, fmt.Errorf("decode incident event: %w", errors.Join(d.errs...))
	}
	return e, nil
}

// logSeverity returns the log severity number and text that stand for s, and an empty text when s is not a severity.
func (s Severity) logSeverity() (plog.SeverityNumber, string) {
	switch s {
	case SeverityCritical:
		return plog.SeverityNumberFatal, "FATAL"
	case SeverityMajor:
		return plog.SeverityNumberError, "ERROR"
	case SeverityMinor:
		return plog.SeverityNumberWarn, "WARN"
	default:
		return plog.SeverityNumberUnspecified, ""
	}
}

func (c *Cause) encode(m pcommon.Map) {
	c.Entity.encode(m.PutEmptyMap(keyEntity))
	m.PutStr(keyKind, string(c.Kind))
	m.PutDouble(keyConfidence, c.Confidence)
	m.PutDouble(keyShare, c.Share)
	resource := m.PutEmptyMap(keyResource)
	for _, k := range sortedKeys(c.Resource) {
		resource.PutStr(k, c.Resource[k])
	}
	evidence := m.PutEmptySlice(keyEvidence)
	for _, ev := range c.Evidence {
		em := evidence.AppendEmpty().SetEmptyMap()
		em.PutStr(keySignal, ev.Signal)
		putTime(em, keyOnset, ev.Onset)
		em.PutDouble(keyDeviation, ev.Deviation)
		em.PutDouble(keyScore, ev.Score)
		em.PutStr(keySummary, ev.Summary)
		if ev.Kind != "" {
			em.PutStr(keyKind, string(ev.Kind))
		}
		if ev.Entity != (Entity{}) {
			ev.Entity.encode(em.PutEmptyMap(keyEntity))
		}
		if len(ev.TraceIDs) > 0 {
			putStrings(em, keyTraceIDs, ev.TraceIDs[:min(len(ev.TraceIDs), MaxTraceIDs)])
		}
	}
	if c.Change != nil {
		c.Change.encode(m.PutEmptyMap(keyChange))
	}
}

func (c *Change) encode(m pcommon.Map) {
	putTime(m, keyTime, c.Time)
	c.Entity.encode(m.PutEmptyMap(keyEntity))
	m.PutStr(keySummary, c.Summary)
	if c.Kind != "" {
		m.PutStr(keyKind, c.Kind)
	}
}

func (e Entity) encode(m pcommon.Map) {
	m.PutStr(keyType, string(e.Type))
	m.PutStr(keyName, e.Name)
}

func putTime(m pcommon.Map, key string, t time.Time) {
	if !t.IsZero() {
		m.PutStr(key, t.UTC().Format(time.RFC3339Nano))
	}
}

func putStrings(m pcommon.Map, key string, values []string) {
	s := m.PutEmptySlice(key)
	s.EnsureCapacity(len(values))
	for _, v := range values {
		s.AppendEmpty().SetStr(v)
	}
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
