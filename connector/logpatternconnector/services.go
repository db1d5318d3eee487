package logpatternconnector

import (
	"cmp"
	"encoding/binary"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/internal/logpattern"
	"github.com/paramedic-otel/paramedic/internal/patternrate"
)

// service is what is known of the records of one service.
type service struct {
	key        string
	attributes []identity
	// first is when, in event time, its first record was written, last the interval of the newest one, and records how many
	// there were.
	first, last int64
	records     uint64
	rate        patternrate.Service
	patterns    map[patternKey]*pattern
	// order has the patterns in the order in which they came.
	order      []*pattern
	exceptions map[exceptionKey]*exceptionCount
	// open are the counts of the open intervals; an even one has the place 0.
	open [2]serviceCounts
}

// identity is an attribute that identifies a service.
type identity struct{ name, value string }

// serviceCounts are those of one interval.
type serviceCounts struct {
	records, traced, errors uint64
	// other counts the records that belong to no pattern.
	other  [severityClasses]uint64
	traces patternrate.Sketch
}

type patternKey struct {
	id       logpattern.ID
	severity severityClass
}

// pattern is a template as one service writes it with one severity.
type pattern struct {
	patternKey
	idText, template string
	// categories are the kinds of failures that it tells of, cluster the ID of the first template that says nearly the same.
	categories []string
	cluster    string
	// open are the counts of the open intervals, and traces the first trace of each.
	open   [2]uint64
	traces [2]traceRef
	// last is the newest interval with a record, weight how many there were lately.
	last   int64
	weight float64
	rate   patternrate.Rate
	// exception counts the records too when the template is that of a stack trace.
	exception *exceptionCount
}

type traceRef struct {
	trace pcommon.TraceID
	span  pcommon.SpanID
}

type exceptionKey struct{ name, frame string }

type exceptionCount struct {
	exceptionKey
	open [2]uint64
	last int64
}

// serviceOf returns the service of a resource; nil when there is no room for another one.
func (e *engine) serviceOf(resource pcommon.Map, at int64) *service {
	e.key = e.key[:0]
	for _, name := range e.cfg.ServiceAttributes {
		v, ok := resource.Get(name)
		if !ok {
			e.key = append(e.key, 0)
			continue
		}
		var text string
		if v.Type() == pcommon.ValueTypeStr {
			text = v.Str()
		} else {
			text = v.AsString()
		}
		text = text[:min(len(text), maxName)]
		e.key = binary.AppendUvarint(append(e.key, 1), uint64(len(text)))
		e.key = append(e.key, text...)
	}
	if s := e.services[string(e.key)]; s != nil {
		return s
	}
	if len(e.services) >= e.cfg.Limits.Services {
		return nil
	}
	s := &service{
		key: string(e.key), first: at, patterns: map[patternKey]*pattern{}, exceptions: map[exceptionKey]*exceptionCount{},
	}
	for _, name := range e.cfg.ServiceAttributes {
		if v, ok := resource.Get(name); ok {
			text := v.AsString()
			s.attributes = append(s.attributes, identity{name, text[:min(len(text), maxName)]})
		}
	}
	e.services[s.key] = s
	return s
}

// maxName bounds the bytes of an attribute's value that names a service, of an exception's type and of a frame.
const maxName = 256

// patternOf returns the pattern of a template in a service, and whether it is new there; nil when there is no room.
func (e *engine) patternOf(s *service, p *logpattern.Pattern, severity severityClass) (found *pattern, isNew bool) {
	key := patternKey{p.ID, severity}
	if found := s.patterns[key]; found != nil {
		return found, false
	}
	for _, alias := range p.Aliases {
		e.rename(s, alias, p.ID, p.Template)
	}
	if found := s.patterns[key]; found != nil {
		return found, false
	}
	if len(s.patterns) >= e.cfg.Limits.PatternsPerService || e.patterns >= e.cfg.Limits.Patterns {
		return nil, false
	}
	isNew = true
	for other := severity; other < severityClasses; other++ {
		isNew = isNew && s.patterns[patternKey{p.ID, other}] == nil
	}
	for other := e.minSeverity; other < severity; other++ {
		isNew = isNew && s.patterns[patternKey{p.ID, other}] == nil
	}
	found = &pattern{patternKey: key, idText: p.ID.String(), template: p.Template}
	e.classify(found)
	if exception, ok := exceptionOf(p.Template); ok {
		found.exception = e.exceptionIn(s, exception)
	}
	s.patterns[key] = found
	s.order = append(s.order, found)
	e.patterns++
	return found, isNew
}

