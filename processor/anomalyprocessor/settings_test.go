package anomalyprocessor

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/baseline"
	"github.com/paramedic-otel/paramedic/semconv"
)

// story is a series that is calm, moves, and comes back.
type story struct {
	name, unit    string
	step          time.Duration
	calm, moved   int
	normal, fault float64
	spread        float64
}

func (s story) tell(h *harness) []score {
	r := seeded(7)
	for n := range s.calm + s.moved + 5 {
		v := s.normal
		if n >= s.calm && n < s.calm+s.moved {
			v = s.fault
		}
		h.feed(gauge(s.name, s.unit, at(n, s.step), v+s.spread*r.NormFloat64()))
	}
	return h.scores
}

var usual = story{name: "queue.size", unit: "1", step: 10 * time.Second, calm: 300, moved: 10, normal: 100, fault: 250, spread: 1}

// Each setting is turned, and what comes out changes as it says.
func TestSettings(t *testing.T) {
	tell := func(t *testing.T, s story, change ...func(*Config)) []score {
		t.Helper()
		return s.tell(newHarness(t, change...))
	}
	with := func(change func(*story)) story {
		s := usual
		change(&s)
		return s
	}
	assert.NotEmpty(t, tell(t, usual))

	t.Run("include", func(t *testing.T) {
		assert.Empty(t, tell(t, usual, func(c *Config) { c.Include = []string{"queue"} }), "the whole name must match")
		assert.NotEmpty(t, tell(t, usual, func(c *Config) { c.Include = []string{"x", `queue\..*`} }))
	})
	t.Run("exclude", func(t *testing.T) {
		assert.Empty(t, tell(t, usual, func(c *Config) { c.Include, c.Exclude = []string{".*"}, []string{"queue.*"} }))
	})
	t.Run("max_clock_skew", func(t *testing.T) {
		h := newHarness(t, func(c *Config) { c.MaxClockSkew = 100 * time.Hour })
		h.feed(gauge("g", "1", time.Now().Add(99*time.Hour), 1))
		assert.Zero(t, h.refused("future"))
		h.feed(gauge("g", "1", time.Now().Add(101*time.Hour), 1))
		assert.Equal(t, int64(1), h.refused("future"))
	})
	t.Run("max_buckets", func(t *testing.T) {
		h := newHarness(t, func(c *Config) { c.MaxBuckets = 5 })
		md, m := metrics("h", "s")
		m.SetEmptyHistogram().SetAggregationTemporality(2)
		explicit(m.Histogram().DataPoints().AppendEmpty(), 1, 10, 1)
		h.feed(md)
		assert.Equal(t, int64(1), h.refused("buckets"))
	})
	t.Run("min_score", func(t *testing.T) {
		strict := tell(t, usual, func(c *Config) { c.MinScore = 0.9999 })
		require.NotEmpty(t, strict)
		assert.GreaterOrEqual(t, strict[1].value, 0.9999, "how often a calm series alarms is for sensitivity to say")
	})
	t.Run("sensitivity", func(t *testing.T) {
		faint := with(func(s *story) { s.fault = 100 + 12 })
		many := tell(t, faint, func(c *Config) { c.Sensitivity = 100 })
		few := tell(t, faint, func(c *Config) { c.Sensitivity = 1e-6 })
		assert.Greater(t, len(many), len(few))
	})
	t.Run("quantiles", func(t *testing.T) {
		slow := func(change func(*Config)) map[string]bool {
			h := newHarness(t, change)
			for n := 1; n <= calm+changed; n++ {
				md, m := metrics("http.server.request.duration", "s")
				m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
				p := m.Histogram().DataPoints().AppendEmpty()
				explicit(p, 1+2*min(1, max(0, n-calm)), 500, 1)
				stamp(p, at(n-1, minute), at(n, minute))
				h.feed(md)
			}
			signals := map[string]bool{}
			for _, s := range h.scores {
				signals[s.signal] = true
			}
			return signals
		}
		assert.Equal(t, map[string]bool{"p50": true, "p90": true, "p99": true}, slow(func(*Config) {}))
		assert.Equal(t, map[string]bool{"p75": true}, slow(func(c *Config) { c.Quantiles = []float64{0.75} }))
		assert.Empty(t, slow(func(c *Config) { c.Quantiles = nil }))
	})
	t.Run("warm_up", func(t *testing.T) {
		assert.Empty(t, tell(t, usual, func(c *Config) { c.WarmUp.Points = 1000 }))
		assert.Empty(t, tell(t, usual, func(c *Config) { c.WarmUp.Duration = 5 * time.Hour }))
	})
	t.Run("memory", func(t *testing.T) {
		drift := func(memory time.Duration) float64 {
			h := newHarness(t, func(c *Config) { c.Memory, c.EmitBand = memory, true })
			with(func(s *story) { s.calm, s.spread, s.fault, s.moved = 1000, 5, 106, 300 }).tell(h)
			h.feed(gauge("queue.size", "1", at(2000, usual.step), 1e6))
			h.feed(gauge("queue.size", "1", at(2001, usual.step), 1e6))
			return h.scores[len(h.scores)-1].beside[semconv.MetricAnomalyExpected]
		}
		assert.Greater(t, drift(5*time.Minute), drift(10*time.Hour)+1)
	})
	t.Run("level_shift_after", func(t *testing.T) {
		stays := with(func(s *story) { s.moved = 300 })
		short := tell(t, stays, func(c *Config) { c.LevelShiftAfter = 10 * time.Minute })
		long := tell(t, stays, func(c *Config) { c.LevelShiftAfter = 10 * time.Hour })
		assert.Greater(t, len(long), 200+len(short))
	})
	t.Run("cooldown", func(t *testing.T) {
		// After one episode, one of every size that might be in doubt.
		late := func(cooldown time.Duration) int {
			found := 0
			for size := 4.0; size < 12; size += 0.5 {
				h := newHarness(t, func(c *Config) {
					c.Cooldown, c.Habituation = cooldown, 0
					c.Policies = []Policy{{Match: ".*", MinRelative: number(0)}}
				})
				r := seeded(3)
				for n := range 930 {
					v := 100 + r.NormFloat64()
					if n >= 900 && n < 910 {
						v = 150
					} else if n >= 920 {
						v = 100 + size
					}
					h.feed(gauge("g", "1", at(n, 10*time.Second), v))
				}
				for _, s := range h.scores {
					if !s.at.Before(at(920, 10*time.Second)) {
						found++
					}
				}
			}
			return found
		}
		assert.Greater(t, late(0), late(time.Hour))
	})
	t.Run("habituation", func(t *testing.T) {
		often := func(half time.Duration) int {
			h := newHarness(t, func(c *Config) { c.Habituation = half })
			r := seeded(3)
			for n := range 900 {
				v := 100 + r.NormFloat64()
				if n > 100 && n%20 < 3 {
					v = 500
				}
				h.feed(gauge("g", "1", at(n, time.Minute), v))
			}
			return len(h.scores)
		}
		assert.Greater(t, often(0), 2*often(4*time.Hour))
	})
	t.Run("time_zone", func(t *testing.T) {
		berlin, err := time.LoadLocation("Europe/Berlin")
		require.NoError(t, err)
		summer := time.Date(2026, 3, 29, 0, 0, 0, 0, berlin)
		// What opens at nine in the morning opens an hour earlier, for the rest of the world, once summer has come.
		surprised := func(zone string) int {
			h := newHarness(t, func(c *Config) { c.TimeZone, c.Sensitivity = zone, 0.001 })
			r := seeded(5)
			for at := summer.AddDate(0, 0, -14); at.Before(summer.AddDate(0, 0, 1)); at = at.Add(5 * time.Minute) {
				v := 10 + r.NormFloat64()
				if hour := at.In(berlin).Hour(); hour >= 9 && hour < 17 {
					v += 90
				}
				h.feed(gauge("desks", "1", at, v))
			}
			late := 0
			for _, s := range h.scores {
				if s.at.After(summer.Add(3 * time.Hour)) {
					late++
				}
			}
			return late
		}
		assert.Greater(t, surprised("UTC"), surprised("Europe/Berlin"))
	})
	t.Run("emit_deviation", func(t *testing.T) {
		assert.Contains(t, tell(t, usual)[0].beside, semconv.MetricAnomalyDeviation)
		assert.NotContains(t, tell(t, usual, func(c *Config) { c.EmitDeviation = false })[0].beside, semconv.MetricAnomalyDeviation)
	})
	t.Run("emit_contributions", func(t *testing.T) {
		shares := func(s score) (total float64) {
			for name, v := range s.beside {
				if strings.HasPrefix(name, semconv.MetricAnomalyContribution) {
					total += v
				}
			}
			return total
		}
		assert.Zero(t, shares(tell(t, usual)[1]))
		second := tell(t, usual, func(c *Config) { c.EmitContributions = true })[1]
		assert.InDelta(t, 1, shares(second), 0.05, "shares of the score")
		assert.Contains(t, second.beside, semconv.MetricAnomalyContribution+"pair")
		h := newHarness(t, func(c *Config) { c.Explain.Metrics = []string{".*"} })
		usual.tell(h)
		assert.InDelta(t, 1, shares(h.added[usual.calm+2]), 0.05, "and of every point that is explained, as far as it has one")
	})
	t.Run("emit_band", func(t *testing.T) {
		assert.NotContains(t, tell(t, usual)[0].beside, semconv.MetricAnomalyExpected)
		beside := tell(t, usual, func(c *Config) { c.EmitBand = true })[0].beside
		assert.InDelta(t, 100, beside[semconv.MetricAnomalyExpected], 2)
		assert.Less(t, beside[semconv.MetricAnomalyLower], beside[semconv.MetricAnomalyUpper])
	})
	t.Run("policies", func(t *testing.T) {
		policy := func(p Policy) func(*Config) { return func(c *Config) { c.Policies = []Policy{p} } }
		assert.NotEmpty(t, tell(t, usual, policy(Policy{Match: "other", Direction: DirectionDown})))
		assert.NotEmpty(t, tell(t, usual, policy(Policy{Match: "queue.*", Direction: DirectionUp})))
		assert.Empty(t, tell(t, usual, policy(Policy{Match: "queue.*", Direction: DirectionDown})))
		assert.Empty(t, tell(t, usual, policy(Policy{Match: "queue.*", MinAbsolute: number(200)})))
		assert.Empty(t, tell(t, usual, policy(Policy{Match: "queue.*", MinRelative: number(2)})))
		first := func(c *Config) {
			c.Policies = []Policy{{Match: "queue.*", Direction: DirectionUp}, {Match: ".*", Direction: DirectionDown}}
		}
		assert.NotEmpty(t, tell(t, usual, first), "the first one that matches decides")
		latency := with(func(s *story) { s.unit, s.normal, s.fault = "s", 100, 10 })
		assert.Empty(t, tell(t, latency), "durations matter upwards")
		assert.NotEmpty(t, tell(t, latency, policy(Policy{Match: ".*", Direction: DirectionBoth})))
	})
}

