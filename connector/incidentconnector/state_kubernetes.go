package incidentconnector

import (
	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/semconv"
)

// objectSort says what a stored object is.
type objectSort uint8

const (
	sortWorkload objectSort = iota
	sortConfigMap
	sortReplicaSets
	sortSeenEvent
	sortHappening
	objectSorts
)

// objectKey identifies something that Kubernetes told of.
type objectKey struct {
	sort   objectSort
	entity semconv.Entity
	name   string
}

// storedObject is something that Kubernetes told of, with the one of its parts that its sort says.
type storedObject struct {
	key         objectKey
	workload    workload
	configMap   [16]byte
	replicaSets []string
	seen        seenEvent
	happening   happening
}

func (o *storedObject) code(c *binarystate.Codec) {
	o.key.sort = objectSort(c.Count(int(o.key.sort), int(objectSorts)-1)) //nolint:gosec // a few
	codeEntities(c, &o.key.entity)
	c.String(&o.key.name, maxStoredText)
	switch o.key.sort {
	case sortWorkload:
		o.workload.code(c)
	case sortConfigMap:
		c.Raw(o.configMap[:])
	case sortReplicaSets:
		codeStrings(c, &o.replicaSets)
	case sortSeenEvent:
		o.seen.code(c)
	case sortHappening:
		o.happening.code(c)
	}
}

func (w *workload) code(c *binarystate.Codec) {
	codeStrings(c, &w.images)
	codeStrings(c, &w.previous)
	c.Raw(w.spec[:])
	c.Raw(w.annotations[:])
	c.String(&w.restarted, maxStoredText)
	c.Int64s(&w.replicas)
	codeStrings(c, &w.configMaps)
}

func (s *seenEvent) code(c *binarystate.Codec) {
	c.Int64s(&s.count)
	codeTimes(c, &s.at)
}

func (h *happening) code(c *binarystate.Codec) {
	c.String(&h.rule.word, maxStoredText)
	codeText(c, &h.rule.kind)
	codeNumbers(c, &h.rule.spreads)
	codeEntities(c, &h.subject)
	c.String(&h.message, maxStoredText)
	c.Int64s(&h.count)
	codeTimes(c, &h.first, &h.last, &h.told)
	codeTexts(c, &h.target)
}

func codeStrings(c *binarystate.Codec, list *[]string) {
	codeList(c, list, func(s *string) { c.String(s, maxStoredText) })
}

// objectKeys calls visit for everything that Kubernetes told of.
func (e *engine) objectKeys(visit func(objectKey)) {
	for entity := range e.objects.workloads {
		visit(objectKey{sort: sortWorkload, entity: entity})
	}
	for name := range e.objects.configMaps {
		visit(objectKey{sort: sortConfigMap, name: name})
	}
	for entity := range e.objects.replicaSets {
		visit(objectKey{sort: sortReplicaSets, entity: entity})
	}
	for uid := range e.happenings.seen {
		visit(objectKey{sort: sortSeenEvent, name: uid})
	}
	for key := range e.happenings.held {
		visit(objectKey{sort: sortHappening, entity: key.entity, name: key.reason})
	}
}

func (e *engine) appendObject(b []byte, key objectKey) []byte {
	o := storedObject{key: key}
	known := false
	switch key.sort {
	case sortWorkload:
		w := e.objects.workloads[key.entity]
		if known = w != nil; known {
			o.workload = *w
		}
	case sortConfigMap:
		o.configMap, known = e.objects.configMaps[key.name]
	case sortReplicaSets:
		o.replicaSets, known = e.objects.replicaSets[key.entity]
	case sortSeenEvent:
		o.seen, known = e.happenings.seen[key.name]
	case sortHappening:
		h := e.happenings.held[happeningKey{key.entity, key.name}]
		if known = h != nil; known {
			o.happening = *h
		}
	}
	if !known {
		return b
	}
	c := binarystate.NewWriter(b)
	o.code(c)
	return c.Written()
}

// restoreObject takes over what Kubernetes told of and was stored.
func (e *engine) restoreObject(o *storedObject) error {
	most := e.cfg.Limits.Objects
	if o.key.sort < sortSeenEvent && e.objects.len() >= most || o.key.sort >= sortSeenEvent && e.happenings.len() >= most {
		return errNoRoom
	}
	switch o.key.sort {
	case sortWorkload:
		e.objects.workloads[o.key.entity] = &o.workload
	case sortConfigMap:
		e.objects.configMaps[o.key.name] = o.configMap
	case sortReplicaSets:
		if len(o.replicaSets) > maxReplicaSets {
			return binarystate.ErrInvalid
		}
		e.objects.replicaSets[o.key.entity] = o.replicaSets
	case sortSeenEvent:
		e.happenings.seen[o.key.name] = o.seen
	case sortHappening:
		e.happenings.held[happeningKey{o.key.entity, o.key.name}] = &o.happening
	}
	return nil
}
