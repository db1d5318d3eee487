package thresholds

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

var t0 = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// state is what a service is like; requests are counted up.
type state struct {
	cpu                 float64
	good, failed, asked uint64
	slow                uint64
}

// export makes metrics of one pod as of a time.
func export(at time.Time, s state) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "cart")
	rm.Resource().Attributes().PutStr("k8s.pod.name", "cart-1")
	metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
	cpu := metrics.AppendEmpty()
	cpu.SetName(metricCPU)
	p := cpu.SetEmptyGauge().DataPoints().AppendEmpty()
	p.SetTimestamp(pcommon.NewTimestampFromTime(at))
	p.SetDoubleValue(s.cpu)
	requests := metrics.AppendEmpty()
	requests.SetName(metricRequests)
	h := requests.SetEmptyHistogram()
	add := func(status int64, errorType string, fast, slow uint64) {
		x := h.DataPoints().AppendEmpty()
		x.SetStartTimestamp(pcommon.NewTimestampFromTime(t0))
		x.SetTimestamp(pcommon.NewTimestampFromTime(at))
		x.SetCount(fast + slow)
		x.ExplicitBounds().FromRaw([]float64{0.1, 1, 5})
		x.BucketCounts().FromRaw([]uint64{fast, 0, slow, 0})
		x.Attributes().PutInt("http.response.status_code", status)
		if errorType != "" {
			x.Attributes().PutStr("error.type", errorType)
		}
	}
	add(200, "", s.good, s.slow)
	add(500, "500", s.failed, 0)
	add(429, "429", s.asked, 0)
	return md
}

// run exports every five seconds for a while and returns what fired.
func run(m *Monitor, from time.Time, d time.Duration, s *state, change func(*state)) (alerts []Alert, end time.Time) {
	at := from
	for ; at.Before(from.Add(d)); at = at.Add(5 * time.Second) {
		change(s)
		alerts = append(alerts, m.Consume(export(at, *s))...)
	}
	return alerts, at
}

func TestRules(t *testing.T) {
	calm := func(s *state) { s.cpu, s.good = 0.3, s.good+100 }
	for name, tc := range map[string]struct {
		ill  func(*state)
		want string
	}{
		"cpu":          {func(s *state) { calm(s); s.cpu = 0.9 }, RuleCPU},
		"errors":       {func(s *state) { calm(s); s.failed += 8 }, RuleErrors},
		"slow":         {func(s *state) { calm(s); s.slow += 3 }, RuleSlow},
		"few errors":   {func(s *state) { calm(s); s.failed += 4 }, ""},
		"asked to go":  {func(s *state) { calm(s); s.asked += 50 }, ""},
		"nothing":      {calm, ""},
		"no telemetry": {func(s *state) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, s := NewMonitor(DefaultRules()), &state{}
			alerts, at := run(m, t0, 5*time.Minute, s, calm)
			require.Empty(t, alerts)
			ill := at
			alerts, at = run(m, at, 4*time.Minute, s, tc.ill)
			require.Empty(t, alerts, "not before it has held for five minutes")
			alerts, at = run(m, at, 10*time.Minute, s, tc.ill)
			if tc.want == "" {
				require.Empty(t, alerts)
				return
			}
			require.Len(t, alerts, 1, "once while it lasts")
			assert.Equal(t, tc.want, alerts[0].Rule)
			assert.Equal(t, "cart", alerts[0].Service)
			assert.InDelta(t, 5*60, alerts[0].Fired.Sub(ill).Seconds(), 90)
			// A break begins the time anew.
			_, at = run(m, at, 5*time.Minute, s, calm)
			alerts, at = run(m, at, 4*time.Minute, s, tc.ill)
			require.Empty(t, alerts)
			_, at = run(m, at, 2*time.Minute, s, calm)
			alerts, _ = run(m, at, 4*time.Minute, s, tc.ill)
			require.Empty(t, alerts)
		})
	}
	assert.Empty(t, NewMonitor(DefaultRules()).Consume(pmetric.NewMetrics()))
}

func TestQuantile(t *testing.T) {
	d := distribution{bounds: []float64{1, 2, 4}, buckets: []float64{50, 40, 10, 0}}
	assert.InDelta(t, 1.0, d.quantile(0.5), 1e-9)
	assert.InDelta(t, 2.0, d.quantile(0.9), 1e-9)
	assert.InDelta(t, 3.8, d.quantile(0.99), 1e-9)
	d.buckets[3] = 100
	assert.InDelta(t, 4.0, d.quantile(0.99), 1e-9, "no more is known")
	assert.Zero(t, distribution{}.quantile(0.5))
}

func TestPeople(t *testing.T) {
	p := DefaultPeople()
	draw := func() Times { return p.Draw(rand.New(rand.NewPCG(1, 1))) }
	assert.Equal(t, draw(), draw())
	rng := rand.New(rand.NewPCG(2, 2))
	faster := 0
	for range 1000 {
		times := p.Draw(rng)
		assert.Positive(t, times.Notice)
		assert.Positive(t, times.Repair)
		if times.Triage < p.Triage {
			faster++
		}
	}
	assert.InDelta(t, 500, faster, 60, "the setting is the median")
}
