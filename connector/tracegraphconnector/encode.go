package tracegraphconnector

import (
	"encoding/binary"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/servicegraph"
	"github.com/paramedic-otel/paramedic/semconv"
)

// scopeName is that of contrib's servicegraph connector: exporters make a label of it.
const scopeName = "traces_service_graph"

// encoder writes edges as metrics.
type encoder struct {
	// instance tells the series of one collector, and of one component in it, from those of another; it may be empty.
	instance    string
	bounds      []float64
	temporality pmetric.AggregationTemporality
	// offset is subtracted from all times of points.
	offset int64
	// splitFailed gives failed calls series of their own, operations sends those of operations.
	splitFailed, operations bool
	// virtualLabel puts the label of virtual nodes on all edges or on none; nil on those that have one.
	virtualLabel *bool
	// clientDimensions and serverDimensions are the names of the dimensions on either side.
	clientDimensions, serverDimensions []string
}

func newEncoder(cfg *Config, name string, own pcommon.Resource, bounds []float64) encoder {
	e := encoder{
		instance: instanceOf(own, name), bounds: bounds, temporality: pmetric.AggregationTemporalityCumulative,
		offset: int64(cfg.MetricsTimestampOffset), splitFailed: cfg.FailedAttribute, operations: cfg.Operations.Enabled,
		virtualLabel: cfg.VirtualNodeExtraLabel,
	}
	if cfg.Temporality == TemporalityDelta {
		e.temporality = pmetric.AggregationTemporalityDelta
	}
	for _, name := range cfg.Dimensions {
		e.clientDimensions = append(e.clientDimensions, semconv.AttrGraphClient+"_"+name)
		e.serverDimensions = append(e.serverDimensions, semconv.AttrGraphServer+"_"+name)
	}
	return e
}

// instanceOf returns the service.instance.id among the attributes of the collector's own telemetry, and the name of the component,
// if it has one: one collector may have several. It may be empty.
func instanceOf(own pcommon.Resource, name string) string {
	var instance string
	if own != (pcommon.Resource{}) { // nobody set that one, and it must not be read
		if id, ok := own.Attributes().Get(semconv.AttrServiceInstanceID); ok {
			instance = id.AsString()
		}
	}
	if instance != "" && name != "" {
		instance += "/"
	}
	return instance + name
}

func (e *encoder) encode(at int64, edges []servicegraph.Edge) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	if e.instance != "" {
		rm.Resource().Attributes().PutStr(semconv.AttrServiceInstanceID, e.instance)
	}
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName(scopeName)

	requests := e.sum(sm.Metrics().AppendEmpty(), semconv.MetricGraphRequestTotal, "Requests of an edge.", len(edges))
	failed := e.sum(sm.Metrics().AppendEmpty(), semconv.MetricGraphRequestFailedTotal, "Failed requests of an edge.", len(edges))
	for i := range edges {
		edge := &edges[i]
		if !e.splitFailed {
			e.edgeAttributes(e.number(requests, edge.Start, at, edge.Totals.Requests).Attributes(), edge, 0)
		} else {
			if edge.SucceededStart != 0 {
				dp := e.number(requests, edge.SucceededStart, at, edge.Totals.Requests-edge.Totals.Failed)
				e.attributes(dp.Attributes(), edge, false)
			}
			if edge.FailedStart != 0 {
				dp := e.number(requests, edge.FailedStart, at, edge.Totals.Failed)
				e.attributes(dp.Attributes(), edge, true)
			}
		}
		// Every edge has failures, if none: a ratio needs both series.
		dp := e.number(failed, edge.Start, at, edge.Totals.Failed)
		e.attributes(dp.Attributes(), edge, true)
		for _, x := range edge.Totals.SlowestFailed.Calls() {
			failedExemplar(dp.Exemplars().AppendEmpty(), &x)
		}
	}
	e.unseen(sm, at, edges)
	server, client := serverView, clientView
	e.durations(sm, semconv.MetricGraphRequestServer, "Duration of the requests of an edge as the callee saw them.", at, edges, &server)
	e.durations(sm, semconv.MetricGraphRequestClient, "Duration of the requests of an edge as the caller saw them.", at, edges, &client)
	if e.operations {
		e.operationMetrics(sm, at, edges)
	}
	return md
}

