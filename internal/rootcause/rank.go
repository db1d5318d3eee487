// Package rootcause ranks the nodes of a service graph by how likely each is the root cause of an incident.
//
// The method is excess impact, explained away. Impact is measured in units that add up, failures and seconds beyond the
// normal; what the calls of a node to its own callees had to bear is taken from what the node itself had to bear, so
// that only the part which nobody below explains remains. Where it is known who suffers, the symptom's impact is followed
// down the graph, and an impact counts for what of it the symptom can have felt. That external evidence is pooled with the
// evidence from inside the node (saturated resources) and from its logs as M = S - log(1 + S), S being their sum, as in
// PRISM; and a node whose callees have strong evidence of their own loses by it, for errors and missing steps travel from
// callee to caller even where no counter shows it. Nodes that call each other in a cycle are one to everybody else, and
// are ranked among themselves by their own evidence.
package rootcause

import (
	"cmp"
	"slices"
)

// Parameters are what the ranking can be tuned by. All are shares of 1, but for Significant.
type Parameters struct {
	// Explained is the part of a callee's evidence that is taken from its callers.
	Explained float64
	// LeastKept is the part of its evidence that a node always keeps.
	LeastKept float64
	// Significant is how many times its noise an impact must be to count.
	Significant float64
	// NetworkPart is the part of a caller's excess waiting that must be lost on the way to speak of the network.
	NetworkPart float64
	// Uninstrumented weighs nodes that send no telemetry of their own: all that is known of them is hearsay.
	Uninstrumented float64
	// Unfelt weighs an impact that no path of impacts leads to from a symptom: the path may be unknown.
	Unfelt float64
	// SymptomShare is the part of a symptom's impact that others must own for the symptom not to be a cause by what is
	// left of it.
	SymptomShare float64
}

// Defaults returns the parameters that Rank uses.
func Defaults() Parameters {
	return Parameters{
		Explained: 0.7, LeastKept: 0.1, Significant: 2.5, NetworkPart: 0.5, Uninstrumented: 0.3, Unfelt: 0.3, SymptomShare: 0.5,
	}
}

// Node is what is known of one node during an incident.
type Node struct {
	Name string
	// Internal is the largest robust deviation of the node's own resources, Log the largest surprise (-log10 of the
	// probability) in its log records. Both are at least 0.
	Internal, Log float64
	// Changed is true when the node was changed shortly before the incident.
	Changed bool
	// Uninstrumented nodes are known only from their callers.
	Uninstrumented bool
	// Symptom nodes are those whose trouble is to be explained. Without any, all impact counts alike.
	Symptom bool
	// Onset is when the node's first evidence began; it breaks ties.
	Onset int64
}

// Edge is what the calls of one node to another had to bear beyond the normal.
type Edge struct {
	Client, Server string
	// Requests is how many calls there were; 0 where that is not known.
	Requests float64
	// Failures and Seconds as the callee saw them, ClientSeconds as the caller did.
	Failures, Seconds, ClientSeconds float64
	// FailureNoise, SecondsNoise and ClientNoise are what they vary by in normal operation.
	FailureNoise, SecondsNoise, ClientNoise float64
	// ClientOnly edges are measured by the caller alone: their time may be lost at the callee or on the way.
	ClientOnly bool
	// Missing is by how many standard deviations calls are missing that the caller used to make.
	Missing float64
	// New edges were first seen when the incident began.
	New bool
}

// Candidate is a node with its rank.
type Candidate struct {
	Name string
	// Evidence is the pooled evidence after what callees explain was taken away.
	Evidence float64
	// Share is the part, in [0, 1], of all own impact in the graph that is this node's.
	Share float64
	// Confidence, in [0, 1], is the part of the evidence against all candidates that speaks against this one, weighed
	// down when there is little of it.
	Confidence float64
	// OwnFailures and OwnSeconds are the node's own impact, and NetworkSeconds what its callers or callees waited for
	// it on the way.
	OwnFailures, OwnSeconds, NetworkSeconds float64
}

// Rank returns the candidates with any evidence, the likeliest first. Its cost is O(V log V + E log E).
func Rank(nodes []Node, edges []Edge) []Candidate { return Defaults().Rank(nodes, edges) }

// Rank is Rank with other parameters than the usual ones.
func (p Parameters) Rank(nodes []Node, edges []Edge) []Candidate {
	g := newGraph(p, nodes, edges)
	below := g.below()
	ranked := make([]rankedNode, 0, len(nodes))
	totalShare, totalEvidence := 0.0, 0.0
	for i := range g.nodes {
		n := &g.nodes[i]
		if n.pooled <= 0 {
			continue
		}
		evidence := max(n.pooled-p.Explained*below[i], p.LeastKept*n.pooled)
		totalShare += n.external
		totalEvidence += evidence
		ranked = append(ranked, rankedNode{n.Onset, Candidate{
			Name: n.Name, Evidence: evidence, Share: n.external, OwnFailures: n.own[failures], OwnSeconds: n.own[seconds], NetworkSeconds: n.network,
		}})
	}
	slices.SortFunc(ranked, func(a, b rankedNode) int {
		return cmp.Or(cmp.Compare(b.Evidence, a.Evidence), cmp.Compare(a.onset, b.onset), cmp.Compare(a.Name, b.Name))
	})
	candidates := make([]Candidate, len(ranked))
	for i, r := range ranked {
		if totalShare > 0 {
			r.Share /= totalShare
		}
		r.Confidence = Confidence(r.Evidence, totalEvidence)
		candidates[i] = r.Candidate
	}
	return candidates
}

type rankedNode struct {
	onset int64
	Candidate
}
