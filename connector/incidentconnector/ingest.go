package incidentconnector

import (
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/internal/logflow"
	"github.com/paramedic-otel/paramedic/semconv"
)

// graphMetrics says what the points of each service graph metric add to a sample.
var graphMetrics = map[string]func(*edgehealth.Sample, *reading){
	semconv.MetricGraphRequestTotal:       func(s *edgehealth.Sample, r *reading) { s.Requests = r.count },
	semconv.MetricGraphRequestFailedTotal: func(s *edgehealth.Sample, r *reading) { s.Failed = r.count },
	semconv.MetricGraphUnseenRequestTotal: func(s *edgehealth.Sample, r *reading) { s.Unseen = r.count },
	semconv.MetricGraphRequestServer: func(s *edgehealth.Sample, r *reading) {
		s.ServerSeconds, s.ServerLatency = r.sum, r.latency
	},
	semconv.MetricGraphRequestClient: func(s *edgehealth.Sample, r *reading) {
		s.ClientSeconds, s.ClientLatency = r.sum, r.latency
	},
}

// ingestMetrics takes a batch in. Of metrics that are not named here only the times count.
func (e *engine) ingestMetrics(md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		if ours(rm) {
			continue
		}
		source, note := e.read(rm.Resource().Attributes())
		e.clock.enter(source, resourceMetricTimes(rm))
		if note.entity.Type == semconv.EntityService && !note.met {
			e.refusals.limit++
		}
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				switch apply := graphMetrics[m.Name()]; {
				case apply != nil:
					e.ingestGraph(m, source, apply)
				case m.Name() == semconv.MetricAnomalyScore || m.Name() == semconv.MetricAnomalyDeviation:
					e.ingestAnomaly(m, sm, rm, source, note)
				case operationMetrics[m.Name()]:
					e.ingestOperations(m, source)
				case m.Name() == semconv.MetricLogPatternCount:
					e.ingestPatterns(m, source, note)
				}
			}
		}
	}
}

// ingestLogs takes a batch in.
func (e *engine) ingestLogs(ld plog.Logs) {
	for _, rl := range ld.ResourceLogs().All() {
		resource := rl.Resource().Attributes()
		source, note := e.read(resource)
		e.clock.enter(source, resourceRecordTimes(rl))
		if note.entity.Type == semconv.EntityService && !note.met {
			e.refusals.limit += int64(recordCount(rl))
		}
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				ts := timeOfRecord(lr)
				if ts == 0 {
					e.refusals.invalid++
					continue
				}
				at, skewed := e.clock.place(ts.AsTime())
				if skewed {
					e.refusals.skewed++
				}
				switch {
				case semconv.IsIncidentEvent(lr), lr.EventName() == string(semconv.EventIncidentDecision):
					// Our own events tell nothing new.
				case e.ingestDeployment(at, note, resource, lr):
				case e.ingestKubernetes(at, resource, lr):
				case semconv.EventName(lr.EventName()) == semconv.EventAlertRaised:
					if !e.alerts.add(at) {
						e.refusals.limit++
					}
				case note.met && isPatternEvent(lr):
					e.observePattern(note.entity.Name, at, lr)
				case note.met:
					e.observeRecord(note.entity.Name, at, lr)
				}
			}
		}
	}
}

// severityError is the first severity number that means an error.
const severityError = plog.SeverityNumberError

func (e *engine) observeRecord(service string, at time.Time, lr plog.LogRecord) {
	record := logflow.Record{
		Service: service, Bucket: e.openBucket(at), Error: lr.SeverityNumber() >= severityError,
		Message: messageOf(lr.Body()), Template: str(lr.Attributes(), semconv.AttrLogRecordTemplate),
	}
	trace, span := lr.TraceID(), lr.SpanID()
	copy(record.Context[:16], trace[:])
	copy(record.Context[16:], span[:])
	e.flow.Observe(record)
	text := record.Message
	if record.Template != "" {
		text = record.Template
	}
	e.directory.noteRecord(service, at, record.Error, text, trace, e.cfg.Bucket)
}

// openBucket returns the bucket in which something of a time counts: its own, unless that was judged already.
func (e *engine) openBucket(at time.Time) int64 {
	bucket := e.bucketOf(at)
	if e.clock.started() && bucket < e.next {
		e.refusals.late++
		return e.next
	}
	return bucket
}

// messageOf returns the text of a log body; for structured bodies, that under one of the usual keys.
func messageOf(body pcommon.Value) string {
	switch body.Type() {
	case pcommon.ValueTypeStr:
		return body.Str()
	case pcommon.ValueTypeMap:
		for _, key := range []string{"message", "msg", "event", "log"} {
			if s := str(body.Map(), key); s != "" {
				return s
			}
		}
	}
	return ""
}

func recordCount(rl plog.ResourceLogs) int {
	n := 0
	for _, sl := range rl.ScopeLogs().All() {
		n += sl.LogRecords().Len()
	}
	return n
}

// changeSummary says what a change event is about.
func changeSummary(resource pcommon.Map, lr plog.LogRecord) string {
	if s := messageOf(lr.Body()); s != "" {
		return bounded(s)
	}
	version := str(lr.Attributes(), semconv.AttrServiceVersion)
	if version == "" {
		version = str(resource, semconv.AttrServiceVersion)
	}
	if version == "" {
		return "changed"
	}
	return fmt.Sprintf("changed to version %s", bounded(version))
}
