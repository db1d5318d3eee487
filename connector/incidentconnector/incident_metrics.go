package incidentconnector

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/semconv"
)

// timeBounds are the bounds of the histograms of times, in seconds: from one bucket to a day.
var timeBounds = []float64{1, 2, 5, 10, 15, 20, 30, 45, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400}

// times counts times in seconds.
type times struct {
	counts   [18]uint64
	sum      float64
	least    float64
	most     float64
	recorded uint64
}

func (t *times) record(d time.Duration) {
	s := max(0, d.Seconds())
	at, _ := slices.BinarySearch(timeBounds, s)
	t.counts[at]++
	t.sum += s
	if t.recorded == 0 || s < t.least {
		t.least = s
	}
	t.most = max(t.most, s)
	t.recorded++
}

func (t *times) put(m pmetric.Metric, name, description string, start, now time.Time) {
	m.SetName(name)
	m.SetDescription(description)
	m.SetUnit("s")
	h := m.SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	p := h.DataPoints().AppendEmpty()
	stamp(p, start, now)
	p.ExplicitBounds().FromRaw(timeBounds)
	p.BucketCounts().FromRaw(t.counts[:])
	p.SetCount(t.recorded)
	p.SetSum(t.sum)
	if t.recorded > 0 {
		p.SetMin(t.least)
		p.SetMax(t.most)
	}
}

// stamp sets the times of a point.
func stamp(p interface {
	SetStartTimestamp(pcommon.Timestamp)
	SetTimestamp(pcommon.Timestamp)
}, start, now time.Time,
) {
	p.SetStartTimestamp(pcommon.NewTimestampFromTime(start))
	p.SetTimestamp(pcommon.NewTimestampFromTime(now))
}

// lifeTimes are how long it took to detect, diagnose and resolve incidents, since a time.
type lifeTimes struct {
	since                     time.Time
	detect, diagnose, resolve times
	// measured is when the metrics were last made.
	measured time.Time
}

// note records how long it took to detect and to diagnose an incident, once each.
func (l *lifeTimes) note(i *incident) {
	if !i.timed {
		i.timed = true
		l.detect.record(i.found.Sub(i.since))
	}
	if !i.diagnosed && !i.named.IsZero() {
		i.diagnosed = true
		l.diagnose.record(i.named.Sub(i.since))
	}
}

// measure makes the metrics when it is time to. There is nothing to make for nobody.
func (e *engine) measure(now time.Time) {
	l := &e.times
	if l.since.IsZero() || now.Before(l.measured) {
		*l = lifeTimes{since: now, measured: now}
		return
	}
	for _, i := range e.incidents {
		l.note(i)
	}
	if now.Sub(l.measured) < e.cfg.MetricsInterval {
		return
	}
	buckets := int(min(now.Sub(l.measured)/e.cfg.Bucket, excess.Lookback))
	l.measured = now
	if !e.measures.wanted() {
		return
	}
	md := pmetric.NewMetrics()
	scope := func(rm pmetric.ResourceMetrics) pmetric.MetricSlice {
		sm := rm.ScopeMetrics().AppendEmpty()
		sm.Scope().SetName(metadata.ScopeName)
		return sm.Metrics()
	}
	metrics := scope(md.ResourceMetrics().AppendEmpty())
	e.putActive(metrics.AppendEmpty(), now)
	l.detect.put(metrics.AppendEmpty(), semconv.MetricIncidentTimeToDetect, "Time from the onset of an incident to its detection.", l.since, now)
	l.diagnose.put(metrics.AppendEmpty(), semconv.MetricIncidentTimeToDiagnose, "Time from the onset of an incident until its cause is sure enough to act on.", l.since, now)
	l.resolve.put(metrics.AppendEmpty(), semconv.MetricIncidentTimeToResolve, "Time from the onset of an incident to the end of its last symptom.", l.since, now)
	e.putAvailability(md, scope, buckets, now)
	e.measures.add(md)
}

func (e *engine) putActive(m pmetric.Metric, now time.Time) {
	m.SetName(semconv.MetricIncidentActive)
	m.SetDescription("Incidents that are open.")
	m.SetUnit("{incident}")
	points := m.SetEmptyGauge().DataPoints()
	for _, severity := range []semconv.Severity{semconv.SeverityCritical, semconv.SeverityMajor, semconv.SeverityMinor} {
		n := int64(0)
		for _, i := range e.incidents {
			if i.state.Severity == severity {
				n++
			}
		}
		p := points.AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(now))
		p.SetIntValue(n)
		p.Attributes().PutStr(semconv.AttrIncidentSeverity, string(severity))
	}
}

