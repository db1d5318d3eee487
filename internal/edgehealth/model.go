// Package edgehealth watches the edges of a service graph and tells which of them fail, are slow, or carry too many or
// too few calls, and by how much.
//
// All judgements are about counts on an exposure (package excess): failed of all requests, requests slower than nearly
// all used to be, calls made for each request that the caller got itself. So they need no traffic model, hold for busy
// and for quiet edges, and a gap in the data says nothing instead of looking like an outage.
package edgehealth

import (
	"cmp"
	"slices"

	"github.com/paramedic-otel/paramedic/internal/excess"
)

// Node names one end of an edge.
type Node string

// Key identifies an edge.
type Key struct {
	Client, Server Node
}

// Sample is what happened on an edge since the last sample.
type Sample struct {
	Requests, Failed float64
	// Unseen are those of the requests that nobody saw: sampled ones stand for them.
	Unseen float64
	// ServerSeconds and ClientSeconds are sums of durations as the callee and the caller saw them.
	ServerSeconds, ClientSeconds float64
	// ServerLatency and ClientLatency count the requests by duration.
	ServerLatency, ClientLatency Latency
}

// Kind is what is wrong with an edge.
type Kind int

// The kinds of findings.
const (
	Failing Kind = iota
	// Slow is an edge whose callee takes longer, SlowForClient one whose caller alone sees it: the way between them
	// does.
	Slow
	SlowForClient
	Surge
	Drop
)

// Finding is one abnormality of an edge.
type Finding struct {
	Key     Key
	Kind    Kind
	Verdict excess.Verdict
	Trend   excess.Trend
	// Normal and Now are the value in question before and in the window: the share of failed requests, the mean
	// duration in seconds, or the calls for each request of the caller.
	Normal, Now float64
}

// Limits bound a Model.
type Limits struct {
	MaxEdges int
	// IdleBuckets is after how many buckets without a request an edge is forgotten.
	IdleBuckets int64
}

// Model holds what is known of all edges. It is not safe for concurrent use.
type Model struct {
	limits   Limits
	learning excess.Learning
	timeline excess.Timeline
	edges    map[Key]*edge
	// sorted holds the edges in the order of their keys.
	sorted   []*edge
	incoming map[Node]*excess.Counts
	// entry is the node that stands for callers outside the graph.
	entry  Node
	window excess.Window
	// sampled is set once an edge had requests that nobody saw, and unseen how many came to each node, or left the entry node,
	// in the bucket that was closed last.
	sampled bool
	unseen  map[Node]float64
	// oldest is the first bucket that was not closed when the oldest of the restored edges was written.
	oldest int64
}

// New returns an empty Model. The node entry stands for callers outside the graph.
func New(entry Node, limits Limits, learning excess.Learning) *Model {
	return &Model{limits: limits, learning: learning, entry: entry, edges: map[Key]*edge{}, incoming: map[Node]*excess.Counts{}, unseen: map[Node]float64{}}
}

// Len returns the number of edges.
func (m *Model) Len() int { return len(m.edges) }

// Observe counts a sample into a bucket. It returns false when the edge was refused.
func (m *Model) Observe(key Key, bucket int64, s *Sample) bool {
	if !m.timeline.Started() {
		m.timeline.Start(bucket)
	}
	e := m.edges[key]
	if e == nil {
		if len(m.edges) >= m.limits.MaxEdges {
			return false
		}
		e = newEdge(key, bucket)
		m.insert(e)
	}
	slot := m.timeline.Slot(bucket)
	e.add(slot, s)
	m.sampled = m.sampled || s.Unseen > 0
	if s.Requests > 0 {
		e.last = max(e.last, bucket)
		m.node(key.Server)[slot] += float32(s.Requests)
		if key.Client == m.entry {
			m.node(m.entry)[slot] += float32(s.Requests)
		}
	}
	return true
}

// node returns the requests that came to a node; for the entry node, those that it made.
func (m *Model) node(n Node) *excess.Counts {
	c := m.incoming[n]
	if c == nil {
		c = &excess.Counts{}
		m.incoming[n] = c
	}
	return c
}

// Close closes a bucket and returns what is abnormal at its end, ordered by edge.
func (m *Model) Close(bucket int64, minSurprise float64) []Finding {
	if !m.timeline.Started() || bucket < m.timeline.Next() {
		return nil
	}
	m.timeline.Jump(bucket, m.retire)
	m.timeline.Close(m.retire)
	m.forgetIdle(bucket)
	var findings []Finding
	for _, e := range m.sorted {
		findings = e.judge(m, minSurprise, findings)
	}
	return findings
}

// Rewind goes back to an earlier bucket. What was counted lately is forgotten, what was learnt is kept.
func (m *Model) Rewind(bucket int64) {
	m.timeline.Rewind(bucket)
	for _, e := range m.sorted {
		e.clear()
		// Else the edge would be news, and never idle, until that time comes again.
		e.first, e.last = min(e.first, bucket), min(e.last, bucket)
	}
	for _, c := range m.incoming {
		*c = excess.Counts{}
	}
}

