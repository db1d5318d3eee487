package logpatternconnector

import (
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
// room for others.
func (e *engine) makeRoom() {
	oldest := e.clock.watermark - int64(e.cfg.PatternTTL)
	if e.clock.watermark < oldest {
		return
	}
	before := e.intervalOf(oldest)
	all := e.sortedServices()
	for _, s := range all {
		e.forget(s, before)
		if n := len(s.order); n > nearly(e.cfg.Limits.PatternsPerService) {
			e.forget(s, thresholdOf(s.order, n-mostly(e.cfg.Limits.PatternsPerService)))
		}
		for key, x := range s.exceptions {
			if x.last < before && x.open == [2]uint64{} && !slices.ContainsFunc(s.order, func(p *pattern) bool { return p.exception == x }) {
				delete(s.exceptions, key)
			}
		}
	}
	if e.patterns > nearly(e.cfg.Limits.Patterns) {
		var every []*pattern
		for _, s := range all {
			every = append(every, s.order...)
		}
		threshold := thresholdOf(every, len(every)-mostly(e.cfg.Limits.Patterns))
		for _, s := range all {
			e.forget(s, threshold)
		}
	}
	if len(e.services) >= e.cfg.Limits.Services {
		before = max(before, e.intervalOf(e.clock.watermark-int64(silentFor)))
	}
	for _, s := range all {
		if s.last < before && s.open[0].records+s.open[1].records == 0 {
			e.forget(s, before)
			if len(s.order) == 0 {
				delete(e.services, s.key)
			}
		}
	}
}

// nearly is from how many things on there is hardly room for others, mostly how many then stay.
func nearly(limit int) int { return limit - limit/16 - 1 }
func mostly(limit int) int { return limit - limit/8 - 1 }

// thresholdOf returns an interval such that about n patterns are older.
func thresholdOf(patterns []*pattern, n int) int64 {
	last := make([]int64, len(patterns))
	for i, p := range patterns {
		last[i] = p.last
	}
	slices.Sort(last)
	return last[min(n, len(last)-1)]
}

// forget drops the patterns that were last written before an interval.
func (e *engine) forget(s *service, before int64) {
	s.order = slices.DeleteFunc(s.order, func(p *pattern) bool {
		old := p.last < before && p.open == [2]uint64{}
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