// putAvailability says which share of the calls to each service succeeded in the newest buckets. A service without calls
// is left out, and so are more services than may be known.
func (e *engine) putAvailability(md pmetric.Metrics, scope func(pmetric.ResourceMetrics) pmetric.MetricSlice, buckets int, now time.Time) {
	type calls struct{ all, failed float64 }
	services := map[string]*calls{}
	e.edges.Edges(func(k edgehealth.Key) {
		server := entityOf(k.Server)
		if server.Type != semconv.EntityService {
			return
		}
		all, failed := e.edges.Counts(k, buckets)
		if all <= 0 {
			return
		}
		s := services[server.Name]
		if s == nil {
			s = &calls{}
			services[server.Name] = s
		}
		s.all += all
		s.failed += failed
	})
	names := make([]string, 0, len(services))
	for name := range services {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names[:min(len(names), e.cfg.Limits.Services)] {
		rm := md.ResourceMetrics().AppendEmpty()
		namespace, bare, named := strings.Cut(name, "/")
		if !named {
			namespace, bare = "", name
		}
		rm.Resource().Attributes().PutStr(semconv.AttrServiceName, bare)
		if namespace != "" {
			rm.Resource().Attributes().PutStr(semconv.AttrServiceNamespace, namespace)
		}
		m := scope(rm).AppendEmpty()
		m.SetName(semconv.MetricServiceAvailability)
		m.SetDescription("Share of the calls to the service that succeeded.")
		m.SetUnit("1")
		p := m.SetEmptyGauge().DataPoints().AppendEmpty()
		stamp(p, now.Add(-time.Duration(buckets)*e.cfg.Bucket), now)
		p.SetDoubleValue(clamp(1 - services[name].failed/services[name].all))
	}
}

// maxMeasures bounds the batches of metrics that wait to be handed over: a replay makes many at once.
const maxMeasures = 64

// measures hands metrics to the next component. What it refuses is gone: the next ones say it again.
type measures struct {
	telemetry *instruments

	// sending is held while metrics are handed over, so that they stay in order. It is locked before mu.
	sending sync.Mutex
	mu      sync.Mutex
	// mu guards everything below.
	ways    []*view
	waiting []pmetric.Metrics
	dropped int64
}

func (m *measures) open(v *view) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ways = append(m.ways, v)
}

func (m *measures) close(v *view) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(m.ways, v); i >= 0 {
		m.ways = slices.Delete(m.ways, i, i+1)
	}
}

// wanted reports whether anybody takes metrics.
func (m *measures) wanted() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.ways) > 0
}

func (m *measures) add(md pmetric.Metrics) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiting) >= maxMeasures {
		m.dropped += int64(m.waiting[0].DataPointCount())
		m.waiting = slices.Delete(m.waiting, 0, 1)
	}
	m.waiting = append(m.waiting, md)
}

// flush hands over what waits. When that is under way already it leaves the rest to the next one, so that a slow consumer
// holds up nobody else.
func (m *measures) flush(ctx context.Context) {
	if m.sending.TryLock() {
		m.send(ctx)
	}
}

// drain is a flush that waits for its turn.
func (m *measures) drain(ctx context.Context) {
	m.sending.Lock()
	m.send(ctx)
}

func (m *measures) send(ctx context.Context) {
	defer m.sending.Unlock()
	m.mu.Lock()
	waiting, dropped := m.waiting, m.dropped
	var next consumer.Metrics
	if len(m.ways) > 0 {
		next = m.ways[0].nextMetrics
	}
	m.waiting, m.dropped = nil, 0
	m.mu.Unlock()
	for _, md := range waiting {
		points := int64(md.DataPointCount())
		if next == nil || next.ConsumeMetrics(ctx, md) != nil {
			dropped += points
		}
	}
	if dropped > 0 {
		m.telemetry.builder.ConnectorIncidentDroppedPoints.Add(ctx, dropped)
	}
}

// ours reports whether a resource's metrics were made by this connector.
func ours(rm pmetric.ResourceMetrics) bool {
	for _, sm := range rm.ScopeMetrics().All() {
		if sm.Scope().Name() != metadata.ScopeName {
			return false
		}
	}
	return rm.ScopeMetrics().Len() > 0
}
