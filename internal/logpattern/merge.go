package logpattern

import "slices"

// Merge takes in the templates of another miner, such as those that an agent sent to its gateway: counts add up, templates
// become more general where both together show that a word is a value. The other one stays as it is. The settings and the
// stats of the other one do not matter.
func (m *Miner) Merge(other *Miner) {
	for _, id := range other.aliasOrder {
		if to := other.Resolve(id); other.byID[to] != nil && m.byID[id] == nil {
			m.alias(id, to)
		}
	}
	for _, p := range other.Patterns() {
		m.take(other.byID[p.ID])
	}
}

// take adds the figures of a template of another miner.
func (m *Miner) take(theirs *template) {
	m.clock++
	t := m.find(theirs.key(), theirs.shape, func(i int) uint64 { return theirs.pieces[i].hash })
	if t == nil {
		fresh := &template{
			pieces: slices.Clone(theirs.pieces), rest: theirs.rest, tail: theirs.tail, shape: theirs.shape, sum: theirs.sum,
		}
		fresh.name()
		t, _ = m.learn(fresh)
	}
	t.used = m.clock
	t.Count += theirs.Count
	if theirs.First != 0 && (t.First == 0 || theirs.First < t.First) {
		t.First = theirs.First
	}
	t.Last = max(t.Last, theirs.Last)
	m.alias(theirs.ID, t.ID)
	t.Aliases = m.joined(t, theirs)
}

// joined returns the aliases of a template with those of another and its ID, each once, the oldest left out where they are
// too many.
func (m *Miner) joined(t, other *template) []ID {
	out := slices.Clone(t.Aliases)
	for _, id := range append(slices.Clone(other.Aliases), other.ID) {
		if id != t.ID && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out[max(0, len(out)-m.settings.MaxPatternAliases):]
}
