package remediationexporter

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/verification"
	"github.com/paramedic-otel/paramedic/semconv"
)

// metricOf makes a batch of one metric of one service, whose points make fills in.
func metricOf(name string, make func(pmetric.Metric)) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr(semconv.AttrServiceName, "payment")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(name)
	make(m)
	return md
}

func sumPoint(cumulative, monotonic bool, start, at time.Duration, value float64) func(pmetric.Metric) {
	return func(m pmetric.Metric) {
		s := m.SetEmptySum()
		s.SetIsMonotonic(monotonic)
		s.SetAggregationTemporality(temporality(cumulative))
		p := s.DataPoints().AppendEmpty()
		p.SetStartTimestamp(timestamp(start))
		p.SetTimestamp(timestamp(at))
		p.SetDoubleValue(value)
	}
}

func temporality(cumulative bool) pmetric.AggregationTemporality {
	if cumulative {
		return pmetric.AggregationTemporalityCumulative
	}
	return pmetric.AggregationTemporalityDelta
}

func histogramPoint(cumulative bool, start, at time.Duration, sum float64, counts ...uint64) func(pmetric.Metric) {
	return func(m pmetric.Metric) {
		m.SetEmptyHistogram().SetAggregationTemporality(temporality(cumulative))
		p := m.Histogram().DataPoints().AppendEmpty()
		p.SetStartTimestamp(timestamp(start))
		p.SetTimestamp(timestamp(at))
		p.SetSum(sum)
		p.ExplicitBounds().FromRaw([]float64{1, 10, 100})
		p.BucketCounts().FromRaw(counts)
		n := uint64(0)
		for _, c := range counts {
			n += c
		}
		p.SetCount(n)
	}
}

func exponentialPoint(start, at time.Duration, offset int32, counts ...uint64) func(pmetric.Metric) {
	return func(m pmetric.Metric) {
		m.SetEmptyExponentialHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		p := m.ExponentialHistogram().DataPoints().AppendEmpty()
		p.SetStartTimestamp(timestamp(start))
		p.SetTimestamp(timestamp(at))
		p.Positive().SetOffset(offset)
		p.Positive().BucketCounts().FromRaw(counts)
		n := uint64(0)
		for _, c := range counts {
			n += c
		}
		p.SetCount(n)
	}
}

func gaugePoint(at time.Duration, set func(pmetric.NumberDataPoint)) func(pmetric.Metric) {
	return func(m pmetric.Metric) {
		p := m.SetEmptyGauge().DataPoints().AppendEmpty()
		p.SetTimestamp(timestamp(at))
		set(p)
	}
}

func double(v float64) func(pmetric.NumberDataPoint) {
	return func(p pmetric.NumberDataPoint) { p.SetDoubleValue(v) }
}

