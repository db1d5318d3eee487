package tracegraphconnector

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/connector/tracegraphconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/internal/servicegraph"
	"github.com/paramedic-otel/paramedic/semconv"
)

// encoder writes edges as metrics.
type encoder struct {
	// instance tells the series of one collector from those of another; it may be empty.
	instance    string
	bounds      []float64
	temporality pmetric.AggregationTemporality
}

func newEncoder(cfg *Config, own pcommon.Resource, bounds []float64) encoder {
	e := encoder{instance: instanceOf(own), bounds: bounds, temporality: pmetric.AggregationTemporalityCumulative}
	if cfg.Temporality == TemporalityDelta {
		e.temporality = pmetric.AggregationTemporalityDelta
	}
	return e
}

// instanceOf returns the service.instance.id among the attributes of the collector's own telemetry, or nothing.
func instanceOf(own pcommon.Resource) string {
	if own == (pcommon.Resource{}) {
		return "" // nobody set it, and it must not be read
	}
	id, ok := own.Attributes().Get(semconv.AttrServiceInstanceID)
	if !ok {
		return ""
	}
	return id.AsString()
}

func (e *encoder) encode(at int64, edges []servicegraph.Edge) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	if e.instance != "" {
		rm.Resource().Attributes().PutStr(semconv.AttrServiceInstanceID, e.instance)
	}
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName(metadata.ScopeName)
	ts := pcommon.Timestamp(at)

	requests := e.sum(sm.Metrics().AppendEmpty(), semconv.MetricGraphRequestTotal, "Requests of an edge.", len(edges))
	failed := e.sum(sm.Metrics().AppendEmpty(), semconv.MetricGraphRequestFailedTotal, "Failed requests of an edge.", len(edges))
	for i := range edges {
		edge := &edges[i]
		attrs := point(requests, edge, ts, edge.Totals.Requests)
		writeAttributes(attrs, edge)
		// Every edge has failures, if none: a ratio needs both series.
		attrs.CopyTo(point(failed, edge, ts, edge.Totals.Failed))
	}
	e.histograms(sm, semconv.MetricGraphRequestServer, "Duration of the requests of an edge as the callee saw them.",
		edges, ts, func(t *servicegraph.Totals) *servicegraph.Histogram { return &t.Server })
	e.histograms(sm, semconv.MetricGraphRequestClient, "Duration of the requests of an edge as the caller saw them.",
		edges, ts, func(t *servicegraph.Totals) *servicegraph.Histogram { return &t.Client })
	return md
}

func (e *encoder) sum(m pmetric.Metric, name, description string, n int) pmetric.NumberDataPointSlice {
	m.SetName(name)
	m.SetDescription(description)
	m.SetUnit("1")
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(e.temporality)
	sum.DataPoints().EnsureCapacity(n)
	return sum.DataPoints()
}

func point(dps pmetric.NumberDataPointSlice, edge *servicegraph.Edge, ts pcommon.Timestamp, v int64) pcommon.Map {
	dp := dps.AppendEmpty()
	dp.SetStartTimestamp(pcommon.Timestamp(edge.Start))
	dp.SetTimestamp(ts)
	dp.SetIntValue(v)
	return dp.Attributes()
}

// histograms appends a metric with a point for each edge that has durations, if any has.
func (e *encoder) histograms(
	sm pmetric.ScopeMetrics, name, description string, edges []servicegraph.Edge, ts pcommon.Timestamp,
	of func(*servicegraph.Totals) *servicegraph.Histogram,
) {
	n := 0
	for i := range edges {
		if of(edges[i].Totals).Count > 0 {
			n++
		}
	}
	if n == 0 {
		return
	}
	m := sm.Metrics().AppendEmpty()
	m.SetName(name)
	m.SetDescription(description)
	m.SetUnit("s")
	if len(e.bounds) > 0 {
		h := m.SetEmptyHistogram()
		h.SetAggregationTemporality(e.temporality)
		h.DataPoints().EnsureCapacity(n)
		for i := range edges {
			if h0 := of(edges[i].Totals); h0.Count > 0 {
				e.explicit(h.DataPoints().AppendEmpty(), &edges[i], h0, ts)
			}
		}
		return
	}
	h := m.SetEmptyExponentialHistogram()
	h.SetAggregationTemporality(e.temporality)
	h.DataPoints().EnsureCapacity(n)
	for i := range edges {
		if h0 := of(edges[i].Totals); h0.Count > 0 {
			exponential(h.DataPoints().AppendEmpty(), &edges[i], h0, ts)
		}
	}
}

func (e *encoder) explicit(
	dp pmetric.HistogramDataPoint, edge *servicegraph.Edge, h *servicegraph.Histogram, ts pcommon.Timestamp,
) {
	dp.SetStartTimestamp(pcommon.Timestamp(edge.Start))
	dp.SetTimestamp(ts)
	dp.SetCount(h.Count)
	dp.SetSum(h.Sum)
	dp.ExplicitBounds().FromRaw(e.bounds)
	dp.BucketCounts().FromRaw(h.Buckets)
	writeAttributes(dp.Attributes(), edge)
}

func exponential(
	dp pmetric.ExponentialHistogramDataPoint, edge *servicegraph.Edge, h *servicegraph.Histogram, ts pcommon.Timestamp,
) {
	dp.SetStartTimestamp(pcommon.Timestamp(edge.Start))
	dp.SetTimestamp(ts)
	dp.SetCount(h.Count)
	dp.SetSum(h.Sum)
	dp.SetScale(h.Scale)
	dp.SetZeroCount(h.Zero)
	dp.Positive().SetOffset(h.Offset)
	dp.Positive().BucketCounts().FromRaw(h.Buckets[:h.Len])
	writeAttributes(dp.Attributes(), edge)
}

var connections = map[servicegraph.Connection]string{
	servicegraph.ConnectionDirect:    semconv.ConnectionDirect,
	servicegraph.ConnectionDatabase:  semconv.ConnectionDatabase,
	servicegraph.ConnectionMessaging: semconv.ConnectionMessaging,
	servicegraph.ConnectionVirtual:   semconv.ConnectionVirtual,
}

func writeAttributes(attrs pcommon.Map, edge *servicegraph.Edge) {
	attrs.EnsureCapacity(6)
	attrs.PutStr(semconv.AttrGraphClient, edge.Client.Name)
	attrs.PutStr(semconv.AttrGraphServer, edge.Server.Name)
	attrs.PutStr(semconv.AttrGraphConnectionType, connections[edge.Connection])
	if edge.Client.Namespace != "" {
		attrs.PutStr(semconv.AttrGraphClientNamespace, edge.Client.Namespace)
	}
	if edge.Server.Namespace != "" {
		attrs.PutStr(semconv.AttrGraphServerNamespace, edge.Server.Namespace)
	}
	switch edge.Virtual {
	case servicegraph.SideClient:
		attrs.PutStr(semconv.AttrGraphVirtualNode, semconv.AttrGraphClient)
	case servicegraph.SideServer:
		attrs.PutStr(semconv.AttrGraphVirtualNode, semconv.AttrGraphServer)
	case servicegraph.SideNone:
	}
}
