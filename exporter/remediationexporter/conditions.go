package remediationexporter

import (
	"context"
	"fmt"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottldatapoint"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/contexts/ottllog"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/ottl/ottlfuncs"
	"go.opentelemetry.io/collector/component"
)

type (
	condition      = ottl.Condition[*ottllog.TransformContext]
	pointCondition = ottl.Condition[*ottldatapoint.TransformContext]
)

// parseConditions takes paths with and without their context: log.attributes["x"] and attributes["x"].
func parseConditions(texts []string, set component.TelemetrySettings) ([]*condition, error) {
	functions := ottlfuncs.StandardConverters[*ottllog.TransformContext]()
	return parseEither(texts, func(options ...ottl.Option[*ottllog.TransformContext]) (ottl.Parser[*ottllog.TransformContext], error) {
		return ottllog.NewParser(functions, set, options...)
	}, ottllog.EnablePathContextNames())
}

// parsePointConditions does the same for conditions on data points.
func parsePointConditions(texts []string, set component.TelemetrySettings) ([]*pointCondition, error) {
	functions := ottlfuncs.StandardConverters[*ottldatapoint.TransformContext]()
	return parseEither(texts, func(options ...ottl.Option[*ottldatapoint.TransformContext]) (ottl.Parser[*ottldatapoint.TransformContext], error) {
		return ottldatapoint.NewParser(functions, set, options...)
	}, ottldatapoint.EnablePathContextNames())
}

func parseEither[K any](texts []string, parser func(...ottl.Option[K]) (ottl.Parser[K], error), contextNames ottl.Option[K]) ([]*ottl.Condition[K], error) {
	bare, err := parser()
	if err != nil {
		return nil, fmt.Errorf("make a parser: %w", err)
	}
	conditions, err := bare.ParseConditions(texts)
	if err == nil {
		return conditions, nil
	}
	named, namedErr := parser(contextNames)
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
func hold[K any](ctx context.Context, conditions []*ottl.Condition[K], tctx K) (bool, error) {
	for _, c := range conditions {
		if ok, err := c.Eval(ctx, tctx); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}
