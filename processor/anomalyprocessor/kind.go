package anomalyprocessor

import (
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// kind is what decides how a metric's points are read. Metrics of different kinds never share state.
type kind uint8

const (
	kindNone kind = iota
	kindValue
	kindDeltaSum
	kindCumulativeSum
	kindDeltaHistogram
	kindCumulativeHistogram
	kindDeltaExponential
	kindCumulativeExponential
	kindSummary
	kindUnknownTemporality
	kindRatio
)

func kindOf(m pmetric.Metric) kind {
	byTemporality := func(t pmetric.AggregationTemporality, delta, cumulative kind) kind {
		switch t {
		case pmetric.AggregationTemporalityDelta:
			return delta
		case pmetric.AggregationTemporalityCumulative:
			return cumulative
		default:
			return kindUnknownTemporality
		}
	}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		return kindValue
	case pmetric.MetricTypeSum:
		if !m.Sum().IsMonotonic() {
			return kindValue
		}
		return byTemporality(m.Sum().AggregationTemporality(), kindDeltaSum, kindCumulativeSum)
	case pmetric.MetricTypeHistogram:
		return byTemporality(m.Histogram().AggregationTemporality(), kindDeltaHistogram, kindCumulativeHistogram)
	case pmetric.MetricTypeExponentialHistogram:
		return byTemporality(m.ExponentialHistogram().AggregationTemporality(), kindDeltaExponential, kindCumulativeExponential)
	case pmetric.MetricTypeSummary:
		return kindSummary
	default:
		return kindNone
	}
}

func (k kind) cumulative() bool {
	switch k {
	case kindCumulativeSum, kindCumulativeHistogram, kindCumulativeExponential, kindSummary:
		return true
	default:
		return false
	}
}

// signals returns the number of signals with which a stream of this kind begins, when so many quantiles of histograms are
// scored. A summary's quantiles come as they are met.
func (k kind) signals(quantiles int) int {
	switch k {
	case kindValue, kindDeltaSum, kindCumulativeSum, kindRatio:
		return 1
	case kindSummary:
		return 2
	default:
		return 2 + quantiles
	}
}
