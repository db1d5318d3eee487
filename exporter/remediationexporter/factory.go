package remediationexporter

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/exporter"

	"github.com/paramedic-otel/paramedic/exporter/remediationexporter/internal/metadata"
)

// NewFactory returns the factory of the remediation exporter.
func NewFactory() exporter.Factory {
	return exporter.NewFactory(metadata.Type, createDefaultConfig, exporter.WithLogs(createLogs, metadata.LogsStability))
}

func createLogs(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Logs, error) {
	return newRemediationExporter(ctx, set, cfg.(*Config))
}
