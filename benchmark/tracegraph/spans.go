package main

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

const (
	services      = 12
	spansPerTrace = 20
	spansPerBatch = 200
)

// sides says which spans of the calls are in a batch.
type sides int

const (
	both sides = iota
	clients
	servers
)

// batch is a batch of 200 spans that can be given new identities and times again and again.
type batch struct {
	traces ptrace.Traces
	spans  []placed
	sides  sides
	// base is added to the numbers of the traces.
	base int
}

// placed is a span and its place in its trace: that of the call of a trace, and the side.
type placed struct {
	span        ptrace.Span
	trace, call int
	side        int
}

// newBatch returns a batch of 10 traces of 20 spans each, or of 20 traces of which only one side is there. A trace is a chain
// of ten calls through the services, with the attributes that the semantic conventions require or recommend for HTTP.
func newBatch(s sides) *batch {
	b := &batch{traces: ptrace.NewTraces(), sides: s}
	var of [services]ptrace.SpanSlice
	for i := range of {
		rs := b.traces.ResourceSpans().AppendEmpty()
		attrs := rs.Resource().Attributes()
		attrs.PutStr("service.name", fmt.Sprintf("service-%d", i))
		attrs.PutStr("service.namespace", "shop")
		attrs.PutStr("service.version", "1.2.0")
		attrs.PutStr("k8s.pod.name", fmt.Sprintf("service-%d-0", i))
		of[i] = rs.ScopeSpans().AppendEmpty().Spans()
	}
	traces := spansPerBatch / spansPerTrace
	if s != both {
		traces *= 2
	}
	type at struct{ service, trace, call, side int }
	var order []at
	for trace := range traces {
		for call := range spansPerTrace / 2 {
			for side := range 2 {
				if s == clients && side == 1 || s == servers && side == 0 {
					continue
				}
				service := (call + side) % services
				fill(of[service].AppendEmpty(), side)
				order = append(order, at{service, trace, call, side})
			}
		}
	}
	b.traces = received(b.traces)
	for i, rs := range b.traces.ResourceSpans().All() {
		of[i] = rs.ScopeSpans().At(0).Spans()
	}
	var next [services]int
	for _, o := range order {
		b.spans = append(b.spans, placed{of[o.service].At(next[o.service]), o.trace, o.call, o.side})
		next[o.service]++
	}
	return b
}

// received returns spans as a collector receives them, with memory of their own for each key and value.
func received(td ptrace.Traces) ptrace.Traces {
	data, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
	if err == nil {
		td, err = (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(data)
	}
	if err != nil {
		panic("encode spans and decode them: " + err.Error())
	}
	return td
}

func fill(span ptrace.Span, side int) {
	attrs := span.Attributes()
	span.SetName("GET /items/{id}")
	attrs.PutStr("http.request.method", "GET")
	attrs.PutInt("http.response.status_code", 200)
	attrs.PutStr("server.address", "items")
	attrs.PutInt("server.port", 8080)
	attrs.PutStr("network.protocol.version", "1.1")
	if side == 0 {
		span.SetKind(ptrace.SpanKindClient)
		attrs.PutStr("url.full", "http://items:8080/items/7")
		attrs.PutStr("network.peer.address", "10.1.2.3")
		attrs.PutInt("network.peer.port", 8080)
		return
	}
	span.SetKind(ptrace.SpanKindServer)
	attrs.PutStr("http.route", "/items/{id}")
	attrs.PutStr("url.path", "/items/7")
	attrs.PutStr("url.scheme", "http")
	attrs.PutStr("client.address", "10.1.2.4")
	attrs.PutStr("user_agent.original", "client/1.0")
}

// stamp makes the batch that of a round, which ended at the given time.
func (b *batch) stamp(round int, at time.Time) {
	traces := len(b.spans) / spansPerTrace
	if b.sides != both {
		traces *= 2
	}
	end, start := pcommon.NewTimestampFromTime(at), pcommon.NewTimestampFromTime(at.Add(-20*time.Millisecond))
	for k := range b.spans {
		p := &b.spans[k]
		n := mix(uint64(b.base+round*traces+p.trace) + 1)
		var trace pcommon.TraceID
		binary.BigEndian.PutUint64(trace[:8], n)
		binary.BigEndian.PutUint64(trace[8:], mix(n))
		p.span.SetTraceID(trace)
		p.span.SetSpanID(spanID(n, 2*p.call+p.side+1))
		p.span.SetParentSpanID(spanID(n, 2*p.call+p.side))
		p.span.SetStartTimestamp(start)
		p.span.SetEndTimestamp(end)
	}
}

// spanID returns the identity of the i-th span of a trace; the 0th is none.
func spanID(trace uint64, i int) (id pcommon.SpanID) {
	if i > 0 {
		binary.BigEndian.PutUint64(id[:], mix(trace+uint64(i)))
	}
	return id
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
