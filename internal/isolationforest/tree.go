package isolationforest

import "math"

const none = -1

// node is a part of space. Its vectors are counted in every node and listed in the leaves.
type node struct {
	// left and right are the children of a cut; none in a leaf.
	left, right int16
	// first is the first vector of a leaf, by slot.
	first int16
	count uint16
	// The direction: weights of one or two coordinates.
	a, b            uint16
	weightA         float32
	weightB         float32
	cut             float32
	lowest, highest float32
}

// tree is one tree: nodes from a fixed pool, of which 0 is the root, and for each slot of the window its neighbours in
// the list of its leaf.
type tree struct {
	nodes       []node
	free        []int16
	after, prev []int16
}

func newTree(p *Params) tree {
	// Every cut node holds LeafVectors at least; lop-sided cuts may nest, and then the pool is the bound.
	size := min(max(3, 4*p.Window/p.LeafVectors), math.MaxInt16)
	return tree{
		nodes: make([]node, size), free: make([]int16, 0, size),
		after: make([]int16, p.Window), prev: make([]int16, p.Window),
	}
}

// clear makes the tree one empty leaf.
func (t *tree) clear(f *Forest) {
	t.free = t.free[:0]
	for i := len(t.nodes) - 1; i > 0; i-- {
		t.free = append(t.free, int16(i)) //nolint:gosec // the pool is smaller than that
	}
	t.nodes[0] = f.leaf()
}

// grow builds the tree anew from the window.
func (t *tree) grow(f *Forest) {
	t.clear(f)
	for slot := range f.held {
		t.insert(f, slot)
	}
}

// leaf returns an empty leaf with a direction of its own.
func (f *Forest) leaf() node {
	n := node{left: none, right: none, first: none, lowest: math.MaxFloat32, highest: -math.MaxFloat32}
	a := f.random.IntN(f.params.Dimensions)
	n.a, n.b = uint16(a), uint16(a) //nolint:gosec // fewer than MaxDimensions
	n.weightA = 1
	if !f.params.Oblique || f.params.Dimensions == 1 {
		return n
	}
	b := f.random.IntN(f.params.Dimensions - 1)
	if b >= a {
		b++
	}
	n.b = uint16(b) //nolint:gosec // as above
	variance, other := f.covariance(a, a), f.covariance(b, b)
	if f.random.Uint32()&1 == 0 && variance > 0 && other > 0 {
		// What b does not explain of a: where the two move together, this is where a break shows.
		n.weightB = float32(-f.covariance(a, b) / other)
		return n
	}
	// Else any direction, in units of the coordinates' spreads, so that none is favoured for its unit.
	n.weightA = weight(f.random.NormFloat64(), variance)
	n.weightB = weight(f.random.NormFloat64(), other)
	return n
}

func weight(x, variance float64) float32 {
	if variance <= 0 {
		return float32(x)
	}
	return float32(math.Max(-largest, math.Min(largest, x/math.Sqrt(variance))))
}

func (n *node) project(x []float32) float32 {
	return n.weightA*x[n.a] + n.weightB*x[n.b]
}

// insert takes the vector of a slot into the tree and cuts the leaf it falls in if that is full.
func (t *tree) insert(f *Forest, slot int) {
	x := f.vector(slot)
	at, depth := int16(0), 0
	for {
		n := &t.nodes[at]
		p := n.project(x)
		n.lowest, n.highest = min(n.lowest, p), max(n.highest, p)
		n.count++
		if n.left == none {
			break
		}
		at = n.child(p)
		depth++
	}
	t.link(at, slot)
	t.split(f, at, depth)
}

func (n *node) child(p float32) int16 {
	if p < n.cut {
		return n.left
	}
	return n.right
}

func (t *tree) link(at int16, slot int) {
	s := int16(slot) //nolint:gosec // smaller than MaxWindow
	n := &t.nodes[at]
	t.prev[s], t.after[s] = none, n.first
	if n.first != none {
		t.prev[n.first] = s
	}
	n.first = s
}

