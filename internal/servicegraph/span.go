package servicegraph

import (
	"slices"
	"time"
)

// Kind is the role of a span in a call.
type Kind uint8

// The kinds of spans.
const (
	KindInternal Kind = iota
	KindServer
	KindClient
	KindProducer
	KindConsumer
)

func (k Kind) calls() bool  { return k == KindClient || k == KindProducer }
func (k Kind) called() bool { return k == KindServer || k == KindConsumer }

// Flags are properties of a span beyond its kind.
type Flags uint8

// The flags of a span.
const (
	// FlagFailed says that the span saw the call fail.
	FlagFailed Flags = 1 << iota
	// FlagDatabase says that the span is a call to the database that Peer names.
	FlagDatabase
	// FlagMessaging says that the span sends or takes messages.
	FlagMessaging
	// FlagReceive says that the span takes messages from the broker without processing them.
	FlagReceive
)

// TraceID identifies a trace.
type TraceID struct{ Hi, Lo uint64 }

// Span is what the graph needs to know of a span.
type Span struct {
	Trace      TraceID
	ID, Parent uint64
	// Start and End are nanoseconds since the epoch.
	Start, End int64
	// Service is the node of the span's service, Peer that of the other side as the span names it, or 0.
	Service, Peer NodeID
	// Weight is the number of spans that this one stands for.
	Weight float32
	Kind   Kind
	Flags  Flags
	// Failure is the kind of failure, Operation the name of what the span does, Version that of the service and Dimensions the
	// set of the configured dimensions' values, as the Labels of the graph number them; 0 where there is none.
	Failure            uint8
	Operation, Version uint16
	Dimensions         LabelID
	// Links are the identities that a consumer names as its producers: Batch.Links[LinkFrom:LinkTo].
	LinkFrom, LinkTo int32

	// ended is when the span's part of the call ended, or came in where that was too late.
	ended int64
	// trace is the hash of the trace, key that of the span, and parent that of its parent or 0.
	trace, key, parent uint64
}

// Link is the identity of a linked span.
type Link struct {
	Trace TraceID
	ID    uint64
}

// Batch is a reusable list of spans.
type Batch struct {
	Spans []Span
	Links []Link
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	b.Spans = b.Spans[:0]
	b.Links = b.Links[:0]
}

// Add adds a span without any properties and returns it.
func (b *Batch) Add() *Span {
	n := len(b.Spans)
	if n == cap(b.Spans) {
		b.Spans = slices.Grow(b.Spans, 1)
	}
	b.Spans = b.Spans[:n+1]
	s := &b.Spans[n]
	*s = Span{}
	return s
}

// append adds the spans of another batch.
func (b *Batch) append(o *Batch) { b.appendSpans(o.Spans, o.Links) }

// appendSpans adds spans whose links are among the given ones.
func (b *Batch) appendSpans(spans []Span, links []Link) {
	for _, s := range spans {
		from := int32(len(b.Links))
		b.Links = append(b.Links, links[s.LinkFrom:s.LinkTo]...)
		s.LinkFrom, s.LinkTo = from, int32(len(b.Links))
		b.Spans = append(b.Spans, s)
	}
}

