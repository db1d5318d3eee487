package main

import (
	"context"
	"errors"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/isolationforestprocessor"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
)

// forestPoints is what contrib's processor sees before it is measured: its training starts at 1,000 points, and it costs
// more with every further one.
const forestPoints = 2000

// costOfForest measures contrib's isolation forest processor with its default configuration. It is given metrics of one
// point, because it scores no other.
func costOfForest(ctx context.Context) (c *costed, err error) {
	const steps = 100
	factory := isolationforestprocessor.NewFactory()
	p, err := factory.CreateMetrics(ctx, processor.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings()},
		factory.CreateDefaultConfig(), consumertest.NewNop())
	if err != nil {
		return nil, err
	}
	if err := p.Start(ctx, componenttest.NewNopHost()); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Shutdown(ctx)) }()

	c = &costed{points: 1}
	f := newFiller(streamInterval)
	one := func(i int) pmetric.Metrics {
		md := pmetric.NewMetrics()
		m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName("application.measurement_0")
		x := m.SetEmptyGauge().DataPoints().AppendEmpty()
		x.SetTimestamp(pcommon.NewTimestampFromTime(monday.Add(time.Duration(i) * streamInterval)))
		x.SetDoubleValue(f.values[i])
		return md
	}
	for i := range forestPoints {
		if err := p.ConsumeMetrics(ctx, one(i)); err != nil {
			return nil, err
		}
	}
	var input [steps]pmetric.Metrics
	for i := range input {
		input[i] = one(forestPoints + i)
	}
	before := mallocs()
	for _, md := range input {
		if err := c.step(func() error { return p.ConsumeMetrics(ctx, md) }); err != nil {
			return nil, err
		}
	}
	c.allocs = float64(mallocs()-before) / steps
	return c, nil
}
