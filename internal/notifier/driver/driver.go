// Package driver is what the configurations of all drivers of notifiers have in common. A driver is a package with
//
//	type Config struct {
//		driver.Client `mapstructure:",squash"`
//		...                                       // its own settings, secrets as configopaque.String
//	}
//	func DefaultConfig() Config               // everything that has a default
//	func (c *Config) Validate() error         // with c.Client.Check()
//	func New(c *Config, client *http.Client) (notifier.Destination, error)
//	var Traits = driver.Traits{...}
//
// and one line in each of the two lists of the remediation exporter's drivers.go. Its tests run the suite of notifiertest.
package driver

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/confighttp"

	"github.com/paramedic-otel/paramedic/semconv"
)

// Traits are what the exporter must know of a system.
type Traits struct {
	// Events are those that are sent when the user does not say which.
	Events []semconv.EventType
	// MaxEventsPerMinute is how many the system takes, as it documents, with room for what is never folded; 0 is no limit.
	MaxEventsPerMinute int
}

// PagerEvents are what systems are told by default that page people or keep tickets: what begins, changes or ends work, and not what
// automation only considered.
func PagerEvents() []semconv.EventType {
	return []semconv.EventType{
		semconv.EventTypeIncidentOpened, semconv.EventTypeIncidentUpdated, semconv.EventTypeIncidentAcknowledged, semconv.EventTypeIncidentResolved,
		semconv.EventTypeIncidentStorm, semconv.EventTypeRemediationStarted, semconv.EventTypeRemediationSucceeded, semconv.EventTypeRemediationFailed,
		semconv.EventTypeRemediationRolledBack, semconv.EventTypeRemediationApprovalRequested, semconv.EventTypeRemediationEscalated,
	}
}

// Config is the configuration of a driver, a pointer to its struct.
type Config interface {
	Validate() error
	// HTTP is how it is reached; the exporter makes a client of it that follows no redirects and is kept from private addresses.
	HTTP() *confighttp.ClientConfig
	// Endpoints are all URLs to which requests may go.
	Endpoints() []string
}

// MaxTimeout bounds one request.
const MaxTimeout = 5 * time.Minute

// Client is how a system is reached; the configurations of drivers embed it.
type Client struct {
	confighttp.ClientConfig `mapstructure:",squash"`
}

// NewClient returns the defaults, 10 s for each request among them, for a system that is at an endpoint; "" when the user must name it.
func NewClient(endpoint string) Client {
	c := confighttp.NewDefaultClientConfig()
	c.Endpoint, c.Timeout = endpoint, 10*time.Second
	return Client{c}
}

// HTTP returns the configuration of the client.
func (c *Client) HTTP() *confighttp.ClientConfig { return &c.ClientConfig }

// Endpoints returns the endpoint; a driver that has several hides this method.
func (c *Client) Endpoints() []string { return []string{c.Endpoint} }

// Check is what a driver's Validate says of the client. The names are of headers that belong to the driver, and that the user must
// not set.
func (c *Client) Check(names ...string) error {
	errs := []error{CheckEndpoint("endpoint", c.Endpoint)}
	if c.Timeout <= 0 || c.Timeout > MaxTimeout {
		errs = append(errs, fmt.Errorf("timeout must be more than 0s and at most %s, got %s", MaxTimeout, c.Timeout))
	}
	for name := range c.Headers.Iter {
		if slices.ContainsFunc(append(names, "content-type"), func(own string) bool { return strings.EqualFold(own, name) }) {
			errs = append(errs, fmt.Errorf("headers must not set %s, which the driver sets", strings.ToLower(name)))
		}
	}
	return errors.Join(errs...)
}

// CheckEndpoint checks a URL without quoting it: its path or query is often a secret.
func CheckEndpoint(field, endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return fmt.Errorf("%s must be an http or https URL with a host", field)
	case u.User != nil:
		return fmt.Errorf("%s must not hold a user or password; use an auth extension or headers", field)
	case u.Fragment != "":
		return fmt.Errorf("%s must not have a fragment, which is never sent", field)
	}
	return nil
}

// Address returns the host of a URL when it is an address, or localhost; for names, ok is false: only their resolution tells.
func Address(endpoint string) (addr netip.Addr, ok bool) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return netip.Addr{}, false
	}
	if host := strings.TrimSuffix(strings.ToLower(u.Hostname()), "."); host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return netip.IPv6Loopback(), true
	}
	addr, err = netip.ParseAddr(u.Hostname())
	return addr, err == nil
}
