package anomalyprocessor

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/openinference"
	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/entitydetector"
	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/metadata"
)

// remoteModel asks the model server for all entities.
type remoteModel struct {
	cfg    *RemoteModel
	shared *entitydetector.RemoteModel
	logger *zap.Logger
	set    component.TelemetrySettings
	client *http.Client
	scorer *openinference.Scorer
	cancel context.CancelFunc
	done   chan struct{}
}

func newRemoteModel(cfg *RemoteModel, logger *zap.Logger, telemetry *metadata.TelemetryBuilder) *remoteModel {
	results := []string{entitydetector.RemoteAnswered, entitydetector.RemoteLate, entitydetector.RemotePending}
	for _, r := range openinference.Reasons() {
		results = append(results, string(r))
	}
	slices.Sort(results)
	options := make(map[string][]metric.AddOption, len(results))
	for _, r := range results {
		options[r] = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("result", r)))}
	}
	return &remoteModel{cfg: cfg, logger: logger, shared: &entitydetector.RemoteModel{Count: func(result string) {
		telemetry.ProcessorAnomalyRemoteVectors.Add(context.Background(), 1, options[result]...)
	}}}
}

func (m *remoteModel) start(ctx context.Context, host component.Host) error {
	client, err := m.cfg.ToClient(ctx, host.GetExtensions(), m.set)
	if err != nil {
		return fmt.Errorf("make client of remote model: %w", err)
	}
	m.client = client
	protocol, err := openinference.NewClient(client, m.cfg.client())
	if err != nil {
		return fmt.Errorf("make client of remote model: %w", err)
	}
	m.scorer = openinference.NewScorer(protocol, openinference.ScorerConfig{
		Timeout: m.cfg.Timeout, MaxBatch: m.cfg.MaxBatch, MaxInFlight: m.cfg.MaxInFlight, MaxQueued: m.cfg.MaxQueued,
		BreakerFailures: m.cfg.Breaker.Failures, BreakerPause: m.cfg.Breaker.Pause,
		OnBreaker: func(state string) {
			m.logger.Info("breaker of remote model changed", zap.String("state", state))
		},
	})
	m.shared.Use(m.scorer)
	check, cancel := context.WithTimeout(context.Background(), m.cfg.Timeout)
	m.cancel, m.done = cancel, make(chan struct{})
	go func() {
		defer close(m.done)
		defer cancel()
		// A server that is not there yet is no reason not to start.
		if err := protocol.Check(check); err != nil && openinference.ReasonOf(err) != openinference.ReasonStopped {
			m.logger.Warn("remote model may not be fit for use", zap.String("reason", string(openinference.ReasonOf(err))), zap.Error(err))
		}
	}()
	return nil
}

func (m *remoteModel) shutdown() {
	if m.scorer == nil {
		return
	}
	m.cancel()
	<-m.done
	m.scorer.Close()
	m.client.CloseIdleConnections()
}
