package shop

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hosted is a simulation with a service whose pods are told from outside.
type hosted struct {
	*testing.T
	*Simulation
	service  string
	workload Workload
	made     int
}

func host(t *testing.T, service string, replicas int) *hosted {
	cfg := DefaultConfig()
	cfg.Start = time.Unix(1_700_000_000, 0)
	sim, err := New(cfg)
	require.NoError(t, err)
	i, _ := serviceIndex(service)
	h := &hosted{T: t, Simulation: sim, service: service, workload: Workload{Version: specs[i].version, Replicas: replicas}}
	for range replicas {
		h.add()
	}
	h.tell()
	h.run(30)
	return h
}

// add adds a ready pod of the workload's version.
func (h *hosted) add() {
	h.made++
	h.workload.Pods = append(h.workload.Pods, Pod{
		Name: fmt.Sprintf("%s-%d", h.service, h.made), UID: fmt.Sprint(h.made), Node: "node-1", Version: h.workload.Version, Ready: true,
	})
}

// replace replaces the oldest pod.
func (h *hosted) replace() {
	h.workload.Pods = h.workload.Pods[1:]
	h.add()
	h.tell()
}

func (h *hosted) tell() { require.NoError(h, h.SetPods(h.service, h.workload)) }

func (h *hosted) run(seconds int) {
	for range seconds {
		h.Tick()
	}
}

func (h *hosted) state() ServiceState {
	for _, s := range h.State().Services {
		if s.Name == h.service {
			return s
		}
	}
	h.Fatal("no such service")
	return ServiceState{}
}

func TestOutsidePodsEndTheirFault(t *testing.T) {
	h := host(t, "gateway", 2)
	_, err := h.Inject(Fault{Kind: ErrorBurst, Service: "gateway"})
	require.NoError(t, err)
	h.run(30)
	both := h.state().ErrorRatio
	assert.InDelta(t, 0.45, both, 0.15)
	h.replace()
	h.run(30)
	assert.InDelta(t, both/2, h.state().ErrorRatio, 0.12, "half of the pods are new")
	assert.Len(t, h.State().Faults, 1)
	h.replace()
	h.run(40)
	assert.Less(t, h.state().ErrorRatio, 0.05)
	require.Len(t, h.State().Ended, 1)
	assert.Equal(t, "cured by restart", h.State().Ended[0].Ended)
}

func TestOutsidePodsOfABadRelease(t *testing.T) {
	h := host(t, "catalogue", 2)
	good := h.workload.Version
	f, err := h.Inject(Fault{Kind: BadDeploy, Service: "catalogue"})
	require.NoError(t, err)
	require.NotEqual(t, good, f.Version)
	h.run(10)
	assert.Less(t, h.state().ErrorRatio, 0.02, "it is not rolled out yet")
	h.workload.Version = f.Version
	h.replace()
	h.replace()
	h.run(30)
	assert.Greater(t, h.state().ErrorRatio, 0.15)
	h.replace() // a restart brings the same release
	h.replace()
	h.run(10)
	require.Len(t, h.State().Faults, 1)
	h.workload.Version = good
	h.replace()
	h.replace()
	h.run(30)
	assert.Empty(t, h.State().Faults)
	assert.Equal(t, "cured by rollback", h.State().Ended[0].Ended)
}

func TestLastingFaultOutlivesPods(t *testing.T) {
	h := host(t, "payment", 2)
	f, err := h.Inject(Fault{Kind: ErrorBurst, Service: "payment", Lasting: true})
	require.NoError(t, err)
	assert.Empty(t, f.Cure)
	h.replace()
	h.replace()
	h.run(30)
	assert.Greater(t, h.state().ErrorRatio, 0.3)
	require.Len(t, h.Clear(f.ID), 1)
	h.run(60)
	assert.Less(t, h.state().ErrorRatio, 0.05)

	plain := newSim(t, DefaultConfig())
	_, err = plain.Inject(Fault{Kind: Crash, Service: "cart", Lasting: true})
	require.NoError(t, err)
	out, err := plain.Act(Action{Name: Restart, Service: "cart"})
	require.NoError(t, err)
	assert.Empty(t, out.Cured)
}

func newSim(t *testing.T, cfg Config) *Simulation {
	t.Helper()
	cfg.Start = time.Unix(1_700_000_000, 0)
	sim, err := New(cfg)
	require.NoError(t, err)
	return sim
}

func TestOutsidePodsThatAreNotReadyGetNothing(t *testing.T) {
	h := host(t, "cart", 2)
	h.workload.Pods[0].Ready = false
	h.tell()
	h.run(5)
	assert.Equal(t, 1, h.state().Available)
	assert.Equal(t, 2, h.state().Replicas)
	h.workload.Pods = nil
	h.tell()
	h.run(5)
	assert.Equal(t, 0, h.state().Available)
	assert.Greater(t, h.state().ErrorRatio, 0.0)
	h.add()
	h.tell()
	h.run(1)
	assert.Greater(t, h.services[cart].pods[0].outside.cold, 0.5, "new pods are slow at first")
	h.run(40)
	assert.Less(t, h.services[cart].pods[0].outside.cold, 0.01)
	assert.Equal(t, 1, h.state().Available)
}

