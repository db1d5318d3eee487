package tracegraphconnector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/connector/tracegraphconnector/internal/metadata"
)

// TestInstanceOfTheCollector asserts that two instances, or two components of one, do not write the same cumulative series.
func TestInstanceOfTheCollector(t *testing.T) {
	own := pcommon.NewResource()
	own.Attributes().PutStr("service.name", "otelcol")
	own.Attributes().PutStr("service.instance.id", "one")
	nameless := pcommon.NewResource()
	nameless.Attributes().PutStr("service.instance.id", "")
	for name, tc := range map[string]struct {
		own       pcommon.Resource
		component string
		want      map[string]any
	}{
		"present":           {own, "", map[string]any{"service.instance.id": "one"}},
		"absent":            {pcommon.NewResource(), "", map[string]any{}},
		"empty":             {nameless, "", map[string]any{}},
		"none":              {pcommon.Resource{}, "", map[string]any{}},
		"several in one":    {own, "staging", map[string]any{"service.instance.id": "one/staging"}},
		"several in a none": {pcommon.Resource{}, "staging", map[string]any{"service.instance.id": "staging"}},
	} {
		t.Run(name, func(t *testing.T) {
			set := connectortest.NewNopSettings(metadata.Type)
			set.ID = component.NewIDWithName(metadata.Type, tc.component)
			set.Resource = tc.own
			sink := new(consumertest.MetricsSink)
			cfg := createDefaultConfig().(*Config)
			cfg.FlushInterval = 5 * time.Second
			c, err := NewFactory().CreateTracesToMetrics(t.Context(), set, cfg, sink)
			require.NoError(t, err)
			require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
			for _, td := range every(second, 10*second) {
				require.NoError(t, c.ConsumeTraces(t.Context(), td))
			}
			require.NoError(t, c.Shutdown(t.Context()))
			require.Len(t, sink.AllMetrics(), 2)
			for _, md := range sink.AllMetrics() {
				assert.Equal(t, tc.want, md.ResourceMetrics().At(0).Resource().Attributes().AsRaw())
			}
		})
	}
}
