package incidentconnector

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	// Time zones are known wherever the collector runs.
	_ "time/tzdata"

	"go.opentelemetry.io/collector/confmap"

	"github.com/paramedic-otel/paramedic/semconv"
)

// maxSilence is the longest duration of a recurring silence.
const maxSilence = 7 * 24 * time.Hour

// SilenceConfig keeps the incidents that it matches from being told of for a time: once, from a start to an end, or again
// and again, for a duration from a time of day on.
type SilenceConfig struct {
	// Name says in events and decisions which silence it was.
	Name string `mapstructure:"name"`
	// Matchers say what is silenced.
	Matchers MatchersConfig `mapstructure:"matchers"`
	// Start and End are RFC 3339 times; the end is excluded. For a recurring silence they are optional and bound it.
	Start string `mapstructure:"start"`
	End   string `mapstructure:"end"`
	// At is the time of day, as 15:04, at which a recurring silence begins, on Weekdays (mon to sun; none means every day),
	// and Duration how long it lasts, at most a week.
	At       string        `mapstructure:"at"`
	Weekdays []string      `mapstructure:"weekdays"`
	Duration time.Duration `mapstructure:"duration"`
	// TimeZone is the name in the IANA database of the time zone of At and Weekdays; empty means UTC.
	TimeZone string `mapstructure:"time_zone"`
}

// MatchersConfig matches what all of its conditions hold for. At least one must be given.
type MatchersConfig struct {
	// EntityTypes are the types of entities, and Entities patterns for their names, in which * stands for any text.
	EntityTypes []string `mapstructure:"entity_types"`
	Entities    []string `mapstructure:"entities"`
	// Resource maps resource attributes to patterns for their values.
	Resource map[string]string `mapstructure:"resource"`
	// Kinds are the kinds of trouble, and Severities the severities of incidents.
	Kinds      []string `mapstructure:"kinds"`
	Severities []string `mapstructure:"severities"`
}

var weekdayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// Unmarshal reads the silence. Times that YAML takes for such, because they are not quoted, are as good as text.
func (c *SilenceConfig) Unmarshal(conf *confmap.Conf) error {
	for _, name := range []string{"start", "end"} {
		if t, ok := conf.Get(name).(time.Time); ok {
			if err := conf.Merge(confmap.NewFromStringMap(map[string]any{name: t.Format(time.RFC3339Nano)})); err != nil {
				return err
			}
		}
	}
	return conf.Unmarshal(c)
}

func (c *SilenceConfig) start() time.Time { return parsedTime(c.Start) }
func (c *SilenceConfig) end() time.Time   { return parsedTime(c.End) }

func parsedTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

func (c *SilenceConfig) clock() (hour, minute int) {
	t, err := time.Parse("15:04", c.At)
	if err != nil {
		return 0, 0
	}
	return t.Hour(), t.Minute()
}

func (c *SilenceConfig) recursOn(day time.Weekday) bool {
	return len(c.Weekdays) == 0 || slices.Contains(c.Weekdays, weekdayNames[day])
}

// Validate reports everything that is wrong with the silence.
func (c *SilenceConfig) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Name == "" {
		fail("name must not be empty; events say which silence it was")
	}
	for _, moment := range []struct{ name, value string }{{"start", c.Start}, {"end", c.End}} {
		if _, err := time.Parse(time.RFC3339, moment.value); moment.value != "" && err != nil {
			fail("%s must be an RFC 3339 time, got %q", moment.name, moment.value)
		}
	}
	if start, end := c.start(), c.end(); !start.IsZero() && !end.IsZero() && !start.Before(end) {
		fail("end must be after start, got %s and %s", c.End, c.Start)
	}
	if c.At == "" {
		if c.Start == "" || c.End == "" {
			fail("start and end, or at and duration, must be set")
		}
		if len(c.Weekdays) > 0 || c.Duration != 0 || c.TimeZone != "" {
			fail("weekdays, duration and time_zone are for recurring silences; set at as well")
		}
	} else {
		if _, err := time.Parse("15:04", c.At); err != nil {
			fail("at must be a time of day such as 02:30, got %q", c.At)
		}
		if c.Duration < time.Minute || c.Duration > maxSilence {
			fail("duration must be between 1m and %s, got %s", maxSilence, c.Duration)
		}
	}
	for _, day := range c.Weekdays {
		if !slices.Contains(weekdayNames, day) {
			fail("weekdays must be among %s, got %q", strings.Join(weekdayNames, ", "), day)
		}
	}
	if _, err := time.LoadLocation(c.TimeZone); err != nil {
		fail("time_zone must be a name of the IANA database such as Europe/Berlin, got %q", c.TimeZone)
	}
	return errors.Join(errs...)
}

// Validate reports everything that is wrong with the matchers.
func (c *MatchersConfig) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.EntityTypes)+len(c.Entities)+len(c.Resource)+len(c.Kinds)+len(c.Severities) == 0 {
		fail(`at least one condition must be set; entities: ["*"] matches everything`)
	}
	for _, list := range []struct {
		name    string
		values  []string
		allowed []string
	}{
		{"entity_types", c.EntityTypes, []string{
			string(semconv.EntityService), string(semconv.EntityPod), string(semconv.EntityContainer), string(semconv.EntityDeployment),
			string(semconv.EntityStatefulSet), string(semconv.EntityDaemonSet), string(semconv.EntityNode), string(semconv.EntityHost),
			string(semconv.EntityDatabase), string(semconv.EntityMessaging), string(semconv.EntityExternal),
		}},
		{"kinds", c.Kinds, []string{
			string(semconv.CauseLatency), string(semconv.CauseErrors), string(semconv.CauseTraffic), string(semconv.CauseCPU),
			string(semconv.CauseMemory), string(semconv.CauseDisk), string(semconv.CauseNetwork), string(semconv.CauseCrash),
			string(semconv.CauseChange), string(semconv.CauseSaturation), string(semconv.CauseUnknown),
		}},
		{"severities", c.Severities, []string{string(semconv.SeverityCritical), string(semconv.SeverityMajor), string(semconv.SeverityMinor)}},
	} {
		for _, value := range list.values {
			if !slices.Contains(list.allowed, value) {
				fail("%s must be among %s, got %q", list.name, strings.Join(list.allowed, ", "), value)
			}
		}
	}
	for _, pattern := range c.Entities {
		if pattern == "" {
			fail("entities must not be empty patterns")
		}
	}
	return errors.Join(errs...)
}
