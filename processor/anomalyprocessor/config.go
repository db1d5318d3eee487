package anomalyprocessor

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
	_ "time/tzdata" // an image from scratch has no zones

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/paramedic-otel/paramedic/internal/baseline"
)

// Config is the configuration of the anomaly processor.
type Config struct {
	// Include and Exclude select metrics by name: regular expressions that must match the whole name. Without Include
	// all metrics are selected; Exclude wins.
	Include []string `mapstructure:"include"`
	Exclude []string `mapstructure:"exclude"`

	// Quantiles are what is scored of histograms, besides rate and mean. Each takes the memory of a series.
	Quantiles []float64 `mapstructure:"quantiles"`

	// MaxSeries bounds the series held in memory. A histogram has two, and one for each of Quantiles.
	MaxSeries int `mapstructure:"max_series"`
	// EvictAfter is the time without a new point after which a series makes room for a new one when MaxSeries is reached;
	// 0 refuses all new series then.
	EvictAfter time.Duration `mapstructure:"evict_after"`
	// SeriesTTL is the time without a new point after which a series is forgotten.
	SeriesTTL time.Duration `mapstructure:"series_ttl"`
	// MaxBuckets bounds the buckets of a histogram point and the quantiles of a summary point.
	MaxBuckets int `mapstructure:"max_buckets"`
	// MaxClockSkew is how far ahead of our clock a point may be.
	MaxClockSkew time.Duration `mapstructure:"max_clock_skew"`

	// MinScore is the score from which on a series is abnormal and its score is sent.
	MinScore float64 `mapstructure:"min_score"`
	// Sensitivity is the number of false alarms to expect of a calm series in a week.
	Sensitivity float64 `mapstructure:"sensitivity"`
	// WarmUp is what must have been seen of a series before it is judged.
	WarmUp WarmUp `mapstructure:"warm_up"`
	// Memory is the time constant with which old values are forgotten.
	Memory time.Duration `mapstructure:"memory"`
	// LevelShiftAfter is the time after which a change that stays becomes normal.
	LevelShiftAfter time.Duration `mapstructure:"level_shift_after"`
	// Cooldown is the time after an episode in which a new one needs a hundred times stronger evidence.
	Cooldown time.Duration `mapstructure:"cooldown"`
	// Habituation is the half-life of the memory for past episodes; 0 switches it off.
	Habituation time.Duration `mapstructure:"habituation"`

	// TimeZone is the IANA name of the zone in which the days and weeks of the profiles begin.
	TimeZone string `mapstructure:"time_zone"`

	// EmitDeviation adds anomaly.deviation to every score sent.
	EmitDeviation bool `mapstructure:"emit_deviation"`
	// EmitContributions adds anomaly.contribution for each statistic to every score sent.
	EmitContributions bool `mapstructure:"emit_contributions"`
	// EmitBand adds anomaly.expected, anomaly.lower and anomaly.upper to every score sent.
	EmitBand bool `mapstructure:"emit_band"`

	// Missing says when a series that has stopped is missing.
	Missing Missing `mapstructure:"missing"`
	// Explain selects series of which every point is explained.
	Explain Explain `mapstructure:"explain"`
	// Shadow is a second configuration that is compared with this one.
	Shadow configoptional.Optional[Shadow] `mapstructure:"shadow"`

	// Entities judge all signals of an entity together.
	Entities configoptional.Optional[Entities] `mapstructure:"entities"`
	// Seasonal is a second detector for some series, with a season.
	Seasonal configoptional.Optional[Seasonal] `mapstructure:"stl_esd"`

	// Ratios are signals made of two metrics.
	Ratios []Ratio `mapstructure:"ratios"`

	// Storage is the storage extension in which what was learnt is kept; nil keeps it in memory only.
	Storage *component.ID `mapstructure:"storage"`
	// State says how.
	State StateConfig `mapstructure:"state"`
	// Workload says which new series inherit what others have learnt.
	Workload WorkloadConfig `mapstructure:"workload"`

	// Policies say which deviations matter. The first one that matches decides what it sets; the rest comes from the
	// built-in defaults.
	Policies []Policy `mapstructure:"policies"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// WarmUp is what must have been seen of a series, both, before it is judged.
type WarmUp struct {
	Points   int           `mapstructure:"points"`
	Duration time.Duration `mapstructure:"duration"`

	// prevent unkeyed literal initialization
	_ struct{}
}

func createDefaultConfig() component.Config {
	return &Config{
		Quantiles:       []float64{0.5, 0.9, 0.99},
		MaxSeries:       100_000,
		EvictAfter:      5 * time.Minute,
		SeriesTTL:       time.Hour,
		MaxBuckets:      1024,
		MaxClockSkew:    10 * time.Minute,
		MinScore:        0.95,
		Sensitivity:     0.1,
		WarmUp:          WarmUp{Points: 20, Duration: 5 * time.Minute},
		Memory:          30 * time.Minute,
		LevelShiftAfter: time.Hour,
		Cooldown:        5 * time.Minute,
		Habituation:     2 * time.Hour,
		TimeZone:        "UTC",
		Missing:         Missing{After: 5 * time.Minute, MaxSeries: 1000},
		Explain:         Explain{MaxSeries: 100},
		Shadow:          configoptional.Default(Shadow{}),
		Entities:        configoptional.Default(defaultEntities()),
		Seasonal:        configoptional.Default(defaultSeasonal()),
		EmitDeviation:   true,
		State:           defaultState(),
		Workload:        defaultWorkload(),
	}
}

// maxClockSkew is a year: a time that far ahead still fits into 64 bits.
const maxClockSkew = 8760 * time.Hour

// maxQuantiles bounds the series that a histogram has.
const maxQuantiles = 16

// Validate implements xconfmap.Validator.
func (c *Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	patterns(fail, "include", c.Include)
	patterns(fail, "exclude", c.Exclude)
	if c.MaxSeries < 1 || c.MaxSeries > 100_000_000 {
		fail("max_series must be between 1 and 100000000, got %d; it bounds memory", c.MaxSeries)
	}
	if len(c.Quantiles) > maxQuantiles {
		fail("quantiles must be at most %d, got %d; each takes the memory of a series", maxQuantiles, len(c.Quantiles))
	}
	for i, q := range c.Quantiles {
		if !(q > 0 && q < 1) {
			fail("quantiles::%d must be greater than 0 and less than 1, got %v", i, q)
		}
		if slices.Contains(c.Quantiles[:i], q) {
			fail("quantiles::%d must not stand twice, got %v", i, q)
		}
	}
	if c.EvictAfter != 0 && c.EvictAfter < time.Second {
		fail("evict_after must be at least 1s, or 0 to switch eviction off, got %s", c.EvictAfter)
	}
	if c.SeriesTTL < time.Minute {
		fail("series_ttl must be at least 1m, got %s", c.SeriesTTL)
	}
	if c.MaxBuckets < 1 || c.MaxBuckets > 65_536 {
		fail("max_buckets must be between 1 and 65536, got %d; it bounds memory", c.MaxBuckets)
	}
	if c.MaxClockSkew < 0 || c.MaxClockSkew > maxClockSkew {
		fail("max_clock_skew must be between 0 and 8760h, got %s", c.MaxClockSkew)
	}
	if !(c.MinScore > 0 && c.MinScore < 1) {
		fail("min_score must be greater than 0 and less than 1, got %v", c.MinScore)
	}
	detector(c, fail)
	ratios(c.Ratios, fail)
	return errors.Join(errs...)
}

// detector checks what configures the default detector.
func detector(c *Config, fail func(string, ...any)) {
	if !(c.Sensitivity > 0 && c.Sensitivity <= 1000) {
		fail("sensitivity must be greater than 0 and at most 1000, got %v; it is the false alarms a calm series and week", c.Sensitivity)
	}
	if c.Memory < time.Minute {
		fail("memory must be at least 1m, got %s", c.Memory)
	}
	if c.LevelShiftAfter < time.Minute {
		fail("level_shift_after must be at least 1m, got %s; a shorter time would learn faults as normal", c.LevelShiftAfter)
	}
	if c.Cooldown < 0 {
		fail("cooldown must not be negative, got %s", c.Cooldown)
	}
	if c.Habituation < 0 {
		fail("habituation must not be negative, got %s; 0 switches it off", c.Habituation)
	}
	if _, err := zone(c.TimeZone); err != nil {
		fail("time_zone must be the IANA name of a time zone, such as Europe/Berlin, got %q", c.TimeZone)
	}
}

// Validate implements xconfmap.Validator.
func (w *WarmUp) Validate() error {
	var errs []error
	if w.Points < 8 || w.Points > 1_000_000 {
		errs = append(errs, fmt.Errorf("points must be between 8 and 1000000, got %d; fewer say nothing about a series", w.Points))
	}
	if w.Duration < 0 {
		errs = append(errs, fmt.Errorf("duration must not be negative, got %s", w.Duration))
	}
	return errors.Join(errs...)
}

func patterns(fail func(string, ...any), field string, list []string) {
	for i, p := range list {
		if _, err := compile(p); err != nil {
			fail("%s::%d: must be a regular expression: %w", field, i, err)
		}
	}
}

// compile makes an expression that must match a whole name.
func compile(pattern string) (*regexp.Regexp, error) {
	// By itself first: one that closes our group would be another expression, and the error names what was written.
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, err
	}
	return regexp.Compile("^(?:" + pattern + ")$")
}

func (c *Config) params() baseline.Params {
	// The name was validated.
	location, _ := zone(c.TimeZone)
	return baseline.Params{
		WarmUpPoints:    c.WarmUp.Points,
		WarmUpSpan:      c.WarmUp.Duration,
		Memory:          c.Memory,
		LevelShiftAfter: c.LevelShiftAfter,
		Cooldown:        c.Cooldown,
		Habituation:     c.Habituation,
		AnomaliesPerDay: anomaliesPerDay(c.Sensitivity, c.MinScore),
		MinScore:        c.MinScore,
		Zone:            location,
	}
}

// zone returns the zone of a name, nil for UTC, which costs nothing. What is only known on this machine is no zone.
func zone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("no zone has the name %q", name)
	}
	location, err := time.LoadLocation(name)
	if location == time.UTC {
		return nil, err
	}
	return location, err
}
