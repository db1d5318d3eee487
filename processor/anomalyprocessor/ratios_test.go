package anomalyprocessor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// served makes a cumulative counter of requests by status.
type served struct {
	totals map[int64]int64
	start  time.Time
}

func (s *served) point(n int, more map[int64]int64) pmetric.Metrics {
	md, m := metrics("http.requests", "{request}")
	c := m.SetEmptySum()
	c.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	c.SetIsMonotonic(true)
	for _, status := range []int64{200, 404, 503} {
		if _, ok := more[status]; !ok {
			continue
		}
		s.totals[status] += more[status]
		p := c.DataPoints().AppendEmpty()
		p.SetIntValue(s.totals[status])
		p.Attributes().PutInt("status", status)
		p.Attributes().PutStr("route", "/cart")
		stamp(p, s.start, at(n, minute))
	}
	return md
}

func serving() *served { return &served{totals: map[int64]int64{}, start: begin} }

func errorsOverRequests(c *Config) {
	c.EmitBand = true
	c.Ratios = []Ratio{{
		Name:        "http.error.ratio",
		Numerator:   RatioPart{Metric: "http.requests", Where: map[string]string{"status": "5.."}},
		Denominator: RatioPart{Metric: "http.requests"},
		Ignore:      []string{"status"},
	}}
}

// ofRatio returns the scores of the ratio.
func (h *harness) ofRatio() []score {
	var all []score
	for _, s := range h.scores {
		if s.signal == semconv.SignalRatio {
			all = append(all, s)
		}
	}
	return all
}

func TestRatioOfErrorsToRequests(t *testing.T) {
	h := newHarness(t, errorsOverRequests)
	s, r := serving(), seeded(1)
	for n := 1; n <= 2*calm; n++ {
		all := 500 + r.Int64N(200)
		bad := all / 100
		if n > 2*calm-4 {
			bad = all / 5
		}
		h.feed(s.point(n, map[int64]int64{200: all - bad, 503: bad}))
		if n <= 2*calm-4 {
			require.Empty(t, h.ofRatio(), n)
		}
	}
	got := h.ofRatio()
	require.NotEmpty(t, got)
	assert.Equal(t, "http.error.ratio", got[0].metric)
	assert.Equal(t, map[string]any{"route": "/cart"}, got[0].attributes)
	assert.WithinDuration(t, at(2*calm-3, minute), got[0].at, minute, "in the interval in which it happens")
	last := got[len(got)-1]
	assert.InDelta(t, 0.01, last.beside[semconv.MetricAnomalyExpected], 0.003)
	assert.Positive(t, last.beside[semconv.MetricAnomalyDeviation])
}

func TestRatiosThatSayNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config)
		all    int64
		bad    func(n int) int64
	}{
		"one of one":                {func(*Config) {}, 1, func(n int) int64 { return int64(n/2) & 1 }},
		"more requests, same share": {func(*Config) {}, 1000, func(int) int64 { return 10 }},
		"fewer errors":              {func(*Config) {}, 1000, func(n int) int64 { return int64(max(0, 2*calm-4-n)) & 0xff / 16 }},
		"within the policy": {func(c *Config) {
			c.Policies = []Policy{{Match: "http.error.ratio", MinAbsolute: number(0.5)}}
		}, 1000, func(n int) int64 { return 10 + 200*int64(n/(2*calm-3)) }},
		"denominator too small": {func(c *Config) { c.Ratios[0].MinDenominator = 2000 }, 1000, func(n int) int64 { return 10 + 500*int64(n/(2*calm-3)) }},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, errorsOverRequests, tc.change)
			s := serving()
			for n := 1; n <= 2*calm; n++ {
				all := tc.all
				if name == "more requests, same share" && n > calm {
					all *= 10
				}
				bad := tc.bad(n) * all / tc.all
				h.feed(s.point(n, map[int64]int64{200: all - bad, 503: bad}))
			}
			assert.Empty(t, h.ofRatio())
		})
	}
}

// The parts of an interval may come in several batches, in any order, and some may not come at all.
func TestRatioOfPartsThatComeApart(t *testing.T) {
	h := newHarness(t, errorsOverRequests)
	s := serving()
	for n := 1; n <= 2*calm; n++ {
		bad := int64(2 + n%3)
		if n > 2*calm-5 {
			bad = 300
		}
		h.feed(s.point(n, map[int64]int64{503: bad}))
		h.feed(s.point(n, map[int64]int64{200: 500}))
		if n%7 == 0 {
			h.feed(s.point(n, map[int64]int64{404: 5}))
		}
		if n <= 2*calm-5 {
			require.Empty(t, h.ofRatio(), n)
		}
	}
	got := h.ofRatio()
	require.NotEmpty(t, got)
	assert.GreaterOrEqual(t, got[len(got)-1].value, 0.99)
}

func TestRatioOfGauges(t *testing.T) {
	h := newHarness(t, func(c *Config) {
		c.Ratios = []Ratio{{
			Name: "pool.use", MinDenominator: 1, Numerator: RatioPart{Metric: "pool.used"}, Denominator: RatioPart{Metric: "pool.size"},
		}}
	})
	r := seeded(1)
	for n := 1; n <= calm+changed; n++ {
		size, used := 40.0, 10+r.NormFloat64()
		if n > calm {
			size = 12
		}
		md := gauge("pool.used", "1", at(n, minute), used)
		md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).CopyTo(md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().AppendEmpty())
		m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(1)
		m.SetName("pool.size")
		m.Gauge().DataPoints().At(0).SetDoubleValue(size)
		h.feed(md)
	}
	assert.NotEmpty(t, h.ofRatio())
}

// The counts of a histogram are requests too: the README's example.
func TestRatioOfHistogramCounts(t *testing.T) {
	h := newHarness(t, func(c *Config) {
		c.Ratios = []Ratio{{
			Name:        "http.server.error.ratio",
			Numerator:   RatioPart{Metric: "http.server.request.duration", Where: map[string]string{"http.response.status_code": "5.."}},
			Denominator: RatioPart{Metric: "http.server.request.duration"},
			Ignore:      []string{"http.response.status_code"},
		}}
	})
	for n := 1; n <= calm+changed; n++ {
		md, m := metrics("http.server.request.duration", "s")
		m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		for status, count := range map[int64]uint64{200: 900, 500: 10} {
			if n > calm && status == 500 {
				count = 300
			}
			p := m.Histogram().DataPoints().AppendEmpty()
			explicit(p, 1, count, 0.15)
			p.Attributes().PutInt("http.response.status_code", status)
			stamp(p, at(n-1, minute), at(n, minute))
		}
		h.feed(md)
	}
	got := h.ofRatio()
	require.NotEmpty(t, got)
	assert.Equal(t, at(calm+1, minute), got[0].at)
	assert.Empty(t, got[0].attributes)
}

func TestRatiosNeedRoom(t *testing.T) {
	h := newHarness(t, errorsOverRequests, func(c *Config) { c.MaxSeries = 2 })
	s := serving()
	for n := 1; n <= 3; n++ {
		h.feed(s.point(n, map[int64]int64{200: 500, 503: 5}))
	}
	assert.Equal(t, int64(2*2+2), h.counter("otelcol_processor_anomaly_unjoined_datapoints", ""))
	assert.Zero(t, h.refused("limit"))
}
