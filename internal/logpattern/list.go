package logpattern

import "strings"

// A list of values is one parameter, however many values it has: "blocks <*>, <*>, <*>" and "blocks <*>, <*>" are both
// "blocks <*>" once both were seen.

// asList returns the template with each list of values as one wildcard, nil where it has no list.
func (t *template) asList() *template {
	if !t.hasList() || !t.stands(-1) {
		return nil
	}
	short := &template{rest: t.rest, tail: t.tail, list: true}
	for i := 0; i < len(t.pieces); i++ {
		short.pieces = append(short.pieces, t.pieces[i])
		i = t.listEnd(i)
	}
	short.derive()
	return short
}

func (t *template) hasList() bool {
	for i := range t.pieces {
		if t.listEnd(i) > i {
			return true
		}
	}
	return false
}

// listEnd returns the last place of the list of values that starts at a place: i itself where there is none.
func (t *template) listEnd(i int) int {
	if t.pieces[i].hash != wildHash || i+1 >= len(t.pieces) {
		return i
	}
	separator := t.pieces[i+1].before
	if separator == "" || strings.Trim(separator, " ,;|") != "" {
		return i
	}
	for i+1 < len(t.pieces) && t.pieces[i+1].hash == wildHash && t.pieces[i+1].before == separator {
		i++
	}
	return i
}

// joinList looks for templates that differ from a new one only in the length of lists. It returns the one that stands for
// all, or nil where there is none yet.
func (m *Miner) joinList(t *template) *template {
	short := t.asList()
	if short == nil {
		// A list of one value.
		long := m.lists[t.key()]
		if long == nil || long.list {
			return nil
		}
		m.takeList(t, long)
		return t
	}
	known := m.find(short.key(), short.shape, func(i int) uint64 { return short.pieces[i].hash })
	if known != nil {
		if !known.list {
			known.list = true
			known.listKey = known.key()
			m.lists[known.listKey] = known
		}
		return known
	}
	long := m.lists[short.key()]
	if long == nil || long.gone {
		return nil
	}
	m.takeList(short, long)
	return short
}

// takeList puts a template in place of a longer one that has no other difference.
func (m *Miner) takeList(short, long *template) {
	short.list = true
	m.remove(long)
	m.absorb(short, []*template{long})
	m.insert(short)
}

// indexList makes a template known by its form with short lists.
func (m *Miner) indexList(t *template) {
	key := t.key()
	if !t.list {
		short := t.asList()
		if short == nil {
			return
		}
		key = short.key()
	}
	if m.lists[key] == nil || t.list {
		m.lists[key] = t
	}
	t.listKey = key
}
