package remediationexporter

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/confignet"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
)

const (
	minAPIBody = 1 << 10
	maxAPIBody = 64 << 10
	// maxNames bounds a list of people.
	maxNames = 100
)

// APIConfig is the HTTP server by which people look at the exporter, approve, and intervene.
type APIConfig struct {
	confighttp.ServerConfig `mapstructure:",squash"`
	// Identity is the attribute of the caller's authentication that names the person; empty takes subject, then username.
	Identity string `mapstructure:"identity"`
	// Operators may pause, reset breakers and replay; empty means whoever is authenticated.
	Operators []string `mapstructure:"operators"`
	// MaxConnections bounds the connections at the same time.
	MaxConnections int `mapstructure:"max_connections"`
}

func defaultAPI() APIConfig {
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr.Endpoint = "127.0.0.1:8099"
	server.MaxRequestBodySize = 16 << 10
	server.CompressionAlgorithms = []string{""}
	server.ReadHeaderTimeout, server.ReadTimeout = 5*time.Second, 10*time.Second
	server.WriteTimeout, server.IdleTimeout = 30*time.Second, time.Minute
	return APIConfig{ServerConfig: server, MaxConnections: 64}
}

// Validate checks that nobody who is unknown can change anything, or look from elsewhere.
func (c *APIConfig) Validate() error {
	var errs []error
	if err := c.validateAddress(); err != nil {
		errs = append(errs, err)
	}
	if c.MaxRequestBodySize < minAPIBody || c.MaxRequestBodySize > maxAPIBody {
		errs = append(errs, fmt.Errorf("max_request_body_size must be between %d and %d, got %d", minAPIBody, maxAPIBody, c.MaxRequestBodySize))
	}
	for _, t := range []struct {
		name  string
		value time.Duration
	}{
		{"read_timeout", c.ReadTimeout},
		{"read_header_timeout", c.ReadHeaderTimeout},
		{"write_timeout", c.WriteTimeout},
		{"idle_timeout", c.IdleTimeout},
	} {
		if t.value <= 0 || t.value > 5*time.Minute {
			errs = append(errs, fmt.Errorf("%s must be more than 0s and at most 5m, got %s; without it slow callers pile up", t.name, t.value))
		}
	}
	if c.MaxConnections < 1 || c.MaxConnections > 10_000 {
		errs = append(errs, fmt.Errorf("max_connections must be between 1 and 10000, got %d", c.MaxConnections))
	}
	if c.Identity == "raw" {
		errs = append(errs, errors.New("identity must not be raw, which holds the password; name the attribute that holds the person, such as username"))
	}
	if len(c.Operators) > 0 && !c.Auth.HasValue() {
		errs = append(errs, errors.New("operators must be unset without auth; nobody can be told from anybody else"))
	}
	errs = append(errs, validateNames("operators", c.Operators))
	return errors.Join(errs...)
}

// validateAddress keeps a server without authentication on this machine.
func (c *APIConfig) validateAddress() error {
	if c.NetAddr.Transport == confignet.TransportTypeUnix {
		return errors.New("transport must be tcp, tcp4 or tcp6, got unix")
	}
	host, _, err := net.SplitHostPort(c.NetAddr.Endpoint)
	if err != nil {
		return fmt.Errorf("endpoint must be host:port, got %.200q", c.NetAddr.Endpoint)
	}
	if !c.Auth.HasValue() && !isLoopback(host) {
		return fmt.Errorf("endpoint must be on loopback without auth, got %.200q; name an authenticator extension under auth, or listen on 127.0.0.1", c.NetAddr.Endpoint)
	}
	return nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && addr.Unmap().IsLoopback())
}

// validateNames checks a list of people.
func validateNames(field string, names []string) error {
	if len(names) > maxNames {
		return fmt.Errorf("%s must be at most %d, got %d", field, maxNames, len(names))
	}
	for i, name := range names {
		if !isPerson(name) {
			return fmt.Errorf("%s::%d: must be a name of 1 to %d printable bytes, got %.80q", field, i, maxPersonLen, name)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("%s must not repeat %.80q", field, name)
		}
	}
	return nil
}

