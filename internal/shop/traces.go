package shop

import (
	"strconv"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/semconv"
)

// encodeSpans turns the records, which are in the order of time, into spans grouped by pod.
func encodeSpans(records []spanRecord, tick int64) ptrace.Traces {
	traces := ptrace.NewTraces()
	for i := range records {
		r := &records[i]
		p := r.pod
		if p.tick != tick+1 {
			p.tick = tick + 1
			rs := traces.ResourceSpans().AppendEmpty()
			rs.SetSchemaUrl(schemaURL)
			p.describe(rs.Resource().Attributes())
			ss := rs.ScopeSpans().AppendEmpty()
			describeScope(ss.Scope())
			p.spans = ss.Spans()
		}
		r.encode(p.spans.AppendEmpty())
	}
	for i := range records { // let go of what the caller now owns
		records[i].pod.spans = ptrace.SpanSlice{}
	}
	return traces
}

func (r *spanRecord) encode(span ptrace.Span) {
	span.SetTraceID(r.trace)
	span.SetSpanID(r.id)
	span.SetParentSpanID(r.parent)
	span.SetFlags(1) // sampled
	span.SetStartTimestamp(pcommon.Timestamp(r.start))
	span.SetEndTimestamp(pcommon.Timestamp(r.end))
	attrs := span.Attributes()
	attrs.EnsureCapacity(12)
	switch r.role {
	case roleServer:
		span.SetKind(ptrace.SpanKindServer)
		span.SetName(r.op.name)
		r.encodeServer(attrs)
	case roleConsumer:
		span.SetKind(ptrace.SpanKindConsumer)
		span.SetName(r.op.name)
		encodeMessaging(attrs, r.op.route, "process")
		attrs.PutStr("messaging.consumer.group.name", specs[r.op.service].name)
	case roleClient:
		span.SetKind(ptrace.SpanKindClient)
		r.encodeClient(span, attrs)
	case roleQuery:
		span.SetKind(ptrace.SpanKindClient)
		span.SetName(r.step.name)
		encodeQuery(attrs, r.step)
	case roleProducer:
		span.SetKind(ptrace.SpanKindProducer)
		span.SetName(r.step.name)
		encodeMessaging(attrs, r.step.topic, "send")
	}
	r.encodeFailure(span, attrs)
}

func (r *spanRecord) encodeServer(attrs pcommon.Map) {
	host := specs[r.op.service].name
	if specs[r.op.service].protocol == protoGRPC {
		encodeRPC(attrs, r.op, r.failure)
		attrs.PutStr("server.address", host)
		attrs.PutInt("server.port", grpcPort)
		return
	}
	attrs.PutStr("http.request.method", r.op.method)
	attrs.PutStr("http.route", r.op.route)
	attrs.PutStr("url.path", r.path)
	attrs.PutStr("url.scheme", "http")
	attrs.PutStr("network.protocol.version", "1.1")
	attrs.PutInt("http.response.status_code", int64(statusOf(r.failure)))
	attrs.PutStr("server.address", host)
	attrs.PutInt("server.port", httpPort)
	if r.parent.IsEmpty() {
		attrs.PutStr("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	}
}

// The ports that the services listen on.
const (
	httpPort     = 8080
	grpcPort     = 9090
	postgresPort = 5432
	redisPort    = 6379
	kafkaPort    = 9092
)

func (r *spanRecord) encodeClient(span ptrace.Span, attrs pcommon.Map) {
	o := r.step.op
	host := specs[o.service].name
	if specs[o.service].protocol == protoGRPC {
		span.SetName(o.name)
		encodeRPC(attrs, o, r.failure)
		attrs.PutStr("server.address", host)
		attrs.PutInt("server.port", grpcPort)
		return
	}
	span.SetName(o.method)
	attrs.PutStr("http.request.method", o.method)
	attrs.PutStr("url.full", "http://"+host+":"+strconv.Itoa(httpPort)+r.path)
	if status := statusOf(r.failure); status != 0 {
		attrs.PutInt("http.response.status_code", int64(status))
	}
	attrs.PutStr("server.address", host)
	attrs.PutInt("server.port", httpPort)
}

func encodeRPC(attrs pcommon.Map, o *operation, f *failure) {
	attrs.PutStr("rpc.system.name", "grpc")
	attrs.PutStr("rpc.method", o.name)
	status := "OK"
	if f != nil {
		status = f.rpc
	}
	if status == "" { // no answer came
		status = "UNAVAILABLE"
		if f == failTimeout {
			status = "DEADLINE_EXCEEDED"
		}
	}
	attrs.PutStr("rpc.response.status_code", status)
}

func encodeQuery(attrs pcommon.Map, s *step) {
	attrs.PutStr("server.address", specs[s.to].name)
	if s.to == ordersDB {
		attrs.PutStr("db.system.name", "postgresql")
		attrs.PutStr("db.namespace", "orders")
		attrs.PutStr("db.collection.name", s.collection)
		attrs.PutStr("db.query.summary", s.name)
		attrs.PutInt("server.port", postgresPort)
	} else {
		attrs.PutStr("db.system.name", "redis")
		attrs.PutStr("db.namespace", "0")
		attrs.PutInt("server.port", redisPort)
	}
	attrs.PutStr("db.operation.name", s.verb)
}

func encodeMessaging(attrs pcommon.Map, topic, operation string) {
	attrs.PutStr("messaging.system", "kafka")
	attrs.PutStr("messaging.destination.name", topic)
	attrs.PutStr("messaging.operation.name", operation)
	attrs.PutStr("messaging.operation.type", operation)
	attrs.PutStr("server.address", kafkaHost)
	attrs.PutInt("server.port", kafkaPort)
}

// encodeFailure sets the status and, for what the span itself witnessed, the exception.
func (r *spanRecord) encodeFailure(span ptrace.Span, attrs pcommon.Map) {
	f := r.failure
	if f == nil || f.asked {
		return
	}
	attrs.PutStr("error.type", r.errorType())
	span.Status().SetCode(ptrace.StatusCodeError)
	answered := r.role == roleClient && f.status != 0
	if answered {
		return
	}
	span.Status().SetMessage(f.message)
	event := span.Events().AppendEmpty()
	event.SetName("exception")
	event.SetTimestamp(pcommon.Timestamp(r.end))
	f.describe(event.Attributes())
}

// errorType is the HTTP status of an answer, or the kind of error without one.
func (r *spanRecord) errorType() string {
	if r.role == roleClient && specs[r.step.to].protocol == protoHTTP && r.failure.status != 0 {
		return strconv.Itoa(r.failure.status)
	}
	return r.failure.errType
}

func (f *failure) describe(attrs pcommon.Map) {
	attrs.PutStr(semconv.AttrExceptionType, f.errType)
	attrs.PutStr(semconv.AttrExceptionMessage, f.message)
	attrs.PutStr(semconv.AttrExceptionStacktrace, f.errType+": "+f.message+"\n\tat shop.server.handle(server.go:118)\n\tat shop.server.serve(server.go:64)")
}

func statusOf(f *failure) int {
	if f == nil {
		return 200
	}
	return f.status
}
