package remediationexporter

import (
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
)

func TestAPIConfig(t *testing.T) {
	auth := configoptional.Some(confighttp.AuthConfig{Config: configauth.Config{AuthenticatorID: component.MustNewID("basicauth")}})
	for name, tc := range map[string]struct {
		edit func(*APIConfig)
		want string
	}{
		"default":       {func(*APIConfig) {}, ""},
		"localhost":     {func(c *APIConfig) { c.NetAddr.Endpoint = "localhost:1" }, ""},
		"IPv6 loopback": {func(c *APIConfig) { c.NetAddr.Endpoint = "[::1]:1" }, ""},
		"elsewhere":     {func(c *APIConfig) { c.NetAddr.Endpoint, c.Auth = "0.0.0.0:1", auth }, ""},
		"elsewhere without auth": {
			func(c *APIConfig) { c.NetAddr.Endpoint = "0.0.0.0:1" },
			`endpoint must be on loopback without auth, got "0.0.0.0:1"; name an authenticator extension under auth, or listen on 127.0.0.1`,
		},
		"every address without auth": {func(c *APIConfig) { c.NetAddr.Endpoint = ":1" }, "endpoint must be on loopback"},
		"no port":                    {func(c *APIConfig) { c.NetAddr.Endpoint = "localhost" }, `endpoint must be host:port, got "localhost"`},
		"socket":                     {func(c *APIConfig) { c.NetAddr.Transport = "unix" }, "transport must be tcp, tcp4 or tcp6, got unix"},
		"large bodies":               {func(c *APIConfig) { c.MaxRequestBodySize = 1 << 20 }, "max_request_body_size must be between 1024 and 65536, got 1048576"},
		"no timeout":                 {func(c *APIConfig) { c.ReadTimeout = 0 }, "read_timeout must be more than 0s and at most 5m, got 0s; without it slow callers pile up"},
		"connections":                {func(c *APIConfig) { c.MaxConnections = 0 }, "max_connections must be between 1 and 10000, got 0"},
		"password":                   {func(c *APIConfig) { c.Identity = "raw" }, "identity must not be raw, which holds the password"},
		"operators without auth":     {func(c *APIConfig) { c.Operators = []string{"ann"} }, "operators must be unset without auth"},
		"operator twice":             {func(c *APIConfig) { c.Auth, c.Operators = auth, []string{"ann", "ann"} }, `operators must not repeat "ann"`},
		"operator without name":      {func(c *APIConfig) { c.Auth, c.Operators = auth, []string{""} }, "operators::0: must be a name of 1 to 128 printable bytes"},
	} {
		c := defaultAPI()
		tc.edit(&c)
		err := c.Validate()
		if tc.want == "" {
			assert.NoError(t, err, name)
			continue
		}
		assert.ErrorContains(t, err, tc.want, name)
	}
}

func TestApprovalsConfig(t *testing.T) {
	c := defaultApprovals()
	require.NoError(t, c.Validate())
	c.Secrets, c.Tolerance = []configopaque.String{"hunter2"}, 2*time.Hour
	err := c.Validate()
	require.ErrorContains(t, err, "secrets::0: secret must start with whsec_")
	require.ErrorContains(t, err, "tolerance must be between 1s and 1h, got 2h0m0s")
	assert.NotContains(t, err.Error(), "hunter2")
	c.Secrets = make([]configopaque.String, 5)
	require.ErrorContains(t, c.Validate(), "secrets must be at most 4, got 5")

	a := defaultPlaybook().Approval
	a.Approvers, a.Allowed = 2, []string{"ann"}
	require.ErrorContains(t, a.Validate(), "allowed must name at least as many people as approvers (2), got 1; nothing could ever be approved")
	a.Allowed = []string{"ann", strings.Repeat("x", 200)}
	require.ErrorContains(t, a.Validate(), "allowed::1: must be a name of 1 to 128 printable bytes")
}
