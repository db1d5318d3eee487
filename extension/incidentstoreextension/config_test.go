package incidentstoreextension

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
)

// load reads one of testdata/config.yaml.
func load(t *testing.T, name string) *Config {
	t.Helper()
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	sub, err := conf.Sub("incidentstore/" + name)
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, sub.Unmarshal(cfg))
	return cfg
}

func TestConfig(t *testing.T) {
	least := createDefaultConfig().(*Config)
	least.Database.Path = "incidents.db"
	assert.Equal(t, least, load(t, "least"))
	require.NoError(t, xconfmap.Validate(least))
	assert.False(t, least.API.HasValue(), "the API is off until it is written")
	want := incidentstore.DefaultSettings()
	want.Path = "incidents.db"
	assert.Equal(t, want, least.settings())

	all := load(t, "all")
	require.NoError(t, xconfmap.Validate(all))
	api := defaultAPI()
	api.NetAddr.Endpoint, api.Identity, api.Operators, api.Challenge = "0.0.0.0:1234", "email", []string{"ann"}, "Basic"
	api.Auth = configoptional.Some(confighttp.AuthConfig{Config: configauth.Config{AuthenticatorID: component.MustNewID("basicauth")}})
	api.MaxConnections, api.MaxRequestBodySize, api.ReadTimeout, api.ReadHeaderTimeout = 10, 2048, time.Second, time.Second
	api.WriteTimeout, api.IdleTimeout, api.RequestTimeout, api.CommandWait = 9*time.Second, time.Second, 2*time.Second, 3*time.Second
	api.MaxSilence, api.MaxStatistics = time.Hour, 11
	api.Stream = StreamConfig{MaxClients: 9, Heartbeat: time.Second, WriteTimeout: time.Second, MaxDuration: time.Minute}
	assert.Equal(t, &Config{
		Database: DatabaseConfig{Driver: incidentstore.PostgreSQL, DSN: "postgres://u:p@db/x", MaxConnections: 5, OpenTimeout: 2 * time.Second},
		Retention: RetentionConfig{
			Interval: 90 * time.Second, MaxAge: time.Hour, MaxIncidents: 1, MaxIntents: 2, MaxDeliveries: 3, MaxAuditRecords: 4, MaxChanges: 5, MaxBytes: 16 << 20, MaxIncidentBytes: 8 << 10,
			MaxHistory: 6, MaxCommands: 7, MaxSilences: 8, MaxClaims: 9, CommandAge: time.Second, TokenAge: 25 * time.Hour, ClaimAge: 26 * time.Hour,
		},
		API:            configoptional.Some(api),
		Links:          LinksConfig{PublicURL: "https://paramedic.example.com/x/", Secrets: []configopaque.String{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, AllowAnonymous: true, MaxAge: time.Hour},
		LeaderElection: LeaderElectionConfig{Name: "n", Identity: "i", Lease: 5 * time.Second, RenewDeadline: 3 * time.Second, RetryPeriod: time.Second},
	}, all)
	s := all.settings()
	for i, got := range []int{s.MaxIncidents, s.MaxIntents, s.MaxDeliveries, s.MaxAuditRecords, s.MaxChanges, s.MaxHistory, s.MaxCommands, s.MaxSilences, s.MaxClaims} {
		assert.Equal(t, i+1, got)
	}
}

func TestConfigErrors(t *testing.T) {
	for name, want := range map[string][]string{
		"nothing": {"database: path must be set with driver sqlite"},
		"wrong": {
			"database: driver must be sqlite or postgresql", "database: ", "open_timeout must be between 1s and 10m0s",
			"retention: max_age must be at least 1h0m0s, got 1s", "interval must be between 1s and 24h, got 0s", "max_incidents must be at least 1, got 0", "max_bytes must be at least 16777216", "token_age must be at least 24h0m0s",
			"api: endpoint must be on loopback without auth", "identity must not be raw", "operators must be unset without auth", `operators must not repeat "ann"`, "challenge must have",
			"max_connections must be between 1 and 10000", "max_request_body_size must be between 1024 and 1048576", "read_timeout must be between 1ms and 5m0s",
			"write_timeout must be more than request_timeout and command_wait", "command_wait must be between 0s and 1m0s", "max_silence must be between 1m0s",
			"max_statistics must be between", "stream: max_clients must be between", "heartbeat must be between", "write_timeout must be between 100ms", "max_duration must be between",
			"links: public_url must be an https URL", "secrets::0: ", "secrets::1: ", "secrets::2 must not repeat", "max_age must be between 1m and 720h", "links::secrets must be unset without api::auth",
			"leader_election: name must have", "identity must have", "lease must be between", "renew_deadline must be", "retry_period must be",
		},
		"mixed":       {"database: dsn must be unset with driver sqlite", "links: allow_anonymous must be false without secrets"},
		"other_mixed": {"database: path must be unset with driver postgresql", "api: endpoint must be host:port", "links: public_url must be set with secrets", "links::max_age must be at most retention::token_age"},
	} {
		t.Run(name, func(t *testing.T) {
			err := xconfmap.Validate(load(t, name))
			require.Error(t, err)
			for _, text := range want {
				assert.Contains(t, strings.ReplaceAll(err.Error(), "10m,", "10m0s,"), text)
			}
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
	memory := createDefaultConfig().(*Config)
	memory.Database.Path = inMemory
	assert.ErrorContains(t, memory.Database.Validate(), "path must be a file, got :memory:")
	unix := defaultAPI()
	unix.NetAddr.Transport = "unix"
	assert.ErrorContains(t, unix.Validate(), "transport must be tcp")
	crowd := defaultAPI()
	crowd.MaxConnections = 32
	assert.ErrorContains(t, crowd.Validate(), "stream::max_clients must be less than max_connections")
	assert.ErrorContains(t, validateNames("operators", make([]string, 101)), "at most 100")
	assert.ErrorContains(t, validateNames("operators", []string{""}), "operators::0")
}

func TestPublicURL(t *testing.T) {
	for u, good := range map[string]bool{
		"https://p.example": true, "https://p.example/a/b/": true, "http://localhost:8098": true, "http://127.0.0.1:8098": true, "http://[::1]:1": true,
		"http://p.example": false, "ftp://p.example": false, "https://u:p@p.example": false, "https://p.example?a": false, "https://p.example#a": false, "https://": false, "p.example": false, "%": false,
	} {
		c := LinksConfig{PublicURL: u, MaxAge: time.Hour}
		assert.Equal(t, good, c.Validate() == nil, u)
	}
}

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("README.md")
	require.NoError(t, err)
	return string(b)
}

func TestReadmeConfigurations(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(readme(t), -1)
	require.Len(t, blocks, 3)
	for _, block := range blocks {
		text := strings.NewReplacer("${env:PARAMEDIC_LINK_SECRET}", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "${env:PARAMEDIC_DSN}", "postgres://u@db/x").Replace(block[1])
		retrieved, err := confmap.NewRetrievedFromYAML([]byte(text))
		require.NoError(t, err)
		conf, err := retrieved.AsConf()
		require.NoError(t, err)
		sub, err := conf.Sub("extensions::incidentstore")
		require.NoError(t, err)
		cfg := createDefaultConfig().(*Config)
		require.NoError(t, sub.Unmarshal(cfg), block[1])
		require.NoError(t, xconfmap.Validate(cfg), block[1])
	}
}

// TestReadmeDefaults compares the tables of settings with the defaults: each setting has its row, and no other.
func TestReadmeDefaults(t *testing.T) {
	_, text, _ := strings.Cut(readme(t), "## Settings")
	text, _, _ = strings.Cut(text, "\n## ")
	own, api, _ := strings.Cut(text, "### The API")
	want := defaultsOf(*createDefaultConfig().(*Config))
	want["api"] = "none"
	assert.Equal(t, want, rows(t, own))
	server := defaultAPI()
	fromServer := map[string]string{
		"endpoint": "`127.0.0.1:8098`", "max_request_body_size": "`16384`", "read_timeout": "`10s`", "read_header_timeout": "`5s`",
		"write_timeout": "`30s`", "idle_timeout": "`1m0s`",
	}
	assert.Equal(t, "127.0.0.1:8098", server.NetAddr.Endpoint)
	want = defaultsOf(struct {
		APIConfig `mapstructure:",squash"`
	}{server})
	for name := range want {
		if _, listed := fromServer[name]; !listed && strings.HasPrefix(name, "confighttp") {
			delete(want, name)
		}
	}
	for name, value := range fromServer {
		want[name] = value
	}
	assert.Equal(t, want, rows(t, api))
}

// rows are the settings of a table with their defaults.
func rows(t *testing.T, table string) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_:]+)` \\| [^|]*\\| (none|`[^`]+`) \\|").FindAllStringSubmatch(table, -1) {
		assert.NotContains(t, got, row[1])
		got[row[1]] = row[2]
	}
	return got
}

// defaultsOf returns the settings that are our own with their defaults, as the README writes them.
func defaultsOf(cfg any) map[string]string {
	out := map[string]string{}
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			f, value := v.Type().Field(i), v.Field(i)
			tag, squash, _ := strings.Cut(f.Tag.Get("mapstructure"), ",")
			_, text := value.Interface().(fmt.Stringer)
			switch name := prefix + tag; {
			case f.Type == reflect.TypeFor[confighttp.ServerConfig](), strings.HasPrefix(f.Type.String(), "configoptional."):
			case squash != "":
				walk(prefix, value)
			case value.Kind() == reflect.Struct:
				walk(name+"::", value)
			case value.IsZero() && (!text || value.Kind() == reflect.String) && value.Kind() != reflect.Bool:
				out[name] = "none"
			default:
				out[name] = fmt.Sprintf("`%v`", value.Interface())
			}
		}
	}
	walk("", reflect.ValueOf(cfg))
	return out
}
