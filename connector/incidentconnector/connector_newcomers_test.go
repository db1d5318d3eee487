package incidentconnector

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/semconv"
)

// TestServiceOfTheFirstBatch has a service describe itself once, in the very first batch, when no time is known yet: what it
// said must still be known when it fails, after the services that have gone were looked for.
func TestServiceOfTheFirstBatch(t *testing.T) {
	w := newWorld(t, nil)
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr(semconv.AttrServiceName, "stock")
	rm.Resource().Attributes().PutStr(semconv.AttrK8sDeploymentName, "stock-deployment")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("process.uptime")
	m.SetEmptyGauge().DataPoints().AppendEmpty().SetTimestamp(pcommon.NewTimestampFromTime(at(0)))
	w.feed(md)
	w.play(0, 240, calm)
	w.play(240, 260, stockFails)
	assert.Equal(t, "stock-deployment", w.one().Cause().Resource[semconv.AttrK8sDeploymentName])
	w.stop()
}
