package otlpjsonl

import (
	"iter"
	"math"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Shift moves every timestamp in the batch by d: starts, ends, events, points, exemplars, observed
// times. A timestamp of 0 says "unknown" and stays; none leaves the range of the type.
func (b *Batch) Shift(d time.Duration) {
	if d == 0 {
		return
	}
	b.Time, b.First = shifted(b.Time, d), shifted(b.First, d)
	switch b.Signal {
	case Traces:
		for _, rs := range b.Traces.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, s := range ss.Spans().All() {
					s.SetStartTimestamp(shifted(s.StartTimestamp(), d))
					s.SetEndTimestamp(shifted(s.EndTimestamp(), d))
					for _, ev := range s.Events().All() {
						ev.SetTimestamp(shifted(ev.Timestamp(), d))
					}
				}
			}
		}
	case Metrics:
		for _, rm := range b.Metrics.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					shiftMetric(m, d)
				}
			}
		}
	case Logs:
		for _, rl := range b.Logs.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, r := range sl.LogRecords().All() {
					r.SetTimestamp(shifted(r.Timestamp(), d))
					r.SetObservedTimestamp(shifted(r.ObservedTimestamp(), d))
				}
			}
		}
	}
}

func shiftMetric(m pmetric.Metric, d time.Duration) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		shiftPoints(m.Gauge().DataPoints().All(), d, pmetric.NumberDataPoint.Exemplars)
	case pmetric.MetricTypeSum:
		shiftPoints(m.Sum().DataPoints().All(), d, pmetric.NumberDataPoint.Exemplars)
	case pmetric.MetricTypeHistogram:
		shiftPoints(m.Histogram().DataPoints().All(), d, pmetric.HistogramDataPoint.Exemplars)
	case pmetric.MetricTypeExponentialHistogram:
		shiftPoints(m.ExponentialHistogram().DataPoints().All(), d, pmetric.ExponentialHistogramDataPoint.Exemplars)
	case pmetric.MetricTypeSummary:
		shiftPoints(m.Summary().DataPoints().All(), d, nil)
	}
}

func shiftPoints[P point](points iter.Seq2[int, P], d time.Duration, exemplars func(P) pmetric.ExemplarSlice) {
	for _, p := range points {
		p.SetStartTimestamp(shifted(p.StartTimestamp(), d))
		p.SetTimestamp(shifted(p.Timestamp(), d))
		if exemplars == nil {
			continue
		}
		for _, ex := range exemplars(p).All() {
			ex.SetTimestamp(shifted(ex.Timestamp(), d))
		}
	}
}

func shifted(t pcommon.Timestamp, d time.Duration) pcommon.Timestamp {
	switch {
	case t == 0:
		return 0
	case d >= 0:
		if up := pcommon.Timestamp(d); t <= math.MaxUint64-up {
			return t + up
		}
		return math.MaxUint64
	default:
		// The negation of the smallest int64 wraps to itself, which as unsigned is its magnitude.
		if down := pcommon.Timestamp(-d); t > down {
			return t - down
		}
		return 1
	}
}
