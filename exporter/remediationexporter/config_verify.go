package remediationexporter

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/confmap"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/verification"
)

// VerifyConfig says when an action has helped: the incident must end, and independent signals must agree.
type VerifyConfig struct {
	// Within is how long the action may take to be carried out, and then how long the incident has to recover.
	Within time.Duration `mapstructure:"within"`
	// Settle is how long after the action no signal is judged.
	Settle time.Duration `mapstructure:"settle"`
	// Hold is how long a signal must be good without a gap, and FailHold how long it must show failure.
	Hold     time.Duration `mapstructure:"hold"`
	FailHold time.Duration `mapstructure:"fail_hold"`
	// StaleAfter is the age past which what a signal said last says nothing of now.
	StaleAfter time.Duration `mapstructure:"stale_after"`
	// Require is how many of Signals must agree; 0 means all.
	Require int            `mapstructure:"require"`
	Signals []SignalConfig `mapstructure:"signals"`
	// Workload is the API server's own view of what a Kubernetes step acted on.
	Workload WorkloadConfig `mapstructure:"workload"`
}

// WorkloadConfig says whether and how often the API server is asked how the workload does.
type WorkloadConfig struct {
	Enabled  bool          `mapstructure:"enabled"`
	Interval time.Duration `mapstructure:"interval"`
}

// SignalConfig is one independent signal: a metric or a probe.
type SignalConfig struct {
	Name   string              `mapstructure:"name"`
	Metric *MetricSignalConfig `mapstructure:"metric"`
	HTTP   *ProbeConfig        `mapstructure:"http"`
}

// Relation is whose series a signal reads: target, incident or any.
type Relation string

// The relations.
const (
	OfTarget   Relation = "target"
	OfIncident Relation = "incident"
	OfAny      Relation = "any"
)

// UnmarshalText reads a relation.
func (r *Relation) UnmarshalText(text []byte) error {
	return choose(r, text, "of", OfTarget, OfIncident, OfAny)
}

// Statistic is what of a metric is judged: value, rate, mean or quantile.
type Statistic string

// The statistics.
const (
	// StatValue is the value of a gauge, or of a sum that may fall.
	StatValue Statistic = "value"
	// StatRate is the change of a sum per second.
	StatRate Statistic = "rate"
	// StatMean and StatQuantile are those of a histogram.
	StatMean     Statistic = "mean"
	StatQuantile Statistic = "quantile"
)

// UnmarshalText reads a statistic.
func (s *Statistic) UnmarshalText(text []byte) error {
	return choose(s, text, "stat", StatValue, StatRate, StatMean, StatQuantile)
}

// MetricSignalConfig selects series that this exporter is fed with by a metrics pipeline, and says how they should be.
type MetricSignalConfig struct {
	// Name is that of the metric.
	Name string `mapstructure:"name"`
	// When holds OTTL conditions on data points that select series. They are asked once for each series.
	When []string  `mapstructure:"when"`
	Of   Relation  `mapstructure:"of"`
	Stat Statistic `mapstructure:"stat"`
	// Quantile is between 0 and 1, for StatQuantile.
	Quantile float64 `mapstructure:"quantile"`
	// Below and Above are where the statistic should be, FailBelow and FailAbove where the action has failed.
	Below     *float64 `mapstructure:"below"`
	Above     *float64 `mapstructure:"above"`
	FailBelow *float64 `mapstructure:"fail_below"`
	FailAbove *float64 `mapstructure:"fail_above"`
}

// ProbeConfig is a URL that is asked while an action is verified.
type ProbeConfig struct {
	confighttp.ClientConfig `mapstructure:",squash"`
	// Status are the status codes that are a success.
	Status []int `mapstructure:"status"`
	// Interval is the time between requests.
	Interval time.Duration `mapstructure:"interval"`
	// Successes is how many successes in a row are good, Failures how many other answers in a row show failure; 0 is never.
	Successes int `mapstructure:"successes"`
	Failures  int `mapstructure:"failures"`
	// AllowPrivateRanges permits connections to loopback, private, link-local and other special addresses.
	AllowPrivateRanges bool `mapstructure:"allow_private_ranges"`
}

