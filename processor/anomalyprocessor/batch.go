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
	out    emitter

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
	seen, emitted, opened, evicted int64
	results                        [reasons]int64
}

func (b *batch) score(md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		b.judged.resource = rm.Resource().Attributes()
		b.judged.resourceKey = b.p.encoder.Resource(b.judged.resource)
		b.out = emitter{resource: rm, version: b.p.version}
		// Scores are added behind; only what came in is scored.
		scopes := rm.ScopeMetrics()
		for i, n := 0, scopes.Len(); i < n; i++ {
			scope := b.p.encoder.Scope(b.judged.resourceKey, scopes.At(i).Scope().Name())
			for _, m := range scopes.At(i).Metrics().All() {
				b.metric(scope, m)
			}
		}
	}
	for _, w := range b.p.watchers {
		w.done(b, md)
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

func (b *batch) numbers(points pmetric.NumberDataPointSlice) {
	for _, p := range points.All() {
		b.count(b.number(p))
	}
}

// stream finds the stream of a point, or says why the point cannot be scored.
func (b *batch) stream(attributes pcommon.Map, t int64, flags pmetric.DataPointFlags) (*stream, reason) {
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
	key := b.p.encoder.Series(b.key, attributes)
	var s *stream
	if slot, ok := b.p.table.lookup(key); ok {
		s = b.p.table.streams.at(slot)
	} else if s = b.p.table.add(key, b.kind, b.now); s == nil {
		return nil, refusedLimit
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
	return s, scored
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
