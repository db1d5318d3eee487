package shop

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// ActionName names a control action.
type ActionName string

// The control actions.
const (
	// Restart replaces the service's pods (a data store's containers restart in place).
	Restart ActionName = "restart"
	// Scale changes the number of pods; to what the demand needs unless a number is given.
	Scale ActionName = "scale"
	// Rollback replaces the service's pods by ones of the version before.
	Rollback ActionName = "rollback"
	// FlushCache empties the cache, which then warms up again at the database's cost.
	FlushCache ActionName = "flush-cache"
	// Shed makes a service refuse a part of its requests for five minutes. It cures nothing.
	Shed ActionName = "shed"
)

// ActionNames returns all actions.
func ActionNames() []ActionName { return []ActionName{Restart, Scale, Rollback, FlushCache, Shed} }

// Action asks for a control action.
type Action struct {
	Name    ActionName `json:"name"`
	Service string     `json:"service"`
	// Replicas is for [Scale]; 0 leaves it to the demand.
	Replicas int `json:"replicas,omitempty"`
	// Fraction of the requests that [Shed] refuses; 0 means 0.3.
	Fraction float64 `json:"fraction,omitempty"`
}

// Outcome is what an action did.
type Outcome struct {
	Message string `json:"message"`
	// Cured are the faults that the action ended.
	Cured []FaultStatus `json:"cured"`
}

var (
	// ErrInvalid marks a fault or an action that makes no sense in any state.
	ErrInvalid = errors.New("invalid")
	// ErrConflict marks one that the present state does not allow.
	ErrConflict = errors.New("conflict")
)

const (
	maxReplicas     = 20
	maxFraction     = 0.95
	defaultFraction = 0.3
	shedFor         = 5 * time.Minute
	scaleTo         = 0.6 // utilisation that scaling by demand aims at
	flushedRatio    = 0.3 // hit ratio of a flushed cache: the hottest keys are back within a second
)

// Act carries out an action at the present simulated time.
func (s *Simulation) Act(a Action) (Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(ActionNames(), a.Name) {
		return Outcome{}, fmt.Errorf("%w: action must be one of %v, got %q", ErrInvalid, ActionNames(), clip(string(a.Name)))
	}
	if a.Name == FlushCache && a.Service == "" {
		a.Service = specs[cache].name
	}
	i, ok := serviceIndex(a.Service)
	if !ok {
		return Outcome{}, fmt.Errorf("%w: service must be one of %s, got %q", ErrInvalid, strings.Join(ServiceNames(), ", "), clip(a.Service))
	}
	svc := s.services[i]
	if svc.external && slices.Contains([]ActionName{Restart, Scale, Rollback}, a.Name) {
		return Outcome{}, fmt.Errorf("%w: the pods of %s are told from outside", ErrConflict, svc.spec.name)
	}
	var (
		message string
		err     error
	)
	switch a.Name {
	case Restart:
		message = s.restart(svc)
	case Scale:
		message, err = s.scale(svc, a.Replicas)
	case Rollback:
		message, err = s.rollback(svc)
	case FlushCache:
		message, err = s.flush(svc)
	case Shed:
		message, err = s.shedLoad(svc, a.Fraction)
	}
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Message: message, Cured: []FaultStatus{}}
	for _, f := range slices.Clone(s.active) {
		if f.service != i || f.Cure() != a.Name {
			continue
		}
		// The crowd of a surge leaves by itself once there is room for it, a burst hurts nobody if there is, and a bad release that
		// others were built on is still in the one before.
		crowded := f.Kind == TrafficSurge || f.Kind == MicroBurst && !f.absorbed(svc, len(svc.pods))
		if !crowded && (f.version == "" || !svc.contains(f.version)) {
			out.Cured = append(out.Cured, s.end(f, "cured by "+string(a.Name)))
		}
	}
	return out, nil
}

func (s *Simulation) restart(svc *service) string {
	now := s.now()
	if svc.spec.store() {
		for _, p := range svc.pods {
			p.restarts++
			p.started = now
			p.memLeak = 0
			p.metrics.reset()
		}
	} else {
		svc.rollout(len(svc.pods), now)
	}
	svc.backlog = 0
	if svc.index == cache {
		s.hitRatio = flushedRatio
	}
	s.changed(svc, change{kind: "restart", version: svc.version, replicas: len(svc.pods)})
	return fmt.Sprintf("restarted %d pods of %s", len(svc.pods), svc.spec.name)
}

