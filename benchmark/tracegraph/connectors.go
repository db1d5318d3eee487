package main

import (
	"context"

	"github.com/open-telemetry/opentelemetry-collector-contrib/connector/servicegraphconnector"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumertest"

	"github.com/paramedic-otel/paramedic/connector/tracegraphconnector"
)

// contestant is a connector with a configuration.
type contestant struct {
	name    string
	factory connector.Factory
	change  func(component.Config)
}

// ourStore is the default of our max_pending.
var ourStore = tracegraphconnector.NewFactory().CreateDefaultConfig().(*tracegraphconnector.Config).MaxPending

var (
	tracegraph = contestant{name: "tracegraph", factory: tracegraphconnector.NewFactory(), change: func(component.Config) {}}
	lean       = contestant{
		name: "tracegraph without operations and exemplars", factory: tracegraphconnector.NewFactory(),
		change: func(c component.Config) {
			cfg := c.(*tracegraphconnector.Config)
			cfg.Operations.Enabled, cfg.MaxExemplars = false, 0
		},
	}
	servicegraph = contestant{
		name: "servicegraph", factory: servicegraphconnector.NewFactory(), change: func(component.Config) {},
	}
	servicegraphLarge = contestant{
		name: "servicegraph, store as large as ours", factory: servicegraphconnector.NewFactory(),
		change: func(c component.Config) { c.(*servicegraphconnector.Config).Store.MaxItems = ourStore },
	}
)

// start returns a running connector that sends to next, or nowhere.
func (c contestant) start(ctx context.Context, next consumer.Metrics) (connector.Traces, error) {
	if next == nil {
		next = consumertest.NewNop()
	}
	cfg := c.factory.CreateDefaultConfig()
	c.change(cfg)
	out, err := c.factory.CreateTracesToMetrics(ctx, connectortest.NewNopSettings(c.factory.Type()), cfg, next)
	if err != nil {
		return nil, err
	}
	return out, out.Start(ctx, componenttest.NewNopHost())
}
