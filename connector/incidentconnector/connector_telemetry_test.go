package incidentconnector

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector/internal/metadatatest"
)

func points(key string, values map[string]int64) (out []metricdata.DataPoint[int64]) {
	for name, v := range values {
		out = append(out, metricdata.DataPoint[int64]{Value: v, Attributes: attribute.NewSet(attribute.String(key, name))})
	}
	return out
}

// TestTelemetry reads every instrument after a life of which each number can be told.
func TestTelemetry(t *testing.T) {
	next := &refusing{}
	w := newWorldTo(t, func(c *Config) { c.UpdateInterval = time.Hour; c.Limits.Outbox = 2 }, next)
	w.play(0, 240, calm)
	w.play(240, 270, stockFails)
	w.play(270, 320, calm)
	require.Len(t, decode(t, next.AllLogs()), 2)
	w.feed(
		cpu(319, 319, "orders", 0.999, 20, 0.2),
		logs(at(319).Add(time.Hour), record{service: "orders", body: "x", span: 1}),
		graph(at(3), call{client: "orders", server: "stock", n: 1}),
		graph(at(319), call{server: "stock", n: 1}),
	)
	w.metrics.(*metricsView).lease.Engine().idle(t.Context(), time.Now())

	same := metricdatatest.IgnoreTimestamp()
	metadatatest.AssertEqualConnectorIncidentReceivedItems(t, w.tel,
		points("signal", map[string]int64{"metrics": 320*11 + 3 + 2 + 2, "logs": 1}), same)
	metadatatest.AssertEqualConnectorIncidentRefusedItems(t, w.tel,
		points("reason", map[string]int64{"skewed": 1, "late": 2, "invalid": 2}), same)
	metadatatest.AssertEqualConnectorIncidentEmittedEvents(t, w.tel,
		points("status", map[string]int64{"opened": 1, "resolved": 1}), same)
	metadatatest.AssertEqualConnectorIncidentHeldItems(t, w.tel, points("held", map[string]int64{
		"edges": 3, "services": 1, "relations": 1, "resources": 3, "changes": 0, "objects": 0, "log_contexts": 1, "signals": 1, "series": 0, "symptoms": 0, "incidents": 0, "outbox": 0, "budgets": 0,
	}), same)
	metadatatest.AssertEqualConnectorIncidentEvaluationDuration(t, w.tel,
		[]metricdata.HistogramDataPoint[float64]{{}}, same, metricdatatest.IgnoreValue())

	next.refuse(errors.New("busy"))
	w.play(320, 350, stockFails)
	w.play(350, 400, calm)
	w.play(400, 430, stockFails)
	next.refuse(nil)
	w.stop()
	assert.Positive(t, w.count("dropped_events", ""))
	metadatatest.AssertEqualConnectorIncidentDroppedEvents(t, w.tel,
		[]metricdata.DataPoint[int64]{{Value: w.count("dropped_events", "")}}, same)
}
