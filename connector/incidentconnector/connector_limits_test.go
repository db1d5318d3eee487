package incidentconnector

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/semconv"
)

func resourceOf(name string) map[string]string {
	return map[string]string{semconv.AttrServiceName: name}
}

// TestIntakeLimits feeds ten of a kind where three fit.
func TestIntakeLimits(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*LimitsConfig)
		feed   func(w *world, i int)
		held   string
		// refused is how many items are counted as refused.
		refused int64
	}{
		"edges": {func(l *LimitsConfig) { l.Edges = 3 }, func(w *world, i int) {
			w.feed(graph(at(0), call{client: fmt.Sprint("c", i), server: "s", n: 1}))
		}, "edges", 14},
		"series": {func(l *LimitsConfig) { l.Series = 3 }, func(w *world, i int) {
			md := graph(at(0), call{client: fmt.Sprint("c", i), server: "s", n: 1})
			md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().SetAggregationTemporality(2)
			w.feed(md)
		}, "series", 7},
		"signals": {func(l *LimitsConfig) { l.Signals = 3 }, func(w *world, i int) {
			w.feed(score(at(0), at(0), resourceOf("a"), fmt.Sprint("m", i), 1, 9, 1))
		}, "signals", 7},
		"services of scores": {func(l *LimitsConfig) { l.Services = 3 }, func(w *world, i int) {
			w.feed(score(at(0), at(0), resourceOf(fmt.Sprint("s", i)), "m", 0, 0, 1))
		}, "services", 7},
		"services of records": {func(l *LimitsConfig) { l.Services = 3 }, func(w *world, i int) {
			w.feed(logs(at(0), record{service: fmt.Sprint("s", i), body: "x"}))
		}, "services", 7},
		"log contexts": {func(l *LimitsConfig) { l.LogContexts = 3 }, func(w *world, i int) {
			w.feed(logs(at(0), record{service: "s", body: "x", span: i + 1}))
		}, "log_contexts", 7},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(cfg *Config) { c.change(&cfg.Limits) })
			for i := range 10 {
				c.feed(w, i)
			}
			w.metrics.(*metricsView).lease.Engine().idle(t.Context(), time.Now())
			assert.Equal(t, int64(3), w.count("held_items", c.held))
			assert.Equal(t, c.refused, w.count("refused_items", "limit"))
			w.stop()
		})
	}
}

// TestLogTemplatesLimit has errors of many sorts: where there is room for few templates they share one.
func TestLogTemplatesLimit(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.LogTemplates = 4 })
	for i := range 100 {
		w.feed(logs(at(0), record{service: "s", body: fmt.Sprintf("word%c%c here", 'a'+i%10, 'a'+i/10)}))
	}
	assert.LessOrEqual(t, w.metrics.(*metricsView).lease.Engine().flow.Templates(), 5)
	w.stop()
}

func saturate(w *world, from, to int, names ...string) {
	w.play(from, to, func(i int) []any {
		out := calm(i)
		for _, name := range names {
			out = append(out, cpu(i, from, name, 0.999, 20, 0.95))
		}
		return out
	})
}

func TestSymptomsLimit(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.Symptoms = 2 })
	w.play(0, 20, calm)
	saturate(w, 20, 30, "p", "q", "r", "s")
	w.metrics.(*metricsView).lease.Engine().idle(t.Context(), time.Now())
	assert.Equal(t, int64(2), w.count("held_items", "symptoms"))
	assert.Positive(t, w.count("refused_items", "limit"))
	w.stop()
}

func TestIncidentsLimit(t *testing.T) {
	for limit, want := range map[int]int{1: 1, 3: 3, 100: 4} {
		w := newWorld(t, func(c *Config) { c.Limits.Incidents = limit })
		w.play(0, 20, calm)
		saturate(w, 20, 30, "p", "q", "r", "s")
		assert.Len(t, w.last(), want, "four services that have nothing to do with each other")
		assert.Equal(t, want < 4, w.count("refused_items", "limit") > 0)
		w.stop()
	}
}

func TestCausesLimit(t *testing.T) {
	for _, limit := range []int{1, 2} {
		w := newWorld(t, func(c *Config) { c.Limits.Causes = limit })
		w.play(0, 240, calm)
		w.play(240, 260, stockFails)
		saturate(w, 260, 270, "orders")
		for _, e := range w.events() {
			assert.LessOrEqual(t, len(e.Incident.Causes), limit)
		}
		w.stop()
	}
}

