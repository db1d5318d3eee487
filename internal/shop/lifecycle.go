package shop

import (
	"fmt"
	"slices"
	"time"
)

// FaultStatus tells of a fault that is or was in force.
type FaultStatus struct {
	ID       string    `json:"id"`
	Kind     FaultKind `json:"kind"`
	Service  string    `json:"service"`
	Severity float64   `json:"severity"`
	Since    time.Time `json:"since"`
	// Until is when the fault ended, or will end by itself; nil if it lasts until cured.
	Until *time.Time `json:"until,omitempty"`
	// Ended says why the fault is over; empty while it is in force.
	Ended string `json:"ended,omitempty"`
	// Cure is the action that cures it; empty if none does.
	Cure ActionName `json:"cure"`
	// Version is that of the bad release, if it is one.
	Version string `json:"version,omitempty"`
}

func (f *activeFault) status() FaultStatus {
	st := FaultStatus{ID: f.id, Kind: f.Kind, Service: f.Service, Severity: f.Severity, Since: f.since, Cure: f.Cure(), Version: f.version}
	if f.Duration > 0 {
		until := f.since.Add(f.Duration)
		st.Until = &until
	}
	return st
}

// Inject puts the shop into trouble from the present simulated time on.
func (s *Simulation) Inject(f Fault) (FaultStatus, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inject(f)
}

func (s *Simulation) inject(f Fault) (FaultStatus, error) {
	service, err := f.normalise()
	if err != nil {
		return FaultStatus{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(s.active) >= maxActive {
		return FaultStatus{}, fmt.Errorf("%w: at most %d faults at once", ErrConflict, maxActive)
	}
	for _, a := range s.active {
		if a.Kind == f.Kind && a.service == service {
			return FaultStatus{}, fmt.Errorf("%w: %s is in force as %s", ErrConflict, f, a.id)
		}
	}
	s.faults++
	a := &activeFault{Fault: f, id: fmt.Sprintf("fault-%d", s.faults), service: service, since: s.now(), crowd: 1}
	svc := s.services[service]
	switch {
	case svc.external:
		s.befall(a, svc)
	case a.Cure() == Rollback:
		s.release(svc)
		a.version = svc.version
	}
	s.active = append(s.active, a)
	return a.status(), nil
}

// Clear ends the active faults that have the ID, or all if it is empty, without any action of the shop's operators but
// rolling bad releases back. It returns those that it ended.
func (s *Simulation) Clear(id string) []FaultStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := []FaultStatus{}
	for _, f := range slices.Clone(s.active) {
		if id == "" || f.id == id {
			ended = append(ended, s.expire(f, "cleared"))
		}
	}
	return ended
}

// expire ends a fault for another reason than a cure.
func (s *Simulation) expire(f *activeFault, why string) FaultStatus {
	if svc := s.services[f.service]; f.version != "" && svc.version == f.version && !svc.external {
		if _, err := s.rollback(svc); err != nil {
			panic("shop: a bad release has no version before it: " + err.Error())
		}
	}
	return s.end(f, why)
}

func (s *Simulation) end(f *activeFault, why string) FaultStatus {
	s.active = slices.DeleteFunc(s.active, func(a *activeFault) bool { return a == f })
	st, now := f.status(), s.now()
	st.Ended, st.Until = why, &now
	if len(s.ended) == maxEnded {
		s.ended = s.ended[1:]
	}
	s.ended = append(s.ended, st)
	return st
}

// schedule starts and ends faults whose time has come.
func (s *Simulation) schedule(now time.Time) {
	for _, f := range slices.Clone(s.active) {
		if f.Duration > 0 && !now.Before(f.since.Add(f.Duration)) {
			s.expire(f, "duration over")
		}
	}
	for len(s.scheduled) > 0 && !now.Before(s.cfg.Start.Add(s.scheduled[0].Offset)) {
		f := s.scheduled[0].Fault
		s.scheduled = s.scheduled[1:]
		if _, err := s.inject(f); err != nil {
			s.refused++
		}
	}
}

// State is a picture of the shop for people and tests.
type State struct {
	Time     time.Time      `json:"time"`
	Load     float64        `json:"load_requests_per_second"`
	HitRatio float64        `json:"cache_hit_ratio"`
	Services []ServiceState `json:"services"`
	Faults   []FaultStatus  `json:"faults"`
	Ended    []FaultStatus  `json:"ended_faults"`
	// RefusedFaults counts scheduled faults that could not be injected; Pending and Dropped the records that wait for
	// their time and those beyond max_pending.
	RefusedFaults int64 `json:"refused_faults"`
	Pending       int   `json:"pending_records"`
	Dropped       int64 `json:"dropped_records"`
}

// ServiceState is a picture of one service. Rate, ErrorRatio and Latency are means over the last ten seconds or so.
type ServiceState struct {
	Name        string   `json:"name"`
	Tier        string   `json:"tier"`
	Criticality string   `json:"criticality"`
	Version     string   `json:"version"`
	Replicas    int      `json:"replicas"`
	Available   int      `json:"available"`
	Pods        []string `json:"pods"`
	Utilisation float64  `json:"utilisation"`
	Queue       float64  `json:"queue"`
	Shed        float64  `json:"shed"`
	CPU         float64  `json:"cpu_limit_utilization"`
	Memory      float64  `json:"memory_limit_utilization"`
	Rate        float64  `json:"requests_per_second"`
	ErrorRatio  float64  `json:"error_ratio"`
	Latency     float64  `json:"latency_seconds"`
}

// State returns a picture of the shop as it is now.
func (s *Simulation) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := State{
		Time: s.now(), Load: s.load, HitRatio: s.hitRatio, Faults: []FaultStatus{}, Ended: append([]FaultStatus{}, s.ended...),
		RefusedFaults: s.refused, Pending: s.calendar.held, Dropped: s.calendar.dropped,
	}
	for _, f := range s.active {
		st.Faults = append(st.Faults, f.status())
	}
	for _, svc := range s.services {
		v := ServiceState{
			Name: svc.spec.name, Tier: svc.spec.tier, Criticality: svc.spec.criticality, Version: svc.version,
			Replicas: svc.wanted(), Available: svc.available(), Utilisation: svc.use, Queue: svc.backlog + svc.lag,
			Shed: svc.shed, Rate: svc.recent.rate,
		}
		v.ErrorRatio, v.Latency = svc.recent.ratios()
		for _, p := range svc.pods {
			v.Pods = append(v.Pods, p.name)
			v.CPU += p.cpu / float64(len(svc.pods))
			v.Memory += p.memory / float64(len(svc.pods))
		}
		st.Services = append(st.Services, v)
	}
	return st
}
