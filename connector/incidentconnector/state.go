package incidentconnector

import (
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/semconv"
)

// stateVersion is the version of everything stored but the models, which have their own: state of another one is not read.
const stateVersion = 3

const (
	// maxStored bounds how many things of a kind are read, maxStoredText the length of a text, maxStoredJSON that of an
	// incident or an event.
	maxStored     = 1 << 20
	maxStoredText = 1 << 20
	maxStoredJSON = 16 << 20
)

// life is what goes on: all that an incident needs to go on as the same one, and the events that nobody was told of yet. It
// is small, and stored as one.
type life struct {
	watermark time.Time
	next      int64
	rewinds   int64
	gaps      gaps
	changes   []change
	symptoms  []symptom
	incidents []storedIncident
	ended     []endedIncident
	warmFrom  time.Time
	hearing   hearing
	outbox    []semconv.IncidentEvent
}

// storedIncident is an open incident with its symptoms as places in the list of all.
type storedIncident struct {
	incident
	members []int
}

// life copies what goes on. What it shares with the engine is never changed in place. through is the last event that is in
// it.
func (e *engine) life() (l life, through int64) {
	l = life{
		watermark: e.clock.watermark, next: e.next, rewinds: int64(e.rewinds),
		gaps: slices.Clone(e.gaps), changes: slices.Clone(e.changes.list),
		symptoms: make([]symptom, 0, len(e.symptoms)),
	}
	place := make(map[*symptom]int, len(e.symptoms))
	keep := func(s *symptom) int {
		at, known := place[s]
		if !known {
			at = len(l.symptoms)
			place[s] = at
			l.symptoms = append(l.symptoms, *s)
		}
		return at
	}
	for _, s := range e.symptoms {
		keep(s)
	}
	for _, i := range e.incidents {
		stored := storedIncident{incident: *i}
		for _, s := range i.symptoms {
			stored.members = append(stored.members, keep(s))
		}
		l.incidents = append(l.incidents, stored)
	}
	for _, ended := range e.ended {
		l.ended = append(l.ended, *ended)
	}
	l.warmFrom, l.hearing = e.warmFrom, e.hearing
	l.outbox, through = e.outbox.snapshot()
	return l, through
}

// live goes on with what was stored.
func (e *engine) live(l *life) {
	e.clock.watermark, e.next, e.rewinds = l.watermark, l.next, int(l.rewinds)
	e.gaps = l.gaps
	e.changes.list = l.changes[max(0, len(l.changes)-e.cfg.Limits.Changes):]
	all := make([]*symptom, len(l.symptoms))
	for i := range l.symptoms {
		s := l.symptoms[i]
		s.entity, s.class, s.incident = s.key.entity, s.key.class, nil
		all[i] = &s
		if e.symptoms[s.key] == nil {
			e.symptoms[s.key] = &s
		}
	}
	for n := range l.incidents {
		i := l.incidents[n].incident
		if i.state.ID == "" {
			continue
		}
		i.symptoms = nil
		for _, at := range l.incidents[n].members {
			i.join(all[at])
		}
		e.incidents = append(e.incidents, &i)
	}
	for n := range l.ended {
		ended := l.ended[n]
		e.ended = append(e.ended, &ended)
	}
	e.warmFrom, e.hearing = l.warmFrom, l.hearing
	e.outbox.restore(l.outbox)
}

// code writes or reads what goes on.
func (l *life) code(c *binarystate.Codec) {
	codeTimes(c, &l.watermark)
	c.Int64s(&l.next, &l.rewinds)
	codeList(c, &l.gaps, func(g *gap) { codeTimes(c, &g.from, &g.to) })
	codeList(c, &l.changes, func(v *change) { v.code(c) })
	codeList(c, &l.symptoms, func(s *symptom) { s.code(c) })
	codeList(c, &l.incidents, func(i *storedIncident) { i.code(c, len(l.symptoms)) })
	codeList(c, &l.ended, func(i *endedIncident) { i.code(c) })
	codeTimes(c, &l.warmFrom, &l.hearing.last, &l.hearing.from, &l.hearing.to)
	codeDurations(c, &l.hearing.stride)
	codeList(c, &l.outbox, func(event *semconv.IncidentEvent) { codeJSON(c, event) })
	if c.Reading() && l.rewinds < 0 {
		c.Fail(binarystate.ErrInvalid)
	}
}

