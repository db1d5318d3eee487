// Package logflow finds in log records what a service suddenly does or no longer does: an error message that was never
// or seldom written, and a step that used to follow another one and does not any more.
//
// The second is the idea of workflow anomalies (M. Du et al., "DeepLog", CCS 2017) and of Nezha's event patterns (G. Yu et
// al., ESEC/FSE 2023) in a streaming, bounded form: of each template the templates that follow it within the same span
// are counted, and a follower that was nearly certain and stays away is judged by the surprise of its absence (package
// excess). It needs no training phase and does not depend on the mix of requests.
package logflow

import (
	"cmp"
	"slices"

	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/internal/logtemplate"
)

// Limits bound a Model.
type Limits struct {
	// MaxServices is the number of services watched.
	MaxServices int
	// MaxContexts is the number of spans whose last record is remembered.
	MaxContexts int
	// MaxTemplates is the number of templates of all services together, and Templates bound those of each.
	MaxTemplates int
	Templates    logtemplate.Limits
}

// Record is what the model needs of a log record.
type Record struct {
	Service string
	// Bucket is the record's time.
	Bucket int64
	// Error is true for severities of error and above.
	Error bool
	// Message is the text, Template its template where somebody mined it already.
	Message, Template string
	// Count is how many records it stands for; 0 is one.
	Count float64
	// Context identifies the span, or the trace, in which it was written; zero when there is none.
	Context Context
}

// Context is a trace ID and a span ID.
type Context [24]byte

// FindingKind says what a Finding is about.
type FindingKind int

// The kinds of findings.
const (
	// NewError is an error template that was written far more often than expected.
	NewError FindingKind = iota
	// MissingStep is a template that did not follow where it used to, nor did any other that is usual there.
	MissingStep
	// MissingRecord is a template with which a service no longer begins to write for its requests: for many of them it
	// writes nothing any more.
	MissingRecord
)

// Finding is one abnormality in the log records of a service.
type Finding struct {
	Service string
	Kind    FindingKind
	// Template is the text of the error, or of what is missing; After is the step before a missing one.
	Template, After string
	Verdict         excess.Verdict
	Trend           excess.Trend
}

// Model holds what is known of all services. It is not safe for concurrent use.
type Model struct {
	limits   Limits
	learning excess.Learning
	timeline excess.Timeline
	services map[string]*service
	names    []string
	// made counts the services that there have been.
	made int
	// templates is the number of templates of all services.
	templates int
	contexts  map[contextKey]lastStep
	// queue holds the keys of contexts in the order in which they were first seen.
	queue []queued
	// records counts those of all services.
	records excess.Counts
	window  excess.Window
	// writers is how many services have written an error of a template.
	writers map[string]int
	// certainty is how often steps that are nearly certain are missing, over all services, as a prior for each of them.
	certainty excess.Cell
	// deafUntil is the first bucket after which it is asked again whether requests are without records.
	deafUntil int64
	// Refused counts records of services past the limit, records whose template found no room, and contexts that had to
	// make room for others.
	Refused int64
}

type contextKey struct {
	service int
	context Context
}

type lastStep struct {
	template int
	bucket   int64
	// unsure is set when it is not known whether the step was followed while nobody looked: then it does not count until
	// it is.
	unsure bool
}

type queued struct {
	key    contextKey
	bucket int64
}

// New returns an empty Model.
func New(limits Limits, learning excess.Learning) *Model {
	return &Model{
		limits: limits, learning: learning,
		services: map[string]*service{}, contexts: map[contextKey]lastStep{}, writers: map[string]int{},
	}
}

// Services returns the number of services watched, Contexts the number of spans.
func (m *Model) Services() int { return len(m.services) }

// Templates returns the number of templates of all services.
func (m *Model) Templates() int { return m.templates }

// Contexts returns the number of spans whose last record is remembered.
func (m *Model) Contexts() int { return len(m.contexts) }

