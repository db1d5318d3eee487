package logpatternconnector

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

	"github.com/paramedic-otel/paramedic/internal/logclass"
)

func TestConfig(t *testing.T) {
	storage := component.MustNewID("file_storage")
	conf, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	good := map[string]*Config{
		"logpattern": createDefaultConfig().(*Config),
		"logpattern/all": {
			Storage: &storage, Annotate: AnnotateID, AcceptAnnotations: true, MessageFields: []string{"text"},
			ServiceAttributes: []string{"app"}, MinSeverity: "error", FlushInterval: 20 * time.Second, Lateness: 3 * time.Second,
			IdleTimeout: 30 * time.Second, MaxClockSkew: 4 * time.Minute, PatternTTL: 2 * time.Hour,
			Learning: LearningConfig{Period: 5 * time.Minute, Records: 6},
			Rates:    RatesConfig{MinRatio: 2, MinRecords: 3, MinSurprise: 5, HalfLife: time.Hour},
			Limits: LimitsConfig{
				Templates: 101, TemplateBytes: 2_000_000, Services: 102, Patterns: 103, PatternsPerService: 104, Exceptions: 105, SeriesPerService: 106,
				Series: 107, LineBytes: 108, Events: 109, Clusters: 111, Unsent: 110,
			},
			Classes: ClassesConfig{Similarity: 0.7, Rules: []logclass.Rule{{
				Category: "payment_declined", About: "The bank does not want to pay.", Any: []string{"card declined"},
			}}},
			State: StateConfig{Interval: 5 * time.Second, MaxBytes: 70000, MaxAge: time.Hour},
		},
	}
	bad := map[string][]string{
		"logpattern/annotate": {`annotate must be off, id, id_and_template or replace_body, got "all"`},
		"logpattern/severity": {`severity must be unspecified, trace, debug, info, warn, error or fatal, got "loud"`},
		"logpattern/names": {
			"message_fields must have no empty names, got one at 0",
			`message_fields must have no name twice, got "a"`,
			`service_attributes must have no name twice, got "b"`,
		},
		"logpattern/times": {
			"flush_interval must be between 1s and 10m, got 20m0s",
			"lateness must be between 0s and flush_interval (20m0s), got 30m0s; at most two intervals are open at a time",
			"idle_timeout must be between flush_interval (20m0s) and 1h, got 1s",
			"max_clock_skew must be at least 1s and lateness (30m0s), got 0s",
			"pattern_ttl must be at least 1h, got 1m0s; what is forgotten is told of as new when it returns",
		},
		"logpattern/short": {
			"flush_interval must be between 1s and 10m, got 10ms",
			"lateness must be between 0s and flush_interval (10ms), got 2s; at most two intervals are open at a time",
		},
		"logpattern/learning": {
			"learning: period must be between 0s and 720h, got -1s",
			"records must be at least 0, got -1",
		},
		"logpattern/rates": {
			"rates: min_ratio must be between 1.5 and 1000, got 1",
			"min_records must be at least 1, got 0",
			"min_surprise must be between 3 and 100, got 1; it is the number of zeros of the probability of chance",
			"half_life must be between 1m and 168h, got 1s",
		},
		"logpattern/limits": {
			"limits: templates must be between 100 and 1048576, got 1; it bounds memory",
			"template_bytes must be between 1048576 and 4294967296, got 1; it bounds memory",
			"services must be between 1 and 100000, got 0; it bounds memory",
			"patterns must be between 100 and 10000000, got 1; it bounds memory",
			"patterns_per_service must be between 1 and 10000000, got 0; it bounds memory",
			"exceptions must be between 1 and 10000, got 0; it bounds memory",
			"series_per_service must be between 1 and 100000, got 0; it bounds memory",
			"series must be between 1 and 1000000, got 0; it bounds memory",
			"line_bytes must be between 64 and 1048576, got 1; it bounds memory",
			"events must be between 1 and 100000, got 0; it bounds memory",
			"unsent must be between 1 and 10000, got 0; it bounds memory",
		},
		"logpattern/state": {
			"state: interval must be at least 1s, got 1ms",
			"max_bytes must be at least 65536, got 1",
			"max_age must be at least 1m, got 1s",
		},
	}
	require.Len(t, conf.ToStringMap(), len(good)+len(bad))
	for id := range conf.ToStringMap() {
		t.Run(id, func(t *testing.T) {
			sub, err := conf.Sub(id)
			require.NoError(t, err)
			cfg := createDefaultConfig().(*Config)
			err = sub.Unmarshal(cfg)
			if err == nil {
				err = xconfmap.Validate(cfg)
			}
			if want := good[id]; want != nil {
				require.NoError(t, err)
				assert.Equal(t, want, cfg)
				return
			}
			require.Error(t, err)
			want := bad[id]
			if len(want) == 1 {
				assert.ErrorContains(t, err, want[0])
				return
			}
			assert.Equal(t, strings.Join(want, "\n"), err.Error())
		})
	}
}
