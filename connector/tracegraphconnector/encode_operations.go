package tracegraphconnector

import (
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/servicegraph"
	"github.com/paramedic-otel/paramedic/semconv"
)

// operationMetrics appends the metrics of the operations of the edges.
func (e *encoder) operationMetrics(sm pmetric.ScopeMetrics, at int64, edges []servicegraph.Edge) {
	n := 0
	for i := range edges {
		n += len(edges[i].Operations)
	}
	if n == 0 {
		return
	}
	total := e.sum(sm.Metrics().AppendEmpty(), semconv.MetricGraphOperationRequestTotal,
		"Requests of an operation of an edge, by how they failed and the version of the callee.", n)
	m := sm.Metrics().AppendEmpty()
	m.SetName(semconv.MetricGraphOperationLastSeen)
	m.SetDescription("When the last request of an operation of an edge ended, since the epoch; the start time is when the first did.")
	m.SetUnit("s")
	seen := m.SetEmptyGauge().DataPoints()
	seen.EnsureCapacity(n)
	for i := range edges {
		edge := &edges[i]
		for j := range edge.Operations {
			op := &edge.Operations[j]
			for _, v := range op.Variants {
				attrs := e.number(total, v.Start, at, v.Count).Attributes()
				e.edgeAttributes(attrs, edge, 3)
				attrs.PutStr(semconv.AttrGraphOperation, op.Name)
				if v.Failure != "" {
					attrs.PutStr(semconv.AttrErrorType, v.Failure)
				}
				if v.Version != "" {
					attrs.PutStr(semconv.AttrGraphServerVersion, v.Version)
				}
			}
			dp := seen.AppendEmpty()
			dp.SetStartTimestamp(e.time(op.First))
			dp.SetTimestamp(e.time(at))
			dp.SetDoubleValue(float64(op.Last) / 1e9)
			e.edgeAttributes(dp.Attributes(), edge, 1)
			dp.Attributes().PutStr(semconv.AttrGraphOperation, op.Name)
		}
	}
	e.operationDurations(sm, semconv.MetricGraphOperationRequestServer,
		"Duration of the requests of an operation of an edge as the callee saw them.", at, edges,
		func(op *servicegraph.Operation) *servicegraph.Histogram { return op.Server })
	e.operationDurations(sm, semconv.MetricGraphOperationRequestClient,
		"Duration of the requests of an operation of an edge as the caller saw them.", at, edges,
		func(op *servicegraph.Operation) *servicegraph.Histogram { return op.Client })
}

func (e *encoder) operationDurations(
	sm pmetric.ScopeMetrics, name, description string, at int64, edges []servicegraph.Edge,
	of func(*servicegraph.Operation) *servicegraph.Histogram,
) {
	n := 0
	for i := range edges {
		for j := range edges[i].Operations {
			if of(&edges[i].Operations[j]).Count > 0 {
				n++
			}
		}
	}
	if n == 0 {
		return
	}
	out := e.histogram(sm.Metrics().AppendEmpty(), name, description, false, n)
	for i := range edges {
		for j := range edges[i].Operations {
			op := &edges[i].Operations[j]
			if h := of(op); h.Count > 0 {
				attrs, _ := out.add(e, op.Start, at, h)
				e.edgeAttributes(attrs, &edges[i], 1)
				attrs.PutStr(semconv.AttrGraphOperation, op.Name)
			}
		}
	}
}
