package remediationexporter

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/actionbudget"
	"github.com/paramedic-otel/paramedic/internal/circuitbreaker"
	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/outcomes"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/internal/stormgate"
)

// maxLimits bounds the further limits of a budget.
const maxLimits = 32

// BudgetConfig bounds the actions of all playbooks together.
type BudgetConfig struct {
	// MaxActions is how many actions may start within Window.
	MaxActions int `mapstructure:"max_actions"`
	// Window is the length of the sliding window, in wall time.
	Window time.Duration `mapstructure:"window"`
	// Limits are further ones, by class, namespace, share and health.
	Limits []actionbudget.Limit `mapstructure:"limits"`
}

func defaultBudget() BudgetConfig {
	return BudgetConfig{
		MaxActions: 5, Window: 10 * time.Minute,
		Limits: []actionbudget.Limit{
			{Destructive: true, Scope: actionbudget.Namespace, MaxActions: 3, MaxPercent: 25, Window: time.Hour},
			{Class: "node", Scope: actionbudget.Fleet, MaxActions: 1, MaxPercent: 10, Window: time.Hour},
		},
	}
}

// Validate checks the budget.
func (c *BudgetConfig) Validate() error {
	var errs []error
	if c.MaxActions < 1 || c.MaxActions > 1000 {
		errs = append(errs, fmt.Errorf("max_actions must be between 1 and 1000, got %d; playbooks in mode observe do not act", c.MaxActions))
	}
	if c.Window < time.Second {
		errs = append(errs, fmt.Errorf("window must be at least 1s, got %s", c.Window))
	}
	if len(c.Limits) > maxLimits {
		errs = append(errs, fmt.Errorf("limits must be at most %d, got %d", maxLimits, len(c.Limits)))
	}
	for i := range c.Limits {
		if class := c.Limits[i].Class; class != "" && !slices.Contains(actionClasses, class) {
			errs = append(errs, fmt.Errorf("limits::%d: class must be one of %s, got %q; such a limit would never hold", i, strings.Join(actionClasses, ", "), class))
		}
	}
	return errors.Join(errs...)
}

// actionClasses are what a limit may be for.
var actionClasses = []string{
	string(kubeaction.ClassRestart), string(kubeaction.ClassScale), string(kubeaction.ClassRevert), string(kubeaction.ClassPod),
	string(kubeaction.ClassNode), string(kubeaction.ClassNetwork), string(kubeaction.ClassShed), string(kubeaction.ClassJob),
	string(kubeaction.ClassConfig), classWebhook,
}

// BreakerConfig says when a breaker opens and for how long. A rule whose number is 0 is off.
type BreakerConfig struct {
	// Failures is how many consecutive failures open it.
	Failures int `mapstructure:"failures"`
	// RateFailures of the last RateOutcomes outcomes open it.
	RateFailures int `mapstructure:"rate_failures"`
	RateOutcomes int `mapstructure:"rate_outcomes"`
	// MaxActions is how many actions may start within Window; the next opens it.
	MaxActions int           `mapstructure:"max_actions"`
	Window     time.Duration `mapstructure:"window"`
	// Cooldown is how long it stays open before one probe may pass.
	Cooldown time.Duration `mapstructure:"cooldown"`
}

// maxBreakers bounds the breakers of one kind.
const maxBreakers = 10_000

func (c *BreakerConfig) settings() circuitbreaker.Settings {
	return circuitbreaker.Settings{
		Failures: c.Failures, RateFailures: c.RateFailures, RateOutcomes: c.RateOutcomes, MaxActions: c.MaxActions, Window: c.Window,
		Cooldown: c.Cooldown, MaxKeys: maxBreakers,
	}
}

// Validate checks that the rules of the breaker make sense.
func (c *BreakerConfig) Validate() error { return c.settings().Validate() }

// BreakersConfig are the breakers of each playbook, of each target, and of all actions together.
type BreakersConfig struct {
	Playbook BreakerConfig `mapstructure:"playbook"`
	Target   BreakerConfig `mapstructure:"target"`
	Fleet    BreakerConfig `mapstructure:"fleet"`
}

func defaultBreakers() BreakersConfig {
	return BreakersConfig{
		Playbook: BreakerConfig{Failures: 3, Cooldown: 30 * time.Minute},
		Target:   BreakerConfig{Failures: 2, MaxActions: 3, Window: time.Hour, Cooldown: time.Hour},
		Fleet:    BreakerConfig{RateFailures: 5, RateOutcomes: 10, Cooldown: 30 * time.Minute},
	}
}

