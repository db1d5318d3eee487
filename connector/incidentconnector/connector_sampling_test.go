package incidentconnector

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// unseen adds to delta metrics of the service graph how many of the calls were not seen.
func unseen(md pmetric.Metrics, share float64, calls ...call) pmetric.Metrics {
	m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	end := m.At(0).Sum().DataPoints().At(0).Timestamp()
	out := m.AppendEmpty()
	out.SetName(semconv.MetricGraphUnseenRequestTotal)
	s := out.SetEmptySum()
	s.SetIsMonotonic(true)
	s.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	for _, c := range calls {
		p := s.DataPoints().AppendEmpty()
		p.SetTimestamp(end)
		p.SetDoubleValue(c.n * share)
		c.put(p.Attributes())
	}
	return md
}

// Of two calls that were seen in each bucket and multiplied to 40, one fails for a while: that is less evidence than 20 of 40
// that were all seen, and opens an incident only when it goes on.
func TestSampledCallsOpenNoIncident(t *testing.T) {
	for name, c := range map[string]struct {
		share   float64
		failing int
		opens   bool
	}{
		"seen":                {0, 2, true},
		"sampled":             {0.95, 2, false},
		"sampled, but enough": {0.95, 12, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.play(0, 260, func(i int) []any {
				front, orders, stock := shop()
				if i >= 240 && i < 240+c.failing {
					front.failed, orders.failed, stock.failed = 20, 20, 20
				}
				md := graph(at(i), front, orders, stock)
				if c.share > 0 {
					md = unseen(md, c.share, front, orders, stock)
				}
				return []any{md}
			})
			w.stop()
			assert.Equal(t, c.opens, len(w.events()) > 0)
			if c.opens {
				cause := w.last()[0].Cause()
				assert.Equal(t, service("stock"), cause.Entity)
				assert.Equal(t, []string{"front"}, w.last()[0].EntryPoints)
			}
		})
	}
}

// A cumulative producer that begins to sample tells from then on: what it had counted until then was seen.
func TestCumulativeSamplingBegins(t *testing.T) {
	w := newWorld(t, nil)
	requests, lost := 0.0, 0.0
	w.play(0, 300, func(i int) []any {
		front, _, _ := shop()
		md := pmetric.NewMetrics()
		metrics := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
		sum := func(name string, value float64) {
			if value == 0 {
				return
			}
			m := metrics.AppendEmpty()
			m.SetName(name)
			s := m.SetEmptySum()
			s.SetIsMonotonic(true)
			s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
			p := s.DataPoints().AppendEmpty()
			p.SetStartTimestamp(pcommon.NewTimestampFromTime(epoch))
			p.SetTimestamp(pcommon.NewTimestampFromTime(at(i)))
			p.SetDoubleValue(value)
			front.put(p.Attributes())
		}
		requests += 40
		if i >= 200 {
			lost += 38
		}
		sum(semconv.MetricGraphRequestTotal, requests)
		sum(semconv.MetricGraphUnseenRequestTotal, lost)
		if i > 200 && i < 230 {
			key, _ := w.metrics.(*metricsView).lease.Engine().edgeKey(metrics.At(0).Sum().DataPoints().At(0).Attributes())
			assert.LessOrEqual(t, w.metrics.(*metricsView).lease.Engine().edges.Impact(key, 1).Weight, 20.1)
			if i > 204 {
				assert.InDelta(t, 20, w.metrics.(*metricsView).lease.Engine().edges.Impact(key, 1).Weight, 0.1, "bucket %d", i)
			}
		}
		return []any{md}
	})
	w.stop()
	assert.Empty(t, w.events())
}
