package incidentconnector

import (
	"cmp"
	"slices"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/semconv"
)

// aroundEdge is an edge of the graph that touches what is involved in an incident.
type aroundEdge struct {
	key      edgehealth.Key
	requests float64
	abnormal bool
}

// describeGraph tells of the edges around an incident that the ranking has looked at, the most important first: those along which
// trouble flows, those of the first cause, those by which requests come in, and then those with most requests.
func (e *engine) describeGraph(i *incident, buckets int) {
	cause := edgehealth.Node(i.state.Cause().Entity.String())
	touches := func(a *aroundEdge) bool { return a.key.Client == cause || a.key.Server == cause }
	first := func(a, b bool) int {
		switch {
		case a == b:
			return 0
		case a:
			return -1
		default:
			return 1
		}
	}
	compare := func(a, b aroundEdge) int {
		return cmp.Or(
			first(a.abnormal, b.abnormal), first(touches(&a), touches(&b)), first(a.key.Client == entryNode, b.key.Client == entryNode),
			cmp.Compare(b.requests, a.requests), cmp.Compare(a.key.Client, b.key.Client), cmp.Compare(a.key.Server, b.key.Server),
		)
	}
	// Few of many thousands are kept: to put each in its place among those is cheaper than to sort all.
	chosen := make([]aroundEdge, 0, min(len(e.around), semconv.MaxGraphEdges))
	for _, a := range e.around {
		if len(chosen) == semconv.MaxGraphEdges {
			if compare(a, chosen[len(chosen)-1]) >= 0 {
				continue
			}
			chosen = chosen[:len(chosen)-1]
		}
		at, _ := slices.BinarySearchFunc(chosen, a, compare)
		chosen = slices.Insert(chosen, at, a)
	}
	i.state.Graph = nil
	if len(chosen) == 0 {
		return
	}
	seconds := float64(buckets) * e.cfg.Bucket.Seconds()
	graph := make([]semconv.GraphEdge, 0, len(chosen))
	for k := range chosen {
		a := &chosen[k]
		carried := e.edges.Calls(a.key, buckets)
		edge := semconv.GraphEdge{
			Client: semconv.GraphUser, RequestsPerSecond: max(0, carried.Requests/seconds), FailureRatio: clamp(carried.FailureRatio),
			MeanDuration: carried.MeanSeconds, Abnormal: a.abnormal,
		}
		if a.key.Client != entryNode {
			edge.Client = entityOf(a.key.Client).Name
		}
		server := entityOf(a.key.Server)
		edge.Server, edge.ConnectionType = server.Name, connectionTo(server)
		graph = append(graph, edge)
	}
	i.state.Graph = graph
}

// connectionTo is the type of a connection by what is at its end.
func connectionTo(server semconv.Entity) string {
	switch server.Type {
	case semconv.EntityDatabase:
		return semconv.ConnectionDatabase
	case semconv.EntityMessaging:
		return semconv.ConnectionMessaging
	case semconv.EntityExternal:
		return semconv.ConnectionVirtual
	default:
		return semconv.ConnectionDirect
	}
}
