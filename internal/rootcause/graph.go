package rootcause

import (
	"math"
	"slices"
)

// The kinds of impact. Each adds up for itself.
const (
	failures = iota
	seconds
	kinds
)

// amounts are one value a kind of impact.
type amounts [kinds]float64

type graph struct {
	Parameters
	nodes []graphNode
	links []link
	index map[string]int
	// components holds the nodes that call each other in cycles, and all others alone, callees before callers; a node's
	// component is its place there.
	components [][]int
}

// outside is the caller of the calls that come from outside the graph.
const outside = -1

// link is an edge between nodes of the graph, or from outside, with what it says of them.
type link struct {
	client, server int
	// borne is the impact as the callee saw it, waited as the caller did.
	borne, waited amounts
}

type graphNode struct {
	Node
	callees   []int
	component int
	// in is what was borne by the calls to the node, own the part of it that no call of the node explains, and variance
	// what the former varies by, squared.
	in, own, variance amounts
	// network is the time that was lost on the way and is charged to this end of it, and missing the greatest deviation
	// of calls that the node does not make any more.
	network, networkVariance, missing float64
	// external and pooled are S_ext and M, and failing is what the failures alone contribute to the former.
	external, pooled, failing float64
}

func newGraph(p Parameters, nodes []Node, edges []Edge) *graph {
	g := &graph{Parameters: p, nodes: make([]graphNode, len(nodes)), index: make(map[string]int, len(nodes))}
	for i, n := range nodes {
		g.nodes[i] = graphNode{Node: n}
		g.index[n.Name] = i
	}
	edges = g.chargeNetwork(edges)
	g.links = make([]link, 0, len(edges))
	for i := range edges {
		g.addEdge(&edges[i])
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		slices.Sort(n.callees)
		n.callees = slices.Compact(n.callees)
	}
	g.condense()
	g.weigh()
	return g
}

// addEdge adds what an edge says to its ends.
func (g *graph) addEdge(e *Edge) {
	client, haveClient := g.index[e.Client]
	server, haveServer := g.index[e.Server]
	if haveClient && haveServer && client != server {
		g.nodes[client].callees = append(g.nodes[client].callees, server)
	}
	charged, out := server, amounts{}
	switch {
	case e.New && haveClient:
		// A call that nobody made before and that fails is the caller's doing.
		charged, haveServer = client, true
	case haveClient:
		out = amounts{failures: e.Failures, seconds: e.ClientSeconds}
		for k, v := range out {
			g.nodes[client].own[k] -= v
		}
		g.nodes[client].missing = max(g.nodes[client].missing, e.Missing)
	}
	if !haveServer {
		return
	}
	n := &g.nodes[charged]
	l := link{client: outside, server: charged, borne: amounts{failures: e.Failures, seconds: e.Seconds}, waited: out}
	if haveClient && charged == server {
		l.client = client
	}
	for k, v := range l.borne {
		n.in[k] += v
		n.own[k] += v
	}
	n.variance[failures] += e.FailureNoise * e.FailureNoise
	n.variance[seconds] += e.SecondsNoise * e.SecondsNoise
	g.links = append(g.links, l)
}

// weigh pools the evidence against each node.
func (g *graph) weigh() {
	for i := range g.nodes {
		for k := range kinds {
			g.nodes[i].own[k] = max(0, g.nodes[i].own[k])
		}
	}
	for k := range kinds {
		blamed, suffered := g.blame(k)
		for i := range g.nodes {
			n := &g.nodes[i]
			amount, part := n.own[k], 1.0
			if suffered > 0 {
				amount = min(amount, suffered)
				part = blamed[i] / suffered
			}
			said := part * math.Log1p(g.ratio(amount, n.variance[k]))
			n.external += said
			if k == failures {
				n.failing = said
			}
		}
	}
	for i := range g.nodes {
		n := &g.nodes[i]
		n.external += math.Log1p(n.missing)/2 + math.Log1p(g.ratio(n.network, n.networkVariance))
		// Who fails because a callee does also logs errors and leaves steps out.
		log := n.Log
		if g.ratio(n.in[failures], n.variance[failures]) > 0 {
			log *= n.own[failures] / n.in[failures]
		}
		// A request that fails logs an error and leaves steps out: what the logs say of it is not said twice.
		s := n.external + math.Log1p(n.Internal) + max(0, math.Log1p(log)-n.failing)
		if s > 0 && n.Changed {
			s++
		}
		n.pooled = s - math.Log1p(s)
		if n.Uninstrumented {
			n.pooled *= g.Uninstrumented
		}
	}
}

// below returns, for each node, the strongest evidence of a node that it calls, directly or not, and that does not call it.
func (g *graph) below() []float64 {
	// within is the strongest evidence in a component, under the strongest in those that it calls.
	within, under := make([]float64, len(g.components)), make([]float64, len(g.components))
	for c, members := range g.components {
		for _, i := range members {
			within[c] = max(within[c], g.nodes[i].pooled)
			for _, j := range g.nodes[i].callees {
				if called := g.nodes[j].component; called != c {
					under[c] = max(under[c], within[called], under[called])
				}
			}
		}
	}
	out := make([]float64, len(g.nodes))
	for i := range g.nodes {
		out[i] = under[g.nodes[i].component]
	}
	return out
}

// ratio returns how many times its noise a value is, or 0 where that is chance.
func (g *graph) ratio(value, variance float64) float64 {
	noise := math.Sqrt(variance)
	if noise <= 0 || value < g.Significant*noise {
		return 0
	}
	return value / noise
}
