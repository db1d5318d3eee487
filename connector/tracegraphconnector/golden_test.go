package tracegraphconnector

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/pmetrictest"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/connector/tracegraphconnector/internal/metadata"
)

var update = flag.Bool("update", false, "write what comes out as what is expected")

// TestGolden runs the cases in the folders of testdata: in.yaml through a connector with config.yaml gives out.yaml.
func TestGolden(t *testing.T) {
	configs, err := filepath.Glob(filepath.Join("testdata", "*", "config.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, configs)
	for _, path := range configs {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			conf, err := confmaptest.LoadConf(path)
			require.NoError(t, err)
			cfg := createDefaultConfig().(*Config)
			require.NoError(t, conf.Unmarshal(cfg))
			require.NoError(t, cfg.Validate())
			in, err := golden.ReadTraces(filepath.Join(dir, "in.yaml"))
			require.NoError(t, err)

			sink := new(consumertest.MetricsSink)
			set := connectortest.NewNopSettings(metadata.Type)
			set.ID = component.NewID(metadata.Type)
			c, err := NewFactory().CreateTracesToMetrics(t.Context(), set, cfg, sink)
			require.NoError(t, err)
			require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
			require.NoError(t, c.ConsumeTraces(t.Context(), in))
			require.NoError(t, c.Shutdown(t.Context()))
			got := pmetric.NewMetrics()
			for _, md := range sink.AllMetrics() {
				md.ResourceMetrics().MoveAndAppendTo(got.ResourceMetrics())
			}

			out := filepath.Join(dir, "out.yaml")
			if *update {
				require.NoError(t, golden.WriteMetricsToFile(out, got, golden.SkipMetricTimestampNormalization()))
			}
			want, err := golden.ReadMetrics(out)
			require.NoError(t, err)
			require.NoError(t, pmetrictest.CompareMetrics(want, got,
				// The file is sorted by its writer; TestSortedOutput looks at the order.
				pmetrictest.IgnoreMetricDataPointsOrder()))
		})
	}
}
