package incidentstoreextension

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"

	"github.com/paramedic-otel/paramedic/extension/incidentstoreextension/internal/metadata"
)

// NewFactory returns the factory of the incident store.
func NewFactory() extension.Factory {
	return extension.NewFactory(metadata.Type, createDefaultConfig, create, metadata.ExtensionStability)
}

func create(_ context.Context, set extension.Settings, cfg component.Config) (extension.Extension, error) {
	return newIncidentStore(set, cfg.(*Config))
}