func (s *Simulation) scale(svc *service, replicas int) (string, error) {
	if replicas < 0 || replicas > maxReplicas {
		return "", fmt.Errorf("%w: replicas must be between 1 and %d, got %d", ErrInvalid, maxReplicas, replicas)
	}
	if svc.spec.store() {
		return "", fmt.Errorf("%w: %s is a data store and cannot be scaled", ErrInvalid, svc.spec.name)
	}
	if replicas == 0 {
		replicas = min(maxReplicas, max(1, int(math.Ceil(svc.peak/(svc.perPod*scaleTo)))))
	}
	before := len(svc.pods)
	svc.resize(replicas, s.now())
	s.changed(svc, change{kind: "scaling", version: svc.version, replicas: replicas})
	return fmt.Sprintf("scaled %s from %d to %d pods", svc.spec.name, before, replicas), nil
}

func (s *Simulation) rollback(svc *service) (string, error) {
	if svc.spec.store() {
		return "", fmt.Errorf("%w: %s is a data store and cannot be rolled back", ErrInvalid, svc.spec.name)
	}
	if len(svc.history) == 0 {
		return "", fmt.Errorf("%w: %s has no earlier version", ErrConflict, svc.spec.name)
	}
	from := svc.version
	svc.version = svc.history[len(svc.history)-1]
	svc.history = svc.history[:len(svc.history)-1]
	svc.rollout(len(svc.pods), s.now())
	s.changed(svc, change{kind: "rollback", version: svc.version, previous: from, replicas: len(svc.pods)})
	return fmt.Sprintf("rolled %s back from %s to %s", svc.spec.name, from, svc.version), nil
}

func (s *Simulation) flush(svc *service) (string, error) {
	if svc.index != cache {
		return "", fmt.Errorf("%w: only %s can be flushed, got %q", ErrInvalid, specs[cache].name, svc.spec.name)
	}
	s.hitRatio = flushedRatio
	s.changed(svc, change{kind: "flush", version: svc.version, replicas: len(svc.pods)})
	return "flushed " + svc.spec.name, nil
}

func (s *Simulation) shedLoad(svc *service, fraction float64) (string, error) {
	if fraction == 0 {
		fraction = defaultFraction
	}
	if !(fraction > 0 && fraction <= maxFraction) {
		return "", fmt.Errorf("%w: fraction must be above 0 and at most %v, got %v", ErrInvalid, maxFraction, fraction)
	}
	svc.shed, svc.shedUntil = fraction, s.now().Add(shedFor)
	s.changed(svc, change{kind: "configuration", version: svc.version, replicas: len(svc.pods)})
	return fmt.Sprintf("%s sheds %.0f %% of its requests for %s", svc.spec.name, fraction*100, shedFor), nil
}

// contains reports whether the running version is the given one or was built on it.
func (s *service) contains(version string) bool {
	return s.version == version || slices.Contains(s.history, version)
}

// absorbed reports whether so many pods have room for a micro-burst that has come before.
func (f *activeFault) absorbed(svc *service, pods int) bool {
	return f.peak > 0 && float64(pods)*svc.perPod >= f.peak
}

// nextVersion is the version after the present one.
func (s *service) nextVersion() string {
	var major, minor int
	if _, err := fmt.Sscanf(s.version, "%d.%d", &major, &minor); err != nil {
		panic("shop: version without a minor number: " + s.version)
	}
	return fmt.Sprintf("%d.%d.0", major, minor+1)
}

// release rolls out a new version.
func (s *Simulation) release(svc *service) {
	from := svc.version
	svc.history = append(svc.history, from)
	if len(svc.history) > historyLimit {
		svc.history = svc.history[1:]
	}
	svc.version = svc.nextVersion()
	svc.rollout(len(svc.pods), s.now())
	s.changed(svc, change{kind: "release", version: svc.version, previous: from, replicas: len(svc.pods)})
}

// changed logs a change event about the service.
func (s *Simulation) changed(svc *service, c change) {
	s.addLog(changeRecord(svc, s.now(), c))
}
