package remediationexporter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/paramedic-otel/paramedic/internal/notifier/pagerduty"
)

func notifierOf(t *testing.T, settings map[string]any) (NotifierConfig, error) {
	t.Helper()
	var c NotifierConfig
	if err := c.Unmarshal(confmap.NewFromStringMap(settings)); err != nil {
		return c, err
	}
	return c, xconfmap.Validate(&c)
}

// with returns the settings of a webhook with a body of its own, and some more.
func with(endpoint string, more map[string]any) map[string]any {
	out := map[string]any{"template": map[string]any{"endpoint": endpoint, "body": `{"a": "{{ .ID }}"}`}}
	for k, v := range more {
		out[k] = v
	}
	return out
}

// TestNotifierDefaults are those of the driver that is chosen.
func TestNotifierDefaults(t *testing.T) {
	c, err := notifierOf(t, map[string]any{"pagerduty": map[string]any{"routing_key": "0123456789abcdef0123456789abcdef"}})
	require.NoError(t, err)
	assert.Equal(t, namesOf(pagerduty.Traits.Events), c.Events)
	assert.NotEmpty(t, c.Events)
	assert.Equal(t, pagerduty.Traits.MaxEventsPerMinute, c.MaxEventsPerMinute)
	assert.Equal(t, 30*time.Second, c.Timeout)
	assert.Nil(t, c.RetryConfig)

	c, err = notifierOf(t, with("https://example.com", map[string]any{
		"events": []any{"incident.opened"}, "max_events_per_minute": 7, "timeout": "5s", "retry_on_failure": map[string]any{"max_elapsed_time": "1h"},
	}))
	require.NoError(t, err)
	assert.Equal(t, []Event{"incident.opened"}, c.Events)
	assert.Equal(t, 7, c.MaxEventsPerMinute)
	r := newRig(t)
	r.cfg.Notifiers = map[string]NotifierConfig{"own": c}
	h := newDestinations(metadataSettings(newTelemetry(t)), r.cfg)[0]
	assert.Equal(t, 5*time.Second, h.timeout)
	assert.Equal(t, time.Hour, h.retry.MaxElapsedTime)
	assert.Equal(t, time.Second, h.retry.InitialInterval, "the rest is as usual")
	assert.Equal(t, 7, h.maxPerMinute)
}

func TestNotifierConfig(t *testing.T) {
	for name, tc := range map[string]struct {
		settings map[string]any
		want     string
	}{
		"nothing":        {map[string]any{}, "exactly one of alertmanager, cdevents, cloudevent, grafana, jsm_ops, opsgenie, pagerduty, servicenow_events, servicenow_incidents, slack, teams, template must be set"},
		"two":            {with("https://example.com", map[string]any{"teams": map[string]any{"endpoint": "https://example.com"}}), "exactly one of"},
		"unknown":        {map[string]any{"pigeon": map[string]any{}}, "pigeon"},
		"timeout":        {with("https://example.com", map[string]any{"timeout": "6m"}), "timeout must be more than 0s and at most 5m0s, got 6m0s"},
		"many":           {with("https://example.com", map[string]any{"max_events_per_minute": -1}), "max_events_per_minute must be between 0 and 100000, got -1"},
		"twice":          {with("https://example.com", map[string]any{"events": []any{"incident.opened", "incident.opened"}}), "events must not repeat incident.opened"},
		"loopback":       {with("http://127.0.0.1:1", nil), "template::endpoint must not be the private address 127.0.0.1; set allow_private_ranges: true"},
		"localhost":      {with("http://LOCALHOST.:1", nil), "must not be the private address ::1"},
		"mapped":         {with("http://[::ffff:10.0.0.1]/x", nil), "must not be the private address"},
		"NAT64":          {with("http://[64:ff9b::a00:1]/x", nil), "must not be the private address"},
		"unique local":   {with("http://[fd00::1]/x", nil), "must not be the private address"},
		"link local":     {with("http://[fe80::1%25eth0]/x", nil), "must not be the private address"},
		"metadata":       {with("http://169.254.169.254/latest", nil), "must not be the private address 169.254.169.254"},
		"driver's own":   {with("ftp://example.com", nil), "endpoint must be an http or https URL with a host"},
		"private, meant": {with("http://127.0.0.1:1", map[string]any{"allow_private_ranges": true}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := notifierOf(t, tc.settings)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
		})
	}
	r := newRig(t, "a")
	c, err := notifierOf(t, with("https://example.com", nil))
	require.NoError(t, err)
	r.cfg.Notifiers = map[string]NotifierConfig{"a": c, "Wrong Name": c}
	err = r.cfg.Validate()
	require.ErrorContains(t, err, `notifiers: name must not be that of a webhook, got "a"`)
	require.ErrorContains(t, err, `notifiers: name must match`)
}