// TestReadings feeds the points of one series and looks at what is read from the last. Below 10 is good, above 100 failure.
func TestReadings(t *testing.T) {
	const s = time.Second
	type points []func(pmetric.Metric)
	unspecified := sumPoint(true, true, 0, s, 1)
	for name, tc := range map[string]struct {
		stat    Statistic
		points  points
		want    verification.Reading
		refused pointReason
	}{
		"gauge":          {StatValue, points{gaugePoint(s, double(5))}, verification.Good, pointTaken},
		"integer":        {StatValue, points{gaugePoint(s, func(p pmetric.NumberDataPoint) { p.SetIntValue(200) })}, verification.Bad, pointTaken},
		"in between":     {StatValue, points{gaugePoint(s, double(50))}, verification.Neutral, pointTaken},
		"not a number":   {StatValue, points{gaugePoint(s, double(5)), gaugePoint(2*s, double(math.NaN()))}, verification.Lost, pointValue},
		"infinite":       {StatValue, points{gaugePoint(s, double(5)), gaugePoint(2*s, double(math.Inf(-1)))}, verification.Lost, pointValue},
		"late gauge":     {StatValue, points{gaugePoint(2*s, double(5)), gaugePoint(s, double(200))}, verification.Good, pointTaken},
		"sum that falls": {StatValue, points{sumPoint(true, false, 0, s, 50), sumPoint(true, false, 0, 2*s, 5)}, verification.Good, pointTaken},
		"no value recorded": {
			StatValue,
			points{gaugePoint(s, double(50)), gaugePoint(2*s, func(p pmetric.NumberDataPoint) { p.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true)) })},
			verification.Neutral, pointTaken,
		},
		"value of a sum that only rises": {StatValue, points{sumPoint(true, true, 0, s, 5)}, verification.Lost, pointKind},
		"value of a histogram":           {StatValue, points{histogramPoint(true, 0, s, 1, 1, 0, 0, 0)}, verification.Lost, pointKind},
		"rate of a gauge":                {StatRate, points{gaugePoint(s, double(5))}, verification.Lost, pointKind},
		"rate of a sum that may fall":    {StatRate, points{sumPoint(true, false, 0, s, 5)}, verification.Lost, pointKind},
		"delta":                          {StatRate, points{sumPoint(false, true, 0, 10*s, 50)}, verification.Good, pointTaken},
		"cumulative, the first":          {StatRate, points{sumPoint(true, true, 0, 10*s, 1e9)}, verification.Lost, pointTaken},
		"cumulative":                     {StatRate, points{sumPoint(true, true, 0, 10*s, 1e9), sumPoint(true, true, 0, 20*s, 1e9+50)}, verification.Good, pointTaken},
		"cumulative, fast":               {StatRate, points{sumPoint(true, true, 0, 10*s, 0), sumPoint(true, true, 0, 20*s, 5000)}, verification.Bad, pointTaken},
		"reset":                          {StatRate, points{sumPoint(true, true, 0, 10*s, 1e9), sumPoint(true, true, 12*s, 20*s, 50)}, verification.Good, pointTaken},
		"late sum":                       {StatRate, points{sumPoint(true, true, 0, 20*s, 0), sumPoint(true, true, 0, 30*s, 50), sumPoint(true, true, 0, 25*s, 1e9)}, verification.Good, pointLate},
		"sum without a number":           {StatRate, points{sumPoint(false, true, 0, 10*s, math.NaN())}, verification.Lost, pointValue},
		"negative sum":                   {StatRate, points{sumPoint(false, true, 0, 10*s, -1)}, verification.Lost, pointValue},
		"unspecified temporality": {StatRate, points{func(m pmetric.Metric) {
			unspecified(m)
			m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityUnspecified)
		}}, verification.Lost, pointKind},
		"mean":             {StatMean, points{histogramPoint(false, 0, 10*s, 40, 0, 10, 0, 0)}, verification.Good, pointTaken},
		"cumulative mean":  {StatMean, points{histogramPoint(true, 0, 10*s, 1e6, 0, 10, 0, 0), histogramPoint(true, 0, 20*s, 1e6+40, 0, 20, 0, 0)}, verification.Good, pointTaken},
		"mean of nothing":  {StatMean, points{histogramPoint(false, 0, 10*s, 40, 0, 10, 0, 0), histogramPoint(false, 10*s, 20*s, 0, 0, 0, 0, 0)}, verification.Lost, pointTaken},
		"infinite mean":    {StatMean, points{histogramPoint(false, 0, 10*s, math.Inf(1), 0, 10, 0, 0)}, verification.Lost, pointTaken},
		"quantile":         {StatQuantile, points{histogramPoint(false, 0, 10*s, 0, 95, 5, 0, 0)}, verification.Good, pointTaken},
		"slow quantile":    {StatQuantile, points{histogramPoint(false, 0, 10*s, 0, 50, 0, 50, 0)}, verification.Neutral, pointTaken},
		"beyond the last":  {StatQuantile, points{histogramPoint(false, 0, 10*s, 0, 50, 0, 0, 50)}, verification.Neutral, pointTaken},
		"broken histogram": {StatQuantile, points{histogramPoint(false, 0, 10*s, 0, 50, 0)}, verification.Lost, pointValue},
		"quantile of nothing": {
			StatQuantile, points{histogramPoint(true, 0, 10*s, 0, 95, 5, 0, 0), histogramPoint(true, 0, 20*s, 0, 95, 5, 0, 0)}, verification.Lost, pointTaken,
		},
		"exponential":        {StatQuantile, points{exponentialPoint(0, 10*s, 0, 95, 5)}, verification.Good, pointTaken},
		"exponential, slow":  {StatQuantile, points{exponentialPoint(0, 10*s, 7, 1, 50, 50)}, verification.Bad, pointTaken},
		"exponential, wild":  {StatQuantile, points{exponentialPoint(0, 10*s, math.MaxInt32, 1)}, verification.Lost, pointTaken},
		"quantile of a sum":  {StatQuantile, points{sumPoint(true, true, 0, s, 5)}, verification.Lost, pointKind},
		"late histogram":     {StatMean, points{histogramPoint(false, 0, 10*s, 40, 0, 10, 0, 0), histogramPoint(false, 0, 10*s, 4e6, 0, 10, 0, 0)}, verification.Good, pointLate},
		"summaries are none": {StatQuantile, points{func(m pmetric.Metric) { m.SetEmptySummary().DataPoints().AppendEmpty() }}, verification.Lost, pointKind},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, "shop")
			r.playbook("restart", "shop", func(p *PlaybookConfig) {
				watching(p)
				p.Verify.Signals[0].Metric.Stat = tc.stat
				if tc.stat == StatQuantile {
					p.Verify.Signals[0].Metric.Quantile = 0.9
				}
			})
			r.start()
			r.fed()
			for _, point := range tc.points {
				require.NoError(t, r.metrics.ConsumeMetrics(t.Context(), metricOf("queue.size", point)))
			}
			got := verification.Lost
			w := r.exporter().watch
			w.mu.Lock()
			for _, s := range w.series {
				got = s.reading
			}
			w.mu.Unlock()
			assert.Equal(t, tc.want, got)
			assert.Equal(t, int64(len(tc.points)), r.sum("received_datapoints"))
			if tc.refused != pointTaken {
				assert.Equal(t, int64(1), r.sum("refused_datapoints", pointReasons[tc.refused]))
			}
			r.stop()
		})
	}
}

