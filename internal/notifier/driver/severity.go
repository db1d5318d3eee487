package driver

import (
	"fmt"
	"slices"
	"strings"

	"github.com/paramedic-otel/paramedic/semconv"
)

// BySeverity is what a system calls each of our severities.
type BySeverity[T any] struct {
	Critical T `mapstructure:"critical"`
	Major    T `mapstructure:"major"`
	Minor    T `mapstructure:"minor"`
}

// Of returns what a severity is called; one that is not known is minor.
func (b *BySeverity[T]) Of(severity semconv.Severity) T {
	switch severity {
	case semconv.SeverityCritical:
		return b.Critical
	case semconv.SeverityMajor:
		return b.Major
	default:
		return b.Minor
	}
}

// All are the settings with their names, in the order of the struct.
func (b *BySeverity[T]) All(yield func(name string, value T) bool) {
	_ = yield("critical", b.Critical) && yield("major", b.Major) && yield("minor", b.Minor)
}

// CheckOneOf is what a driver's Validate says of names that must be among those that its system knows; hint is added to each error.
func CheckOneOf(field string, names BySeverity[string], known []string, hint string) []error {
	var errs []error
	for severity, name := range names.All {
		if !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("%s::%s must be one of %s, got %.80q%s", field, severity, strings.Join(known, ", "), name, hint))
		}
	}
	return errs
}
