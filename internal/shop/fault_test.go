package shop_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// figures are what the spans say about a service in some ticks.
type figures struct {
	served, failed int
	seconds        float64
	logs           int
}

func (f figures) latency() float64 { return f.seconds / float64(max(1, f.served)) }

func (f figures) errorRatio() float64 { return float64(f.failed) / float64(max(1, f.served)) }

// watch runs ticks and returns the figures of each service (of data stores as their callers see them) and who calls
// whom.
func watch(s *shop.Simulation, ticks int) (map[string]figures, map[string][]string) {
	seen, callers := map[string]figures{}, map[string][]string{}
	note := func(service string, span ptrace.Span) {
		f := seen[service]
		f.served++
		f.seconds += duration(span).Seconds()
		if span.Status().Code() == ptrace.StatusCodeError {
			f.failed++
		}
		seen[service] = f
	}
	for range ticks {
		traces, _, logs := s.Tick()
		for _, rs := range traces.ResourceSpans().All() {
			name, _ := rs.Resource().Attributes().Get(semconv.AttrServiceName)
			for _, span := range rs.ScopeSpans().At(0).Spans().All() {
				switch span.Kind() {
				case ptrace.SpanKindServer, ptrace.SpanKindConsumer:
					note(name.Str(), span)
				case ptrace.SpanKindClient:
					to, _ := span.Attributes().Get("server.address")
					if !slices.Contains(callers[to.Str()], name.Str()) {
						callers[to.Str()] = append(callers[to.Str()], name.Str())
					}
					if to.Str() == "orders-db" || to.Str() == "cache" {
						note(to.Str(), span)
					}
				}
			}
		}
		for _, rl := range logs.ResourceLogs().All() {
			name, _ := rl.Resource().Attributes().Get(semconv.AttrServiceName)
			f := seen[name.Str()]
			f.logs += rl.ScopeLogs().At(0).LogRecords().Len()
			seen[name.Str()] = f
		}
	}
	return seen, callers
}

// above returns the service and all that call it, directly or not.
func above(service string, callers map[string][]string) map[string]bool {
	set, queue := map[string]bool{service: true}, []string{service}
	for len(queue) > 0 {
		for _, c := range callers[queue[0]] {
			if !set[c] {
				set[c] = true
				queue = append(queue, c)
			}
		}
		queue = queue[1:]
	}
	return set
}

func TestFaultsHurtAndCuresHeal(t *testing.T) {
	for _, tc := range []struct {
		kind    shop.FaultKind
		cause   string
		callers []string
		slower  float64 // least factor on the latency of the cause
		failing float64 // least error ratio of the cause
		after   int     // ticks until it hurts
	}{
		{kind: shop.MemoryLeak, cause: "recommendation", callers: []string{"gateway", "frontend"}, slower: 4, after: 25},
		{kind: shop.CPUHog, cause: "search", callers: []string{"gateway", "frontend"}, slower: 4, after: 2},
		{kind: shop.SlowDependency, cause: "cache", callers: []string{"catalogue", "inventory", "user", "shipping", "frontend"}, slower: 20, after: 2},
		{kind: shop.ErrorBurst, cause: "payment", callers: []string{"checkout"}, failing: 0.3, after: 2},
		{kind: shop.Crash, cause: "cart", callers: []string{"checkout"}, after: 2},
		{kind: shop.BadDeploy, cause: "catalogue", callers: []string{"search", "recommendation"}, slower: 1.4, failing: 0.2, after: 2},
		{kind: shop.DatabaseLocks, cause: "orders-db", callers: []string{"payment", "checkout"}, slower: 20, after: 3},
		{kind: shop.TrafficSurge, cause: "search", callers: []string{"gateway", "frontend"}, slower: 5, failing: 0.1, after: 8},
		{kind: shop.NetworkDelay, cause: "inventory", callers: []string{"cart", "checkout", "gateway"}, slower: 5, after: 2},
		{kind: shop.SilentFailure, cause: "checkout", after: 2},
		{kind: shop.MicroBurst, cause: "search", callers: []string{"gateway", "frontend"}, slower: 5, after: 2},
		{kind: shop.GreyFailure, cause: "catalogue", callers: []string{"search"}, slower: 2, failing: 0.04, after: 2},
	} {
		t.Run(string(tc.kind), func(t *testing.T) {
			s := newShop(t, config())
			run(s, 10)
			calm, callers := watch(s, 200)
			st, err := s.Inject(shop.Fault{Kind: tc.kind})
			require.NoError(t, err)
			require.Equal(t, tc.cause, st.Service, "the default service")
			_, _ = watch(s, tc.after)
			ill, _ := watch(s, 60)

			if tc.slower > 0 {
				assert.Greater(t, ill[tc.cause].latency(), tc.slower*calm[tc.cause].latency(), "latency of the cause")
			}
			assert.GreaterOrEqual(t, ill[tc.cause].errorRatio(), tc.failing, "errors of the cause")
			for _, c := range tc.callers {
				worse := ill[c].latency() > 1.3*calm[c].latency() || ill[c].errorRatio() > 0.05
				assert.True(t, worse, "%s feels it: %v against %v", c, ill[c], calm[c])
			}
			affected := above(tc.cause, callers)
			for _, name := range shop.ServiceNames() {
				// A delayed network is felt by all that its packets go to, and an early return changes the mix below.
				if affected[name] || tc.kind == shop.NetworkDelay || ill[name].served < 20 {
					continue
				}
				assert.Less(t, ill[name].errorRatio(), 0.05, "%s is not to blame", name)
				assert.Less(t, ill[name].latency(), 1.5*calm[name].latency(), "%s is not to blame", name)
			}

			for _, action := range shop.ActionNames() {
				if action == st.Cure || action == shop.Scale || action == shop.Shed {
					continue // the last two blur what follows
				}
				service := st.Service
				if action == shop.FlushCache {
					service = "cache"
				}
				if out, err := s.Act(shop.Action{Name: action, Service: service}); err == nil {
					assert.Empty(t, out.Cured, "%s is no cure", action)
				}
			}
			require.Len(t, s.State().Faults, 1, "nothing has cured it yet")
			out, err := s.Act(shop.Action{Name: st.Cure, Service: st.Service})
			require.NoError(t, err)
			if tc.kind != shop.TrafficSurge { // whose crowd takes a while to leave
				require.Len(t, out.Cured, 1)
				assert.Equal(t, "cured by "+string(st.Cure), out.Cured[0].Ended)
			}
			run(s, 120)
			require.Empty(t, s.State().Faults)
			well, _ := watch(s, 200)
			for _, name := range shop.ServiceNames() {
				assert.Less(t, well[name].latency(), 1.35*calm[name].latency(), "%s is well", name)
				assert.Less(t, well[name].errorRatio(), 0.03, "%s is well", name)
				assert.Greater(t, float64(well[name].served), 0.6*float64(calm[name].served), "%s is used", name)
			}
		})
	}
}

