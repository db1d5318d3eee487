package shop

import (
	"errors"
	"fmt"
	"time"
)

// TickLength is the simulated time that one call of [Simulation.Tick] covers.
const TickLength = time.Second

// Config describes a simulation. [DefaultConfig] gives values that pass [Config.Validate].
type Config struct {
	// Seed is the only source of randomness.
	Seed uint64
	// Start is the simulated time at which the first tick begins.
	Start time.Time
	// Rate is the mean of the load curve in user requests per second. The shop is sized for it: at the mean load most
	// services are busy for a third of their capacity.
	Rate float64
	// Period is the length of the daily load curve; seven of them make a week.
	Period time.Duration
	// Steady leaves the rhythms of day and week out of the load curve, so that the load does not depend on Start.
	Steady bool
	// Namespace is the Kubernetes namespace that the shop runs in.
	Namespace string
	// MetricsInterval is the time between two metric exports, in whole seconds.
	MetricsInterval time.Duration
	// MetricsOnly leaves out traces and logs, which take most of the time that a simulation takes. The metrics are the
	// same with it and without.
	MetricsOnly bool
	// MaxPending bounds the spans and log records that wait for their time; more are dropped and counted.
	MaxPending int
	// Watch, if it is set, is told of every request of a user and every message when it begins, with how it will end. It must not
	// call the simulation.
	Watch func(Experience)
	// Faults are injected by themselves when their time comes.
	Faults []ScheduledFault
}

// DefaultConfig returns the default configuration, to which only Start needs to be added.
func DefaultConfig() Config {
	return Config{
		Seed:            1,
		Rate:            20,
		Period:          24 * time.Hour,
		Namespace:       Namespace,
		MetricsInterval: 5 * time.Second,
		MaxPending:      500_000,
	}
}

// Validate reports everything that is wrong with the configuration.
func (c *Config) Validate() error {
	var errs []error
	if c.Start.IsZero() || c.Start.Unix() < 0 {
		errs = append(errs, fmt.Errorf("start must be after 1970, got %s", c.Start.Format(time.RFC3339)))
	}
	if !(c.Rate >= 1 && c.Rate <= 2000) {
		errs = append(errs, fmt.Errorf("rate must be between 1 and 2000 requests per second, got %v", c.Rate))
	}
	if c.Period < time.Minute || c.Period > 31*24*time.Hour {
		errs = append(errs, fmt.Errorf("period must be between 1m and 744h, got %s", c.Period))
	}
	if c.Namespace == "" || len(c.Namespace) > 63 {
		errs = append(errs, fmt.Errorf("namespace must have 1 to 63 characters, got %q", clip(c.Namespace)))
	}
	if c.MetricsInterval < time.Second || c.MetricsInterval > time.Hour || c.MetricsInterval%time.Second != 0 {
		errs = append(errs, fmt.Errorf("metrics_interval must be whole seconds between 1s and 1h, got %s", c.MetricsInterval))
	}
	if c.MaxPending <= 0 {
		errs = append(errs, fmt.Errorf("max_pending must be greater than 0, got %d; it bounds memory", c.MaxPending))
	}
	for i, f := range c.Faults {
		if err := f.validate(); err != nil {
			errs = append(errs, fmt.Errorf("faults::%d: %w", i, err))
		}
	}
	return errors.Join(errs...)
}
