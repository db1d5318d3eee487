package incidentconnector

import (
	"slices"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/semconv"
)

// evidence turns a symptom into what an incident says of it, with examples from since shortly before it began.
func (e *engine) evidence(s *symptom) semconv.Evidence {
	ev := semconv.Evidence{
		Signal: s.signal, Onset: s.onset, Deviation: s.deviation, Score: clamp(s.score), Summary: s.summary,
	}
	if s.kind != semconv.CauseUnknown {
		ev.Kind = s.kind
	}
	if s.origin != s.entity {
		ev.Entity = s.origin
	}
	since := s.onset.Add(-e.cfg.Bucket)
	ev.TraceIDs = s.examples.ids(since)
	if detail := e.details.edges[s.edge]; detail != nil && s.class == classEdge {
		switch s.edgeKind {
		case edgehealth.Failing:
			ev.TraceIDs = detail.failed.ids(since)
		case edgehealth.Slow, edgehealth.SlowForClient:
			ev.TraceIDs = detail.slow.ids(since)
		}
	}
	return ev
}

// chosen returns the symptoms that a cause tells of: the strongest, but the strongest of each class in any case, for what the
// inside of a service, its log or Kubernetes says is told by none of its callers, however many they are.
func chosen(strongestFirst []*symptom) []*symptom {
	if len(strongestFirst) <= maxEvidence {
		return strongestFirst
	}
	taken := make([]bool, len(strongestFirst))
	classes := map[symptomClass]bool{}
	n := 0
	for i, s := range strongestFirst {
		if !classes[s.class] && n < maxEvidence {
			classes[s.class], taken[i] = true, true
			n++
		}
	}
	for i := range strongestFirst {
		if !taken[i] && n < maxEvidence {
			taken[i] = true
			n++
		}
	}
	var out []*symptom
	for i, s := range strongestFirst {
		if taken[i] {
			out = append(out, s)
		}
	}
	return out
}

// isPeer reports whether an entity is known from its callers alone, unless somebody watches it.
func isPeer(entity semconv.Entity) bool {
	switch entity.Type {
	case semconv.EntityDatabase, semconv.EntityMessaging, semconv.EntityExternal:
		return true
	default:
		return false
	}
}

// entityNamed is the inverse of Entity.String.
func entityNamed(name string) semconv.Entity { return entityOf(edgehealth.Node(name)) }

func sortedEntities[V any](set map[semconv.Entity]V) []semconv.Entity {
	out := make([]semconv.Entity, 0, len(set))
	for entity := range set {
		out = append(out, entity)
	}
	slices.SortFunc(out, compareEntities)
	return out
}

func sortedKeysOf[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