// unseen appends how many of the requests nobody saw, for the edges with calls that stand for more than one.
func (e *encoder) unseen(sm pmetric.ScopeMetrics, at int64, edges []servicegraph.Edge) {
	n := 0
	for i := range edges {
		if edges[i].Totals.Unseen > 0 {
			n++
		}
	}
	if n == 0 {
		return
	}
	points := e.sum(sm.Metrics().AppendEmpty(), semconv.MetricGraphUnseenRequestTotal,
		"Requests of an edge that nobody saw: sampled ones stand for them.", n)
	for i := range edges {
		edge, t := &edges[i], edges[i].Totals
		switch {
		case t.Unseen == 0:
		case !e.splitFailed:
			e.edgeAttributes(e.number(points, edge.Start, at, t.Unseen).Attributes(), edge, 0)
		default:
			if succeeded := t.Unseen - t.UnseenFailed; succeeded > 0 {
				e.attributes(e.number(points, edge.SucceededStart, at, succeeded).Attributes(), edge, false)
			}
			if t.UnseenFailed > 0 {
				e.attributes(e.number(points, edge.FailedStart, at, t.UnseenFailed).Attributes(), edge, true)
			}
		}
	}
}

func (e *encoder) sum(m pmetric.Metric, name, description string, n int) pmetric.NumberDataPointSlice {
	m.SetName(name)
	m.SetDescription(description)
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(e.temporality)
	sum.DataPoints().EnsureCapacity(n)
	return sum.DataPoints()
}

func (e *encoder) number(dps pmetric.NumberDataPointSlice, start, at, v int64) pmetric.NumberDataPoint {
	dp := dps.AppendEmpty()
	dp.SetStartTimestamp(e.time(start))
	dp.SetTimestamp(e.time(at))
	dp.SetIntValue(v)
	return dp
}

func (e *encoder) time(t int64) pcommon.Timestamp { return pcommon.Timestamp(max(t-e.offset, 0)) }

// view is one side's view of calls.
type view struct {
	all, failed func(*servicegraph.Totals) *servicegraph.Histogram
	exemplar    func(*servicegraph.Exemplar) (span uint64, duration int64)
}

var serverView = view{
	all:      func(t *servicegraph.Totals) *servicegraph.Histogram { return &t.Server },
	failed:   func(t *servicegraph.Totals) *servicegraph.Histogram { return &t.FailedServer },
	exemplar: func(x *servicegraph.Exemplar) (uint64, int64) { return x.Server, x.ServerDur },
}

var clientView = view{
	all:      func(t *servicegraph.Totals) *servicegraph.Histogram { return &t.Client },
	failed:   func(t *servicegraph.Totals) *servicegraph.Histogram { return &t.FailedClient },
	exemplar: func(x *servicegraph.Exemplar) (uint64, int64) { return x.Client, x.ClientDur },
}

// durations appends a metric with the histograms of the edges that have durations, if any has.
func (e *encoder) durations(sm pmetric.ScopeMetrics, name, description string, at int64, edges []servicegraph.Edge, v *view) {
	n := 0
	for i := range edges {
		if v.all(edges[i].Totals).Count > 0 {
			n++
		}
		if v.failed(edges[i].Totals).Count > 0 {
			n++
		}
	}
	if n == 0 {
		return
	}
	out := e.histogram(sm.Metrics().AppendEmpty(), name, description, len(e.bounds) > 0, n)
	for i := range edges {
		edge := &edges[i]
		t := edge.Totals
		start := edge.Start
		if e.splitFailed {
			start = edge.SucceededStart
		}
		if h := v.all(t); h.Count > 0 {
			attrs, exemplars := out.add(e, start, at, h)
			e.attributes(attrs, edge, false)
			v.exemplars(exemplars, t.Slowest.Calls())
			if !e.splitFailed {
				v.exemplars(exemplars, t.SlowestFailed.Calls())
			}
		}
		if h := v.failed(t); h.Count > 0 {
			attrs, exemplars := out.add(e, edge.FailedStart, at, h)
			e.attributes(attrs, edge, true)
			v.exemplars(exemplars, t.SlowestFailed.Calls())
		}
	}
}

func (v *view) exemplars(out pmetric.ExemplarSlice, from []servicegraph.Exemplar) {
	for i := range from {
		span, duration := v.exemplar(&from[i])
		if duration < 0 {
			continue
		}
		x := out.AppendEmpty()
		identify(x, &from[i], span)
		x.SetDoubleValue(float64(duration) / 1e9)
	}
}

// failedExemplar says which call was counted as failed; of its two spans, the callee's.
func failedExemplar(x pmetric.Exemplar, from *servicegraph.Exemplar) {
	span := from.Server
	if span == 0 {
		span = from.Client
	}
	identify(x, from, span)
	x.SetIntValue(1)
}

func identify(x pmetric.Exemplar, from *servicegraph.Exemplar, span uint64) {
	var trace pcommon.TraceID
	binary.BigEndian.PutUint64(trace[:8], from.Trace.Hi)
	binary.BigEndian.PutUint64(trace[8:], from.Trace.Lo)
	x.SetTraceID(trace)
	var id pcommon.SpanID
	binary.BigEndian.PutUint64(id[:], span)
	x.SetSpanID(id)
	x.SetTimestamp(pcommon.Timestamp(from.At))
}

// histogramPoints are the points of a histogram of either kind.
type histogramPoints struct {
	explicit    pmetric.HistogramDataPointSlice
	exponential pmetric.ExponentialHistogramDataPointSlice
	isExplicit  bool
}

