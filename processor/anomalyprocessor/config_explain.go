package anomalyprocessor

import (
	"errors"
	"fmt"
)

// Explain selects series of which every point is explained, abnormal or not.
type Explain struct {
	// Metrics are regular expressions that must match the whole name of a metric.
	Metrics []string `mapstructure:"metrics"`
	// MaxSeries bounds the series that are explained.
	MaxSeries int `mapstructure:"max_series"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// Validate implements xconfmap.Validator.
func (e *Explain) Validate() error {
	var errs []error
	patterns(func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }, "metrics", e.Metrics)
	if e.MaxSeries < 1 || e.MaxSeries > 1_000_000 {
		errs = append(errs, fmt.Errorf("max_series must be between 1 and 1000000, got %d; it bounds what is sent", e.MaxSeries))
	}
	return errors.Join(errs...)
}
