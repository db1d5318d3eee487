package pagerduty

import (
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
)

// Config is an integration of a PagerDuty service.
type Config struct {
	driver.Client `mapstructure:",squash"`
	// RoutingKey is the integration key of a service, or of an event orchestration.
	RoutingKey configopaque.String `mapstructure:"routing_key"`
	// Updates sends every update of an incident as one more trigger of its alert.
	Updates bool `mapstructure:"updates"`
	// Severities are critical, error, warning or info for each of ours.
	Severities driver.BySeverity[string] `mapstructure:"severities"`
	// ChangeEvents are what is told besides alerts; it notifies nobody.
	ChangeEvents ChangeEvents `mapstructure:"change_events"`
	// Group is the payload's group; the cluster if it is empty.
	Group string `mapstructure:"group"`
}

// ChangeEvents says of what PagerDuty is told as changes.
type ChangeEvents struct {
	// Remediations are the steps of playbooks, and what holds automation back.
	Remediations bool `mapstructure:"remediations"`
	// Deployments are the changes that an incident names.
	Deployments bool `mapstructure:"deployments"`
}

const (
	defaultEndpoint = "https://events.pagerduty.com"
	keyLength       = 32
	// rulesetKey is how keys of rulesets and event orchestrations begin.
	rulesetKey = "R"
)

// DefaultConfig returns everything that has a default.
func DefaultConfig() Config {
	return Config{
		Client: driver.NewClient(defaultEndpoint), Updates: true, Severities: driver.BySeverity[string]{Critical: "critical", Major: "error", Minor: "warning"},
		ChangeEvents: ChangeEvents{Remediations: true, Deployments: true},
	}
}

var knownSeverities = []string{"critical", "error", "warning", "info"}

// Validate checks what can be known without connecting.
func (c *Config) Validate() error {
	errs := []error{c.Check()}
	if len(c.RoutingKey) != keyLength || strings.ContainsFunc(string(c.RoutingKey), func(r rune) bool { return r <= ' ' || r > '~' }) {
		errs = append(errs, fmt.Errorf("routing_key must be an integration key of %d characters, got %d; copy it from the service's integration Events API v2",
			keyLength, len(c.RoutingKey)))
	}
	errs = append(errs, driver.CheckOneOf("severities", c.Severities, knownSeverities, "")...)
	if strings.HasPrefix(string(c.RoutingKey), rulesetKey) && (c.ChangeEvents.Remediations || c.ChangeEvents.Deployments) {
		errs = append(errs, errors.New("change_events must be false with this routing_key, of a ruleset or event orchestration, which takes no change events; "+
			"switch remediations and deployments off or use the key of a service"))
	}
	return errors.Join(errs...)
}
