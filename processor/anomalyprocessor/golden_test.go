package anomalyprocessor

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/pmetrictest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap/confmaptest"

	"github.com/paramedic-otel/paramedic/semconv"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestGolden(t *testing.T) {
	folders, err := os.ReadDir(filepath.Join("testdata", "golden"))
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	for _, folder := range folders {
		t.Run(folder.Name(), func(t *testing.T) {
			path := filepath.Join("testdata", "golden", folder.Name())
			conf, err := confmaptest.LoadConf(filepath.Join(path, "config.yaml"))
			require.NoError(t, err)
			h := newHarness(t, func(c *Config) { require.NoError(t, conf.Unmarshal(c)) })
			in, err := golden.ReadMetrics(filepath.Join(path, "in.yaml"))
			require.NoError(t, err)
			require.NoError(t, h.processor.ConsumeMetrics(t.Context(), in))
			out := filepath.Join(path, "out.yaml")
			if *update {
				require.NoError(t, golden.WriteMetricsToFile(out, h.sink.AllMetrics()[0], golden.SkipMetricTimestampNormalization()))
			}
			// Writing sorts the points, so what is compared is written and read too. Other tests see to the order.
			written := filepath.Join(t.TempDir(), "out.yaml")
			require.NoError(t, golden.WriteMetricsToFile(written, h.sink.AllMetrics()[0], golden.SkipMetricTimestampNormalization()))
			got, err := golden.ReadMetrics(written)
			require.NoError(t, err)
			want, err := golden.ReadMetrics(out)
			require.NoError(t, err)
			// The last digits differ between processors.
			assert.NoError(t, pmetrictest.CompareMetrics(want, got, pmetrictest.IgnoreMetricFloatPrecision(6, semconv.MetricAnomalyScore, semconv.MetricAnomalyDeviation,
				semconv.MetricAnomalyExpected, semconv.MetricAnomalyLower, semconv.MetricAnomalyUpper,
				semconv.MetricAnomalyContribution, semconv.MetricAnomalyExplanation, semconv.MetricAnomalyShadowScore), pmetrictest.IgnoreScopeVersion()))
		})
	}
}
