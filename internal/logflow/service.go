package logflow

import (
	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/internal/logtemplate"
)

const (
	// maxFollowers is how many different successors of a template are counted.
	maxFollowers = 6
	// certain is the share of a template's records that a follower must have followed to be missed.
	certain = 0.8
	// usual is the share of the busy buckets that may have been without a record that is missed.
	usual = 0.5
	// gone is the share of the busy buckets of a window that must then be without one.
	gone = 0.8
	// silentClusters is how much busy buckets without a record cluster until it is learnt.
	silentClusters = 2
	// vanished is the share of the records of a window that it must then have failed to follow.
	vanished = 0.5
)

// service is what is known of one service's log records.
type service struct {
	// last is the bucket of the newest record.
	last    int64
	index   int
	miner   *logtemplate.Miner
	records excess.Counts
	// busy is 1 for the buckets in which the service got requests.
	busy      excess.Counts
	errors    excess.Track
	templates []*template
}

// template is what is known of one template.
type template struct {
	errors excess.Track
	// isError is set once a record of an error had this template.
	isError bool
	// written counts all records, and silent the buckets with requests to the service in which there was none:
	// records come in clusters, buckets do not.
	written excess.Counts
	silent  excess.Track
	// inContext counts the records that were written within a span.
	inContext excess.Counts
	followers []follower
}

// follower counts how often a template came next in the same span.
type follower struct {
	template int
	hits     excess.Counts
	// misses holds, when a bucket is judged and when it is learnt, the records that the follower did not follow.
	misses excess.Track
	total  float64
}

func (s *service) template(id int) *template {
	for len(s.templates) <= id {
		t := newTemplate()
		// Until now it was never written.
		t.silent.Events = s.busy
		s.templates = append(s.templates, t)
	}
	return s.templates[id]
}

func newTemplate() *template {
	return &template{silent: excess.Track{Clustered: silentClusters}}
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

func (s *service) retire(slot int, l excess.Learning) {
	records, busy := float64(s.records[slot]), float64(s.busy[slot])
	s.errors.Retire(slot, records, l)
	for _, t := range s.templates {
		t.errors.Retire(slot, records, l)
		t.silent.Retire(slot, busy, l)
		t.written[slot] = 0
		in := t.inContext[slot]
		for i := range t.followers {
			f := &t.followers[i]
			f.misses.Events[slot] = max(0, in-f.hits[slot])
			f.misses.Retire(slot, float64(in), l)
			f.hits[slot] = 0
		}
		t.inContext[slot] = 0
	}
	s.records[slot], s.busy[slot] = 0, 0
}

// clear forgets the counts that are in the ring.
func (s *service) clear() {
	s.records, s.busy = excess.Counts{}, excess.Counts{}
	s.errors.Clear()
	for _, t := range s.templates {
		t.errors.Clear()
		t.silent.Clear()
		t.written, t.inContext = excess.Counts{}, excess.Counts{}
		for i := range t.followers {
			t.followers[i].hits = excess.Counts{}
			t.followers[i].misses.Clear()
		}
	}
}

// judge appends what is abnormal now.
func (s *service) judge(m *Model, name string, minSurprise float64, findings []Finding) []Finding {
	w := &m.window
	report := func(t *excess.Track, exposure *excess.Counts, v excess.Verdict, f Finding) {
		if v.Surprise < minSurprise {
			t.Calm()
			return
		}
		t.Flag(&m.timeline, v.Window, m.learning)
		f.Service, f.Verdict, f.Trend = name, v, t.Trend(&m.timeline, exposure, v)
		findings = append(findings, f)
	}
	for id, t := range s.templates {
		t.errors.Load(w, &m.timeline, &s.records)
		report(&t.errors, &s.records, t.errors.Above(w, excess.Options{MinEvents: 3, MinRatio: 3}),
			Finding{Kind: NewError, Template: s.miner.Text(id)})
		if t.isError {
			// An error that is missing is good news.
			continue
		}
		t.silent.Load(w, &m.timeline, &s.busy)
		silent := t.silent.Above(w, excess.Options{MinEvents: 6, MinRatio: 2, Share: true})
		if silent.Now.Events < gone*silent.Now.Exposure || silent.Past.Events > usual*silent.Past.Exposure {
			silent = excess.Verdict{}
		}
		report(&t.silent, &s.busy, silent, Finding{Kind: MissingRecord, Template: s.miner.Text(id)})
		for i := range t.followers {
			f := &t.followers[i]
			if s.templates[f.template].isError {
				continue
			}
			for slot := range f.misses.Events {
				f.misses.Events[slot] = max(0, t.inContext[slot]-f.hits[slot])
			}
			f.misses.Load(w, &m.timeline, &t.inContext)
			v := f.misses.Above(w, excess.Options{MinEvents: 3, MinRatio: 3, Share: true})
			if v.Now.Events < vanished*v.Now.Exposure || v.Past.Events > (1-certain)*v.Past.Exposure {
				v = excess.Verdict{}
			}
			report(&f.misses, &t.inContext, v, Finding{Kind: MissingStep, Template: s.miner.Text(f.template), After: s.miner.Text(id)})
		}
	}
	// Errors that are spread over many templates show in their sum alone.
	s.errors.Load(w, &m.timeline, &s.records)
	report(&s.errors, &s.records, s.errors.Above(w, excess.Options{MinEvents: 5, MinRatio: 3}), Finding{Kind: NewError})
	return findings
}
