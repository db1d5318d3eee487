package shop

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// FaultKind is a sort of trouble that the shop can be put in.
type FaultKind string

// The kinds of faults.
const (
	MemoryLeak     FaultKind = "memory-leak"
	CPUHog         FaultKind = "cpu-hog"
	SlowDependency FaultKind = "slow-dependency"
	ErrorBurst     FaultKind = "error-burst"
	Crash          FaultKind = "crash"
	BadDeploy      FaultKind = "bad-deploy"
	DatabaseLocks  FaultKind = "database-locks"
	TrafficSurge   FaultKind = "traffic-surge"
	NetworkDelay   FaultKind = "network-delay"
	SilentFailure  FaultKind = "silent-failure"
	MicroBurst     FaultKind = "micro-burst"
	GreyFailure    FaultKind = "grey-failure"
)

// faultKinds lists each kind with the service that it befalls unless another is named.
var faultKinds = []struct {
	kind    FaultKind
	service int
}{
	{MemoryLeak, recommendation},
	{CPUHog, search},
	{SlowDependency, cache},
	{ErrorBurst, payment},
	{Crash, cart},
	{BadDeploy, catalogue},
	{DatabaseLocks, ordersDB},
	{TrafficSurge, search},
	{NetworkDelay, inventory},
	{SilentFailure, checkout},
	{MicroBurst, search},
	{GreyFailure, catalogue},
}

// FaultKinds returns all kinds of faults.
func FaultKinds() []FaultKind {
	kinds := make([]FaultKind, 0, len(faultKinds))
	for _, k := range faultKinds {
		kinds = append(kinds, k.kind)
	}
	return kinds
}

// SteadyFaultKinds returns the kinds that befall all of a service all the time: all but micro-bursts, which come and go, and grey
// failures, which befall one replica now and then.
func SteadyFaultKinds() []FaultKind {
	return slices.DeleteFunc(FaultKinds(), func(k FaultKind) bool { return k == MicroBurst || k == GreyFailure })
}

// Fault says what is to go wrong where.
type Fault struct {
	Kind FaultKind `json:"kind"`
	// Service is the service that it befalls; empty means the default of the kind.
	Service string `json:"service,omitempty"`
	// Severity scales the harm; 0 means 1. A memory leak of severity 0.01 takes half an hour.
	Severity float64 `json:"severity,omitempty"`
	// Lasting is a fault that no action cures: its reason lies outside of the shop. It ends with its duration, or when it is cleared.
	Lasting bool `json:"lasting,omitempty"`
	// Duration ends the fault by itself; 0 means that it lasts until it is cured or cleared.
	Duration time.Duration `json:"-"`
}

// ScheduledFault is a fault that is injected when the simulation has run for Offset.
type ScheduledFault struct {
	Fault
	Offset time.Duration
}

// Bounds of what may be asked for.
const (
	maxSeverity      = 10
	maxFaultDuration = 366 * 24 * time.Hour
)

// normalise checks the fault and fills in defaults; it returns the index of the service.
func (f *Fault) normalise() (int, error) {
	service := -1
	for _, k := range faultKinds {
		if k.kind == f.Kind {
			service = k.service
		}
	}
	if service < 0 {
		return 0, fmt.Errorf("kind must be one of %s, got %q", joinKinds(), clip(string(f.Kind)))
	}
	if f.Service != "" {
		var ok bool
		if service, ok = serviceIndex(f.Service); !ok {
			return 0, fmt.Errorf("service must be one of %s, got %q", strings.Join(ServiceNames(), ", "), clip(f.Service))
		}
	}
	f.Service = specs[service].name
	if f.Severity == 0 {
		f.Severity = 1
	}
	var errs []error
	if !(f.Severity > 0 && f.Severity <= maxSeverity) {
		errs = append(errs, fmt.Errorf("severity must be above 0 and at most %d, got %v", maxSeverity, f.Severity))
	}
	if f.Duration < 0 || f.Duration > maxFaultDuration {
		errs = append(errs, fmt.Errorf("duration must be between 0s and %s, got %s", maxFaultDuration, f.Duration))
	}
	store := specs[service].store()
	switch {
	case f.Kind == DatabaseLocks && service != ordersDB:
		errs = append(errs, fmt.Errorf("service of %s must be %s, got %q", f.Kind, specs[ordersDB].name, f.Service))
	case store && (f.treatment() != Restart && f.Kind != SlowDependency || f.Kind == GreyFailure):
		errs = append(errs, fmt.Errorf("service of %s must not be a data store, got %q", f.Kind, f.Service))
	}
	return service, errors.Join(errs...)
}

func (f ScheduledFault) validate() error {
	_, err := f.normalise()
	if f.Offset < 0 || f.Offset > maxFaultDuration {
		err = errors.Join(err, fmt.Errorf("offset must be between 0s and %s, got %s", maxFaultDuration, f.Offset))
	}
	return err
}

// ParseFault reads "kind[:service][@offset[+duration]]", such as "crash:cart@2m+30s".
func ParseFault(text string) (ScheduledFault, error) {
	var f ScheduledFault
	what, when, timed := strings.Cut(text, "@")
	kind, service, named := strings.Cut(what, ":")
	if named && service == "" {
		return f, fmt.Errorf("service must follow the colon in %q", clip(text))
	}
	f.Kind, f.Service = FaultKind(kind), service
	if timed {
		offset, duration, lasting := strings.Cut(when, "+")
		var err error
		if f.Offset, err = time.ParseDuration(offset); err != nil {
			return f, fmt.Errorf("offset must be a duration such as 90s, got %q", clip(offset))
		}
		if lasting {
			if f.Duration, err = time.ParseDuration(duration); err != nil || f.Duration <= 0 {
				return f, fmt.Errorf("duration must be a positive duration such as 90s, got %q", clip(duration))
			}
		}
	}
	if _, err := f.normalise(); err != nil {
		return f, err
	}
	return f, f.validate()
}

// Cure returns the name of the one action that cures the fault; empty if none does.
func (f Fault) Cure() ActionName {
	if f.Lasting {
		return ""
	}
	return f.treatment()
}

// treatment is the action that cures the fault if any does.
func (f Fault) treatment() ActionName {
	switch f.Kind {
	case BadDeploy, SilentFailure:
		return Rollback
	case TrafficSurge, MicroBurst:
		return Scale
	case SlowDependency:
		if f.Service == specs[cache].name {
			return FlushCache
		}
	}
	return Restart
}

// ServiceNames returns the names of all services, front to back.
func ServiceNames() []string {
	names := make([]string, 0, serviceCount)
	for i := range specs {
		names = append(names, specs[i].name)
	}
	return names
}

func serviceIndex(name string) (int, bool) {
	for i := range specs {
		if specs[i].name == name {
			return i, true
		}
	}
	return 0, false
}

func joinKinds() string {
	names := make([]string, 0, len(faultKinds))
	for _, k := range faultKinds {
		names = append(names, string(k.kind))
	}
	return strings.Join(names, ", ")
}

// clip keeps text from outside short enough to be quoted.
func clip(s string) string {
	const limit = 80
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}
