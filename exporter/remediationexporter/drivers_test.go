package remediationexporter

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"
)

// standIns are values of the right form for what the examples take from the environment.
var standIns = map[string]string{
	"GRAFANA_TOKEN": "glsa_0123456789abcdefghijklmnopqrstuv_01234567", "PAGERDUTY_ROUTING_KEY": "0123456789abcdef0123456789abcdef",
	"SLACK_BOT_TOKEN": "xoxb-1-2-3", "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/x", "TEAMS_WORKFLOW_URL": "https://teams.example.com/w?sig=x",
}

// TestReadmesOfDrivers loads the examples of the drivers' READMEs as parts of a configuration of this exporter.
func TestReadmesOfDrivers(t *testing.T) {
	files, err := filepath.Glob("../../internal/notifier/*/README.md")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	shown := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		examples := regexp.MustCompile("(?s)```yaml\n(exporters:.*?)```").FindAllStringSubmatch(string(text), -1)
		assert.NotEmpty(t, examples, file)
		for _, example := range examples {
			filled := regexp.MustCompile(`\$\{env:([A-Z_]+)\}`).ReplaceAllStringFunc(example[1], func(s string) string {
				if v := standIns[s[len("${env:"):len(s)-1]]; v != "" {
					return v
				}
				return string(secretA)
			})
			retrieved, err := confmap.NewRetrievedFromYAML([]byte(filled))
			require.NoError(t, err, file)
			conf, err := retrieved.AsConf()
			require.NoError(t, err, file)
			sub, err := conf.Sub("exporters::remediation")
			require.NoError(t, err, file)
			cfg := createDefaultConfig().(*Config)
			if !assert.NoError(t, sub.Unmarshal(cfg), file) || !assert.NoError(t, xconfmap.Validate(cfg), file) {
				continue
			}
			for _, n := range cfg.Notifiers {
				shown[n.driver().name] = true
			}
		}
	}
	for _, name := range []string{"alertmanager", "grafana", "jsm_ops", "pagerduty", "servicenow_events", "servicenow_incidents", "slack", "teams"} {
		assert.True(t, shown[name], "%s is shown nowhere", name)
	}
}

// TestDriversOfJSM are two names for one driver with defaults of their own.
func TestDriversOfJSM(t *testing.T) {
	for name, endpoint := range map[string]string{"opsgenie": "https://api.opsgenie.com", "jsm_ops": "https://api.atlassian.com/jsm/ops/integration"} {
		cfg := createDefaultConfig().(*Config)
		require.NoError(t, confmap.NewFromStringMap(map[string]any{
			"notifiers": map[string]any{"pager": map[string]any{name: map[string]any{"api_key": string(secretA)}}},
		}).Unmarshal(cfg))
		require.NoError(t, xconfmap.Validate(cfg))
		pager := cfg.Notifiers["pager"]
		require.Equal(t, name, pager.driver().name)
		assert.Equal(t, []string{endpoint}, pager.driver().config().Endpoints())
	}
}
