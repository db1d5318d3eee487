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
	// Roles are cause, evidence, entry_point, impacted, upstream and downstream, in this order.
	Roles []string `json:"roles"`
	// Rank counts causes from 1, the likeliest first; what follows is of the cause.
	Rank       int               `json:"rank,omitempty"`
	Kind       semconv.CauseKind `json:"kind,omitempty"`
	Confidence float64           `json:"confidence,omitempty"`
}

// graphEdge leads from who calls, or runs on something, to what is called or carries it.
type graphEdge struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// The roles of nodes.
const (
	roleCause      = "cause"
	roleEvidence   = "evidence"
	roleEntryPoint = "entry_point"
	roleImpacted   = "impacted"
	roleUpstream   = "upstream"
	roleDownstream = "downstream"
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
	view := graphView{Nodes: make([]*graphNode, 0, len(nodes)), Edges: []graphEdge{}}
	for _, n := range nodes {
		view.Nodes = append(view.Nodes, n)
	}
	slices.SortFunc(view.Nodes, func(a, b *graphNode) int {
		return cmp.Or(cmp.Compare(rankOf(a), rankOf(b)), cmp.Compare(a.ID, b.ID))
	})
	return view
}

// rankOf puts what is no cause behind what is.
func rankOf(n *graphNode) int {
	if n.Rank == 0 {
		return 1 << 30
	}
	return n.Rank
}

func nodeID(e eventdata.Entity) string { return string(e.Type) + ":" + e.Name }
