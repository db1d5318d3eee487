package opsgenie_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/internal/notifier/opsgenie"
	"github.com/paramedic-otel/paramedic/semconv"
)

// local answers without a network, for tests in a bubble of time.
type local struct{ s *system }

func (l *local) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	a := l.s.answer(&notifiertest.Request{Method: req.Method, Path: req.URL.Path, Query: req.URL.RawQuery, Header: req.Header, Body: body})
	return &http.Response{StatusCode: a.Status, Header: a.Header, Body: io.NopCloser(bytes.NewBufferString(a.Body)), Request: req}, nil
}

func TestSettings(t *testing.T) {
	k := begin(t, func(c *opsgenie.Config) {
		c.Priorities = driver.BySeverity[string]{Critical: "P2", Major: "P4", Minor: "P5"}
		c.Responders = []opsgenie.Responder{{Type: "user", Username: "ann@example.com"}}
		c.OwnerTeam = true
		c.Tags = []string{"shop"}
	})
	k.All(semconv.EventTypeIncidentOpened)
	b := k.s.alerts[0].body
	assert.Equal(t, "P4", b.Priority)
	assert.Equal(t, []map[string]string{{"type": "user", "username": "ann@example.com"}, {"type": "team", "name": "payments"}}, b.Responders)
	assert.Equal(t, []string{"paramedic", "shop", "severity:major", "kind:latency", "cluster:prod-eu", "owner:payments"}, b.Tags)
	for severity, want := range map[semconv.Severity]string{semconv.SeverityCritical: "P1", semconv.SeverityMajor: "P2", semconv.SeverityMinor: "P3"} {
		k := begin(t)
		m := notifiertest.Message(semconv.EventTypeIncidentOpened)
		m.Incident.Severity = severity
		require.NoError(t, k.Deliver(m))
		assert.Equal(t, want, k.s.alerts[0].priority)
	}
}

// TestGuards opens and closes an alert of its own, of the lowest priority, for what holds automation back.
func TestGuards(t *testing.T) {
	k := begin(t)
	k.All(semconv.EventTypeRemediationPaused, semconv.EventTypeRemediationBreakerOpened)
	assert.Equal(t, 2, k.s.open())
	assert.Equal(t, "P5", k.s.alerts[0].priority)
	k.All(semconv.EventTypeRemediationResumed, semconv.EventTypeRemediationBreakerClosed)
	assert.Zero(t, k.s.open())
	assert.Empty(t, k.Memory)
}

// TestBoundary cuts at the limit, by runes.
func TestBoundary(t *testing.T) {
	for _, n := range []int{129, 130, 131, 300} {
		k := begin(t)
		m := notifiertest.Message(semconv.EventTypeIncidentOpened)
		m.Incident.Title, m.Incident.Causes = strings.Repeat("😀", n), nil
		require.NoError(t, k.Deliver(m))
		got := *k.s.alerts[0].body.Message
		assert.Len(t, []rune(got), min(n, 130))
		assert.Equal(t, n > 130, strings.HasSuffix(got, "…"))
	}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*opsgenie.Config)
		want   string
	}{
		"no key":    {func(c *opsgenie.Config) { c.APIKey = "" }, "api_key must be the key of an API integration, without spaces; copy it from the integration's page"},
		"priority":  {func(c *opsgenie.Config) { c.Priorities.Minor = "P6" }, `priorities::minor must be one of P1, P2, P3, P4, P5, got "P6"`},
		"delay":     {func(c *opsgenie.Config) { c.StatusDelay = time.Hour }, "status_delay must be between 0s and 30s, got 1h0m0s"},
		"empty tag": {func(c *opsgenie.Config) { c.Tags = []string{" "} }, "tags::0 must have 1 to 50 characters, got 1"},
		"tags":      {func(c *opsgenie.Config) { c.Tags = strings.Fields(strings.Repeat("x ", 15)) }, "tags must have at most 14 entries, got 15; the driver adds its own"},
		"responders": {
			func(c *opsgenie.Config) { c.Responders = make([]opsgenie.Responder, 51) },
			"responders must have at most 50 entries, got 51",
		},
		"responder type": {func(c *opsgenie.Config) { c.Responders = []opsgenie.Responder{{Type: "dog", ID: "1"}} }, `responders::0: type must be one of team, user, escalation, schedule, got "dog"`},
		"responder name": {func(c *opsgenie.Config) { c.Responders = []opsgenie.Responder{{Type: "team"}} }, "responders::0: one of id, name and username must be set, got 0"},
		"user by name":   {func(c *opsgenie.Config) { c.Responders = []opsgenie.Responder{{Type: "user", Name: "ann"}} }, "responders::0: username must be set for a user, and name for all else; or use id"},
		"endpoint":       {func(c *opsgenie.Config) { c.Endpoint = "" }, "endpoint must be an http or https URL with a host"},
	} {
		cfg := opsgenie.DefaultConfig()
		cfg.APIKey = apiKey
		c.change(&cfg)
		assert.ErrorContains(t, cfg.Validate(), c.want, name)
	}
	cfg := opsgenie.DefaultJSMConfig()
	cfg.APIKey = apiKey
	assert.NoError(t, cfg.Validate())
	assert.Equal(t, []string{"https://api.atlassian.com/jsm/ops/integration"}, cfg.Endpoints())
	assert.False(t, cfg.TagsAndPriority)
}
