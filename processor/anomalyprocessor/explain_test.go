package anomalyprocessor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/paramedic-otel/paramedic/semconv"
)

const unflagged = "otelcol_processor_anomaly_unflagged_datapoints"

func TestEveryPointIsExplained(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.Explain.Metrics = []string{"queue.*"} })
	s := usual
	s.tell(h)
	require.Len(t, h.added, s.calm+s.moved+5)
	reasons := map[string]int{}
	for _, a := range h.added {
		reasons[a.reason]++
		assert.Contains(t, a.beside, semconv.MetricAnomalyExplanation)
		assert.Contains(t, a.beside, semconv.MetricAnomalyExpected)
		assert.LessOrEqual(t, a.beside[semconv.MetricAnomalyLower], a.beside[semconv.MetricAnomalyUpper])
		assert.Equal(t, a.scored, a.reason == semconv.ReasonAbnormal || a.reason == semconv.ReasonRecovered)
	}
	assert.GreaterOrEqual(t, reasons[semconv.ReasonWarmUp], h.cfg.WarmUp.Points)
	assert.Greater(t, reasons[semconv.ReasonNormal], 200)
	assert.GreaterOrEqual(t, reasons[semconv.ReasonAbnormal], s.moved-1)
	assert.Equal(t, 1, reasons[semconv.ReasonRecovered])
	assert.Equal(t, int64(reasons[semconv.ReasonWarmUp]), h.counter(unflagged, semconv.ReasonWarmUp))
}

func TestExplanationsAreBounded(t *testing.T) {
	h := newHarness(t, func(c *Config) { c.Explain = Explain{Metrics: []string{".*"}, MaxSeries: 2} })
	for n := range 10 {
		h.feed(gauge("g", "1", at(n, minute), 1, 2, 3, 4, 5))
	}
	assert.Len(t, h.added, 2*10)
	assert.Equal(t, int64(3*10), h.counter("otelcol_processor_anomaly_unexplained_datapoints", ""))
	other := newHarness(t, func(c *Config) { c.Explain.Metrics = []string{"other"} })
	other.feed(gauge("g", "1", begin, 1))
	assert.Empty(t, other.added)
}

// Each reason why a point that lies far outside is not abnormal is counted.
func TestWhyNotAbnormal(t *testing.T) {
	tell := func(change func(*Config), fault func(n int) float64) *harness {
		h := newHarness(t, change)
		r := seeded(3)
		for n := range 1200 {
			v := 100 + r.NormFloat64()
			if n > 300 {
				v += fault(n)
			}
			h.feed(gauge("g", "1", at(n, minute), v))
		}
		return h
	}
	t.Run("policy", func(t *testing.T) {
		h := tell(func(c *Config) { c.Policies = []Policy{{Match: "g", Direction: DirectionDown}} }, func(n int) float64 {
			return float64(min(1, n/310)) * 50
		})
		assert.Empty(t, h.scores)
		assert.GreaterOrEqual(t, h.counter(unflagged, semconv.ReasonPolicy), int64(10))
	})
	t.Run("level adopted", func(t *testing.T) {
		h := tell(func(c *Config) { c.LevelShiftAfter = 10 * time.Minute }, func(int) float64 { return 200 })
		assert.Equal(t, int64(1), h.counter(unflagged, semconv.ReasonLevelAdopted))
	})
	t.Run("habituated", func(t *testing.T) {
		h := tell(func(*Config) {}, func(n int) float64 { return float64(max(0, n%40-36)) * 100 })
		assert.Positive(t, h.counter(unflagged, semconv.ReasonHabituated))
	})
	t.Run("cooldown", func(t *testing.T) {
		h := tell(func(c *Config) {
			c.Cooldown = time.Hour
			c.Policies = []Policy{{Match: "g", MinRelative: number(0)}}
		}, func(n int) float64 {
			switch {
			case n < 310:
				return 100
			case n%7 == 0:
				return 8
			default:
				return 0
			}
		})
		assert.Positive(t, h.counter(unflagged, semconv.ReasonCooldown))
	})
}

func TestShadow(t *testing.T) {
	in := func(emit bool, s Shadow) *harness {
		s.Emit = emit
		h := newHarness(t, func(c *Config) { c.Shadow = configoptional.Some(s) })
		usual.tell(h)
		return h
	}
	const compared = "otelcol_processor_anomaly_compared_alarms"
	plain := newHarness(t)
	usual.tell(plain)
	shadows := func(h *harness) int {
		n := 0
		for _, a := range h.added {
			if v, ok := a.beside[semconv.MetricAnomalyShadowScore]; ok {
				n++
				if a.scored {
					assert.InDelta(t, a.value, v, 1e-9)
				}
			}
		}
		return n
	}

	same := in(true, Shadow{})
	assert.Equal(t, plain.scores[0].value, same.scores[0].value, "the active configuration does not notice") //nolint:testifylint // the same arithmetic
	assert.Equal(t, len(plain.scores), shadows(same))
	assert.Equal(t, int64(len(plain.scores)-1), same.counter(compared, "both"))
	assert.Zero(t, same.counter(compared, "active")+same.counter(compared, "shadow"))
	assert.Zero(t, shadows(in(false, Shadow{})))

	for name, deaf := range map[string]Shadow{
		"sensitivity": {Sensitivity: number(1e-12), WarmUp: &WarmUp{Points: 8}},
		"warm_up":     {WarmUp: &WarmUp{Points: 100_000}},
	} {
		t.Run(name, func(t *testing.T) {
			h := in(true, deaf)
			assert.Greater(t, h.counter(compared, "active"), int64(0))
			assert.Len(t, h.scores, len(plain.scores))
		})
	}
	early := newHarness(t, func(c *Config) {
		c.WarmUp.Points = 100_000
		c.Shadow = configoptional.Some(Shadow{WarmUp: &WarmUp{Points: 20}, Emit: true})
	})
	usual.tell(early)
	assert.Empty(t, early.scores)
	assert.Positive(t, early.counter(compared, "shadow"))
	assert.Positive(t, shadows(early))

	active := createDefaultConfig().(*Config)
	s := Shadow{Memory: duration(1), LevelShiftAfter: duration(2), Cooldown: duration(3), Habituation: duration(4)}
	over := s.over(active)
	assert.Equal(t, []time.Duration{1, 2, 3, 4}, []time.Duration{over.Memory, over.LevelShiftAfter, over.Cooldown, over.Habituation})
	assert.Equal(t, active.Sensitivity, over.Sensitivity) //nolint:testifylint // copied
}
