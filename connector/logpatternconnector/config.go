package logpatternconnector

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/internal/logclass"
	"github.com/paramedic-otel/paramedic/internal/logpattern"
)

// Annotate says what records are given.
type Annotate string

// The annotations.
const (
	AnnotateOff         Annotate = "off"
	AnnotateID          Annotate = "id"
	AnnotateIDAndText   Annotate = "id_and_template"
	AnnotateReplaceBody Annotate = "replace_body"
)

// UnmarshalText reads an annotation.
func (a *Annotate) UnmarshalText(text []byte) error {
	switch v := Annotate(text); v {
	case AnnotateOff, AnnotateID, AnnotateIDAndText, AnnotateReplaceBody:
		*a = v
		return nil
	default:
		return fmt.Errorf("annotate must be off, id, id_and_template or replace_body, got %q", text)
	}
}

// Severity is the name of a class of severities.
type Severity string

// UnmarshalText reads a severity.
func (s *Severity) UnmarshalText(text []byte) error {
	name := strings.ToLower(string(text))
	if !slices.Contains([]string{"unspecified", "trace", "debug", "info", "warn", "error", "fatal"}, name) {
		return fmt.Errorf("severity must be unspecified, trace, debug, info, warn, error or fatal, got %q", text)
	}
	*s = Severity(name)
	return nil
}

// class returns the severity as what counters tell apart.
func (s Severity) class() severityClass {
	for class, name := range severityNames {
		if strings.EqualFold(name, string(s)) {
			return severityClass(class) //nolint:gosec // few
		}
	}
	return classUnspecified
}

