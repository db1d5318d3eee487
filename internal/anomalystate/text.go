package anomalystate

import (
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Kind is the kind of metric that a stream is of, as Stream.Kind numbers it. The numbers are part of the format.
type Kind uint8

var kindNames = []string{
	"none", "value", "delta_sum", "cumulative_sum", "delta_histogram", "cumulative_histogram", "delta_exponential_histogram",
	"cumulative_exponential_histogram", "summary", "unknown", "ratio",
}

// String returns the name of the kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Describe reads Text: the name of the metric and its attributes; empty when there is none.
func (s *Stream) Describe() (metric string, attributes map[string]any) {
	md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(s.Text)
	if err != nil || md.DataPointCount() != 1 {
		return "", nil
	}
	m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
	if m.Type() != pmetric.MetricTypeGauge {
		return m.Name(), nil
	}
	return m.Name(), m.Gauge().DataPoints().At(0).Attributes().AsRaw()
}

// Describe reads Text: the attributes of the resource; nil when there is none.
func (r *Resource) Describe() map[string]any {
	if r == nil {
		return nil
	}
	md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(r.Text)
	if err != nil || md.ResourceMetrics().Len() != 1 {
		return nil
	}
	return md.ResourceMetrics().At(0).Resource().Attributes().AsRaw()
}