func (i *storedIncident) code(c *binarystate.Codec, symptoms int) {
	codeJSON(c, &i.state)
	codeTimes(c, &i.emitted, &i.since, &i.found, &i.changeable, &i.seen, &i.named, &i.partingSince, &i.convergingSince)
	codeDurations(c, &i.unseen)
	c.Flags(&i.told, &i.whole, &i.timed, &i.diagnosed)
	c.String(&i.silence, maxStoredText)
	c.String(&i.converging, maxStoredText)
	codeEntities(c, &i.parting)
	codeList(c, &i.siblings, func(id *string) { c.String(id, maxStoredText) })
	i.flaps = c.Count(i.flaps, math.MaxInt32)
	codeList(c, &i.members, func(at *int) { *at = c.Count(*at, symptoms-1) })
}

func (i *endedIncident) code(c *binarystate.Codec) {
	codeJSON(c, &i.state)
	codeTimes(c, &i.at, &i.changeable)
	codeDurations(c, &i.after)
	i.flaps = c.Count(i.flaps, math.MaxInt32)
	codeList(c, &i.opened, func(k *symptomKey) { k.code(c) })
}

func (k *symptomKey) code(c *binarystate.Codec) {
	k.class = symptomClass(c.Count(int(k.class), math.MaxUint8))
	codeEntities(c, &k.entity)
	c.String(&k.what, maxStoredText)
}

func (v *change) code(c *binarystate.Codec) {
	codeJSON(c, &v.Change)
	c.Flags(&v.treatment, &v.weak)
}

// code writes or reads a symptom, but not the incident that it belongs to.
func (s *symptom) code(c *binarystate.Codec) {
	s.key.code(c)
	codeEntities(c, &s.origin)
	s.budget.code(c)
	codeText(c, &s.kind)
	codeText(c, &s.edge.Client)
	codeText(c, &s.edge.Server)
	s.edgeKind = edgehealth.Kind(c.Count(int(s.edgeKind), math.MaxUint8))
	c.Flags(&s.logsErrors, &s.felt, &s.opens, &s.early, &s.waited)
	codeNumbers(c, &s.spreads, &s.surprise, &s.deviation, &s.score)
	codeTimes(c, &s.onset, &s.lastActive, &s.quietSince, &s.lastKnown)
	c.String(&s.summary, maxStoredText)
	c.String(&s.signal, maxStoredText)
	codeTexts(c, &s.resource)
	s.examples.code(c)
	if c.Reading() {
		s.entity, s.class = s.key.entity, s.key.class
	}
}

// code writes or reads a series with a high score.
func (s *signal) code(c *binarystate.Codec, key *signalKey) {
	codeEntities(c, &key.entity, &s.subject)
	c.String(&key.metric, maxStoredText)
	c.String(&key.signal, maxStoredText)
	c.Raw(key.point[:])
	c.Raw(key.source[:])
	c.String(&s.detector, maxStoredText)
	s.rule.code(c)
	known := !math.IsNaN(s.utilization)
	c.Flags(&s.chosen, &known)
	codeNumbers(c, &s.score, &s.deviation, &s.utilization, &s.count)
	codeTimes(c, &s.onset, &s.last, &s.rose)
	s.risenAt = c.Count(s.risenAt, math.MaxInt32)
	s.run = c.Count(s.run, math.MaxInt32)
	codeTexts(c, &s.resource)
	if c.Reading() {
		s.entity, s.metric, s.signal = key.entity, key.metric, key.signal
		if !known {
			s.utilization = math.NaN()
		}
	}
}

