package opsgenie_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/internal/notifier/opsgenie"
)

// TestReadme loads the example, and every setting by the name that the README has for it.
func TestReadme(t *testing.T) {
	t.Setenv("JSM_API_KEY", apiKey)
	cfg := opsgenie.DefaultJSMConfig()
	require.NoError(t, notifiertest.Example(t, "README.md", "jsm_ops").Unmarshal(&cfg))
	require.NoError(t, cfg.Validate())
	assert.Equal(t, opsgenie.JSMEndpoint, cfg.Endpoint)
	assert.Equal(t, []opsgenie.Responder{{Type: "team", Name: "payments"}}, cfg.Responders)
	cfg = opsgenie.DefaultConfig()
	require.NoError(t, notifiertest.Settings(t, `
endpoint: `+opsgenie.OpsgenieEUEndpoint+`
api_key: `+apiKey+`
priorities: {critical: P2, major: P3, minor: P4}
responders: [{type: user, username: ann@example.com}, {type: schedule, id: "1"}]
owner_team: true
tags: [shop]
tags_and_priority: false
status_delay: 2s
timeout: 3s
`).Unmarshal(&cfg))
	require.NoError(t, cfg.Validate())
	assert.Equal(t, driver.BySeverity[string]{Critical: "P2", Major: "P3", Minor: "P4"}, cfg.Priorities)
	assert.Equal(t, 2*time.Second, cfg.StatusDelay)
	assert.Equal(t, 3*time.Second, cfg.Timeout)
	assert.Equal(t, []string{"shop"}, cfg.Tags)
	assert.True(t, cfg.OwnerTeam)
	assert.False(t, cfg.TagsAndPriority)
	assert.Len(t, cfg.Responders, 2)
}