// TestSettings turns each setting and looks for what it changes.
func TestSettings(t *testing.T) {
	t.Parallel()
	found := func(w *world) int { w.stop(); return len(w.last()) }
	t.Run("open_surprise", func(t *testing.T) {
		for value, want := range map[float64]int{9: 1, 100: 0} {
			w := newWorld(t, func(c *Config) { c.OpenSurprise = value })
			w.play(0, 240, calm)
			w.play(240, 246, func(i int) []any {
				_, orders, _ := shop()
				orders.failed = 12
				return []any{graph(at(i), orders)}
			})
			assert.Equal(t, want, found(w), value)
		}
	})
	scored := func(change func(*Config), samples int, s, deviation, utilization float64) int {
		w := newWorld(t, change)
		w.play(0, 20, calm)
		w.play(20, 40, func(i int) []any {
			if i < 20+samples {
				return append(calm(i), cpu(i, 20, "orders", s, deviation, utilization))
			}
			return calm(i)
		})
		return found(w)
	}
	t.Run("min_score", func(t *testing.T) {
		assert.Equal(t, 0, scored(nil, 10, 0.95, 20, 0.95))
		assert.Equal(t, 1, scored(func(c *Config) { c.MinScore = 0.9 }, 10, 0.95, 20, 0.95))
	})
	t.Run("min_deviation", func(t *testing.T) {
		assert.Equal(t, 1, scored(nil, 10, 1, 20, 0.95))
		assert.Equal(t, 0, scored(func(c *Config) { c.MinDeviation = 30 }, 10, 1, 20, 0.95))
	})
	t.Run("min_utilization", func(t *testing.T) {
		assert.Equal(t, 0, scored(nil, 10, 1, 20, 0.3))
		assert.Equal(t, 1, scored(func(c *Config) { c.MinUtilization = 0.2 }, 10, 1, 20, 0.3))
	})
	t.Run("persistence", func(t *testing.T) {
		restarts := func(persistence, samples int) int {
			w := newWorld(t, func(c *Config) { c.Persistence = persistence })
			w.play(0, 20, calm)
			w.play(20, 30, func(i int) []any {
				if i < 20+samples {
					return append(calm(i), score(at(i).Add(-2*time.Second), at(20), resourceOf("orders"), "k8s.container.restarts", 1, 20, 3))
				}
				return calm(i)
			})
			return found(w)
		}
		assert.Equal(t, 0, restarts(5, 3))
		assert.Equal(t, 1, restarts(2, 3))
		assert.Equal(t, 1, restarts(5, 8))
	})
	t.Run("group_window", func(t *testing.T) {
		// Those who call stock, directly or not, fail much later.
		play := func(window time.Duration) int {
			w := newWorld(t, func(c *Config) { c.GroupWindow = window; c.ResolveAfter = time.Hour; c.StaleAfter = time.Hour })
			w.play(0, 240, calm)
			w.play(240, 320, func(i int) []any {
				front, orders, stock := shop()
				stock.failed = 30
				if i >= 260 {
					front.failed, orders.failed = 30, 30
				}
				return []any{graph(at(i), front, orders, stock)}
			})
			return found(w)
		}
		assert.Equal(t, 1, play(3*time.Minute))
		assert.Equal(t, 2, play(20*time.Second))
	})
	t.Run("change_window", func(t *testing.T) {
		play := func(window time.Duration) semconv.CauseKind {
			w := newWorld(t, func(c *Config) { c.ChangeWindow = window })
			w.play(0, 200, calm)
			w.feed(logs(at(199), record{service: "stock", event: string(semconv.EventDeploymentChanged)}))
			w.play(200, 240, calm)
			w.play(240, 260, stockFails)
			w.stop()
			return w.one().Cause().Kind
		}
		assert.Equal(t, semconv.CauseChange, play(15*time.Minute))
		assert.Equal(t, semconv.CauseErrors, play(time.Minute))
	})
	t.Run("update_interval", func(t *testing.T) {
		play := func(interval time.Duration) []semconv.IncidentEvent {
			w := newWorld(t, func(c *Config) { c.UpdateInterval = interval })
			w.play(0, 240, calm)
			w.play(240, 300, func(i int) []any {
				front, orders, stock := shop()
				stock.failed = 30
				if i > 245 {
					orders.failed = 30
				}
				if i > 250 {
					front.failed = 30
				}
				return []any{graph(at(i), front, orders, stock)}
			})
			w.stop()
			return w.events()
		}
		assert.Greater(t, len(play(0)), 1)
		assert.Len(t, play(time.Hour), 1)
	})
	end := func(change func(*Config), trouble func(int) []any, after func(int) []any) *semconv.Incident {
		w := newWorld(t, change)
		w.play(0, 240, calm)
		w.play(240, 260, trouble)
		w.play(260, 420, after)
		w.stop()
		return w.one()
	}
	t.Run("resolve_after", func(t *testing.T) {
		assert.Equal(t, semconv.StatusResolved, end(nil, stockFails, calm).Status)
		assert.Equal(t, semconv.StatusOpen, end(func(c *Config) { c.ResolveAfter = time.Hour; c.StaleAfter = time.Hour }, stockFails, calm).Status)
	})
	t.Run("stale_after", func(t *testing.T) {
		others := func(i int) []any { return []any{logs(at(i), record{service: "other", body: "alive"})} }
		assert.Equal(t, semconv.ResolutionNoData, end(nil, stockFails, others).Resolution)
		assert.Equal(t, semconv.StatusOpen, end(func(c *Config) { c.StaleAfter = time.Hour }, stockFails, others).Status)
	})
	t.Run("lateness", func(t *testing.T) {
		play := func(lateness time.Duration) int64 {
			w := newWorld(t, func(c *Config) { c.Lateness = lateness })
			w.play(0, 20, calm)
			w.feed(graph(at(17), call{client: "a", server: "b", n: 1}))
			w.stop()
			return w.count("refused_items", "late")
		}
		assert.Equal(t, int64(2), play(0))
		assert.Equal(t, int64(0), play(30*time.Second))
	})
	t.Run("max_clock_skew", func(t *testing.T) {
		play := func(skew time.Duration) int64 {
			w := newWorld(t, func(c *Config) { c.MaxClockSkew = skew })
			w.play(0, 20, calm)
			w.feed(logs(at(19).Add(time.Minute), record{service: "a", body: "x"}))
			w.stop()
			return w.count("refused_items", "skewed")
		}
		assert.Equal(t, int64(0), play(2*time.Minute))
		assert.Equal(t, int64(1), play(10*time.Second))
	})
	t.Run("bucket", func(t *testing.T) {
		play := func(bucket time.Duration) time.Time {
			w := newWorld(t, func(c *Config) { c.Bucket = bucket; c.ResolveAfter = time.Minute })
			w.play(0, 240, calm)
			w.play(240, 280, stockFails)
			w.stop()
			return w.one().DetectedAt
		}
		assert.Less(t, play(5*time.Second).Sub(at(239)), play(30*time.Second).Sub(at(239)), "a longer bucket is judged later")
		assert.Zero(t, play(30*time.Second).Unix()%30)
	})
	t.Run("normal_after", func(t *testing.T) {
		play := func(after time.Duration) *semconv.Incident {
			w := newWorld(t, func(c *Config) { c.NormalAfter = after; c.BaselineHalfLife = time.Minute })
			w.play(0, 240, calm)
			w.play(240, 620, stockFails)
			w.stop()
			return &w.last()[0]
		}
		assert.Equal(t, semconv.StatusOpen, play(time.Hour).Status)
		assert.Equal(t, semconv.StatusResolved, play(time.Minute).Status, "it is the new normal")
	})
	t.Run("baseline_half_life", func(t *testing.T) {
		// A failure share that was usual long ago surprises those who forget.
		play := func(halfLife time.Duration) int {
			w := newWorld(t, func(c *Config) { c.BaselineHalfLife = halfLife })
			w.play(0, 200, stockFails)
			w.play(200, 600, calm)
			w.play(600, 612, stockFails)
			return found(w)
		}
		assert.Equal(t, 0, play(24*time.Hour))
		assert.Equal(t, 1, play(time.Minute))
	})
}

func TestLogContextsLimitForgetsTheOldest(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.LogContexts = 1 })
	for i := range 5 {
		w.feed(logs(at(0), record{service: "s", body: "x", span: i + 1, severity: plog.SeverityNumberInfo}))
	}
	require.Equal(t, 1, w.metrics.(*metricsView).lease.Engine().flow.Contexts())
	w.stop()
}
