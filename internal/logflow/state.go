package logflow

import (
	"errors"
	"fmt"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/internal/logtemplate"
)

// ModelVersion is the version of what is learnt of a service: state of another one means something else and is not read.
const ModelVersion = 2 + 100*excess.ModelVersion + 10_000*logtemplate.ModelVersion

// ErrNoRoom says that a model holds as many services or templates as it may.
var ErrNoRoom = errors.New("no room for another service")

// maxServiceBytes bounds the name of a service.
const maxServiceBytes = 4096

// Names calls visit for each service.
func (m *Model) Names(visit func(name string)) {
	for _, name := range m.names {
		visit(name)
	}
}

// Next returns the first bucket that is not closed yet, 0 before the first one.
func (m *Model) Next() int64 { return m.timeline.Next() }

// AppendService appends what is known of a service, and which bucket is the next, to b; nothing when it is unknown.
func (m *Model) AppendService(b []byte, name string) []byte {
	s := m.services[name]
	if s == nil {
		return b
	}
	c := binarystate.NewWriter(b)
	codeService(c, &m.timeline, &name, s)
	return c.Written()
}

// RestoreService adds a service from what AppendService has written. Services that were written at different times are
// brought to the newest one's: counts that leave the ring thereby are lost, but not what was learnt before. An error leaves
// the model as it is: ErrNoRoom, or that the data are not those of a service, or of one that is known.
//
// Which steps were under way in spans is not known any more: unless [Model.RestoreContexts] says so, those of the buckets
// that were open or have just been closed count neither as followed nor as not followed.
func (m *Model) RestoreService(data []byte) error {
	c := binarystate.NewCodecReader(data)
	var at excess.Timeline
	var name string
	s := newService(m.limits.Templates)
	codeService(c, &at, &name, s)
	if !at.Started() || m.services[name] != nil {
		c.Fail(binarystate.ErrInvalid)
	}
	if err := c.Close(); err != nil {
		return fmt.Errorf("read service: %w", err)
	}
	templates := m.templates + s.miner.Len() - 1
	if len(m.services) >= m.limits.MaxServices || templates > m.limits.MaxTemplates {
		return ErrNoRoom
	}
	if !m.timeline.Started() {
		m.timeline.Start(at.Next())
	}
	at.Jump(m.timeline.Next(), s.drop)
	m.timeline.Jump(at.Next(), func(slot int) {
		for _, other := range m.services {
			other.drop(slot)
		}
		m.records[slot] = 0
	})
	for slot, n := range s.records {
		m.records[slot] += n
	}
	s.index = m.made
	m.made++
	m.templates = templates
	m.services[name] = s
	m.names = append(m.names, name)
	for id, t := range s.templates {
		if t.isError {
			m.writers[s.miner.Text(id)]++
		}
	}
	return nil
}

// ForgetSteps makes that the steps that followed others lately, or did not, say nothing: those of the buckets that are open
// or have just been closed. It is for a restored model for which nobody knows the spans that were under way.
func (m *Model) ForgetSteps() {
	for b := m.timeline.Next() - 1; b < m.timeline.Next()+excess.Lookahead; b++ {
		slot := excess.SlotOf(b)
		for _, s := range m.services {
			for _, t := range s.templates {
				t.inContext[slot] = 0
				t.astray.Events[slot] = 0
				for i := range t.followers {
					t.followers[i].hits[slot] = 0
				}
			}
		}
	}
}

// Pause makes a later bucket the next one. Nobody looked at those before: no service has been silent in them.
func (m *Model) Pause(next int64) {
	if !m.timeline.Started() {
		return
	}
	for _, s := range m.services {
		s.last += max(0, next-m.timeline.Next())
	}
	m.timeline.Jump(next, m.retire)
}

// Deaf says that before a bucket nobody can tell whether requests are without records: requests from before a gap are still
// told of after it, their records are not.
func (m *Model) Deaf(until int64) { m.deafUntil = max(m.deafUntil, until) }

// AppendContexts appends the spans whose last record is remembered to b.
func (m *Model) AppendContexts(b []byte) []byte {
	c := binarystate.NewWriter(b)
	place := make(map[int]int, len(m.names))
	c.Length(len(m.names), len(m.names))
	for i, name := range m.names {
		place[m.services[name].index] = i
		c.String(&name, maxServiceBytes)
	}
	c.Length(len(m.contexts), m.limits.MaxContexts)
	for _, q := range m.queue {
		at, known := place[q.key.service]
		last, held := m.contexts[q.key]
		if !held {
			continue
		}
		if !known {
			// Its service was forgotten since.
			at = len(m.names)
		}
		codeContext(c, &at, len(m.names), &q, &last)
	}
	return c.Written()
}

