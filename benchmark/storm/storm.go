package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector"
	"github.com/paramedic-otel/paramedic/semconv"
)

// size is that of a system and its storm.
type size struct{ services, edges, series int }

// measured is what a storm cost.
type measured struct {
	// calm is what it takes to judge a bucket before the storm, intake to take the storm in, diagnosis to judge its
	// buckets until the incident is told of.
	calm, intake, diagnosis time.Duration
	// cpu is the processor time of the whole process in the time of the diagnosis.
	cpu time.Duration
	// mallocs and allocated are what the diagnosis allocates, held what the heap holds before it, peak the most that it
	// holds during it.
	mallocs, allocated, held, peak uint64
	// buckets is how many were judged until an incident was opened, incidents how many were.
	buckets, incidents int
	cause              string
}

const (
	// learnt is the number of buckets of normal operation before the storm.
	learnt = 60
	// calls is the number of calls on an edge in a bucket.
	calls = 40
	// most is how many buckets of the storm are judged at most.
	most = 5
	// layers is the depth of the graph: each service calls services of the next layer.
	layers = 6
)

// limits are those of a connector for a system of this size, and the storm's.
func (s size) limits(cfg *incidentconnector.Config) {
	cfg.Persistence = 1
	cfg.Limits.Edges = s.edges + s.services
	cfg.Limits.Services = s.services + 1
	cfg.Limits.Series = 4 * cfg.Limits.Edges
	cfg.Limits.Signals = s.series + 1
	cfg.Limits.Symptoms = s.series + 4*cfg.Limits.Edges
}

// world is a system with its service graph.
type world struct {
	size
	edges  [][2]int
	failed int
	// failing is the share of the requests to each service that fail in the storm.
	failing []float64
	bucket  time.Duration
}

// newWorld lays out a graph in layers and lets a service of the last layer fail that all services of the others call.
func newWorld(s size, bucket time.Duration) *world {
	rng := rand.New(rand.NewPCG(1, uint64(s.services)))
	w := &world{size: s, bucket: bucket, failing: make([]float64, s.services)}
	layer := func(i int) (from, to int) { return i * s.services / layers, (i + 1) * s.services / layers }
	layerOf := func(service int) int {
		for i := range layers {
			if _, to := layer(i); service < to {
				return i
			}
		}
		return layers - 1
	}
	seen := map[[2]int]bool{}
	_, last := layer(layers - 2)
	w.failed = last
	for client := range last {
		w.edges = append(w.edges, [2]int{client, w.failed})
		seen[[2]int{client, w.failed}] = true
	}
	for len(w.edges) < s.edges {
		client := len(w.edges) % last
		from, to := layer(layerOf(client) + 1)
		e := [2]int{client, from + rng.IntN(to-from)}
		if to-from <= 2*s.edges/last || !seen[e] {
			seen[e] = true
			w.edges = append(w.edges, e)
		}
	}
	// A request fails when one of the calls that it takes does. Callees have higher numbers than their callers.
	in, out := make([]int, s.services), make([][]int, s.services)
	for i := range s.services / layers {
		in[i]++
	}
	for _, e := range w.edges {
		in[e[1]]++
		out[e[0]] = append(out[e[0]], e[1])
	}
	w.failing[w.failed] = 1
	for i := s.services - 1; i >= 0; i-- {
		failed := 0.0
		for _, callee := range out[i] {
			failed += w.failing[callee]
		}
		if in[i] > 0 && i != w.failed {
			w.failing[i] = min(1, failed/float64(in[i]))
		}
	}
	return w
}

func name(service int) string { return fmt.Sprintf("service-%05d", service) }

// graph is the service graph's metrics of one bucket that ends at a time.
func (w *world) graph(end time.Time, storm bool) pmetric.Metrics {
	md := pmetric.NewMetrics()
	ms := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	at := pcommon.NewTimestampFromTime(end.Add(-time.Millisecond))
	start := pcommon.NewTimestampFromTime(end.Add(-w.bucket))
	sum := func(metric string) pmetric.NumberDataPointSlice {
		m := ms.AppendEmpty()
		m.SetName(metric)
		s := m.SetEmptySum()
		s.SetIsMonotonic(true)
		s.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		return s.DataPoints()
	}
	total, failed := sum(semconv.MetricGraphRequestTotal), sum(semconv.MetricGraphRequestFailedTotal)
	m := ms.AppendEmpty()
	m.SetName(semconv.MetricGraphRequestServer)
	h := m.SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	edge := func(client, server string, failures int) {
		ends := func(attrs pcommon.Map) {
			attrs.PutStr(semconv.AttrGraphClient, client)
			attrs.PutStr(semconv.AttrGraphServer, server)
			if client == semconv.GraphUser {
				attrs.PutStr(semconv.AttrGraphConnectionType, semconv.ConnectionVirtual)
			}
		}
		for points, n := range map[*pmetric.NumberDataPointSlice]int{&total: calls, &failed: failures} {
			p := points.AppendEmpty()
			p.SetStartTimestamp(start)
			p.SetTimestamp(at)
			p.SetIntValue(int64(n))
			ends(p.Attributes())
		}
		p := h.DataPoints().AppendEmpty()
		p.SetStartTimestamp(start)
		p.SetTimestamp(at)
		ends(p.Attributes())
		p.SetCount(calls)
		p.SetSum(calls * 0.01)
		p.ExplicitBounds().FromRaw([]float64{0.005, 0.02, 0.1})
		p.BucketCounts().FromRaw([]uint64{0, calls, 0, 0})
	}
	for _, e := range w.edges {
		failures := 0
		if storm {
			failures = int(math.Round(calls * w.failing[e[1]]))
		}
		edge(name(e[0]), name(e[1]), failures)
	}
	for i := range w.services / layers {
		failures := 0
		if storm {
			failures = int(math.Round(calls * w.failing[i]))
		}
		edge(semconv.GraphUser, name(i), failures)
	}
	return md
}

