package incidentconnector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/paramedic-otel/paramedic/semconv"
)

func raised(at time.Time) plog.Logs {
	ld := plog.NewLogs()
	lr := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	lr.SetTimestamp(pcommon.NewTimestampFromTime(at))
	lr.SetEventName(string(semconv.EventAlertRaised))
	return ld
}

// TestAlert lets somebody raise an alert for a fault that is too weak to open an incident.
func TestAlert(t *testing.T) {
	weak := func(i int) []any {
		front, orders, stock := shop()
		stock.failed = stock.n / 10
		return []any{graph(at(i), front, orders, stock)}
	}
	for name, c := range map[string]struct {
		alert bool
		fault func(int) []any
		cause string
	}{
		"weak fault":           {false, weak, ""},
		"weak fault and alert": {true, weak, "stock"},
		"alert and nothing":    {true, calm, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(cfg *Config) { cfg.OpenSurprise = 100 })
			w.play(0, 60, calm)
			w.play(60, 64, c.fault)
			if c.alert {
				w.feed(raised(at(63)))
			}
			w.play(64, 66, c.fault)
			w.stop()
			events := w.events()
			if c.cause == "" {
				assert.Empty(t, events)
				return
			}
			require.NotEmpty(t, events)
			assert.Equal(t, semconv.EventIncidentOpened, events[0].Name)
			assert.Equal(t, c.cause, events[0].Incident.Cause().Entity.Name)
		})
	}
}

// TestAlertsAreBounded raises more alerts than wait.
func TestAlertsAreBounded(t *testing.T) {
	w := newWorld(t, nil)
	w.play(0, 2, calm)
	for range maxAlerts + 7 {
		w.feed(raised(at(4)))
	}
	e := w.metrics.(*metricsView).lease.Engine()
	assert.Len(t, e.alerts.times, maxAlerts)
	w.stop()
}

// TestWithoutParts leaves the calls of a failing service out of the ranking.
func TestWithoutParts(t *testing.T) {
	for part, named := range map[Part]bool{"": true, PartLogs: true, PartResources: true, PartExplainAway: true, PartTrafficWeights: true, PartGraph: false} {
		w := newWorld(t, func(cfg *Config) { cfg.Without = part })
		w.play(0, 60, calm)
		w.play(60, 70, stockFails)
		w.stop()
		found := false
		for _, e := range w.events() {
			found = found || e.Incident.Cause().Entity.Name == "stock"
		}
		assert.Equal(t, named, found, part)
	}
}
