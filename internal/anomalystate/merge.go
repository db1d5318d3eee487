package anomalystate

import (
	"bytes"
	"fmt"
	"slices"
)

// Collection is learnt state as a whole, in memory.
type Collection struct {
	// Header is that of the first stream; all others must have its model and identity.
	Header  Header
	streams map[Key]*Stream
}

// Len returns the number of streams.
func (c *Collection) Len() int { return len(c.streams) }

// Add puts a copy of a stream into the collection. What is known of the same stream already is merged: the detector's
// states by merge, which returns that of both, and the rest is that of the stream with the newest point.
func (c *Collection) Add(h *Header, s *Stream, merge func(older, newer []byte) ([]byte, error)) error {
	if c.streams == nil {
		c.Header, c.streams = *h, map[Key]*Stream{}
	}
	if err := h.Accept(c.Header.Model, c.Header.Identity); err != nil {
		return err
	}
	c.Header.Written = max(c.Header.Written, h.Written)
	known, ok := c.streams[s.Key]
	if !ok {
		c.streams[s.Key] = s.Clone()
		return nil
	}
	older, newer := known, s.Clone()
	if newer.Last < older.Last {
		older, newer = newer, older
	}
	for i := range newer.Signals {
		sig := &newer.Signals[i]
		at := slices.IndexFunc(older.Signals, func(o Signal) bool { return o.Name == sig.Name })
		if at < 0 {
			continue
		}
		merged, err := merge(older.Signals[at].State, sig.State)
		if err != nil {
			return fmt.Errorf("merge %s of stream %s: %w", sig.Name, s.Key, err)
		}
		sig.State = merged
	}
	if newer.Resource == nil {
		newer.Resource = older.Resource
	}
	if len(newer.Text) == 0 {
		newer.Text = older.Text
	}
	c.streams[s.Key] = newer
	return nil
}

// All shows visit all streams in the order of their keys.
func (c *Collection) All(visit func(*Stream) error) error {
	keys := make([]Key, 0, len(c.streams))
	for k := range c.streams {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int {
		if a.Hi != b.Hi {
			return compare(a.Hi, b.Hi)
		}
		return compare(a.Lo, b.Lo)
	})
	for _, k := range keys {
		if err := visit(c.streams[k]); err != nil {
			return err
		}
	}
	return nil
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// Clone returns a copy that shares no memory with s.
func (s *Stream) Clone() *Stream {
	c := *s
	c.Text, c.Rest = bytes.Clone(s.Text), bytes.Clone(s.Rest)
	c.Signals = slices.Clone(s.Signals)
	for i := range c.Signals {
		c.Signals[i].State, c.Signals[i].Shadow = bytes.Clone(c.Signals[i].State), bytes.Clone(c.Signals[i].Shadow)
	}
	if s.Resource != nil {
		r := *s.Resource
		r.Text = bytes.Clone(r.Text)
		c.Resource = &r
	}
	return &c
}
