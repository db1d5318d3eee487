package anomalyprocessor

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// StateConfig says how what was learnt is kept in storage.
type StateConfig struct {
	// Interval is the time over which all that has changed is written once.
	Interval time.Duration `mapstructure:"interval"`
	// MaxBytes bounds what is kept in storage.
	MaxBytes int64 `mapstructure:"max_bytes"`
	// MaxAge is the age from which on stored state is too old to go on with.
	MaxAge time.Duration `mapstructure:"max_age"`
	// ShutdownTimeout is how long a shutdown may take to write what has changed.
	ShutdownTimeout time.Duration `mapstructure:"shutdown_timeout"`
	// Import is a portable file from which series are learnt, at start, that are not known yet.
	Import string `mapstructure:"import"`
	// Reset is a word chosen freely: when it is not the one that was stored last, what is stored is forgotten, once.
	Reset string `mapstructure:"reset"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// WorkloadConfig says which series of a new instance inherit what an old one's have learnt.
type WorkloadConfig struct {
	// Inherit switches it on.
	Inherit bool `mapstructure:"inherit"`
	// InstanceAttributes tell the instances of a workload apart. A * at the end stands for anything.
	InstanceAttributes []string `mapstructure:"instance_attributes"`
	// HostAttributes do so only for resources that have one of NameAttributes, which name a workload.
	HostAttributes []string `mapstructure:"host_attributes"`
	NameAttributes []string `mapstructure:"name_attributes"`

	// prevent unkeyed literal initialization
	_ struct{}
}

func defaultState() StateConfig {
	return StateConfig{Interval: time.Minute, MaxBytes: 2 << 30, MaxAge: 7 * 24 * time.Hour, ShutdownTimeout: 10 * time.Second}
}

func defaultWorkload() WorkloadConfig {
	return WorkloadConfig{
		Inherit: true,
		InstanceAttributes: []string{
			"service.version", "service.instance.id", "k8s.pod.name", "k8s.pod.uid", "k8s.pod.ip", "k8s.pod.hostname",
			"k8s.pod.start_time", "k8s.replicaset.*", "k8s.container.restart_count", "container.id", "container.name",
			"container.image.*", "process.pid", "process.parent_pid", "process.creation.time", "process.runtime.*",
			"telemetry.sdk.version", "telemetry.distro.version",
		},
		HostAttributes: []string{"host.*", "k8s.node.*", "server.address", "net.host.*"},
		NameAttributes: []string{
			"service.name", "k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.job.name", "k8s.cronjob.name",
		},
	}
}

// Validate implements xconfmap.Validator.
func (c *StateConfig) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Interval < time.Second {
		fail("interval must be at least 1s, got %s", c.Interval)
	}
	if c.MaxBytes < 1<<20 {
		fail("max_bytes must be at least 1048576, got %d", c.MaxBytes)
	}
	if c.MaxAge < time.Minute {
		fail("max_age must be at least 1m, got %s", c.MaxAge)
	}
	if c.ShutdownTimeout <= 0 {
		fail("shutdown_timeout must be greater than 0, got %s", c.ShutdownTimeout)
	}
	return errors.Join(errs...)
}

// Validate implements xconfmap.Validator.
func (c *WorkloadConfig) Validate() error {
	var errs []error
	for _, list := range []struct {
		name     string
		patterns []string
	}{
		{"instance_attributes", c.InstanceAttributes},
		{"host_attributes", c.HostAttributes},
		{"name_attributes", c.NameAttributes},
	} {
		for i, p := range list.patterns {
			if before, _, found := strings.Cut(p, "*"); p == "" || p == "*" || (found && before+"*" != p) {
				errs = append(errs, fmt.Errorf("%s::%d: must be the name of an attribute, with a * at its end at most, got %q", list.name, i, p))
			}
		}
	}
	if c.Inherit && len(c.InstanceAttributes)+len(c.HostAttributes) == 0 {
		errs = append(errs, errors.New("instance_attributes must not be empty when inherit is true; set inherit to false"))
	}
	return errors.Join(errs...)
}
