package rootcause

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRankChargesTheNetwork has the network of one node be slow for what it sends.
func TestRankChargesTheNetwork(t *testing.T) {
	nodes := []Node{{Name: "front"}, {Name: "gate"}, {Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}, {Name: "e"}, {Name: "store"}}
	// The waiting of callers varies as what callees take does.
	edge := func(client, server string, failures, seconds, clientSeconds float64) Edge {
		e := edge(client, server, failures, seconds, clientSeconds)
		e.ClientNoise = e.SecondsNoise
		return e
	}
	// blurred edges vary by more than the others lose.
	blurred := func(e Edge) Edge {
		e.ClientNoise = 20
		return e
	}
	storeOf := func(client string, seconds float64) Edge {
		e := edge(client, "store", 0, seconds, seconds)
		e.ClientOnly = true
		return e
	}
	for name, tc := range map[string]struct {
		edges []Edge
		want  string
	}{
		"of a caller with one callee, which has many that are well": {
			[]Edge{edge("front", "gate", 0, 0, 30), edge("gate", "a", 0, 0, 0), edge("gate", "b", 0, 0, 0)}, "front",
		},
		"of a callee whose own calls are slow too": {
			[]Edge{edge("front", "gate", 0, 30, 60), edge("gate", "a", 0, 0, 15), edge("gate", "b", 0, 0, 15)}, "gate",
		},
		"of a callee that calls nobody": {
			[]Edge{edge("front", "gate", 0, 30, 30), edge("gate", "a", 0, 0, 30), edge("gate", "b", 0, 0, 0)}, "a",
		},
		"of a callee with one caller, whose other calls are well": {
			[]Edge{edge("gate", "a", 0, 0, 30), edge("gate", "b", 0, 0, 0), edge("front", "gate", 0, 30, 30)}, "a",
		},
		"of a caller that waits for most of its callees, who have no other callers": {
			[]Edge{edge("front", "gate", 0, 90, 90), edge("gate", "a", 0, 0, 30), edge("gate", "b", 0, 0, 30), edge("gate", "d", 0, 0, 30), edge("gate", "c", 0, 0, 0)}, "gate",
		},
		"of a caller that waits for all but those whose waiting says nothing": {
			[]Edge{
				edge("front", "gate", 0, 90, 90), edge("gate", "a", 0, 0, 30), edge("gate", "b", 0, 0, 30),
				blurred(edge("gate", "c", 0, 0, 0)), blurred(edge("gate", "d", 0, 0, 0)), blurred(edge("gate", "e", 0, 0, 0)),
			}, "gate",
		},
		"of a caller of a store that nobody else finds slow": {
			[]Edge{edge("gate", "a", 0, 20, 35), storeOf("a", 20), storeOf("b", 0), storeOf("gate", 0)}, "a",
		},
		"of the store, for all find it slow": {
			[]Edge{edge("gate", "a", 0, 20, 20), storeOf("a", 20), storeOf("b", 20), storeOf("gate", 20)}, "store",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Rank(nodes, tc.edges)
			require.NotEmpty(t, got)
			assert.Equal(t, tc.want, got[0].Name, "%+v", got)
		})
	}
}
