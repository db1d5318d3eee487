package endtoend

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/internal/shop"
	"github.com/paramedic-otel/paramedic/semconv"
)

// direct adds a way for incident events past diagnosis, so that many of them can wait.
const direct = `
receivers:
  otlp/incidents:
    protocols:
      grpc:
        endpoint: ${env:PARAMEDIC_EXTRA_ENDPOINT}
exporters:
  remediation:
    storm: {max_incidents: 1000}
service:
  pipelines:
    logs/direct:
      receivers: [otlp/incidents]
      exporters: [remediation]
`

// TestKill kills the collector while its webhook is down. What waited must arrive after a restart, in its order and with the
// ids that the same events have in a run without any trouble.
func TestKill(t *testing.T) {
	t.Parallel()
	feed := func(c *collector) {
		s, sim := newSender(t, c.grpc), newShop(t, rate, shop.ScheduledFault{Offset: learn, Fault: shop.Fault{Kind: shop.ErrorBurst}})
		s.run(sim, learn+40*time.Second, nil)
		require.Eventually(t, func() bool { return len(c.incidents()) > 0 }, patience, 5*poll, "no incident")
		events := newSender(t, c.extra)
		for i := range 12 {
			events.sendLogs(incidentOpened(i))
		}
	}

	calm := newReceiver(t, "")
	c := start(t, setup{webhook: calm.url(), overlay: direct})
	feed(c)
	c.eventually(0, "otelcol_exporter_remediation_queued_events")
	want := calm.deliveries()
	require.GreaterOrEqual(t, len(want), 2+2*12, "openings and actions")
	c.stop()

	down := newReceiver(t, "")
	down.refuse(true)
	dir := t.TempDir()
	c = start(t, setup{dir: dir, webhook: down.url(), overlay: direct})
	feed(c)
	c.eventually(float64(len(want)), "otelcol_exporter_remediation_queued_events")
	require.Eventually(t, func() bool { return len(down.refusals()) > 0 }, patience, poll, "no attempt")
	assert.Equal(t, want[0].id, down.refusals()[0].id)
	down.server.Close()
	c.kill()
	require.Empty(t, down.deliveries())

	up := newReceiver(t, down.address())
	c = start(t, setup{dir: dir, webhook: up.url(), overlay: direct})
	c.eventually(0, "otelcol_exporter_remediation_queued_events")
	assert.Equal(t, ids(want), ids(up.deliveries()), "what arrives after the kill")
	assert.Zero(t, c.metric("otelcol_exporter_remediation_lost_events"))
	assert.Zero(t, c.metric("otelcol_exporter_remediation_storage_errors"))

	// An event that is told again is known.
	newSender(t, c.extra).sendLogs(incidentOpened(0))
	c.eventually(1, "otelcol_exporter_remediation_ignored_records", `reason="duplicate"`)
	c.stop()
	assert.Len(t, up.deliveries(), len(want))
}

func ids(deliveries []delivery) []string {
	var out []string
	for _, d := range deliveries {
		out = append(out, d.event.Type+" "+d.event.cause()+" "+d.id)
	}
	return out
}

// incidentOpened is the start of an incident of a service of its own.
func incidentOpened(i int) plog.Logs {
	ld := plog.NewLogs()
	semconv.IncidentEvent{
		Name: semconv.EventIncidentOpened, Time: begin,
		Incident: semconv.Incident{
			ID: fmt.Sprintf("0b6f3f4e-0000-4000-8000-%012d", i), Revision: 1, Status: semconv.StatusOpen, Severity: semconv.SeverityMajor,
			StartedAt: begin, DetectedAt: begin, Title: "errors",
			Causes: []semconv.Cause{{
				Entity: semconv.Entity{Type: semconv.EntityService, Name: fmt.Sprintf("shop/service-%d", i)},
				Kind:   semconv.CauseErrors, Confidence: 0.95, Share: 1,
			}},
		},
	}.Encode(ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty())
	return ld
}
