package rootcause

import "slices"

// chargeNetwork finds the edges whose caller waits longer than its callee takes, and charges that time to the end which
// most of these edges share, the callee where both do alike. Where only the caller measures, the time is lost on the way
// if most other callers of the same callee do not wait, and this one waits for others too; it is then taken from the edge.
// It returns the edges that remain.
func (g *graph) chargeNetwork(edges []Edge) []Edge {
	type ends struct{ calls, slow int }
	in, out := make([]ends, len(g.nodes)), make([]ends, len(g.nodes))
	waits := func(e *Edge) bool { return g.ratio(e.ClientSeconds, e.ClientNoise*e.ClientNoise) > 0 }
	lost := func(e *Edge) (seconds, square float64) {
		square = e.ClientNoise*e.ClientNoise + e.SecondsNoise*e.SecondsNoise
		seconds = e.ClientSeconds - e.Seconds
		if g.ratio(seconds, square) == 0 || seconds < g.NetworkPart*e.ClientSeconds {
			return 0, 0
		}
		return seconds, square
	}
	known := func(e *Edge) (client, server int, ok bool) {
		client, haveClient := g.index[e.Client]
		server, haveServer := g.index[e.Server]
		return client, server, haveClient && haveServer
	}
	shared := make([]int, len(g.nodes))
	for i := range edges {
		e := &edges[i]
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
	remaining := slices.Clone(edges)
	for i := range remaining {
		e := &remaining[i]
		client, server, ok := known(e)
		if !ok {
			continue
		}
		if e.ClientOnly && waits(e) && out[client].slow >= 2 && 2*in[server].slow <= in[server].calls {
			g.nodes[client].network += e.ClientSeconds
			g.nodes[client].networkVariance += e.ClientNoise * e.ClientNoise
			e.Seconds = 0
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
		g.nodes[charged].networkVariance += square
	}
	return remaining
}
