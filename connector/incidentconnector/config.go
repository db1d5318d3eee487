package incidentconnector

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"

	"github.com/paramedic-otel/paramedic/internal/excess"
)

// Config is the configuration of the incident connector.
type Config struct {
	// Bucket is the width of the time buckets in which everything is counted and judged.
	Bucket time.Duration `mapstructure:"bucket"`
	// Lateness is how long after its end, in event time, a bucket still takes data before it is judged.
	Lateness time.Duration `mapstructure:"lateness"`
	// IdleAfter is how long, in wall time, no data may come before the clock on the wall moves event time on.
	IdleAfter time.Duration `mapstructure:"idle_after"`
	// MaxClockSkew is how far ahead of the rest an item's timestamp may be before it is taken for a wrong clock.
	MaxClockSkew time.Duration `mapstructure:"max_clock_skew"`

	// OpenSurprise is how surprising the evidence against an entity must be to open an incident, as -log10 of its
	// probability in normal operation.
	OpenSurprise float64 `mapstructure:"open_surprise"`
	// MinScore is the anomaly.score from which on a series counts as abnormal.
	MinScore float64 `mapstructure:"min_score"`
	// MinDeviation is the anomaly.deviation, either way, from which on an abnormal series can open an incident.
	MinDeviation float64 `mapstructure:"min_deviation"`
	// MinUtilization is the utilization, as a share of what there is, from which on a resource counts as saturated; an
	// abnormal one below it is evidence but opens nothing.
	MinUtilization float64 `mapstructure:"min_utilization"`
	// Persistence is how many samples in a row a series must be abnormal before it counts, unless it is the
	// utilization of a resource that is saturated.
	Persistence int `mapstructure:"persistence"`

	// GroupWindow is how far apart the onsets of anomalies may be that belong to one incident.
	GroupWindow time.Duration `mapstructure:"group_window"`
	// ChangeWindow is how long before an incident a change is held to be related to it.
	ChangeWindow time.Duration `mapstructure:"change_window"`
	// UpdateInterval is the least time between two events of one incident.
	UpdateInterval time.Duration `mapstructure:"update_interval"`
	// RepeatInterval is after how much time an incident that goes on without any news is told of again, so that whoever
	// waits to act, for a cooldown or for a first attempt to fail, is asked again.
	RepeatInterval time.Duration `mapstructure:"repeat_interval"`
	// ResolveAfter is how long all symptoms must be seen to be gone before an incident is resolved.
	ResolveAfter time.Duration `mapstructure:"resolve_after"`
	// StaleAfter is how long nothing may be known of the symptoms before an incident is closed without a verdict.
	StaleAfter time.Duration `mapstructure:"stale_after"`

	// ReopenWindow is for how long after its end an incident goes on when the same trouble comes back.
	ReopenWindow time.Duration `mapstructure:"reopen_window"`
	// WarmUp is for how long after the first data nothing is opened.
	WarmUp time.Duration `mapstructure:"warm_up"`
	// MetricsInterval is how often, in event time, the metrics of incidents and services are sent, in whole buckets.
	MetricsInterval time.Duration `mapstructure:"metrics_interval"`
	// Decisions says whether each decision is sent with its reason as a log record.
	Decisions DecisionDetail `mapstructure:"decisions"`

	// BaselineHalfLife is after how much time with data what was normal weighs half.
	BaselineHalfLife time.Duration `mapstructure:"baseline_half_life"`
	// NormalAfter is after how much time what was abnormal all along is the new normal.
	NormalAfter time.Duration `mapstructure:"normal_after"`

	// Signals says which series may open incidents, and which are ignored.
	Signals SignalsConfig `mapstructure:"signals"`
	// Objectives are the objectives whose burning error budgets are symptoms.
	Objectives []ObjectiveConfig `mapstructure:"objectives"`
	// Silences keep incidents from being told of for a time.
	Silences []SilenceConfig `mapstructure:"silences"`

	// Storage is the extension that keeps what was learnt and what goes on; without one it is in memory only.
	Storage *component.ID `mapstructure:"storage"`
	// State says how it is kept.
	State StateConfig `mapstructure:"state"`

	// Limits bound the memory.
	Limits LimitsConfig `mapstructure:"limits"`

	// Without is a part of the diagnosis that a benchmark leaves out; a configuration cannot.
	Without Part `mapstructure:"-"`
}

