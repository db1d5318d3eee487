package incidentconnector

import "github.com/paramedic-otel/paramedic/internal/rootcause"

// Part is a part of the diagnosis that a benchmark can leave out to see what it is worth.
type Part string

// The parts.
const (
	PartLogs           Part = "logs"
	PartResources      Part = "resources"
	PartExplainAway    Part = "explain-away"
	PartTrafficWeights Part = "traffic-weights"
	PartGraph          Part = "graph"
)

// ranked ranks the causes, without the part that is left out.
func (p Part) ranked(nodes []rootcause.Node, edges []rootcause.Edge) []rootcause.Candidate {
	parameters := rootcause.Defaults()
	switch p {
	case PartLogs:
		for i := range nodes {
			nodes[i].Log = 0
		}
	case PartResources:
		for i := range nodes {
			nodes[i].Internal = 0
		}
	case PartExplainAway:
		parameters.Explained = 0
	case PartGraph:
		edges = nil
	}
	return parameters.Rank(nodes, edges)
}

// weighed returns an edge without its traffic: what each of its requests has to bear.
func (p Part) weighed(edge rootcause.Edge, requests float64) rootcause.Edge {
	if p != PartTrafficWeights || requests <= 1 {
		return edge
	}
	for _, v := range []*float64{
		&edge.Failures, &edge.Seconds, &edge.ClientSeconds, &edge.FailureNoise, &edge.SecondsNoise, &edge.ClientNoise,
	} {
		*v /= requests
	}
	return edge
}
