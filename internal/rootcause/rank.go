// Package rootcause ranks the nodes of a service graph by how likely each is the root cause of an incident.
//
// The method is excess impact, explained away. Impact is measured in units that add up, failures and seconds beyond the
// normal; what the calls of a node to its own callees had to bear is taken from what the node itself had to bear, so
// that only the part which nobody below explains remains. That external evidence is pooled with the evidence from inside
// the node (saturated resources) and from its logs as M = S - log(1 + S), S being their sum, as in PRISM; and a node
// whose callees have strong evidence of their own loses by it, for errors and missing steps travel from callee to caller
// even where no counter shows it.
package rootcause

import (
	"cmp"
	"math"
	"slices"
)

const (
	// explained is the part of a callee's evidence that is taken from its callers.
	explained = 0.7
	// leastKept is the part of its evidence that a node always keeps.
	leastKept = 0.1
	// significant is how many times its noise an impact must be to count.
	significant = 2.5
	// networkPart is the part of a caller's excess waiting that must be lost on the way to speak of the network.
	networkPart = 0.5
	// maxDepth is how far down the graph an explanation is looked for.
	maxDepth = 5
	// uninstrumented weighs nodes that send no telemetry of their own: all that is known of them is hearsay.
	uninstrumented = 0.3
)

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
	// Onset is when the node's first evidence began; it breaks ties.
	Onset int64
}

