package restapi

import (
	"cmp"
	"slices"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// graphView is what stands around an incident.
type graphView struct {
	Nodes []*graphNode `json:"nodes"`
	Edges []graphEdge  `json:"edges"`
}

// graphNode is an entity with its part in the incident.
type graphNode struct {
	// ID is type and name, joined by a colon; edges name it.
	ID   string             `json:"id"`
	Type semconv.EntityType `json:"type"`
	Name string             `json:"name"`
	// Roles are cause, evidence, entry_point, impacted, upstream and downstream, in this order, or neighbour where it is none of these.
	Roles []string `json:"roles"`
	// Rank counts causes from 1, the likeliest first; what follows is of the cause.
	Rank       int               `json:"rank,omitempty"`
	Kind       semconv.CauseKind `json:"kind,omitempty"`
	Confidence float64           `json:"confidence,omitempty"`
}

// graphEdge leads from who calls to what is called.
type graphEdge struct {
	From              string  `json:"from"`
	To                string  `json:"to"`
	ConnectionType    string  `json:"connection_type,omitempty"`
	RequestsPerSecond float64 `json:"requests_per_second"`
	FailureRatio      float64 `json:"failure_ratio"`
	// MeanDuration is in seconds.
	MeanDuration float64 `json:"mean_duration_seconds"`
	Abnormal     bool    `json:"abnormal,omitempty"`
}

// The roles of nodes.
const (
	roleCause      = "cause"
	roleEvidence   = "evidence"
	roleEntryPoint = "entry_point"
	roleImpacted   = "impacted"
	roleUpstream   = "upstream"
	roleDownstream = "downstream"
	roleNeighbour  = "neighbour"
)

func (a *API) graph(c *call) (any, error) {
	id, err := idOf(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := a.within(c)
	defer cancel()
	incident, err := a.memory.Incident(ctx, id)
	if err != nil {
		return nil, err
	}
	return graphOf(&incident.Incident), nil
}

// graphOf makes a graph of what an incident says: causes by rank, then everything else by name.
func graphOf(incident *eventdata.Incident) graphView {
	nodes := map[string]*graphNode{}
	node := func(e eventdata.Entity, role string) *graphNode {
		id := nodeID(e)
		n := nodes[id]
		if n == nil {
			n = &graphNode{ID: id, Type: e.Type, Name: e.Name}
			nodes[id] = n
		}
		if !slices.Contains(n.Roles, role) {
			n.Roles = append(n.Roles, role)
		}
		return n
	}
	for i, cause := range incident.Causes {
		if n := node(cause.Entity, roleCause); n.Rank == 0 {
			n.Rank, n.Kind, n.Confidence = i+1, cause.Kind, cause.Confidence
		}
	}
	for _, cause := range incident.Causes {
		for _, e := range cause.Evidence {
			if e.Entity != nil && *e.Entity != cause.Entity {
				node(*e.Entity, roleEvidence)
			}
		}
	}
	for _, services := range []struct {
		role  string
		names []string
	}{
		{roleEntryPoint, incident.EntryPoints},
		{roleImpacted, incident.Impact.Services},
		{roleUpstream, incident.Impact.Upstream},
		{roleDownstream, incident.Impact.Downstream},
	} {
		for _, name := range services.names {
			node(eventdata.Entity{Type: semconv.EntityService, Name: name}, services.role)
		}
	}
	edges := edgesOf(incident.Graph, nodes)
	view := graphView{Nodes: make([]*graphNode, 0, len(nodes)), Edges: edges}
	for _, n := range nodes {
		view.Nodes = append(view.Nodes, n)
	}
	slices.SortFunc(view.Nodes, func(a, b *graphNode) int {
		return cmp.Or(cmp.Compare(rankOf(a), rankOf(b)), cmp.Compare(a.ID, b.ID))
	})
	return view
}

// edgesOf makes edges between nodes, and the nodes that are missing. The service graph knows entities by their names alone.
func edgesOf(graph []eventdata.GraphEdge, nodes map[string]*graphNode) []graphEdge {
	byName := map[string]*graphNode{}
	for _, n := range nodes {
		// A service is who calls and is called; what else has its name is something that it runs on.
		if other := byName[n.Name]; other == nil || n.Type == semconv.EntityService || other.Type != semconv.EntityService && n.ID < other.ID {
			byName[n.Name] = n
		}
	}
	named := func(name string, kind semconv.EntityType) string {
		n := byName[name]
		if n == nil {
			e := eventdata.Entity{Type: kind, Name: name}
			n = &graphNode{ID: nodeID(e), Type: e.Type, Name: e.Name, Roles: []string{roleNeighbour}}
			nodes[n.ID], byName[name] = n, n
		}
		return n.ID
	}
	edges := make([]graphEdge, 0, len(graph))
	for _, e := range graph {
		edges = append(edges, graphEdge{
			From: named(e.Client, caller(e.Client)), To: named(e.Server, calledBy(e.ConnectionType)), ConnectionType: e.ConnectionType,
			RequestsPerSecond: e.RequestsPerSecond, FailureRatio: e.FailureRatio, MeanDuration: e.MeanDuration, Abnormal: e.Abnormal,
		})
	}
	return edges
}

// caller is what a name that nothing else tells of stands for where calls come from.
func caller(name string) semconv.EntityType {
	if name == semconv.GraphUser {
		return semconv.EntityExternal
	}
	return semconv.EntityService
}

// calledBy is what a connection of a type leads to.
func calledBy(connectionType string) semconv.EntityType {
	switch connectionType {
	case "database":
		return semconv.EntityDatabase
	case "messaging_system":
		return semconv.EntityMessaging
	case "virtual_node":
		return semconv.EntityExternal
	default:
		return semconv.EntityService
	}
}

// rankOf puts what is no cause behind what is.
func rankOf(n *graphNode) int {
	if n.Rank == 0 {
		return 1 << 30
	}
	return n.Rank
}

func nodeID(e eventdata.Entity) string { return string(e.Type) + ":" + e.Name }
