package shop_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// experienced counts what is told of the requests of users.
type experienced struct {
	requests, messages, failed, hollow int
	worst                              time.Duration
}

func watched(cfg *shop.Config) *experienced {
	seen := &experienced{}
	cfg.Watch = func(e shop.Experience) {
		if e.Message {
			seen.messages++
			return
		}
		seen.requests++
		seen.worst = max(seen.worst, e.Took)
		if e.Failed {
			seen.failed++
		}
		if e.Hollow {
			seen.hollow++
		}
	}
	return seen
}

func TestWatchTellsOfEveryRequest(t *testing.T) {
	cfg := config()
	seen := watched(&cfg)
	s := newShop(t, cfg)
	served, _ := watch(s, 60)
	assert.InDelta(t, served["frontend"].served, seen.requests, 5, "but for those still under way")
	assert.Positive(t, seen.messages)
	assert.Zero(t, seen.hollow)

	plain := newShop(t, config())
	again, _ := watch(plain, 60)
	assert.Equal(t, served, again, "being watched changes nothing")

	_, err := s.Inject(shop.Fault{Kind: shop.SilentFailure})
	require.NoError(t, err)
	before := *seen
	run(s, 60)
	assert.InDelta(t, 0.07, float64(seen.hollow-before.hollow)/float64(seen.requests-before.requests), 0.04, "checkouts look well and are not")

	_, err = s.Inject(shop.Fault{Kind: shop.Crash, Service: "gateway"})
	require.NoError(t, err)
	run(s, 3)
	before = *seen
	run(s, 10)
	assert.Equal(t, seen.requests-before.requests, seen.failed-before.failed, "nobody gets through")
}

func TestMicroBurstHurtsSecondsNotAverages(t *testing.T) {
	for _, severity := range []float64{0.6, 1, 1.5} {
		cfg := config()
		seen := watched(&cfg)
		s := newShop(t, cfg)
		run(s, 300)
		calm := *seen
		_, err := s.Inject(shop.Fault{Kind: shop.MicroBurst, Severity: severity})
		require.NoError(t, err)
		var busy int
		for range 300 {
			s.Tick()
			if state(t, s, "search").Queue > 0 {
				busy++
			}
		}
		more := float64(seen.requests-2*calm.requests) / float64(calm.requests)
		assert.Less(t, more, 0.25, "severity %v: hardly more requests on the average", severity)
		assert.Greater(t, busy, 20, "severity %v: they wait", severity)
		assert.Less(t, busy, 150, "severity %v: and mostly they do not", severity)
		assert.Greater(t, seen.worst, calm.worst, "severity %v", severity)
	}
}

func TestGreyFailureBefallsOneReplicaNowAndThen(t *testing.T) {
	s := newShop(t, config())
	_, err := s.Inject(shop.Fault{Kind: shop.GreyFailure})
	require.NoError(t, err)
	failed := func(ticks int) map[string]int {
		out := map[string]int{}
		for range ticks {
			traces, _, _ := s.Tick()
			for _, rs := range traces.ResourceSpans().All() {
				pod, _ := rs.Resource().Attributes().Get(semconv.AttrK8sPodName)
				for _, span := range rs.ScopeSpans().At(0).Spans().All() {
					for _, event := range span.Events().All() {
						if kind, _ := event.Attributes().Get(semconv.AttrExceptionType); kind.Str() == "WorkerStarvationError" {
							out[pod.Str()]++
						}
					}
				}
			}
		}
		return out
	}
	ill := failed(20)
	require.Len(t, ill, 1, "one replica")
	first := state(t, s, "catalogue").Pods[0]
	assert.Greater(t, ill[first], 10)
	run(s, 1) // what began before ends
	assert.Empty(t, failed(9), "well for a while")
	assert.Greater(t, failed(20)[first], 10, "and ill again")
	assert.Equal(t, 3, state(t, s, "catalogue").Available, "and ready all the time")
	_, err = s.Act(shop.Action{Name: shop.Restart, Service: "catalogue"})
	require.NoError(t, err)
	run(s, 2)
	assert.Empty(t, failed(30))
}

func TestSetLoad(t *testing.T) {
	s := newShop(t, config())
	run(s, 5)
	calm := s.State().Load
	require.NoError(t, s.SetLoad(3, 10*time.Second))
	run(s, 6)
	assert.InEpsilon(t, 2*calm, s.State().Load, 0.1, "half way")
	run(s, 10)
	assert.InEpsilon(t, 3*calm, s.State().Load, 0.1)
	require.NoError(t, s.SetLoad(0, 0))
	run(s, 1)
	assert.Zero(t, s.State().Load)
	for _, wrong := range []float64{-1, 21} {
		require.ErrorIs(t, s.SetLoad(wrong, 0), shop.ErrInvalid)
	}
	require.ErrorIs(t, s.SetLoad(1, -time.Second), shop.ErrInvalid)
}

func TestPartialAndPassingFaultsOfPodsToldFromOutside(t *testing.T) {
	pods := func(n, first int) shop.Workload {
		w := shop.Workload{Version: "2.7.1", Replicas: n}
		for i := range n {
			id := strconv.Itoa(first + i)
			w.Pods = append(w.Pods, shop.Pod{Name: "search-" + id, UID: id, Version: "2.7.1", Ready: true})
		}
		return w
	}
	s := newShop(t, config())
	require.NoError(t, s.SetPods("search", pods(2, 0)))
	run(s, 5)
	_, err := s.Inject(shop.Fault{Kind: shop.GreyFailure, Service: "search"})
	require.NoError(t, err)
	_, err = s.Inject(shop.Fault{Kind: shop.MicroBurst, Service: "search"})
	require.NoError(t, err)
	run(s, 5)
	require.Len(t, s.State().Faults, 2)
	well := pods(2, 0)
	well.Pods = append(well.Pods[1:], pods(1, 7).Pods...)
	require.NoError(t, s.SetPods("search", well))
	run(s, 1)
	require.Len(t, s.State().Faults, 1, "the ill replica is gone")
	assert.Equal(t, shop.MicroBurst, s.State().Faults[0].Kind)
	require.NoError(t, s.SetPods("search", pods(8, 0)))
	run(s, 2)
	assert.Empty(t, s.State().Faults, "there is room for a burst")
}