// What the names and units of metrics say about which deviations matter.
func TestDefaultPolicies(t *testing.T) {
	s, err := newSelector(createDefaultConfig().(*Config))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		unit              string
		absolute, relate  float64
		ignoreDown        bool
		rateRelative      float64
		rateIgnoreDown    bool
		rateAbsoluteFloor float64
	}{
		"system.cpu.utilization":                    {"1", 0.05, 0.1, false, 0.3, false, 0},
		"k8s.container.memory_limit_utilization":    {"1", 0.05, 0.1, false, 0.3, false, 0},
		"disk.used":                                 {"%", 5, 0.1, false, 0.3, false, 0},
		"http.server.request.duration":              {"s", 0.005, 0.25, true, 0.3, false, 0},
		"rpc.server.duration":                       {"ms", 5, 0.25, true, 0.3, false, 0},
		"traces_service_graph_request_server":       {"", 0.005, 0.25, true, 0.3, false, 0},
		"traces_service_graph_request_total":        {"", 0, 0.1, false, 0.3, false, 0},
		"traces_service_graph_request_failed_total": {"", 0, 0.5, true, 0.5, true, 0},
		"process.memory.usage":                      {"By", 1 << 20, 0.1, false, 0.3, false, 1024},
		"db.client.connection.count":                {"{connection}", 2, 0.2, false, 0.3, false, 0},
		"container.cpu.usage":                       {"{cpu}", 0.05, 0.2, false, 0.3, false, 0},
		"messaging.queue.depth":                     {"{message}", 2, 0.1, true, 0.3, false, 0},
		"kafka.consumer_group.lag":                  {"1", 2, 0.1, true, 0.3, false, 0},
		"jvm.thread.waiting":                        {"", 2, 0.1, true, 0.3, false, 0},
		"feature.flags":                             {"", 0, 0.1, false, 0.3, false, 0},
		"http.client.errors":                        {"{error}", 0, 0.5, true, 0.5, true, 0},
		"system.cpu.time":                           {"s", 0.005, 0.25, true, 0.1, false, 0.05},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.rules(name, tc.unit)
			assert.InDelta(t, tc.absolute, r.value.MinAbsolute, 0)
			assert.InDelta(t, tc.relate, r.value.MinRelative, 0)
			assert.Equal(t, tc.ignoreDown, r.value.IgnoreDown)
			assert.InDelta(t, tc.rateRelative, r.rate.MinRelative, 0)
			assert.InDelta(t, tc.rateAbsoluteFloor, r.rate.MinAbsolute, 0)
			assert.Equal(t, tc.rateIgnoreDown, r.rate.IgnoreDown)
			assert.False(t, r.value.IgnoreUp || r.rate.IgnoreUp)
			assert.Equal(t, isRatio(name), r.least == 0, "a share is never negative")
			assert.True(t, math.IsInf(r.most, 1), "but may exceed what was meant to be all")
		})
	}
}

