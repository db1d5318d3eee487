package incidentstoreextension

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/paramedic-otel/paramedic/extension/incidentstoreextension/internal/restapi"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
)

// Config says where the memory is kept and for how long, and who may ask it.
type Config struct {
	Database  DatabaseConfig  `mapstructure:"database"`
	Retention RetentionConfig `mapstructure:"retention"`
	// API is off until it is written.
	API            configoptional.Optional[APIConfig] `mapstructure:"api"`
	Links          LinksConfig                        `mapstructure:"links"`
	LeaderElection LeaderElectionConfig               `mapstructure:"leader_election"`
}

// DatabaseConfig says where the database is.
type DatabaseConfig struct {
	// Driver is sqlite or postgresql.
	Driver incidentstore.Driver `mapstructure:"driver"`
	// Path is the file of SQLite.
	Path string `mapstructure:"path"`
	// DSN is how to reach PostgreSQL.
	DSN configopaque.String `mapstructure:"dsn"`
	// MaxConnections are those to PostgreSQL.
	MaxConnections int `mapstructure:"max_connections"`
	// OpenTimeout is how long a start waits for the database to answer.
	OpenTimeout time.Duration `mapstructure:"open_timeout"`
}

// RetentionConfig bounds what is kept; see [incidentstore.Settings] for what goes first.
type RetentionConfig struct {
	// Interval is the time between two rounds that remove what is too old or too much.
	Interval         time.Duration `mapstructure:"interval"`
	MaxAge           time.Duration `mapstructure:"max_age"`
	MaxIncidents     int           `mapstructure:"max_incidents"`
	MaxIntents       int           `mapstructure:"max_intents"`
	MaxDeliveries    int           `mapstructure:"max_deliveries"`
	MaxAuditRecords  int           `mapstructure:"max_audit_records"`
	MaxChanges       int           `mapstructure:"max_changes"`
	MaxBytes         int64         `mapstructure:"max_bytes"`
	MaxIncidentBytes int           `mapstructure:"max_incident_bytes"`
	MaxHistory       int           `mapstructure:"max_history"`
	MaxCommands      int           `mapstructure:"max_commands"`
	MaxSilences      int           `mapstructure:"max_silences"`
	MaxClaims        int           `mapstructure:"max_claims"`
	CommandAge       time.Duration `mapstructure:"command_age"`
	TokenAge         time.Duration `mapstructure:"token_age"`
	ClaimAge         time.Duration `mapstructure:"claim_age"`
}

// LinksConfig says how people come back from messages.
type LinksConfig struct {
	// PublicURL is where people reach the API; empty makes no links.
	PublicURL string `mapstructure:"public_url"`
	// Secrets sign approval links: the first signs, all are believed. Without any there are none.
	Secrets []configopaque.String `mapstructure:"secrets"`
	// AllowAnonymous lets an approval link decide without authentication.
	AllowAnonymous bool `mapstructure:"allow_anonymous"`
	// MaxAge is how long an approval link counts at most.
	MaxAge time.Duration `mapstructure:"max_age"`
}

// LeaderElectionConfig says how replicas agree on the one that acts.
type LeaderElectionConfig struct {
	// Name is the election's; replicas of one name are in one election.
	Name string `mapstructure:"name"`
	// Identity is this replica, unlike any other; empty makes one up at each start.
	Identity string `mapstructure:"identity"`
	// Lease is how long a leader that is not heard of remains it.
	Lease time.Duration `mapstructure:"lease"`
	// RenewDeadline is how long after its last success a leader gives up.
	RenewDeadline time.Duration `mapstructure:"renew_deadline"`
	// RetryPeriod is the time between two attempts.
	RetryPeriod time.Duration `mapstructure:"retry_period"`
}

// inMemory is what SQLite takes for no file.
const inMemory = ":memory:"

const (
	maxSecrets = 5
	maxNameLen = 100
)

func createDefaultConfig() component.Config {
	d := incidentstore.DefaultSettings()
	return &Config{
		Database: DatabaseConfig{Driver: d.Driver, MaxConnections: d.MaxConnections, OpenTimeout: 30 * time.Second},
		Retention: RetentionConfig{
			Interval: time.Minute, MaxAge: d.MaxAge, MaxIncidents: d.MaxIncidents, MaxIntents: d.MaxIntents, MaxDeliveries: d.MaxDeliveries,
			MaxAuditRecords: d.MaxAuditRecords, MaxChanges: d.MaxChanges, MaxBytes: d.MaxBytes, MaxIncidentBytes: d.MaxIncidentBytes,
			MaxHistory: d.MaxHistory, MaxCommands: d.MaxCommands, MaxSilences: d.MaxSilences, MaxClaims: d.MaxClaims,
			CommandAge: d.CommandAge, TokenAge: d.TokenAge, ClaimAge: d.ClaimAge,
		},
		API:            configoptional.Default(defaultAPI()),
		Links:          LinksConfig{MaxAge: 24 * time.Hour},
		LeaderElection: LeaderElectionConfig{Name: "remediation", Lease: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 2 * time.Second},
	}
}

// settings are those of the store.
func (c *Config) settings() incidentstore.Settings {
	s := incidentstore.DefaultSettings()
	c.Database.put(&s)
	c.Retention.put(&s)
	return s
}

func (c *DatabaseConfig) put(s *incidentstore.Settings) {
	s.Driver, s.Path, s.DSN, s.MaxConnections = c.Driver, c.Path, string(c.DSN), c.MaxConnections
}