// TestSeriesThatWasInTheFuture shows that one wrong time does not silence a counter for ever.
func TestSeriesThatWasInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.playbook("restart", "shop", func(p *PlaybookConfig) {
			watching(p)
			p.Verify.Signals[0].Metric.Stat = StatRate
		})
		r.start()
		r.fed()
		send := func(at time.Duration, v float64) {
			require.NoError(t, r.metrics.ConsumeMetrics(context.Background(), metricOf("queue.size", sumPoint(true, true, 0, at, v))))
		}
		send(1000*time.Hour, 0)
		for n := range 7 {
			send(time.Duration(n+1)*10*time.Second, float64(n))
			time.Sleep(10 * time.Second)
		}
		assert.Equal(t, int64(3), r.sum("refused_datapoints", pointReasons[pointLate]), "as many as are late within stale_after")
		r.stop()
	})
}

// TestWhoseSeries asks which series speak of an action on the Deployment payment of the service shop/payment.
func TestWhoseSeries(t *testing.T) {
	type attrs map[string]any
	long := strings.Repeat("x", 300)
	for name, tc := range map[string]struct {
		metric   string
		resource attrs
		point    attrs
		of       Relation
		want     bool
	}{
		"workload":                      {resource: attrs{"k8s.deployment.name": "payment", "k8s.namespace.name": "shop"}, want: true},
		"workload, by the point":        {point: attrs{"k8s.deployment.name": "payment", "k8s.namespace.name": "shop"}, want: true},
		"workload of another namespace": {resource: attrs{"k8s.deployment.name": "payment", "k8s.namespace.name": "staging"}},
		"workload without a namespace":  {resource: attrs{"k8s.deployment.name": "payment"}},
		"another kind of workload":      {resource: attrs{"k8s.statefulset.name": "payment", "k8s.namespace.name": "shop"}},
		"another workload of the service": {
			resource: attrs{"k8s.deployment.name": "payment-blue", "k8s.namespace.name": "shop", "service.name": "payment", "service.namespace": "shop"},
		},
		"service":                       {resource: attrs{"service.name": "payment", "service.namespace": "shop"}, want: true},
		"service of another namespace":  {resource: attrs{"service.name": "payment", "service.namespace": "staging"}},
		"service without its namespace": {resource: attrs{"service.name": "payment"}},
		"service elsewhere":             {resource: attrs{"service.name": "payment", "service.namespace": "shop", "k8s.namespace.name": "staging"}},
		"another service":               {resource: attrs{"service.name": "cart", "service.namespace": "shop"}},
		"nobody":                        {},
		"graph": {
			metric: "traces_service_graph_request_server", resource: attrs{"service.name": "collector"},
			point: attrs{"client": "frontend", "server": "payment", "server_service.namespace": "shop"}, want: true,
		},
		"graph, of the caller": {
			metric: "traces_service_graph_request_server",
			point:  attrs{"client": "payment", "server": "cart", "client_service.namespace": "shop", "server_service.namespace": "shop"},
		},
		"server of another metric":    {point: attrs{"server": "payment", "server_service.namespace": "shop"}},
		"glued, as incidents have it": {resource: attrs{"service.name": "shop/payment"}, want: true},
		"hostile: not a string":       {resource: attrs{"service.name": 7, "service.namespace": "shop"}},
		"hostile: long":               {resource: attrs{"service.name": long, "service.namespace": "shop"}},
		"hostile: empty":              {resource: attrs{"service.name": "", "service.namespace": ""}},
		"any":                         {resource: attrs{"service.name": "cart"}, of: OfAny, want: true},
		"incident: impacted":          {resource: attrs{"service.name": "checkout", "service.namespace": "shop"}, of: OfIncident, want: true},
		"incident: an entry point":    {resource: attrs{"service.name": "frontend", "service.namespace": "shop"}, of: OfIncident, want: true},
		"incident: the cause":         {resource: attrs{"k8s.deployment.name": "payment", "k8s.namespace.name": "shop"}, of: OfIncident, want: true},
		"incident: somebody else":     {resource: attrs{"service.name": "search", "service.namespace": "shop"}, of: OfIncident},
		"incident: nobody":            {of: OfIncident},
		"pod of the same name as one": {resource: attrs{"k8s.pod.name": "payment", "k8s.namespace.name": "shop"}},
	} {
		t.Run(name, func(t *testing.T) {
			resource, point := pcommon.NewMap(), pcommon.NewMap()
			require.NoError(t, resource.FromRaw(tc.resource))
			require.NoError(t, point.FromRaw(tc.point))
			e := opened("i-1")
			e.Incident.Causes[0].Resource[semconv.AttrK8sNamespaceName] = "shop"
			p := defaultPlaybook()
			a := newAbout(&e.Incident, &p)
			series := whoIs(tc.metric, resource, point)
			of := tc.of
			if of == "" {
				of = OfTarget
			}
			assert.Equal(t, tc.want, a.concerns(of, a.Target, &series), "%+v is of %+v", series, a.Target)
		})
	}
}

