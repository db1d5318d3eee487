package rootcause

import (
	"math"
	"slices"
)

// lossy is what the edges of a node that both sides measure say of whether time is lost on the way.
type lossy struct {
	// losing is on how many of them it is. The others would each have shown a certain loss of one call: made and got hold
	// these, in order, for the calls that the node makes and gets.
	losing    int
	made, got []float64
}

// share estimates what part of a node's edges lose time, but for one of those that do, given how many of them do not though
// they would show it. It is the posterior mean with Jeffreys' prior: nothing known is one half.
func (l *lossy) share(silent int) float64 {
	others := float64(l.losing - 1)
	return (others + 0.5) / (others + float64(silent) + 1)
}

// asCaller and asCallee are that share where one call loses so much, for the two ends of an edge. A caller that starves lets
// no caller of its own wait longer than it takes itself: what it gets does not clear it.
func (l *lossy) asCaller(loss float64) float64 { return l.share(below(l.made, loss)) }

func (l *lossy) asCallee(loss float64) float64 {
	return l.share(below(l.made, loss) + below(l.got, loss))
}

func below(sorted []float64, limit float64) int {
	n, _ := slices.BinarySearch(sorted, limit)
	return n
}

// chargeNetwork finds the edges whose caller waits longer than its callee takes, and charges that time to the end whose other
// edges lose time too, rather than not though it would show, else to the callee: a caller that starves, or whose network is
// slow, waits for all its callees, a callee lets all its callers wait. Where only the caller measures, the time is lost on the way if most other callers of the same callee do not wait,
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
	// around is what the measured edges of a node say of it, and late counts those on which anything of its answers is lost,
	// if it were the smaller part of what the caller waits.
	around, late := make([]lossy, len(g.nodes)), make([]int, len(g.nodes))
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
		square := e.ClientNoise*e.ClientNoise + e.SecondsNoise*e.SecondsNoise
		if g.ratio(e.ClientSeconds-e.Seconds, square) > 0 {
			late[server]++
			around[client].losing++
			around[server].losing++
			continue
		}
		least := g.Significant * math.Sqrt(square) / max(e.Requests, 1)
		around[client].made = append(around[client].made, least)
		around[server].got = append(around[server].got, least)
	}
	for i := range around {
		slices.Sort(around[i].made)
		slices.Sort(around[i].got)
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
		lossOfOne := seconds / max(e.Requests, 1)
		if around[client].asCaller(lossOfOne) > around[server].asCallee(lossOfOne) {
			charged = client
		}
		g.nodes[charged].network += seconds
		g.nodes[charged].networkVariance += square
	}
	return remaining
}
