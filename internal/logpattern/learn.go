package logpattern

import (
	"slices"
	"strings"
	"unicode/utf8"
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

// insert puts a template into the indices.
func (m *Miner) insert(t *template) {
	t.places = mask{}
	for i := range t.pieces {
		if t.pieces[i].hash == wildHash {
			t.places.set(i)
		}
	}
	t.used = m.clock
	m.memory += t.size()
	m.exact[t.key()] = t
	m.byID[t.ID] = t
	delete(m.aliases, t.ID)
	m.addMask(t)
	m.indexList(t)
}

// remove takes a template out of the indices.
func (m *Miner) remove(t *template) {
	t.gone = true
	m.memory -= t.size()
	if m.exact[t.key()] == t {
		delete(m.exact, t.key())
	}
	if m.byID[t.ID] == t {
		delete(m.byID, t.ID)
	}
	if m.lists[t.listKey] == t {
		delete(m.lists, t.listKey)
	}
	soft := t.softSum() + t.shape
	leave(m.soft, soft, t)
	leave(m.slots, t.jointKey, t)
	for i := range t.pieces {
		if t.pieces[i].kind != word {
			continue
		}
		leave(m.slots, t.slotKey(soft, i), t)
	}
	m.dropMask(t)
}

// join adds a template to a slot and returns the slot.
func join(slots map[uint64]*slot, key uint64, t *template) *slot {
	s := slots[key]
	if s == nil {
		s = &slot{}
		slots[key] = s
	}
	if !slices.Contains(s.members, t) {
		s.members = append(s.members, t)
	}
	return s
}

// leave takes a template out of a slot.
func leave(slots map[uint64]*slot, key uint64, t *template) {
	s := slots[key]
	if s == nil {
		return
	}
	if at := slices.Index(s.members, t); at >= 0 {
		s.members = slices.Delete(s.members, at, at+1)
	}
	if len(s.members) == 0 {
		delete(slots, key)
	}
}

// maxMasks is how many sets of wildcards are tried for the lines of one shape.
const maxMasks = 64

func (m *Miner) addMask(t *template) {
	masks := m.masks[t.shape]
	for i := range masks {
		if masks[i].bits == t.places.bits {
			masks[i].users++
			return
		}
	}
	if len(masks) < maxMasks {
		m.masks[t.shape] = append(masks, mask{bits: t.places.bits, users: 1})
	}
}

func (m *Miner) dropMask(t *template) {
	masks := m.masks[t.shape]
	for i := range masks {
		if masks[i].bits != t.places.bits {
			continue
		}
		if masks[i].users--; masks[i].users == 0 {
			masks = slices.Delete(masks, i, i+1)
			if len(masks) == 0 {
				delete(m.masks, t.shape)
			} else {
				m.masks[t.shape] = masks
			}
		}
		return
	}
}

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

// covering returns, of templates that differ in names alone, those that have nothing but wildcards where they differ from a
// template or that it has wildcards for, with the template itself.
func covering(t *template, others []*template) []*template {
	var out []*template
	for _, o := range others {
		if t.covers(o) || o.covers(t) {
			out = append(out, o)
		}
	}
	return out
}

// covers reports whether a template has wildcards wherever it differs from another of its shape.
func (t *template) covers(other *template) bool {
	for i := range t.pieces {
		if a, b := t.pieces[i].hash, other.pieces[i].hash; a != b && a != wildHash {
			return false
		}
	}
	return true
}

// distinct is how many different words must have been seen at a place for them to be values; 0 if none would do.
func (m *Miner) distinct(t *template, i int) int {
	if !t.stands(i) || isSeverity(t.pieces[i].text) {
		return 0
	}
	switch {
	case t.isExpected(i):
		return m.settings.DistinctValues
	case i == 0:
		// What a message starts with is mostly what it is about.
		return m.settings.DistinctSubjects
	default:
		return m.settings.DistinctWords
	}
}

// isExpected reports whether a value is to be expected at a place. Words in capitals, such as NEW and RUNNING, are states
// that a program gave names to, and not expected.
func (t *template) isExpected(i int) bool {
	if isCapitals(t.pieces[i].text) {
		return false
	}
	before := strings.TrimRight(t.pieces[i].before, " ")
	if before == "" {
		return i > 0 && announces(t.pieces[i-1].text)
	}
	return strings.IndexByte("=:\"'`([{<", before[len(before)-1]) >= 0
}

// isSeverity reports whether a word says how severe a message is: that never is a value.
func isSeverity(text string) bool {
	for _, s := range []string{"trace", "debug", "info", "notice", "warn", "warning", "error", "critical", "fatal"} {
		if strings.EqualFold(text, s) {
			return true
		}
	}
	return false
}

func isCapitals(text string) bool {
	for i := range len(text) {
		if c := text[i]; c >= 'a' && c <= 'z' || c >= utf8.RuneSelf {
			return false
		}
	}
	return len(text) > 1
}

// announces reports whether the word before a place lets expect a value there: a preposition, or the word for who acts.
func announces(before string) bool {
	switch before {
	case "for", "from", "by", "to", "of", "on", "at", "in", "as", "with", "via", "into", "user", "User", "host", "named", "called":
		return true
	default:
		return false
	}
}

// stands reports whether enough of a template's text is left when one more of its tokens, or none where place is below 0,
// becomes a wildcard: two words, or one that is not alone with what varies.
func (t *template) stands(place int) bool {
	words := t.words()
	if place >= 0 && t.isWord(place) {
		words--
	}
	return words >= minWords
}

// words is how many words a template has.
func (t *template) words() int {
	n := 0
	for i := range t.pieces {
		if t.isWord(i) {
			n++
		}
	}
	return n
}

func (t *template) isWord(i int) bool {
	p := &t.pieces[i]
	return (p.kind == word || p.kind == fixed) && len(p.text) > 1
}

// minWords is how many words a template keeps.
const minWords = 2

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

// size estimates the bytes that a template takes with its places in the indices.
func (t *template) size() int { return 400 + 160*len(t.pieces) + 2*len(t.Template) }

// makeRoom forgets templates until there is room for another.
func (m *Miner) makeRoom(t *template) {
	for len(m.exact) > 0 && (len(m.exact) >= m.settings.MaxTemplates || m.memory+t.size() > m.settings.MaxMemory) {
		m.evict()
	}
}

// evict forgets the sixteenth of the templates that were not seen for longest.
func (m *Miner) evict() {
	all := make([]*template, 0, len(m.exact))
	for _, t := range m.exact {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *template) int {
		switch {
		case a.used < b.used:
			return -1
		case a.used > b.used:
			return 1
		case a.ID < b.ID:
			return -1
		}
		return 1
	})
	for _, t := range all[:max(1, len(all)/16)] {
		m.remove(t)
		t.pieces = nil
		m.stats.Evicted++
	}
	// Nothing may hold what is forgotten.
	for i := range m.recent {
		if e := &m.recent[i]; e.template != nil {
			if e.template = e.template.current(); e.template == nil {
				*e = recentEntry{}
			}
		}
	}
}
