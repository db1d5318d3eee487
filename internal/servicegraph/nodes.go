package servicegraph

import (
	"strings"
	"unicode/utf8"
)

// NodeID stands for a node; 0 is none.
type NodeID uint32

// Node is an end of an edge.
type Node struct {
	Namespace, Name string
}

// nodeKey is a node as it is looked up: the two parts of its name apart, so that a look-up need not join them.
type nodeKey struct {
	service bool
	a, b    string
}

type nodeEntry struct {
	node     Node
	lastUsed int64
	used     bool
}

// nodes gives nodes small numbers, one for each name. An entry lives as long as edges or waiting spans can refer to it.
type nodes struct {
	ids     map[nodeKey]NodeID
	byName  map[Node]NodeID
	entries []nodeEntry
	free    []NodeID
	max     int
	maxName int
}

func newNodes(limit, maxName int) nodes {
	return nodes{
		ids: map[nodeKey]NodeID{}, byName: map[Node]NodeID{}, entries: make([]nodeEntry, 1), max: limit, maxName: maxName,
	}
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
func (n *nodes) intern(service bool, a, b string, now int64) NodeID {
	key := nodeKey{service: service, a: n.truncate(a), b: n.truncate(b)}
	id, ok := n.ids[key]
	if !ok {
		if len(n.ids) >= n.max {
			return 0
		}
		key.a, key.b = strings.Clone(key.a), strings.Clone(key.b)
		id = n.create(key)
		n.ids[key] = id
	}
	n.touch(id, now)
	return id
}

// create returns the number of a node that is looked up in a new way, which may be one that is known by its name.
func (n *nodes) create(key nodeKey) NodeID {
	var node Node
	switch {
	case key.service:
		node = Node{Namespace: key.a, Name: key.b}
	case key.a == "" || key.b == "":
		node.Name = key.a + key.b
	default:
		node.Name = key.a + "/" + key.b
	}
	id, ok := n.byName[node]
	if ok {
		return id
	}
	if last := len(n.free) - 1; last >= 0 {
		id, n.free = n.free[last], n.free[:last]
	} else {
		id = NodeID(len(n.entries))
		n.entries = append(n.entries, nodeEntry{})
	}
	n.entries[id] = nodeEntry{node: node, used: true}
	n.byName[node] = id
	return id
}

// sweep forgets the nodes that nothing used since the given time.
func (n *nodes) sweep(before int64) {
	for key, id := range n.ids {
		if n.entries[id].lastUsed < before {
			delete(n.ids, key)
		}
	}
	for id := range n.entries {
		if e := &n.entries[id]; e.used && e.lastUsed < before {
			delete(n.byName, e.node)
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