// code writes or reads what a rule says, but not the words by which it was found.
func (r *kindRule) code(c *binarystate.Codec) {
	codeText(c, &r.kind)
	c.Flags(&r.failure, &r.felt, &r.counts)
}

// code writes or reads the last value of a cumulative series.
func (p *lastPoint) code(c *binarystate.Codec, key *seriesKey) {
	c.String(&key.metric, maxStoredText)
	c.Raw(key.resource[:])
	c.Raw(key.point[:])
	codeStamps(c, &p.start, &p.time, &p.spacing)
	codeNumbers(c, &p.count, &p.sum)
	c.Amounts(p.latency[:])
}

// code writes or reads examples of traces.
func (t *traces) code(c *binarystate.Codec) {
	codeList(c, (*[]traceExample)(t), func(x *traceExample) {
		c.Raw(x.id[:])
		codeTimes(c, &x.at)
		codeNumbers(c, &x.value)
	})
	if c.Reading() {
		*t = (*t)[:min(len(*t), semconv.MaxTraceIDs)]
	}
}

// code writes or reads how the calls of an edge fail.
func (d *edgeDetail) code(c *binarystate.Codec, key *edgehealth.Key) {
	codeText(c, &key.Client)
	codeText(c, &key.Server)
	codeTimes(c, &d.seen)
	for _, t := range []*tally{&d.errors, &d.operations} {
		codeList(c, &t.entries, func(x *tallied) {
			c.String(&x.name, maxStoredText)
			codeNumbers(c, &x.n)
			codeTimes(c, &x.at)
		})
		if c.Reading() && len(t.entries) > maxTallied {
			c.Fail(binarystate.ErrInvalid)
		}
	}
	d.failed.code(c)
	d.slow.code(c)
}

// code writes or reads error records of a service.
func (l *logExamples) code(c *binarystate.Codec) {
	codeList(c, &l.list, func(x *logExample) {
		c.String(&x.text, maxStoredText)
		c.Raw(x.trace[:])
		codeTimes(c, &x.at)
	})
	l.next = c.Count(l.next, maxLogExamples-1)
	if c.Reading() && (len(l.list) > maxLogExamples || l.next >= max(1, len(l.list))) {
		c.Fail(binarystate.ErrInvalid)
	}
}

// storedService is a service with what is known of how to act on it.
type storedService struct {
	name     string
	seen     time.Time
	resource map[string]string
	versions *versions
	// records is when log records of it last came.
	records time.Time
	errors  logExamples
}

func (s *storedService) code(c *binarystate.Codec) {
	c.String(&s.name, maxStoredText)
	codeTimes(c, &s.seen, &s.records)
	codeTexts(c, &s.resource)
	s.errors.code(c)
	known := s.versions != nil
	c.Flags(&known)
	if !known {
		return
	}
	if c.Reading() {
		s.versions = &versions{}
	}
	s.versions.code(c)
}

func (v *versions) code(c *binarystate.Codec) {
	codeTimes(c, &v.since, &v.last)
	n := c.Length(len(v.values), maxVersionKeys)
	if !c.Reading() {
		for key, values := range v.values {
			key.code(c)
			values.code(c)
		}
		return
	}
	v.values = make(map[versionKey]*versionValues, n)
	for range n {
		var key versionKey
		key.code(c)
		values := &versionValues{}
		values.code(c)
		v.values[key] = values
	}
}

func (k *versionKey) code(c *binarystate.Codec) {
	c.String(&k.attribute, maxStoredText)
	c.String(&k.container, maxStoredText)
}

