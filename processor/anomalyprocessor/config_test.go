package anomalyprocessor

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/entitydetector"
)

func load(t *testing.T, id string) (*Config, error) {
	t.Helper()
	all, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	sub, err := all.Sub(id)
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	return cfg, sub.Unmarshal(cfg)
}

func number(v float64) *float64 { return &v }

func name(s string) *string { return &s }

func duration(d time.Duration) *time.Duration { return &d }

func TestConfigDefault(t *testing.T) {
	cfg, err := load(t, "anomaly")
	require.NoError(t, err)
	assert.Equal(t, createDefaultConfig(), cfg)
	assert.NoError(t, xconfmap.Validate(cfg))
}

func TestConfigFull(t *testing.T) {
	cfg, err := load(t, "anomaly/full")
	require.NoError(t, err)
	require.NoError(t, xconfmap.Validate(cfg))
	shadow := Shadow{
		Sensitivity: number(1), WarmUp: &WarmUp{Points: 30, Duration: time.Minute}, Memory: duration(time.Hour),
		LevelShiftAfter: duration(2 * time.Hour), Cooldown: duration(time.Minute), Habituation: duration(3 * time.Hour), TimeZone: name("America/Sao_Paulo"), Emit: true,
	}
	storage := component.MustNewIDWithName("file_storage", "learnt")
	assert.Equal(t, &Config{
		Include:           []string{`http\..*`, `traces_service_graph_.*`},
		Exclude:           []string{`http\.client\..*`},
		MaxSeries:         5000,
		SeriesTTL:         30 * time.Minute,
		MaxBuckets:        160,
		MaxClockSkew:      2 * time.Minute,
		MinScore:          0.9,
		Quantiles:         []float64{0.5, 0.999},
		EvictAfter:        time.Minute,
		Sensitivity:       2,
		WarmUp:            WarmUp{Points: 60, Duration: 15 * time.Minute},
		Memory:            2 * time.Hour,
		LevelShiftAfter:   3 * time.Hour,
		Cooldown:          10 * time.Minute,
		Habituation:       time.Hour,
		TimeZone:          "Europe/Berlin",
		EmitContributions: true,
		EmitBand:          true,
		Missing:           Missing{After: 10 * time.Minute, MaxSeries: 50},
		Explain:           Explain{Metrics: []string{`http\..*`}, MaxSeries: 10},
		Shadow:            configoptional.Some(shadow),
		Storage:           &storage,
		State: StateConfig{
			Interval: 5 * time.Minute, MaxBytes: 1 << 20, MaxAge: time.Hour, ShutdownTimeout: 3 * time.Second, Import: "learnt.paranom", Reset: "spring",
		},
		Workload: WorkloadConfig{Inherit: true, InstanceAttributes: []string{"pod.*"}, HostAttributes: []string{"host.name"}, NameAttributes: []string{"app"}},
		Seasonal: configoptional.Some(Seasonal{Metrics: []string{`http\..*`}, MaxSeries: 7, Window: 256, Period: 24, Every: 8, Shadow: true}),
		Entities: configoptional.Some(Entities{
			By: []string{"service.name", "k8s.pod.name"}, Interval: 30 * time.Second, MaxEntities: 50, MaxSignals: 16, WarmUp: 200, Memory: 6 * time.Hour,
			TopSignals: 5, Seed: 7, Remote: defaultRemote(), Detectors: []EntityDetector{{Type: entitydetector.IsolationForest, Shadow: true}, {Type: entitydetector.Fusion}},
		}),
		Ratios: []Ratio{{
			Name: "http.error.ratio", Numerator: RatioPart{Metric: "http.requests", Where: map[string]string{"status": "5.."}},
			Denominator: RatioPart{Metric: "http.requests"}, Ignore: []string{"status"}, MinDenominator: 100,
		}},
		Policies: []Policy{
			{Match: `http\.server\.request\.duration`, Direction: DirectionBoth, MinAbsolute: number(0.02), MinRelative: number(0.5), ValidRange: &Range{Min: number(0), Max: number(3600)}},
			{Match: ".*free.*", Direction: DirectionDown},
		},
	}, cfg)
}