// split cuts a leaf that is full, and those of its children that then are.
func (t *tree) split(f *Forest, at int16, depth int) {
	n := &t.nodes[at]
	if int(n.count) < f.params.LeafVectors || depth >= deepest || len(t.free) < 2 {
		return
	}
	width := n.highest - n.lowest
	cut := n.lowest + float32(f.random.Float64())*width
	if !(cut > n.lowest && cut <= n.highest) {
		return // all are alike along this direction
	}
	last := len(t.free) - 2
	n.cut, n.left, n.right = cut, t.free[last], t.free[last+1]
	t.free = t.free[:last]
	t.nodes[n.left], t.nodes[n.right] = f.leaf(), f.leaf()
	for s := n.first; s != none; {
		next := t.after[s]
		x := f.vector(int(s))
		c := n.child(n.project(x))
		child := &t.nodes[c]
		p := child.project(x)
		child.lowest, child.highest = min(child.lowest, p), max(child.highest, p)
		child.count++
		t.link(c, int(s))
		s = next
	}
	n.first = none
	t.split(f, n.left, depth+1)
	t.split(f, n.right, depth+1)
}

// remove takes the vector of a slot out of the tree and makes a leaf of the highest node that now holds too few.
func (t *tree) remove(f *Forest, slot int, x []float32) {
	at := int16(0)
	merge := int16(none)
	for {
		n := &t.nodes[at]
		n.count--
		if n.left == none {
			break
		}
		// Half the number at which it was cut, so that it does not change at every vector.
		if merge == none && 2*int(n.count) < f.params.LeafVectors {
			merge = at
		}
		at = n.child(n.project(x))
	}
	s := int16(slot) //nolint:gosec // smaller than MaxWindow
	before, after := t.prev[s], t.after[s]
	if before == none {
		t.nodes[at].first = after
	} else {
		t.after[before] = after
	}
	if after != none {
		t.prev[after] = before
	}
	if merge != none {
		t.merge(merge, merge)
	}
}

// merge moves the vectors of the leaves under from into the node to, which becomes a leaf.
func (t *tree) merge(to, from int16) {
	n := &t.nodes[from]
	if n.left == none {
		for s := n.first; s != none; {
			next := t.after[s]
			t.link(to, int(s))
			s = next
		}
		return
	}
	left, right := n.left, n.right
	n.left, n.right = none, none
	if from == to {
		n.first = none
	}
	t.merge(to, left)
	t.merge(to, right)
	t.free = append(t.free, left, right)
}

// depth returns the expected depth at which x is isolated, and credits coordinates with what isolates it.
func (t *tree) depth(f *Forest, x []float32, credit []float64) float64 {
	depth, stays := 0.0, 1.0
	at := int16(0)
	for {
		n := &t.nodes[at]
		p := n.project(x)
		usual := f.usual[n.count]
		if n.count > 0 {
			outside := float64(max(n.lowest-p, p-n.highest))
			if outside > 0 {
				// A random cut falls between x and the others with this probability; then x is alone at the next level.
				cutOff := outside / (outside + float64(n.highest-n.lowest))
				depth += stays * cutOff
				n.share(f, x, stays*cutOff*usual, credit)
				stays *= 1 - cutOff
			}
		}
		if n.left == none {
			return depth + stays*usual
		}
		depth += stays
		at = n.child(p)
		// A cut that leaves x among few has set it apart by more than the one level that it costs.
		if gain := usual - 1 - f.usual[t.nodes[at].count]; gain > 0 {
			n.share(f, x, stays*gain, credit)
		}
	}
}

// share divides a credit among the coordinates of a direction by how far x is from the mean in each.
func (n *node) share(f *Forest, x []float32, amount float64, credit []float64) {
	if n.weightB == 0 || n.a == n.b {
		credit[n.a] += amount
		return
	}
	u := math.Abs(float64(n.weightA) * (float64(x[n.a]) - f.mean(int(n.a))))
	v := math.Abs(float64(n.weightB) * (float64(x[n.b]) - f.mean(int(n.b))))
	if u+v == 0 {
		u, v = 1, 1
	}
	credit[n.a] += amount * u / (u + v)
	credit[n.b] += amount * v / (u + v)
}