// scores are the points of the abnormal series at a time, or one normal metric of each service.
func (w *world) scores(at time.Time, storm bool) pmetric.Metrics {
	md := pmetric.NewMetrics()
	ts := pcommon.NewTimestampFromTime(at)
	for service := range w.services {
		rm := md.ResourceMetrics().AppendEmpty()
		rm.Resource().Attributes().PutStr(semconv.AttrServiceName, name(service))
		ms := rm.ScopeMetrics().AppendEmpty().Metrics()
		gauge := func(metric string, value float64, attrs ...string) {
			m := ms.AppendEmpty()
			m.SetName(metric)
			p := m.SetEmptyGauge().DataPoints().AppendEmpty()
			p.SetTimestamp(ts)
			p.SetDoubleValue(value)
			for i := 0; i+1 < len(attrs); i += 2 {
				p.Attributes().PutStr(attrs[i], attrs[i+1])
			}
		}
		if !storm {
			gauge("process.uptime", 1)
			continue
		}
		for i := range w.series / w.services {
			metric := [...]string{"container.cpu.utilization", "jvm.memory.used", "http.server.request.duration", "db.client.connection.count", "disk.io"}[i%5]
			attrs := []string{semconv.AttrAnomalyMetric, metric, semconv.AttrAnomalySignal, "value", "series", strconv.Itoa(i)}
			gauge(metric, 0.4, "series", strconv.Itoa(i))
			gauge(semconv.MetricAnomalyScore, 0.999, attrs...)
			deviation := 7.0
			if service == w.failed {
				deviation = 25
			}
			gauge(semconv.MetricAnomalyDeviation, deviation, attrs...)
		}
	}
	return md
}

// measure lets a system of some size run normally, then lets the storm in.
func measure(ctx context.Context, s size) (m measured, err error) {
	factory := incidentconnector.NewFactory()
	cfg := factory.CreateDefaultConfig().(*incidentconnector.Config)
	s.limits(cfg)
	if err := xconfmap.Validate(cfg); err != nil {
		return m, err
	}
	events := &events{ids: map[string]bool{}}
	sink, err := consumer.NewLogs(events.take)
	if err != nil {
		return m, err
	}
	set := connector.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	set.Logger = zap.NewNop()
	c, err := factory.CreateMetricsToLogs(ctx, set, cfg, sink)
	if err != nil {
		return m, err
	}
	if err := c.Start(ctx, componenttest.NewNopHost()); err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, c.Shutdown(ctx)) }()

	w := newWorld(s, cfg.Bucket)
	begin := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	end := begin
	feed := func(md pmetric.Metrics) (took time.Duration) {
		start := time.Now()
		err = errors.Join(err, c.ConsumeMetrics(ctx, md))
		return time.Since(start)
	}
	// tick is a metric that shows that a bucket and its lateness are over.
	tick := func() pmetric.Metrics {
		md := pmetric.NewMetrics()
		g := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		g.SetName("clock")
		g.SetEmptyGauge().DataPoints().AppendEmpty().SetTimestamp(pcommon.NewTimestampFromTime(end.Add(cfg.Lateness)))
		return md
	}
	feed(w.scores(begin, false))
	for range learnt {
		end = end.Add(cfg.Bucket)
		feed(w.graph(end, false))
		m.calm = feed(tick())
	}
	if n := events.count(); n > 0 {
		return m, fmt.Errorf("%d events before the storm", n)
	}

	for m.buckets = 1; events.count() == 0 && m.buckets <= most; m.buckets++ {
		end = end.Add(cfg.Bucket)
		m.intake += feed(w.scores(end.Add(-time.Second), true)) + feed(w.graph(end, true))
		last := tick()
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		peak := watchHeap()
		used := processorTime()
		m.diagnosis += feed(last)
		m.cpu += processorTime() - used
		m.peak = max(m.peak, peak(), before.HeapAlloc)
		runtime.ReadMemStats(&after)
		m.mallocs += after.Mallocs - before.Mallocs
		m.allocated += after.TotalAlloc - before.TotalAlloc
		if m.buckets == 1 {
			m.held = before.HeapAlloc
		}
	}
	m.buckets--
	m.incidents, m.cause = len(events.ids), events.cause
	if events.cause != name(w.failed) {
		m.cause += " instead of " + name(w.failed)
	}
	return m, err
}

// processorTime is what the process has used so far; 0 where the system does not say.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// events keeps what the sink has got.
type events struct {
	mu sync.Mutex
	// mu guards everything below.
	n     int
	ids   map[string]bool
	cause string
}

func (e *events) take(_ context.Context, ld plog.Logs) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				event, err := semconv.DecodeIncidentEvent(lr)
				if err != nil {
					return err
				}
				e.n++
				e.ids[event.Incident.ID] = true
				e.cause = event.Incident.Cause().Entity.Name
			}
		}
	}
	return nil
}

func (e *events) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n
}

// watchHeap watches the size of the heap until the function that it returns is called, which returns the most seen.
func watchHeap() func() uint64 {
	stop, done := make(chan struct{}), make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		most := uint64(0)
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for {
			metrics.Read(sample)
			most = max(most, sample[0].Value.Uint64())
			select {
			case <-stop:
				done <- most
				return
			case <-ticker.C:
			}
		}
	}()
	return func() uint64 {
		close(stop)
		return <-done
	}
}