func TestConfigWrong(t *testing.T) {
	cfg, err := load(t, "anomaly/wrong")
	require.NoError(t, err)
	err = xconfmap.Validate(cfg)
	require.Error(t, err)
	got := strings.Split(err.Error(), "\n")
	assert.ElementsMatch(t, []string{
		"include::0: must be a regular expression: error parsing regexp: missing closing ): `(`",
		"exclude::0: must be a regular expression: error parsing regexp: missing closing ]: `[`",
		"max_series must be between 1 and 100000000, got 0; it bounds memory",
		"series_ttl must be at least 1m, got 1s",
		"max_buckets must be between 1 and 65536, got 0; it bounds memory",
		"max_clock_skew must be between 0 and 8760h, got -1s",
		"min_score must be greater than 0 and less than 1, got 1",
		"sensitivity must be greater than 0 and at most 1000, got 0; it is the false alarms a calm series and week",
		"quantiles::1 must not stand twice, got 0.5",
		"quantiles::2 must be greater than 0 and less than 1, got 1",
		"evict_after must be at least 1s, or 0 to switch eviction off, got -1s",
		"memory must be at least 1m, got 1s",
		"level_shift_after must be at least 1m, got 1s; a shorter time would learn faults as normal",
		"cooldown must not be negative, got -1s",
		"habituation must not be negative, got -1s; 0 switches it off",
		`time_zone must be the IANA name of a time zone, such as Europe/Berlin, got "Middle/Earth"`,
		"warm_up: points must be between 8 and 1000000, got 1; fewer say nothing about a series",
		"duration must not be negative, got -1s",
		"missing: after must be at least 1s, or 0 to switch it off, got 1ms",
		"max_series must be between 1 and 1000000, got 0; it bounds what is sent",
		"explain: metrics::0: must be a regular expression: error parsing regexp: missing closing ): `(`",
		"max_series must be between 1 and 1000000, got 0; it bounds what is sent",
		"warm_up: points must be between 8 and 1000000, got 1; fewer say nothing about a series",
		"shadow: sensitivity must be greater than 0 and at most 1000, got -1; it is the false alarms a calm series and week",
		"cooldown must not be negative, got -1s",
		`time_zone must be the IANA name of a time zone, such as Europe/Berlin, got "Local"`,
		"stl_esd: metrics must not be empty; each series costs as much as many others",
		"max_series must be between 1 and 100000, got 0; it bounds memory and time",
		"window must be between 32 and 16384, got 8",
		"period must be 0 or between 2 and half the window, got 5",
		"every must be between 1 and the window, got 9",
		"entities: by must name 1 to 8 resource attributes, got 0",
		"interval must be 0 or between 1s and 1h, got 1ms",
		"max_entities must be between 1 and 100000, got 0; it bounds memory",
		"max_signals must be between 2 and 128, got 1; it bounds memory and time",
		"warm_up must be between 32 and 100000, got 1; fewer looks say nothing about an entity",
		"memory must be between 1m and 720h, got 1s",
		"top_signals must be between 0 and 16, got 17",
		`detectors::1: type must not stand twice, got "fusion"`,
		"detectors::2: type must be set, to one of [isolation_forest autoencoder remote fusion]",
		"ratios::1: name must not stand twice, got \"x\"",
		"ratios::0: min_denominator must be a finite number of at least 0, got -1; 0 stands for 20",
		"ratios::0::numerator: where::b: must be a regular expression: error parsing regexp: missing closing ): `(`",
		"ratios::0::denominator: metric must not be empty",
		"ratios::2: name must not be empty",
		"state: interval must be at least 1s, got 1ms",
		"max_bytes must be at least 1048576, got 1",
		"max_age must be at least 1m, got 1s",
		"shutdown_timeout must be greater than 0, got 0s",
		`workload: instance_attributes::0: must be the name of an attribute, with a * at its end at most, got ""`,
		`instance_attributes::1: must be the name of an attribute, with a * at its end at most, got "*.x"`,
		`name_attributes::0: must be the name of an attribute, with a * at its end at most, got "*"`,
		"policies::0: match must not be empty; write .* for all metrics",
		"one of direction, min_absolute, min_relative and valid_range must be set",
		"policies::3::valid_range: one of min and max must be set",
		"policies::4::valid_range: min must be less than max, got 1 and 1",
		"policies::5::valid_range: min and max must be numbers",
		"policies::1: match must be a regular expression: error parsing regexp: missing argument to repetition operator: `*`",
		"policies::2: min_absolute must be a finite number of at least 0, got -1",
		"min_relative must be between 0 and 1e6, got NaN",
	}, got)
}

func TestConfigDirection(t *testing.T) {
	_, err := load(t, "anomaly/direction")
	assert.ErrorContains(t, err, `direction must be up, down or both, got "sideways"`)
}

func TestConfigGone(t *testing.T) {
	_, err := load(t, "anomaly/gone")
	assert.ErrorContains(t, err, "expected_anomalies_per_day is gone: write sensitivity, the false alarms to expect of a calm series in a week")
}

// A clock skew beyond what a time can hold would refuse every point.
func TestConfigClockSkewIsBounded(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	cfg.MaxClockSkew = 8760 * time.Hour
	require.NoError(t, cfg.Validate())
	cfg.MaxClockSkew += time.Nanosecond
	require.ErrorContains(t, cfg.Validate(), "max_clock_skew must be between 0 and 8760h")
}

// An expression is one by itself, not only inside the group that makes it match whole names.
func TestConfigPatternsStandAlone(t *testing.T) {
	for name, err := range map[string]error{
		"policy": (&Policy{Match: "a)|(?:b", Direction: DirectionUp}).Validate(),
		"include": func() error {
			c := createDefaultConfig().(*Config)
			c.Include = []string{"a)|(?:b"}
			return c.Validate()
		}(),
	} {
		require.ErrorContains(t, err, "unexpected ): `a)|(?:b`", name)
	}
}

func TestConfigMinRelativeIsBounded(t *testing.T) {
	for v, want := range map[float64]bool{0: true, 1e6: true, 1.1e6: false, 1e300: false, math.Inf(1): false, math.NaN(): false, -1: false} {
		err := (&Policy{Match: "a", MinRelative: &v}).Validate()
		assert.Equal(t, want, err == nil, v)
	}
}
