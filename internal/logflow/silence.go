package logflow

import "github.com/paramedic-otel/paramedic/internal/excess"

const (
	// silentClusters is how much requests for which nothing is written cluster until it is learnt.
	silentClusters = 2
	// moreSilent is by how much the share of these requests must have grown.
	moreSilent = 0.2
	// countedLater is how many buckets after its records a request may be counted.
	countedLater = 3
	// priorRequests is for how many requests one span with records each is taken for granted.
	priorRequests = 100
)

// countSilent finds out for how many requests of each closed bucket nothing was written, where usually something is: each
// request has as many spans with records as usual, or one. Requests may be counted a little later than their records.
func (s *service) countSilent(tl *excess.Timeline) {
	spans := max(1, float32((s.begins+priorRequests)/(s.silent.Past().Exposure+priorRequests)))
	var spare [countedLater]float32
	oldest := tl.Next() - excess.Lookback
	for i := oldest; i < tl.Next(); i++ {
		slot := excess.SlotOf(i)
		begun := s.begun[slot] / spans
		if i < oldest+countedLater {
			// What came before these is not known any more.
			spare[i-oldest] = begun
			continue
		}
		silent := s.requests[slot]
		for j := range spare {
			used := min(silent, spare[j])
			silent -= used
			spare[j] -= used
		}
		used := min(silent, begun)
		s.silent.Events[slot] = silent - used
		copy(spare[:], spare[1:])
		spare[countedLater-1] = begun - used
	}
}

// judgeSilence looks for requests for which nothing is written any more, and returns the template that is missed most among
// those with which the service begins to write; -1 when there is none. What kinds of requests come makes no difference, as
// long as something is written for each.
func (s *service) judgeSilence(m *Model) (v excess.Verdict, missing int) {
	s.countSilent(&m.timeline)
	s.silent.Load(&m.window, &m.timeline, &s.requests)
	v = s.silent.Above(&m.window, excess.Options{MinEvents: 6, MinRatio: 2, Share: true})
	if v.Surprise == 0 || v.Now.Share() < v.Past.Share()+moreSilent {
		v = excess.Verdict{}
	}
	missing, most := -1, 0.0
	for id, t := range s.templates {
		before, beforeRequests := t.begins, s.silent.Past().Exposure
		now := 0.0
		for i := range int64(excess.Lookback) {
			slot := excess.SlotOf(m.timeline.Next() - 1 - i)
			switch {
			case i < int64(v.Window):
				now += float64(t.starts[slot])
			case i > int64(v.Window) && s.silent.Usable(slot):
				before += float64(t.starts[slot])
				beforeRequests += float64(s.requests[slot])
			}
		}
		if fall := before/max(1, beforeRequests) - now/max(1, v.Now.Exposure); fall > most {
			missing, most = id, fall
		}
	}
	return v, missing
}