// Observe counts a record.
func (m *Model) Observe(r Record) {
	if !m.timeline.Started() {
		m.timeline.Start(r.Bucket)
	}
	s := m.services[r.Service]
	if s == nil {
		if len(m.services) >= m.limits.MaxServices {
			m.Refused++
			return
		}
		s = newService(m.limits.Templates)
		s.index = m.made
		m.made++
		m.services[r.Service] = s
		m.names = append(m.names, r.Service)
	}
	s.last = max(s.last, r.Bucket)
	slot := m.timeline.Slot(r.Bucket)
	message := r.Message
	if r.Template != "" {
		message = r.Template
	}
	s.miner.Freeze(m.templates >= m.limits.MaxTemplates)
	before := s.miner.Len()
	// What an error says tells errors apart; what else is written tells only which step was taken.
	var id int
	if r.Error {
		id = s.miner.Match(message)
	} else {
		id = s.miner.MatchStatement(message)
	}
	m.templates += s.miner.Len() - before
	if id == logtemplate.Overflow {
		m.Refused++
	}
	t := s.template(id)
	count := float32(1)
	if r.Count > 0 {
		count = float32(r.Count)
	}
	s.records[slot] += count
	m.records[slot] += count
	if r.Error {
		if !t.isError {
			t.isError = true
			m.writers[s.miner.Text(id)]++
		}
		t.errors.Events[slot] += count
		s.errors.Events[slot] += count * m.specific(s.miner.Text(id))
	}
	if r.Context == (Context{}) {
		// Nobody knows what it began with: it stands for itself.
		s.begun[slot] += count
		t.starts[slot] += count
		return
	}
	key := contextKey{s.index, r.Context}
	last, known := m.contexts[key]
	if known {
		lastSlot := m.timeline.Slot(last.bucket)
		before := s.template(last.template)
		if last.unsure {
			before.inContext[lastSlot]++
		}
		before.followedBy(id, lastSlot)
	} else {
		m.remember(key, r.Bucket)
		s.begun[slot]++
		t.starts[slot]++
	}
	t.inContext[slot]++
	m.contexts[key] = lastStep{template: id, bucket: max(r.Bucket, m.timeline.Next())}
}

// NoteRequests says how many requests a service got in a bucket that is about to be closed, whoever counted them. What it
// usually writes for them is expected. Services without log records are ignored, and so is a bucket in which no service wrote
// any: nobody collects them then.
func (m *Model) NoteRequests(name string, bucket int64, requests float64) {
	slot := m.timeline.Slot(bucket)
	if s := m.services[name]; s != nil && m.records[slot] > 0 {
		s.requests[slot] += float32(requests)
	}
}

// remember queues a new context, and forgets the oldest when there are too many.
func (m *Model) remember(key contextKey, bucket int64) {
	if len(m.contexts) >= m.limits.MaxContexts && len(m.queue) > 0 {
		m.Refused++
		delete(m.contexts, m.queue[0].key)
		m.queue = m.queue[1:]
	}
	m.queue = append(m.queue, queued{key, bucket})
}

// contextBuckets is how many buckets after its first record a context is forgotten.
const contextBuckets = 6

// Close closes a bucket and returns what was found abnormal at its end, ordered by service and surprise.
func (m *Model) Close(bucket int64, minSurprise float64) []Finding {
	if !m.timeline.Started() || bucket < m.timeline.Next() {
		return nil
	}
	m.timeline.Jump(bucket, m.retire)
	m.timeline.Close(m.retire)
	drop := 0
	for drop < len(m.queue) && m.queue[drop].bucket <= bucket-contextBuckets {
		delete(m.contexts, m.queue[drop].key)
		drop++
	}
	m.queue = append(m.queue[:0], m.queue[drop:]...)

	m.learnCertainty()
	var findings []Finding
	for _, name := range m.names {
		findings = m.services[name].judge(m, name, minSurprise, findings)
	}
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(b.Verdict.Surprise, a.Verdict.Surprise))
	})
	return findings
}

func (m *Model) retire(slot int) {
	for _, s := range m.services {
		s.retire(slot, m)
	}
	m.records[slot] = 0
}

// TakeRefused returns Refused and sets it to 0.
func (m *Model) TakeRefused() int64 {
	n := m.Refused
	m.Refused = 0
	return n
}

// Forget drops the services that have written nothing since a bucket.
func (m *Model) Forget(before int64) {
	m.names = slices.DeleteFunc(m.names, func(name string) bool {
		s := m.services[name]
		if s.last >= before {
			return false
		}
		m.templates -= s.miner.Len() - 1
		s.unwrite(m)
		delete(m.services, name)
		return true
	})
}

// Rewind goes back to an earlier bucket. What was counted lately is forgotten, what was learnt is kept.
func (m *Model) Rewind(bucket int64) {
	m.timeline.Rewind(bucket)
	m.deafUntil = 0
	clear(m.contexts)
	m.queue = m.queue[:0]
	m.records = excess.Counts{}
	for _, s := range m.services {
		s.clear()
		s.last = min(s.last, bucket)
	}
}

// Settle says that what a service has logged so far has been dealt with: it is no evidence for anything new.
func (m *Model) Settle(name string) {
	s := m.services[name]
	if s == nil {
		return
	}
	s.settle(&m.timeline)
}

// Records returns how many records of a service the last n closed buckets held.
func (m *Model) Records(name string, n int) float64 {
	s := m.services[name]
	if s == nil {
		return 0
	}
	sum := float32(0)
	for i := range min(n, excess.Lookback) {
		sum += s.records[excess.SlotOf(m.timeline.Next()-1-int64(i))]
	}
	return float64(sum)
}
