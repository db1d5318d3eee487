package anomalyprocessor

import (
	"math"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
)

// batch scores one call's metrics. The processor's lock is held meanwhile.
type batch struct {
	p   *anomalyProcessor
	now int64
	// latest is the latest time that a point may have.
	latest int64
	// out adds to the resource at hand, other to that of the handle elsewhereOf.
	out, other  emitter
	elsewhereOf uint32
	// resource is the handle of the resource at hand, 0 as long as it has no stream.
	resource uint32

	// scope is the name of the scope at hand.
	scope string

	// of the metric at hand
	kind  kind
	key   seriesidentity.Key
	rules *rules
	// judged is what is at hand; its resource and metric are set before its points come.
	judged judged

	tally
}

// tally is what is counted of a batch.
type tally struct {
	seen, emitted, opened, evicted, inherited int64
	missing, unreported, unexplained          int64
	unjoined                                  int64
	results                                   [reasons]int64
	unflagged                                 [whys]int64
	alarms                                    [bys]int64
}

func (b *batch) score(md pmetric.Metrics) {
	all := md.ResourceMetrics()
	for i, n := 0, all.Len(); i < n; i++ {
		rm := all.At(i)
		b.judged.resource = rm.Resource().Attributes()
		b.judged.resourceKey = b.p.encoder.Resource(b.judged.resource)
		b.enter()
		b.out = emitter{resource: rm, version: b.p.version}
		// Scores are added behind; only what came in is scored.
		scopes := rm.ScopeMetrics()
		for i, n := 0, scopes.Len(); i < n; i++ {
			b.scope = scopes.At(i).Scope().Name()
			scope := b.p.encoder.Scope(b.judged.resourceKey, b.scope)
			for _, m := range scopes.At(i).Metrics().All() {
				b.metric(scope, m)
			}
		}
		b.judgeRatios()
	}
	b.leave()
	b.look(md)
	for _, w := range b.p.watchers {
		w.done(b, md)
	}
	b.emitted += b.p.table.close(md, b.p.version)
}

// enter goes to the resource whose key is at hand, which is held until leave.
func (b *batch) enter() {
	b.leave()
	if _, ok := b.p.table.resources.byKey[b.judged.resourceKey]; ok {
		b.resource = b.p.table.resources.enter(b.judged.resourceKey)
	}
}

func (b *batch) leave() {
	b.p.table.resources.leave(b.resource, &b.p.table.texts)
	b.resource = 0
}

// attach makes a stream known to the resource at hand.
func (b *batch) attach(s *stream) {
	s.resource = b.p.table.resources.enter(b.judged.resourceKey)
	if b.resource == 0 {
		b.resource = b.p.table.resources.enter(b.judged.resourceKey)
	}
}

func (b *batch) metric(scope seriesidentity.Key, m pmetric.Metric) {
	b.kind = kindOf(m)
	if b.kind == kindNone {
		return
	}
	if b.rules = b.p.selector.rules(m.Name(), m.Unit()); b.rules == nil {
		return
	}
	b.key = b.p.encoder.Metric(scope, m.Name(), m.Unit(), int(b.kind))
	b.judged.metric, b.judged.unit = m.Name(), m.Unit()

	switch m.Type() {
	case pmetric.MetricTypeGauge:
		b.numbers(m.Gauge().DataPoints())
	case pmetric.MetricTypeSum:
		b.numbers(m.Sum().DataPoints())
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			b.count(b.histogram(p))
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			b.count(b.exponential(p))
		}
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			b.count(b.summary(p))
		}
	}
}

func (b *batch) count(r reason) {
	b.seen++
	b.results[r]++
}

// place is where the stream of a point lies.
type place struct {
	key seriesidentity.Key
	// handle is the slot of the stream plus one, 0 for one that is new.
	handle uint32
}

func (b *batch) locate(attributes pcommon.Map) place {
	at := place{key: b.p.encoder.Series(b.key, attributes)}
	if slot, ok := b.p.table.lookup(at.key); ok {
		at.handle = slot + 1
	}
	return at
}

// ahead is how many points are located before they are judged: meanwhile the states of several streams come from memory
// at once, not one after the other.
const ahead = 16

func (b *batch) numbers(points pmetric.NumberDataPointSlice) {
	var places [ahead]place
	for from, n := 0, points.Len(); from < n; from += ahead {
		to := min(n, from+ahead)
		for i := from; i < to; i++ {
			places[i-from] = place{key: b.p.encoder.Series(b.key, points.At(i).Attributes())}
			b.p.table.expect(places[i-from].key)
		}
		for i := range places[:to-from] {
			b.p.table.guess(&places[i])
		}
		for i := from; i < to; i++ {
			b.count(b.number(points.At(i), places[i-from]))
		}
	}
}

// stream finds the stream of a point, or says why the point cannot be scored.
func (b *batch) stream(at place, attributes pcommon.Map, t int64, flags pmetric.DataPointFlags) (*stream, reason) {
	// The time is checked before a stream is made: nonsense takes no memory.
	switch {
	case b.kind == kindUnknownTemporality:
		return nil, refusedTemporality
	case flags.NoRecordedValue():
		return nil, refusedNoRecordedValue
	case t <= 0:
		return nil, refusedNoTimestamp
	case t > b.latest:
		return nil, refusedFuture
	}
	s := b.p.table.find(at)
	if s == nil {
		if s = b.p.table.add(at.key, b.kind, b.now); s == nil {
			return nil, refusedLimit
		}
	}
	switch {
	case t == s.last:
		return nil, refusedDuplicate
	case t < s.last:
		return nil, refusedOutOfOrder
	}
	// A refused point does not keep the stream: else one whose time lies ahead of all that comes would never end.
	s.arrived = b.now
	b.judged.stream, b.judged.attributes = s, attributes
	if s.resource == 0 {
		b.attach(s)
		b.inherit(s, attributes)
	}
	res := b.p.table.resources.all.at(s.resource - 1)
	res.last = max(res.last, t)
	if s.absence != present {
		b.found(s, t)
	}
	b.pace(s, t)
	return s, scored
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