func (v *versionValues) code(c *binarystate.Codec) {
	codeList(c, &v.seen, func(s *versionSeen) {
		c.String(&s.value, maxStoredText)
		codeTimes(c, &s.last)
	})
	codeList(c, &v.changed, func(t *time.Time) { codeTimes(c, t) })
	if c.Reading() && (len(v.seen) > maxVersions || len(v.changed) > maxVersionChanges) {
		c.Fail(binarystate.ErrInvalid)
	}
}

// relation is one relation, which the engine holds both ways.
type relation struct {
	a, b semconv.Entity
	seen time.Time
}

func (r *relation) code(c *binarystate.Codec) {
	codeEntities(c, &r.a, &r.b)
	codeTimes(c, &r.seen)
}

// noTime is what a time that is none is written as.
const noTime = math.MinInt64

func codeTimes(c *binarystate.Codec, times ...*time.Time) {
	for _, t := range times {
		ns := int64(noTime)
		if !c.Reading() && !t.IsZero() {
			ns = t.UnixNano()
		}
		c.Int64s(&ns)
		if c.Reading() {
			*t = time.Time{}
			if ns != noTime {
				*t = time.Unix(0, ns).UTC()
			}
		}
	}
}

func codeDurations(c *binarystate.Codec, durations ...*time.Duration) {
	for _, d := range durations {
		ns := int64(*d)
		c.Int64s(&ns)
		*d = time.Duration(ns)
	}
}

// codeNumbers takes numbers; what is none is written as 0, for it would spoil all the rest.
func codeNumbers(c *binarystate.Codec, numbers ...*float64) {
	for _, v := range numbers {
		finite := *v
		if math.IsNaN(finite) || math.IsInf(finite, 0) {
			finite = 0
		}
		c.Float64s(&finite)
		if c.Reading() {
			*v = finite
		}
	}
}

// codeStamps takes timestamps and times between them.
func codeStamps[T ~uint64](c *binarystate.Codec, stamps ...*T) {
	for _, v := range stamps {
		u := uint64(*v)
		c.Uint64s(&u)
		*v = T(u)
	}
}

func codeText[T ~string](c *binarystate.Codec, v *T) {
	s := string(*v)
	c.String(&s, maxStoredText)
	*v = T(s)
}

func codeEntities(c *binarystate.Codec, entities ...*semconv.Entity) {
	for _, v := range entities {
		codeText(c, &v.Type)
		c.String(&v.Name, maxStoredText)
	}
}

func codeTexts(c *binarystate.Codec, texts *map[string]string) {
	known := *texts != nil
	c.Flags(&known)
	if !known {
		return
	}
	n := c.Length(len(*texts), maxStored)
	if !c.Reading() {
		for _, key := range sortedKeysOf(*texts) {
			value := (*texts)[key]
			c.String(&key, maxStoredText)
			c.String(&value, maxStoredText)
		}
		return
	}
	*texts = make(map[string]string, n)
	for range n {
		var key, value string
		c.String(&key, maxStoredText)
		c.String(&value, maxStoredText)
		(*texts)[key] = value
	}
}

func codeList[S ~[]T, T any](c *binarystate.Codec, list *S, code func(*T)) {
	n := c.Length(len(*list), maxStored)
	if c.Reading() {
		*list = nil
	}
	for i := range n {
		if c.Err() != nil {
			return
		}
		if c.Reading() {
			*list = append(*list, *new(T))
		}
		code(&(*list)[i])
	}
}

// codeJSON takes what other packages define, all fields of which are exported.
func codeJSON(c *binarystate.Codec, v any) {
	var text string
	if !c.Reading() {
		// Only what is no number cannot be written. It is left out, and so is what is too long, half of which is of no use:
		// it must not spoil the rest.
		if b, _ := json.Marshal(v); len(b) <= maxStoredJSON { //nolint:errchkjson // see above
			text = string(b)
		}
	}
	c.String(&text, maxStoredJSON)
	if c.Reading() && text != "" && json.Unmarshal([]byte(text), v) != nil {
		c.Fail(binarystate.ErrInvalid)
	}
}
