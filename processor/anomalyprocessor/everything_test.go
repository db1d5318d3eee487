package anomalyprocessor

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const step = 10 * time.Second

// everything is what the n-th points of several kinds of metrics are, of a service that is well or ill.
func everything(n int, at time.Time, ill bool) pmetric.Metrics {
	r := seeded(uint64(n))
	noise := func(level float64) float64 { return level * (1 + 0.02*r.NormFloat64()) }
	factor := 1.0
	if ill {
		factor = 5
	}
	md, m := metrics("queue.size", "1")
	stamp := pcommon.NewTimestampFromTime(at)
	begun := pcommon.NewTimestampFromTime(lately(0, step).Add(-time.Hour))
	p := m.SetEmptyGauge().DataPoints().AppendEmpty()
	p.SetTimestamp(stamp)
	p.SetDoubleValue(noise(100) * factor)

	all := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	add := func(name, unit string) pmetric.Metric {
		m := all.AppendEmpty()
		m.SetName(name)
		m.SetUnit(unit)
		return m
	}
	sum := add("jobs", "{job}").SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	c := sum.DataPoints().AppendEmpty()
	c.SetTimestamp(stamp)
	c.SetStartTimestamp(begun)
	c.SetIntValue(int64(1_000_000 + 5000*n))

	failed := add("jobs.failed", "{job}").SetEmptySum()
	sum.CopyTo(failed)
	failed.DataPoints().At(0).SetIntValue(int64(100 + 50*n))
	if ill {
		failed.DataPoints().At(0).SetIntValue(int64(100 + 50*n + 3000*(n-199)))
	}

	h := add("http.server.request.duration", "s").SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	hp := h.DataPoints().AppendEmpty()
	hp.SetTimestamp(stamp)
	hp.SetStartTimestamp(begun)
	hp.ExplicitBounds().FromRaw([]float64{0.1, 0.2, 0.4, 0.8})
	k := uint64(n + 1)
	hp.BucketCounts().FromRaw([]uint64{1000 * k, 500 * k, 200 * k, 50 * k, 5 * k})
	hp.SetCount(1755 * k)
	hp.SetSum(180 * float64(k))

	e := add("rpc.server.duration", "ms").SetEmptyExponentialHistogram()
	e.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	ep := e.DataPoints().AppendEmpty()
	ep.SetTimestamp(stamp)
	ep.SetStartTimestamp(begun)
	ep.SetScale(2)
	ep.SetZeroCount(k)
	ep.Positive().SetOffset(-3)
	ep.Positive().BucketCounts().FromRaw([]uint64{100 * k, 300 * k, 100 * k})
	ep.SetCount(501 * k)
	ep.SetSum(600 * float64(k))

	s := add("gc", "s").SetEmptySummary().DataPoints().AppendEmpty()
	s.SetTimestamp(stamp)
	s.SetStartTimestamp(begun)
	s.SetCount(40 * k)
	s.SetSum(0.4 * float64(k))
	for _, q := range []float64{0.5, 0.999} {
		v := s.QuantileValues().AppendEmpty()
		v.SetQuantile(q)
		v.SetValue(noise(0.01))
	}
	return md
}

// follow feeds points from one number to another, and returns the scores.
func follow(h *harness, from, to int, ill bool) []score {
	var all []score
	for n := from; n < to; n++ {
		all = append(all, h.feed(everything(n, lately(n, step), ill))...)
	}
	return all
}
