package closedloop

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

// watched is a shop whose vitals are taken.
func watched(t *testing.T, seconds int) (*shop.Simulation, *vitals, func(int)) {
	t.Helper()
	v := newVitals()
	cfg := shop.DefaultConfig()
	cfg.Start, cfg.Steady, cfg.Watch = time.Unix(1_700_000_000, 0), true, v.experienced
	sim, err := shop.New(cfg)
	require.NoError(t, err)
	run := func(n int) {
		for range n {
			traces, _, _ := sim.Tick()
			v.saw(traces)
			v.second()
		}
	}
	run(seconds)
	v.learnt()
	return sim, v, run
}

func TestVitalsOfACalmShop(t *testing.T) {
	sim, v, run := watched(t, 120)
	bad := 0
	for range 300 {
		run(1)
		state := sim.State()
		if len(v.impact(&state)) > 0 || v.degraded(users) {
			bad++
		}
	}
	assert.Less(t, bad, 9, "of 300 seconds")
}

func TestVitalsOfFaults(t *testing.T) {
	for kind, want := range map[shop.FaultKind]string{
		shop.Crash: "cart", shop.ErrorBurst: "payment", shop.BadDeploy: "catalogue", shop.SlowDependency: "cache", shop.CPUHog: "search",
	} {
		t.Run(string(kind), func(t *testing.T) {
			sim, v, run := watched(t, 120)
			_, err := sim.Inject(shop.Fault{Kind: kind})
			require.NoError(t, err)
			felt := false
			for range 20 {
				run(1)
				felt = felt || v.degraded(users)
			}
			state := sim.State()
			assert.Contains(t, v.impact(&state), want)
			assert.True(t, felt || kind == shop.CPUHog, "users feel it; of a slow search a seventh of them")
			sim.Clear("")
			run(60)
			state = sim.State()
			assert.NotContains(t, v.impact(&state), want, "it is over")
		})
	}
}

func TestTwinOfACrashIsAlerted(t *testing.T) {
	got, err := playTwin(1, shop.Fault{Kind: shop.ErrorBurst, Service: "gateway"})
	require.NoError(t, err)
	require.NotNil(t, got.Alerted)
	assert.GreaterOrEqual(t, *got.Alerted, 300.0, "a threshold waits five minutes")
	assert.True(t, got.Right)
	assert.Positive(t, got.Impact)
	assert.Positive(t, got.Degraded)
	assert.Positive(t, got.Times.Triage)
}