// StormConfig says what a storm of incidents is and how much may be done in one.
type StormConfig struct {
	// MaxIncidents may open within Window without being a storm.
	MaxIncidents int           `mapstructure:"max_incidents"`
	Window       time.Duration `mapstructure:"window"`
	// MaxActions may start in a storm.
	MaxActions int `mapstructure:"max_actions"`
	// Quiet is for how long few incidents must have opened for a storm to end.
	Quiet time.Duration `mapstructure:"quiet"`
	// Jitter is by how much actions are spread after a storm, a window or an outage.
	Jitter time.Duration `mapstructure:"jitter"`
}

func defaultStorm() StormConfig {
	return StormConfig{MaxIncidents: 10, Window: time.Minute, MaxActions: 1, Quiet: 2 * time.Minute, Jitter: 30 * time.Second}
}

func (c *StormConfig) settings() stormgate.Settings {
	return stormgate.Settings{MaxIncidents: c.MaxIncidents, Window: c.Window, MaxActions: c.MaxActions, Quiet: c.Quiet, Jitter: c.Jitter}
}

// Validate checks that the storm gate makes sense.
func (c *StormConfig) Validate() error { return c.settings().Validate() }

// LearningConfig says how verified outcomes order the playbooks that an incident calls for.
type LearningConfig struct {
	// Enabled is false to keep the configured order for ever, and no outcomes.
	Enabled bool `mapstructure:"enabled"`
	// MinOutcomes verified outcomes must be known of a cause kind before its playbooks are ordered.
	MinOutcomes int `mapstructure:"min_outcomes"`
	// HalfLife is after how long an outcome counts half; 0 for never.
	HalfLife time.Duration `mapstructure:"half_life"`
	// Floor is the expected share of successes below which a playbook no longer acts by itself, once FloorOutcomes are known.
	Floor         float64 `mapstructure:"floor"`
	FloorOutcomes int     `mapstructure:"floor_outcomes"`
	// MaxPairs bounds the pairs of cause kind and playbook that are kept.
	MaxPairs int `mapstructure:"max_pairs"`
}

func defaultLearning() LearningConfig {
	return LearningConfig{Enabled: true, MinOutcomes: 20, HalfLife: 30 * 24 * time.Hour, Floor: 0.25, FloorOutcomes: 5, MaxPairs: 1000}
}

func (c *LearningConfig) settings() outcomes.Settings {
	if !c.Enabled {
		return outcomes.Settings{}
	}
	return outcomes.Settings{HalfLife: c.HalfLife, MinOutcomes: c.MinOutcomes, Floor: c.Floor, FloorOutcomes: c.FloorOutcomes, MaxPairs: c.MaxPairs}
}

// Validate checks the settings of learning.
func (c *LearningConfig) Validate() error {
	if !c.Enabled {
		return nil
	}
	return c.settings().Validate()
}

// KillSwitchConfig says how automation is paused from outside. It is looked at right before each action.
type KillSwitchConfig struct {
	// File pauses automation while it exists.
	File string `mapstructure:"file"`
	// Environment is the environment variable that pauses automation from the start when it is neither empty, 0 nor false.
	Environment string `mapstructure:"environment"`
}

// Validate checks the path.
func (c *KillSwitchConfig) Validate() error {
	if c.File != "" && !filepath.IsAbs(c.File) {
		return fmt.Errorf("file must be an absolute path, got %.200q; a relative one depends on where the collector was started", c.File)
	}
	return nil
}

// policySettings returns what bounds all playbooks together.
func (c *Config) policySettings() playbook.PolicySettings {
	fleet := actionbudget.Limit{Scope: actionbudget.Fleet, MaxActions: c.Budget.MaxActions, Window: c.Budget.Window}
	return playbook.PolicySettings{
		Budget: append([]actionbudget.Limit{fleet}, c.Budget.Limits...), MaxCharges: 10_000,
		Playbook: c.Breakers.Playbook.settings(), Target: c.Breakers.Target.settings(), Fleet: c.Breakers.Fleet.settings(),
		Storm: c.Storm.settings(), Outcomes: c.Learning.settings(),
	}
}
