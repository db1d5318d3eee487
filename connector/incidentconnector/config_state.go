package incidentconnector

import (
	"errors"
	"fmt"
	"time"
)

// StateConfig says how what was learnt and what goes on is kept in storage.
type StateConfig struct {
	// Interval is the time after which all is written again. What belongs to an incident is written whenever there is an
	// event of one.
	Interval time.Duration `mapstructure:"interval"`
	// MaxBytes bounds what is kept in storage.
	MaxBytes int64 `mapstructure:"max_bytes"`
	// MaxAge is the age from which on stored state is too old to go on with.
	MaxAge time.Duration `mapstructure:"max_age"`
	// MaxIncidentAge is the age from which on what went on is too old to go on with: open incidents are closed without a
	// verdict, while what was learnt stays.
	MaxIncidentAge time.Duration `mapstructure:"max_incident_age"`
	// ShutdownTimeout is how long a shutdown may take to write what has changed.
	ShutdownTimeout time.Duration `mapstructure:"shutdown_timeout"`
	// Reset is a word chosen freely: when it is not the one that was stored last, what is stored is forgotten, once.
	Reset string `mapstructure:"reset"`

	// prevent unkeyed literal initialization
	_ struct{}
}

func defaultState() StateConfig {
	return StateConfig{
		Interval: time.Minute, MaxBytes: 2 << 30, MaxAge: 7 * 24 * time.Hour, MaxIncidentAge: time.Hour, ShutdownTimeout: 10 * time.Second,
	}
}

// Validate reports everything that is wrong with the settings.
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
	if c.MaxIncidentAge < time.Minute || c.MaxIncidentAge > c.MaxAge {
		fail("max_incident_age must be between 1m and max_age (%s), got %s", c.MaxAge, c.MaxIncidentAge)
	}
	if c.ShutdownTimeout <= 0 {
		fail("shutdown_timeout must be greater than 0, got %s", c.ShutdownTimeout)
	}
	return errors.Join(errs...)
}
