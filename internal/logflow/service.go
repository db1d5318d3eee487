package logflow

import (
	"math"

	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/internal/logtemplate"
)

// service is what is known of one service's log records.
type service struct {
	// last is the bucket of the newest record.
	last    int64
	index   int
	miner   *logtemplate.Miner
	records excess.Counts
	// requests are those that the service got, as far as somebody counted them, and begun the spans in which it began to
	// write.
	requests, begun excess.Counts
	// silent holds, when a bucket is judged and when it is learnt, the requests for which nothing was written.
	silent excess.Track
	// begins is what was learnt of begun.
	begins    float64
	errors    excess.Track
	templates []*template
}

// template is what is known of one template.
type template struct {
	errors excess.Track
	// isError is set once a record of an error had this template.
	isError bool
	// starts counts the spans that began with it, and begins is what was learnt of them.
	starts excess.Counts
	begins float64
	// inContext counts the records that were written within a span, and astray holds, when a bucket is judged and when it
	// is learnt, those of them after which came none of the steps that usually do.
	inContext excess.Counts
	astray    excess.Track
	followers []follower
}

func newService(limits logtemplate.Limits) *service {
	return &service{miner: logtemplate.NewMiner(limits), silent: excess.Track{Clustered: silentClusters}}
}

func (s *service) template(id int) *template {
	for len(s.templates) <= id {
		s.templates = append(s.templates, &template{})
	}
	return s.templates[id]
}

// retire learns the counts of a slot that leaves the ring, and clears it.
func (s *service) retire(slot int, m *Model) {
	l := m.learning
	keep := math.Exp2(-1 / l.HalfLife)
	learn := func(learnt *float64, counts *excess.Counts, usable bool) {
		if usable {
			*learnt = *learnt*keep + float64(counts[slot])
		}
		counts[slot] = 0
	}
	records, requests := float64(s.records[slot]), float64(s.requests[slot])
	s.errors.Retire(slot, records, l)
	told := s.silent.Usable(slot)
	s.silent.Retire(slot, requests, l)
	learn(&s.begins, &s.begun, told)
	for _, t := range s.templates {
		t.errors.Retire(slot, records, l)
		learn(&t.begins, &t.starts, told)
		in := float64(t.inContext[slot])
		t.know(m, s)
		t.astray.Events[slot] = t.astrayIn(slot)
		usable := t.astray.Usable(slot) && in > 0
		t.astray.Retire(slot, in, l)
		for i := range t.followers {
			learn(&t.followers[i].learnt, &t.followers[i].hits, usable)
		}
		t.inContext[slot] = 0
	}
	s.records[slot], s.requests[slot] = 0, 0
}

// unwrite takes the service from those that have written its errors.
func (s *service) unwrite(m *Model) {
	for id, t := range s.templates {
		if t.isError {
			if text := s.miner.Text(id); m.writers[text] > 1 {
				m.writers[text]--
			} else {
				delete(m.writers, text)
			}
		}
	}
}

// clear forgets the counts that are in the ring.
func (s *service) clear() {
	s.records, s.requests, s.begun = excess.Counts{}, excess.Counts{}, excess.Counts{}
	s.errors.Clear()
	s.silent.Clear()
	for _, t := range s.templates {
		t.errors.Clear()
		t.astray.Clear()
		t.starts, t.inContext = excess.Counts{}, excess.Counts{}
		for i := range t.followers {
			t.followers[i].hits = excess.Counts{}
		}
	}
}

// settle says that what was logged so far has been dealt with.
func (s *service) settle(tl *excess.Timeline) {
	s.errors.Settle(tl)
	s.silent.Settle(tl)
	for _, t := range s.templates {
		t.errors.Settle(tl)
		t.astray.Settle(tl)
	}
}

// judge appends what is abnormal now.
func (s *service) judge(m *Model, name string, minSurprise float64, findings []Finding) []Finding {
	w := &m.window
	report := func(t *excess.Track, exposure *excess.Counts, v excess.Verdict, f Finding) {
		if v.Surprise < minSurprise {
			t.Calm(&m.timeline)
			return
		}
		if v.Surprise = t.Flag(&m.timeline, v, m.learning); v.Surprise < minSurprise {
			return
		}
		f.Service, f.Verdict, f.Trend = name, v, t.Trend(&m.timeline, exposure, v)
		findings = append(findings, f)
	}
	for id, t := range s.templates {
		t.errors.Load(w, &m.timeline, &s.records)
		v := t.errors.Above(w, excess.Options{MinEvents: 3, MinRatio: 3})
		if t.isError {
			v.Surprise *= float64(m.specific(s.miner.Text(id)))
		}
		report(&t.errors, &s.records, v, Finding{Kind: NewError, Template: s.miner.Text(id)})
		if v, missing := t.judgeSteps(m, s); missing >= 0 {
			report(&t.astray, &t.inContext, v, Finding{Kind: MissingStep, Template: s.miner.Text(missing), After: s.miner.Text(id)})
		}
	}
	if m.timeline.Next() <= m.deafUntil {
		s.silent.Settle(&m.timeline)
	} else if v, missing := s.judgeSilence(m); missing >= 0 {
		report(&s.silent, &s.requests, v, Finding{Kind: MissingRecord, Template: s.miner.Text(missing)})
	}
	// Errors that are spread over many templates show in their sum alone.
	s.errors.Load(w, &m.timeline, &s.records)
	report(&s.errors, &s.records, s.errors.Above(w, excess.Options{MinEvents: 5, MinRatio: 3}), Finding{Kind: NewError})
	return findings
}
