package servicegraph

import (
	"strings"
	"unicode/utf8"
)

// NodeKind is the sort of a node.
type NodeKind uint8

// The kinds of nodes.
const (
	NodeService NodeKind = iota + 1
	NodeDatabase
	NodeMessaging
	NodeExternal
	NodeUser
)

// NodeID stands for a node; 0 is none.
type NodeID uint32

// Node is an end of an edge.
type Node struct {
	Kind            NodeKind
	Namespace, Name string
}

// nodeKey is a node as it is looked up: the two parts of its name apart, so that a look-up need not join them.
type nodeKey struct {
	kind NodeKind
	a, b string
}

type nodeEntry struct {
	node     Node
	key      nodeKey
	lastUsed int64
}

// nodes gives nodes small numbers. An entry lives as long as edges or waiting spans can refer to it.
type nodes struct {
	ids     map[nodeKey]NodeID
	entries []nodeEntry
	free    []NodeID
	max     int
	maxName int
}

func newNodes(limit, maxName int) nodes {
	return nodes{ids: map[nodeKey]NodeID{}, entries: make([]nodeEntry, 1), max: limit, maxName: maxName}
}

// truncate cuts a name that came from outside at a character's boundary.
func (n *nodes) truncate(s string) string {
	if len(s) <= n.maxName {
		return s
	}
	end := n.maxName
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// intern returns the number of a node, or 0 when there is no room for a new one. The strings are copied when kept.
func (n *nodes) intern(kind NodeKind, a, b string, now int64) NodeID {
	key := nodeKey{kind: kind, a: n.truncate(a), b: n.truncate(b)}
	if id, ok := n.ids[key]; ok {
		n.entries[id].lastUsed = max(n.entries[id].lastUsed, now)
		return id
	}
	if len(n.ids) >= n.max {
		return 0
	}
	key.a, key.b = strings.Clone(key.a), strings.Clone(key.b)
	e := nodeEntry{key: key, lastUsed: now, node: Node{Kind: kind}}
	switch {
	case kind == NodeService:
		e.node.Namespace, e.node.Name = key.a, key.b
	case key.a == "":
		e.node.Name = key.b
	case key.b == "":
		e.node.Name = key.a
	default:
		e.node.Name = key.a + "/" + key.b
	}
	var id NodeID
	if last := len(n.free) - 1; last >= 0 {
		id, n.free = n.free[last], n.free[:last]
		n.entries[id] = e
	} else {
		id = NodeID(len(n.entries))
		n.entries = append(n.entries, e)
	}
	n.ids[key] = id
	return id
}

// sweep forgets the nodes that nothing used since the given time.
func (n *nodes) sweep(before int64) {
	for id := range n.entries {
		e := &n.entries[id]
		if e.key.kind != 0 && e.lastUsed < before {
			delete(n.ids, e.key)
			*e = nodeEntry{}
			n.free = append(n.free, NodeID(id))
		}
	}
}

func (n *nodes) touch(id NodeID, now int64) {
	n.entries[id].lastUsed = max(n.entries[id].lastUsed, now)
}

// rewind makes no node used later than the given time.
func (n *nodes) rewind(now int64) {
	for id := range n.entries {
		n.entries[id].lastUsed = min(n.entries[id].lastUsed, now)
	}
}