func TestWhomAnActionConcerns(t *testing.T) {
	e := opened("i-1")
	p := defaultPlaybook()
	assert.Equal(t, who{Service: "shop/payment", Namespace: "shop", Kind: "Deployment", Workload: "payment"}, p.who(&e.Incident))
	e.Incident.Causes[0].Resource = nil
	assert.Equal(t, who{Service: "shop/payment"}, p.who(&e.Incident), "a service's namespace need not be one of Kubernetes")
	p.Target = TargetConfig{From: TargetEntryPoint}
	assert.Equal(t, "shop/frontend", p.who(&e.Incident).Service)
	e.Incident.EntryPoints = nil
	assert.Equal(t, who{}, p.who(&e.Incident))
	p.Target = TargetConfig{From: TargetNamed, Kind: "StatefulSet", Namespace: "shop", Name: "db"}
	assert.Equal(t, who{Namespace: "shop", Kind: "StatefulSet", Workload: "db"}, p.who(&e.Incident))
	p.Target = TargetConfig{From: TargetCause}
	e.Incident.Causes[0] = semconv.Cause{Entity: semconv.Entity{Type: semconv.EntityNode, Name: "node-1"}}
	assert.Equal(t, "node-1", p.who(&e.Incident).Node)
	e.Incident.Causes[0] = semconv.Cause{
		Entity:   semconv.Entity{Type: semconv.EntityPod, Name: "shop/payment-1"},
		Resource: map[string]string{semconv.AttrK8sPodName: "payment-1", semconv.AttrK8sNamespaceName: "shop"},
	}
	w := p.who(&e.Incident)
	assert.Equal(t, "payment-1", w.Pod)
	assert.True(t, w.matches(&who{Pod: "payment-1", Namespace: "shop"}))
	assert.False(t, w.matches(&who{Pod: "payment-1", Namespace: "staging"}))
	assert.False(t, (who{}).matches(&who{}))
}

