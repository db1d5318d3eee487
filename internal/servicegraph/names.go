package servicegraph

import "time"

const (
	cachedNames = 256
	// nameLife is for how long, in event time, a number is remembered without asking for it again.
	nameLife = int64(time.Second)
)

// names remembers numbers of nodes for one goroutine at a time, so that it need not ask for each span.
type names struct {
	swept   int64
	entries [cachedNames]struct {
		known
		until int64
	}
}

// placeOfName mixes the lengths of the parts of a name with their first and last bytes: names that differ mostly do so there, and
// two in one place only cost time.
func placeOfName(service bool, a, b string) int {
	h := ends(b)
	if a != "" {
		h = h*mixA ^ ends(a)
	}
	if service {
		h++
	}
	return int(h * mixB >> 56)
}

func ends(s string) uint64 {
	h := uint64(len(s))
	switch {
	case len(s) >= 8:
		return (h^word(s))*mixA ^ word(s[len(s)-8:])
	case len(s) >= 4:
		return h<<56 ^ uint64(halfWord(s))<<32 ^ uint64(halfWord(s[len(s)-4:]))
	default:
		for i := range len(s) {
			h = h<<8 | uint64(s[i])
		}
		return h
	}
}

func halfWord(s string) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// Service returns the number of a service, or 0 when there is no room for a new node.
func (in *Intake) Service(namespace, name string) NodeID { return in.node(true, namespace, name) }

// Peer returns the number of something that is no instrumented service, or 0 when there is no room for a new node. Its
// name has two parts with a slash in between; one may be empty.
func (in *Intake) Peer(a, b string) NodeID { return in.node(false, a, b) }

func (in *Intake) node(service bool, a, b string) NodeID {
	now := in.g.watermark.Load()
	e := &in.names.entries[placeOfName(service, a, b)]
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
