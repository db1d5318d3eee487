package closedloop

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/experiments/internal/result"
	"github.com/paramedic-otel/paramedic/internal/remediationaccess"
	"github.com/paramedic-otel/paramedic/internal/shop"
)

func handledCase() record {
	return record{
		Seed: 1, Kind: shop.Crash, Service: "cart", Detected: new(8.0), Named: new(9.0), Acted: new(10.0), Started: new(22.0), Recovered: new(27.0),
		Verified: new(60.0), Impact: 0.2, Degraded: 90, Actions: []act{{Action: "rollout_restart", Target: "Deployment s/cart", Verdict: "succeeded", Right: true}},
	}
}

func TestMeasure(t *testing.T) {
	escalated := record{
		Seed: 2, Kind: shop.ErrorBurst, Service: "payment", Lasting: true, Detected: new(7.0), Escalated: new(100.0), Report: true, Impact: 0.4,
		Actions: []act{{Action: "rollout_restart", Target: "Deployment s/gateway", Verdict: "failed", Harm: true}},
	}
	m := measure([]record{handledCase(), escalated})
	assert.Equal(t, []float64{8, 7}, m.detected)
	assert.Equal(t, []float64{1}, m.rooted)
	assert.Equal(t, []float64{15}, m.net, "27 s less the 12 s that pods took to start")
	assert.InDelta(t, 0.5, m.success(), 1e-9)
	assert.InDelta(t, 0.5, m.cures(), 1e-9)
	assert.InDelta(t, 0.3, m.meanImpact(), 1e-9)
	assert.Equal(t, []int{1, 1, 1, 1, 1}, []int{m.wrong, m.harmful, m.futile, m.escalated, m.withReports})
	assert.Equal(t, measured{}, measure(nil))
	assert.Contains(t, harmful([]record{escalated}), "rollout_restart of gateway for error-burst of payment (seed 2)")
	assert.Contains(t, wrong([]record{escalated}), "gateway")
	assert.Contains(t, unverified([]record{handledCase(), escalated}), "not handled: error-burst of payment (seed 2)")
}

func TestGoalsOfWhatNeverCame(t *testing.T) {
	r := &result.Result{}
	goals(r, measure([]record{{Kind: shop.Crash}}), []record{{Kind: shop.Crash}})
	for _, g := range r.Goals {
		if g.Got == nil {
			assert.False(t, g.Met, g.What)
			assert.NotEmpty(t, g.Why, g.What)
		}
	}
}

func TestWorkloadOfATarget(t *testing.T) {
	for name, want := range map[string]string{
		"shop/cart": "cart", "Deployment shop-x7/orders-db": "orders-db", "shop/orders-db/orders": "orders-db", "elsewhere": "elsewhere", "CronJob shop-x/cache-flush": "CronJob shop-x/cache-flush",
	} {
		assert.Equal(t, want, workload(name))
	}
	assert.True(t, cures(shop.FaultStatus{Cure: shop.Rollback}, "rollback"))
	assert.False(t, cures(shop.FaultStatus{Cure: shop.Scale}, "rollout_restart"))
	assert.False(t, cures(shop.FaultStatus{}, "rollout_restart"))
}

// TestConfigurations has the playbooks checked as the exporter does, and asks what they need.
func TestConfigurations(t *testing.T) {
	for name, list := range map[string]string{"playbooks": playbooks, "shedding": sheddingPlaybooks} {
		s := &stage{setup: setup{playbooks: list}}
		text := s.config(map[string]string{
			"HEALTH": "127.0.0.1:1", "OTLP": "127.0.0.1:2", "STATE": "/tmp/state", "HOOK": "http://127.0.0.1:3", "SECRET": "whsec_ZXhwZXJpbWVudHMtdGVzdC1zZWNyZXQtMDEyMzQ1Njc4OQ==",
			"KUBECONFIG": "/tmp/kubeconfig", "HOME": "paramedic-1", "SHOP": "shop-1",
		})
		assert.NotContains(t, text, "SHOP", name)
		executors, err := remediationaccess.Load(t.Context(), []string{"yaml:" + text}, nil)
		require.NoError(t, err, name)
		access, err := remediationaccess.New(executors, remediationaccess.Options{Optional: true})
		require.NoError(t, err, name)
		manifests, err := access.YAML()
		require.NoError(t, err, name)
		assert.Contains(t, string(manifests), "namespace: shop-1", name)
		assert.NotContains(t, string(manifests), "secrets", name)
	}
}