// rename gives the patterns of a service that have a former ID of a template its ID of now.
func (e *engine) rename(s *service, from, to logpattern.ID, template string) {
	for severity := range severityClasses {
		p := s.patterns[patternKey{from, severity}]
		if p == nil {
			continue
		}
		delete(s.patterns, p.patternKey)
		key := patternKey{to, severity}
		into := s.patterns[key]
		if into == nil {
			p.patternKey, p.idText, p.template = key, to.String(), template
			e.classify(p)
			s.patterns[key] = p
			continue
		}
		for i := range p.open {
			if into.open[i] == 0 {
				into.traces[i] = p.traces[i]
			}
			into.open[i] += p.open[i]
		}
		into.last = max(into.last, p.last)
		into.weight += p.weight
		into.rate.Merge(&p.rate)
		s.order = slices.DeleteFunc(s.order, func(other *pattern) bool { return other == p })
		e.patterns--
	}
}

// resolve renames all patterns of which the templates have become more general.
func (e *engine) resolve() {
	if generalized := e.miner.Stats().Generalized; generalized != e.generalized {
		e.generalized = generalized
		for _, s := range e.services {
			for _, p := range slices.Clone(s.order) {
				if to := e.miner.Resolve(p.id); to != p.id {
					if now, ok := e.miner.Lookup(to); ok {
						e.rename(s, p.id, now.ID, now.Template)
					}
				}
			}
		}
	}
}

// makeRoom forgets the patterns that were not written for too long, and those not written for longest where there is hardly
// room for others. Time that was jumped over does not count: a wrong clock must not make all forgotten.
func (e *engine) makeRoom() {
	before := e.intervalOf(e.clock.watermark - e.clock.skipped - int64(e.cfg.PatternTTL))
	all := e.sortedServices()
	for _, s := range all {
		e.forget(s, func(p *pattern) bool { return p.last < before })
		if n := len(s.order); n > nearly(e.cfg.Limits.PatternsPerService) {
			e.evict([]*service{s}, n-mostly(e.cfg.Limits.PatternsPerService))
		}
		for key, x := range s.exceptions {
			if x.last < before && x.open == [2]uint64{} && !slices.ContainsFunc(s.order, func(p *pattern) bool { return p.exception == x }) {
				delete(s.exceptions, key)
			}
		}
	}
	if e.patterns > nearly(e.cfg.Limits.Patterns) {
		e.evict(all, e.patterns-mostly(e.cfg.Limits.Patterns))
	}
	if len(e.services) >= e.cfg.Limits.Services {
		before = max(before, e.intervalOf(e.clock.watermark-int64(silentFor)))
	}
	for _, s := range all {
		if s.last < before && s.open[0].records+s.open[1].records == 0 {
			e.forget(s, func(*pattern) bool { return true })
			delete(e.services, s.key)
		}
	}
}

// nearly is from how many things on there is hardly room for others, mostly how many then stay.
func nearly(limit int) int { return limit - limit/16 - 1 }
func mostly(limit int) int { return limit - limit/8 - 1 }

// idleFor is for how many intervals a pattern must not have been written to make room for others.
const idleFor = 6

// evict forgets n patterns of services, if so many are idle: those not written for longest, and of these the less frequent ones.
func (e *engine) evict(of []*service, n int) {
	var idle []*pattern
	for _, s := range of {
		for _, p := range s.order {
			if p.last < e.next-idleFor {
				idle = append(idle, p)
			}
		}
	}
	slices.SortStableFunc(idle, func(a, b *pattern) int {
		return cmp.Or(cmp.Compare(a.last, b.last), cmp.Compare(a.weight, b.weight))
	})
	doomed := map[*pattern]bool{}
	for _, p := range idle[:min(n, len(idle))] {
		doomed[p] = true
	}
	for _, s := range of {
		e.forget(s, func(p *pattern) bool { return doomed[p] })
	}
}

// forget drops those patterns of a service that are to go and have no records in an open interval.
func (e *engine) forget(s *service, which func(*pattern) bool) {
	s.order = slices.DeleteFunc(s.order, func(p *pattern) bool {
		old := p.open == [2]uint64{} && which(p)
		if old {
			delete(s.patterns, p.patternKey)
			e.patterns--
			e.stats.forgotten++
		}
		return old
	})
}

// sortedServices returns the services in the order of their keys.
func (e *engine) sortedServices() []*service {
	all := make([]*service, 0, len(e.services))
	for _, s := range e.services {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *service) int {
		if a.key < b.key {
			return -1
		}
		return 1
	})
	return all
}