// VerificationConfig bounds what the verification of all playbooks keeps and does.
type VerificationConfig struct {
	// MaxSeries bounds the series of all signals, MaxSignalSeries those of one, and MaxPlaySeries those of one signal that
	// speak of one action.
	MaxSeries       int `mapstructure:"max_series"`
	MaxSignalSeries int `mapstructure:"max_signal_series"`
	MaxPlaySeries   int `mapstructure:"max_play_series"`
	// SeriesExpiry is how long after its last point a series is forgotten.
	SeriesExpiry time.Duration `mapstructure:"series_expiry"`
	// MaxProbes bounds the probes and questions to the API server that are under way.
	MaxProbes int `mapstructure:"max_probes"`
	// FreezeAfter is how long no data point at all may arrive before nothing acts any more; 0 is off.
	FreezeAfter time.Duration `mapstructure:"freeze_after"`
}

func defaultVerification() VerificationConfig {
	return VerificationConfig{
		MaxSeries: 10_000, MaxSignalSeries: 1000, MaxPlaySeries: 100, SeriesExpiry: 15 * time.Minute, MaxProbes: 16,
		FreezeAfter: 2 * time.Minute,
	}
}

// defaultVerify allows for a minute of quiet, after which an incident counts as resolved, and the time a cure takes.
func defaultVerify() VerifyConfig {
	return VerifyConfig{
		Within: 3 * time.Minute, Settle: 15 * time.Second, Hold: 30 * time.Second, FailHold: 15 * time.Second,
		StaleAfter: time.Minute, Workload: WorkloadConfig{Enabled: true, Interval: 5 * time.Second},
	}
}

func defaultProbe() ProbeConfig {
	client := confighttp.NewDefaultClientConfig()
	client.Timeout = 5 * time.Second
	return ProbeConfig{ClientConfig: client, Status: []int{http.StatusOK}, Interval: 10 * time.Second, Successes: 2}
}

// Unmarshal puts the user's settings over the defaults. With a short Within the defaults of the others are shorter too.
func (c *VerifyConfig) Unmarshal(conf *confmap.Conf) error {
	*c = defaultVerify()
	if err := conf.Unmarshal(c); err != nil {
		return err
	}
	for key, value := range map[string]*time.Duration{"settle": &c.Settle, "hold": &c.Hold, "fail_hold": &c.FailHold} {
		if !conf.IsSet(key) {
			*value = min(*value, max(0, c.Within/6))
		}
	}
	return nil
}

// Unmarshal puts the user's settings over the defaults.
func (c *MetricSignalConfig) Unmarshal(conf *confmap.Conf) error {
	*c = MetricSignalConfig{Of: OfTarget, Stat: StatValue}
	return conf.Unmarshal(c)
}

// Unmarshal puts the user's settings over the defaults.
func (c *ProbeConfig) Unmarshal(conf *confmap.Conf) error {
	*c = defaultProbe()
	if conf.IsSet("status") {
		c.Status = nil
	}
	return conf.Unmarshal(c)
}

const (
	maxSignals    = 10
	maxHold       = 24 * time.Hour
	maxConditions = 32
	// workloadSignal is what the API server's view is called among the signals.
	workloadSignal = "workload"
)

// Validate checks the times and that the signals can agree.
func (c *VerifyConfig) Validate() error {
	var errs []error
	if c.Within < time.Second {
		errs = append(errs, fmt.Errorf("within must be at least 1s, got %s", c.Within))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"settle", c.Settle}, {"hold", c.Hold}, {"fail_hold", c.FailHold}} {
		if d.value < 0 || d.value > maxHold {
			errs = append(errs, fmt.Errorf("%s must be between 0s and %s, got %s", d.name, maxHold, d.value))
		}
	}
	if c.StaleAfter < time.Second || c.StaleAfter > time.Hour {
		errs = append(errs, fmt.Errorf("stale_after must be between 1s and 1h, got %s; past it a signal is unknown", c.StaleAfter))
	}
	if len(c.Signals) > maxSignals {
		errs = append(errs, fmt.Errorf("signals must be at most %d, got %d", maxSignals, len(c.Signals)))
	}
	if c.Require < 0 || c.Require > len(c.Signals) {
		errs = append(errs, fmt.Errorf("require must be between 0 and the number of signals (%d), got %d; 0 means all", len(c.Signals), c.Require))
	}
	for i, s := range c.Signals {
		if slices.ContainsFunc(c.Signals[:i], func(o SignalConfig) bool { return o.Name == s.Name }) || s.Name == workloadSignal {
			errs = append(errs, fmt.Errorf("signals::%d: name must be unique and not %s, got %.80q", i, workloadSignal, s.Name))
		}
		if s.HTTP != nil && s.HTTP.Interval >= c.StaleAfter {
			errs = append(errs, fmt.Errorf("signals::%d: http::interval must be shorter than stale_after (%s), got %s", i, c.StaleAfter, s.HTTP.Interval))
		}
	}
	if c.Workload.Enabled && c.Workload.Interval >= c.StaleAfter {
		errs = append(errs, fmt.Errorf("workload::interval must be shorter than stale_after (%s), got %s", c.StaleAfter, c.Workload.Interval))
	}
	return errors.Join(errs...)
}

