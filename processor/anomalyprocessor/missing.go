package anomalyprocessor

import (
	"math"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// regularPoints is how many points a series must have had before it can be missing.
	regularPoints = 20
	// gapsToMiss is how many times its longest recent pause a series must have been silent.
	gapsToMiss = 4
	// gapDecay is what is left of the longest pause after each point.
	gapDecay = 0.98
	// pointsPerLook is the number of points of a batch for each stream that is looked at for being missing.
	pointsPerLook = 4
)

// unheard is told of a restored stream that has not come since.
const unheard = -1

// absence is whether a stream is missing.
type absence uint8

const (
	present absence = iota
	// missing is reported.
	missing
	// given is a stream that was missing for long enough, or cannot be reported.
	given
)

// pace learns how regularly a stream comes, and says when it is one that can be missed.
func (b *batch) pace(s *stream, t int64) {
	if s.last == 0 {
		return
	}
	if s.told == unheard {
		// The pause is ours.
		s.told = 0
		return
	}
	s.gap = max(float32(t-s.last), gapDecay*s.gap)
	// Again and again, should it have failed.
	if s.seen < math.MaxUint16 {
		s.seen++
	}
	if s.seen%1024 == regularPoints && b.p.cfg.Missing.After > 0 {
		b.p.table.describe(s, b.judged.metric, b.judged.resource, b.judged.attributes)
	}
}

// look looks at some streams in turn, so that all come up every few rounds, and reports those that are missing.
func (b *batch) look(md pmetric.Metrics) {
	t := &b.p.table
	if b.p.cfg.Missing.After == 0 {
		return
	}
	n := min(b.seen/pointsPerLook+1, int64(t.streams.size))
	for range n {
		if t.watched >= t.streams.size {
			t.watched = 0
		}
		if s := t.streams.at(t.watched); s.text != 0 {
			b.miss(s, md)
		}
		t.watched++
	}
}

func (b *batch) miss(s *stream, md pmetric.Metrics) {
	cfg, t := b.p.cfg, &b.p.table
	r := t.resources.all.at(s.resource - 1)
	silent := r.last - s.last
	if silent <= int64(cfg.Missing.After) || float32(silent) <= gapsToMiss*s.gap || s.absence == given || s.seen < regularPoints {
		return
	}
	// As often as it came in a row without such a pause, and once more (the rule of succession).
	score := 1 - 1/(float64(s.seen)+2)
	// A process that began anew need not have all series again.
	over := s.last < r.restarted || silent > int64(cfg.LevelShiftAfter)
	switch {
	case s.absence == missing && over:
		t.missing--
		s.absence = given
		score = 0
	case s.absence == missing:
		if r.last == s.told {
			return
		}
	case over || score < cfg.MinScore || r.text == 0:
		return
	case t.missing >= cfg.Missing.MaxSeries:
		b.unreported++
		s.absence = given
		return
	default:
		t.missing++
		b.missing++
		s.absence = missing
	}
	s.told = r.last
	metric, attributes := t.words.decode(t.texts.get(s.text))
	about := subject{metric: metric, signal: semconv.SignalMissing, detector: detectorAbsence, attributes: attributes, at: r.last}
	b.elsewhere(md, s.resource).score(outScore, &about, score, s.last)
	b.emitted++
}

// found ends the absence of a stream whose point is at hand.
func (b *batch) found(s *stream, t int64) {
	if s.absence == missing {
		b.p.table.missing--
		about := subject{
			metric: b.judged.metric, signal: semconv.SignalMissing, detector: detectorAbsence, attributes: b.judged.attributes, at: t,
		}
		b.out.score(outScore, &about, 0, s.last)
		b.emitted++
	}
	s.absence = present
}

// elsewhere returns what adds scores for a resource that is not at hand, behind all others.
func (b *batch) elsewhere(md pmetric.Metrics, handle uint32) *emitter {
	if b.elsewhereOf != handle {
		b.elsewhereOf = handle
		rm := md.ResourceMetrics().AppendEmpty()
		readResource(b.p.table.texts.get(b.p.table.resources.all.at(handle-1).text), rm.Resource().Attributes())
		b.other = emitter{resource: rm, version: b.p.version}
	}
	return &b.other
}

// vanished is a stream that was forgotten while something of it was abnormal.
type vanished struct {
	resource, series []byte
	signals          []vanishedSignal
	at               int64
}

type vanishedSignal struct {
	name, detector string
	onset          int64
	// shadow says that its scores are those of a detector in shadow.
	shadow bool
}

// maxVanished bounds what is remembered of forgotten streams until it is sent: until then no more are evicted. Those that
// have expired are sent after every few.
const maxVanished = 10_000

// vanish notes what has to be closed when a stream is forgotten.
func (t *table) vanish(s *stream, now int64) {
	if s.absence == missing {
		t.missing--
	}
	if s.text == 0 {
		return
	}
	r := t.resources.all.at(s.resource - 1)
	if r.text == 0 {
		return
	}
	var signals []vanishedSignal
	if s.absence == missing {
		signals = append(signals, vanishedSignal{name: semconv.SignalMissing, detector: detectorAbsence, onset: s.last})
	}
	for sig := &s.first; sig != nil; sig = t.next(sig) {
		if sig.series.Abnormal() {
			signals = append(signals, vanishedSignal{name: sig.name(), detector: detectorBaseline, onset: sig.turned})
		}
	}
	if len(signals) > 0 {
		// As long after the last point, in event time, as it is on our clock.
		at := s.last + max(0, now-s.arrived)
		t.vanished = append(t.vanished, vanished{t.texts.get(r.text), t.texts.get(s.text), signals, at})
	}
}

// close adds a closing score for everything that vanished, and returns their number.
func (t *table) close(md pmetric.Metrics, version string) int64 {
	n := int64(0)
	for i := range t.vanished {
		v := &t.vanished[i]
		rm := md.ResourceMetrics().AppendEmpty()
		readResource(v.resource, rm.Resource().Attributes())
		out := emitter{resource: rm, version: version}
		metric, attributes := t.words.decode(v.series)
		for _, s := range v.signals {
			what := outScore
			if s.shadow {
				what = outShadow
			}
			out.score(what, &subject{metric: metric, signal: s.name, detector: s.detector, attributes: attributes, at: v.at}, 0, s.onset)
			n++
		}
	}
	t.vanished = nil
	return n
}
