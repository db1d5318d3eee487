package main

import (
	"flag"
	"hash/fnv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/benchmark/loop"
	"github.com/paramedic-otel/paramedic/connector/incidentconnector"
	"github.com/paramedic-otel/paramedic/internal/otlpjsonl"
	"github.com/paramedic-otel/paramedic/semconv"
)

// settings are what a run changes about the data and the components.
type settings struct {
	late         time.Duration
	dropEdges    float64
	sample       float64
	skew         time.Duration
	without      string
	openSurprise float64
	scale        float64
	seed         string
}

func settingsFrom(flags *flag.FlagSet) *settings {
	s := &settings{}
	flags.DurationVar(&s.late, "late", 0, "raise the alert of paper mode so much later, and look at the ranking of stream mode so much later")
	flags.Float64Var(&s.dropEdges, "drop-edges", 0, "part of the edges between services whose spans' parents are unknown, chosen by the seed")
	flags.Float64Var(&s.sample, "sample", 1, "part of the traces that are kept, with the threshold in the trace state")
	flags.DurationVar(&s.skew, "skew", 0, "by how much the clocks of a fifth of the services are ahead")
	flags.StringVar(&s.without, "without", "", "part of the diagnosis to leave out: logs, resources, explain-away, traffic-weights or graph")
	flags.Float64Var(&s.openSurprise, "open-surprise", 0, "open_surprise of the incident connector; 0 takes the default")
	flags.Float64Var(&s.scale, "scale", 1, "factor on open_surprise, min_deviation and min_utilization of the incident connector")
	flags.StringVar(&s.seed, "seed", "1", "seed of what is chosen by chance")
	return s
}

func (s *settings) configs() loop.Configs {
	c := loop.Default()
	if s.openSurprise > 0 {
		c.Incident.OpenSurprise = s.openSurprise
	}
	c.Incident.OpenSurprise *= s.scale
	c.Incident.MinDeviation *= s.scale
	c.Incident.MinUtilization = min(1, c.Incident.MinUtilization*s.scale)
	c.Incident.Without = incidentconnector.Part(s.without)
	return c
}

// chosen reports whether something is among the given part, by the seed.
func (s *settings) chosen(what string, part float64) bool {
	h := fnv.New64a()
	h.Write([]byte(s.seed + "\x00" + what))
	// The upper bits of this hash vary little with the end of a short text: mix them.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return float64(x>>11)/(1<<53) < part
}

// spoil changes the data.
func (s *settings) spoil(b *otlpjsonl.Batch, owners map[pcommon.SpanID]string) {
	if b.Signal == otlpjsonl.Traces {
		if s.dropEdges > 0 {
			s.cutEdges(b.Traces, owners)
		}
		if s.sample < 1 {
			s.keepSample(b.Traces)
		}
	}
	if s.skew == 0 {
		return
	}
	switch b.Signal {
	case otlpjsonl.Traces:
		for _, rs := range b.Traces.ResourceSpans().All() {
			if !s.chosen(nameOf(rs.Resource()), skewedPart) {
				continue
			}
			for _, ss := range rs.ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					span.SetStartTimestamp(span.StartTimestamp() + pcommon.Timestamp(s.skew))
					span.SetEndTimestamp(span.EndTimestamp() + pcommon.Timestamp(s.skew))
				}
			}
		}
	case otlpjsonl.Logs:
		for _, rl := range b.Logs.ResourceLogs().All() {
			if !s.chosen(nameOf(rl.Resource()), skewedPart) {
				continue
			}
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					lr.SetTimestamp(lr.Timestamp() + pcommon.Timestamp(s.skew))
				}
			}
		}
	}
}

// skewedPart is the part of the services whose clocks are ahead.
const skewedPart = 0.2

func nameOf(r pcommon.Resource) string {
	name, _ := r.Attributes().Get(semconv.AttrServiceName)
	return name.AsString()
}

// cutEdges takes the parents from the server spans of the chosen edges, so that nobody knows who has called.
func (s *settings) cutEdges(td ptrace.Traces, owners map[pcommon.SpanID]string) {
	for _, rs := range td.ResourceSpans().All() {
		server := nameOf(rs.Resource())
		for _, ss := range rs.ScopeSpans().All() {
			for _, span := range ss.Spans().All() {
				client, known := owners[span.ParentSpanID()]
				if known && client != server && s.chosen(client+"\x00"+server, s.dropEdges) {
					span.SetParentSpanID(pcommon.SpanID{})
				}
			}
		}
	}
}

// keepSample keeps the traces whose randomness, the last 7 bytes of their ID, is not below the threshold, and says so.
func (s *settings) keepSample(td ptrace.Traces) {
	const bits = 56
	threshold := uint64((1 - s.sample) * (1 << bits))
	state := "ot=th:" + thresholdText(threshold)
	td.ResourceSpans().RemoveIf(func(rs ptrace.ResourceSpans) bool {
		rs.ScopeSpans().RemoveIf(func(ss ptrace.ScopeSpans) bool {
			ss.Spans().RemoveIf(func(span ptrace.Span) bool {
				id := span.TraceID()
				randomness := uint64(0)
				for _, b := range id[9:] {
					randomness = randomness<<8 | uint64(b)
				}
				if randomness < threshold {
					return true
				}
				span.TraceState().FromRaw(state)
				return false
			})
			return ss.Spans().Len() == 0
		})
		return rs.ScopeSpans().Len() == 0
	})
}

// thresholdText writes a threshold as the trace state has it: hexadecimal digits without the zeros at the end.
func thresholdText(threshold uint64) string {
	const digits = "0123456789abcdef"
	var out []byte
	for i := 52; i >= 0; i -= 4 {
		out = append(out, digits[threshold>>i&15])
	}
	for len(out) > 1 && out[len(out)-1] == '0' {
		out = out[:len(out)-1]
	}
	return string(out)
}
