package remediationexporter

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// sumOf adds up the points of an instrument of ours whose attribute values include the given ones.
func sumOf(t testing.TB, tel *componenttest.Telemetry, name string, values ...string) int64 {
	t.Helper()
	m, err := tel.GetMetric("otelcol_exporter_remediation_" + name)
	if err != nil {
		require.True(t, strings.Contains(err.Error(), "not found"), err)
		return 0
	}
	var points []metricdata.DataPoint[int64]
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		points = data.DataPoints
	case metricdata.Gauge[int64]:
		points = data.DataPoints
	case metricdata.Histogram[float64]:
		n := int64(0)
		for _, p := range data.DataPoints {
			n += int64(p.Count)
		}
		return n
	}
	n := int64(0)
	for _, p := range points {
		if !slices.ContainsFunc(values, func(v string) bool { return !has(p.Attributes, v) }) {
			n += p.Value
		}
	}
	return n
}

func has(set attribute.Set, value string) bool {
	return slices.ContainsFunc(set.ToSlice(), func(kv attribute.KeyValue) bool { return kv.Value.AsString() == value })
}