// Edge is what the calls of one node to another had to bear beyond the normal.
type Edge struct {
	Client, Server string
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

// Rank returns the candidates with any evidence, the likeliest first. Its cost is O(V log V + E).
func Rank(nodes []Node, edges []Edge) []Candidate {
	g := newGraph(nodes, edges)
	candidates := make([]Candidate, 0, len(nodes))
	totalShare, totalEvidence := 0.0, 0.0
	below := g.below()
	for i := range g.nodes {
		n := &g.nodes[i]
		if n.pooled <= 0 {
			continue
		}
		evidence := max(n.pooled-explained*below[i], leastKept*n.pooled)
		c := Candidate{Name: n.Name, Evidence: evidence, Share: n.external, OwnFailures: n.ownFailures, OwnSeconds: n.ownSeconds, NetworkSeconds: n.network}
		totalShare += c.Share
		totalEvidence += c.Evidence
		candidates = append(candidates, c)
	}
	for i := range candidates {
		c := &candidates[i]
		if totalShare > 0 {
			c.Share /= totalShare
		}
		c.Confidence = c.Evidence / totalEvidence * (1 - math.Exp(-c.Evidence))
	}
	onset := func(name string) int64 { return g.nodes[g.index[name]].Onset }
	slices.SortFunc(candidates, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(b.Evidence, a.Evidence), cmp.Compare(onset(a.Name), onset(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	return candidates
}

type graph struct {
	nodes []graphNode
	index map[string]int
}

type graphNode struct {
	Node
	callees                 []int
	ownFailures, ownSeconds float64
	// network is the time that was lost on the way and is charged to this end of it.
	network float64
	// external and pooled are S_ext and M.
	external, pooled float64
}

func newGraph(nodes []Node, edges []Edge) *graph {
	g := &graph{nodes: make([]graphNode, len(nodes)), index: make(map[string]int, len(nodes))}
	for i, n := range nodes {
		g.nodes[i] = graphNode{Node: n}
		g.index[n.Name] = i
	}
	edges, networkNoise := g.chargeNetwork(edges)
	type sums struct{ failures, seconds, failureVariance, secondsVariance, missing float64 }
	in, out := make([]sums, len(nodes)), make([]sums, len(nodes))
	for _, e := range edges {
		client, haveClient := g.index[e.Client]
		server, haveServer := g.index[e.Server]
		if haveClient && haveServer && client != server && !slices.Contains(g.nodes[client].callees, server) {
			g.nodes[client].callees = append(g.nodes[client].callees, server)
		}
		charged := server
		if e.New && haveClient {
			// A call that nobody made before and that fails is the caller's doing.
			charged, haveServer = client, true
		} else if haveClient {
			out[client].failures += e.Failures
			out[client].seconds += e.ClientSeconds
			out[client].missing = max(out[client].missing, e.Missing)
		}
		if haveServer {
			s := &in[charged]
			s.failures += e.Failures
			s.seconds += e.Seconds
			s.failureVariance += e.FailureNoise * e.FailureNoise
			s.secondsVariance += e.SecondsNoise * e.SecondsNoise
		}
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		n.ownFailures = max(0, in[i].failures-out[i].failures)
		n.ownSeconds = max(0, in[i].seconds-out[i].seconds)
		n.external = math.Log1p(ratio(n.ownFailures, in[i].failureVariance)) +
			math.Log1p(ratio(n.ownSeconds, in[i].secondsVariance)) + math.Log1p(out[i].missing)/2 +
			math.Log1p(ratio(n.network, networkNoise[i]))
		// Who fails because a callee does also logs errors and leaves steps out.
		log := n.Log
		if ratio(in[i].failures, in[i].failureVariance) > 0 {
			log *= n.ownFailures / in[i].failures
		}
		s := n.external + math.Log1p(n.Internal) + math.Log1p(log)
		if s > 0 && n.Changed {
			s++
		}
		n.pooled = s - math.Log1p(s)
		if n.Uninstrumented {
			n.pooled *= uninstrumented
		}
	}
	return g
}

// chargeNetwork finds the edges whose caller waits longer than its callee takes, and charges that time to the end which
// most of these edges share, the callee where both do alike. Where only the caller measures, the time is lost on the way
// if most other callers of the same callee do not wait, and this one waits for others too; it is then taken from the edge.
// It returns the edges that remain and the variance of what was charged to each node.
func (g *graph) chargeNetwork(edges []Edge) (remaining []Edge, variance []float64) {
	type ends struct{ calls, slow int }
	in, out := make([]ends, len(g.nodes)), make([]ends, len(g.nodes))
	waits := func(e Edge) bool { return ratio(e.ClientSeconds, e.ClientNoise*e.ClientNoise) > 0 }
	lost := func(e Edge) (seconds, square float64) {
		square = e.ClientNoise*e.ClientNoise + e.SecondsNoise*e.SecondsNoise
		seconds = e.ClientSeconds - e.Seconds
		if ratio(seconds, square) == 0 || seconds < networkPart*e.ClientSeconds {
			return 0, 0
		}
		return seconds, square
	}
	known := func(e Edge) (client, server int, ok bool) {
		client, haveClient := g.index[e.Client]
		server, haveServer := g.index[e.Server]
		return client, server, haveClient && haveServer
	}
	shared := make([]int, len(g.nodes))
	for _, e := range edges {
		client, server, ok := known(e)
		if !ok {
			continue
		}
		in[server].calls++
		out[client].calls++
		if waits(e) {
			in[server].slow++
			out[client].slow++
		}
		if seconds, _ := lost(e); seconds > 0 {
			shared[client]++
			shared[server]++
		}
	}
	variance = make([]float64, len(g.nodes))
	remaining = slices.Clone(edges)
	for i, e := range edges {
		client, server, ok := known(e)
		if !ok {
			continue
		}
		if e.ClientOnly && waits(e) && out[client].slow >= 2 && 2*in[server].slow <= in[server].calls {
			g.nodes[client].network += e.ClientSeconds
			variance[client] += e.ClientNoise * e.ClientNoise
			remaining[i].Seconds = 0
			continue
		}
		seconds, square := lost(e)
		if seconds == 0 {
			continue
		}
		charged := server
		if shared[client] > shared[server] {
			charged = client
		}
		g.nodes[charged].network += seconds
		variance[charged] += square
	}
	return remaining, variance
}

// strongest holds the two strongest pieces of evidence below a node that come from different nodes: in a cycle a node
// must not be explained by itself.
type strongest [2]struct {
	evidence float64
	source   int
}

func (s *strongest) add(evidence float64, source int) {
	switch {
	case evidence <= 0:
	case s[0].evidence > 0 && s[0].source == source:
		s[0].evidence = max(s[0].evidence, evidence)
	case evidence > s[0].evidence:
		s[1] = s[0]
		s[0].evidence, s[0].source = evidence, source
	case evidence > s[1].evidence:
		s[1].evidence, s[1].source = evidence, source
	}
}

// below returns, for each node, the strongest evidence of another node that it calls, directly or not.
func (g *graph) below() []float64 {
	reach := make([]strongest, len(g.nodes))
	for range maxDepth {
		next := make([]strongest, len(g.nodes))
		for i := range g.nodes {
			for _, c := range g.nodes[i].callees {
				next[i].add(g.nodes[c].pooled, c)
				for _, s := range reach[c] {
					if s.evidence > 0 {
						next[i].add(s.evidence, s.source)
					}
				}
			}
		}
		reach = next
	}
	out := make([]float64, len(g.nodes))
	for i := range reach {
		for _, s := range reach[i] {
			if s.source != i {
				out[i] = max(out[i], s.evidence)
			}
		}
	}
	return out
}

// ratio returns how many times its noise a value is, or 0 where that is chance.
func ratio(value, variance float64) float64 {
	noise := math.Sqrt(variance)
	if noise <= 0 || value < significant*noise {
		return 0
	}
	return value / noise
}
