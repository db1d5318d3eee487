package rootcause

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// measured is an edge whose ends agree.
func measured(client, server string, failures, seconds float64) Edge {
	return Edge{
		Client: client, Server: server, Failures: failures, Seconds: seconds, ClientSeconds: seconds, FailureNoise: 1, SecondsNoise: 1, ClientNoise: 1,
	}
}

func symptom(name string) Node { return Node{Name: name, Symptom: true} }

func TestRankExplainsTheSymptom(t *testing.T) {
	for name, tc := range map[string]struct {
		nodes []Node
		edges []Edge
		want  []string
	}{
		"what the symptom cannot have felt counts less": {
			[]Node{symptom("front"), {Name: "cart"}, {Name: "batch"}},
			[]Edge{measured("", "front", 0, 30), measured("front", "cart", 0, 30), measured("", "batch", 0, 60)},
			[]string{"cart", "batch"},
		},
		"an explanation is worth no more than what it explains": {
			[]Node{symptom("front"), {Name: "cart"}, {Name: "audit"}},
			[]Edge{measured("", "front", 0, 30), measured("front", "cart", 0, 25), measured("front", "audit", 0, 5), measured("", "audit", 0, 500)},
			[]string{"cart", "audit"},
		},
		"two causes are ranked by what they explain": {
			[]Node{symptom("front"), {Name: "cart"}, {Name: "ads"}},
			[]Edge{measured("", "front", 0, 40), measured("front", "cart", 0, 12), measured("front", "ads", 0, 28)},
			[]string{"ads", "cart"},
		},
		"the symptom is a cause where nobody else owns anything": {
			[]Node{symptom("front"), {Name: "cart"}},
			[]Edge{measured("", "front", 40, 0), measured("front", "cart", 1, 0)},
			[]string{"front"},
		},
		"and where most of its impact is its own": {
			[]Node{symptom("front"), {Name: "cart"}},
			[]Edge{measured("", "front", 40, 0), measured("front", "cart", 10, 0)},
			[]string{"front", "cart"},
		},
		"but not by the smaller part of it": {
			[]Node{symptom("front"), {Name: "a"}, {Name: "b"}},
			[]Edge{measured("", "front", 100, 0), measured("front", "a", 51, 0), measured("front", "b", 30, 0)},
			[]string{"a", "b"},
		},
		"evidence inside the symptom counts in any case": {
			[]Node{{Name: "front", Symptom: true, Internal: 50}, {Name: "cart"}},
			[]Edge{measured("", "front", 40, 0), measured("front", "cart", 21, 0)},
			[]string{"front", "cart"},
		},
		"failures and seconds are explained apart": {
			[]Node{symptom("front"), {Name: "cart"}, {Name: "ads"}},
			[]Edge{measured("", "front", 40, 30), measured("front", "cart", 40, 0), measured("front", "ads", 0, 30)},
			[]string{"cart", "ads"},
		},
		"a cycle is explained as one": {
			[]Node{symptom("front"), {Name: "a"}, {Name: "b"}, {Name: "db"}},
			[]Edge{
				measured("", "front", 0, 50), measured("front", "a", 0, 50), measured("a", "b", 0, 20), measured("b", "a", 0, 15), measured("b", "db", 0, 45),
			},
			[]string{"db"},
		},
		"in a cycle the own impact decides": {
			[]Node{symptom("front"), {Name: "a"}, {Name: "b"}},
			[]Edge{measured("", "front", 0, 50), measured("front", "a", 0, 50), measured("a", "b", 0, 45), measured("b", "a", 0, 5)},
			[]string{"b", "a"},
		},
		"a symptom that suffers nothing measurable weighs nothing": {
			[]Node{symptom("front"), {Name: "cart"}, {Name: "db"}},
			[]Edge{measured("front", "cart", 0, 20), measured("cart", "db", 0, 19)},
			[]string{"db"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := names(Rank(tc.nodes, tc.edges))
			require.GreaterOrEqual(t, len(got), len(tc.want))
			assert.Equal(t, tc.want, got[:len(tc.want)], "%v", got)
		})
	}
}

func TestRankFollowsLongChains(t *testing.T) {
	const depth = 40
	nodes := []Node{symptom("n0")}
	edges := []Edge{measured("", "n0", 0, 100)}
	for i := 1; i < depth; i++ {
		nodes = append(nodes, Node{Name: fmt.Sprint("n", i)})
		edges = append(edges, measured(fmt.Sprint("n", i-1), fmt.Sprint("n", i), 0, 100))
	}
	assert.Equal(t, []string{"n39"}, names(Rank(nodes, edges)))
	nodes[0].Symptom, nodes[depth-1].Log = false, 30
	nodes[3].Log = 25
	assert.Equal(t, "n39", Rank(nodes, nil)[0].Name)
	got := Rank(nodes, edges)
	assert.Less(t, got[1].Evidence, got[0].Evidence/2, "what logs complain about at the end explains what they do at the beginning")
}

