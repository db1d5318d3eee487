package incidentstoreextension

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/confignet"

	"github.com/paramedic-otel/paramedic/extension/incidentstoreextension/internal/restapi"
)

const (
	minBody = 1 << 10
	maxBody = 1 << 20
	// maxNames bounds a list of people.
	maxNames = 100
)

// APIConfig is the HTTP server by which people and their tools use the store.
type APIConfig struct {
	confighttp.ServerConfig `mapstructure:",squash"`
	// Identity is the attribute of the caller's authentication that names the person; empty takes subject, then username.
	Identity string `mapstructure:"identity"`
	// Operators may pause, silence, reset breakers and replay; empty means whoever is authenticated.
	Operators []string `mapstructure:"operators"`
	// Challenge is sent as WWW-Authenticate to who is not authenticated.
	Challenge string `mapstructure:"challenge"`
	// MaxConnections bounds the connections at the same time.
	MaxConnections int `mapstructure:"max_connections"`
	// RequestTimeout bounds the work for a request, and CommandWait how long it waits besides for an executor.
	RequestTimeout time.Duration `mapstructure:"request_timeout"`
	CommandWait    time.Duration `mapstructure:"command_wait"`
	// MaxSilence is how far ahead silences, maintenance windows and pauses may end.
	MaxSilence time.Duration `mapstructure:"max_silence"`
	// MaxStatistics bounds the incidents that statistics are made of.
	MaxStatistics int          `mapstructure:"max_statistics"`
	Stream        StreamConfig `mapstructure:"stream"`
}

// StreamConfig bounds live updates.
type StreamConfig struct {
	// MaxClients are connected at the same time.
	MaxClients int `mapstructure:"max_clients"`
	// Heartbeat is the longest silence on a connection.
	Heartbeat time.Duration `mapstructure:"heartbeat"`
	// WriteTimeout is how long a client may take to accept what is sent.
	WriteTimeout time.Duration `mapstructure:"write_timeout"`
	// MaxDuration is when a client has to connect again.
	MaxDuration time.Duration `mapstructure:"max_duration"`
}

func defaultAPI() APIConfig {
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr.Endpoint = "127.0.0.1:8098"
	server.MaxRequestBodySize = 16 << 10
	server.CompressionAlgorithms = []string{""}
	server.ReadHeaderTimeout, server.ReadTimeout = 5*time.Second, 10*time.Second
	server.WriteTimeout, server.IdleTimeout = 30*time.Second, time.Minute
	return APIConfig{
		ServerConfig: server, MaxConnections: 128, RequestTimeout: 20 * time.Second, CommandWait: 5 * time.Second,
		MaxSilence: 30 * 24 * time.Hour, MaxStatistics: 10_000,
		Stream: StreamConfig{MaxClients: 32, Heartbeat: 15 * time.Second, WriteTimeout: 10 * time.Second, MaxDuration: time.Hour},
	}
}

// Validate checks that nobody who is unknown can change anything, or look from elsewhere.
func (c *APIConfig) Validate() error {
	errs := []error{c.validateAddress()}
	if c.MaxRequestBodySize < minBody || c.MaxRequestBodySize > maxBody {
		errs = append(errs, fmt.Errorf("max_request_body_size must be between %d and %d, got %d", minBody, maxBody, c.MaxRequestBodySize))
	}
	for _, t := range []struct {
		name      string
		value     time.Duration
		low, high time.Duration
		why       string
	}{
		{"read_timeout", c.ReadTimeout, time.Millisecond, 5 * time.Minute, "without it slow callers pile up"},
		{"read_header_timeout", c.ReadHeaderTimeout, time.Millisecond, 5 * time.Minute, "without it slow callers pile up"},
		{"write_timeout", c.WriteTimeout, time.Millisecond, 5 * time.Minute, "without it slow callers pile up"},
		{"idle_timeout", c.IdleTimeout, time.Millisecond, 5 * time.Minute, "without it idle connections pile up"},
		{"request_timeout", c.RequestTimeout, 100 * time.Millisecond, 5 * time.Minute, "it bounds the work for a request"},
		{"command_wait", c.CommandWait, 0, time.Minute, "it is how long a caller waits for an executor"},
		{"max_silence", c.MaxSilence, time.Minute, 366 * 24 * time.Hour, "what never ends is forgotten"},
	} {
		if t.value < t.low || t.value > t.high {
			errs = append(errs, fmt.Errorf("%s must be between %s and %s, got %s; %s", t.name, t.low, t.high, t.value, t.why))
		}
	}
	if c.RequestTimeout+c.CommandWait >= c.WriteTimeout {
		errs = append(errs, fmt.Errorf("write_timeout must be more than request_timeout and command_wait together, which are %s, got %s; answers would be cut off", c.RequestTimeout+c.CommandWait, c.WriteTimeout))
	}
	if c.MaxConnections < 1 || c.MaxConnections > 10_000 {
		errs = append(errs, fmt.Errorf("max_connections must be between 1 and 10000, got %d", c.MaxConnections))
	}
	if c.Stream.MaxClients >= c.MaxConnections {
		errs = append(errs, fmt.Errorf("stream::max_clients must be less than max_connections, which is %d, got %d; live updates would shut out everybody else", c.MaxConnections, c.Stream.MaxClients))
	}
	if c.MaxStatistics < 1 || c.MaxStatistics > 1_000_000 {
		errs = append(errs, fmt.Errorf("max_statistics must be between 1 and 1000000, got %d", c.MaxStatistics))
	}
	if c.Identity == "raw" {
		errs = append(errs, errors.New("identity must not be raw, which holds the password; name the attribute that holds the person, such as username"))
	}
	if c.Challenge != "" && !restapi.IsPerson(c.Challenge) {
		errs = append(errs, errors.New(`challenge must have at most 128 printable bytes, such as Basic realm="paramedic"`))
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
	if !c.Auth.HasValue() && !restapi.IsLoopback(host) {
		return fmt.Errorf("endpoint must be on loopback without auth, got %.200q; name an authenticator extension under auth, or listen on 127.0.0.1", c.NetAddr.Endpoint)
	}
	return nil
}

// Validate checks the bounds.
func (c *StreamConfig) Validate() error {
	var errs []error
	if c.MaxClients < 1 || c.MaxClients > 5000 {
		errs = append(errs, fmt.Errorf("max_clients must be between 1 and 5000, got %d", c.MaxClients))
	}
	for _, t := range []struct {
		name             string
		value, low, high time.Duration
	}{
		{"heartbeat", c.Heartbeat, time.Second, 5 * time.Minute},
		{"write_timeout", c.WriteTimeout, 100 * time.Millisecond, 5 * time.Minute},
		{"max_duration", c.MaxDuration, time.Second, 24 * time.Hour},
	} {
		if t.value < t.low || t.value > t.high {
			errs = append(errs, fmt.Errorf("%s must be between %s and %s, got %s", t.name, t.low, t.high, t.value))
		}
	}
	return errors.Join(errs...)
}

// validateNames checks a list of people.
func validateNames(field string, names []string) error {
	if len(names) > maxNames {
		return fmt.Errorf("%s must be at most %d, got %d", field, maxNames, len(names))
	}
	for i, name := range names {
		if !restapi.IsPerson(name) {
			return fmt.Errorf("%s::%d: must be a name of 1 to %d printable bytes, got %.80q", field, i, restapi.MaxPersonLen, name)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("%s must not repeat %.80q", field, name)
		}
	}
	return nil
}
