package rootcause

// condense finds the strongly connected components, callees before callers, by R. Tarjan, "Depth-first search and linear
// graph algorithms", 1972. It keeps its own stack, for the graph is as deep as telemetry says.
func (g *graph) condense() {
	const unseen = -1
	type frame struct{ node, next int }
	order, low := make([]int, len(g.nodes)), make([]int, len(g.nodes))
	for i := range g.nodes {
		order[i], g.nodes[i].component = unseen, unseen
	}
	g.components = make([][]int, 0, len(g.nodes))
	members := make([]int, 0, len(g.nodes))
	var open []int
	var path []frame
	seen := 0
	enter := func(i int) {
		order[i], low[i] = seen, seen
		seen++
		open = append(open, i)
		path = append(path, frame{node: i})
	}
	for start := range g.nodes {
		if order[start] != unseen {
			continue
		}
		enter(start)
		for len(path) > 0 {
			f := &path[len(path)-1]
			i := f.node
			if f.next < len(g.nodes[i].callees) {
				j := g.nodes[i].callees[f.next]
				f.next++
				switch {
				case order[j] == unseen:
					enter(j)
				case g.nodes[j].component == unseen:
					low[i] = min(low[i], order[j])
				}
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				caller := path[len(path)-1].node
				low[caller] = min(low[caller], low[i])
			}
			if low[i] != order[i] {
				continue
			}
			from := len(members)
			for j := unseen; j != i; {
				j = open[len(open)-1]
				open = open[:len(open)-1]
				g.nodes[j].component = len(g.components)
				members = append(members, j)
			}
			g.components = append(g.components, members[from:len(members):len(members)])
		}
	}
}
