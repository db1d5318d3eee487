package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// The shape of the generated stream: batches of a thousand points from ten pods, ten metrics each with ten points.
const (
	batchSize        = 1000
	podsPerBatch     = 10
	metricsPerPod    = 10
	pointsPerMetric  = 10
	streamInterval   = 10 * time.Second
	distinctValues   = 1 << 16
	meanValue        = 10.0
	spreadOfValue    = 3.0 // far beyond what is too small to matter, so that every point is judged in full
	addedScopeBehind = 1   // scopes of a resource that are the stream's own
)

// batchOf makes the points of the n-th batch, without time and value.
func batchOf(n int) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for pod := range podsPerBatch {
		rm := md.ResourceMetrics().AppendEmpty()
		a := rm.Resource().Attributes()
		a.PutStr(semconv.AttrServiceName, fmt.Sprintf("service-%d", n))
		a.PutStr(semconv.AttrServiceNamespace, "benchmark")
		a.PutStr(semconv.AttrK8sPodName, fmt.Sprintf("service-%d-7d9f8b6c5d-%05d", n, pod))
		a.PutStr(semconv.AttrK8sNodeName, fmt.Sprintf("node-%d", pod))
		sm := rm.ScopeMetrics().AppendEmpty()
		sm.Scope().SetName("github.com/paramedic-otel/paramedic/benchmark/anomaly")
		for i := range metricsPerPod {
			m := sm.Metrics().AppendEmpty()
			m.SetName(fmt.Sprintf("application.measurement_%d", i))
			m.SetUnit("1")
			points := m.SetEmptyGauge().DataPoints()
			for j := range pointsPerMetric {
				p := points.AppendEmpty()
				a := p.Attributes()
				a.PutStr("http.request.method", "GET")
				a.PutStr("http.route", fmt.Sprintf("/api/v1/customers/{id}/orders/%d", j))
				a.PutInt("http.response.status_code", 200)
				a.PutStr("url.scheme", "https")
				a.PutStr("network.protocol.version", "1.1")
			}
		}
	}
	return md
}

// filler writes the times and values of batches.
type filler struct {
	// interval lies between two points of a series.
	interval time.Duration
	values   [distinctValues]float64
	next     int
}

func newFiller(interval time.Duration) *filler {
	f := &filler{interval: interval}
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range f.values {
		f.values[i] = meanValue + spreadOfValue*rng.NormFloat64()
	}
	return f
}

// fill gives every point of a batch the time and another value, and takes away what a processor has added.
func (f *filler) fill(md pmetric.Metrics, at time.Time) {
	now := pcommon.NewTimestampFromTime(at)
	for _, rm := range md.ResourceMetrics().All() {
		if scopes := rm.ScopeMetrics(); scopes.Len() > addedScopeBehind {
			i := 0
			scopes.RemoveIf(func(pmetric.ScopeMetrics) bool {
				i++
				return i > addedScopeBehind
			})
		}
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			for _, p := range m.Gauge().DataPoints().All() {
				p.SetTimestamp(now)
				p.SetDoubleValue(f.values[f.next%distinctValues])
				f.next++
			}
		}
	}
	f.next += 7 // so that no series gets the same values again and again
}

// each hands the points of all batches out one by one, in random order.
func (f *filler) each(batches []pmetric.Metrics, at time.Time, use func(pmetric.Metrics) error) error {
	type place struct{ resource, metric, point int }
	var all []place
	for r := range podsPerBatch {
		for m := range metricsPerPod {
			for p := range pointsPerMetric {
				all = append(all, place{r, m, p})
			}
		}
	}
	rng := rand.New(rand.NewPCG(2, 2))
	for _, i := range rng.Perm(len(batches) * len(all)) {
		from, to := batches[i/len(all)], pmetric.NewMetrics()
		where := all[i%len(all)]
		rm := from.ResourceMetrics().At(where.resource)
		one := to.ResourceMetrics().AppendEmpty()
		rm.Resource().CopyTo(one.Resource())
		sm := one.ScopeMetrics().AppendEmpty()
		rm.ScopeMetrics().At(0).Scope().CopyTo(sm.Scope())
		m := rm.ScopeMetrics().At(0).Metrics().At(where.metric)
		x := sm.Metrics().AppendEmpty()
		x.SetName(m.Name())
		x.SetUnit(m.Unit())
		p := x.SetEmptyGauge().DataPoints().AppendEmpty()
		m.Gauge().DataPoints().At(where.point).CopyTo(p)
		f.fill(to, at)
		if err := use(to); err != nil {
			return err
		}
	}
	return nil
}