// ApprovalsConfig says how approvals that come as log records are told from forged ones.
type ApprovalsConfig struct {
	// Secrets are the keys by which records of approval are signed; without any, none is accepted.
	Secrets []configopaque.String `mapstructure:"secrets"`
	// Tolerance is by how much the time of an approval may be off.
	Tolerance time.Duration `mapstructure:"tolerance"`
}

func defaultApprovals() ApprovalsConfig { return ApprovalsConfig{Tolerance: 5 * time.Minute} }

// Validate checks the keys.
func (c *ApprovalsConfig) Validate() error {
	var errs []error
	if len(c.Secrets) > maxSecrets {
		errs = append(errs, fmt.Errorf("secrets must be at most %d, got %d", maxSecrets, len(c.Secrets)))
	}
	for i, s := range c.Secrets {
		if _, err := standardwebhooks.ParseKey(string(s)); err != nil {
			errs = append(errs, fmt.Errorf("secrets::%d: %w", i, err))
		}
	}
	if c.Tolerance < time.Second || c.Tolerance > time.Hour {
		errs = append(errs, fmt.Errorf("tolerance must be between 1s and 1h, got %s", c.Tolerance))
	}
	return errors.Join(errs...)
}

// AuditConfig is the record of everything that was decided and done, and of what was not and why.
type AuditConfig struct {
	// MaxRecords bounds what is kept; older records are where they were exported to.
	MaxRecords int `mapstructure:"max_records"`
	// OTLP is where records are sent as logs, in order and without loss over restarts; off until it is written.
	OTLP configoptional.Optional[AuditOTLPConfig] `mapstructure:"otlp"`
}

// AuditOTLPConfig is an OTLP/HTTP endpoint for logs, such as this collector's own receiver.
type AuditOTLPConfig struct {
	confighttp.ClientConfig `mapstructure:",squash"`
}

func defaultAudit() AuditConfig {
	client := confighttp.NewDefaultClientConfig()
	client.Endpoint, client.Timeout = "http://127.0.0.1:4318/v1/logs", 10*time.Second
	return AuditConfig{MaxRecords: 10_000, OTLP: configoptional.Default(AuditOTLPConfig{client})}
}

// Validate checks the bounds.
func (c *AuditConfig) Validate() error {
	if c.MaxRecords < 100 || c.MaxRecords > 100_000 {
		return fmt.Errorf("max_records must be between 100 and 100000, got %d; it bounds memory", c.MaxRecords)
	}
	return nil
}

// Validate checks what can be known without connecting. It never quotes the URL, which may hold a secret.
func (c *AuditOTLPConfig) Validate() error {
	var errs []error
	u, err := url.Parse(c.Endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil {
		errs = append(errs, errors.New("endpoint must be the http or https URL of an OTLP receiver for logs, without user or password, such as http://127.0.0.1:4318/v1/logs"))
	}
	if c.Timeout <= 0 || c.Timeout > 5*time.Minute {
		errs = append(errs, fmt.Errorf("timeout must be more than 0s and at most 5m, got %s", c.Timeout))
	}
	errs = append(errs, c.ClientConfig.Validate())
	return errors.Join(errs...)
}

// DeadLettersConfig bounds the events that webhooks did not take.
type DeadLettersConfig struct {
	// MaxEvents are kept, the latest; 0 keeps none.
	MaxEvents int `mapstructure:"max_events"`
	// MaxAge is how long each is kept.
	MaxAge time.Duration `mapstructure:"max_age"`
}

// Validate checks the bounds.
func (c *DeadLettersConfig) Validate() error {
	var errs []error
	if c.MaxEvents < 0 || c.MaxEvents > 10_000 {
		errs = append(errs, fmt.Errorf("max_events must be between 0 and 10000, got %d; it bounds memory, and 0 keeps none", c.MaxEvents))
	}
	if c.MaxAge < time.Minute || c.MaxAge > 90*24*time.Hour {
		errs = append(errs, fmt.Errorf("max_age must be between 1m and 2160h, got %s", c.MaxAge))
	}
	return errors.Join(errs...)
}