func TestMorePodsAndFewerRequestsCureNothing(t *testing.T) {
	for _, kind := range shop.FaultKinds() {
		s := newShop(t, config())
		st, err := s.Inject(shop.Fault{Kind: kind})
		require.NoError(t, err)
		for _, name := range []shop.ActionName{shop.Shed, shop.Scale} {
			if out, err := s.Act(shop.Action{Name: name, Service: st.Service}); err == nil {
				assert.Empty(t, out.Cured, "%s by %s", kind, name)
			}
		}
		assert.Len(t, s.State().Faults, 1)
	}
}

func TestMemoryLeakFillsMemory(t *testing.T) {
	s := newShop(t, config())
	run(s, 5)
	before := state(t, s, "recommendation").Memory
	_, err := s.Inject(shop.Fault{Kind: shop.MemoryLeak, Severity: 0.1})
	require.NoError(t, err)
	run(s, 60)
	assert.InDelta(t, before+60*0.003, state(t, s, "recommendation").Memory, 0.03, "severity is the speed of the leak")
	run(s, 300)
	assert.Greater(t, state(t, s, "recommendation").Memory, 0.95)
	assert.Less(t, state(t, s, "recommendation").Memory, 1.0)
}

func TestCrashSilencesPodsAndRestartsContainers(t *testing.T) {
	s := newShop(t, config())
	run(s, 5)
	_, err := s.Inject(shop.Fault{Kind: shop.Crash, Service: "cart"})
	require.NoError(t, err)
	run(s, 10)
	seen, _ := watch(s, 20)
	assert.Zero(t, seen["cart"].served)
	assert.Positive(t, seen["cart"].logs, "the kubelet says why")
	v := state(t, s, "cart")
	assert.Zero(t, v.Available)
	assert.Equal(t, 2, v.Replicas)
	assert.Greater(t, v.ErrorRatio, 0.9, "callers are refused")
}

func TestSilentFailureSkipsWorkWithoutErrors(t *testing.T) {
	s := newShop(t, config())
	run(s, 5)
	calm, _ := watch(s, 200)
	_, err := s.Inject(shop.Fault{Kind: shop.SilentFailure})
	require.NoError(t, err)
	run(s, 5)
	ill, _ := watch(s, 200)
	assert.InEpsilon(t, calm["checkout"].served, ill["checkout"].served, 0.35, "requests are answered")
	assert.Less(t, ill["checkout"].errorRatio(), 0.02, "without errors")
	assert.Less(t, ill["checkout"].latency(), 0.3*calm["checkout"].latency())
	for _, name := range []string{"payment", "shipping", "notification"} {
		assert.Zero(t, ill[name].served, "%s hears nothing", name)
	}
	assert.Less(t, float64(ill["checkout"].logs), 0.5*float64(calm["checkout"].logs), "the usual steps are not logged")
}

