package anomalyprocessor

import (
	"errors"
	"fmt"
	"math"
)

// maxRatios bounds what one data point may be counted in.
const maxRatios = 100

// Ratio is a signal made of two metrics of one resource, such as errors over requests: of counters and of the counts of
// histograms what came within the interval, of gauges their values.
type Ratio struct {
	// Name is the name that scores of the ratio carry in anomaly.metric, and that policies match.
	Name        string    `mapstructure:"name"`
	Numerator   RatioPart `mapstructure:"numerator"`
	Denominator RatioPart `mapstructure:"denominator"`
	// Ignore are names of point attributes that do not tell ratios apart: series that differ only in them are added up.
	Ignore []string `mapstructure:"ignore"`
	// MinDenominator is the denominator below which a ratio says nothing.
	MinDenominator float64 `mapstructure:"min_denominator"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// RatioPart selects what is counted in a numerator or a denominator.
type RatioPart struct {
	// Metric is the name of a metric.
	Metric string `mapstructure:"metric"`
	// Where are regular expressions by the name of a point attribute, which must match its whole value.
	Where map[string]string `mapstructure:"where"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// Validate implements xconfmap.Validator.
func (r *Ratio) Validate() error {
	var errs []error
	if r.Name == "" {
		errs = append(errs, errors.New("name must not be empty"))
	}
	if !(r.MinDenominator >= 0 && r.MinDenominator <= math.MaxFloat64) {
		errs = append(errs, fmt.Errorf("min_denominator must be a finite number of at least 0, got %v; 0 stands for 20", r.MinDenominator))
	}
	return errors.Join(errs...)
}

// Validate implements xconfmap.Validator.
func (p *RatioPart) Validate() error {
	var errs []error
	if p.Metric == "" {
		errs = append(errs, errors.New("metric must not be empty"))
	}
	for name, pattern := range p.Where {
		if _, err := compile(pattern); err != nil {
			errs = append(errs, fmt.Errorf("where::%s: must be a regular expression: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// ratios checks what only all ratios together can be.
func ratios(all []Ratio, fail func(string, ...any)) {
	if len(all) > maxRatios {
		fail("ratios must be at most %d, got %d", maxRatios, len(all))
	}
	names := map[string]bool{}
	for i := range all {
		if names[all[i].Name] {
			fail("ratios::%d: name must not stand twice, got %q", i, all[i].Name)
		}
		names[all[i].Name] = true
	}
}
