package incidentconnector

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/semconv"
)

// TestSeverities is the table of the README.
func TestSeverities(t *testing.T) {
	for _, c := range []struct {
		impact      impactLevel
		criticality string
		want        semconv.Severity
	}{
		{impactGrave, "critical", semconv.SeverityCritical},
		{impactGrave, "high", semconv.SeverityCritical},
		{impactGrave, "medium", semconv.SeverityCritical},
		{impactGrave, "", semconv.SeverityCritical},
		{impactGrave, "low", semconv.SeverityMajor},
		{impactConsiderable, "critical", semconv.SeverityCritical},
		{impactConsiderable, "high", semconv.SeverityMajor},
		{impactConsiderable, "medium", semconv.SeverityMajor},
		{impactConsiderable, "something", semconv.SeverityMajor},
		{impactConsiderable, "low", semconv.SeverityMinor},
		{impactSlight, "critical", semconv.SeverityMajor},
		{impactSlight, "high", semconv.SeverityMajor},
		{impactSlight, "medium", semconv.SeverityMinor},
		{impactSlight, "low", semconv.SeverityMinor},
	} {
		assert.Equal(t, c.want, severities[c.impact][criticalityOf(c.criticality)], "%d %s", c.impact, c.criticality)
	}
	services := func(n int) *semconv.Impact { return &semconv.Impact{Services: make([]string, n)} }
	assert.Equal(t, impactSlight, impactOf(services(2), 0, false))
	assert.Equal(t, impactConsiderable, impactOf(services(3), 0, false))
	assert.Equal(t, impactConsiderable, impactOf(services(1), 1, false))
	assert.Equal(t, impactConsiderable, impactOf(services(1), 0, true))
	assert.Equal(t, impactConsiderable, impactOf(&semconv.Impact{FailureRatio: 0.19}, 1, false))
	assert.Equal(t, impactGrave, impactOf(&semconv.Impact{FailureRatio: 0.2}, 1, false))
}

// TestCriticality lets stock fail for a part of the users; how grave that is depends on what the services say of themselves.
func TestCriticality(t *testing.T) {
	t.Parallel()
	opened := func(failed float64, tiers map[string]string) semconv.Incident {
		w := newWorld(t, nil)
		for name, tier := range tiers {
			w.feed(score(at(0), at(0), map[string]string{semconv.AttrServiceName: name, semconv.AttrServiceCriticality: tier}, "x", 0, 0, 0))
		}
		w.play(1, 240, calm)
		w.play(240, 260, func(i int) []any {
			front, orders, stock := shop()
			front.failed, orders.failed, stock.failed = failed, failed, failed
			return []any{graph(at(i), front, orders, stock)}
		})
		w.stop()
		return *w.one()
	}
	assert.Equal(t, semconv.SeverityMajor, opened(6, nil).Severity)
	assert.Equal(t, semconv.SeverityCritical, opened(6, map[string]string{"stock": "critical"}).Severity, "the cause")
	assert.Equal(t, semconv.SeverityCritical, opened(6, map[string]string{"front": "critical", "stock": "low"}).Severity, "the entry point")
	assert.Equal(t, semconv.SeverityMajor, opened(6, map[string]string{"orders": "critical"}).Severity, "neither")
	assert.Equal(t, semconv.SeverityMinor, opened(6, map[string]string{"front": "low", "stock": "low"}).Severity)
	assert.Equal(t, semconv.SeverityMajor, opened(30, map[string]string{"front": "low", "stock": "low"}).Severity)
}

// TestImpact says how far an incident reaches, and that its severity never drops.
func TestImpact(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 240, calm)
	w.play(240, 260, stockFails)
	impact := w.one().Impact
	assert.Equal(t, []string{"front", "orders"}, impact.Upstream)
	assert.Empty(t, impact.Downstream)
	assert.InDelta(t, 0.75, impact.FailureRatio, 0.05)
	assert.Equal(t, int64(3), impact.Entities)
	require.Equal(t, semconv.SeverityCritical, w.one().Severity)
	w.play(260, 300, func(i int) []any {
		front, orders, stock := shop()
		front.failed, orders.failed, stock.failed = 4, 4, 4
		return []any{graph(at(i), front, orders, stock)}
	})
	w.stop()
	assert.Less(t, w.one().Impact.FailureRatio, 0.2)
	assert.Equal(t, semconv.SeverityCritical, w.one().Severity)
}