func TestCrashedConsumerCatchesUp(t *testing.T) {
	s := newShop(t, config())
	run(s, 5)
	st, err := s.Inject(shop.Fault{Kind: shop.Crash, Service: "notification"})
	require.NoError(t, err)
	run(s, 30)
	assert.Greater(t, state(t, s, "notification").Queue, 20.0)
	calm := state(t, s, "checkout")
	assert.Less(t, calm.ErrorRatio, 0.02, "producers do not notice")
	_, err = s.Act(shop.Action{Name: st.Cure, Service: st.Service})
	require.NoError(t, err)
	run(s, 60)
	assert.Zero(t, state(t, s, "notification").Queue)
}

func TestFaultEndsByItselfOrIsCleared(t *testing.T) {
	cfg := config()
	for _, text := range []string{"error-burst@3s+5s", "bad-deploy:search@3s+5s", "crash:cart@1h"} {
		f, err := shop.ParseFault(text)
		require.NoError(t, err)
		cfg.Faults = append(cfg.Faults, f)
	}
	s := newShop(t, cfg)
	run(s, 4)
	st := s.State()
	require.Len(t, st.Faults, 2)
	assert.Equal(t, "2.8.0", state(t, s, "search").Version)
	require.NotNil(t, st.Faults[0].Until)
	assert.Equal(t, cfg.Start.Add(8*time.Second), *st.Faults[0].Until)
	run(s, 6)
	st = s.State()
	assert.Empty(t, st.Faults)
	require.Len(t, st.Ended, 2)
	assert.Equal(t, "duration over", st.Ended[0].Ended)
	assert.Equal(t, "2.7.1", state(t, s, "search").Version, "a bad release is taken back")

	a, err := s.Inject(shop.Fault{Kind: shop.CPUHog})
	require.NoError(t, err)
	_, err = s.Inject(shop.Fault{Kind: shop.CPUHog})
	require.ErrorIs(t, err, shop.ErrConflict)
	_, err = s.Inject(shop.Fault{Kind: shop.CPUHog, Service: "user"})
	require.NoError(t, err)
	assert.Empty(t, s.Clear("no such id"))
	assert.Len(t, s.Clear(a.ID), 1)
	assert.Len(t, s.Clear(""), 1)
	assert.Empty(t, s.State().Faults)
}

func TestParseFault(t *testing.T) {
	for text, want := range map[string]shop.ScheduledFault{
		"crash":                 {Fault: shop.Fault{Kind: shop.Crash, Service: "cart"}},
		"crash:cart":            {Fault: shop.Fault{Kind: shop.Crash, Service: "cart"}},
		"cpu-hog@90s":           {Fault: shop.Fault{Kind: shop.CPUHog, Service: "search"}, Offset: 90 * time.Second},
		"cpu-hog:user@1m+2m30s": {Fault: shop.Fault{Kind: shop.CPUHog, Service: "user", Duration: 150 * time.Second}, Offset: time.Minute},
	} {
		got, err := shop.ParseFault(text)
		require.NoError(t, err, text)
		want.Severity = 1
		assert.Equal(t, want, got, text)
	}
	wrong := map[string]string{
		"":                            `kind must be one of memory-leak`,
		"flood":                       `got "flood"`,
		"crash:":                      `service must follow the colon`,
		"crash:nowhere":               `service must be one of frontend`,
		"crash@":                      `offset must be a duration`,
		"crash@soon":                  `offset must be a duration such as 90s, got "soon"`,
		"crash@-1s":                   `offset must be between`,
		"crash@1s+":                   `duration must be a positive duration`,
		"crash@1s+-1s":                `duration must be a positive duration`,
		"crash@1s+99999h":             `duration must be between`,
		"bad-deploy:cache":            `must not be a data store`,
		"database-locks:cache":        `service of database-locks must be orders-db`,
		"silent-failure:orders-db@1s": `must not be a data store`,
		"grey-failure:cache@1s":       `must not be a data store`,
		"crash:cart:cart@1s+1s":       `service must be one of`,
		"crash@1s@2s":                 `offset must be a duration`,
	}
	for _, text := range slices.Sorted(maps.Keys(wrong)) {
		_, err := shop.ParseFault(text)
		require.ErrorContains(t, err, wrong[text], text)
	}
}

func FuzzParseFault(f *testing.F) {
	for _, text := range []string{"crash", "crash:cart@2m+30s", "database-locks@1s", "traffic-surge:frontend", "@+:", "crash@1s+1ns"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fault, err := shop.ParseFault(text)
		if err != nil {
			return
		}
		cfg := config()
		cfg.Rate, cfg.Faults = 1, []shop.ScheduledFault{fault}
		s, err := shop.New(cfg)
		require.NoError(t, err, "what parses can be run")
		_, err = s.Inject(fault.Fault)
		require.NoError(t, err)
		s.Tick()
	})
}
