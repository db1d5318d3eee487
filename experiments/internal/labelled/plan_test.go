package labelled

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

func TestPlan(t *testing.T) {
	plan := newPlan(1, false)
	assert.Equal(t, plan, newPlan(1, false), "drawn from the seed alone")
	assert.NotEqual(t, plan, newPlan(2, false))
	type group struct {
		kind      shop.FaultKind
		intensity Intensity
	}
	groups, levels := map[group]int{}, map[string]int{}
	ids := map[int]bool{}
	for _, c := range plan {
		assert.LessOrEqual(t, len(c.cases), chainLength)
		for _, k := range c.cases {
			ids[k.ID] = true
			assert.Equal(t, c.level, k.Level)
			if k.Kind() == "" {
				levels[k.Level.Name]++
				continue
			}
			groups[group{k.Kind(), k.Intensity}]++
			assert.NotEqual(t, "idle", k.Level.Name, "nobody is there to be harmed")
			if k.Overload {
				continue
			}
			sim, err := shop.New(func() shop.Config { cfg := shop.DefaultConfig(); cfg.Start = c.start; return cfg }())
			require.NoError(t, err)
			_, err = sim.Inject(k.Fault)
			require.NoError(t, err, "%s", k)
		}
	}
	assert.Len(t, ids, 452)
	for _, kind := range shop.FaultKinds() {
		for _, in := range Intensities {
			assert.Equal(t, eachFault, groups[group{kind, in}], "%s %s", kind, in)
		}
	}
	assert.Equal(t, eachWindow, groups[group{overloadKind, ""}])
	for _, l := range Levels {
		assert.Equal(t, eachWindow, levels[l.Name], l.Name)
	}
}

func TestQuickPlanHasEveryKindOnce(t *testing.T) {
	kinds := map[shop.FaultKind]int{}
	for _, c := range newPlan(1, true) {
		for _, k := range c.cases {
			kinds[k.Kind()]++
		}
	}
	for _, kind := range append(shop.FaultKinds(), overloadKind) {
		assert.Equal(t, 1, kinds[kind], kind)
	}
	assert.Equal(t, len(Levels), kinds[""])
}

// TestScore counts cases whose fate is known.
func TestScore(t *testing.T) {
	fault := Case{Fault: shop.Fault{Kind: shop.Crash, Service: "cart"}, Intensity: Low}
	seen := &detection{after: 9e9, first: true, among: true}
	var s score
	for _, o := range []outcome{
		{Case: fault, harm: 0.5, ours: seen, incidents: 1},
		{Case: fault, harm: 0.5},
		{Case: fault, harm: 0.001, ours: seen, incidents: 2},
		{Case: fault, harm: 0.5, ours: seen, incidents: 1, falseIncidents: 1},
		{Case: Case{}, incidents: 1, ours: seen},
		{Case: Case{}},
	} {
		o.calm = gap
		s.add(&o, false)
	}
	assert.InDelta(t, 2.0/3, s.recall(), 1e-9, "harmless ones do not count")
	assert.InDelta(t, 3.0/4, s.ofAll(), 1e-9)
	assert.InDelta(t, 0.5, s.falseAlarmRate(), 1e-9)
	assert.InDelta(t, 3.0/5, s.precision(), 1e-9, "three of the five windows and gaps with an incident")
	assert.Equal(t, 2, s.falsely)
	assert.InDelta(t, (6*gap+2*window).Hours()/24, s.calmDays, 1e-9)
	assert.InDelta(t, s.perDay(), s.perDayOutside(), 1e-9, "no aftermath here")
	assert.Equal(t, []float64{9, 9}, s.seconds)
	assert.Len(t, s.missed, 1)
}

func TestChainIsTheSameAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs the components for a while")
	}
	c := chain{seed: 4, start: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC), level: Levels[3]}
	c.cases = []Case{{Level: c.level, Fault: shop.Fault{Kind: shop.GreyFailure, Service: "catalogue"}, Intensity: Medium}, {Level: c.level}}
	first, err := c.play(t.Context())
	require.NoError(t, err)
	again, err := c.play(t.Context())
	require.NoError(t, err)
	require.Equal(t, first, again)
	assert.True(t, first[0].faulty())
	require.NotNil(t, first[0].ours)
	assert.True(t, first[0].ours.first)
	assert.True(t, first[1].quiet())
	assert.Equal(t, gap-aftermath, first[1].calm)
}
