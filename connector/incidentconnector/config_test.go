package incidentconnector

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector/internal/metadata"
)

func TestConfig(t *testing.T) {
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)

	unbounded := func(names ...string) []string {
		var out []string
		for _, name := range names {
			given := "0"
			if name == "outbox" {
				given = "-1"
			}
			out = append(out, name+" must be greater than 0, got "+given+"; it bounds memory")
		}
		// The path comes before the first line alone.
		out[0] = "limits: " + out[0]
		return out
	}
	wrong := map[string][]string{
		"bucket_short":         {"bucket must be between 1s and 5m, got 999ms", "max_clock_skew must be at most 32 buckets (31.968s), got 1m30s"},
		"bucket_long":          {"bucket must be between 1s and 5m, got 5m1s", "resolve_after must be at least 5m1s, got 1m0s", "stale_after must be at least 5m1s, got 3m0s"},
		"lateness_negative":    {"lateness must be between 0s and 6 buckets (18s), got -1s"},
		"lateness_long":        {"lateness must be between 0s and 6 buckets (18s), got 31s"},
		"skew_long":            {"max_clock_skew must be at most 32 buckets (1m36s), got 2m41s"},
		"skew_short":           {"max_clock_skew must be at least 1s, got 999ms"},
		"surprise_low":         {"open_surprise must be between 3 and 100, got 2.9; it is -log10 of a probability"},
		"surprise_high":        {"open_surprise must be between 3 and 100, got 101; it is -log10 of a probability"},
		"surprise_nan":         {"open_surprise must be between 3 and 100, got NaN; it is -log10 of a probability"},
		"score_zero":           {"min_score must be greater than 0 and at most 1, got 0"},
		"score_high":           {"min_score must be greater than 0 and at most 1, got 1.1"},
		"score_nan":            {"min_score must be greater than 0 and at most 1, got NaN"},
		"deviation_negative":   {"min_deviation must be at least 0, got -1"},
		"deviation_nan":        {"min_deviation must be at least 0, got NaN"},
		"utilization_negative": {"min_utilization must be between 0 and 1, got -0.1"},
		"utilization_high":     {"min_utilization must be between 0 and 1, got 1.1"},
		"utilization_nan":      {"min_utilization must be between 0 and 1, got NaN"},
		"persistence_zero":     {"persistence must be between 1 and 100 samples, got 0"},
		"persistence_high":     {"persistence must be between 1 and 100 samples, got 101"},
		"idle":                 {"idle_after must be at least 1s, got 500ms"},
		"group":                {"group_window must be at least 1s, got 0s"},
		"change":               {"change_window must be at least 1s, got 0s"},
		"repeat":               {"repeat_interval must be at least 10s, got 5s"},
		"update":               {"update_interval must be at least 0s, got -1s"},
		"resolve":              {"resolve_after must be at least 3s, got 2s"},
		"stale":                {"stale_after must be at least 3s, got 2s"},
		"half_life":            {"baseline_half_life must be at least 1m0s, got 59s"},
		"normal":               {"normal_after must be at least 1m0s, got 59s"},
		"limits": unbounded("edges", "series", "signals", "services", "log_templates", "log_contexts",
			"symptoms", "incidents", "causes", "relations", "changes", "objects", "outbox", "objectives", "silences", "decisions"),
		"conditions": {
			`signals: open_conditions must be OTTL conditions on data points, got "x == ": `,
			`ignore_conditions must be OTTL conditions on data points, got "set(attributes[\"a\"], 1)": `,
		},
		"state": {
			"state: interval must be at least 1s, got 999ms", "max_bytes must be at least 1048576, got 1048575", "max_age must be at least 1m, got 59s",
			"max_incident_age must be between 1m and max_age (59s), got 1h0m0s", "shutdown_timeout must be greater than 0, got 0s",
		},
		"incident_age":  {"state: max_incident_age must be between 1m and max_age (168h0m0s), got 59s"},
		"reopen":        {"reopen_window must be at least 0s, got -1s"},
		"warm":          {"warm_up must be at least 0s, got -1s"},
		"metrics_short": {"metrics_interval must be at least 1s, got 500ms"},
		"metrics_long":  {"metrics_interval must be at most 32 buckets (1m36s), got 1m37s"},
		"many_silences": {"silences must be at most limits::silences (1), got 2"},
		"same_names": {
			`objectives must have names of their own, got "a" twice`, `silences must have names of their own, got "b" twice`,
		},
		"objective_empty": {
			"objectives::0: name must not be empty; events say which objective it is",
			`services must not be empty; ["*"] means all`,
			"target must be greater than 0 and less than 1, got 0; 0.999 means 99.9 %",
		},
		"objective_wrong": {
			"objectives::0: services must not be empty patterns",
			"target must be greater than 0 and less than 1, got 1; 0.999 means 99.9 %",
			"latency must be between 0s and 30s, got 31s",
			"window must be between 1h and 8784h, got 59m0s",
			"min_events must be at least 1, got -1",
			"burns::0: rate must be greater than 0, got 0",
			"burns::0: short must be at least 1m, less than long, and long at most the window (59m0s), got 59s and 1h0m0s",
		},
		"objective_unreachable": {"objectives::0: burns::0: rate must be at most 10 for a target of 0.9, got 11; no share of bad calls reaches it"},
		"objective_defaults": {
			"objectives::0: burns::0: rate must be at most 10 for a target of 0.9, got 14.4; no share of bad calls reaches it; these are the burns by default, set others",
			"objectives::1: burns::1: short must be at least 1m, less than long, and long at most the window (1h0m0s), got 30m0s and 6h0m0s; these are the burns by default, set others",
		},
		"objective_burns": {"objectives::0: burns must be at most 4, got 5"},
		"silence_empty": {
			"silences::0: name must not be empty; events say which silence it was",
			"start and end, or at and duration, must be set",
			`silences::0::matchers: at least one condition must be set; entities: ["*"] matches everything`,
		},
		"silence_times": {
			`silences::0: start must be an RFC 3339 time, got "yesterday"`,
			"weekdays, duration and time_zone are for recurring silences; set at as well",
		},
		"silence_order": {"silences::0: end must be after start, got 2026-01-01T00:00:00Z and 2026-01-02T00:00:00Z"},
		"silence_recurring": {
			`silences::0: at must be a time of day such as 02:30, got "25:00"`,
			"duration must be between 1m and 168h0m0s, got 169h0m0s",
			`weekdays must be among sun, mon, tue, wed, thu, fri, sat, got "monday"`,
			`time_zone must be a name of the IANA database such as Europe/Berlin, got "Nowhere"`,
		},
		"silence_matchers": {
			`silences::0::matchers: entity_types must be among service, k8s.pod, container, k8s.deployment, k8s.statefulset, k8s.daemonset, k8s.node, host, database, messaging, external, got "x"`,
			`kinds must be among latency, errors, traffic, cpu, memory, disk, network, crash, change, saturation, unknown, got "y"`,
			`severities must be among critical, major, minor, got "z"`,
			"entities must not be empty patterns",
		},
		"many": {
			"bucket must be between 1s and 5m, got 0s", "lateness must be between 0s and 6 buckets (0s), got 3s",
			"max_clock_skew must be at most 32 buckets (0s), got 1m30s", "persistence must be between 1 and 100 samples, got 0",
			"metrics_interval must be at most 32 buckets (0s), got 15s",
		},
	}
	right := map[string]*Config{
		"": createDefaultConfig().(*Config),
		"all": {
			Bucket: 10 * time.Second, Lateness: 5 * time.Second, IdleAfter: 20 * time.Second, MaxClockSkew: 4 * time.Minute,
			OpenSurprise: 12, MinScore: 0.9, MinDeviation: 4, MinUtilization: 0.7, Persistence: 3,
			GroupWindow: 5 * time.Minute, ChangeWindow: 30 * time.Minute, UpdateInterval: 15 * time.Second, RepeatInterval: 2 * time.Minute,
			ResolveAfter: 2 * time.Minute, StaleAfter: 6 * time.Minute,
			ReopenWindow: 20 * time.Minute, WarmUp: 5 * time.Minute, MetricsInterval: 30 * time.Second, Decisions: DecisionsDebug,
			BaselineHalfLife: 2 * time.Hour, NormalAfter: 3 * time.Hour,
			Signals: SignalsConfig{
				OpenConditions:   []string{`attributes["anomaly.metric"] == "jobs.waiting"`},
				IgnoreConditions: []string{`IsMatch(datapoint.attributes["anomaly.metric"], "^test\\.")`, `resource.attributes["host.name"] == "old"`},
			},
			Storage: ptr(component.MustNewIDWithName("file_storage", "incidents")),
			State: StateConfig{
				Interval: 30 * time.Second, MaxBytes: 1 << 20, MaxAge: 24 * time.Hour, MaxIncidentAge: 2 * time.Hour,
				ShutdownTimeout: 5 * time.Second, Reset: "once",
			},
			Objectives: []ObjectiveConfig{{
				Name: "orders", Services: []string{"shop/*"}, Client: "*", Target: 0.99, Latency: 300 * time.Millisecond,
				Window: 7 * 24 * time.Hour, Burns: []BurnConfig{{Rate: 10, Long: 2 * time.Hour, Short: 10 * time.Minute}}, MinEvents: 5,
			}},
			Silences: []SilenceConfig{{
				Name: "nightly", Start: "2026-01-01T00:00:00Z", End: "2027-01-01T00:00:00Z", At: "02:30",
				Weekdays: []string{"mon", "sun"}, Duration: 90 * time.Minute, TimeZone: "Europe/Berlin",
				Matchers: MatchersConfig{
					EntityTypes: []string{"service"}, Entities: []string{"batch/*"}, Resource: map[string]string{"k8s.namespace.name": "b*"},
					Kinds: []string{"cpu", "saturation"}, Severities: []string{"minor"},
				},
			}},
			Limits: LimitsConfig{1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 10, 14, 15, 16},
		},
	}
	require.Len(t, conf.ToStringMap(), len(wrong)+len(right))
	for name := range conf.ToStringMap() {
		t.Run(name, func(t *testing.T) {
			var id component.ID
			require.NoError(t, id.UnmarshalText([]byte(name)))
			require.Equal(t, metadata.Type, id.Type())
			sub, err := conf.Sub(name)
			require.NoError(t, err)
			cfg := NewFactory().CreateDefaultConfig()
			require.NoError(t, sub.Unmarshal(cfg))
			err = xconfmap.Validate(cfg)
			if want, ok := right[id.Name()]; ok {
				require.NoError(t, err)
				assert.Equal(t, want, cfg)
				return
			}
			require.Contains(t, wrong, id.Name())
			if id.Name() == "conditions" {
				// How OTTL puts it is not ours.
				for _, part := range wrong[id.Name()] {
					require.ErrorContains(t, err, part)
				}
				return
			}
			require.EqualError(t, err, strings.Join(wrong[id.Name()], "\n"))
		})
	}
}

func ptr[T any](v T) *T { return &v }
