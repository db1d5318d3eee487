package opsgenie

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/collector/config/configopaque"

	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
)

// Config is an API integration of Opsgenie or of Jira Service Management.
type Config struct {
	// The endpoint is what stands before /v2/alerts.
	driver.Client `mapstructure:",squash"`
	// APIKey is the key of the integration.
	APIKey configopaque.String `mapstructure:"api_key"`
	// Priorities are P1 to P5 for each severity.
	Priorities driver.BySeverity[string] `mapstructure:"priorities"`
	// Responders are notified of every alert; the rules of the integration say who is if there are none.
	Responders []Responder `mapstructure:"responders"`
	// OwnerTeam notifies the team that has the name of the owner of the first cause.
	OwnerTeam bool `mapstructure:"owner_team"`
	// Tags are put on every alert.
	Tags []string `mapstructure:"tags"`
	// TagsAndPriority uses requests that only Opsgenie has: a tag on an alert that people are wanted for, and a priority that follows
	// the severity.
	TagsAndPriority bool `mapstructure:"tags_and_priority"`
	// StatusDelay is how long after a request its status is asked for.
	StatusDelay time.Duration `mapstructure:"status_delay"`
}

// Responder is a team, user, escalation or schedule, by its id, its name or, for a user, the username.
type Responder struct {
	Type     string `mapstructure:"type" json:"type"`
	ID       string `mapstructure:"id" json:"id,omitempty"`
	Name     string `mapstructure:"name" json:"name,omitempty"`
	Username string `mapstructure:"username" json:"username,omitempty"`
}

// Addresses of the systems.
const (
	OpsgenieEndpoint   = "https://api.opsgenie.com"
	OpsgenieEUEndpoint = "https://api.eu.opsgenie.com"
	JSMEndpoint        = "https://api.atlassian.com/jsm/ops/integration"
)

const maxStatusDelay = 30 * time.Second

// DefaultConfig returns everything that has a default for Opsgenie.
func DefaultConfig() Config {
	return Config{
		Client: driver.NewClient(OpsgenieEndpoint), Priorities: driver.BySeverity[string]{Critical: "P1", Major: "P2", Minor: "P3"},
		TagsAndPriority: true, StatusDelay: time.Second,
	}
}

// DefaultJSMConfig returns everything that has a default for Jira Service Management.
func DefaultJSMConfig() Config {
	c := DefaultConfig()
	c.Endpoint, c.TagsAndPriority = JSMEndpoint, false
	return c
}

var (
	knownPriorities = []string{"P1", "P2", "P3", "P4", "P5"}
	knownResponders = []string{"team", "user", "escalation", "schedule"}
)

// Validate checks what can be known without connecting.
func (c *Config) Validate() error {
	errs := []error{c.Check("authorization")}
	if c.APIKey == "" || strings.ContainsFunc(string(c.APIKey), func(r rune) bool { return r <= ' ' || r > '~' }) {
		errs = append(errs, errors.New("api_key must be the key of an API integration, without spaces; copy it from the integration's page"))
	}
	errs = append(errs, driver.CheckOneOf("priorities", c.Priorities, knownPriorities, "")...)
	if len(c.Responders) > maxResponders {
		errs = append(errs, fmt.Errorf("responders must have at most %d entries, got %d", maxResponders, len(c.Responders)))
	}
	for i := range c.Responders {
		if err := c.Responders[i].check(); err != nil {
			errs = append(errs, fmt.Errorf("responders::%d: %w", i, err))
		}
	}
	// The driver adds up to six of its own.
	if len(c.Tags) > maxTags-6 {
		errs = append(errs, fmt.Errorf("tags must have at most %d entries, got %d; the driver adds its own", maxTags-6, len(c.Tags)))
	}
	for i, t := range c.Tags {
		if strings.TrimSpace(t) == "" || utf8.RuneCountInString(t) > maxTag {
			errs = append(errs, fmt.Errorf("tags::%d must have 1 to %d characters, got %d", i, maxTag, utf8.RuneCountInString(t)))
		}
	}
	if c.StatusDelay < 0 || c.StatusDelay > maxStatusDelay {
		errs = append(errs, fmt.Errorf("status_delay must be between 0s and %s, got %s", maxStatusDelay, c.StatusDelay))
	}
	return errors.Join(errs...)
}

func (r *Responder) check() error {
	var errs []error
	if !slices.Contains(knownResponders, r.Type) {
		errs = append(errs, fmt.Errorf("type must be one of %s, got %.80q", strings.Join(knownResponders, ", "), r.Type))
	}
	n := 0
	for _, s := range []string{r.ID, r.Name, r.Username} {
		if s != "" {
			n++
		}
	}
	if n != 1 {
		errs = append(errs, fmt.Errorf("one of id, name and username must be set, got %d", n))
	}
	if r.Username != "" && r.Type != "user" || r.Name != "" && r.Type == "user" {
		errs = append(errs, errors.New("username must be set for a user, and name for all else; or use id"))
	}
	return errors.Join(errs...)
}
