package shop_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/shop"
)

func TestTargets(t *testing.T) {
	for _, kind := range shop.FaultKinds() {
		targets := shop.Targets(kind)
		require.NotEmpty(t, targets, kind)
		for _, service := range targets {
			sim, err := shop.New(config())
			require.NoError(t, err)
			_, err = sim.Inject(shop.Fault{Kind: kind, Service: service})
			assert.NoError(t, err, "%s of %s", kind, service)
		}
	}
	assert.Equal(t, []string{"orders-db"}, shop.Targets(shop.DatabaseLocks))
	assert.NotContains(t, shop.Targets(shop.TrafficSurge), "frontend", "a crowd at the door overloads everything behind it too")
	assert.NotContains(t, shop.Targets(shop.NetworkDelay), "notification", "nobody waits for it, nor it for anybody")
	assert.Contains(t, shop.Targets(shop.NetworkDelay), "payment")
	assert.Empty(t, shop.Targets("no-such-fault"))
}

// TestCalls compares the graph with what the traces show.
func TestCalls(t *testing.T) {
	sim, err := shop.New(config())
	require.NoError(t, err)
	_, callers := watch(sim, 120)
	calls := shop.Calls()
	for server, clients := range callers {
		if server == "kafka" {
			continue
		}
		for _, client := range clients {
			assert.Contains(t, calls[client], server, client)
		}
	}
	assert.Equal(t, []string{"gateway"}, calls["frontend"])
	assert.Contains(t, calls["checkout"], "notification", "by way of messages")
}
