package servicegraph

import "slices"

const (
	// leapServices spans of two services or more, or leapSpans of one, without a span in between that fits the
	// watermark, are believed against it.
	leapServices = 20
	leapSpans    = 200
	// quietBatches is for how many batches no span of another service must have fitted the watermark for one service
	// to be believed ahead of it: its clock is more likely wrong than that of all others.
	quietBatches = 50
)

// run counts spans in a row.
type run struct {
	n       int
	service NodeID
	several bool
}

func (r *run) add(s NodeID) {
	if r.n > 0 && s != r.service {
		r.several = true
	}
	r.n++
	r.service = s
}

func (r *run) believed() bool { return r.n >= leapSpans || r.n >= leapServices && r.several }

// recent remembers the last service of which a span fitted the watermark, and the last one but that.
type recent [2]struct {
	service NodeID
	batch   int64
}

func (r *recent) add(s NodeID, batch int64) {
	if r[0].batch > 0 && r[0].service != s {
		r[1] = r[0]
	}
	r[0].service, r[0].batch = s, batch
}

// other returns the last batch in which a span of another service fitted the watermark, or 0.
func (r *recent) other(s NodeID) int64 {
	if r[0].service != s {
		return r[0].batch
	}
	return r[1].batch
}

// contradicted says whether any of the spans fits the watermark, against those that end far ahead of it.
func (g *Graph) contradicted(spans []Span) bool {
	now := g.watermark.Load()
	low, high := g.tooOld(now), now+int64(g.cfg.MaxClockSkew)
	return slices.ContainsFunc(spans, func(s Span) bool { return s.End >= low && s.End <= high })
}

// fits notes a span that fits the watermark.
func (g *Graph) fits(s *Span, arrived int64) {
	g.lastFit = arrived
	g.recent.add(s.Service, g.batches)
	g.behind = run{}
}

// fitAll does as fits for each span of a batch of its own. The caller holds front.
func (g *Graph) fitAll(spans []Span, arrived int64) {
	g.batches++
	last := len(spans) - 1
	for i := last - 1; i >= 0; i-- {
		if spans[i].Service != spans[last].Service {
			g.fits(&spans[i], arrived)
			break
		}
	}
	g.fits(&spans[last], arrived)
}

// believeAhead decides whether the first of the spans, which ends far ahead of the watermark, is right. It is when as
// much time has passed where the spans arrive, or when enough spans say so.
func (g *Graph) believeAhead(rest []Span, arrived int64) bool {
	now := g.watermark.Load()
	if rest[0].End-now <= arrived-g.lastFit+int64(g.cfg.MaxClockSkew) {
		return true
	}
	var together run
	for i := range rest {
		if rest[i].End-now <= int64(g.cfg.MaxClockSkew) {
			continue
		}
		together.add(rest[i].Service)
		if together.believed() && (together.several || g.alone(together.service)) {
			g.stats.Leaps++
			return true
		}
	}
	return false
}

// alone says whether no other service had a span that fits the watermark for a while. It counts batches, not time, so
// that a replay comes to the same result at any speed.
func (g *Graph) alone(s NodeID) bool {
	other := g.recent.other(s)
	return other == 0 || g.batches-other >= quietBatches
}

// believeBehind decides whether the spans, the first of which ends far behind the watermark, are right and it is wrong.
func (g *Graph) believeBehind(rest []Span) bool {
	together := g.behind
	low := g.tooOld(g.watermark.Load())
	for i := range rest {
		if rest[i].End >= low {
			return false
		}
		together.add(rest[i].Service)
		if together.believed() {
			return true
		}
	}
	return false
}

// tooOld is the time before which a span's end does not fit the given watermark.
func (g *Graph) tooOld(watermark int64) int64 {
	return watermark - int64(max(g.cfg.MaxClockSkew, g.cfg.PairTimeout))
}
