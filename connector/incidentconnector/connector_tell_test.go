package incidentconnector

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/paramedic-otel/paramedic/connector/incidentconnector/internal/metadatatest"
)

// TestSymptomsAreTold has the debug log tell of each symptom: that it was found, which incident it is in, and its end.
func TestSymptomsAreTold(t *testing.T) {
	tel := componenttest.NewTelemetry()
	set := metadatatest.NewSettings(tel)
	core, logs := observer.New(zapcore.DebugLevel)
	set.Logger = zap.New(core)
	factory := NewFactory()
	cfg := createDefaultConfig().(*Config)
	cfg.Bucket = step
	sink := new(consumertest.LogsSink)
	w := &world{t: t, tel: tel, sink: sink}
	var err error
	w.metrics, err = factory.CreateMetricsToLogs(context.Background(), set, cfg, sink)
	require.NoError(t, err)
	require.NoError(t, w.metrics.Start(context.Background(), componenttest.NewNopHost()))
	w.play(0, 240, calm)
	w.play(240, 270, stockFails)
	w.play(270, 281, calm)
	require.NoError(t, w.metrics.Shutdown(context.Background()))

	incident := w.one().ID
	told := map[string]int{}
	for _, e := range logs.All() {
		fields := e.ContextMap()
		if what, ok := fields["what"]; !ok || what == "" {
			continue
		}
		told[e.Message]++
		assert.Equal(t, "edge", fields["class"])
		assert.NotEmpty(t, fields["entity"])
		if e.Message == "symptom opened an incident" || e.Message == "symptom joined an open incident" {
			assert.Equal(t, incident, fields["incident_id"])
		}
	}
	assert.Positive(t, told["symptom found"])
	assert.Equal(t, told["symptom found"], told["symptom opened an incident"]+told["symptom joined an open incident"], "all belong to it")
	assert.Equal(t, told["symptom found"], told["symptom subsided"])
}
