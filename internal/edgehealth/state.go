package edgehealth

import (
	"errors"
	"fmt"
	"slices"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/excess"
)

// ModelVersion is the version of what is learnt of an edge: state of another one means something else and is not read.
const ModelVersion = 3 + 100*excess.ModelVersion

// ErrNoRoom says that a model holds as many edges as it may.
var ErrNoRoom = errors.New("no room for another edge")

// maxNodeBytes bounds the name of a node.
const maxNodeBytes = 4096

// AppendEdge appends what is known of an edge, and which bucket is the next, to b; nothing when the edge is unknown.
func (m *Model) AppendEdge(b []byte, key Key) []byte {
	e := m.edges[key]
	if e == nil {
		return b
	}
	c := binarystate.NewWriter(b)
	codeEdge(c, &m.timeline, e)
	return c.Written()
}

// RestoreEdge adds an edge from what AppendEdge has written. Edges that were written at different times are brought to the
// newest one's: counts that leave the ring thereby are lost, but not what was learnt before. An error leaves the model as it
// is: ErrNoRoom, or that the data are not those of an edge, or of one that is known. After the last edge [Model.Restored]
// must be called.
func (m *Model) RestoreEdge(data []byte) error {
	c := binarystate.NewCodecReader(data)
	var at excess.Timeline
	e := newEdge(Key{}, 0)
	codeEdge(c, &at, e)
	if !at.Started() || m.edges[e.key] != nil {
		c.Fail(binarystate.ErrInvalid)
	}
	if err := c.Close(); err != nil {
		return fmt.Errorf("read edge: %w", err)
	}
	if len(m.edges) >= m.limits.MaxEdges {
		return ErrNoRoom
	}
	if !m.timeline.Started() {
		m.timeline.Start(at.Next())
		m.oldest = at.Next()
	}
	m.oldest = min(m.oldest, at.Next())
	at.Jump(m.timeline.Next(), e.drop)
	m.timeline.Jump(at.Next(), m.drop)
	m.insert(e)
	m.node(e.key.Client)
	m.node(e.key.Server)
	for b := m.timeline.Next() - excess.Lookback; b < m.timeline.Next()+excess.Lookahead; b++ {
		slot := excess.SlotOf(b)
		n := e.requests[slot]
		if b < m.timeline.Next() {
			n = float32(float64(n) * e.weight(slot))
		}
		m.sampled = m.sampled || e.sampling[slot] > 0
		m.node(e.key.Server)[slot] += n
		if e.key.Client == m.entry {
			m.node(m.entry)[slot] += n
		}
	}
	m.sampled = m.sampled || e.weightNow > 0
	return nil
}

// Restored ends a restore and returns the first bucket of which not all is known. Unless whole says that all edges were
// written at one moment, the buckets that were not closed when the oldest of them was written are emptied: the calls of one
// edge without those of another look like a lack.
func (m *Model) Restored(whole bool) (unknown int64) {
	if whole && m.oldest == m.timeline.Next() {
		return m.oldest
	}
	for b := max(m.oldest, m.timeline.Next()-excess.Lookback); b < m.timeline.Next()+excess.Lookahead; b++ {
		m.drop(excess.SlotOf(b))
	}
	return m.oldest
}

// Next returns the first bucket that is not closed yet, 0 before the first one.
func (m *Model) Next() int64 { return m.timeline.Next() }

// Pause makes a later bucket the next one. Nobody looked at those before: no edge has been idle in them.
func (m *Model) Pause(next int64) {
	if !m.timeline.Started() {
		return
	}
	for _, e := range m.sorted {
		e.last += max(0, next-m.timeline.Next())
	}
	m.timeline.Jump(next, m.retire)
}

func (m *Model) insert(e *edge) {
	m.edges[e.key] = e
	i, _ := slices.BinarySearchFunc(m.sorted, e.key, func(e *edge, k Key) int { return compareKeys(e.key, k) })
	m.sorted = slices.Insert(m.sorted, i, e)
}

// drop empties a slot of all edges without learning from it.
func (m *Model) drop(slot int) {
	for _, e := range m.sorted {
		e.drop(slot)
	}
	for _, c := range m.incoming {
		c[slot] = 0
	}
}

func (e *edge) drop(slot int) {
	e.requests[slot], e.sampling[slot] = 0, 0
	e.failures.Drop(slot)
	e.calls.Drop(slot)
	e.server.drop(slot)
	e.client.drop(slot)
}

func (d *durations) drop(slot int) {
	d.requests[slot], d.seconds[slot], d.latency[slot] = 0, 0, [bins]uint16{}
	d.slow.Drop(slot)
}

func codeEdge(c *binarystate.Codec, at *excess.Timeline, e *edge) {
	at.Code(c)
	client, server := string(e.key.Client), string(e.key.Server)
	c.String(&client, maxNodeBytes)
	c.String(&server, maxNodeBytes)
	e.key = Key{Client: Node(client), Server: Node(server)}
	e.code(c)
}

// code writes or reads all but the key.
func (e *edge) code(c *binarystate.Codec) {
	c.Int64s(&e.first, &e.last)
	c.Counts(e.requests[:])
	c.Counts(e.sampling[:])
	c.Float64s(&e.weightNow)
	e.failures.Code(c)
	e.calls.Code(c)
	c.Float64s(&e.busy, &e.busyRequests)
	e.server.code(c)
	e.client.code(c)
	if c.Reading() && (e.busy < 0 || e.busyRequests < 0 || e.weightNow < 0) {
		c.Fail(binarystate.ErrInvalid)
	}
}

func (d *durations) code(c *binarystate.Codec) {
	c.Counts(d.requests[:])
	c.Amounts(d.seconds[:])
	for slot := range d.latency {
		if d.requests[slot] > 0 {
			c.Small(d.latency[slot][:])
		}
	}
	d.slow.Code(c)
	c.Int64s(&d.slowBin)
	d.normal.code(c)
	c.Float64s(&d.squares, &d.observations)
	if c.Reading() && (d.squares < 0 || d.observations < 0 || d.slowBin < 0) {
		c.Fail(binarystate.ErrInvalid)
	}
}

func (n *normalDurations) code(c *binarystate.Codec) {
	c.Float64s(&n.seconds, &n.requests)
	for i := 0; i < bins; i += 8 {
		d := n.distribution[i : i+8]
		c.Float64s(&d[0], &d[1], &d[2], &d[3], &d[4], &d[5], &d[6], &d[7])
	}
	if !c.Reading() {
		return
	}
	if n.requests < 0 {
		c.Fail(binarystate.ErrInvalid)
	}
	for _, count := range n.distribution {
		if count < 0 {
			c.Fail(binarystate.ErrInvalid)
		}
	}
}
