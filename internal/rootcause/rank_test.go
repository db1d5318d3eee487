package rootcause

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func names(cs []Candidate) []string {
	var out []string
	for _, c := range cs {
		out = append(out, c.Name)
	}
	return out
}

func edge(client, server string, failures, seconds, clientSeconds float64) Edge {
	return Edge{
		Client: client, Server: server, Failures: failures, Seconds: seconds, ClientSeconds: clientSeconds,
		FailureNoise: 1, SecondsNoise: 0.5,
	}
}

func TestRank(t *testing.T) {
	frontend, cart, db := Node{Name: "frontend"}, Node{Name: "cart"}, Node{Name: "db"}
	for name, tc := range map[string]struct {
		nodes []Node
		edges []Edge
		want  string
	}{
		"the deepest slow service explains its callers": {
			[]Node{frontend, cart, db},
			[]Edge{edge("user", "frontend", 0, 30, 0), edge("frontend", "cart", 0, 29, 29), edge("cart", "db", 0, 28, 28)},
			"db",
		},
		"a slow caller of healthy callees owns its time": {
			[]Node{frontend, cart, db},
			[]Edge{edge("user", "frontend", 0, 30, 0), edge("frontend", "cart", 0, 29, 29), edge("cart", "db", 0, 0.1, 0.1)},
			"cart",
		},
		"failures are explained like seconds": {
			[]Node{frontend, cart, db},
			[]Edge{edge("user", "frontend", 50, 0, 0), edge("frontend", "cart", 50, 0, 0), edge("cart", "db", 60, 0, 0)},
			"db",
		},
		"evidence in the callee's logs explains failures that its spans hide": {
			[]Node{frontend, cart, {Name: "db", Log: 30}},
			[]Edge{edge("user", "frontend", 50, 0, 0), edge("frontend", "cart", 50, 0, 0), edge("cart", "db", 0, 0, 0)},
			"db",
		},
		"errors that a caller logs are explained like its failures": {
			[]Node{frontend, {Name: "cart", Log: 30}, db},
			[]Edge{edge("user", "frontend", 40, 0, 0), edge("frontend", "cart", 40, 0, 0), edge("cart", "db", 34, 0, 0)},
			"db",
		},
		"saturation inside decides between equals": {
			[]Node{{Name: "a"}, {Name: "b", Internal: 12}},
			[]Edge{edge("x", "a", 0, 10, 0), edge("x", "b", 0, 10, 0)},
			"b",
		},
		"a change decides between equals": {
			[]Node{{Name: "a"}, {Name: "b", Changed: true}},
			[]Edge{edge("x", "a", 0, 10, 0), edge("x", "b", 0, 10, 0)},
			"b",
		},
		"an uninstrumented node loses to an instrumented one": {
			[]Node{{Name: "a", Uninstrumented: true}, {Name: "b"}},
			[]Edge{edge("x", "a", 0, 12, 0), edge("x", "b", 0, 10, 0)},
			"b",
		},
		"a new failing call is the caller's fault": {
			[]Node{frontend, cart, db},
			[]Edge{{Client: "cart", Server: "db", Failures: 20, FailureNoise: 1, New: true}, edge("frontend", "cart", 20, 0, 0)},
			"cart",
		},
		"calls that are not made any more are the caller's fault": {
			[]Node{cart, db},
			[]Edge{{Client: "cart", Server: "db", Missing: 9}},
			"cart",
		},
		"without a graph the evidence inside still ranks": {
			[]Node{{Name: "a", Internal: 3}, {Name: "b", Internal: 9}},
			nil,
			"b",
		},
		"the earlier onset breaks a tie": {
			[]Node{{Name: "a", Internal: 9, Onset: 2}, {Name: "b", Internal: 9, Onset: 1}},
			nil,
			"b",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Rank(tc.nodes, tc.edges)
			require.NotEmpty(t, got)
			assert.Equal(t, tc.want, got[0].Name, "%+v", got)
		})
	}
}

func TestRankNamesNobodyWithoutEvidence(t *testing.T) {
	assert.Empty(t, Rank([]Node{{Name: "a"}, {Name: "b"}}, []Edge{edge("a", "b", 0.5, 0.1, 0.1)}))
}

func TestRankSurvivesCycles(t *testing.T) {
	got := Rank([]Node{{Name: "a", Log: 20}, {Name: "b", Log: 3}},
		[]Edge{edge("a", "b", 1, 1, 1), edge("b", "a", 1, 1, 1), edge("a", "a", 1, 1, 1)})
	assert.Equal(t, []string{"a", "b"}, names(got), "a node does not explain itself")
}

// TestRankInvariants checks on random graphs that shares and confidences are proper and that the order in which nodes
// and edges are given does not matter.
func TestRankInvariants(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	for range 200 {
		var nodes []Node
		for i := range 2 + rng.Intn(12) {
			nodes = append(nodes, Node{Name: fmt.Sprint("n", i), Internal: rng.Float64() * 5, Log: rng.Float64() * 20})
		}
		var edges []Edge
		for range rng.Intn(30) {
			edges = append(edges, edge(nodes[rng.Intn(len(nodes))].Name, nodes[rng.Intn(len(nodes))].Name, rng.Float64()*40, rng.Float64()*9, rng.Float64()*9))
		}
		got := Rank(nodes, edges)
		share, confidence := 0.0, 0.0
		for _, c := range got {
			require.Positive(t, c.Evidence)
			share += c.Share
			confidence += c.Confidence
		}
		require.LessOrEqual(t, share, 1+1e-9)
		require.LessOrEqual(t, confidence, 1+1e-9)
		rng.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		require.Equal(t, names(got), names(Rank(nodes, edges)))
	}
}

func BenchmarkRank(b *testing.B) {
	rng := rand.New(rand.NewSource(3))
	var nodes []Node
	for i := range 1000 {
		nodes = append(nodes, Node{Name: fmt.Sprint("n", i), Internal: rng.Float64() * 5})
	}
	var edges []Edge
	for range 5000 {
		edges = append(edges, edge(nodes[rng.Intn(1000)].Name, nodes[rng.Intn(1000)].Name, 10, 10, 10))
	}
	b.ReportAllocs()
	for b.Loop() {
		Rank(nodes, edges)
	}
}