// LearningConfig says when a service is known well enough for something to be new.
type LearningConfig struct {
	// Period is how long, in event time, a service must have been known.
	Period time.Duration `mapstructure:"period"`
	// Records is how many records of it must have come.
	Records int `mapstructure:"records"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// RatesConfig says when the rate of a template is told of.
type RatesConfig struct {
	// Enabled judges rates.
	Enabled bool `mapstructure:"enabled"`
	// MinRatio is how many times as often as before a template must be written for a surge, or how many times as seldom to have
	// vanished.
	MinRatio float64 `mapstructure:"min_ratio"`
	// MinRecords is the least number of records of a surge, and the least number expected of a template that vanished.
	MinRecords int `mapstructure:"min_records"`
	// MinSurprise is -log10 of the probability that it is chance.
	MinSurprise float64 `mapstructure:"min_surprise"`
	// HalfLife is the time after which what was seen weighs half.
	HalfLife time.Duration `mapstructure:"half_life"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// ClassesConfig says how templates get the categories of the failures that they tell of.
type ClassesConfig struct {
	// Enabled gives templates categories and clusters.
	Enabled bool `mapstructure:"enabled"`
	// Similarity is the share of common words, 0 to 1, from which on two templates of the same categories are one cluster.
	Similarity float64 `mapstructure:"similarity"`
	// Rules come before the ones that are built in.
	Rules []logclass.Rule `mapstructure:"rules"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// LimitsConfig bounds what is held and sent.
type LimitsConfig struct {
	// Templates is the number of templates of all services.
	Templates int `mapstructure:"templates"`
	// TemplateBytes is about how much memory they take in all.
	TemplateBytes int `mapstructure:"template_bytes"`
	// Services is the number of services.
	Services int `mapstructure:"services"`
	// Patterns is the number of templates, by severity, of all services, PatternsPerService that of one.
	Patterns           int `mapstructure:"patterns"`
	PatternsPerService int `mapstructure:"patterns_per_service"`
	// Exceptions is the number of exceptions told apart of one service.
	Exceptions int `mapstructure:"exceptions"`
	// SeriesPerService is the number of templates, by severity, that have a series of their own in each flush, Series that of
	// all services.
	SeriesPerService int `mapstructure:"series_per_service"`
	Series           int `mapstructure:"series"`
	// LineBytes is how many bytes of a text are read.
	LineBytes int `mapstructure:"line_bytes"`
	// Events is the number of events in a flush.
	Events int `mapstructure:"events"`
	// Clusters is the number of clusters of templates.
	Clusters int `mapstructure:"clusters"`
	// Unsent is the number of flushes, and of batches of events, that wait while the next component is busy.
	Unsent int `mapstructure:"unsent"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// StateConfig says how what was learnt is kept in storage.
type StateConfig struct {
	// Interval is the time after which it is written again.
	Interval time.Duration `mapstructure:"interval"`
	// MaxBytes bounds it.
	MaxBytes int `mapstructure:"max_bytes"`
	// MaxAge is the age from which on it is too old to go on with.
	MaxAge time.Duration `mapstructure:"max_age"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// Config is the configuration of the logpattern connector.
type Config struct {
	// Storage is the extension that keeps what was learnt over restarts.
	Storage *component.ID `mapstructure:"storage"`
	// Annotate is what records are given.
	Annotate Annotate `mapstructure:"annotate"`
	// ForwardRecords passes the records on; without, only events go to the logs pipeline.
	ForwardRecords bool `mapstructure:"forward_records"`
	// AcceptAnnotations takes the templates that records come with, as from agents, instead of mining them again.
	AcceptAnnotations bool `mapstructure:"accept_annotations"`
	// MessageFields are the fields of a structured body that have its text, the first that is there.
	MessageFields []string `mapstructure:"message_fields"`
	// ServiceAttributes are the attributes of a resource that tell services apart, and the resource of the metrics.
	ServiceAttributes []string `mapstructure:"service_attributes"`
	// MinSeverity is the least severity of new templates that are told of.
	MinSeverity Severity `mapstructure:"min_severity"`
	// FlushInterval is the length, in event time, of the intervals at whose ends metrics are sent and rates judged.
	FlushInterval time.Duration `mapstructure:"flush_interval"`
	// Lateness is how far, in event time, records must be past the end of an interval to close it.
	Lateness time.Duration `mapstructure:"lateness"`
	// IdleTimeout is how long records must not come for what waits to be sent.
	IdleTimeout time.Duration `mapstructure:"idle_timeout"`
	// MaxClockSkew is how far ahead of all others records may be and still be believed.
	MaxClockSkew time.Duration `mapstructure:"max_clock_skew"`
	// PatternTTL is how long, in event time, a template of a service that is not written is remembered.
	PatternTTL time.Duration  `mapstructure:"pattern_ttl"`
	Learning   LearningConfig `mapstructure:"learning"`
	Rates      RatesConfig    `mapstructure:"rates"`
	Classes    ClassesConfig  `mapstructure:"classes"`
	Limits     LimitsConfig   `mapstructure:"limits"`
	State      StateConfig    `mapstructure:"state"`

	// prevent unkeyed literal initialization
	_ struct{}
}

func createDefaultConfig() component.Config {
	return &Config{
		Annotate:       AnnotateOff,
		ForwardRecords: true,
		MessageFields:  []string{"message", "msg", "event", "log"},
		ServiceAttributes: []string{
			"service.namespace", "service.name", "k8s.namespace.name", "k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name",
		},
		MinSeverity:   "warn",
		FlushInterval: 10 * time.Second,
		Lateness:      2 * time.Second,
		IdleTimeout:   15 * time.Second,
		MaxClockSkew:  time.Minute,
		PatternTTL:    7 * 24 * time.Hour,
		Learning:      LearningConfig{Period: 10 * time.Minute, Records: 1000},
		Rates:         RatesConfig{Enabled: true, MinRatio: 4, MinRecords: 20, MinSurprise: 15, HalfLife: 30 * time.Minute},
		Classes:       ClassesConfig{Enabled: true, Similarity: 0.6},
		Limits: LimitsConfig{
			Templates: 20_000, TemplateBytes: 64 << 20, Services: 1000, Patterns: 50_000, PatternsPerService: 2000, Exceptions: 100,
			SeriesPerService: 50, Series: 5000, LineBytes: 4096, Events: 100, Clusters: 5000, Unsent: 64,
		},
		State: StateConfig{Interval: time.Minute, MaxBytes: 256 << 20, MaxAge: 7 * 24 * time.Hour},
	}
}

// Validate reports everything that is wrong.
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	names := func(key string, list []string, most int) {
		check(len(list) <= most, "%s must have at most %d names, got %d", key, most, len(list))
		for i, name := range list {
			check(name != "", "%s must have no empty names, got one at %d", key, i)
			check(!slices.Contains(list[:i], name), "%s must have no name twice, got %q", key, name)
		}
	}
	names("message_fields", c.MessageFields, 32)
	names("service_attributes", c.ServiceAttributes, 32)
	check(c.FlushInterval >= time.Second && c.FlushInterval <= 10*time.Minute,
		"flush_interval must be between 1s and 10m, got %s", c.FlushInterval)
	check(c.Lateness >= 0 && c.Lateness <= c.FlushInterval,
		"lateness must be between 0s and flush_interval (%s), got %s; at most two intervals are open at a time", c.FlushInterval, c.Lateness)
	check(c.IdleTimeout >= c.FlushInterval && c.IdleTimeout <= time.Hour,
		"idle_timeout must be between flush_interval (%s) and 1h, got %s", c.FlushInterval, c.IdleTimeout)
	check(c.MaxClockSkew >= time.Second && c.MaxClockSkew >= c.Lateness,
		"max_clock_skew must be at least 1s and lateness (%s), got %s", c.Lateness, c.MaxClockSkew)
	check(c.PatternTTL >= time.Hour, "pattern_ttl must be at least 1h, got %s; what is forgotten is told of as new when it returns", c.PatternTTL)
	return errors.Join(errs...)
}

// Validate reports everything that is wrong.
func (c *LearningConfig) Validate() error {
	var errs []error
	if c.Period < 0 || c.Period > 30*24*time.Hour {
		errs = append(errs, fmt.Errorf("period must be between 0s and 720h, got %s", c.Period))
	}
	if c.Records < 0 {
		errs = append(errs, fmt.Errorf("records must be at least 0, got %d", c.Records))
	}
	return errors.Join(errs...)
}

// Validate reports everything that is wrong.
func (c *RatesConfig) Validate() error {
	var errs []error
	if !(c.MinRatio >= 1.5 && c.MinRatio <= 1000) {
		errs = append(errs, fmt.Errorf("min_ratio must be between 1.5 and 1000, got %v", c.MinRatio))
	}
	if c.MinRecords < 1 {
		errs = append(errs, fmt.Errorf("min_records must be at least 1, got %d", c.MinRecords))
	}
	if !(c.MinSurprise >= 3 && c.MinSurprise <= 100) {
		errs = append(errs, fmt.Errorf("min_surprise must be between 3 and 100, got %v; it is the number of zeros of the probability of chance", c.MinSurprise))
	}
	if c.HalfLife < time.Minute || c.HalfLife > 7*24*time.Hour {
		errs = append(errs, fmt.Errorf("half_life must be between 1m and 168h, got %s", c.HalfLife))
	}
	return errors.Join(errs...)
}

// maxRules bounds the rules of a user.
const maxRules = 1000

// Validate reports everything that is wrong.
func (c *ClassesConfig) Validate() error {
	var errs []error
	if !(c.Similarity >= 0.1 && c.Similarity <= 1) {
		errs = append(errs, fmt.Errorf("similarity must be between 0.1 and 1, got %v", c.Similarity))
	}
	if len(c.Rules) > maxRules {
		errs = append(errs, fmt.Errorf("rules must be at most %d, got %d", maxRules, len(c.Rules)))
	} else if err := logclass.Validate(c.Rules); err != nil {
		errs = append(errs, fmt.Errorf("rules: %w", err))
	}
	return errors.Join(errs...)
}

// Validate reports everything that is wrong.
func (c *LimitsConfig) Validate() error {
	var errs []error
	for _, l := range []struct {
		key         string
		v           int
		least, most int
	}{
		{"templates", c.Templates, 100, 1 << 20},
		{"template_bytes", c.TemplateBytes, 1 << 20, 1 << 32},
		{"services", c.Services, 1, 100_000},
		{"patterns", c.Patterns, 100, 10_000_000},
		{"patterns_per_service", c.PatternsPerService, 1, 10_000_000},
		{"exceptions", c.Exceptions, 1, 10_000},
		{"series_per_service", c.SeriesPerService, 1, 100_000},
		{"series", c.Series, 1, 1_000_000},
		{"line_bytes", c.LineBytes, 64, 1 << 20},
		{"events", c.Events, 1, 100_000},
		{"clusters", c.Clusters, 1, 1_000_000},
		{"unsent", c.Unsent, 1, 10_000},
	} {
		if l.v < l.least || l.v > l.most {
			errs = append(errs, fmt.Errorf("%s must be between %d and %d, got %d; it bounds memory", l.key, l.least, l.most, l.v))
		}
	}
	return errors.Join(errs...)
}

// Validate reports everything that is wrong.
func (c *StateConfig) Validate() error {
	var errs []error
	if c.Interval < time.Second {
		errs = append(errs, fmt.Errorf("interval must be at least 1s, got %s", c.Interval))
	}
	if c.MaxBytes < 1<<16 {
		errs = append(errs, fmt.Errorf("max_bytes must be at least 65536, got %d", c.MaxBytes))
	}
	if c.MaxAge < time.Minute {
		errs = append(errs, fmt.Errorf("max_age must be at least 1m, got %s", c.MaxAge))
	}
	return errors.Join(errs...)
}

// minerSettings are those of the miner of templates.
func (c *Config) minerSettings() logpattern.Settings {
	s := logpattern.DefaultSettings()
	s.MaxTemplates, s.MaxBytes, s.MaxAliases = c.Limits.Templates, c.Limits.LineBytes, 2*c.Limits.Templates
	s.MaxMemory = c.Limits.TemplateBytes
	return s
}

// severityClass is a class of severities.
type severityClass uint8

// The classes, in the order of severity.
const (
	classUnspecified severityClass = iota
	classTrace
	classDebug
	classInfo
	classWarn
	classError
	classFatal
	severityClasses
)

var severityNames = [severityClasses]string{"UNSPECIFIED", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}

// number returns the least severity number of a class.
func (c severityClass) number() plog.SeverityNumber {
	if c == classUnspecified {
		return plog.SeverityNumberUnspecified
	}
	return plog.SeverityNumber(4*int32(c) - 3)
}
