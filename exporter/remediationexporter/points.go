package remediationexporter

import (
	"math"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/verification"
)

// statement is what a point says of the time from from to at, in the time of the data.
type statement struct {
	from, at time.Time
	reading  verification.Reading
	ok       bool
}

// read takes a point of the series. reason says why it says nothing, or why what it says is no value; it is pointTaken for
// the first point of a counter too, which only begins.
func (s *series) read(m pmetric.Metric, point any, now time.Time) (r statement, reason pointReason) {
	switch p := point.(type) {
	case pmetric.NumberDataPoint:
		return s.readNumber(m, p, now)
	case pmetric.HistogramDataPoint:
		d := verification.Distribution{
			Count: p.Count(), Sum: p.Sum(), HasSum: p.HasSum(), Bounds: p.ExplicitBounds().AsRaw(), Counts: p.BucketCounts().AsRaw(),
		}
		return s.readHistogram(m.Histogram().AggregationTemporality(), p.StartTimestamp().AsTime(), p.Timestamp().AsTime(), d, now)
	case pmetric.ExponentialHistogramDataPoint:
		d := verification.Distribution{
			Count: p.Count(), Sum: p.Sum(), HasSum: p.HasSum(), Exponential: true, Scale: p.Scale(), Zero: p.ZeroCount(),
			Positive: verification.Side{Offset: p.Positive().Offset(), Counts: p.Positive().BucketCounts().AsRaw()},
			Negative: verification.Side{Offset: p.Negative().Offset(), Counts: p.Negative().BucketCounts().AsRaw()},
		}
		return s.readHistogram(m.ExponentialHistogram().AggregationTemporality(), p.StartTimestamp().AsTime(), p.Timestamp().AsTime(), d, now)
	default:
		return statement{}, pointKind
	}
}

func (s *series) readNumber(m pmetric.Metric, p pmetric.NumberDataPoint, now time.Time) (r statement, reason pointReason) {
	value := p.DoubleValue()
	if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
		value = float64(p.IntValue())
	}
	start, at := p.StartTimestamp().AsTime(), p.Timestamp().AsTime()
	sum := m.Type() == pmetric.MetricTypeSum
	switch {
	case s.signal.cfg.Stat == StatValue && (!sum || !m.Sum().IsMonotonic() && m.Sum().AggregationTemporality() == pmetric.AggregationTemporalityCumulative):
		if math.IsNaN(value) || math.IsInf(value, 0) {
			reason = pointValue
		}
		return statement{at, at, s.signal.bounds.Read(value), true}, reason
	case s.signal.cfg.Stat != StatRate || !sum || !m.Sum().IsMonotonic():
		return statement{}, pointKind
	}
	if reason = s.counts(at, now); reason != pointTaken {
		return statement{}, reason
	}
	if !(value >= 0) || math.IsInf(value, 1) {
		s.counter.Forget()
		return statement{at, at, verification.Lost, true}, pointValue
	}
	var rate verification.Rate
	var ok bool
	switch m.Sum().AggregationTemporality() {
	case pmetric.AggregationTemporalityDelta:
		rate, ok = s.counter.Delta(start, at, value)
	case pmetric.AggregationTemporalityCumulative:
		rate, ok = s.counter.Cumulative(start, at, value)
	default:
		return statement{}, pointKind
	}
	return statement{rate.From, rate.At, s.signal.bounds.Read(rate.Value), ok}, pointTaken
}

// counts says that a point which must follow the last one does not. When none has for long, it is the last one whose time
// was wrong, and the series begins anew.
func (s *series) counts(at, now time.Time) (reason pointReason) {
	if !at.After(s.latest) {
		if now.Sub(s.progressed) <= s.signal.staleAfter {
			return pointLate
		}
		s.counter.Forget()
		s.histogram.Forget()
		s.at = time.Time{}
	}
	s.latest, s.progressed = at, now
	return pointTaken
}

func (s *series) readHistogram(t pmetric.AggregationTemporality, start, at time.Time, d verification.Distribution, now time.Time) (r statement, reason pointReason) {
	if s.signal.cfg.Stat != StatMean && s.signal.cfg.Stat != StatQuantile {
		return statement{}, pointKind
	}
	if reason = s.counts(at, now); reason != pointTaken {
		return statement{}, reason
	}
	if !d.Valid() {
		s.histogram.Forget()
		return statement{at, at, verification.Lost, true}, pointValue
	}
	var stretch verification.Stretch
	var ok bool
	switch t {
	case pmetric.AggregationTemporalityDelta:
		stretch, ok = s.histogram.Delta(start, at, d)
	case pmetric.AggregationTemporalityCumulative:
		stretch, ok = s.histogram.Cumulative(start, at, d)
	default:
		return statement{}, pointKind
	}
	if !ok {
		return statement{}, pointTaken
	}
	r = statement{stretch.From, stretch.At, verification.Lost, true}
	if s.signal.cfg.Stat == StatMean {
		if mean, ok := stretch.Mean(); ok {
			r.reading = s.signal.bounds.Read(mean)
		}
		return r, pointTaken
	}
	if low, high, ok := stretch.Quantile(s.signal.cfg.Quantile); ok {
		r.reading = s.signal.bounds.ReadRange(low, high)
	}
	return r, pointTaken
}
