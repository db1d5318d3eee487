package logpattern

import (
	"slices"
)

// learn takes in a new template, and merges it with those that differ from it only where values stand.
func (m *Miner) learn(t *template) (*template, Novelty) {
	if known := m.exact[t.key()]; known != nil {
		return known, KnownPattern
	}
	if other := m.byID[t.ID]; other != nil {
		// Two ways to cut one text.
		return other, KnownPattern
	}
	m.makeRoom(t)
	if list := m.joinList(t); list != nil {
		m.stats.Generalized++
		return m.generalize(list), GeneralizedPattern
	}
	m.insert(t)
	if merged := m.generalize(t); merged != t {
		m.stats.Generalized++
		return merged, GeneralizedPattern
	}
	m.stats.New++
	return t, NewPattern
}

func (t *template) key() uint64 { return t.sum + t.shape }

// softSum is the sum of the tokens with wildcards for the soft ones.
func (t *template) softSum() uint64 {
	sum := t.sum
	for i := range t.pieces {
		if t.pieces[i].kind == soft {
			sum += placed(wildHash, i) - placed(t.pieces[i].hash, i)
		}
	}
	return sum
}

// slotKey is the hash of a template without the word at a place.
func (t *template) slotKey(soft uint64, i int) uint64 {
	return (soft - placed(t.pieces[i].hash, i) + uint64(i)*tokenMark) * mixPrime //nolint:gosec // a place is not negative
}

// generalize merges a template that was just inserted with others, and returns the one that it is part of then.
func (m *Miner) generalize(t *template) *template {
	for {
		softKey := t.softSum() + t.shape
		if t.stands(-1) {
			names := join(m.soft, softKey, t).members
			if len(names) < m.settings.DistinctValues {
				names = covering(t, names)
			}
			if len(names) > 1 {
				t = m.merge(slices.Clone(names))
				continue
			}
		}
		var full *slot
		for i := range t.pieces {
			key := t.slotKey(softKey, i)
			if t.pieces[i].kind != word {
				// A wildcard takes in the words that were seen in its place before.
				if s := m.slots[key]; full == nil && s != nil && t.pieces[i].hash == wildHash && t.stands(-1) {
					full = &slot{members: append(slices.Clone(s.members), t)}
				}
				continue
			}
			n := m.distinct(t, i)
			if n == 0 {
				continue
			}
			if s := join(m.slots, key, t); full == nil && len(s.members) >= n {
				full = s
			}
		}
		parts := m.joint(t, softKey)
		if full != nil {
			parts = full.members
		}
		if len(parts) < 2 {
			return t
		}
		t = m.merge(slices.Clone(parts))
	}
}

// merge makes one template of several of the same shape, with wildcards where they differ, and inserts it.
func (m *Miner) merge(parts []*template) *template {
	first := parts[0]
	t := &template{pieces: slices.Clone(first.pieces), rest: first.rest, tail: first.tail, shape: first.shape, sum: first.sum}
	for _, part := range parts {
		t.list = t.list || part.list
		for i := range t.pieces {
			p := &t.pieces[i]
			if p.hash == part.pieces[i].hash {
				continue
			}
			t.sum += placed(wildHash, i) - placed(p.hash, i)
			p.hash, p.kind, p.text = wildHash, value, Wildcard
		}
	}
	t.name()
	for _, part := range parts {
		m.remove(part)
	}
	if known := m.exact[t.key()]; known != nil {
		m.absorb(known, parts)
		return known
	}
	m.absorb(t, parts)
	m.insert(t)
	return t
}

// absorb adds the figures of parts to a template, which takes their place.
func (m *Miner) absorb(t *template, parts []*template) {
	aliases := slices.Clone(t.Aliases)
	for _, part := range parts {
		part.successor, part.pieces = t, nil
		t.Count += part.Count
		if part.First != 0 && (t.First == 0 || part.First < t.First) {
			t.First = part.First
		}
		t.Last = max(t.Last, part.Last)
		if part.Count > 0 || len(part.Aliases) > 0 {
			aliases = append(aliases, part.Aliases...)
			if part.ID != t.ID {
				aliases = append(aliases, part.ID)
			}
		}
		m.alias(part.ID, t.ID)
	}
	if n := len(aliases) - m.settings.MaxPatternAliases; n > 0 {
		aliases = aliases[n:]
	}
	t.Aliases = aliases
}

// alias leads from an old ID to a new one, and forgets the oldest alias when there are too many.
func (m *Miner) alias(from, to ID) {
	if from == to {
		return
	}
	if _, ok := m.aliases[from]; !ok {
		if len(m.aliasOrder) < m.settings.MaxAliases {
			m.aliasOrder = append(m.aliasOrder, from)
		} else {
			delete(m.aliases, m.aliasOrder[m.aliasNext])
			m.aliasOrder[m.aliasNext] = from
			m.aliasNext = (m.aliasNext + 1) % len(m.aliasOrder)
		}
	}
	m.aliases[from] = to
	delete(m.aliases, to)
}
