package incidentconnector

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatatest/plogtest"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/connector/connectortest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector/internal/metadata"
	"github.com/paramedic-otel/paramedic/semconv"
)

var update = flag.Bool("update", false, "write what comes out as what is expected")

// TestGolden runs the cases in the folders of testdata: each resource of in.yaml is a batch, and a connector with
// config.yaml makes out.yaml of them.
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
			cfg.Bucket = step
			require.NoError(t, conf.Unmarshal(cfg))
			require.NoError(t, cfg.Validate())
			in, err := golden.ReadMetrics(filepath.Join(dir, "in.yaml"))
			require.NoError(t, err)

			sink := new(consumertest.LogsSink)
			set := connectortest.NewNopSettings(metadata.Type)
			set.ID = component.NewID(metadata.Type)
			c, err := NewFactory().CreateMetricsToLogs(t.Context(), set, cfg, sink)
			require.NoError(t, err)
			require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
			for _, rm := range in.ResourceMetrics().All() {
				batch := pmetric.NewMetrics()
				rm.CopyTo(batch.ResourceMetrics().AppendEmpty())
				require.NoError(t, c.ConsumeMetrics(t.Context(), batch))
			}
			require.NoError(t, c.Shutdown(t.Context()))
			got := plog.NewLogs()
			records := got.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
			for _, ld := range sink.AllLogs() {
				ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().MoveAndAppendTo(records)
			}
			for _, lr := range records.All() {
				// How sure it is is a matter of calibration.
				lr.Attributes().Remove(semconv.AttrIncidentCauseConfidence)
				causes, _ := lr.Body().Map().Get("causes")
				for _, cause := range causes.Slice().All() {
					cause.Map().Remove("confidence")
				}
			}

			out := filepath.Join(dir, "out.yaml")
			if *update {
				require.NoError(t, golden.WriteLogsToFile(out, got))
			}
			want, err := golden.ReadLogs(out)
			require.NoError(t, err)
			require.NoError(t, plogtest.CompareLogs(want, got))
		})
	}
}
