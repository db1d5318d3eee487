package tracegraphconnector

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/internal/servicegraph"
	"github.com/paramedic-otel/paramedic/semconv"
)

// unknownService is the name that the semantic conventions give a service without one.
const unknownService = "unknown_service"

// translator reads spans into a batch of the graph, which it reuses.
type translator struct {
	graph     *servicegraph.Graph
	batch     servicegraph.Batch
	maxLinks  int
	maxWeight float64
	// clampedWeights and ignoredLinks are running totals.
	clampedWeights, ignoredLinks int64
}

// translate fills the batch with the spans. Nothing of them is kept but copies of new names.
func (t *translator) translate(td ptrace.Traces) {
	t.batch.Reset()
	for _, rs := range td.ResourceSpans().All() {
		service := t.service(rs.Resource().Attributes())
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				t.span(span, service)
			}
		}
	}
}

func (t *translator) service(attrs pcommon.Map) servicegraph.NodeID {
	name, namespace := unknownService, ""
	for k, v := range attrs.All() {
		switch k {
		case semconv.AttrServiceName:
			if v.Type() == pcommon.ValueTypeStr && v.Str() != "" {
				name = v.Str()
			}
		case semconv.AttrServiceNamespace:
			if v.Type() == pcommon.ValueTypeStr {
				namespace = v.Str()
			}
		}
	}
	return t.graph.Service(namespace, name)
}

func (t *translator) span(span ptrace.Span, service servicegraph.NodeID) {
	trace, id, parent := span.TraceID(), span.SpanID(), span.ParentSpanID()
	t.batch.Spans = append(t.batch.Spans, servicegraph.Span{
		Trace:   traceID(trace),
		ID:      binary.BigEndian.Uint64(id[:]),
		Parent:  binary.BigEndian.Uint64(parent[:]),
		Start:   int64(min(uint64(span.StartTimestamp()), math.MaxInt64)),
		End:     int64(min(uint64(span.EndTimestamp()), math.MaxInt64)),
		Service: service,
		Weight:  1,
	})
	s := &t.batch.Spans[len(t.batch.Spans)-1]
	switch span.Kind() {
	case ptrace.SpanKindServer:
		s.Kind = servicegraph.KindServer
	case ptrace.SpanKindClient:
		s.Kind = servicegraph.KindClient
	case ptrace.SpanKindProducer:
		s.Kind = servicegraph.KindProducer
	case ptrace.SpanKindConsumer:
		s.Kind = servicegraph.KindConsumer
	default:
		return
	}
	if state := span.TraceState().AsRaw(); state != "" {
		s.Weight = t.weight(state)
	}
	var d details
	// A server's other side has no name worth having, so only a missing status makes its attributes of interest.
	if code := span.Status().Code(); s.Kind != servicegraph.KindServer || code == ptrace.StatusCodeUnset {
		d.read(span.Attributes())
		if code == ptrace.StatusCodeError || code == ptrace.StatusCodeUnset && d.failed() {
			s.Flags |= servicegraph.FlagFailed
		}
	} else if code == ptrace.StatusCodeError {
		s.Flags |= servicegraph.FlagFailed
	}
	t.peer(s, &d)
	if d.operation == "receive" {
		s.Flags |= servicegraph.FlagReceive
		// Receiving is a client's span by newer conventions; its links make it a consumer's.
		if s.Kind == servicegraph.KindClient && span.Links().Len() > 0 {
			s.Kind = servicegraph.KindConsumer
		}
	}
	if s.Kind == servicegraph.KindConsumer {
		t.links(s, span.Links())
	}
}

// peer names the other side of a call as far as the span's attributes do.
func (t *translator) peer(s *servicegraph.Span, d *details) {
	switch {
	case s.Kind == servicegraph.KindServer:
	case s.Kind == servicegraph.KindClient && (d.dbSystem != "" || d.dbName != ""):
		host := firstOf(d.peerService, d.address, d.netPeer, d.dbSystem)
		s.Peer = t.graph.Peer(host, d.dbName)
		s.Flags |= servicegraph.FlagDatabase
	case d.msgSystem != "" || d.destination != "":
		s.Peer = t.graph.Peer(d.msgSystem, firstOf(d.template, d.destination))
		s.Flags |= servicegraph.FlagMessaging
	case s.Kind == servicegraph.KindConsumer:
	default:
		if name := firstOf(d.peerService, d.address, d.netPeer, d.host, d.sockPeer); name != "" {
			s.Peer = t.graph.Peer("", name)
		}
	}
}

func (t *translator) links(s *servicegraph.Span, links ptrace.SpanLinkSlice) {
	s.LinkFrom = int32(len(t.batch.Links))
	for i, l := range links.All() {
		if i == t.maxLinks {
			t.ignoredLinks += int64(links.Len() - i)
			break
		}
		id := l.SpanID()
		link := servicegraph.Link{Trace: traceID(l.TraceID()), ID: binary.BigEndian.Uint64(id[:])}
		if link.ID != 0 && link.Trace != (servicegraph.TraceID{}) {
			t.batch.Links = append(t.batch.Links, link)
		}
	}
	s.LinkTo = int32(len(t.batch.Links))
}

func traceID(id pcommon.TraceID) servicegraph.TraceID {
	return servicegraph.TraceID{Hi: binary.BigEndian.Uint64(id[:8]), Lo: binary.BigEndian.Uint64(id[8:])}
}

// weight returns the number of spans that a sampled one stands for: the threshold of the tracestate's ot=th is the share,
// in 56 bits, of traces that were not kept.
func (t *translator) weight(state string) float32 {
	for member := range strings.SplitSeq(state, ",") {
		value, ok := strings.CutPrefix(strings.TrimSpace(member), "ot=")
		if !ok {
			continue
		}
		for field := range strings.SplitSeq(value, ";") {
			digits, ok := strings.CutPrefix(field, "th:")
			if !ok || digits == "" || len(digits) > 14 {
				continue
			}
			threshold, err := strconv.ParseUint(digits, 16, 64)
			if err != nil {
				return 1
			}
			threshold <<= 4 * (14 - len(digits))
			w := math.Ldexp(1, 56) / (math.Ldexp(1, 56) - float64(threshold))
			if w > t.maxWeight {
				t.clampedWeights++
				w = t.maxWeight
			}
			return float32(w)
		}
	}
	return 1
}

func firstOf(names ...string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return ""
}
