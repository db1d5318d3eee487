package anomalyprocessor

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/entitydetector"
)

// Entities says how the signals of one entity are judged together.
type Entities struct {
	// By are the resource attributes that identify an entity. The last one must be there; others may be missing.
	By []string `mapstructure:"by"`
	// Interval is the time between two looks at an entity, in event time; 0 takes the usual interval of its series.
	Interval time.Duration `mapstructure:"interval"`
	// MaxEntities bounds the entities held in memory.
	MaxEntities int `mapstructure:"max_entities"`
	// MaxSignals bounds the signals of an entity.
	MaxSignals int `mapstructure:"max_signals"`
	// WarmUp is the number of looks at an entity before it is judged.
	WarmUp int `mapstructure:"warm_up"`
	// Memory is the time for which an autoencoder learns what an entity looked like again and again.
	Memory time.Duration `mapstructure:"memory"`
	// TopSignals is how many signals a score names that contributed most; 0 names none.
	TopSignals int `mapstructure:"top_signals"`
	// Seed is the source of all randomness.
	Seed uint64 `mapstructure:"seed"`
	// Remote is the model that a detector of type remote asks.
	Remote configoptional.Optional[RemoteModel] `mapstructure:"remote"`
	// Detectors judge each entity. A fusion hears those that stand before it.
	Detectors []EntityDetector `mapstructure:"detectors"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// EntityDetector is a detector of all signals of an entity.
type EntityDetector struct {
	Type entitydetector.Type `mapstructure:"type"`
	// Shadow has it send anomaly.shadow.score, on which nothing acts.
	Shadow bool `mapstructure:"shadow"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// defaultEntities are the settings of a block that is written.
func defaultEntities() Entities {
	return Entities{
		By: []string{"service.namespace", "service.name"}, MaxEntities: 256, MaxSignals: 32, WarmUp: 128, Memory: 24 * time.Hour, TopSignals: 3, Seed: 1, Remote: defaultRemote(),
	}
}

// defaultDetectors are those of a block that names none: what the fusion hears of the autoencoder is worth more than the
// autoencoder's own alarms (benchmark/multivariate).
var defaultDetectors = []EntityDetector{{Type: entitydetector.Autoencoder, Shadow: true}, {Type: entitydetector.Fusion}}

// detectors returns those that are configured, or the default.
func (e *Entities) detectors() []EntityDetector {
	if len(e.Detectors) == 0 {
		return defaultDetectors
	}
	return e.Detectors
}

// Validate implements xconfmap.Validator.
func (e *Entities) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(e.By) == 0 || len(e.By) > 8 {
		fail("by must name 1 to 8 resource attributes, got %d", len(e.By))
	}
	if e.Interval != 0 && (e.Interval < time.Second || e.Interval > time.Hour) {
		fail("interval must be 0 or between 1s and 1h, got %s", e.Interval)
	}
	if e.MaxEntities < 1 || e.MaxEntities > 100_000 {
		fail("max_entities must be between 1 and 100000, got %d; it bounds memory", e.MaxEntities)
	}
	if e.MaxSignals < 2 || e.MaxSignals > 128 {
		fail("max_signals must be between 2 and 128, got %d; it bounds memory and time", e.MaxSignals)
	}
	if e.WarmUp < 32 || e.WarmUp > 100_000 {
		fail("warm_up must be between 32 and 100000, got %d; fewer looks say nothing about an entity", e.WarmUp)
	}
	if e.Memory < time.Minute || e.Memory > 30*24*time.Hour {
		fail("memory must be between 1m and 720h, got %s", e.Memory)
	}
	if e.TopSignals < 0 || e.TopSignals > 16 {
		fail("top_signals must be between 0 and 16, got %d", e.TopSignals)
	}
	seen := map[entitydetector.Type]bool{}
	for i, d := range e.Detectors {
		if d.Type == "" {
			fail("detectors::%d: type must be set, to one of %v", i, entitydetector.Types)
		}
		if seen[d.Type] {
			fail("detectors::%d: type must not stand twice, got %q", i, d.Type)
		}
		seen[d.Type] = true
	}
	if seen[entitydetector.Remote] != e.Remote.HasValue() {
		fail("remote and a detector of type remote must stand together; one needs the other")
	}
	return errors.Join(errs...)
}
