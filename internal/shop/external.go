package shop

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Pod is a pod that somebody else runs, such as a Kubernetes cluster.
type Pod struct {
	// Name and Node are those that the cluster gave; UID tells it from another pod of the same name.
	Name, UID, Node string
	// Version is what it runs.
	Version string
	// Restarts counts those of its container.
	Restarts int64
	// Ready is whether it gets requests.
	Ready bool
}

// Workload is what a cluster tells of a service.
type Workload struct {
	// Version is the one that its pods should have; a pod may be older.
	Version string
	// Replicas is how many pods there should be.
	Replicas int
	// Pods are those that there are.
	Pods []Pod
}

// Reasons why the container of a pod has ended.
const (
	ReasonError     = "Error"
	ReasonOOMKilled = "OOMKilled"
)

const (
	// outOfMemoryAfter is how many seconds a container lives with full memory.
	outOfMemoryAfter = 12
	// coldSlow is by how much a container is slower at first: empty caches, code that is not compiled yet; coldFor is the
	// time in seconds in which that falls to a third.
	coldSlow = 1.0
	coldFor  = 5
)

type podSet map[string]bool // by UID

// outside is what a cluster tells of a pod that it runs.
type outside struct {
	uid      string
	ready    bool
	cold     float64 // how much slower it is
	fullFor  int     // seconds with full memory
	killedBy string  // why its container does not run
}

// effect is what the pod's own state does to it.
func (o *outside) effect() effect {
	return effect{slow: 1 + o.cold, capacity: 1 / (1 + o.cold), down: o.killedBy != ""}
}

// advance ages a pod that runs by one tick.
func (o *outside) advance(p *pod) {
	if o.uid == "" {
		return
	}
	if o.ready {
		o.cold *= math.Exp(-1.0 / coldFor)
	}
	if p.memLeak == 0 || p.memory < memoryFull {
		o.fullFor = 0
		return
	}
	if o.fullFor++; o.fullFor >= outOfMemoryAfter {
		o.killedBy, o.fullFor = ReasonOOMKilled, 0
	}
}

// takesRequests reports whether requests are sent to the pod if it is up.
func (p *pod) takesRequests() bool { return !p.svc.external || p.outside.ready }

// SetPods tells which pods a service has from now on: its faults befall those that there are, and end with them. From the first
// call on, [Restart], [Scale] and [Rollback] of the service are not for the simulation to do, and their change events not
// for it to tell. The pods of the first call are warm, those that come later are cold at first.
func (s *Simulation) SetPods(service string, w Workload) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := serviceIndex(service)
	if !ok {
		return fmt.Errorf("%w: service must be one of %s, got %q", ErrInvalid, strings.Join(ServiceNames(), ", "), clip(service))
	}
	svc, now := s.services[i], s.now()
	first := !svc.external
	svc.external, svc.desired, svc.version = true, w.Replicas, w.Version
	old := svc.pods
	svc.pods = make([]*pod, 0, len(w.Pods))
	anew := false
	for n, told := range w.Pods {
		p := find(old, told.UID)
		if p == nil {
			p = &pod{svc: svc, number: n, name: told.Name, instance: told.UID, node: told.Node, version: told.Version, started: now, restarts: told.Restarts}
			p.outside = outside{uid: told.UID}
			if !first {
				p.outside.cold, anew = coldSlow, true
			}
		}
		if told.Restarts > p.restarts {
			s.containerRestarted(p, told, now)
			anew = true
		}
		p.node, p.outside.ready = told.Node, told.Ready
		svc.pods = append(svc.pods, p)
	}
	if anew && svc.index == cache {
		s.hitRatio = flushedRatio
	}
	return nil
}

func find(pods []*pod, uid string) *pod {
	i := slices.IndexFunc(pods, func(p *pod) bool { return p.outside.uid == uid })
	if i < 0 {
		return nil
	}
	return pods[i]
}

// containerRestarted makes the pod's container a new one.
func (s *Simulation) containerRestarted(p *pod, told Pod, now time.Time) {
	p.restarts, p.started = told.Restarts, now
	p.memLeak = 0
	p.metrics.reset()
	p.outside.cold, p.outside.fullFor, p.outside.killedBy = coldSlow, 0, ""
	s.addLog(crashRecord(p, now))
}

// befall has a fault hit the pods that there are, or those of a release that is still to come.
func (s *Simulation) befall(f *activeFault, svc *service) {
	if f.Cure() == Rollback {
		f.version = svc.nextVersion()
		return
	}
	f.pods = podSet{}
	for _, p := range svc.pods {
		if f.pods[p.outside.uid] = true; f.Kind == GreyFailure {
			return // one replica
		}
	}
}

// afflicts reports whether the fault harms a pod of its service.
func (f *activeFault) afflicts(p *pod) bool {
	switch {
	case !p.svc.external || f.Lasting:
		return f.Kind != GreyFailure || p == p.svc.pods[0]
	case f.version != "":
		return p.version == f.version
	default:
		return f.pods[p.outside.uid]
	}
}

// endOutlived ends the faults whose pods are gone.
func (s *Simulation) endOutlived() {
	for _, f := range slices.Clone(s.active) {
		svc := s.services[f.service]
		if !svc.external || f.Lasting || f.Kind == TrafficSurge {
			continue
		}
		if f.Kind == MicroBurst {
			if f.absorbed(svc, svc.available()) {
				s.end(f, "cured by "+string(Scale))
			}
			continue
		}
		afflicted := slices.ContainsFunc(svc.pods, f.afflicts)
		switch {
		case f.version != "" && !f.seen:
			f.seen = afflicted
		case !afflicted && svc.version != f.version:
			s.end(f, "cured by "+string(f.Cure()))
		}
	}
}

// PodState is how the container of a pod is.
type PodState struct {
	Service, Name, UID string
	// Down is why the container does not run: [ReasonError], [ReasonOOMKilled], or empty if it runs.
	Down string
}

// PodStates returns the state of all pods whose services were told by [Simulation.SetPods].
func (s *Simulation) PodStates() []PodState {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []PodState
	for _, svc := range s.services {
		for _, p := range svc.pods {
			if !svc.external {
				continue
			}
			st := PodState{Service: svc.spec.name, Name: p.name, UID: p.outside.uid, Down: p.outside.killedBy}
			if st.Down == "" && p.effect.down {
				st.Down = ReasonError
			}
			out = append(out, st)
		}
	}
	return out
}

// Service is what a cluster has to know of a service to run it.
type Service struct {
	Name, Criticality, Version string
	// Stateful is a data store.
	Stateful bool
	Replicas int
	// CPULimit is in cores, MemoryLimit in bytes; both for one pod.
	CPULimit, MemoryLimit float64
}

// Services returns all services, front to back, as they are before anything happens to them.
func Services() []Service {
	out := make([]Service, 0, len(specs))
	for i := range specs {
		s := &specs[i]
		out = append(out, Service{
			Name: s.name, Criticality: s.criticality, Version: s.version, Stateful: s.store(), Replicas: s.replicas,
			CPULimit: s.cpuLimit, MemoryLimit: s.memLimit,
		})
	}
	return out
}
