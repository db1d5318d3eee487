package shop_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// changes returns the change events among the logs of the next tick.
func changes(s *shop.Simulation) []plog.LogRecord {
	_, _, logs := s.Tick()
	var out []plog.LogRecord
	for _, lr := range records(logs) {
		if lr.EventName() == string(semconv.EventDeploymentChanged) {
			out = append(out, lr)
		}
	}
	return out
}

func TestActionsChangeTheShopAndAreLogged(t *testing.T) {
	for _, tc := range []struct {
		action shop.Action
		kind   string
		check  func(t *testing.T, s *shop.Simulation)
	}{
		{shop.Action{Name: shop.Restart, Service: "cart"}, "restart", func(t *testing.T, s *shop.Simulation) {
			assert.Equal(t, "1.18.0", state(t, s, "cart").Version)
		}},
		{shop.Action{Name: shop.Scale, Service: "cart", Replicas: 5}, "scaling", func(t *testing.T, s *shop.Simulation) {
			assert.Equal(t, 5, state(t, s, "cart").Replicas)
		}},
		{shop.Action{Name: shop.Scale, Service: "cart", Replicas: 1}, "scaling", func(t *testing.T, s *shop.Simulation) {
			assert.Len(t, state(t, s, "cart").Pods, 1)
		}},
		{shop.Action{Name: shop.Rollback, Service: "cart"}, "rollback", func(t *testing.T, s *shop.Simulation) {
			assert.Equal(t, "1.17.9", state(t, s, "cart").Version)
			_, err := s.Act(shop.Action{Name: shop.Rollback, Service: "cart"})
			require.ErrorIs(t, err, shop.ErrConflict, "there is nothing before the first version")
		}},
		{shop.Action{Name: shop.FlushCache, Service: ""}, "flush", func(t *testing.T, s *shop.Simulation) {
			cold := s.State().HitRatio
			assert.Less(t, cold, 0.5)
			run(s, 60)
			assert.Greater(t, s.State().HitRatio, 0.85, "the cache warms up")
		}},
		{shop.Action{Name: shop.Shed, Service: "frontend", Fraction: 0.5}, "configuration", func(t *testing.T, s *shop.Simulation) {
			run(s, 30)
			assert.InDelta(t, 0.5, state(t, s, "frontend").ErrorRatio, 0.1)
			run(s, 300)
			assert.Less(t, state(t, s, "frontend").ErrorRatio, 0.1, "shedding ends after five minutes")
		}},
	} {
		t.Run(string(tc.action.Name), func(t *testing.T) {
			s := newShop(t, config())
			run(s, 10)
			_, err := s.Act(tc.action)
			require.NoError(t, err)
			events := changes(s)
			require.Len(t, events, 1)
			kind, _ := events[0].Attributes().Get(shop.AttrChangeKind)
			assert.Equal(t, tc.kind, kind.Str())
			_, ok := events[0].Attributes().Get(semconv.AttrServiceName)
			assert.True(t, ok)
			tc.check(t, s)
		})
	}
}

func TestBadReleaseIsLogged(t *testing.T) {
	s := newShop(t, config())
	_, err := s.Inject(shop.Fault{Kind: shop.BadDeploy, Service: "cart"})
	require.NoError(t, err)
	events := changes(s)
	require.Len(t, events, 1)
	attrs := events[0].Attributes().AsRaw()
	assert.Equal(t, map[string]any{
		"service.name": "cart", "service.version": "1.19.0", "deployment.previous.version": "1.18.0",
		"deployment.change.kind": "release", "deployment.replicas": int64(2),
	}, attrs)
}

func TestRollbackGoesOneReleaseBack(t *testing.T) {
	s := newShop(t, config())
	for _, kind := range []shop.FaultKind{shop.SilentFailure, shop.BadDeploy} {
		_, err := s.Inject(shop.Fault{Kind: kind, Service: "user"})
		require.NoError(t, err)
	}
	rollback := shop.Action{Name: shop.Rollback, Service: "user"}
	out, err := s.Act(rollback)
	require.NoError(t, err)
	require.Len(t, out.Cured, 1, "the release before is bad too")
	assert.Equal(t, shop.BadDeploy, out.Cured[0].Kind)
	out, err = s.Act(rollback)
	require.NoError(t, err)
	require.Len(t, out.Cured, 1)
	assert.Equal(t, shop.SilentFailure, out.Cured[0].Kind)
	assert.Equal(t, "3.3.0", state(t, s, "user").Version)
}

func TestWrongActionsAreRefused(t *testing.T) {
	s := newShop(t, config())
	for _, tc := range []struct {
		action shop.Action
		want   string
	}{
		{shop.Action{Name: "reboot", Service: "cart"}, "action must be one of"},
		{shop.Action{Name: shop.Restart, Service: "nowhere"}, "service must be one of"},
		{shop.Action{Name: shop.Restart}, "service must be one of"},
		{shop.Action{Name: shop.Scale, Service: "cart", Replicas: 99}, "replicas must be between 1 and 20, got 99"},
		{shop.Action{Name: shop.Scale, Service: "cart", Replicas: -1}, "replicas must be between"},
		{shop.Action{Name: shop.Scale, Service: "orders-db"}, "cannot be scaled"},
		{shop.Action{Name: shop.Rollback, Service: "cache"}, "cannot be rolled back"},
		{shop.Action{Name: shop.FlushCache, Service: "cart"}, "only cache can be flushed"},
		{shop.Action{Name: shop.Shed, Service: "cart", Fraction: 1}, "fraction must be above 0"},
		{shop.Action{Name: shop.Shed, Service: "cart", Fraction: -1}, "fraction must be above 0"},
	} {
		_, err := s.Act(tc.action)
		require.ErrorIs(t, err, shop.ErrInvalid)
		require.ErrorContains(t, err, tc.want)
	}
	assert.Empty(t, changes(s), "nothing happened")
}

func TestActiveFaultsAreBounded(t *testing.T) {
	s := newShop(t, config())
	var err error
	for _, kind := range []shop.FaultKind{shop.CPUHog, shop.ErrorBurst, shop.NetworkDelay} {
		for _, service := range shop.ServiceNames() {
			if _, err = s.Inject(shop.Fault{Kind: kind, Service: service}); err != nil {
				break
			}
		}
	}
	require.ErrorIs(t, err, shop.ErrConflict)
	assert.Len(t, s.State().Faults, 32)
	run(s, 3)
}

func TestEveryFaultOnEveryService(t *testing.T) {
	for _, kind := range shop.FaultKinds() {
		for _, service := range shop.ServiceNames() {
			s := newShop(t, config())
			st, err := s.Inject(shop.Fault{Kind: kind, Service: service, Severity: 3})
			if err != nil {
				require.ErrorIs(t, err, shop.ErrInvalid)
				continue
			}
			run(s, 5)
			_, err = s.Act(shop.Action{Name: st.Cure, Service: service})
			require.NoError(t, err)
			run(s, 2)
		}
	}
}