func TestSelectorCacheIsBounded(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	cfg.MaxSeries = 10
	s, err := newSelector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 1000 {
		s.rules(time.Duration(n).String(), "")
		assert.LessOrEqual(t, len(s.known), 10)
	}
}

// Of few things that each count, one more or less is news.
func TestDefaultPoliciesOfInstances(t *testing.T) {
	s, err := newSelector(createDefaultConfig().(*Config))
	require.NoError(t, err)
	for name, want := range map[string]baseline.Limits{
		"k8s.deployment.available_pods":         {MinAbsolute: 0.5, MinRelative: 0.1, IgnoreUp: true},
		"k8s.deployment.desired":                {MinAbsolute: 0.5, MinRelative: 0.1},
		"k8s.statefulset.ready_pods":            {MinAbsolute: 0.5, MinRelative: 0.1, IgnoreUp: true},
		"k8s.daemonset.misscheduled_nodes":      {MinAbsolute: 0.5, MinRelative: 0.1},
		"k8s.container.ready":                   {MinAbsolute: 0.5, MinRelative: 0.1, IgnoreUp: true},
		"kube_replicaset_status_ready_replicas": {MinAbsolute: 0.5, MinRelative: 0.1, IgnoreUp: true},
		"k8s.container.restarts":                {MinAbsolute: 0.5, IgnoreDown: true},
		"k8s.job.failed_pods":                   {MinRelative: 0.5, IgnoreDown: true},
		"k8s.hpa.current_replicas":              {MinAbsolute: 2, MinRelative: 0.2},
	} {
		assert.Equal(t, want, s.rules(name, "{pod}").value, name)
	}
	fall := func(name string, from, to float64) []score {
		return story{name: name, unit: "{pod}", step: 10 * time.Second, calm: 300, moved: 10, normal: from, fault: to}.tell(newHarness(t))
	}
	assert.NotEmpty(t, fall("k8s.deployment.available_pods", 2, 1))
	assert.Empty(t, fall("k8s.deployment.available_pods", 2, 3))
	assert.Empty(t, fall("k8s.deployment.available_pods", 100, 99))
	assert.NotEmpty(t, fall("k8s.container.restarts", 0, 1))
	assert.NotEmpty(t, fall("k8s.container.restarts", 137, 138))
}