// validateAssessed checks that the signals can have their say before the time is over, for a step that rests on them.
func (c *VerifyConfig) validateAssessed() error {
	if c.Settle+c.Hold >= c.Within {
		return fmt.Errorf("settle (%s) and hold (%s) must leave something of within (%s); else nothing can succeed", c.Settle, c.Hold, c.Within)
	}
	return nil
}

// Validate checks the interval.
func (c *WorkloadConfig) Validate() error {
	if c.Enabled && c.Interval < time.Second {
		return fmt.Errorf("interval must be at least 1s, got %s", c.Interval)
	}
	return nil
}

// Validate checks that the signal has one source.
func (c *SignalConfig) Validate() error {
	var errs []error
	if !namePattern.MatchString(c.Name) {
		errs = append(errs, fmt.Errorf("name must match %s, got %.80q", namePattern, c.Name))
	}
	if (c.Metric == nil) == (c.HTTP == nil) {
		errs = append(errs, errors.New("metric or http must be set, and not both"))
	}
	return errors.Join(errs...)
}

// Validate checks that there is an explicit condition of success that can be told from failure.
func (c *MetricSignalConfig) Validate() error {
	var errs []error
	if c.Name == "" || len(c.Name) > 255 {
		errs = append(errs, fmt.Errorf("name must have 1 to 255 characters, got %d; it is the metric's", len(c.Name)))
	}
	if len(c.When) > maxConditions {
		errs = append(errs, fmt.Errorf("when must be at most %d conditions, got %d", maxConditions, len(c.When)))
	}
	if _, err := parsePointConditions(c.When, component.TelemetrySettings{Logger: zap.NewNop()}); err != nil {
		errs = append(errs, fmt.Errorf("when: %w", err))
	}
	switch {
	case c.Stat == StatQuantile && !(c.Quantile > 0 && c.Quantile < 1):
		errs = append(errs, fmt.Errorf("quantile must be between 0 and 1, got %v; 0.99 is the 99th percentile", c.Quantile))
	case c.Stat != StatQuantile && c.Quantile != 0:
		errs = append(errs, fmt.Errorf("quantile must be unset with stat: %s", c.Stat))
	}
	for _, b := range []struct {
		name  string
		value *float64
	}{{"below", c.Below}, {"above", c.Above}, {"fail_below", c.FailBelow}, {"fail_above", c.FailAbove}} {
		if b.value != nil && (math.IsNaN(*b.value) || math.IsInf(*b.value, 0)) {
			errs = append(errs, fmt.Errorf("%s must be a finite number, got %v", b.name, *b.value))
		}
	}
	switch {
	case c.Below == nil && c.Above == nil:
		errs = append(errs, errors.New("below or above must be set; without it nothing is a success"))
	case c.Below != nil && c.Above != nil && !(*c.Above < *c.Below):
		errs = append(errs, fmt.Errorf("above must be less than below (%v), got %v", *c.Below, *c.Above))
	}
	if c.FailAbove != nil && (c.Below == nil || *c.FailAbove < *c.Below) {
		errs = append(errs, fmt.Errorf("fail_above must be at least below, which must be set, got %v", *c.FailAbove))
	}
	if c.FailBelow != nil && (c.Above == nil || *c.FailBelow > *c.Above) {
		errs = append(errs, fmt.Errorf("fail_below must be at most above, which must be set, got %v", *c.FailBelow))
	}
	return errors.Join(errs...)
}

