package anomalyprocessor

import (
	"errors"
	"fmt"
	"time"
)

// Shadow is a second configuration of the default detector that runs beside the active one, on the same series, with a
// state of its own. What it does not set is as in the active one.
type Shadow struct {
	Sensitivity     *float64       `mapstructure:"sensitivity"`
	WarmUp          *WarmUp        `mapstructure:"warm_up"`
	Memory          *time.Duration `mapstructure:"memory"`
	LevelShiftAfter *time.Duration `mapstructure:"level_shift_after"`
	Cooldown        *time.Duration `mapstructure:"cooldown"`
	Habituation     *time.Duration `mapstructure:"habituation"`
	TimeZone        *string        `mapstructure:"time_zone"`
	// Emit adds anomaly.shadow.score where the active configuration would add anomaly.score.
	Emit bool `mapstructure:"emit"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// over returns the active configuration with what the shadow sets.
func (s *Shadow) over(active *Config) *Config {
	c := *active
	set(&c.Sensitivity, s.Sensitivity)
	set(&c.WarmUp, s.WarmUp)
	set(&c.Memory, s.Memory)
	set(&c.LevelShiftAfter, s.LevelShiftAfter)
	set(&c.Cooldown, s.Cooldown)
	set(&c.Habituation, s.Habituation)
	set(&c.TimeZone, s.TimeZone)
	return &c
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// Validate implements xconfmap.Validator.
func (s *Shadow) Validate() error {
	var errs []error
	detector(s.over(createDefaultConfig().(*Config)), func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) })
	return errors.Join(errs...)
}
