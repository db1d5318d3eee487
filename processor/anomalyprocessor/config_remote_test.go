package anomalyprocessor

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/paramedic-otel/paramedic/internal/openinference"
)

func TestConfigRemote(t *testing.T) {
	cfg, err := load(t, "anomaly/remote")
	require.NoError(t, err)
	require.NoError(t, xconfmap.Validate(cfg))
	remote := defaultRemote()
	want := *remote.GetOrInsertDefault()
	want.Endpoint, want.Timeout, want.TLS.InsecureSkipVerify = "https://models:8000", 500*time.Millisecond, true
	want.Model, want.Version, want.Input, want.Output, want.Datatype = "entity", "3", "vectors", "scores", openinference.FP64
	want.MaxBatch, want.MaxInFlight, want.MaxQueued, want.MaxRequestBytes, want.MaxResponseBytes = 8, 1, 10, 1000, 2000
	want.Breaker = Breaker{Failures: 3, Pause: 5 * time.Second}
	assert.Equal(t, &want, cfg.Entities.Get().Remote.Get())
}

func TestConfigRemoteWrong(t *testing.T) {
	for id, want := range map[string][]string{
		"anomaly/remote_wrong": {
			`remote: endpoint must be an http or https URL, got "models:8000"`,
			"timeout must be greater than 0 and at most 1m, got 0s",
			"max_batch must be between 1 and 4096, got 0",
			"max_in_flight must be between 1 and 64, got 65",
			"max_queued must be between 1 and 100000, got 0",
			"breaker::failures must be between 1 and 1000, got 0",
			"breaker::pause must be at least 1s, got 1ms",
			"entities: remote and a detector of type remote must stand together; one needs the other",
		},
		"anomaly/remote_missing": {"entities: remote and a detector of type remote must stand together; one needs the other"},
	} {
		cfg, err := load(t, id)
		require.NoError(t, err)
		err = xconfmap.Validate(cfg)
		require.Error(t, err)
		assert.ElementsMatch(t, want, strings.Split(err.Error(), "\n"))
	}
}