// TestRankInvariantsOfSymptoms checks on random graphs, cycles among them, that the units of time do not matter, that a
// healthy bystander changes nothing, that what is blamed adds up to no more than what was suffered, and that a cycle ends.
func TestRankInvariantsOfSymptoms(t *testing.T) {
	rng := rand.New(rand.NewSource(7))
	for range 200 {
		n := 2 + rng.Intn(12)
		nodes := []Node{symptom("n0")}
		for i := 1; i < n; i++ {
			nodes = append(nodes, Node{Name: fmt.Sprint("n", i), Uninstrumented: rng.Intn(4) == 0})
		}
		edges := []Edge{measured("", "n0", rng.Float64()*50, rng.Float64()*50)}
		for range rng.Intn(30) {
			edges = append(edges, measured(fmt.Sprint("n", rng.Intn(n)), fmt.Sprint("n", rng.Intn(n)), rng.Float64()*40, rng.Float64()*40))
		}
		got := Rank(nodes, edges)
		share := 0.0
		for _, c := range got {
			share += c.Share
		}
		require.LessOrEqual(t, share, 1+1e-9)

		same := func(nodes []Node, edges []Edge, why string) {
			t.Helper()
			other := Rank(nodes, edges)
			require.Equal(t, names(got), names(other), why)
			for i := range got {
				require.InDelta(t, got[i].Evidence, other[i].Evidence, 1e-9, why)
			}
		}
		same(append(nodes, Node{Name: "bystander"}), append(edges, measured("", "bystander", 0, 0)), "a bystander")
		millis := make([]Edge, len(edges))
		for i, e := range edges {
			e.Seconds, e.ClientSeconds, e.SecondsNoise, e.ClientNoise = 1000*e.Seconds, 1000*e.ClientSeconds, 1000*e.SecondsNoise, 1000*e.ClientNoise
			millis[i] = e
		}
		same(nodes, millis, "milliseconds")

		g := newGraph(Defaults(), nodes, edges)
		for k := range kinds {
			g.Unfelt, g.SymptomShare = 0, 1
			blamed, suffered := g.blame(k)
			sum := 0.0
			for _, b := range blamed {
				sum += b
			}
			require.LessOrEqual(t, sum, suffered*(1+1e-9))
		}
	}
}

// TestCondense compares with what it means: two nodes are in one component when each reaches the other.
func TestCondense(t *testing.T) {
	rng := rand.New(rand.NewSource(11))
	for range 200 {
		n := 1 + rng.Intn(14)
		var nodes []Node
		for i := range n {
			nodes = append(nodes, Node{Name: fmt.Sprint("n", i)})
		}
		var edges []Edge
		for range rng.Intn(3 * n) {
			edges = append(edges, measured(nodes[rng.Intn(n)].Name, nodes[rng.Intn(n)].Name, 1, 1))
		}
		g := newGraph(Defaults(), nodes, edges)
		reach := make([][]bool, n)
		for i := range reach {
			reach[i] = make([]bool, n)
			reach[i][i] = true
		}
		for range n {
			for i := range n {
				for _, j := range g.nodes[i].callees {
					for k := range n {
						reach[i][k] = reach[i][k] || reach[j][k]
					}
				}
			}
		}
		for i := range n {
			for j := range n {
				require.Equal(t, reach[i][j] && reach[j][i], g.nodes[i].component == g.nodes[j].component)
				if reach[i][j] {
					require.LessOrEqual(t, g.nodes[j].component, g.nodes[i].component, "callees come first")
				}
			}
		}
		for c, members := range g.components {
			for _, i := range members {
				require.Equal(t, c, g.nodes[i].component)
			}
		}
	}
}

// TestParameters turns each parameter and sees the answer change.
func TestParameters(t *testing.T) {
	nodes := []Node{symptom("front"), {Name: "cart", Log: 5}, {Name: "api", Uninstrumented: true}, {Name: "batch"}}
	edges := []Edge{
		measured("", "front", 0, 40),
		{Client: "front", Server: "cart", Seconds: 6, ClientSeconds: 20, SecondsNoise: 1, ClientNoise: 1},
		measured("cart", "api", 0, 18), measured("", "batch", 0, 30), measured("cart", "api", 3, 0),
	}
	usual := Rank(nodes, edges)
	for name, turn := range map[string]func(*Parameters){
		"explained":      func(p *Parameters) { p.Explained = 0 },
		"least kept":     func(p *Parameters) { p.LeastKept = 1 },
		"significant":    func(p *Parameters) { p.Significant = 20 },
		"network part":   func(p *Parameters) { p.NetworkPart = 0.9 },
		"uninstrumented": func(p *Parameters) { p.Uninstrumented = 1 },
		"unfelt":         func(p *Parameters) { p.Unfelt = 0.6 },
		"symptom share":  func(p *Parameters) { p.SymptomShare = 0.1 },
	} {
		t.Run(name, func(t *testing.T) {
			p := Defaults()
			turn(&p)
			assert.NotEqual(t, usual, p.Rank(nodes, edges))
		})
	}
}