func (c *RetentionConfig) put(s *incidentstore.Settings) {
	s.MaxAge, s.MaxIncidents, s.MaxIntents, s.MaxDeliveries = c.MaxAge, c.MaxIncidents, c.MaxIntents, c.MaxDeliveries
	s.MaxAuditRecords, s.MaxChanges, s.MaxBytes, s.MaxIncidentBytes = c.MaxAuditRecords, c.MaxChanges, c.MaxBytes, c.MaxIncidentBytes
	s.MaxHistory, s.MaxCommands, s.MaxSilences, s.MaxClaims = c.MaxHistory, c.MaxCommands, c.MaxSilences, c.MaxClaims
	s.CommandAge, s.TokenAge, s.ClaimAge = c.CommandAge, c.TokenAge, c.ClaimAge
}

// Validate checks what concerns several parts.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Links.Secrets) > 0 && (!c.API.HasValue() || !c.API.Get().Auth.HasValue()) {
		errs = append(errs, errors.New("links::secrets must be unset without api::auth; name an authenticator extension there, since the API decides nothing without one"))
	}
	if c.Links.MaxAge > c.Retention.TokenAge {
		errs = append(errs, fmt.Errorf("links::max_age must be at most retention::token_age, which is %s, got %s; a link that was used must be known as long as it counts", c.Retention.TokenAge, c.Links.MaxAge))
	}
	return errors.Join(errs...)
}

// Validate checks what can be known without the database. It never quotes the DSN, which may hold a password.
func (c *DatabaseConfig) Validate() error {
	s := incidentstore.DefaultSettings()
	c.put(&s)
	errs := []error{s.Validate()}
	if c.Driver == incidentstore.SQLite && c.DSN != "" {
		errs = append(errs, errors.New("dsn must be unset with driver sqlite; set driver to postgresql, or use path"))
	}
	if c.Path == inMemory {
		errs = append(errs, fmt.Errorf("path must be a file, got %s; what is kept there each connection has for itself, and nobody can read it", inMemory))
	}
	if c.Driver == incidentstore.PostgreSQL && c.Path != "" {
		errs = append(errs, fmt.Errorf("path must be unset with driver postgresql, got %.200q; use dsn", c.Path))
	}
	if c.OpenTimeout < time.Second || c.OpenTimeout > 10*time.Minute {
		errs = append(errs, fmt.Errorf("open_timeout must be between 1s and 10m, got %s", c.OpenTimeout))
	}
	return errors.Join(errs...)
}

// Validate checks the bounds.
func (c *RetentionConfig) Validate() error {
	s := incidentstore.DefaultSettings()
	s.Path = "incidents.db"
	c.put(&s)
	errs := []error{s.Validate()}
	if c.Interval < time.Second || c.Interval > 24*time.Hour {
		errs = append(errs, fmt.Errorf("interval must be between 1s and 24h, got %s; between two rounds the database grows beyond its bounds", c.Interval))
	}
	return errors.Join(errs...)
}

// Validate checks the URL and the keys, which it never quotes.
func (c *LinksConfig) Validate() error {
	var errs []error
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		local := err == nil && u.Scheme == "http" && restapi.IsLoopback(u.Hostname())
		if err != nil || u.Scheme != "https" && !local || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			errs = append(errs, errors.New("public_url must be an https URL without user, query and fragment, such as https://paramedic.example.com; http is for loopback only"))
		}
	}
	if len(c.Secrets) > maxSecrets {
		errs = append(errs, fmt.Errorf("secrets must be at most %d, got %d", maxSecrets, len(c.Secrets)))
	}
	for i, s := range c.Secrets {
		if _, err := standardwebhooks.ParseKey(string(s)); err != nil {
			errs = append(errs, fmt.Errorf("secrets::%d: %w", i, err))
		}
		if slices.Contains(c.Secrets[:i], s) {
			errs = append(errs, fmt.Errorf("secrets::%d must not repeat another one", i))
		}
	}
	if len(c.Secrets) > 0 && c.PublicURL == "" {
		errs = append(errs, errors.New("public_url must be set with secrets; links lead there"))
	}
	if c.AllowAnonymous && len(c.Secrets) == 0 {
		errs = append(errs, errors.New("allow_anonymous must be false without secrets; there are no links to allow"))
	}
	if c.MaxAge < time.Minute || c.MaxAge > 30*24*time.Hour {
		errs = append(errs, fmt.Errorf("max_age must be between 1m and 720h, got %s", c.MaxAge))
	}
	return errors.Join(errs...)
}

// Validate checks that a leader stops before its lease ends.
func (c *LeaderElectionConfig) Validate() error {
	var errs []error
	if !isName(c.Name) {
		errs = append(errs, fmt.Errorf("name must have 1 to %d printable bytes without spaces, got %.120q", maxNameLen, c.Name))
	}
	if c.Identity != "" && !isName(c.Identity) {
		errs = append(errs, fmt.Errorf("identity must have at most %d printable bytes without spaces, got %.120q; leave it out to have one made up", maxNameLen, c.Identity))
	}
	if c.Lease < 5*time.Second || c.Lease > 10*time.Minute {
		errs = append(errs, fmt.Errorf("lease must be between 5s and 10m, got %s", c.Lease))
	}
	if c.RenewDeadline <= 0 || c.RenewDeadline > c.Lease*9/10 {
		errs = append(errs, fmt.Errorf("renew_deadline must be more than 0s and at most nine tenths of lease, got %s; a leader must stop before another begins", c.RenewDeadline))
	}
	if c.RetryPeriod < 100*time.Millisecond || c.RetryPeriod > c.RenewDeadline/2 {
		errs = append(errs, fmt.Errorf("retry_period must be between 100ms and half of renew_deadline, got %s", c.RetryPeriod))
	}
	return errors.Join(errs...)
}

func isName(s string) bool {
	return len(s) <= maxNameLen && restapi.IsPerson(s) && !strings.Contains(s, " ")
}
