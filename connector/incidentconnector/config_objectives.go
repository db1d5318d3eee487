package incidentconnector

import (
	"errors"
	"fmt"
	"time"

	"github.com/paramedic-otel/paramedic/internal/burnrate"
)

// anyClient is the client of an objective that counts the calls of all callers.
const anyClient = "*"

// ObjectiveConfig is an objective for the calls to services: a share of them that must succeed, or be answered within a
// time.
type ObjectiveConfig struct {
	// Name says in events which objective it is. It must be unique.
	Name string `mapstructure:"name"`
	// Services are patterns for the names of services, in which * stands for any text. Each service has a budget of its own.
	Services []string `mapstructure:"services"`
	// Client is the caller whose calls count: user is everybody outside the graph, * is everybody.
	Client string `mapstructure:"client"`
	// Target is the share of calls that must be good.
	Target float64 `mapstructure:"target"`
	// Latency is the time within which a call must be answered to be good; 0 means that it must not fail.
	Latency time.Duration `mapstructure:"latency"`
	// Window is the time for which the budget of calls that may be bad is meant.
	Window time.Duration `mapstructure:"window"`
	// Burns say when the budget burns so fast that it matters, the gravest first.
	Burns []BurnConfig `mapstructure:"burns"`
	// MinEvents is how many calls must have been bad in the long window of a burn.
	MinEvents int `mapstructure:"min_events"`
}

// BurnConfig is a rate at which a budget burns that matters when it is reached over both windows.
type BurnConfig struct {
	// Rate is how many times faster than even the budget burns.
	Rate float64 `mapstructure:"rate"`
	// Long and Short are the windows.
	Long  time.Duration `mapstructure:"long"`
	Short time.Duration `mapstructure:"short"`
}

// Defaults of an objective's settings, for a budget of 30 days those of the workbook: 2 % of it in an hour or 5 % in six.
const (
	defaultObjectiveWindow = 30 * 24 * time.Hour
	defaultMinEvents       = 10
	defaultObjectiveClient = "user"
)

func defaultBurns() []BurnConfig {
	return []BurnConfig{
		{Rate: 14.4, Long: time.Hour, Short: 5 * time.Minute},
		{Rate: 6, Long: 6 * time.Hour, Short: 30 * time.Minute},
	}
}

// withDefaults returns the objective with what was left out filled in.
func (c ObjectiveConfig) withDefaults() ObjectiveConfig {
	if c.Client == "" {
		c.Client = defaultObjectiveClient
	}
	if c.Window == 0 {
		c.Window = defaultObjectiveWindow
	}
	if c.MinEvents == 0 {
		c.MinEvents = defaultMinEvents
	}
	if len(c.Burns) == 0 {
		c.Burns = defaultBurns()
	}
	return c
}

// policies returns the burns as the tracker wants them.
func (c *ObjectiveConfig) policies() []burnrate.Policy {
	var out []burnrate.Policy
	for _, b := range c.Burns {
		out = append(out, burnrate.Policy{Long: b.Long, Short: b.Short, Burn: b.Rate, MinBad: float64(c.MinEvents)})
	}
	return out
}

// maxObjectiveLatency is the longest time that the latencies of the graph tell from longer ones.
const maxObjectiveLatency = 30 * time.Second

// maxBurns bounds the burns of an objective: each keeps two windows for each service.
const maxBurns = 4

// Validate reports everything that is wrong with the objective.
func (c *ObjectiveConfig) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	full := c.withDefaults()
	if c.Name == "" {
		fail("name must not be empty; events say which objective it is")
	}
	if len(c.Services) == 0 {
		fail(`services must not be empty; ["*"] means all`)
	}
	for _, pattern := range c.Services {
		if pattern == "" {
			fail("services must not be empty patterns")
		}
	}
	if !(c.Target > 0) || !(c.Target < 1) {
		fail("target must be greater than 0 and less than 1, got %v; 0.999 means 99.9 %%", c.Target)
	}
	if c.Latency < 0 || c.Latency > maxObjectiveLatency {
		fail("latency must be between 0s and %s, got %s", maxObjectiveLatency, c.Latency)
	}
	if full.Window < time.Hour || full.Window > 366*24*time.Hour {
		fail("window must be between 1h and 8784h, got %s", c.Window)
	}
	if full.MinEvents < 1 {
		fail("min_events must be at least 1, got %d", c.MinEvents)
	}
	if len(c.Burns) > maxBurns {
		fail("burns must be at most %d, got %d", maxBurns, len(c.Burns))
	}
	note := ""
	if len(c.Burns) == 0 {
		note = "; these are the burns by default, set others"
	}
	for i, b := range full.Burns {
		if !(b.Rate > 0) {
			fail("burns::%d: rate must be greater than 0, got %v", i, b.Rate)
		}
		if b.Short < time.Minute || b.Long <= b.Short || b.Long > full.Window {
			fail("burns::%d: short must be at least 1m, less than long, and long at most the window (%s), got %s and %s%s", i, full.Window, b.Short, b.Long, note)
		}
		if c.Target > 0 && c.Target < 1 && b.Rate*(1-c.Target) > 1+burnrate.Tolerance {
			fail("burns::%d: rate must be at most %.4g for a target of %v, got %v; no share of bad calls reaches it%s", i, 1/(1-c.Target), c.Target, b.Rate, note)
		}
	}
	return errors.Join(errs...)
}