// DecisionDetail is how much is said about decisions.
type DecisionDetail string

// The details: decisions are counted only, or sent as log records and in the bodies of events as well.
const (
	DecisionsOff   DecisionDetail = "off"
	DecisionsDebug DecisionDetail = "debug"
)

// UnmarshalText takes one of the details.
func (d *DecisionDetail) UnmarshalText(text []byte) error {
	switch detail := DecisionDetail(text); detail {
	case DecisionsOff, DecisionsDebug:
		*d = detail
		return nil
	default:
		return fmt.Errorf("decisions must be %s or %s, got %q", DecisionsOff, DecisionsDebug, text)
	}
}

// LimitsConfig bounds what the engine holds.
type LimitsConfig struct {
	// Edges is the number of edges of the service graph.
	Edges int `mapstructure:"edges"`
	// Series is the number of cumulative service graph series whose last value is kept.
	Series int `mapstructure:"series"`
	// Signals is the number of series with a high anomaly score.
	Signals int `mapstructure:"signals"`
	// Services is the number of services that are known, LogTemplates the number of log templates, LogContexts the number
	// of spans whose last record is remembered.
	Services     int `mapstructure:"services"`
	LogTemplates int `mapstructure:"log_templates"`
	LogContexts  int `mapstructure:"log_contexts"`
	// Symptoms is the number of symptoms, Incidents the number of open incidents, Causes the number of causes that an
	// event names.
	Symptoms  int `mapstructure:"symptoms"`
	Incidents int `mapstructure:"incidents"`
	Causes    int `mapstructure:"causes"`
	// Relations is the number of relations between entities, and of resources that tell of them, Changes the number of
	// changes that are remembered. Objects is the number of workloads, of their replica sets and of config maps that are
	// remembered, and that of events of Kubernetes.
	Relations int `mapstructure:"relations"`
	Changes   int `mapstructure:"changes"`
	Objects   int `mapstructure:"objects"`
	// Outbox is the number of events that wait while the next component refuses them.
	Outbox int `mapstructure:"outbox"`
	// Objectives is the number of budgets, one for each objective and service, Silences the number of silences that may be
	// configured, and Decisions the number of decisions that wait to be sent.
	Objectives int `mapstructure:"objectives"`
	Silences   int `mapstructure:"silences"`
	Decisions  int `mapstructure:"decisions"`
}

func createDefaultConfig() component.Config {
	return &Config{
		Bucket:           3 * time.Second,
		Lateness:         3 * time.Second,
		IdleAfter:        10 * time.Second,
		MaxClockSkew:     90 * time.Second,
		OpenSurprise:     8,
		MinScore:         0.99,
		MinDeviation:     6,
		MinUtilization:   0.5,
		Persistence:      2,
		GroupWindow:      3 * time.Minute,
		ChangeWindow:     15 * time.Minute,
		UpdateInterval:   10 * time.Second,
		RepeatInterval:   time.Minute,
		ResolveAfter:     time.Minute,
		StaleAfter:       3 * time.Minute,
		ReopenWindow:     10 * time.Minute,
		WarmUp:           time.Minute,
		MetricsInterval:  15 * time.Second,
		Decisions:        DecisionsOff,
		BaselineHalfLife: time.Hour,
		NormalAfter:      time.Hour,
		State:            defaultState(),
		Limits: LimitsConfig{
			Edges: 5000, Series: 50_000, Signals: 20_000,
			Services: 1000, LogTemplates: 20_000, LogContexts: 50_000,
			Symptoms: 5000, Incidents: 100, Causes: 5, Relations: 50_000, Changes: 500, Objects: 10_000, Outbox: 1000,
			Objectives: 1000, Silences: 100, Decisions: 1000,
		},
	}
}

