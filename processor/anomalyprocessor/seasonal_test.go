package anomalyprocessor

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/paramedic-otel/paramedic/semconv"
)

func newSeasonalHarness(t *testing.T, change ...func(*Config, *Seasonal)) *harness {
	t.Helper()
	return newHarness(t, func(c *Config) {
		s := defaultSeasonal()
		s.Metrics = []string{"load"}
		for _, f := range change {
			f(c, &s)
		}
		c.Seasonal = configoptional.Some(s)
	})
}

// cycle feeds a series with a cycle of 48 points; odd is added to the points given.
func cycle(h *harness, name string, points int, odd map[int]float64) {
	r := seeded(3)
	for n := range points {
		v := 100 + 20*math.Sin(2*math.Pi*float64(n)/48) + r.NormFloat64() + odd[n]
		h.feed(gauge(name, "1", at(n, time.Minute), v))
	}
}

func of(h *harness, detector string) (out []score) {
	for _, s := range h.scores {
		if s.detector == detector {
			out = append(out, s)
		}
	}
	return out
}

// At the trough, values that are usual at another time of the cycle.
var trough = map[int]float64{516: 25, 517: 25, 518: 25, 519: 25}

func TestSeasonalDetector(t *testing.T) {
	h := newSeasonalHarness(t)
	cycle(h, "load", 600, trough)
	got := of(h, detectorSeasonal)
	require.NotEmpty(t, got)
	assert.LessOrEqual(t, got[0].at.Sub(at(516, time.Minute)), 2*time.Minute)
	assert.GreaterOrEqual(t, got[0].at, at(516, time.Minute))
	assert.GreaterOrEqual(t, got[0].value, 0.95)
	assert.Less(t, got[len(got)-1].value, 0.95, "the episode is closed")
	assert.Equal(t, semconv.SignalValue, got[0].signal)
	assert.Greater(t, got[0].beside[semconv.MetricAnomalyDeviation], 5.0)
	assert.False(t, got[0].onset.Before(at(516, time.Minute)))
}

func TestSeasonalSettings(t *testing.T) {
	run := func(name string, change ...func(*Config, *Seasonal)) (*harness, []score) {
		h := newSeasonalHarness(t, change...)
		cycle(h, name, 560, trough)
		return h, of(h, detectorSeasonal)
	}
	_, usual := run("load")
	require.NotEmpty(t, usual)
	_, other := run("other")
	assert.Empty(t, other, "only the metrics that are named")
	for name, change := range map[string]func(*Config, *Seasonal){
		"window": func(_ *Config, s *Seasonal) { s.Window = 160 },
		"period": func(_ *Config, s *Seasonal) { s.Period = 47 },
		"every":  func(_ *Config, s *Seasonal) { s.Every = 100 },
	} {
		_, got := run("load", change)
		assert.NotEqual(t, usual, got, name)
	}
	_, got := run("load", func(c *Config, _ *Seasonal) {
		c.Policies = []Policy{{Match: "load", Direction: DirectionDown}}
	})
	assert.Empty(t, got, "the policies of the metric hold")
	h, got := run("load", func(_ *Config, s *Seasonal) { s.Shadow = true })
	assert.Empty(t, got)
	shadows := 0
	for _, a := range h.added {
		if _, ok := a.beside[semconv.MetricAnomalyShadowScore]; ok && a.detector == detectorSeasonal {
			shadows++
		}
	}
	assert.Positive(t, shadows)
	h = newSeasonalHarness(t, func(_ *Config, s *Seasonal) { s.Metrics, s.MaxSeries = []string{".*"}, 1 })
	cycle(h, "one", 10, nil)
	cycle(h, "two", 10, nil)
	assert.Equal(t, int64(10), h.counter("otelcol_processor_anomaly_refused_seasonal_points", ""))
}

func TestSeasonalGaps(t *testing.T) {
	h := newSeasonalHarness(t)
	r := seeded(4)
	for n := range 600 {
		if n > 300 && n < 340 {
			continue
		}
		v := 100 + 20*math.Sin(2*math.Pi*float64(n)/48) + r.NormFloat64()
		h.feed(gauge("load", "1", at(n, time.Minute), v))
	}
	assert.Empty(t, of(h, detectorSeasonal), "the cycle goes on behind a gap")
}
