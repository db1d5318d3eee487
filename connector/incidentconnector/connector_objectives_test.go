package incidentconnector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/semconv"
)

// watching has one objective for the front, and nothing else that opens an incident.
func watching(change func(*ObjectiveConfig)) func(*Config) {
	return func(c *Config) {
		o := ObjectiveConfig{
			Name: "front works", Services: []string{"fr*"}, Target: 0.99,
			Burns: []BurnConfig{{Rate: 14.4, Long: time.Hour, Short: 5 * time.Minute}},
		}
		if change != nil {
			change(&o)
		}
		c.Objectives = []ObjectiveConfig{o}
	}
}

// steadily lets a part of the calls to the front fail, and be slow, from the first one on: it is normal, and too much.
func steadily(failed, took float64) func(i int) []any {
	return func(i int) []any {
		front, orders, stock := shop()
		front.failed, front.took = failed, took
		return []any{graph(at(i), front, orders, stock)}
	}
}

// TestObjective has failures that nothing but the objective finds.
func TestObjective(t *testing.T) {
	hour := inBuckets(time.Hour)
	w := newWorld(t, watching(nil))
	w.play(0, hour/2, steadily(16, 0.03))
	require.Len(t, w.last(), 1)
	open := w.one()
	assert.Equal(t, semconv.StatusOpen, open.Status)
	assert.Equal(t, []string{"front"}, open.EntryPoints)
	require.Len(t, open.Impact.Objectives, 1)
	burn := open.Impact.Objectives[0]
	assert.Equal(t, semconv.ObjectiveBurn{Objective: "front works", Service: "front", BurnRate: burn.BurnRate, BudgetConsumed: burn.BudgetConsumed}, burn)
	assert.GreaterOrEqual(t, burn.BurnRate, 10.0, "two fifths fail, of which a hundredth may")
	assert.Positive(t, burn.BudgetConsumed)
	assert.Less(t, burn.BudgetConsumed, 0.05, "of a month's")
	assert.Equal(t, semconv.SeverityMajor, open.Severity)

	w.play(hour/2, hour/2+inBuckets(10*time.Minute), steadily(0, 0.03))
	w.stop()
	assert.Equal(t, semconv.ResolutionRecovered, w.one().Resolution, "the short window forgets")
	checkLives(t, w.events())
}

// TestObjectiveSettings turns each setting of an objective.
func TestObjectiveSettings(t *testing.T) {
	t.Parallel()
	opened := func(failed, took float64, change func(*ObjectiveConfig)) []semconv.Incident {
		w := newWorld(t, watching(change))
		w.play(0, inBuckets(30*time.Minute), func(i int) []any {
			front, _, _ := shop()
			front.failed, front.took = failed, took
			return []any{graph(at(i), front)}
		})
		w.stop()
		return w.last()
	}
	assert.Len(t, opened(16, 0.03, nil), 1)
	assert.Empty(t, opened(0, 0.03, nil), "nothing fails")
	assert.Empty(t, opened(16, 0.03, func(o *ObjectiveConfig) { o.Services = []string{"orders"} }), "another service")
	assert.Empty(t, opened(16, 0.03, func(o *ObjectiveConfig) { o.Client = "portal" }), "another client")
	assert.Len(t, opened(16, 0.03, func(o *ObjectiveConfig) { o.Client = "*" }), 1)
	assert.Empty(t, opened(16, 0.03, func(o *ObjectiveConfig) { o.Target = 0.95; o.Burns[0].Rate = 19 }), "8 times too fast")
	assert.Empty(t, opened(16, 0.03, func(o *ObjectiveConfig) { o.Burns[0].Rate = 50 }))
	assert.Empty(t, opened(16, 0.03, func(o *ObjectiveConfig) { o.MinEvents = 1e6 }))
	assert.Empty(t, opened(16, 0.03, func(o *ObjectiveConfig) { o.Burns[0].Long = 24 * time.Hour }), "half an hour is little of a day")
	slow := func(o *ObjectiveConfig) { o.Latency = 200 * time.Millisecond }
	assert.Empty(t, opened(16, 0.03, slow), "they fail quickly")
	late := opened(0, 0.8, slow)
	require.Len(t, late, 1)
	assert.Equal(t, "front works", late[0].Impact.Objectives[0].Objective)
	short := func(d time.Duration) time.Time {
		w := newWorld(t, watching(func(o *ObjectiveConfig) { o.Burns[0].Short = d }))
		w.play(0, inBuckets(30*time.Minute), steadily(16, 0.03))
		w.play(inBuckets(30*time.Minute), inBuckets(60*time.Minute), steadily(0, 0.03))
		w.stop()
		require.Equal(t, semconv.StatusResolved, w.one().Status)
		return w.one().ResolvedAt
	}
	assert.Less(t, short(2*time.Minute), short(15*time.Minute))
	consumed := func(window time.Duration) float64 {
		return opened(16, 0.03, func(o *ObjectiveConfig) { o.Window = window })[0].Impact.Objectives[0].BudgetConsumed
	}
	assert.Greater(t, consumed(24*time.Hour), consumed(30*24*time.Hour))
}

// TestObjectiveJoins has a fault that shows in the graph at once and in the objective later: it is one incident, which ends
// when the fault does.
func TestObjectiveJoins(t *testing.T) {
	w := newWorld(t, watching(func(o *ObjectiveConfig) { o.Burns[0].Rate = 5; o.Window = 24 * time.Hour }))
	w.play(0, 240, calm)
	w.play(240, 300, stockFails)
	open := w.one()
	assert.Equal(t, service("stock"), open.Cause().Entity)
	assert.Len(t, open.Impact.Objectives, 1)
	w.play(300, 400, calm)
	w.stop()
	resolved := w.one()
	assert.Equal(t, semconv.ResolutionRecovered, resolved.Resolution)
	assert.WithinDuration(t, at(300), resolved.ResolvedAt, 8*step, "the windows of the objective remember, the incident does not")
}

func TestObjectivesLimit(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		watching(func(o *ObjectiveConfig) { o.Services, o.Client = []string{"*"}, "*" })(c)
		c.Limits.Objectives = 2
	})
	w.play(0, 3, calm)
	w.metrics.(*metricsView).lease.Engine().idle(t.Context(), time.Now())
	assert.Equal(t, int64(2), w.count("held_items", "budgets"))
	assert.Positive(t, w.count("refused_items", "limit"))
	w.stop()
}
