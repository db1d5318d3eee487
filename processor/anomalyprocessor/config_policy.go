package anomalyprocessor

import (
	"errors"
	"fmt"
	"math"
)

// Policy says which deviations of some metrics matter.
type Policy struct {
	// Match is a regular expression that must match the whole metric name.
	Match string `mapstructure:"match"`
	// Direction is the direction in which a deviation matters.
	Direction Direction `mapstructure:"direction"`
	// MinAbsolute is the smallest deviation that matters, in the unit of the series.
	MinAbsolute *float64 `mapstructure:"min_absolute"`
	// MinRelative is the smallest deviation that matters, as a share of the level.
	MinRelative *float64 `mapstructure:"min_relative"`
	// ValidRange is where values can lie. One outside is a mistake of whoever measured: it is refused, and teaches nothing.
	ValidRange *Range `mapstructure:"valid_range"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// Range is a range of values, both ends included; an end that is not set is open.
type Range struct {
	Min *float64 `mapstructure:"min"`
	Max *float64 `mapstructure:"max"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// Direction is the direction in which a deviation matters.
type Direction string

// The directions; none set leaves the choice to the built-in defaults.
const (
	DirectionUp   Direction = "up"
	DirectionDown Direction = "down"
	DirectionBoth Direction = "both"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Direction) UnmarshalText(text []byte) error {
	switch v := Direction(text); v {
	case DirectionUp, DirectionDown, DirectionBoth:
		*d = v
		return nil
	default:
		return fmt.Errorf("direction must be up, down or both, got %q", text)
	}
}

// mostRelative is a share that no deviation reaches; times a level it is still a number.
const mostRelative = 1e6

// Validate implements xconfmap.Validator.
func (p *Policy) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if p.Match == "" {
		fail("match must not be empty; write .* for all metrics")
	} else if _, err := compile(p.Match); err != nil {
		fail("match must be a regular expression: %w", err)
	}
	if p.Direction == "" && p.MinAbsolute == nil && p.MinRelative == nil && p.ValidRange == nil {
		fail("one of direction, min_absolute, min_relative and valid_range must be set")
	}
	if v := p.MinAbsolute; v != nil && !(*v >= 0 && *v <= math.MaxFloat64) {
		fail("min_absolute must be a finite number of at least 0, got %v", *v)
	}
	if v := p.MinRelative; v != nil && !(*v >= 0 && *v <= mostRelative) {
		fail("min_relative must be between 0 and 1e6, got %v", *v)
	}
	return errors.Join(errs...)
}

// Validate implements xconfmap.Validator.
func (r *Range) Validate() error {
	switch {
	case r.Min == nil && r.Max == nil:
		return errors.New("one of min and max must be set")
	case r.Min != nil && math.IsNaN(*r.Min) || r.Max != nil && math.IsNaN(*r.Max):
		return errors.New("min and max must be numbers")
	case r.Min != nil && r.Max != nil && *r.Min >= *r.Max:
		return fmt.Errorf("min must be less than max, got %v and %v", *r.Min, *r.Max)
	}
	return nil
}
