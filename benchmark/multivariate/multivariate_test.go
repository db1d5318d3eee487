package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

func TestCount(t *testing.T) {
	at := func(minutes int) time.Time { return monday.Add(time.Duration(minutes) * time.Minute) }
	labels := []label{
		{kind: "cpu", entity: "cart", start: at(10), end: at(20)},
		{kind: "cpu", entity: "user", start: at(30), end: at(40)},
		{kind: "network", entity: "cart", start: at(50), end: at(60)},
	}
	a := &alarms{all: []alarm{
		{entity: "cart", start: at(2), end: at(3)},   // before all
		{entity: "cart", start: at(12), end: at(25)}, // right
		{entity: "cart", start: at(35), end: at(36)}, // in the time of another's
		{entity: "user", start: at(45), end: at(46)}, // wrong
		{entity: "cart", start: at(49), end: at(51)}, // right, from before the label on
	}}
	var missed []label
	wrong := 0
	of := count(a, labels, at(5), true, func(l label, found bool) {
		if !found {
			missed = append(missed, l)
		}
	}, func(alarm) { wrong++ })
	assert.Equal(t, labels[1:2], missed)
	assert.Equal(t, 1, wrong)
	assert.Equal(t, 3, of["all"].alarms)
	assert.Equal(t, 2, of["all"].right)
	assert.Equal(t, 2, of["all"].found)
	assert.Equal(t, []time.Duration{2 * time.Minute, 0}, of["all"].delays)
	assert.Equal(t, 1, of["cpu"].found)
	assert.Equal(t, 2, of["cpu"].labels)
	assert.Equal(t, 1, of["network"].found)
	strict := count(a, labels, at(5), false, func(label, bool) {}, func(alarm) {})
	assert.Equal(t, 4, strict["all"].alarms)
}

// Outside of breaks nothing changes, but for what a counter has missed; counters never fall.
func TestBreaker(t *testing.T) {
	cfg := shop.DefaultConfig()
	cfg.Start, cfg.MetricsOnly, cfg.MetricsInterval, cfg.Period, cfg.Rate = monday, true, 10*time.Second, 2*time.Hour, 5
	sim, err := shop.New(cfg)
	require.NoError(t, err)
	b := newBreaker(rand.New(rand.NewPCG(1, 1)), int(cfg.Period/2/cfg.MetricsInterval), cfg.MetricsInterval)
	last := map[string]float64{}
	changed := 0
	for range 4 * 3600 {
		_, md, _ := sim.Tick()
		if md.DataPointCount() == 0 {
			continue
		}
		before := pmetric.NewMetrics()
		md.CopyTo(before)
		b.pass(md, sim.Now(), sim.Now().After(monday.Add(2*time.Hour)))
		if len(b.labels) == 0 {
			same(t, before, md)
		} else if total(md) != total(before) {
			changed++
		}
		for _, rm := range md.ResourceMetrics().All() {
			pod, _ := rm.Resource().Attributes().Get("k8s.pod.name")
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				if m.Name() != "k8s.pod.network.io" {
					continue
				}
				for _, p := range m.Sum().DataPoints().All() {
					d, _ := p.Attributes().Get("direction")
					key := pod.AsString() + d.AsString()
					require.GreaterOrEqual(t, float64(p.IntValue()), last[key])
					last[key] = float64(p.IntValue())
				}
			}
		}
	}
	assert.NotEmpty(t, b.labels)
	assert.Positive(t, changed)
	for _, l := range b.labels {
		assert.Equal(t, breakLasts, l.end.Sub(l.start))
	}
}

func same(t *testing.T, want, got pmetric.Metrics) {
	t.Helper()
	require.InDelta(t, total(want), total(got), 1e-6*total(want))
}

// total adds up everything in metrics.
func total(md pmetric.Metrics) float64 {
	sum := 0.0
	number := func(points pmetric.NumberDataPointSlice) {
		for _, p := range points.All() {
			sum += p.DoubleValue() + float64(p.IntValue())
		}
	}
	for _, rm := range md.ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			switch m.Type() {
			case pmetric.MetricTypeGauge:
				number(m.Gauge().DataPoints())
			case pmetric.MetricTypeSum:
				number(m.Sum().DataPoints())
			case pmetric.MetricTypeHistogram:
				for _, p := range m.Histogram().DataPoints().All() {
					sum += p.Sum() + float64(p.Count())
				}
			default:
			}
		}
	}
	return sum
}
