package remediationexporter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/configretry"
	"go.opentelemetry.io/collector/confmap"

	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/semconv"
)

// NotifierConfig is a system that is told of events, by the one driver that is set.
type NotifierConfig struct {
	Drivers `mapstructure:",squash"`
	// Events are the types that are sent here; the driver has a list of its own for when they are not set.
	Events []Event `mapstructure:"events"`
	// MaxEventsPerMinute is how much news is sent in a minute before the rest is told in one summary; 0 is no limit.
	MaxEventsPerMinute int `mapstructure:"max_events_per_minute"`
	// AllowPrivateRanges permits connections to loopback, private, link-local and other special addresses.
	AllowPrivateRanges bool `mapstructure:"allow_private_ranges"`
	// Timeout bounds one attempt with all its requests.
	Timeout time.Duration `mapstructure:"timeout"`
	// RetryConfig rules how a failed delivery is repeated, in place of the exporter's retry_on_failure.
	RetryConfig *configretry.BackOffConfig `mapstructure:"retry_on_failure"`
}

// defaultAttemptTimeout bounds an attempt, whose requests have a timeout of 10 s each by default.
const defaultAttemptTimeout = 30 * time.Second

// Unmarshal puts the user's settings over the defaults of the driver that the user has chosen.
func (c *NotifierConfig) Unmarshal(conf *confmap.Conf) error {
	*c = NotifierConfig{Timeout: defaultAttemptTimeout}
	if conf.IsSet("retry_on_failure") {
		retry := defaultRetry()
		c.RetryConfig = &retry
	}
	for _, o := range c.all() {
		o.reset()
		if conf.IsSet(o.name) {
			c.MaxEventsPerMinute = o.traits.MaxEventsPerMinute
			if !conf.IsSet("events") {
				c.Events = namesOf(o.traits.Events)
			}
		}
	}
	return conf.Unmarshal(c)
}

// namesOf returns the short names of event types.
func namesOf(types []semconv.EventType) []Event {
	var out []Event
	for _, t := range eventTypes {
		if slices.Contains(types, t.typ) {
			out = append(out, t.name)
		}
	}
	return out
}

// Validate checks what can be known without connecting.
func (c *NotifierConfig) Validate() error {
	var errs []error
	if o := c.driver(); o == nil {
		errs = append(errs, fmt.Errorf("exactly one of %s must be set; to tell several systems, give each a name of its own", strings.Join(driverNames(), ", ")))
	} else if !c.AllowPrivateRanges {
		for _, endpoint := range o.config().Endpoints() {
			errs = append(errs, checkPublic(o.name+"::endpoint", endpoint))
		}
	}
	for i, e := range c.Events {
		if slices.Contains(c.Events[:i], e) {
			errs = append(errs, fmt.Errorf("events must not repeat %s", e))
		}
	}
	if c.MaxEventsPerMinute < 0 || c.MaxEventsPerMinute > 100_000 {
		errs = append(errs, fmt.Errorf("max_events_per_minute must be between 0 and 100000, got %d; 0 is no limit", c.MaxEventsPerMinute))
	}
	if c.Timeout <= 0 || c.Timeout > driver.MaxTimeout {
		errs = append(errs, fmt.Errorf("timeout must be more than 0s and at most %s, got %s", driver.MaxTimeout, c.Timeout))
	}
	return errors.Join(errs...)
}

// checkPublic refuses an endpoint that names a private address. What names resolve to is checked at each connection.
func checkPublic(field, endpoint string) error {
	if addr, ok := driver.Address(endpoint); ok && isSpecial(addr) {
		return fmt.Errorf("%s must not be the private address %s; set allow_private_ranges: true if that is meant", field, addr)
	}
	return nil
}
