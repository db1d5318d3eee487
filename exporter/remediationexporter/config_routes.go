package remediationexporter

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/timewindow"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// maxRoutes bounds the routes, which are looked at when an incident opens, and maxRouteNames the entries of each of their lists.
	maxRoutes     = 200
	maxRouteNames = 100
	// maxEscalateAfter bounds how long an escalation waits in its queue.
	maxEscalateAfter = 24 * time.Hour
)

// RouteConfig says who is told of an incident. It is for those that everything which is set matches.
type RouteConfig struct {
	// Severities are those of the incident.
	Severities []semconv.Severity `mapstructure:"severities"`
	// Criticality are tiers of the service of the first cause; unknown is for a service that does not say.
	Criticality []Criticality `mapstructure:"criticality"`
	// Owners and Namespaces are globs of the team and of the namespace that the first cause belongs to.
	Owners     []string `mapstructure:"owners"`
	Namespaces []string `mapstructure:"namespaces"`
	// CauseKinds are those of the first cause.
	CauseKinds []semconv.CauseKind `mapstructure:"cause_kinds"`
	// When are OTTL conditions on the log record of the event with which the incident opens; all must hold.
	When []string `mapstructure:"when"`
	// ErrorMode says what follows when a condition cannot be evaluated: ignore and silent make it not hold, propagate too, and
	// refuses the event.
	ErrorMode ottl.ErrorMode `mapstructure:"error_mode"`
	// Notify are the destinations; an empty list is nobody.
	Notify []string `mapstructure:"notify"`
	// Hours are windows in which the route holds, such as business hours; empty for always. Outside of them NotifyOutside is told
	// instead, or, when that is empty, the route does not match.
	Hours         []timewindow.Window `mapstructure:"hours"`
	NotifyOutside []string            `mapstructure:"notify_outside"`
	// Continue goes on to the next routes, whose destinations are told, too.
	Continue bool `mapstructure:"continue"`
	// EscalateTo are told when the incident is neither over nor taken on by somebody EscalateAfter it was told of; 0 is never.
	EscalateAfter time.Duration `mapstructure:"escalate_after"`
	EscalateTo    []string      `mapstructure:"escalate_to"`
}

// Unmarshal puts the user's settings over the defaults.
func (c *RouteConfig) Unmarshal(conf *confmap.Conf) error {
	*c = RouteConfig{ErrorMode: ottl.IgnoreError}
	return conf.Unmarshal(c)
}

// Validate checks the route and parses its conditions.
func (c *RouteConfig) Validate() error {
	var errs []error
	for i, s := range c.Severities {
		if !slices.Contains(severities, s) {
			errs = append(errs, fmt.Errorf("severities::%d must be one of %v, got %.80q", i, severities, s))
		}
	}
	for i, kind := range c.CauseKinds {
		if !slices.Contains(semconv.CauseKinds, kind) {
			errs = append(errs, fmt.Errorf("cause_kinds::%d must be one of %v, got %.80q", i, semconv.CauseKinds, kind))
		}
	}
	for _, l := range []struct {
		field string
		globs []string
	}{{"owners", c.Owners}, {"namespaces", c.Namespaces}} {
		for i, glob := range l.globs {
			if _, err := path.Match(glob, ""); err != nil || glob == "" {
				errs = append(errs, fmt.Errorf("%s::%d must be a name or a glob such as shop-*, got %.80q", l.field, i, glob))
			}
		}
		if len(l.globs) > maxRouteNames {
			errs = append(errs, fmt.Errorf("%s must have at most %d entries, got %d", l.field, maxRouteNames, len(l.globs)))
		}
	}
	if _, err := parseConditions(c.When, component.TelemetrySettings{Logger: zap.NewNop()}); err != nil {
		errs = append(errs, fmt.Errorf("when: %w", err))
	}
	for i, w := range c.Hours {
		if w.Kind != timewindow.Allow {
			errs = append(errs, fmt.Errorf("hours::%d: kind must be %s, got %.80q; hours are when the route holds", i, timewindow.Allow, w.Kind))
		}
	}
	if _, err := timewindow.New(c.Hours); err != nil {
		errs = append(errs, fmt.Errorf("hours: %w", err))
	}
	if len(c.NotifyOutside) > 0 && len(c.Hours) == 0 {
		errs = append(errs, errors.New("notify_outside must not be set without hours"))
	}
	if c.EscalateAfter < 0 || c.EscalateAfter > maxEscalateAfter {
		errs = append(errs, fmt.Errorf("escalate_after must be between 0s and %s, got %s; 0s is never", maxEscalateAfter, c.EscalateAfter))
	}
	if (c.EscalateAfter > 0) != (len(c.EscalateTo) > 0) {
		errs = append(errs, errors.New("escalate_after and escalate_to must be set both or not at all"))
	}
	return errors.Join(errs...)
}

// validateRoutes checks what the routes refer to.
func (c *Config) validateRoutes() []error {
	var errs []error
	if len(c.Routes) > maxRoutes {
		errs = append(errs, fmt.Errorf("routes must be at most %d, got %d", maxRoutes, len(c.Routes)))
	}
	for i, r := range c.Routes {
		for _, l := range []struct {
			field string
			names []string
		}{{"notify", r.Notify}, {"notify_outside", r.NotifyOutside}, {"escalate_to", r.EscalateTo}} {
			for j, name := range l.names {
				_, webhook := c.Webhooks[name]
				_, other := c.Notifiers[name]
				if !webhook && !other {
					errs = append(errs, fmt.Errorf("routes::%d: %s::%d must be one of webhooks or notifiers, got %.80q", i, l.field, j, name))
				}
			}
		}
	}
	for i, a := range c.OwnerAttributes {
		if a == "" || len(a) > 200 {
			errs = append(errs, fmt.Errorf("owner_attributes::%d must have 1 to 200 characters, got %d", i, len(a)))
		}
	}
	if len(c.OwnerAttributes) > maxRouteNames {
		errs = append(errs, fmt.Errorf("owner_attributes must have at most %d entries, got %d", maxRouteNames, len(c.OwnerAttributes)))
	}
	return errs
}
