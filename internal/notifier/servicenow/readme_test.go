package servicenow_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
	"github.com/paramedic-otel/paramedic/internal/notifier/servicenow"
)

// TestReadme loads the examples, and every setting by the name that the README has for it.
func TestReadme(t *testing.T) {
	t.Setenv("SERVICENOW_API_KEY", apiKey)
	t.Setenv("SERVICENOW_PASSWORD", password)
	events := servicenow.DefaultEventsConfig()
	require.NoError(t, notifiertest.Example(t, "README.md", "servicenow_events").Unmarshal(&events))
	require.NoError(t, events.Validate())
	assert.Equal(t, []string{"https://example.service-now.com"}, events.Endpoints())
	require.NoError(t, notifiertest.Settings(t, `
source: ours
node_attributes: [host.id]
severities: {critical: "2", major: "3", minor: "4"}
timeout: 3s
`).Unmarshal(&events))
	require.NoError(t, events.Validate())
	assert.Equal(t, "ours", events.Source)
	assert.Equal(t, []string{"host.id"}, events.NodeAttributes)
	assert.Equal(t, driver.BySeverity[string]{Critical: "2", Major: "3", Minor: "4"}, events.Severities)

	incidents := servicenow.DefaultIncidentsConfig()
	require.NoError(t, notifiertest.Example(t, "README.md", "servicenow_incidents").Unmarshal(&incidents))
	require.NoError(t, incidents.Validate())
	assert.Equal(t, "software", incidents.Fields["category"])
	require.NoError(t, notifiertest.Settings(t, `
table: u_incident
severities: {critical: {impact: "2", urgency: "3"}, major: {impact: "3", urgency: "3"}, minor: {impact: "3", urgency: "3"}}
states: {new: "11", in_progress: "12", resolved: "13", closed: ["13", "14"]}
close_code: Healed
`).Unmarshal(&incidents))
	require.NoError(t, incidents.Validate())
	assert.Equal(t, "u_incident", incidents.Table)
	assert.Equal(t, servicenow.Grade{Impact: "2", Urgency: "3"}, incidents.Severities.Critical)
	assert.Equal(t, servicenow.States{New: "11", InProgress: "12", Resolved: "13", Closed: []string{"13", "14"}}, incidents.States)
	assert.Equal(t, "Healed", incidents.CloseCode)
}
