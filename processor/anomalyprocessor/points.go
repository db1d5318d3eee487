package anomalyprocessor

import (
	"math"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// shortest is the shortest interval, in nanoseconds, over which a rate means anything.
const shortest = 1_000_000

// beyondQuantile is how many observations of an interval must lie beyond a quantile. With fewer, the quantile is a matter of
// chance: in the fault-free shop, one in place of five makes four times as many false alarms.
const beyondQuantile = 5

// advance moves the stream of a point on, and notes when the process that counts began anew.
func (b *batch) advance(s *stream, t, start int64, fell bool) (seconds float64, whole bool, r reason) {
	cumulative := b.kind.cumulative()
	// One that begins after its own end says nothing of anybody.
	if cumulative && s.last != 0 && start > s.last && start <= t {
		res := b.p.table.resources.all.at(s.resource - 1)
		res.restarted = max(res.restarted, start)
	}
	return s.advance(t, start, cumulative, fell)
}

// advance moves the stream to a point and returns the seconds that its difference covers. fell says that a cumulative
// value is smaller than the last one; whole, that the point's value itself is the difference, because the counter
// began anew after the last point or because it is a delta.
func (s *stream) advance(t, start int64, cumulative, fell bool) (seconds float64, whole bool, r reason) {
	last, before := s.last, s.start
	s.last, s.start = t, start
	if !cumulative {
		if start > 0 && t-start >= shortest {
			return float64(t-start) / 1e9, true, scored
		}
		if last == 0 || t-last < shortest {
			return 0, true, refusedStart
		}
		return float64(t-last) / 1e9, true, scored
	}
	switch {
	case last == 0:
		return 0, false, refusedStart
	case start != before && start >= last && before != 0:
		// Restarted since. What was counted between the last point and the end is lost: the rate is that since the
		// restart, if this is long enough to speak for the interval.
		if since := t - start; since >= shortest && 2*since >= t-last {
			return float64(since) / 1e9, true, scored
		}
		return 0, false, refusedReset
	case fell:
		return 0, false, refusedReset
	case t-last < shortest:
		return 0, false, refusedDuplicate
	default:
		return float64(t-last) / 1e9, false, scored
	}
}

func (b *batch) number(p pmetric.NumberDataPoint, at place) reason {
	t := int64(p.Timestamp()) //nolint:gosec // beyond the range of int64 it is negative, and refused
	s, r := b.stream(at, p.Attributes(), t, p.Flags())
	if r != scored {
		return r
	}
	var value float64
	integer := false
	switch p.ValueType() {
	case pmetric.NumberDataPointValueTypeInt:
		value, integer = float64(p.IntValue()), true
	case pmetric.NumberDataPointValueTypeDouble:
		value = p.DoubleValue()
	default:
		return refusedNoRecordedValue
	}
	if !finite(value) {
		return refusedNotANumber
	}
	if b.kind == kindValue {
		if value < b.rules.least || value > b.rules.most {
			return refusedInvalid
		}
		s.last = t
		b.observe(&s.first, t, value, 0)
		b.contribute(t, value, false)
		return scored
	}

	difference := value - s.sum
	if integer && s.integer != 0 {
		// Exact beyond 2^53 too.
		difference = float64(p.IntValue() - s.integer)
	}
	seconds, whole, r := b.advance(s, t, int64(p.StartTimestamp()), difference < 0) //nolint:gosec // as above
	s.sum, s.integer = value, 0
	if integer {
		s.integer = p.IntValue()
	}
	if r != scored {
		return r
	}
	if whole {
		difference = value
	}
	if difference < 0 {
		return refusedReset
	}
	quantum := 0.0
	whole = difference == math.Trunc(difference)
	if whole {
		quantum = 1 / seconds
	}
	b.observe(&s.first, t, difference/seconds, quantum)
	b.contribute(t, difference, whole)
	return scored
}

func (b *batch) histogram(p pmetric.HistogramDataPoint) reason {
	t := int64(p.Timestamp()) //nolint:gosec // beyond the range of int64 it is negative, and refused
	if p.BucketCounts().Len() > b.p.cfg.MaxBuckets || p.ExplicitBounds().Len() > b.p.cfg.MaxBuckets {
		return refusedBuckets
	}
	s, r := b.stream(b.locate(p.Attributes()), p.Attributes(), t, p.Flags())
	if r != scored {
		return r
	}
	c := &b.p.current
	c.count, c.sum, c.hasSum = p.Count(), p.Sum(), p.HasSum()
	c.buckets.loadExplicit(p)
	return b.distribution(s, t, int64(p.StartTimestamp())) //nolint:gosec // as above
}

func (b *batch) exponential(p pmetric.ExponentialHistogramDataPoint) reason {
	t := int64(p.Timestamp()) //nolint:gosec // beyond the range of int64 it is negative, and refused
	if p.Positive().BucketCounts().Len()+p.Negative().BucketCounts().Len() > b.p.cfg.MaxBuckets {
		return refusedBuckets
	}
	s, r := b.stream(b.locate(p.Attributes()), p.Attributes(), t, p.Flags())
	if r != scored {
		return r
	}
	c := &b.p.current
	c.count, c.sum, c.hasSum = p.Count(), p.Sum(), p.HasSum()
	c.buckets.loadExponential(p)
	return b.distribution(s, t, int64(p.StartTimestamp())) //nolint:gosec // as above
}

// distribution scores the counts of a histogram point, which lie in b.p.current.
func (b *batch) distribution(s *stream, t, start int64) reason {
	c := &b.p.current
	if c.hasSum && !finite(c.sum) {
		return refusedNotANumber
	}
	cumulative := b.kind.cumulative()
	var previous *counts
	if cumulative {
		previous = b.p.table.totals.at(s.totals - 1)
	}
	fell := cumulative && c.count < previous.count
	// A restart shows in the start time even when the counts have grown past the old ones.
	seconds, whole, r := b.advance(s, t, start, fell)
	difference := &b.p.difference
	difference.copyFrom(c)
	if cumulative {
		if r == scored && !whole && !difference.subtract(previous) {
			r = refusedReset
		}
		previous.copyFrom(c)
	}
	if r != scored {
		return r
	}
	b.observe(&s.first, t, float64(difference.count)/seconds, 1/seconds)
	b.contribute(t, float64(difference.count), true)
	if difference.count == 0 {
		return scored
	}
	sig := b.p.table.next(&s.first)
	if difference.hasSum {
		b.observe(sig, t, difference.sum/float64(difference.count), 0)
	}
	for sig = b.p.table.next(sig); sig != nil; sig = b.p.table.next(sig) {
		if float64(difference.count)*(1-sig.quantile) < beyondQuantile-1e-9 {
			continue
		}
		if v, ok := difference.buckets.quantile(sig.quantile); ok {
			b.observe(sig, t, v, 0)
		}
	}
	return scored
}

func (b *batch) summary(p pmetric.SummaryDataPoint) reason {
	t := int64(p.Timestamp()) //nolint:gosec // beyond the range of int64 it is negative, and refused
	if p.QuantileValues().Len() > b.p.cfg.MaxBuckets {
		return refusedBuckets
	}
	s, r := b.stream(b.locate(p.Attributes()), p.Attributes(), t, p.Flags())
	if r != scored {
		return r
	}
	if !finite(p.Sum()) {
		return refusedNotANumber
	}
	count, sum := s.count, s.sum
	seconds, whole, r := b.advance(s, t, int64(p.StartTimestamp()), p.Count() < count) //nolint:gosec // as above
	s.count, s.sum = p.Count(), p.Sum()
	if r == scored {
		if whole {
			count, sum = 0, 0
		}
		count, sum = p.Count()-count, p.Sum()-sum
		b.observe(&s.first, t, float64(count)/seconds, 1/seconds)
		b.contribute(t, float64(count), true)
		if count > 0 {
			b.observe(b.p.table.next(&s.first), t, sum/float64(count), 0)
		}
	}
	// Quantiles are not differences: they can be read from the first point on.
	for _, q := range p.QuantileValues().All() {
		if !(q.Quantile() >= 0 && q.Quantile() <= 1) || !finite(q.Value()) {
			continue
		}
		sig := b.p.table.quantile(s, q.Quantile(), b.p.cfg.MaxBuckets)
		if sig == nil {
			r = refusedLimit
			continue
		}
		b.observe(sig, t, q.Value(), 0)
	}
	return r
}