func TestSeriesAreBounded(t *testing.T) {
	for name, tc := range map[string]struct {
		edit    func(*VerificationConfig)
		want    int64
		refused int64
	}{
		"in all":       {func(c *VerificationConfig) { c.MaxSeries = 5 }, 5, 15},
		"of one":       {func(c *VerificationConfig) { c.MaxSignalSeries = 7 }, 7, 13},
		"room for all": {func(*VerificationConfig) {}, 20, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "shop")
				r.playbook("restart", "shop", watching)
				tc.edit(&r.cfg.Verification)
				r.start()
				r.fed()
				for n := range 20 {
					r.feed(fmt.Sprint("service-", n), 0, 1)
				}
				assert.Equal(t, tc.want, r.sum("watched_series"))
				assert.Equal(t, int64(r.cfg.Verification.MaxSeries), r.sum("watched_series_limit"))
				assert.Equal(t, tc.refused, r.sum("refused_datapoints"))
				time.Sleep(14 * time.Minute)
				assert.Equal(t, tc.want, r.sum("watched_series"))
				time.Sleep(2 * time.Minute)
				assert.Zero(t, r.sum("watched_series"), "what is silent makes room")
				r.stop()
			})
		})
	}
}

// TestPlayWithTooManySeries shows that a verification which cannot see all of its series never succeeds.
func TestPlayWithTooManySeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.editHook("shop", only)
		r.cfg.Verification.MaxPlaySeries = 2
		r.playbook("restart", "shop", func(p *PlaybookConfig) {
			watching(p)
			p.Verify.Signals[0].Metric.Of = OfAny
		})
		r.start()
		r.fed()
		r.must(opened("i-1"))
		time.Sleep(500 * time.Millisecond)
		for n := range 10 {
			for _, service := range []string{"a", "b", "c"} {
				r.feed(service, time.Duration(n)*5*time.Second, 1)
			}
			time.Sleep(5 * time.Second)
		}
		r.must(resolved("i-1", 2, 50*time.Second))
		time.Sleep(2 * time.Minute)
		assert.Equal(t, "inconclusive/no_data", r.last())
		r.stop()
	})
}

// TestConditionsSelectSeries shows that conditions are asked once a series, and that one which cannot be asked selects none.
func TestConditionsSelectSeries(t *testing.T) {
	r := newRig(t, "shop")
	r.playbook("restart", "shop", func(p *PlaybookConfig) {
		watching(p)
		p.Verify.Signals[0].Metric.When = []string{`resource.attributes["service.name"] == "payment"`, `datapoint.attributes["x"] == nil or Int(datapoint.attributes["x"]) > 0`}
	})
	r.cfg.Verification.MaxSeries = 3
	r.start()
	r.fed()
	for range 3 {
		for _, name := range []string{"payment", "a", "b", "c", "d", "e"} {
			r.feed(name, 0, 1)
		}
	}
	assert.Equal(t, int64(1), r.sum("watched_series"))
	assert.Equal(t, int64(18), r.sum("received_datapoints"))
	assert.Zero(t, r.sum("refused_datapoints"))
	w := r.exporter().watch
	assert.LessOrEqual(t, len(w.ignored), 3, "what is not selected is bounded too")
	r.stop()
}

