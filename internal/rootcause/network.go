package rootcause

import "slices"

// chargeNetwork finds the edges whose caller waits longer than its callee takes, and charges that time to the end of which
// the greater part of the edges that both sides measure is like that, then to the one that most of them share, else to the
// callee. Where only the caller measures, the time is lost on the way if most other callers of the same callee do not wait,
// and this one waits for others too, or is itself waited for longer than it takes; it is then taken from the edge. It
// returns the edges that remain.
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
	// shared counts the edges of a node that lose time on the way, measured those of which it is known, and late those on
	// which anything of its answers is lost, if it were the smaller part of what the caller waits.
	shared, measured, late := make([]int, len(g.nodes)), make([]int, len(g.nodes)), make([]int, len(g.nodes))
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
		if e.ClientOnly {
			continue
		}
		measured[client]++
		measured[server]++
		if g.ratio(e.ClientSeconds-e.Seconds, e.ClientNoise*e.ClientNoise+e.SecondsNoise*e.SecondsNoise) > 0 {
			late[server]++
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
		if e.ClientOnly && waits(e) && (out[client].slow >= 2 || late[client] > 0) && 2*in[server].slow <= in[server].calls {
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
		// Shares are compared as products, to stay exact.
		ofClient, ofServer := shared[client]*measured[server], shared[server]*measured[client]
		if ofClient > ofServer || ofClient == ofServer && shared[client] > shared[server] {
			charged = client
		}
		g.nodes[charged].network += seconds
		g.nodes[charged].networkVariance += square
	}
	return remaining
}
