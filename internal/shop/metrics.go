package shop

import (
	"sort"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// bounds are those that the semantic conventions advise for durations in seconds.
var bounds = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}

// podMetrics are the counts that a pod keeps. Its series are bounded by the operations and the ways to fail.
type podMetrics struct {
	series    []*durations
	busy      float64               // seconds of requests since the last export
	connected [serviceCount]float64 // seconds of connections since the last export
	used      [serviceCount]bool    // whether there is a pool at all
	requests  int64
	queries   int64
	deadlocks int64 // statements that a lock timeout ended
	hits      int64
	misses    int64
	netErrors int64
}

// durations is a cumulative histogram.
type durations struct {
	op       *operation
	failure  *failure
	count    uint64
	sum      float64
	min, max float64
	buckets  [15]uint64
}

func (m *podMetrics) reset() { *m = podMetrics{} }

func (m *podMetrics) served(o *operation, f *failure, seconds float64) {
	m.busy += seconds
	m.requests++
	var d *durations
	for _, x := range m.series {
		if x.op == o && x.failure == f {
			d = x
		}
	}
	if d == nil {
		d = &durations{op: o, failure: f, min: seconds, max: seconds}
		m.series = append(m.series, d)
	}
	d.count++
	d.sum += seconds
	d.min, d.max = min(d.min, seconds), max(d.max, seconds)
	d.buckets[sort.SearchFloat64s(bounds, seconds)]++
}

func (m *podMetrics) useConnection(store int, seconds float64) {
	m.connected[store] += seconds
	m.used[store] = true
}

const (
	poolSize       = 20
	maxConnections = 200 // of the database
)

// writer appends metrics of one resource at one time.
type writer struct {
	metrics    pmetric.MetricSlice
	start, now pcommon.Timestamp
}

// gauge appends a gauge with one point, whose value the caller sets.
func (w *writer) gauge(name, unit, description string) pmetric.NumberDataPoint {
	m := w.metrics.AppendEmpty()
	m.SetName(name)
	m.SetUnit(unit)
	m.SetDescription(description)
	p := m.SetEmptyGauge().DataPoints().AppendEmpty()
	p.SetTimestamp(w.now)
	return p
}

func (w *writer) sum(name, unit, description string, monotonic bool) pmetric.NumberDataPointSlice {
	m := w.metrics.AppendEmpty()
	m.SetName(name)
	m.SetUnit(unit)
	m.SetDescription(description)
	s := m.SetEmptySum()
	s.SetIsMonotonic(monotonic)
	s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	return s.DataPoints()
}

// point appends a point to a sum, whose value the caller sets.
func (w *writer) point(points pmetric.NumberDataPointSlice) pmetric.NumberDataPoint {
	p := points.AppendEmpty()
	p.SetStartTimestamp(w.start)
	p.SetTimestamp(w.now)
	return p
}

// encodeMetrics writes all metrics as of the present; every is the number of seconds since the last time.
func (s *Simulation) encodeMetrics(out pmetric.Metrics, every float64) {
	now := s.now()
	for _, svc := range s.services {
		s.encodeService(svc, out, now)
		for _, p := range svc.pods {
			rm := out.ResourceMetrics().AppendEmpty()
			rm.SetSchemaUrl(schemaURL)
			p.describe(rm.Resource().Attributes())
			sm := rm.ScopeMetrics().AppendEmpty()
			describeScope(sm.Scope())
			w := &writer{metrics: sm.Metrics(), start: pcommon.NewTimestampFromTime(p.started), now: pcommon.NewTimestampFromTime(now)}
			p.encodeResources(w)
			if !p.effect.down {
				p.encodeApplication(w, s, every)
			}
		}
	}
	for _, svc := range s.services { // not before the database has counted its connections
		for _, p := range svc.pods {
			p.metrics.busy, p.metrics.connected = 0, [serviceCount]float64{}
		}
	}
}

// encodeService writes what the cluster knows about a workload.
func (s *Simulation) encodeService(svc *service, out pmetric.Metrics, now time.Time) {
	rm := out.ResourceMetrics().AppendEmpty()
	rm.SetSchemaUrl(schemaURL)
	svc.describe(rm.Resource().Attributes())
	sm := rm.ScopeMetrics().AppendEmpty()
	describeScope(sm.Scope())
	w := &writer{metrics: sm.Metrics(), start: pcommon.NewTimestampFromTime(s.cfg.Start), now: pcommon.NewTimestampFromTime(now)}
	workload := "k8s.deployment"
	if svc.spec.store() {
		workload = "k8s.statefulset"
	}
	w.point(w.sum(workload+".desired_pods", "{pod}", "Pods that the workload should have.", false)).SetIntValue(int64(svc.wanted()))
	w.point(w.sum(workload+availableOf(svc), "{pod}", "Pods that are ready to serve.", false)).SetIntValue(int64(svc.available()))
	if svc.spec.protocol == protoKafka {
		lag := w.gauge("kafka.consumer_group.lag_sum", "{message}", "Messages that wait for the consumer group.")
		lag.Attributes().PutStr("group", svc.spec.name)
		lag.SetIntValue(int64(svc.lag + svc.backlog))
	}
}

func availableOf(svc *service) string {
	if svc.spec.store() {
		return ".ready_pods"
	}
	return ".available_pods"
}

