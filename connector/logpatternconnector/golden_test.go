package logpatternconnector

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/plogtest"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/pmetrictest"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

var update = flag.Bool("update", false, "write what comes out as what is expected")

// TestGolden runs the cases in the folders of testdata: each resource of in.yaml is a batch, and a connector with config.yaml
// makes logs.yaml and metrics.yaml of them.
func TestGolden(t *testing.T) {
	configs, err := filepath.Glob(filepath.Join("testdata", "*", "config.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, configs)
	for _, path := range configs {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			conf, err := confmaptest.LoadConf(path)
			require.NoError(t, err)
			in, err := golden.ReadLogs(filepath.Join(dir, "in.yaml"))
			require.NoError(t, err)
			w := newWorldOn(t, componenttest.NewNopHost(), func(c *Config) {
				require.NoError(t, conf.Unmarshal(c))
				require.NoError(t, c.Validate())
			})
			for _, rl := range in.ResourceLogs().All() {
				batch := plog.NewLogs()
				rl.CopyTo(batch.ResourceLogs().AppendEmpty())
				w.consumeLogs(batch)
			}
			w.stop()
			logs, metrics := plog.NewLogs(), pmetric.NewMetrics()
			for _, ld := range w.logSink.AllLogs() {
				for _, rl := range ld.ResourceLogs().All() {
					rl.CopyTo(logs.ResourceLogs().AppendEmpty())
				}
			}
			for _, md := range w.metricsSink.AllMetrics() {
				md.ResourceMetrics().MoveAndAppendTo(metrics.ResourceMetrics())
			}
			logsFile, metricsFile := filepath.Join(dir, "logs.yaml"), filepath.Join(dir, "metrics.yaml")
			if *update {
				require.NoError(t, golden.WriteLogsToFile(logsFile, logs))
				require.NoError(t, golden.WriteMetricsToFile(metricsFile, metrics, golden.SkipMetricTimestampNormalization()))
			}
			wantLogs, err := golden.ReadLogs(logsFile)
			require.NoError(t, err)
			require.NoError(t, plogtest.CompareLogs(wantLogs, logs, plogtest.IgnoreObservedTimestamp()))
			wantMetrics, err := golden.ReadMetrics(metricsFile)
			require.NoError(t, err)
			require.NoError(t, pmetrictest.CompareMetrics(wantMetrics, metrics,
				// The file is sorted by its writer.
				pmetrictest.IgnoreResourceMetricsOrder(), pmetrictest.IgnoreMetricDataPointsOrder(), pmetrictest.IgnoreMetricsOrder()))
		})
	}
}
