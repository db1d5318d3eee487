package logpatternconnector

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/connector/logpatternconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/internal/logclass"
	"github.com/paramedic-otel/paramedic/internal/logpattern"
)

// TestClasses gives templates their categories and clusters, by the rules that are built in and by the user's own.
func TestClasses(t *testing.T) {
	const refused, alike = "dial tcp <*>: connect: connection refused", "dial tcp <*>: connect: connection refused again"
	for name, tc := range map[string]struct {
		edit     func(*Config)
		template string
		want     map[string]any
	}{
		"built in": {template: refused, want: map[string]any{
			"log.pattern.categories": []any{"connection_refused"}, "log.pattern.cluster": "0000000000000001",
		}},
		"one failure": {template: alike, want: map[string]any{
			"log.pattern.categories": []any{"connection_refused"}, "log.pattern.cluster": "0000000000000001",
		}},
		"similarity": {edit: func(c *Config) { c.Classes.Similarity = 1 }, template: alike, want: map[string]any{
			"log.pattern.categories": []any{"connection_refused"}, "log.pattern.cluster": "0000000000000002",
		}},
		"no category": {template: "user logged in", want: map[string]any{"log.pattern.cluster": "0000000000000002"}},
		"own rule": {
			edit: func(c *Config) {
				c.Classes.Rules = []logclass.Rule{{Category: "payment_declined", About: "The bank does not want to pay.", Any: []string{"card declined"}}}
			},
			template: "card declined for <*>",
			want:     map[string]any{"log.pattern.categories": []any{"payment_declined"}, "log.pattern.cluster": "0000000000000002"},
		},
		"one cluster at most": {edit: func(c *Config) { c.Limits.Clusters = 1 }, template: "user logged in", want: map[string]any{
			"log.pattern.cluster": "0000000000000002",
		}},
		"off": {edit: func(c *Config) { c.Classes.Enabled = false }, template: refused, want: map[string]any{}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := createDefaultConfig().(*Config)
			if tc.edit != nil {
				tc.edit(cfg)
			}
			e, err := newEngine(cfg, connectortest.NewNopSettings(metadata.Type))
			require.NoError(t, err)
			for i, template := range []string{refused, tc.template} {
				p := &pattern{idText: logpattern.ID(i + 1).String(), template: template}
				e.classify(p)
				if i == 0 {
					continue
				}
				attributes := pcommon.NewMap()
				p.putClasses(attributes)
				assert.Equal(t, tc.want, attributes.AsRaw())
				if e.clusters != nil {
					assert.LessOrEqual(t, e.clusters.Len(), cfg.Limits.Clusters)
				}
			}
		})
	}
}

func TestClassesConfig(t *testing.T) {
	c := ClassesConfig{Similarity: 0, Rules: []logclass.Rule{{}}}
	err := c.Validate()
	require.ErrorContains(t, err, "similarity must be between 0.1 and 1, got 0")
	require.ErrorContains(t, err, "rules: ")
	c = ClassesConfig{Similarity: 1, Rules: make([]logclass.Rule, maxRules+1)}
	require.EqualError(t, c.Validate(), "rules must be at most 1000, got 1001")
}