// encodeResources writes what the kubelet measures.
func (p *pod) encodeResources(w *writer) {
	const (
		bytesPerRequest = 4200
		limitPerSecond  = 1000
	)
	spec := p.svc.spec
	w.gauge("k8s.pod.cpu.usage", "{cpu}", "CPU in use.").SetDoubleValue(p.cpu * spec.cpuLimit)
	w.gauge("k8s.container.cpu_limit_utilization", "1", "CPU in use as a share of the limit.").SetDoubleValue(p.cpu)
	w.gauge("k8s.pod.memory.working_set", "By", "Memory in use.").SetIntValue(int64(p.memory * spec.memLimit))
	w.gauge("k8s.container.memory_limit_utilization", "1", "Memory in use as a share of the limit.").SetDoubleValue(p.memory)
	w.gauge("k8s.container.restarts", "{restart}", "How often the container has been restarted.").SetIntValue(p.restarts)
	if p.effect.network > 0 {
		p.metrics.netErrors += int64(min(limitPerSecond, p.svc.offered*p.effect.network*10)) + 1
	}
	io := w.sum("k8s.pod.network.io", "By", "Bytes sent and received.", true)
	faults := w.sum("k8s.pod.network.errors", "{error}", "Packets lost or broken.", true)
	for _, direction := range []string{"receive", "transmit"} {
		size := int64(bytesPerRequest)
		if direction == "transmit" {
			size *= 3
		}
		x := w.point(io)
		x.Attributes().PutStr("interface", "eth0")
		x.Attributes().PutStr("direction", direction)
		x.SetIntValue((p.metrics.requests + p.metrics.queries) * size)
		e := w.point(faults)
		e.Attributes().PutStr("interface", "eth0")
		e.Attributes().PutStr("direction", direction)
		if direction == "transmit" {
			e.SetIntValue(p.metrics.netErrors)
		}
	}
}

// encodeApplication writes what the process itself measures.
func (p *pod) encodeApplication(w *writer, s *Simulation, every float64) {
	switch p.svc.spec.protocol {
	case protoPostgres:
		p.encodePostgres(w, s)
		return
	case protoRedis:
		p.encodeRedis(w, s)
		return
	case protoKafka:
		p.encodeDurations(w, "messaging.process.duration", "Duration of the processing of a message.")
	default:
		p.encodeDurations(w, "http.server.request.duration", "Duration of HTTP server requests.")
		active := w.point(w.sum("http.server.active_requests", "{request}", "Requests in progress or waiting.", false))
		active.Attributes().PutStr("url.scheme", "http")
		active.SetIntValue(int64(p.metrics.busy/every + p.svc.backlog/float64(len(p.svc.pods)) + 0.5))
	}
	p.encodePools(w, every)
}

// encodePools writes the use of the connection pools to data stores.
func (p *pod) encodePools(w *writer, every float64) {
	if !p.metrics.used[ordersDB] && !p.metrics.used[cache] {
		return
	}
	count := w.sum("db.client.connection.count", "{connection}", "Connections of the pool.", false)
	limit := w.sum("db.client.connection.max", "{connection}", "Connections that the pool may have.", false)
	pending := w.sum("db.client.connection.pending_requests", "{request}", "Requests that wait for a connection.", false)
	for _, store := range []int{ordersDB, cache} {
		if !p.metrics.used[store] {
			continue
		}
		name := specs[store].name
		demand := p.metrics.connected[store] / every
		used := min(poolSize, int64(demand+0.999))
		for _, state := range []string{"used", "idle"} {
			x := w.point(count)
			x.Attributes().PutStr("db.client.connection.pool.name", name)
			x.Attributes().PutStr("db.client.connection.state", state)
			if state == "idle" {
				used = poolSize - used
			}
			x.SetIntValue(used)
		}
		x := w.point(limit)
		x.Attributes().PutStr("db.client.connection.pool.name", name)
		x.SetIntValue(poolSize)
		y := w.point(pending)
		y.Attributes().PutStr("db.client.connection.pool.name", name)
		y.SetIntValue(max(0, int64(demand)-poolSize))
	}
}

func (p *pod) encodeDurations(w *writer, name, description string) {
	if len(p.metrics.series) == 0 {
		return
	}
	m := w.metrics.AppendEmpty()
	m.SetName(name)
	m.SetUnit("s")
	m.SetDescription(description)
	h := m.SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	for _, d := range p.metrics.series {
		x := h.DataPoints().AppendEmpty()
		x.SetStartTimestamp(w.start)
		x.SetTimestamp(w.now)
		x.SetCount(d.count)
		x.SetSum(d.sum)
		x.SetMin(d.min)
		x.SetMax(d.max)
		x.ExplicitBounds().FromRaw(bounds)
		x.BucketCounts().FromRaw(d.buckets[:])
		d.describe(x.Attributes())
	}
}

func (d *durations) describe(attrs pcommon.Map) {
	switch specs[d.op.service].protocol {
	case protoKafka:
		attrs.PutStr("messaging.system", "kafka")
		attrs.PutStr("messaging.destination.name", d.op.route)
		attrs.PutStr("messaging.operation.name", "process")
		attrs.PutStr("messaging.consumer.group.name", specs[d.op.service].name)
	case protoGRPC: // over HTTP/2, where a call is a POST whatever its outcome
		attrs.PutStr("http.request.method", "POST")
		attrs.PutStr("http.route", d.op.route)
		attrs.PutStr("url.scheme", "http")
		attrs.PutInt("http.response.status_code", int64(statusOf(d.failure)))
	default:
		attrs.PutStr("http.request.method", d.op.method)
		attrs.PutStr("http.route", d.op.route)
		attrs.PutStr("url.scheme", "http")
		attrs.PutInt("http.response.status_code", int64(statusOf(d.failure)))
	}
	if d.failure == nil || d.failure.asked {
		return
	}
	if d.failure.status != 0 {
		attrs.PutStr("error.type", strconv.Itoa(d.failure.status))
		return
	}
	attrs.PutStr("error.type", d.failure.errType)
}
