package servicegraph

import (
	"strings"
	"sync"
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

// known is the number of a node with the copy that is kept of what it is looked up by.
type known struct {
	id  NodeID
	key nodeKey
}

// nodes gives nodes small numbers, one for each name. An entry lives as long as edges or waiting spans can refer to it.
type nodes struct {
	max     int
	maxName int

	mu sync.Mutex // mu guards everything below.

	ids     map[nodeKey]known
	byName  map[Node]NodeID
	entries []nodeEntry
	free    []NodeID
	// swept changes when numbers that somebody remembers may have become invalid, or seem to be in use for longer.
	swept int64
}

func (n *nodes) init(limit, maxName int) {
	n.max, n.maxName = limit, maxName
	n.ids, n.byName, n.entries = map[nodeKey]known{}, map[Node]NodeID{}, make([]nodeEntry, 1)
}

// intern returns a node, whose number is 0 when there is no room for a new one. The strings are copied when kept.
func (n *nodes) intern(service bool, a, b string, now int64) known {
	key := nodeKey{service: service, a: cut(a, n.maxName), b: cut(b, n.maxName)}
	n.mu.Lock()
	defer n.mu.Unlock()
	k, ok := n.ids[key]
	if !ok {
		if len(n.ids) >= n.max {
			return known{}
		}
		key.a, key.b = strings.Clone(key.a), strings.Clone(key.b)
		k = known{id: n.create(key), key: key}
		n.ids[key] = k
	}
	n.touch(k.id, now)
	return k
}

// count returns the number of names.
func (n *nodes) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.ids)
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
	n.mu.Lock()
	defer n.mu.Unlock()
	for key, k := range n.ids {
		if n.entries[k.id].lastUsed < before {
			delete(n.ids, key)
			n.swept++
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

// touch notes that a node is in use. The caller holds mu, or nobody else uses the nodes.
func (n *nodes) touch(id NodeID, now int64) {
	n.entries[id].lastUsed = max(n.entries[id].lastUsed, now)
}

// touchAll notes that the nodes of spans are in use.
func (n *nodes) touchAll(spans []Span, now int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range spans {
		n.touch(spans[i].Service, now)
		n.touch(spans[i].Peer, now)
	}
}

// rewind makes no node used later than the given time.
func (n *nodes) rewind(now int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id := range n.entries {
		n.entries[id].lastUsed = min(n.entries[id].lastUsed, now)
	}
	n.swept++
}
