package pagerduty_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/internal/notifier/pagerduty"
)

// TestReadme loads the example, and every setting by the name that the README has for it.
func TestReadme(t *testing.T) {
	t.Setenv("PAGERDUTY_ROUTING_KEY", routingKey)
	cfg := pagerduty.DefaultConfig()
	require.NoError(t, notifiertest.Example(t, "README.md", "pagerduty").Unmarshal(&cfg))
	require.NoError(t, cfg.Validate())
	want := pagerduty.DefaultConfig()
	want.RoutingKey = routingKey
	assert.Equal(t, want, cfg)
	require.NoError(t, notifiertest.Settings(t, `
endpoint: https://events.eu.pagerduty.com
routing_key: `+routingKey+`
updates: false
severities: {critical: error, major: warning, minor: info}
group: shop
change_events: {remediations: false, deployments: false}
timeout: 3s
`).Unmarshal(&cfg))
	require.NoError(t, cfg.Validate())
	assert.Equal(t, "https://events.eu.pagerduty.com", cfg.Endpoint)
	assert.Equal(t, driver.BySeverity[string]{Critical: "error", Major: "warning", Minor: "info"}, cfg.Severities)
	assert.Zero(t, cfg.ChangeEvents)
	assert.False(t, cfg.Updates)
	assert.Equal(t, "shop", cfg.Group)
}