// Validate reports everything that is wrong with the configuration.
func (c *Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Bucket < time.Second || c.Bucket > 5*time.Minute {
		fail("bucket must be between 1s and 5m, got %s", c.Bucket)
	}
	if maxLateness := 6 * c.Bucket; c.Lateness < 0 || c.Lateness > maxLateness {
		fail("lateness must be between 0s and 6 buckets (%s), got %s", maxLateness, c.Lateness)
	}
	if most := excess.Lookahead * c.Bucket; c.MaxClockSkew > most {
		fail("max_clock_skew must be at most %d buckets (%s), got %s", excess.Lookahead, most, c.MaxClockSkew)
	}
	if !(c.OpenSurprise >= 3) || c.OpenSurprise > 100 {
		fail("open_surprise must be between 3 and 100, got %v; it is -log10 of a probability", c.OpenSurprise)
	}
	if !(c.MinScore > 0) || c.MinScore > 1 {
		fail("min_score must be greater than 0 and at most 1, got %v", c.MinScore)
	}
	if !(c.MinDeviation >= 0) {
		fail("min_deviation must be at least 0, got %v", c.MinDeviation)
	}
	if !(c.MinUtilization >= 0) || c.MinUtilization > 1 {
		fail("min_utilization must be between 0 and 1, got %v", c.MinUtilization)
	}
	if c.Persistence < 1 || c.Persistence > 100 {
		fail("persistence must be between 1 and 100 samples, got %d", c.Persistence)
	}
	if most := excess.Lookback * c.Bucket; c.MetricsInterval > most {
		fail("metrics_interval must be at most %d buckets (%s), got %s", excess.Lookback, most, c.MetricsInterval)
	}
	if len(c.Silences) > c.Limits.Silences {
		fail("silences must be at most limits::silences (%d), got %d", c.Limits.Silences, len(c.Silences))
	}
	if twice := repeated(objectiveNames(c.Objectives)); twice != "" {
		fail("objectives must have names of their own, got %q twice", twice)
	}
	if twice := repeated(silenceNames(c.Silences)); twice != "" {
		fail("silences must have names of their own, got %q twice", twice)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"idle_after", c.IdleAfter, time.Second},
		{"max_clock_skew", c.MaxClockSkew, time.Second},
		{"group_window", c.GroupWindow, time.Second},
		{"change_window", c.ChangeWindow, time.Second},
		{"update_interval", c.UpdateInterval, 0},
		{"repeat_interval", c.RepeatInterval, c.UpdateInterval},
		{"resolve_after", c.ResolveAfter, c.Bucket},
		{"stale_after", c.StaleAfter, c.Bucket},
		{"reopen_window", c.ReopenWindow, 0},
		{"warm_up", c.WarmUp, 0},
		{"metrics_interval", c.MetricsInterval, time.Second},
		{"baseline_half_life", c.BaselineHalfLife, time.Minute},
		{"normal_after", c.NormalAfter, time.Minute},
	} {
		if d.value < d.least {
			fail("%s must be at least %s, got %s", d.name, d.least, d.value)
		}
	}
	return errors.Join(errs...)
}

func objectiveNames(objectives []ObjectiveConfig) (names []string) {
	for _, o := range objectives {
		names = append(names, o.Name)
	}
	return names
}

func silenceNames(silences []SilenceConfig) (names []string) {
	for _, s := range silences {
		names = append(names, s.Name)
	}
	return names
}

// repeated returns the first name that is there twice.
func repeated(names []string) string {
	seen := map[string]bool{}
	for _, name := range names {
		if name != "" && seen[name] {
			return name
		}
		seen[name] = true
	}
	return ""
}

// Validate reports every limit that does not bound anything.
func (c *LimitsConfig) Validate() error {
	var errs []error
	for _, l := range []struct {
		name  string
		value int
	}{
		{"edges", c.Edges},
		{"series", c.Series},
		{"signals", c.Signals},
		{"services", c.Services},
		{"log_templates", c.LogTemplates},
		{"log_contexts", c.LogContexts},
		{"symptoms", c.Symptoms},
		{"incidents", c.Incidents},
		{"causes", c.Causes},
		{"relations", c.Relations},
		{"changes", c.Changes},
		{"objects", c.Objects},
		{"outbox", c.Outbox},
		{"objectives", c.Objectives},
		{"silences", c.Silences},
		{"decisions", c.Decisions},
	} {
		if l.value <= 0 {
			errs = append(errs, fmt.Errorf("%s must be greater than 0, got %d; it bounds memory", l.name, l.value))
		}
	}
	return errors.Join(errs...)
}
