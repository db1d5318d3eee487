package remediationexporter

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/verification"
)

func loadVerify(t *testing.T, name string) (*Config, error) {
	t.Helper()
	cm, err := confmaptest.LoadConf(filepath.Join("testdata", "verify.yaml"))
	require.NoError(t, err)
	sub, err := cm.Sub(component.NewIDWithName(component.MustNewType("remediation"), name).String())
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	return cfg, sub.Unmarshal(cfg)
}

func TestVerifyConfigEveryField(t *testing.T) {
	cfg, err := loadVerify(t, "all")
	require.NoError(t, err)
	require.NoError(t, xconfmap.Validate(cfg))
	probe := defaultProbe()
	probe.Endpoint, probe.Timeout, probe.Status, probe.Interval = "http://127.0.0.1:8080/health", 2*time.Second, []int{200, 204}, 4*time.Second
	probe.Successes, probe.Failures, probe.AllowPrivateRanges = 3, 5, true
	assert.Equal(t, VerifyConfig{
		Within: 5 * time.Minute, Settle: 20 * time.Second, Hold: 40 * time.Second, FailHold: 5 * time.Second, StaleAfter: 45 * time.Second,
		Require: 1, Workload: WorkloadConfig{Interval: 7 * time.Second},
		Signals: []SignalConfig{
			{Name: "latency", Metric: &MetricSignalConfig{
				Name: "http.server.request.duration", When: []string{`attributes["http.route"] != "/health"`}, Of: OfIncident, Stat: StatQuantile,
				Quantile: 0.99, Below: new(0.5), Above: new(0.0), FailBelow: new(-1.0), FailAbove: new(2.0),
			}},
			{Name: "front", HTTP: &probe},
		},
	}, cfg.Playbooks[0].Verify)
	assert.Equal(t, VerificationConfig{
		MaxSeries: 20, MaxSignalSeries: 10, MaxPlaySeries: 5, SeriesExpiry: 2 * time.Minute, MaxProbes: 3, FreezeAfter: 30 * time.Second,
	}, cfg.Verification)
	short := cfg.Playbooks[0].Steps[1].Verify
	assert.Equal(t, []time.Duration{5 * time.Second, 5 * time.Second, 5 * time.Second}, []time.Duration{short.Settle, short.Hold, short.FailHold},
		"a short time leaves shorter defaults")
	assert.Equal(t, time.Minute, short.StaleAfter)

	p := &cfg.Playbooks[0]
	assert.True(t, p.assessed(0))
	assert.False(t, p.assessed(1), "a webhook's action has no workload to look at")
	assert.Equal(t, &verification.Settings{
		Settle: 20 * time.Second, Hold: 40 * time.Second, FailHold: 5 * time.Second, StaleAfter: 45 * time.Second, Require: 1, MaxSeries: 9,
		Signals: []verification.Signal{{Name: "latency"}, {Name: "front"}},
	}, p.settings(0, 9))
	p.Steps[1] = StepConfig{Kubernetes: &kubeaction.Step{}, Verify: new(defaultVerify())}
	assert.True(t, p.assessed(1))
	assert.Equal(t, []verification.Signal{{Name: "workload", Mandatory: true}}, p.settings(1, 9).Signals)
	version, err := p.version()
	require.NoError(t, err)
	p.Verify.Signals[0].Metric.Below = new(0.6)
	other, err := p.version()
	require.NoError(t, err)
	assert.NotEqual(t, version, other, "an action goes on only under the bounds that it began with")
}

func TestVerifyConfigInvalid(t *testing.T) {
	cfg, err := loadVerify(t, "invalid")
	require.NoError(t, err)
	err = xconfmap.Validate(cfg)
	require.Error(t, err)
	for _, want := range []string{
		"verification: max_series must be between 1 and 1000000, got 0",
		"max_signal_series must be between 1 and 1000000, got 2000000",
		"max_play_series must be between 1 and 10000, got 0",
		"max_probes must be between 1 and 1000, got 0",
		"series_expiry must be between 1m and 24h, got 1s",
		"freeze_after must be 0s or between 5s and 24h, got 1s; 0s never freezes",
		"playbooks::0::verify: settle must be between 0s and 24h0m0s, got -1s",
		"hold must be between 0s and 24h0m0s, got 25h0m0s",
		"fail_hold must be between 0s and 24h0m0s, got -1s",
		"stale_after must be between 1s and 1h, got 2h0m0s; past it a signal is unknown",
		"require must be between 0 and the number of signals (6), got 9; 0 means all",
		"playbooks::0::verify::workload: interval must be at least 1s, got 0s",
		`signals::1: name must be unique and not workload, got "workload"`,
		`signals::3: name must be unique and not workload, got "x"`,
		"signals::4: http::interval must be shorter than stale_after (2h0m0s), got 3h0m0s",
		`playbooks::0::verify::signals::0: name must match ^[a-z0-9][a-z0-9_.-]{0,62}$, got "Über"`,
		"metric or http must be set, and not both",
		"playbooks::0::verify::signals::0::metric: name must have 1 to 255 characters, got 0; it is the metric's",
		"below or above must be set; without it nothing is a success",
		"playbooks::0::verify::signals::0::http: endpoint must be an http or https URL with a host",
		"playbooks::0::verify::signals::2::metric: when: unable to parse OTTL condition",
		"quantile must be between 0 and 1, got 2; 0.99 is the 99th percentile",
		"above must be less than below (1), got 2",
		"fail_above must be at least below, which must be set, got 0.5",
		"fail_below must be at most above, which must be set, got 3",
		"playbooks::0::verify::signals::3::metric: quantile must be unset with stat: value",
		"playbooks::0::verify::signals::4::http: endpoint must not be the private address 127.0.0.1; set allow_private_ranges: true if that is meant",
		"status must hold 1 to 20 status codes, got 0",
		"timeout must be more than 0s and at most 1m, got 2m0s",
		"successes must be between 1 and 100, got 0",
		"failures must be between 0 and 100, got -1; 0 is never",
		"playbooks::0::verify::signals::5::http: endpoint must not hold a user or password; use an auth extension or headers",
		"status::0 must be between 100 and 599, got 7",
		"interval must be at least 1s, got 1ms",
		"playbooks::1::steps::0: verify: settle (30s) and hold (30s) must leave something of within (1m0s); else nothing can succeed",
		"playbooks::1::verify::signals::0::metric: below must be a finite number, got +Inf",
	} {
		assert.ErrorContains(t, err, want)
	}
	for _, secret := range []string{"hunter2", "secret.example.com", "/token"} {
		assert.NotContains(t, err.Error(), secret)
	}
	for name, want := range map[string]string{
		"bad_of":   `of must be target, incident or any, got "everybody"`,
		"bad_stat": `stat must be value, rate, mean or quantile, got "median"`,
	} {
		_, err := loadVerify(t, name)
		require.ErrorContains(t, err, want)
	}
}