// Validate checks what can be known without connecting.
func (c *ProbeConfig) Validate() error {
	errs := []error{validateEndpoint(c.Endpoint, c.AllowPrivateRanges), c.ClientConfig.Validate()}
	if len(c.Status) == 0 || len(c.Status) > 20 {
		errs = append(errs, fmt.Errorf("status must hold 1 to 20 status codes, got %d", len(c.Status)))
	}
	for i, s := range c.Status {
		if s < 100 || s > 599 {
			errs = append(errs, fmt.Errorf("status::%d must be between 100 and 599, got %d", i, s))
		}
	}
	if c.Interval < time.Second {
		errs = append(errs, fmt.Errorf("interval must be at least 1s, got %s", c.Interval))
	}
	if c.Timeout <= 0 || c.Timeout > time.Minute {
		errs = append(errs, fmt.Errorf("timeout must be more than 0s and at most 1m, got %s", c.Timeout))
	}
	if c.Successes < 1 || c.Successes > 100 {
		errs = append(errs, fmt.Errorf("successes must be between 1 and 100, got %d", c.Successes))
	}
	if c.Failures < 0 || c.Failures > 100 {
		errs = append(errs, fmt.Errorf("failures must be between 0 and 100, got %d; 0 is never", c.Failures))
	}
	return errors.Join(errs...)
}

// Validate checks the bounds.
func (c *VerificationConfig) Validate() error {
	var errs []error
	for _, b := range []struct {
		name       string
		value, max int
	}{
		{"max_series", c.MaxSeries, 1_000_000},
		{"max_signal_series", c.MaxSignalSeries, 1_000_000},
		{"max_play_series", c.MaxPlaySeries, 10_000},
		{"max_probes", c.MaxProbes, 1000},
	} {
		if b.value < 1 || b.value > b.max {
			errs = append(errs, fmt.Errorf("%s must be between 1 and %d, got %d", b.name, b.max, b.value))
		}
	}
	if c.SeriesExpiry < time.Minute || c.SeriesExpiry > 24*time.Hour {
		errs = append(errs, fmt.Errorf("series_expiry must be between 1m and 24h, got %s", c.SeriesExpiry))
	}
	if c.FreezeAfter != 0 && (c.FreezeAfter < 5*time.Second || c.FreezeAfter > 24*time.Hour) {
		errs = append(errs, fmt.Errorf("freeze_after must be 0s or between 5s and 24h, got %s; 0s never freezes", c.FreezeAfter))
	}
	return errors.Join(errs...)
}

// assessed reports whether a step rests on independent signals.
func (c *PlaybookConfig) assessed(step int) bool {
	v := c.verify(step)
	return len(v.Signals) > 0 || c.workload(step)
}

// workload reports whether the API server is asked how what a step acted on does.
func (c *PlaybookConfig) workload(step int) bool {
	return c.verify(step).Workload.Enabled && c.Steps[step].Kubernetes != nil
}

// hasMetrics reports whether any step of the playbook rests on a metric.
func (c *PlaybookConfig) hasMetrics() bool {
	for i := range c.Steps {
		if slices.ContainsFunc(c.verify(i).Signals, func(s SignalConfig) bool { return s.Metric != nil }) {
			return true
		}
	}
	return false
}

// settings are those of the verification of a step, with the API server's view as the last signal, if it is asked for.
func (c *PlaybookConfig) settings(step, maxSeries int) *verification.Settings {
	v := c.verify(step)
	s := &verification.Settings{
		Settle: v.Settle, Hold: v.Hold, FailHold: v.FailHold, StaleAfter: v.StaleAfter, Require: v.Require, MaxSeries: maxSeries,
	}
	for _, signal := range v.Signals {
		s.Signals = append(s.Signals, verification.Signal{Name: signal.Name})
	}
	if c.workload(step) {
		s.Signals = append(s.Signals, verification.Signal{Name: workloadSignal, Mandatory: true})
	}
	return s
}
