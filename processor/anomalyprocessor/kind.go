package anomalyprocessor

import (
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// kind is what decides how a metric's points are read. Metrics of different kinds never share state.
type kind int

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

// Positions of the signals of everything that counts.
const (
	atRate = iota
	atMean
	atP50
	atP99
)

// signals returns what is scored of a stream of this kind. A summary's quantiles come as they are met.
func (k kind) signals(r *rules) []signal {
	switch k {
	case kindValue:
		return []signal{{name: semconv.SignalValue, quantile: -1, limits: &r.value}}
	case kindDeltaSum, kindCumulativeSum:
		return []signal{{name: semconv.SignalRate, quantile: -1, limits: &r.rate}}
	case kindSummary:
		return []signal{
			{name: semconv.SignalRate, quantile: -1, limits: &r.rate},
			{name: semconv.SignalMean, quantile: -1, limits: &r.mean},
		}
	default:
		return []signal{
			atRate: {name: semconv.SignalRate, quantile: -1, limits: &r.rate},
			atMean: {name: semconv.SignalMean, quantile: -1, limits: &r.mean},
			atP50:  {name: semconv.SignalP50, quantile: 0.5, limits: &r.quantile},
			atP99:  {name: semconv.SignalP99, quantile: 0.99, limits: &r.quantile},
		}
	}
}