// Config is the configuration of a Graph. All of its fields must be set.
type Config struct {
	// FlushInterval is the length of an interval, Lateness how far the watermark must be past its end to close it. At
	// most two intervals are open at a time, so Lateness must not exceed FlushInterval.
	FlushInterval, Lateness time.Duration
	// PairTimeout is how long a span waits for its counterpart.
	PairTimeout time.Duration
	// FailedPairTimeout is how long a failed call with a named peer does; at most PairTimeout.
	FailedPairTimeout time.Duration
	// IdleTimeout is the length of a gap in the stream after which everything that waits is settled.
	IdleTimeout time.Duration
	// MaxClockSkew is how far ahead of the watermark a single span may end and still move it.
	MaxClockSkew time.Duration
	// EdgeTTL is how long an edge without calls is kept.
	EdgeTTL time.Duration
	// MaxPending bounds the records of the store, MaxEdges the edges, and MaxNameLength the bytes of a node's name.
	MaxPending, MaxEdges, MaxNameLength int
	// User is the name of the caller of what has none.
	User string
	// Delta makes the counts start anew in each interval.
	Delta bool
	// Bounds are the upper bounds of explicit buckets in seconds; without any, the histograms are exponential with at
	// most MaxSize buckets.
	Bounds  []float64
	MaxSize int
	// SplitFailed keeps the durations of failed calls apart.
	SplitFailed bool
	// NoVirtual counts no calls from or to what is not instrumented, but databases.
	NoVirtual bool
	// MaxExemplars bounds the calls kept as examples of each edge and interval, of the failed and of the others.
	MaxExemplars int
	Operations   OperationsConfig
	// Seed seeds the hash of identities. It has no influence on results.
	Seed uint64
	// Shards is the number of parts, each with a lock of its own, in which traces are kept: a power of two, at most 256, or 0
	// for one. It has no influence on results as long as the store is not full.
	Shards int
}

// Outcome is what became of a span.
type Outcome uint8

// The outcomes of spans. Each span that comes in, and each link that is followed, gets exactly one in the end.
const (
	// OutcomePaired: both sides of a call are known.
	OutcomePaired Outcome = iota
	// OutcomeEntry: a call from outside, without any parent.
	OutcomeEntry
	// OutcomeOrphan: a call whose caller never came.
	OutcomeOrphan
	// OutcomeVirtual: a call to or from something that is not instrumented and has a name.
	OutcomeVirtual
	// OutcomeUnmatched: a call to something that never came and has no name.
	OutcomeUnmatched
	// OutcomeNested: part of a call that another span stands for.
	OutcomeNested
	// OutcomeInternal: neither side of a call.
	OutcomeInternal
	// OutcomeLinked: a consumer whose links are followed in its place.
	OutcomeLinked
	// OutcomeDuplicate: came before.
	OutcomeDuplicate
	// OutcomeInvalid: has no identity.
	OutcomeInvalid
	// OutcomeNode: its service found no room.
	OutcomeNode
	// OutcomeEvicted: had to leave before it was settled.
	OutcomeEvicted

	// NumOutcomes is the number of outcomes.
	NumOutcomes
)

// Stats are running totals of what happened, apart from the gauges Pending, Held, Edges and Nodes.
type Stats struct {
	// Received is the number of spans that came in and Links that of links followed. Received + Links = the sum of
	// Outcomes + Pending.
	Received, Links int64
	Outcomes        [NumOutcomes]int64
	// Late counts spans that ended in a closed interval, Skewed those too far ahead to be believed.
	Late, Skewed int64
	// Leaps and Rewinds count changes of the watermark that many spans agreed upon.
	Leaps, Rewinds int64
	// RefusedCalls counts calls that found no room for a new edge, RefusedNodes look-ups that found none for a node.
	RefusedCalls, RefusedNodes int64
	ExpiredEdges               int64
	// RefusedOperations counts calls that count under the name of the other operations of their edge, RefusedVariants those
	// that count with the other failures and versions.
	RefusedOperations, RefusedVariants int64
	// RefusedLabels counts the look-ups of strings that found no room, by the order of the Labels in Graph.
	RefusedLabels [NumLabels]int64
	// Pending is the number of spans that wait, Held that of all records including the settled ones that are kept to
	// recognise duplicates and further callees.
	Pending, Held, Edges, Nodes int64
	// HeldOperations is the number of operations of all edges.
	HeldOperations int64
}

// add adds what happened and how the store changed since.
func (s *Stats) add(o *Stats) {
	s.Received += o.Received
	s.Links += o.Links
	for i, n := range o.Outcomes {
		s.Outcomes[i] += n
	}
	s.Late += o.Late
	s.Skewed += o.Skewed
	s.RefusedCalls += o.RefusedCalls
	s.RefusedNodes += o.RefusedNodes
	s.Pending += o.Pending
	s.Held += o.Held
}
