package logflow

import "github.com/paramedic-otel/paramedic/internal/excess"

const (
	// maxFollowers is how many different successors of a template are counted.
	maxFollowers = 6
	// certain is the share of a template's records that must have been followed by a usual step for one to be missed.
	certain = 0.8
	// usualStep is the share of a template's records from which on what follows is a usual step.
	usualStep = 0.02
	// vanished is the share of the records of a window that no usual step must then have followed.
	vanished = 0.5
	// priorSteps is how many steps the certainty of all steps together counts for with each of them, and leastAstray the
	// least number of these that is expected to go astray.
	priorSteps  = 10
	leastAstray = 0.05
)

// follower counts how often a template came next in the same span.
type follower struct {
	template int
	hits     excess.Counts
	// learnt is what was learnt of hits.
	learnt float64
	total  float64
	// expected is how far the step is one that may come, as last looked at: 1 for a usual one, for an error that several
	// services write the part of it that is nobody's own, else 0. usual is whether it is a usual one, and seen how often it
	// was seen.
	expected float64
	usual    bool
	seen     float64
}

func (t *template) followedBy(id, slot int) {
	weakest := -1
	for i := range t.followers {
		f := &t.followers[i]
		if f.template == id {
			f.hits[slot]++
			f.total++
			return
		}
		if weakest < 0 || f.total < t.followers[weakest].total {
			weakest = i
		}
	}
	// As in the space-saving algorithm the newcomer takes the weakest one's place, and its total, so that a frequent
	// follower that comes late still gets in.
	f := follower{template: id, total: 1}
	f.hits[slot] = 1
	if len(t.followers) < maxFollowers {
		t.followers = append(t.followers, f)
		return
	}
	f.total += t.followers[weakest].total
	t.followers[weakest] = f
}

// know finds out which steps are usual after a template: from what was learnt, and from what has not been judged in any
// window for a while.
func (t *template) know(m *Model, s *service) {
	tl := &m.timeline
	all := t.astray.Past().Exposure
	var old [excess.Lookback - excess.MaxWindow]int
	n := 0
	for i := int64(excess.MaxWindow); i < excess.Lookback; i++ {
		if slot := excess.SlotOf(tl.Next() - 1 - i); t.astray.Usable(slot) {
			old[n] = slot
			n++
			all += float64(t.inContext[slot])
		}
	}
	for i := range t.followers {
		f := &t.followers[i]
		f.seen = f.learnt
		for _, slot := range old[:n] {
			f.seen += float64(f.hits[slot])
		}
		f.usual = f.seen > 0 && f.seen >= usualStep*all
		switch {
		case f.usual:
			f.expected = 1
		case s.templates[f.template].isError:
			f.expected = 1 - float64(m.specific(s.miner.Text(f.template)))
		default:
			f.expected = 0
		}
	}
}

// specific returns how far an error is a service's own, in (0, 1]: what several services write is how their common
// framework says that a request has failed, and not why. It is the inverse of the number of services that write it, as the
// weight of a word is in document retrieval.
func (m *Model) specific(template string) float32 {
	return 1 / float32(max(1, m.writers[template]))
}

// astrayIn returns how many records of a slot no step followed that may come.
func (t *template) astrayIn(slot int) float32 {
	astray := t.inContext[slot]
	for i := range t.followers {
		f := &t.followers[i]
		astray -= float32(f.expected) * f.hits[slot]
	}
	return max(0, astray)
}

// judgeSteps looks for records that no usual step follows any more, and returns which step is missed most. Which of several
// usual steps follows is the requests' doing. It returns -1 where there is no usual step, and for errors, of which nobody
// expects how they go on.
func (t *template) judgeSteps(m *Model, s *service) (v excess.Verdict, missing int) {
	missing = -1
	if t.isError {
		return v, missing
	}
	t.know(m, s)
	most := 0.0
	for i := range t.followers {
		if f := &t.followers[i]; f.usual && f.seen > most {
			missing, most = f.template, f.seen
		}
	}
	if missing < 0 {
		return v, missing
	}
	for slot := range t.astray.Events {
		t.astray.Events[slot] = t.astrayIn(slot)
	}
	t.astray.Load(&m.window, &m.timeline, &t.inContext)
	v = t.astray.Above(&m.window, excess.Options{MinEvents: 3, MinRatio: 3, Share: true, Prior: m.certainty})
	if v.Now.Events < vanished*v.Now.Exposure || v.Past.Events > (1-certain)*v.Past.Exposure {
		v = excess.Verdict{}
	}
	return v, missing
}

// learnCertainty finds out how often records go astray that usually do not.
func (m *Model) learnCertainty() {
	var sum excess.Cell
	for _, name := range m.names {
		for _, t := range m.services[name].templates {
			if past := t.astray.Past(); len(t.followers) > 0 && past.Events <= (1-certain)*past.Exposure {
				sum.Events += past.Events
				sum.Exposure += past.Exposure
			}
		}
	}
	m.certainty = excess.Cell{Events: max(leastAstray, priorSteps*sum.Share()), Exposure: priorSteps}
}