func TestOutsideCrashAndKillForMemory(t *testing.T) {
	h := host(t, "cart", 1)
	down := func() string { return h.PodStates()[0].Down }
	assert.Empty(t, down())
	f, err := h.Inject(Fault{Kind: Crash, Service: "cart"})
	require.NoError(t, err)
	h.run(2)
	assert.Equal(t, ReasonError, down())
	h.workload.Pods[0].Restarts++ // in vain: the pod is the same
	h.tell()
	h.run(2)
	assert.Equal(t, ReasonError, down())
	require.Len(t, h.Clear(f.ID), 1)

	_, err = h.Inject(Fault{Kind: MemoryLeak, Service: "cart"})
	require.NoError(t, err)
	h.run(60)
	assert.Equal(t, ReasonOOMKilled, down())
	h.workload.Pods[0].Restarts++
	h.tell()
	h.run(1)
	assert.Empty(t, down(), "the container is back")
	assert.Less(t, h.state().Memory, 0.7)
	h.run(60)
	assert.Equal(t, ReasonOOMKilled, down(), "and leaks again")
}

func TestOutsideActionsAreRefused(t *testing.T) {
	h := host(t, "cart", 2)
	for _, a := range []ActionName{Restart, Scale, Rollback} {
		_, err := h.Act(Action{Name: a, Service: "cart"})
		assert.ErrorIs(t, err, ErrConflict, a)
	}
	_, err := h.Act(Action{Name: Shed, Service: "cart"})
	require.NoError(t, err)
	assert.ErrorIs(t, h.SetPods("nobody", Workload{}), ErrInvalid)
}

func TestAdmission(t *testing.T) {
	sim := newSim(t, DefaultConfig())
	require.ErrorIs(t, sim.Admit("vital"), ErrInvalid)
	require.NoError(t, sim.Admit("critical"))
	kinds := map[string]RequestKind{}
	for _, k := range RequestKinds() {
		kinds[k.Method+" "+k.Route] = k
	}
	answers := map[string]map[int64]int{}
	for range 60 {
		traces, _, _ := sim.Tick()
		for _, rs := range traces.ResourceSpans().All() {
			if name, _ := rs.Resource().Attributes().Get("service.name"); name.Str() != "frontend" {
				continue
			}
			for _, span := range rs.ScopeSpans().At(0).Spans().All() {
				if k, ok := kinds[span.Name()]; ok {
					status, _ := span.Attributes().Get("http.response.status_code")
					if answers[k.Criticality] == nil {
						answers[k.Criticality] = map[int64]int{}
					}
					answers[k.Criticality][status.Int()]++
					assert.False(t, status.Int() == 429 && span.Status().Code() != 0, "asking for patience is no error")
				}
			}
		}
	}
	assert.Zero(t, answers["critical"][429])
	assert.Positive(t, answers["critical"][200])
	for _, c := range []string{"low", "medium", "high"} {
		assert.Positive(t, answers[c][429], c)
		assert.Zero(t, answers[c][200], c)
	}
}

func TestServicesAreThoseOfTheState(t *testing.T) {
	sim := newSim(t, DefaultConfig())
	services := Services()
	for i, s := range sim.State().Services {
		assert.Equal(t, s.Name, services[i].Name)
		assert.Equal(t, s.Version, services[i].Version)
		assert.Equal(t, s.Replicas, services[i].Replicas)
		assert.Equal(t, s.Criticality, services[i].Criticality)
	}
	assert.True(t, services[ordersDB].Stateful)
}

func TestSteadyLoadDoesNotDependOnTheHour(t *testing.T) {
	mean := func(hour int, steady bool) (load float64) {
		cfg := DefaultConfig()
		cfg.Start, cfg.Steady, cfg.MetricsOnly = time.Date(2026, 3, 4, hour, 0, 0, 0, time.UTC), steady, true
		sim, err := New(cfg)
		require.NoError(t, err)
		for range 20 {
			sim.Tick()
			load += sim.State().Load / 20
		}
		return load
	}
	assert.InDelta(t, mean(3, true), mean(15, true), 0.01)
	assert.Greater(t, mean(15, false), 1.5*mean(3, false))
}

func TestNamespaceIsTold(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Namespace = "shop-7"
	traces, _, _ := newSim(t, cfg).Tick()
	for _, rs := range traces.ResourceSpans().All() {
		namespace, _ := rs.Resource().Attributes().Get("k8s.namespace.name")
		assert.Equal(t, "shop-7", namespace.Str())
	}
}
