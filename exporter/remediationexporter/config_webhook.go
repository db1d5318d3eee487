package remediationexporter

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"

	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
	"github.com/paramedic-otel/paramedic/semconv"
)

// maxSecrets bounds the keys with which a message is signed at the same time.
const maxSecrets = 4

// Event is the short name of an outbound event type, as it is written in a webhook's filter.
type Event string

// eventTypes are the events that a webhook can subscribe to, in the order of the documentation.
var eventTypes = []struct {
	name Event
	typ  semconv.EventType
}{
	{"incident.opened", semconv.EventTypeIncidentOpened},
	{"incident.updated", semconv.EventTypeIncidentUpdated},
	{"incident.acknowledged", semconv.EventTypeIncidentAcknowledged},
	{"incident.resolved", semconv.EventTypeIncidentResolved},
	{"remediation.proposed", semconv.EventTypeRemediationProposed},
	{"remediation.skipped", semconv.EventTypeRemediationSkipped},
	{"remediation.started", semconv.EventTypeRemediationStarted},
	{"remediation.succeeded", semconv.EventTypeRemediationSucceeded},
	{"remediation.failed", semconv.EventTypeRemediationFailed},
	{"remediation.inconclusive", semconv.EventTypeRemediationInconclusive},
	{"remediation.suggested", semconv.EventTypeRemediationSuggested},
	{"remediation.approval_requested", semconv.EventTypeRemediationApprovalRequested},
	{"remediation.denied", semconv.EventTypeRemediationDenied},
	{"remediation.expired", semconv.EventTypeRemediationExpired},
	{"remediation.rolled_back", semconv.EventTypeRemediationRolledBack},
	{"remediation.escalated", semconv.EventTypeRemediationEscalated},
	{"remediation.breaker_opened", semconv.EventTypeRemediationBreakerOpened},
	{"remediation.breaker_closed", semconv.EventTypeRemediationBreakerClosed},
	{"remediation.storm_began", semconv.EventTypeRemediationStormBegan},
	{"remediation.storm_ended", semconv.EventTypeRemediationStormEnded},
	{"remediation.paused", semconv.EventTypeRemediationPaused},
	{"remediation.resumed", semconv.EventTypeRemediationResumed},
	{"delivery.dead_lettered", semconv.EventTypeDeliveryDeadLettered},
	{"delivery.destination_disabled", semconv.EventTypeDeliveryDestinationDisabled},
}

// UnmarshalText reads the short name of an event type.
func (e *Event) UnmarshalText(text []byte) error {
	var known []string
	for _, t := range eventTypes {
		if t.name == Event(text) {
			*e = t.name
			return nil
		}
		known = append(known, string(t.name))
	}
	return fmt.Errorf("event must be one of %s, got %.80q", strings.Join(known, ", "), text)
}

// eventType returns the type that the short name stands for.
func (e Event) eventType() semconv.EventType {
	for _, t := range eventTypes {
		if t.name == e {
			return t.typ
		}
	}
	return ""
}

// WebhookConfig is one receiver of events.
type WebhookConfig struct {
	confighttp.ClientConfig `mapstructure:",squash"`
	// Secrets sign every message, each with its own signature; the first is the current one.
	Secrets []configopaque.String `mapstructure:"secrets"`
	// Events are the types that are sent here. What a playbook asks this webhook to do is sent in any case.
	Events []Event `mapstructure:"events"`
	// MaxEventsPerMinute is how much news is sent in a minute before the rest is told in one summary; 0 is no limit.
	MaxEventsPerMinute int `mapstructure:"max_events_per_minute"`
	// AllowPrivateRanges permits connections to loopback, private, link-local and other special addresses.
	AllowPrivateRanges bool `mapstructure:"allow_private_ranges"`
}

func defaultWebhook() WebhookConfig {
	client := confighttp.NewDefaultClientConfig()
	client.Timeout = 10 * time.Second
	return WebhookConfig{
		ClientConfig: client,
		Events:       []Event{"incident.opened", "incident.updated", "incident.resolved", "delivery.dead_lettered", "delivery.destination_disabled"},
		// As much as receivers such as PagerDuty take at half their rate.
		MaxEventsPerMinute: 60,
	}
}

// Unmarshal puts the user's settings over the defaults.
func (c *WebhookConfig) Unmarshal(conf *confmap.Conf) error {
	*c = defaultWebhook()
	if conf.IsSet("events") {
		c.Events = nil
	}
	return conf.Unmarshal(c)
}

// Validate checks what can be known without connecting.
func (c *WebhookConfig) Validate() error {
	errs := []error{validateEndpoint(c.Endpoint, c.AllowPrivateRanges)}
	if len(c.Secrets) == 0 || len(c.Secrets) > maxSecrets {
		errs = append(errs, fmt.Errorf("secrets must hold 1 to %d values, got %d; receivers tell our messages from forged ones by them", maxSecrets, len(c.Secrets)))
	}
	for i, s := range c.Secrets {
		if _, err := standardwebhooks.ParseKey(string(s)); err != nil {
			errs = append(errs, fmt.Errorf("secrets::%d: %w", i, err))
		}
	}
	if c.MaxEventsPerMinute < 0 || c.MaxEventsPerMinute > 100_000 {
		errs = append(errs, fmt.Errorf("max_events_per_minute must be between 0 and 100000, got %d; 0 is no limit", c.MaxEventsPerMinute))
	}
	for i, e := range c.Events {
		if slices.Contains(c.Events[:i], e) {
			errs = append(errs, fmt.Errorf("events must not repeat %s", e))
		}
	}
	for name := range c.Headers.Iter {
		switch strings.ToLower(name) {
		case standardwebhooks.HeaderID, standardwebhooks.HeaderTimestamp, standardwebhooks.HeaderSignature, "content-type":
			errs = append(errs, fmt.Errorf("headers must not set %s, which belongs to the signed message", strings.ToLower(name)))
		}
	}
	if c.Compression.IsCompressed() {
		errs = append(errs, fmt.Errorf("compression must be unset, got %s; the signature is over the bytes as sent", c.Compression))
	}
	if c.Timeout <= 0 || c.Timeout > 5*time.Minute {
		errs = append(errs, fmt.Errorf("timeout must be more than 0s and at most 5m, got %s", c.Timeout))
	}
	errs = append(errs, c.ClientConfig.Validate())
	return errors.Join(errs...)
}

// validateEndpoint never quotes the URL: its path or query is often a secret.
func validateEndpoint(endpoint string, allowPrivate bool) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return errors.New("endpoint must be an http or https URL with a host")
	case u.User != nil:
		return errors.New("endpoint must not hold a user or password; use an auth extension or headers")
	case allowPrivate:
		return nil
	default:
		return checkPublic("endpoint", endpoint)
	}
}
