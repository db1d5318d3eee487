package servicegraph

import (
	"hash/maphash"
	"time"
)

const (
	cachedNames = 256
	// nameLife is for how long, in event time, a number is remembered without asking for it again.
	nameLife = int64(time.Second)
)

// names remembers numbers of nodes for one goroutine at a time, so that it need not ask for each span.
type names struct {
	seed    maphash.Seed
	swept   int64
	entries [cachedNames]struct {
		known
		until int64
	}
}

func (n *names) at(service bool, a, b string) int {
	h := maphash.String(n.seed, b)
	if a != "" {
		h = h*31 + maphash.String(n.seed, a)
	}
	if service {
		h++
	}
	return int(h % cachedNames)
}

// Service returns the number of a service, or 0 when there is no room for a new node.
func (in *Intake) Service(namespace, name string) NodeID { return in.node(true, namespace, name) }

// Peer returns the number of something that is no instrumented service, or 0 when there is no room for a new node. Its
// name has two parts with a slash in between; one may be empty.
func (in *Intake) Peer(a, b string) NodeID { return in.node(false, a, b) }

func (in *Intake) node(service bool, a, b string) NodeID {
	now := in.g.watermark.Load()
	e := &in.names.entries[in.names.at(service, a, b)]
	if e.key.b == b && e.key.a == a && e.key.service == service && e.id != 0 && now < e.until {
		return e.id
	}
	e.known = in.g.nodes.intern(service, a, b, now)
	if e.until = now + nameLife; e.id == 0 {
		in.stats.RefusedNodes++
	}
	return e.id
}

// renew forgets all numbers if any of them may have been given to another node.
func (n *names) renew(swept int64) (forgotten bool) {
	if n.swept == swept {
		return false
	}
	n.swept = swept
	for i := range n.entries {
		n.entries[i].known = known{}
	}
	return true
}
