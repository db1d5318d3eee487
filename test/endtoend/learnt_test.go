package endtoend

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// kept makes the anomaly processor keep what it learns, every second.
const kept = `
extensions:
  file_storage/anomaly:
    directory: ${env:PARAMEDIC_STATE_DIR}/anomaly
    create_directory: true
processors:
  anomaly:
    storage: file_storage/anomaly
    state:
      interval: 1s
service:
  extensions: [health_check, file_storage, file_storage/anomaly]
`

// TestLearntSurvivesKill kills the collector after it has learnt. The next one must judge the first points that it gets: no
// warm-up, and what is odd to its predecessor is odd to it.
func TestLearntSurvivesKill(t *testing.T) {
	t.Parallel()
	const series, learnt = 50, 200
	dir := t.TempDir()
	c := start(t, setup{dir: dir, overlay: kept})
	s := newSender(t, c.grpc)
	for i := range learnt {
		s.sendMetrics(gauges(i, series, 0))
	}
	require.Zero(t, c.metric("otelcol_processor_anomaly_opened_episodes"), "calm")
	// What has not changed is not written again: when nothing is written for some intervals, all that was learnt is.
	const shards = "otelcol_processor_anomaly_written_shards"
	require.Eventually(t, func() bool { return c.metric(shards) > 0 }, patience, 5*poll, "nothing is written")
	for written, since := 0.0, time.Now(); time.Since(since) < 4*time.Second; time.Sleep(5 * poll) {
		if now := c.metric(shards); now != written {
			written, since = now, time.Now()
		}
	}
	c.kill()

	c = start(t, setup{dir: dir, overlay: kept})
	assert.EqualValues(t, series, c.metric("otelcol_processor_anomaly_restored_series"))
	assert.Zero(t, c.metric("otelcol_processor_anomaly_rejected_shards"))
	s = newSender(t, c.grpc)
	s.sendMetrics(gauges(learnt, series, 0))
	assert.Zero(t, c.metric("otelcol_processor_anomaly_opened_episodes"), "what was calm is calm")
	s.sendMetrics(gauges(learnt+1, series, 1))
	s.sendMetrics(gauges(learnt+2, series, 1))
	assert.EqualValues(t, series, c.metric("otelcol_processor_anomaly_opened_episodes"), "judged at once")
	c.stop()

	fresh := start(t, setup{overlay: kept})
	s = newSender(t, fresh.grpc)
	for i := range 3 {
		s.sendMetrics(gauges(learnt+i, series, float64(min(i, 1))))
	}
	assert.Zero(t, fresh.metric("otelcol_processor_anomaly_opened_episodes"), "who has learnt nothing judges nothing")
	fresh.stop()
}

// gauges are the points number i of some series that go up and down a little, offset by step.
func gauges(i, series int, step float64) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "learnt")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("app.load")
	points := m.SetEmptyGauge().DataPoints()
	for n := range series {
		p := points.AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(begin.Add(time.Duration(i) * 10 * time.Second)))
		p.Attributes().PutStr("part", fmt.Sprint(n))
		p.SetDoubleValue(0.5 + step + 0.01*float64((i*7+n*3)%5))
	}
	return md
}