// RestoreContexts adds spans from what AppendContexts has written, after their services. What came last in them lately does
// not count as a step that nothing followed, for nobody looked. An error means that the data hold what cannot be; the spans
// before it are remembered.
func (m *Model) RestoreContexts(data []byte) error {
	c := binarystate.NewCodecReader(data)
	services := make([]*service, c.Length(0, m.limits.MaxServices))
	for i := range services {
		var name string
		c.String(&name, maxServiceBytes)
		services[i] = m.services[name]
	}
	for range c.Length(0, m.limits.MaxContexts) {
		var at int
		var q queued
		var last lastStep
		codeContext(c, &at, len(services), &q, &last)
		if c.Err() != nil {
			break
		}
		if at == len(services) || services[at] == nil || last.template >= len(services[at].templates) {
			continue
		}
		s := services[at]
		q.key.service = s.index
		if _, double := m.contexts[q.key]; double {
			continue
		}
		if last.unsure = last.bucket >= m.timeline.Next()-1; last.unsure {
			in := &s.templates[last.template].inContext[excess.SlotOf(last.bucket)]
			*in = max(0, *in-1)
		}
		m.contexts[q.key] = last
		m.queue = append(m.queue, q)
	}
	if err := c.Close(); err != nil {
		return fmt.Errorf("read contexts: %w", err)
	}
	return nil
}

func codeContext(c *binarystate.Codec, at *int, most int, q *queued, last *lastStep) {
	*at = c.Count(*at, most)
	c.Raw(q.key.context[:])
	last.template = c.Count(last.template, maxTemplate)
	c.Int64s(&q.bucket, &last.bucket)
}

// maxTemplate is beyond the number of any template.
const maxTemplate = 1 << 30

func codeService(c *binarystate.Codec, at *excess.Timeline, name *string, s *service) {
	at.Code(c)
	c.String(name, maxServiceBytes)
	s.code(c)
}

// code writes or reads all but the index, which is the model's.
func (s *service) code(c *binarystate.Codec) {
	c.Int64s(&s.last)
	s.miner.Code(c)
	c.Counts(s.records[:])
	c.Counts(s.requests[:])
	c.Counts(s.begun[:])
	s.silent.Code(c)
	c.Float64s(&s.begins)
	s.errors.Code(c)
	n := c.Length(len(s.templates), s.miner.Len())
	if c.Reading() {
		s.templates = make([]*template, n)
		for i := range s.templates {
			s.templates[i] = &template{}
		}
	}
	for _, t := range s.templates {
		if c.Err() != nil {
			return
		}
		t.code(c, n)
	}
}

func (t *template) code(c *binarystate.Codec, templates int) {
	t.errors.Code(c)
	c.Flags(&t.isError)
	c.Counts(t.starts[:])
	c.Counts(t.inContext[:])
	t.astray.Code(c)
	c.Float64s(&t.begins)
	if c.Reading() && t.begins < 0 {
		c.Fail(binarystate.ErrInvalid)
	}
	n := c.Length(len(t.followers), maxFollowers)
	if c.Reading() && n > 0 {
		t.followers = make([]follower, n)
	}
	for i := range t.followers {
		t.followers[i].code(c, templates)
	}
}

func (f *follower) code(c *binarystate.Codec, templates int) {
	f.template = c.Count(f.template, templates-1)
	c.Counts(f.hits[:])
	c.Float64s(&f.total, &f.learnt)
	if c.Reading() && (f.total < 0 || f.learnt < 0) {
		c.Fail(binarystate.ErrInvalid)
	}
}

// drop empties a slot without learning from it.
func (s *service) drop(slot int) {
	s.records[slot], s.requests[slot], s.begun[slot] = 0, 0, 0
	s.errors.Drop(slot)
	s.silent.Drop(slot)
	for _, t := range s.templates {
		t.errors.Drop(slot)
		t.astray.Drop(slot)
		t.starts[slot], t.inContext[slot] = 0, 0
		for i := range t.followers {
			t.followers[i].hits[slot] = 0
		}
	}
}
