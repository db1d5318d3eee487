package remediationexporter

import (
	"context"
	"fmt"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottllog"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/ottlfuncs"
	"go.opentelemetry.io/collector/component"
)

type condition = ottl.Condition[*ottllog.TransformContext]

// parseConditions takes paths with and without their context: log.attributes["x"] and attributes["x"].
func parseConditions(texts []string, set component.TelemetrySettings) ([]*condition, error) {
	functions := ottlfuncs.StandardConverters[*ottllog.TransformContext]()
	bare, err := ottllog.NewParser(functions, set)
	if err != nil {
		return nil, fmt.Errorf("make a parser: %w", err)
	}
	conditions, err := bare.ParseConditions(texts)
	if err == nil {
		return conditions, nil
	}
	named, namedErr := ottllog.NewParser(functions, set, ottllog.EnablePathContextNames())
	if namedErr != nil {
		return nil, fmt.Errorf("make a parser: %w", namedErr)
	}
	if conditions, namedErr = named.ParseConditions(texts); namedErr == nil {
		return conditions, nil
	}
	return nil, err
}

// hold reports whether all conditions hold. Unlike a condition sequence of OTTL it does not pass over one that cannot
// be evaluated: what is not known to be true does not act.
func hold(ctx context.Context, conditions []*condition, tctx *ottllog.TransformContext) (bool, error) {
	for _, c := range conditions {
		if ok, err := c.Eval(ctx, tctx); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}
