package remediationexporter

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configretry"
)

const (
	minBodySize = 16 << 10
	maxBodySize = 1 << 20
)

// namePattern keeps the names of webhooks and playbooks fit for storage keys and for logs.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)

// Config is the configuration of the remediation exporter.
type Config struct {
	// Source is the CloudEvents source of every event.
	Source string `mapstructure:"source"`
	// Webhooks are where events go, by name.
	Webhooks map[string]WebhookConfig `mapstructure:"webhooks"`
	// Playbooks are asked in order; the first whose guards allow it acts.
	Playbooks []PlaybookConfig `mapstructure:"playbooks"`
	// Budget bounds the actions of all playbooks together.
	Budget BudgetConfig `mapstructure:"budget"`
	// Storage is the storage extension that keeps decisions and queued events; nil keeps them in memory only.
	Storage *component.ID `mapstructure:"storage"`
	// QueueSize bounds the events that wait for each webhook.
	QueueSize int `mapstructure:"queue_size"`
	// RetryConfig rules how a failed delivery is repeated.
	RetryConfig configretry.BackOffConfig `mapstructure:"retry_on_failure"`
	// MaxBodySize bounds the size of an event; the incident in a larger one is shortened.
	MaxBodySize int `mapstructure:"max_body_size"`
	// MaxIncidents bounds the incidents that are remembered.
	MaxIncidents int `mapstructure:"max_incidents"`
	// ForgetAfter is how long after its last event an incident is forgotten.
	ForgetAfter time.Duration `mapstructure:"forget_after"`
}

// BudgetConfig bounds the actions of all playbooks together.
type BudgetConfig struct {
	// MaxActions is how many actions may start within Window.
	MaxActions int `mapstructure:"max_actions"`
	// Window is the length of the sliding window, in wall time.
	Window time.Duration `mapstructure:"window"`
}

func createDefaultConfig() component.Config {
	retry := configretry.NewDefaultBackOffConfig()
	retry.InitialInterval = time.Second
	retry.Multiplier = 3
	retry.MaxInterval = 5 * time.Minute
	retry.MaxElapsedTime = time.Hour
	return &Config{
		Source:       "/paramedic",
		Budget:       BudgetConfig{MaxActions: 5, Window: 10 * time.Minute},
		QueueSize:    1000,
		RetryConfig:  retry,
		MaxBodySize:  64 << 10,
		MaxIncidents: 1000,
		ForgetAfter:  24 * time.Hour,
	}
}

// Validate reports what is wrong with the settings as a whole; webhooks and playbooks check themselves.
func (c *Config) Validate() error {
	var errs []error
	if c.Source == "" || len(c.Source) > 200 {
		errs = append(errs, fmt.Errorf("source must have 1 to 200 characters, got %d; it names this exporter to receivers", len(c.Source)))
	}
	if len(c.Webhooks) == 0 {
		errs = append(errs, errors.New("webhooks must not be empty; name at least one receiver"))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Webhooks)) {
		if !namePattern.MatchString(name) {
			errs = append(errs, fmt.Errorf("webhooks: name must match %s, got %.80q", namePattern, name))
		}
	}
	seen := map[string]bool{}
	for i, p := range c.Playbooks {
		if seen[p.Name] {
			errs = append(errs, fmt.Errorf("playbooks::%d: name must be unique, got %q twice", i, p.Name))
		}
		seen[p.Name] = true
		if _, ok := c.Webhooks[p.Webhook]; !ok && p.Webhook != "" {
			errs = append(errs, fmt.Errorf("playbooks::%d: webhook must be one of webhooks, got %.80q", i, p.Webhook))
		}
		if p.Verify.Within > c.ForgetAfter {
			errs = append(errs, fmt.Errorf("playbooks::%d: verify::within must be at most forget_after (%s), got %s", i, c.ForgetAfter, p.Verify.Within))
		}
	}
	if c.QueueSize < 1 || c.QueueSize > 100_000 {
		errs = append(errs, fmt.Errorf("queue_size must be between 1 and 100000, got %d; it bounds memory", c.QueueSize))
	}
	if c.MaxBodySize < minBodySize || c.MaxBodySize > maxBodySize {
		errs = append(errs, fmt.Errorf("max_body_size must be between %d and %d, got %d", minBodySize, maxBodySize, c.MaxBodySize))
	}
	if c.MaxIncidents < 1 || c.MaxIncidents > 100_000 {
		errs = append(errs, fmt.Errorf("max_incidents must be between 1 and 100000, got %d; it bounds memory", c.MaxIncidents))
	}
	if c.ForgetAfter < time.Minute {
		errs = append(errs, fmt.Errorf("forget_after must be at least 1m, got %s", c.ForgetAfter))
	}
	return errors.Join(errs...)
}

// Validate checks the budget.
func (c *BudgetConfig) Validate() error {
	var errs []error
	if c.MaxActions < 0 || c.MaxActions > 1000 {
		errs = append(errs, fmt.Errorf("max_actions must be between 0 and 1000, got %d; 0 lets nothing act", c.MaxActions))
	}
	if c.Window < time.Second {
		errs = append(errs, fmt.Errorf("window must be at least 1s, got %s", c.Window))
	}
	return errors.Join(errs...)
}
