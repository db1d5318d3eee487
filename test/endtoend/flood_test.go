package endtoend

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestMillionSeries sends ten times as many series as the anomaly processor's default limit.
func TestMillionSeries(t *testing.T) {
	t.Parallel()
	const series, perRequest = 1_000_000, 10_000
	p := newPatient(t)
	const held, limit = "otelcol_processor_anomaly_held_series", "otelcol_processor_anomaly_limit_series"
	room := p.metric(limit) - p.metric(held)
	for from := 0; from < series; from += perRequest {
		md, points := gauge(fmt.Sprintf("flood-%d", from/perRequest), "water.level")
		points.EnsureCapacity(perRequest)
		for i := range perRequest {
			point(points, p.sim.Now(), float64(i)).Attributes().PutInt("drop", int64(from+i))
		}
		p.send.sendMetrics(md)
		if from%(series/10) == 0 {
			p.running()
		}
	}
	assert.Equal(t, series-room, p.metric(refusedPoints, `reason="limit"`))
	assert.Equal(t, p.metric(limit), p.metric(held))
	assertResident(t, p.collector)
	p.survives(t)
}