// fuzzed attributes and values must never do more than be refused.
func FuzzPoints(f *testing.F) {
	f.Add("queue.size", "payment", "shop", "k8s.pod.name", int64(1), int64(2), 3.5, byte(0))
	f.Add("traces_service_graph_request_server", "", "", "server", int64(-1), int64(math.MaxInt64), math.Inf(1), byte(3))
	f.Fuzz(func(t *testing.T, metric, service, namespace, attribute string, start, at int64, value float64, kind byte) {
		r := newRig(t, "shop")
		for _, stat := range []Statistic{StatValue, StatRate, StatMean, StatQuantile} {
			r.playbook(string(stat), "shop", func(p *PlaybookConfig) {
				watching(p)
				p.Verify.Signals[0].Metric.Stat, p.Verify.Signals[0].Metric.Quantile = stat, 0.5
			})
		}
		r.start()
		r.fed()
		for i := range 3 {
			md := metricOf("queue.size", func(m pmetric.Metric) {
				from, to := pcommon.Timestamp(uint64(start)), pcommon.Timestamp(uint64(at)+uint64(i)) //nolint:gosec // any is meant
				switch kind % 4 {
				case 0:
					p := m.SetEmptyGauge().DataPoints().AppendEmpty()
					p.SetTimestamp(to)
					p.SetDoubleValue(value)
					p.Attributes().PutStr(attribute, metric)
				case 1:
					sumPoint(kind > 8, kind > 16, 0, 0, value)(m)
					m.Sum().DataPoints().At(0).SetTimestamp(to)
					m.Sum().DataPoints().At(0).SetStartTimestamp(from)
				case 2:
					histogramPoint(kind > 8, 0, 0, value, uint64(start), uint64(at), 1, 2)(m) //nolint:gosec // any is meant
					m.Histogram().DataPoints().At(0).SetTimestamp(to)
				case 3:
					exponentialPoint(0, 0, int32(start), uint64(at), uint64(kind))(m) //nolint:gosec // any is meant
					m.ExponentialHistogram().DataPoints().At(0).SetScale(int32(kind))
					m.ExponentialHistogram().DataPoints().At(0).SetTimestamp(to)
				}
			})
			md.ResourceMetrics().At(0).Resource().Attributes().PutStr(semconv.AttrServiceName, service)
			md.ResourceMetrics().At(0).Resource().Attributes().PutStr(semconv.AttrServiceNamespace, namespace)
			require.NoError(t, r.metrics.ConsumeMetrics(t.Context(), md))
		}
		assert.Equal(t, int64(3), r.sum("received_datapoints"))
		r.stop()
	})
}

// unselected makes a batch of n points of one metric.
func unselected(name string, n int) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr(semconv.AttrServiceName, "payment")
	sm := rm.ScopeMetrics().AppendEmpty()
	m := sm.Metrics().AppendEmpty()
	m.SetName(name)
	m.SetEmptyGauge()
	for i := range n {
		p := m.Gauge().DataPoints().AppendEmpty()
		p.SetTimestamp(timestamp(0))
		p.Attributes().PutStr("n", fmt.Sprint(i))
		p.SetDoubleValue(1)
	}
	return md
}

// cheap are the points that no signal selects, and those that one does.
var cheap = map[string]struct {
	metric, condition string
	allocations       float64
}{
	"other metric":      {"system.cpu.time", "true", 0},
	"other series":      {"queue.size", `attributes["n"] == "none"`, 0},
	"selected, a gauge": {"queue.size", "true", 0},
}

func watchingBench(t testing.TB, condition string) *rig {
	r := newRig(t, "shop")
	r.playbook("restart", "shop", func(p *PlaybookConfig) {
		watching(p)
		p.Verify.Signals[0].Metric.When = []string{condition}
	})
	r.start()
	r.fed()
	return r
}

func TestUnselectedPointsDoNotAllocate(t *testing.T) {
	for name, tc := range cheap {
		t.Run(name, func(t *testing.T) {
			const points = 1000
			r := watchingBench(t, tc.condition)
			md := unselected(tc.metric, points)
			w := r.exporter().watch
			w.take(t.Context(), md, time.Now())
			got := testing.AllocsPerRun(20, func() { w.take(t.Context(), md, time.Now()) })
			assert.LessOrEqual(t, got/points, tc.allocations+0.01)
			r.stop()
		})
	}
}

func BenchmarkPoints(b *testing.B) {
	for name, tc := range cheap {
		b.Run(name, func(b *testing.B) {
			const points = 1000
			r := watchingBench(b, tc.condition)
			md := unselected(tc.metric, points)
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, r.metrics.ConsumeMetrics(b.Context(), md))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/points, "ns/datapoint")
			r.stop()
		})
	}
}
