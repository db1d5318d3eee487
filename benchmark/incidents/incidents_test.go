package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

func small() options {
	return options{
		seeds: 1, first: 1, each: 12, pairs: 30, learn: 3 * time.Minute, watch: time.Minute, after: 90 * time.Second,
		evaluate: time.Minute, workers: 2, distortion: distortion{sample: 1},
	}
}

func TestPlan(t *testing.T) {
	plan, err := newPlan(small())
	require.NoError(t, err)
	again, err := newPlan(small())
	require.NoError(t, err)
	assert.Equal(t, plan, again, "drawn from the seed alone")
	kinds, seeds, pairs := map[shop.FaultKind]int{}, map[uint64]bool{}, 0
	for _, s := range plan {
		seeds[s.seed] = true
		for _, f := range s.faults {
			kinds[f.Kind]++
			assert.Contains(t, shop.Targets(f.Kind), f.Service)
		}
		if len(s.faults) == 2 {
			pairs++
			a, b := s.faults[0], s.faults[1]
			assert.False(t, depends(a.Service, b.Service) || depends(b.Service, a.Service), s.name)
			assert.LessOrEqual(t, b.at-a.at, mostApart*time.Second)
			assert.GreaterOrEqual(t, b.at, a.at)
		}
	}
	assert.Len(t, plan, 150)
	assert.Len(t, seeds, 150, "each in a shop of its own")
	assert.Equal(t, 30, pairs)
	for _, k := range shop.SteadyFaultKinds() {
		assert.GreaterOrEqual(t, kinds[k], 12, k)
	}
	o := small()
	o.kinds = []shop.FaultKind{"flood"}
	_, err = newPlan(o)
	assert.ErrorContains(t, err, "flood")
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     int
	}{
		{"cart", "cart", 0},
		{"gateway", "cart", 1},
		{"cart", "gateway", 1},
		{"search", "payment", 3},
	} {
		assert.Equal(t, c.want, distance(c.from, c.to), c)
	}
}

// TestScore judges a scenario that is written down by hand: two faults, five symptoms, two incidents.
func TestScore(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	fault := func(kind shop.FaultKind, service string, at time.Duration) injection {
		return injection{shop.Fault{Kind: kind, Service: service, Severity: 1}, at}
	}
	cause := func(name string, confidence float64) []semconv.Cause {
		return []semconv.Cause{{Entity: semconv.Entity{Type: semconv.EntityService, Name: "shop/" + name}, Confidence: confidence}}
	}
	event := func(second int, causes []semconv.Cause) semconv.IncidentEvent {
		return semconv.IncidentEvent{Time: start.Add(time.Duration(second) * time.Second), Incident: semconv.Incident{Causes: causes}}
	}
	found := func(service, what, incident string) *symptom {
		at := start.Add(70 * time.Second)
		return &symptom{class: "edge", entity: "service:shop/" + service, what: what, incident: incident, found: at, begun: []time.Time{at}}
	}
	j := judged{scenario: scenario{name: "x", faults: []injection{
		fault(shop.ErrorBurst, "payment", time.Minute), fault(shop.CPUHog, "search", time.Minute),
	}}}
	j.trace = trace{start: start, end: start.Add(190 * time.Second), episodes: 1, firing: 3}
	j.trace.symptoms = []*symptom{
		found("payment", "fails", "a"), found("checkout", "fails", "a"), found("search", "slow", "b"),
		found("search", "surge", "a"), found("gateway", "fails", "b"),
	}
	j.trace.incidents = []*incident{
		{id: "a", events: []semconv.IncidentEvent{event(72, cause("checkout", 0.6)), event(80, cause("payment", 0.9))}},
		{id: "b", events: []semconv.IncidentEvent{event(75, cause("search", 0.8))}},
	}
	alone := []trace{
		{start: start, symptoms: []*symptom{found("payment", "fails", ""), found("checkout", "fails", ""), found("gateway", "fails", "")}},
		{start: start, symptoms: []*symptom{found("search", "slow", ""), found("gateway", "fails", "")}},
	}
	j.label(alone)
	assert.Equal(t, []labels{1, 1, 2, 2, 3}, j.labels, "the surge is of the nearest injection, the gateway of both")

	o := small()
	o.watch = 2 * time.Minute
	j.score(o)
	assert.Equal(t, counts{
		alerts: 1 + 5, firing: 3 + 5*3, incidents: 2, together: 1, mixed: 2, apart: 1, held: 4, pure: 3,
	}, j.counts)
	payment, search := j.results[0], j.results[1]
	assert.True(t, payment.Detected && payment.RootKept && !payment.Merged)
	assert.Equal(t, 1, payment.Incidents)
	assert.False(t, payment.Opening.Top1)
	assert.True(t, payment.Last.Top1)
	assert.InDelta(t, 12, payment.Detect, 0)
	assert.InDelta(t, 20, payment.Cause, 0)
	assert.True(t, search.Opening.Top1)
	assert.Equal(t, 1, search.Incidents)
	assert.Equal(t, []guess{
		{shop.ErrorBurst, true, 0.6, false},
		{shop.ErrorBurst, false, 0.9, true},
		{shop.ErrorBurst, true, 0.8, true},
		{shop.ErrorBurst, false, 0.8, true},
	}, j.guesses)
}

// TestRun plays a few injections through the components.
func TestRun(t *testing.T) {
	o := small()
	o.each, o.pairs, o.kinds = 1, 1, []shop.FaultKind{shop.ErrorBurst}
	o.out = t.TempDir() + "/out.jsonl"
	var out strings.Builder
	require.NoError(t, run(t.Context(), o, &out))
	assert.Contains(t, out.String(), "compression")
	assert.Contains(t, out.String(), "expected calibration error")

	for name, d := range map[string]distortion{
		"edges": {sample: 1, dropEdges: 1}, "sample": {sample: 0.01}, "skew": {sample: 1, skew: 30 * time.Second}, "late": {sample: 1, late: time.Minute},
	} {
		o.distortion, o.out, o.pairs = d, "", 0
		var distorted strings.Builder
		require.NoError(t, run(t.Context(), o, &distorted), name)
		assert.NotEqual(t, out.String(), distorted.String(), name)
	}
}
