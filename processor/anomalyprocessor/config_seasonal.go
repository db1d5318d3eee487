package anomalyprocessor

import (
	"errors"
	"fmt"

	"github.com/paramedic-otel/paramedic/internal/stlesd"
)

// Seasonal judges some series by a seasonal decomposition of a window (STL) and a test for outliers (generalised ESD).
type Seasonal struct {
	// Metrics are regular expressions; metrics whose whole name matches one are judged.
	Metrics []string `mapstructure:"metrics"`
	// MaxSeries bounds the series that are judged.
	MaxSeries int `mapstructure:"max_series"`
	// Window is the number of points that are decomposed.
	Window int `mapstructure:"window"`
	// Period is the number of points of a cycle; 0 has it found.
	Period int `mapstructure:"period"`
	// Every is the number of points after which the window is decomposed anew.
	Every int `mapstructure:"every"`
	// Shadow has it send anomaly.shadow.score, on which nothing acts.
	Shadow bool `mapstructure:"shadow"`

	// prevent unkeyed literal initialization
	_ struct{}
}

func defaultSeasonal() Seasonal {
	p := stlesd.DefaultParams()
	return Seasonal{MaxSeries: 100, Window: p.Window, Period: p.Period, Every: p.Every}
}

func (s *Seasonal) params() stlesd.Params {
	p := stlesd.DefaultParams()
	p.Window, p.Period, p.Every = s.Window, s.Period, s.Every
	return p
}

// Validate implements xconfmap.Validator.
func (s *Seasonal) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(s.Metrics) == 0 {
		fail("metrics must not be empty; each series costs as much as many others")
	}
	patterns(fail, "metrics", s.Metrics)
	if s.MaxSeries < 1 || s.MaxSeries > 100_000 {
		fail("max_series must be between 1 and 100000, got %d; it bounds memory and time", s.MaxSeries)
	}
	p := s.params()
	return errors.Join(append(errs, p.Validate())...)
}
