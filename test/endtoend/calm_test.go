package endtoend

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCalmHour watches a shop without faults for a simulated hour. The shop is a process of its own, so that the race
// detector does not slow it down.
func TestCalmHour(t *testing.T) {
	t.Parallel()
	hooks := newReceiver(t, "")
	c := start(t, setup{webhook: hooks.url()})
	r := runTool(t, "shop", "--endpoint", c.grpc, "--speed", "max", "--start", begin.Format(time.RFC3339), "--duration", "1h", "--control", "")
	require.Zero(t, r.exit, r.stderr)
	c.running()

	// That nothing happened means something only if the hour was seen.
	assert.Greater(t, c.metric("otelcol_connector_tracegraph_received_spans"), 500_000.0)
	assert.Greater(t, c.metric("otelcol_processor_anomaly_scored_datapoints"), 100_000.0)
	assert.Zero(t, c.metric("otelcol_connector_incident_refused_items"))
	c.stop()
	assert.Empty(t, c.incidents(), list(c.incidents()))
	assert.Empty(t, hooks.deliveries())
	t.Logf("an hour in %s", r.took.Round(time.Millisecond))
}