func (e *encoder) histogram(m pmetric.Metric, name, description string, explicit bool, n int) histogramPoints {
	m.SetName(name)
	m.SetDescription(description)
	m.SetUnit("s")
	if explicit {
		h := m.SetEmptyHistogram()
		h.SetAggregationTemporality(e.temporality)
		h.DataPoints().EnsureCapacity(n)
		return histogramPoints{explicit: h.DataPoints(), isExplicit: true}
	}
	h := m.SetEmptyExponentialHistogram()
	h.SetAggregationTemporality(e.temporality)
	h.DataPoints().EnsureCapacity(n)
	return histogramPoints{exponential: h.DataPoints()}
}

// add appends a point and returns what is still to be filled in.
func (p *histogramPoints) add(
	e *encoder, start, at int64, h *servicegraph.Histogram,
) (attrs pcommon.Map, exemplars pmetric.ExemplarSlice) {
	if p.isExplicit {
		dp := p.explicit.AppendEmpty()
		dp.SetStartTimestamp(e.time(start))
		dp.SetTimestamp(e.time(at))
		dp.SetCount(h.Count)
		dp.SetSum(h.Sum)
		dp.ExplicitBounds().FromRaw(e.bounds)
		dp.BucketCounts().FromRaw(h.Buckets)
		return dp.Attributes(), dp.Exemplars()
	}
	dp := p.exponential.AppendEmpty()
	dp.SetStartTimestamp(e.time(start))
	dp.SetTimestamp(e.time(at))
	dp.SetCount(h.Count)
	dp.SetSum(h.Sum)
	dp.SetScale(h.Scale)
	dp.SetZeroCount(h.Zero)
	dp.Positive().SetOffset(h.Offset)
	dp.Positive().BucketCounts().FromRaw(h.Buckets[:h.Len])
	return dp.Attributes(), dp.Exemplars()
}

var connections = map[servicegraph.Connection]string{
	servicegraph.ConnectionDirect:    semconv.ConnectionDirect,
	servicegraph.ConnectionDatabase:  semconv.ConnectionDatabase,
	servicegraph.ConnectionMessaging: semconv.ConnectionMessaging,
	servicegraph.ConnectionVirtual:   semconv.ConnectionVirtual,
}

// attributes writes those of a series of the drop-in metrics.
func (e *encoder) attributes(attrs pcommon.Map, edge *servicegraph.Edge, failed bool) {
	e.edgeAttributes(attrs, edge, 1)
	if e.splitFailed {
		attrs.PutBool(semconv.AttrGraphFailed, failed)
	}
}

// edgeAttributes writes those of an edge, and leaves room for more.
func (e *encoder) edgeAttributes(attrs pcommon.Map, edge *servicegraph.Edge, more int) {
	n := 3 + more + len(edge.ClientDimensions) + len(edge.ServerDimensions)
	for _, more := range []bool{
		edge.Client.Namespace != "", edge.Server.Namespace != "", edge.Virtual != servicegraph.SideNone || e.virtualLabel != nil,
	} {
		if more {
			n++
		}
	}
	attrs.EnsureCapacity(n)
	attrs.PutStr(semconv.AttrGraphClient, edge.Client.Name)
	attrs.PutStr(semconv.AttrGraphServer, edge.Server.Name)
	attrs.PutStr(semconv.AttrGraphConnectionType, connections[edge.Connection])
	if edge.Client.Namespace != "" {
		attrs.PutStr(semconv.AttrGraphClientNamespace, edge.Client.Namespace)
	}
	if edge.Server.Namespace != "" {
		attrs.PutStr(semconv.AttrGraphServerNamespace, edge.Server.Namespace)
	}
	for _, d := range edge.ClientDimensions {
		attrs.PutStr(e.clientDimensions[d.Index], d.Value)
	}
	for _, d := range edge.ServerDimensions {
		attrs.PutStr(e.serverDimensions[d.Index], d.Value)
	}
	e.virtualNode(attrs, edge)
}

// virtualNode says which side of an edge is not instrumented.
func (e *encoder) virtualNode(attrs pcommon.Map, edge *servicegraph.Edge) {
	side := ""
	switch edge.Virtual {
	case servicegraph.SideClient:
		side = semconv.AttrGraphClient
	case servicegraph.SideServer:
		side = semconv.AttrGraphServer
	case servicegraph.SideNone:
	}
	if e.virtualLabel == nil {
		if side != "" {
			attrs.PutStr(semconv.AttrGraphVirtualNode, side)
		}
		return
	}
	if *e.virtualLabel {
		if edge.Connection == servicegraph.ConnectionDatabase {
			side = "" // a database is no virtual node to contrib's connector
		}
		attrs.PutStr(semconv.AttrGraphVirtualNode, side)
	}
}
