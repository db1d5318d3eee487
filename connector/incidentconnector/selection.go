package incidentconnector

import (
	"context"
	"errors"
	"fmt"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottldatapoint"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/ottlfuncs"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"
)

// SignalsConfig says by conditions in OTTL, in the context of the points of anomaly.score, which series matter more or not at
// all. A condition that cannot be evaluated does not hold.
type SignalsConfig struct {
	// OpenConditions select the series that may open an incident whatever they are of; any one must hold.
	OpenConditions []string `mapstructure:"open_conditions"`
	// IgnoreConditions select the series that are not read; any one must hold. They win.
	IgnoreConditions []string `mapstructure:"ignore_conditions"`
}

// Validate reports the conditions that cannot be parsed.
func (c *SignalsConfig) Validate() error {
	_, err := newSelection(c, component.TelemetrySettings{Logger: zap.NewNop()})
	return err
}

type pointCondition = ottl.Condition[*ottldatapoint.TransformContext]

// selection are the conditions ready to be asked.
type selection struct {
	open, ignore []*pointCondition
}

func newSelection(cfg *SignalsConfig, set component.TelemetrySettings) (*selection, error) {
	s := &selection{}
	var errs []error
	parse := func(name string, texts []string) (out []*pointCondition) {
		for _, text := range texts {
			c, err := parseCondition(text, set)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s must be OTTL conditions on data points, got %q: %w", name, text, err))
				continue
			}
			out = append(out, c)
		}
		return out
	}
	s.open = parse("open_conditions", cfg.OpenConditions)
	s.ignore = parse("ignore_conditions", cfg.IgnoreConditions)
	return s, errors.Join(errs...)
}

// parseCondition takes paths with and without their context: datapoint.attributes["x"] and attributes["x"].
func parseCondition(text string, set component.TelemetrySettings) (*pointCondition, error) {
	functions := ottlfuncs.StandardConverters[*ottldatapoint.TransformContext]()
	bare, err := ottldatapoint.NewParser(functions, set)
	if err != nil {
		return nil, fmt.Errorf("make a parser: %w", err)
	}
	c, err := bare.ParseCondition(text)
	if err == nil {
		return c, nil
	}
	named, namedErr := ottldatapoint.NewParser(functions, set, ottldatapoint.EnablePathContextNames())
	if namedErr != nil {
		return nil, fmt.Errorf("make a parser: %w", namedErr)
	}
	if c, namedErr = named.ParseCondition(text); namedErr == nil {
		return c, nil
	}
	return nil, err
}

// opens reports whether the configuration lets a series open incidents, ignores whether it leaves it out.
func (s *selection) opens(rm pmetric.ResourceMetrics, sm pmetric.ScopeMetrics, m pmetric.Metric, p pmetric.NumberDataPoint) bool {
	return anyHolds(s.open, rm, sm, m, p)
}

func (s *selection) ignores(rm pmetric.ResourceMetrics, sm pmetric.ScopeMetrics, m pmetric.Metric, p pmetric.NumberDataPoint) bool {
	return anyHolds(s.ignore, rm, sm, m, p)
}

func anyHolds(conditions []*pointCondition, rm pmetric.ResourceMetrics, sm pmetric.ScopeMetrics, m pmetric.Metric, p pmetric.NumberDataPoint) bool {
	if len(conditions) == 0 {
		return false
	}
	tctx := ottldatapoint.NewTransformContextPtr(rm, sm, m, p)
	defer tctx.Close()
	for _, c := range conditions {
		if holds, err := c.Eval(context.Background(), tctx); err == nil && holds {
			return true
		}
	}
	return false
}
