package tracegraphconnector

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/internal/servicegraph"
)

// unknownService is the name that the semantic conventions give a service without one.
const unknownService = "unknown_service"

// translator reads spans into the graph, for one goroutine at a time.
type translator struct {
	graph     *servicegraph.Intake
	labels    labeller
	maxLinks  int
	maxWeight float64
	// defaultWeight is that of spans that do not say how they were sampled.
	defaultWeight float32
	// databaseNames and peerNames are the attributes that name databases and other peers where the configuration has them.
	databaseNames, peerNames []string
	// spans are those at hand, and read reads them.
	spans ptrace.Traces
	read  func()
	// details are those of the span at hand.
	details details
	// clampedWeights and ignoredLinks are those of the spans at hand.
	clampedWeights, ignoredLinks int64
}

func newTranslator(cfg *Config, graph *servicegraph.Graph) *translator {
	t := &translator{
		graph: graph.NewIntake(), labels: newLabeller(cfg, graph), maxLinks: cfg.MaxLinks, maxWeight: cfg.MaxSamplingWeight,
		defaultWeight: float32(min(1/cfg.SamplingRatio, cfg.MaxSamplingWeight)),
		databaseNames: cfg.DatabaseNameAttributes,
	}
	if !slices.Equal(cfg.VirtualNodePeerAttributes, conventionalPeers) {
		t.peerNames = cfg.VirtualNodePeerAttributes
	}
	t.read = t.translate
	return t
}

// take brings the spans, which arrived at the given time, into the graph.
func (t *translator) take(td ptrace.Traces, arrived int64) {
	t.spans = td
	t.graph.Take(arrived, t.read)
	t.spans, t.details = ptrace.Traces{}, details{}
}

// translate fills the graph's batch with the spans. Nothing of them is kept but copies of new names.
func (t *translator) translate() {
	t.clampedWeights, t.ignoredLinks = 0, 0
	t.labels.begin()
	for _, rs := range t.spans.ResourceSpans().All() {
		from := t.origin(rs.Resource().Attributes())
		for _, ss := range rs.ScopeSpans().All() {
			spans := ss.Spans()
			for i := range spans.Len() {
				if i+farAhead < spans.Len() {
					askForSpan(spans.At(i + farAhead))
					askForAttributes(spans.At(i + nearAhead))
				}
				t.span(spans.At(i), &from)
			}
		}
	}
}

func (t *translator) span(span ptrace.Span, from *origin) {
	trace, id, parent := span.TraceID(), span.SpanID(), span.ParentSpanID()
	s := t.graph.Add()
	s.Trace.Hi, s.Trace.Lo = binary.BigEndian.Uint64(trace[:8]), binary.BigEndian.Uint64(trace[8:])
	s.ID, s.Parent = binary.BigEndian.Uint64(id[:]), binary.BigEndian.Uint64(parent[:])
	s.Start = int64(min(uint64(span.StartTimestamp()), math.MaxInt64))
	s.End = int64(min(uint64(span.EndTimestamp()), math.MaxInt64))
	s.Service, s.Weight = from.service, t.defaultWeight
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
	d := &t.details
	attrs := span.Attributes()
	code := span.Status().Code()
	// A server's other side has no name worth having, so only a missing status makes its attributes of interest for that.
	if t.labels.operations || s.Kind != servicegraph.KindServer || code == ptrace.StatusCodeUnset {
		d.read(attrs, s.Kind)
	} else {
		d.seen = 0
	}
	if code == ptrace.StatusCodeError || code == ptrace.StatusCodeUnset && d.failed() {
		s.Flags |= servicegraph.FlagFailed
	}
	t.peer(s, d, from.attributes, attrs)
	if d.text(attrMessagingType) == "receive" {
		s.Flags |= servicegraph.FlagReceive
		// Receiving is a client's span by newer conventions; its links make it a consumer's.
		if s.Kind == servicegraph.KindClient && span.Links().Len() > 0 {
			s.Kind = servicegraph.KindConsumer
		}
	}
	if s.Kind == servicegraph.KindConsumer {
		t.links(s, span.Links())
	}
	t.labels.label(s, from, span, d)
}

// peer names the other side of a call as far as the span's attributes do.
func (t *translator) peer(s *servicegraph.Span, d *details, resource, span pcommon.Map) {
	if s.Kind == servicegraph.KindServer {
		return
	}
	if s.Kind != servicegraph.KindConsumer && len(t.databaseNames) > 0 {
		if name := firstValue(t.databaseNames, resource, span); name != "" {
			s.Peer = t.graph.Peer("", name)
			s.Flags |= servicegraph.FlagDatabase
			return
		}
	}
	messaging, database := false, false
	if d.seen&namingAttributes != 0 {
		messaging = d.any(messagingAttributes)
		database = s.Kind == servicegraph.KindClient && d.any(databaseAttributes)
	}
	if messaging {
		s.Flags |= servicegraph.FlagMessaging
	}
	switch {
	case database:
		s.Peer = t.graph.Peer(firstOf(d.first(hostAttributes), d.text(attrDBSystem)), d.text(attrDBName))
		s.Flags |= servicegraph.FlagDatabase
		s.Flags &^= servicegraph.FlagMessaging
	case s.Kind != servicegraph.KindConsumer && t.peerNames != nil:
		if name := firstValue(t.peerNames, span); name != "" {
			s.Peer = t.graph.Peer("", name)
		}
	case messaging:
		s.Peer = t.graph.Peer(d.text(attrMessagingSystem), d.place())
	case s.Kind == servicegraph.KindConsumer:
	default:
		if name := d.first(peerAttributes); name != "" {
			s.Peer = t.graph.Peer("", name)
		}
	}
}

func (t *translator) links(s *servicegraph.Span, links ptrace.SpanLinkSlice) {
	s.LinkFrom = int32(len(t.graph.Links))
	for i, l := range links.All() {
		if i == t.maxLinks {
			t.ignoredLinks += int64(links.Len() - i)
			break
		}
		id := l.SpanID()
		link := servicegraph.Link{Trace: traceID(l.TraceID()), ID: binary.BigEndian.Uint64(id[:])}
		if link.ID != 0 && link.Trace != (servicegraph.TraceID{}) {
			t.graph.Links = append(t.graph.Links, link)
		}
	}
	s.LinkTo = int32(len(t.graph.Links))
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
				return t.defaultWeight
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
	return t.defaultWeight
}

// firstValue returns the first of the attributes that is present and not empty, of each in the first of the maps that has it.
func firstValue(names []string, maps ...pcommon.Map) string {
	for _, name := range names {
		for _, attrs := range maps {
			if v, ok := attrs.Get(name); ok {
				if text := v.AsString(); text != "" {
					return text
				}
			}
		}
	}
	return ""
}

func firstOf(names ...string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return ""
}
