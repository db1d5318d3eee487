package incidentconnector

import (
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func sumOf(m metricdata.Metrics, attribute string) (total int64) {
	var points []metricdata.DataPoint[int64]
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		points = data.DataPoints
	case metricdata.Gauge[int64]:
		points = data.DataPoints
	}
	for _, p := range points {
		match := attribute == ""
		for _, kv := range p.Attributes.ToSlice() {
			match = match || kv.Value.AsString() == attribute
		}
		if match {
			total += p.Value
		}
	}
	return total
}
