package logpattern

import "slices"

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
