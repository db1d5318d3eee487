package remediationexporter

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/playbook"
)

const (
	maxParameters   = 32
	maxParameterLen = 253
)

var parameterNamePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,62}$`)

// Mode is what a playbook may do: observe or auto.
type Mode playbook.Mode

// UnmarshalText reads a mode.
func (m *Mode) UnmarshalText(text []byte) error {
	switch playbook.Mode(text) {
	case playbook.Observe, playbook.Auto:
		*m = Mode(text)
		return nil
	default:
		return fmt.Errorf("mode must be %s or %s, got %.80q", playbook.Observe, playbook.Auto, text)
	}
}

// PlaybookConfig says which action an incident calls for, and under which conditions it may be taken.
type PlaybookConfig struct {
	Name string `mapstructure:"name"`
	// When holds OTTL conditions on the incident event's log record, all of which must hold.
	When []string `mapstructure:"when"`
	// ErrorMode says what happens when a condition cannot be evaluated; it never holds then.
	ErrorMode ottl.ErrorMode `mapstructure:"error_mode"`
	Mode      Mode           `mapstructure:"mode"`
	// MinConfidence is the least confidence in the cause with which the playbook acts.
	MinConfidence float64 `mapstructure:"min_confidence"`
	// MaxRevision is the last revision of an incident on which the playbook may act; 0 means any.
	MaxRevision int64 `mapstructure:"max_revision"`
	// Cooldown is how long the playbook leaves a target alone after it acted on it, in wall time.
	Cooldown time.Duration `mapstructure:"cooldown"`
	// Webhook names the webhook that takes the action.
	Webhook string       `mapstructure:"webhook"`
	Action  ActionConfig `mapstructure:"action"`
	Verify  VerifyConfig `mapstructure:"verify"`
}

// ActionConfig is what the webhook is asked to do.
type ActionConfig struct {
	Name       string                     `mapstructure:"name"`
	Parameters map[string]ParameterConfig `mapstructure:"parameters"`
}

// ParameterConfig is the value of a parameter: fixed, or a typed field of the incident.
type ParameterConfig struct {
	Value string    `mapstructure:"value"`
	From  Reference `mapstructure:"from"`
}

// VerifyConfig says when an action has helped.
type VerifyConfig struct {
	// Within is how long the webhook has to accept the action, and then how long the incident has to recover.
	Within time.Duration `mapstructure:"within"`
}

// Unmarshal puts the user's settings over the defaults.
func (c *PlaybookConfig) Unmarshal(conf *confmap.Conf) error {
	*c = PlaybookConfig{
		ErrorMode:     ottl.IgnoreError,
		Mode:          Mode(playbook.Observe),
		MinConfidence: 0.75,
		Cooldown:      10 * time.Minute,
		// Longer than a minute of quiet, after which an incident counts as resolved, and the time a cure takes.
		Verify: VerifyConfig{Within: 3 * time.Minute},
	}
	return conf.Unmarshal(c)
}

// Validate checks the playbook and parses its conditions.
func (c *PlaybookConfig) Validate() error {
	var errs []error
	if !namePattern.MatchString(c.Name) {
		errs = append(errs, fmt.Errorf("name must match %s, got %.80q", namePattern, c.Name))
	}
	if len(c.When) == 0 {
		errs = append(errs, errors.New("when must not be empty; write 'true' for every incident"))
	}
	if _, err := parseConditions(c.When, component.TelemetrySettings{Logger: zap.NewNop()}); err != nil {
		errs = append(errs, fmt.Errorf("when: %w", err))
	}
	if c.MinConfidence < 0 || c.MinConfidence > 1 || math.IsNaN(c.MinConfidence) {
		errs = append(errs, fmt.Errorf("min_confidence must be between 0 and 1, got %v", c.MinConfidence))
	}
	if c.MaxRevision < 0 {
		errs = append(errs, fmt.Errorf("max_revision must not be negative, got %d; 0 means any", c.MaxRevision))
	}
	if c.Cooldown < 0 {
		errs = append(errs, fmt.Errorf("cooldown must not be negative, got %s", c.Cooldown))
	}
	if c.Webhook == "" {
		errs = append(errs, errors.New("webhook must name the webhook that takes the action"))
	}
	return errors.Join(errs...)
}

// Validate checks the action and its parameters.
func (c *ActionConfig) Validate() error {
	var errs []error
	if !namePattern.MatchString(c.Name) {
		errs = append(errs, fmt.Errorf("name must match %s, got %.80q", namePattern, c.Name))
	}
	if len(c.Parameters) > maxParameters {
		errs = append(errs, fmt.Errorf("parameters must be at most %d, got %d", maxParameters, len(c.Parameters)))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Parameters)) {
		if !parameterNamePattern.MatchString(name) {
			errs = append(errs, fmt.Errorf("parameters: name must match %s, got %.80q", parameterNamePattern, name))
		}
	}
	return errors.Join(errs...)
}

// Validate checks that the parameter has exactly one source.
func (c *ParameterConfig) Validate() error {
	switch {
	case (c.Value == "") == (c.From == ""):
		return errors.New("value or from must be set, and not both")
	case len(c.Value) > maxParameterLen:
		return fmt.Errorf("value must have at most %d bytes, got %d", maxParameterLen, len(c.Value))
	default:
		return nil
	}
}

// Validate checks the time for verification.
func (c *VerifyConfig) Validate() error {
	if c.Within < time.Second {
		return fmt.Errorf("within must be at least 1s, got %s", c.Within)
	}
	return nil
}

// UnmarshalText reads a reference and refuses those that are not on the list.
func (r *Reference) UnmarshalText(text []byte) error {
	if _, ok := references[Reference(text)]; !ok {
		return fmt.Errorf("from must be one of %s, got %.80q", strings.Join(referenceNames(), ", "), text)
	}
	*r = Reference(text)
	return nil
}