// Settle says that what was counted so far at a node has been dealt with: it is no evidence for anything new.
func (m *Model) Settle(n Node) {
	for _, e := range m.sorted {
		if e.key.Server == n || e.key.Client == n {
			e.failures.Settle(&m.timeline)
			e.calls.Settle(&m.timeline)
			e.server.slow.Settle(&m.timeline)
			e.client.slow.Settle(&m.timeline)
		}
	}
}

// retire learns the counts of a slot, while the next bucket is being closed, which makes counts what was seen.
func (m *Model) retire(slot int) {
	var scratch excess.Counts
	for _, e := range m.sorted {
		e.retire(slot, m.exposure(e, &scratch), m.learning)
	}
	m.unweigh(excess.SlotOf(m.timeline.Next()))
	for _, c := range m.incoming {
		c[slot] = 0
	}
}

// exposure returns what the calls of an edge are measured on: the requests that its caller got. They are in the measure of the
// edge's own counts, for which scratch is used where it has to be.
func (m *Model) exposure(e *edge, scratch *excess.Counts) *excess.Counts {
	incoming := m.node(e.key.Client)
	if !m.sampled {
		return incoming
	}
	for slot, n := range incoming {
		scratch[slot] = float32(float64(n) / e.weight(slot))
	}
	return scratch
}

// Forget drops an edge and all that was learnt of it.
func (m *Model) Forget(key Key) {
	if m.edges[key] == nil {
		return
	}
	delete(m.edges, key)
	i, _ := slices.BinarySearchFunc(m.sorted, key, func(e *edge, k Key) int { return compareKeys(e.key, k) })
	m.sorted = slices.Delete(m.sorted, i, i+1)
}

func (m *Model) forgetIdle(bucket int64) {
	m.sorted = slices.DeleteFunc(m.sorted, func(e *edge) bool {
		idle := bucket-max(e.last, e.first) > m.limits.IdleBuckets
		if idle {
			delete(m.edges, e.key)
		}
		return idle
	})
	if len(m.incoming) > 2*len(m.edges)+1 {
		live := make(map[Node]*excess.Counts, len(m.edges))
		for _, e := range m.sorted {
			for _, n := range [...]Node{e.key.Client, e.key.Server} {
				if c := m.incoming[n]; c != nil {
					live[n] = c
				}
			}
		}
		m.incoming = live
	}
}

// Knows reports whether a node has been called.
func (m *Model) Knows(n Node) bool { return m.incoming[n] != nil }

// Requests returns how many requests came to a node in the newest closed bucket.
func (m *Model) Requests(n Node) float64 {
	c := m.incoming[n]
	if c == nil {
		return 0
	}
	return float64(c[excess.SlotOf(m.timeline.Next()-1)])
}

// RequestsIn returns how many requests came to a node in the last n closed buckets.
func (m *Model) RequestsIn(node Node, n int) float64 {
	c := m.incoming[node]
	if c == nil {
		return 0
	}
	return sumLast(c, &m.timeline, n)
}

// Edges calls visit for each edge, in order.
func (m *Model) Edges(visit func(Key)) {
	for _, e := range m.sorted {
		visit(e.key)
	}
}

// Impact is what an edge had to bear in a window, beyond what was normal.
type Impact struct {
	// Weight is how many requests one that was seen stands for, at least 1: what differs by less than that differs by less than
	// one request as far as anybody knows.
	Weight float64
	// Requests, how many there would usually have been in that time, and how many for what the caller got to do.
	Requests, UsualRequests, ExpectedRequests float64
	// UsualBuckets is how many buckets the usual number is known from.
	UsualBuckets float64
	// ClientOnly is true when nobody but the caller measures how long they take.
	ClientOnly bool
	// Failures are failed requests beyond the expected ones. Seconds are the durations beyond the expected ones as the
	// callee saw them, where it says so, and ClientSeconds as the caller did.
	Failures, Seconds, ClientSeconds float64
	// WorstSeconds and WorstClientSeconds are what the worst bucket alone contributes to the latter two.
	WorstSeconds, WorstClientSeconds float64
	// FailureNoise, SecondsNoise and ClientNoise are what the three vary by in normal operation.
	FailureNoise, SecondsNoise, ClientNoise float64
}

// Impact returns what the edge had to bear in the last n closed buckets.
func (m *Model) Impact(key Key, n int) Impact {
	e := m.edges[key]
	if e == nil {
		return Impact{}
	}
	var scratch excess.Counts
	return e.impact(&m.timeline, m.exposure(e, &scratch), n)
}

// Calls is what an edge carried in some time.
type Calls struct {
	Requests float64
	// FailureRatio is the share of failed requests, in [0, 1], and MeanSeconds how long one takes, as the callee saw it where it
	// says so, else as the caller did.
	FailureRatio, MeanSeconds float64
}

// Calls returns what an edge carried in the last n closed buckets.
func (m *Model) Calls(key Key, n int) Calls {
	e := m.edges[key]
	if e == nil {
		return Calls{}
	}
	return e.carried(&m.timeline, n)
}

// FirstSeen returns the bucket in which an edge was first seen.
func (m *Model) FirstSeen(key Key) (int64, bool) {
	e := m.edges[key]
	if e == nil {
		return 0, false
	}
	return e.first, true
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Server, b.Server))
}
