package incidentconnector

import (
	"github.com/paramedic-otel/paramedic/internal/rootcause"
	"github.com/paramedic-otel/paramedic/semconv"
)

// abnormalNoises is how many times its noise the excess of an edge must be for trouble to flow along it.
const abnormalNoises = 2.5

// flow is what a diagnosis found out about who affects whom.
type flow struct {
	// candidates are the likeliest causes, the first one first.
	candidates []rootcause.Candidate
	// callees maps each entity to those whose calls from it are abnormal, and callers the other way.
	callees, callers map[semconv.Entity][]semconv.Entity
	// entries are the entities whose calls from users are abnormal.
	entries []semconv.Entity
}

// note enters an edge of the graph.
func (f *flow) note(client, server semconv.Entity, entry bool) {
	if entry {
		f.entries = append(f.entries, server)
		return
	}
	if f.callees == nil {
		f.callees, f.callers = map[semconv.Entity][]semconv.Entity{}, map[semconv.Entity][]semconv.Entity{}
	}
	f.callees[client] = append(f.callees[client], server)
	f.callers[server] = append(f.callers[server], client)
}

// abnormal reports whether trouble flows along an edge.
func abnormal(edge *rootcause.Edge) bool {
	return edge.Missing > 0 || edge.New && edge.Failures > 0 ||
		edge.Failures > abnormalNoises*edge.FailureNoise || edge.Seconds > abnormalNoises*edge.SecondsNoise ||
		edge.ClientSeconds > abnormalNoises*edge.ClientNoise
}

// reach returns all entities that can be reached from one, itself included.
func reach(links map[semconv.Entity][]semconv.Entity, from semconv.Entity) map[semconv.Entity]bool {
	found := map[semconv.Entity]bool{from: true}
	for waiting := []semconv.Entity{from}; len(waiting) > 0; {
		next := waiting[len(waiting)-1]
		waiting = waiting[:len(waiting)-1]
		for _, to := range links[next] {
			if !found[to] {
				found[to] = true
				waiting = append(waiting, to)
			}
		}
	}
	return found
}

// meets reports whether two sets of entities have any in common.
func meets(a, b map[semconv.Entity]bool) bool {
	for entity := range a {
		if b[entity] {
			return true
		}
	}
	return false
}
