package rootcause

// blame follows the impact that the symptoms suffered down the graph: what of it a node cannot explain by its calls stays
// with it, and the rest goes to its callees in proportion to what its calls to them had to bear. It returns what stays
// with each node, at most its own impact, and how much was suffered in all; nothing where there are no symptoms. What a
// cycle of nodes cannot explain is divided among them by their own impact. An impact that is not reached that way counts
// too, for a part: the graph may not know the path.
func (g *graph) blame(k int) (blamed []float64, suffered float64) {
	arrived := make([]float64, len(g.components))
	for i := range g.nodes {
		if n := &g.nodes[i]; n.Symptom {
			arrived[n.component] += n.in[k]
			suffered += n.in[k]
		}
	}
	if suffered <= 0 {
		return nil, 0
	}
	borne, passed := make([]float64, len(g.components)), make([]float64, len(g.components))
	leaving := make([][]int, len(g.components))
	for i := range g.links {
		l := &g.links[i]
		from, to := outside, g.nodes[l.server].component
		if l.client != outside {
			from = g.nodes[l.client].component
		}
		if from == to {
			continue
		}
		borne[to] += l.borne[k]
		if from != outside && l.waited[k] > 0 {
			passed[from] += l.waited[k]
			leaving[from] = append(leaving[from], i)
		}
	}
	blamed = make([]float64, len(g.nodes))
	others := 0.0
	for c := len(g.components) - 1; c >= 0; c-- {
		felt := arrived[c]
		if all := max(borne[c], passed[c]); all > 0 {
			for _, i := range leaving[c] {
				l := &g.links[i]
				arrived[g.nodes[l.server].component] += felt * l.waited[k] / all
			}
			felt *= 1 - passed[c]/all
		}
		own := 0.0
		for _, i := range g.components[c] {
			own += g.nodes[i].own[k]
		}
		for _, i := range g.components[c] {
			n := &g.nodes[i]
			if own > 0 {
				blamed[i] = max(min(n.own[k], felt*n.own[k]/own), g.Unfelt*min(n.own[k], suffered))
			}
			if !n.Symptom {
				others = max(others, blamed[i])
			}
		}
	}
	if others > g.SymptomShare*suffered {
		for i := range g.nodes {
			if g.nodes[i].Symptom {
				blamed[i] = 0
			}
		}
	}
	return blamed, suffered
}
