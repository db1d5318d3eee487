package incidentconnector

import (
	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/semconv"
)

// maxDistance is how many edges of the service graph may lie between two symptoms of one incident.
const maxDistance = 2

// neighbourhoods maps each entity of the graph to its neighbours.
type neighbourhoods map[semconv.Entity][]semconv.Entity

func (e *engine) neighbourhoods() neighbourhoods {
	n := neighbourhoods{}
	e.edges.Edges(func(k edgehealth.Key) {
		client, server := entityOf(k.Client), entityOf(k.Server)
		if k.Client == entryNode {
			// Everything has users; that relates nothing to anything.
			return
		}
		n[client] = append(n[client], server)
		n[server] = append(n[server], client)
	})
	return n
}

// within reports whether there is a path of at most distance edges between two entities.
func (n neighbourhoods) within(a, b semconv.Entity, distance int) bool {
	if a == b {
		return true
	}
	if distance == 0 {
		return false
	}
	for _, next := range n[a] {
		if n.within(next, b, distance-1) {
			return true
		}
	}
	return false
}

// related reports whether two symptoms can be of one incident: close in time, and close in the graph or on one machine.
func (e *engine) related(a, b *symptom, near neighbourhoods) bool {
	apart := a.onset.Sub(b.onset).Abs()
	if apart > e.cfg.GroupWindow {
		return false
	}
	if node := a.resource[semconv.AttrK8sNodeName]; node != "" && a.kind == b.kind && b.resource[semconv.AttrK8sNodeName] == node {
		return true
	}
	if a.opens && e.runsOn(b.entity, a.entity) || b.opens && e.runsOn(a.entity, b.entity) {
		// A saturated machine has to do with what goes wrong on it, and with that alone; one that is merely busy ties
		// nothing together.
		return true
	}
	return near.within(a.entity, b.entity, maxDistance)
}

// joins reports whether a new symptom belongs to an open incident: it began soon after it and is related to it, or it is
// of the incident's cause. An incident that subsides takes in nothing new.
func (e *engine) joins(s *symptom, i *incident, near neighbourhoods) bool {
	if s.entity == i.state.Cause().Entity {
		return true
	}
	if s.onset.Sub(i.state.StartedAt) > e.cfg.GroupWindow || s.lastActive.Sub(i.lastActive()) > subsidedBuckets*e.cfg.Bucket {
		return false
	}
	for _, member := range i.symptoms {
		if e.related(s, member, near) || e.runsOn(member.entity, s.entity) {
			return true
		}
	}
	return false
}

// group parts symptoms into groups that belong together, directly or by way of others, in the order of their first
// symptom.
func (e *engine) group(symptoms []*symptom, near neighbourhoods) [][]*symptom {
	parent := make([]int, len(symptoms))
	for i := range parent {
		parent[i] = i
	}
	root := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	for i := range symptoms {
		for j := range i {
			if a, b := root(i), root(j); a != b && e.related(symptoms[i], symptoms[j], near) {
				parent[max(a, b)] = min(a, b)
			}
		}
	}
	index := map[int]int{}
	var groups [][]*symptom
	for i, s := range symptoms {
		r := root(i)
		at, ok := index[r]
		if !ok {
			at = len(groups)
			index[r] = at
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], s)
	}
	return groups
}

// evidenceOf returns the strongest evidence against any one entity of a group: its strongest symptom that can open an
// incident, and half of the strongest one of another sort; an error that is logged and a step that is missing are two.
func (e *engine) evidenceOf(group []*symptom) float64 {
	best := 0.0
	for _, s := range group {
		if !s.opens || !s.active() {
			continue
		}
		other := 0.0
		for _, t := range group {
			if t.entity == s.entity && (t.class != s.class || t.logsErrors != s.logsErrors) && t.active() {
				other = max(other, t.weight())
			}
		}
		best = max(best, s.weight()+other/2)
	}
	return best
}
