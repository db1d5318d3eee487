package anomalyprocessor

import (
	"errors"
	"fmt"
	"time"
)

// Missing says when a series that came regularly, and stops while its resource goes on, is missing.
type Missing struct {
	// After is the shortest silence, in event time; 0 switches it off.
	After time.Duration `mapstructure:"after"`
	// MaxSeries bounds the series that are reported as missing at a time.
	MaxSeries int `mapstructure:"max_series"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// Validate implements xconfmap.Validator.
func (m *Missing) Validate() error {
	var errs []error
	if m.After != 0 && m.After < time.Second {
		errs = append(errs, fmt.Errorf("after must be at least 1s, or 0 to switch it off, got %s", m.After))
	}
	if m.MaxSeries < 1 || m.MaxSeries > 1_000_000 {
		errs = append(errs, fmt.Errorf("max_series must be between 1 and 1000000, got %d; it bounds what is sent", m.MaxSeries))
	}
	return errors.Join(errs...)
}
