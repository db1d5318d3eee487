package logpattern

import "slices"

// Values that vary together, as in "mail from ann to bob" and "mail from carl to dora", are never all but one the same.
// Templates that differ only where values are to be expected are therefore compared too, with more evidence asked for.

const (
	// jointFactor is how many times DistinctValues must have been seen in a place when other places vary as well.
	jointFactor = 2
	// maxJoint is how many templates that differ only in such places are compared.
	maxJoint = 64
	// jointMark keeps the keys of these slots apart from the other ones.
	jointMark = 0x4d
)

// joint returns the templates that a template is to be merged with, itself among them, because in each place where they
// differ enough different words were seen; nil where there is none.
func (m *Miner) joint(t *template, softKey uint64) []*template {
	places := m.expected(t)
	if len(places) < 2 {
		return nil
	}
	key := jointKey(t, softKey, places)
	s := m.slots[key]
	if s == nil || len(s.members) < maxJoint {
		s = join(m.slots, key, t)
		t.jointKey = key
	}
	var values mask
	for _, i := range places {
		var seen []uint64
		for _, o := range s.members {
			if h := o.pieces[i].hash; !slices.Contains(seen, h) {
				seen = append(seen, h)
			}
		}
		if len(seen) >= jointFactor*m.settings.DistinctValues {
			values.set(i)
		}
	}
	if values.bits == (mask{}).bits {
		return nil
	}
	parts := []*template{t}
	for _, o := range s.members {
		if o != t && o.sameBut(t, &values) {
			parts = append(parts, o)
		}
	}
	if len(parts) < 2 {
		return nil
	}
	return parts
}

// expected returns the places of words where values are to be expected.
func (m *Miner) expected(t *template) []int {
	var places []int
	for i := range t.pieces {
		if k := t.pieces[i].kind; k == word && i > 0 && t.isExpected(i) && !isSeverity(t.pieces[i].text) {
			places = append(places, i)
		}
	}
	if len(places) > 0 && t.words()-len(places) < minWords {
		return nil
	}
	return places
}

func jointKey(t *template, softKey uint64, places []int) uint64 {
	for _, i := range places {
		softKey += placed(wildHash, i) - placed(t.pieces[i].hash, i)
	}
	return (softKey + jointMark) * mixPrime
}

// sameBut reports whether two templates of a shape differ only in some places.
func (t *template) sameBut(other *template, places *mask) bool {
	for i := range t.pieces {
		if t.pieces[i].hash != other.pieces[i].hash && !places.has(i) {
			return false
		}
	}
	return true
}
