package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension"
)

// storageHost is a host with the file storage extension in a folder of its own.
type storageHost struct {
	id        component.ID
	extension extension.Extension
	dir       string
}

func newStorageHost(ctx context.Context) (*storageHost, error) {
	factory := filestorage.NewFactory()
	h := &storageHost{id: component.NewID(factory.Type())}
	var err error
	if h.dir, err = os.MkdirTemp("", "anomaly-state"); err != nil {
		return nil, err
	}
	cfg := factory.CreateDefaultConfig().(*filestorage.Config)
	cfg.Directory = h.dir
	h.extension, err = factory.Create(ctx, extension.Settings{ID: h.id, TelemetrySettings: componenttest.NewNopTelemetrySettings()}, cfg)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create file storage: %w", err), os.RemoveAll(h.dir))
	}
	if err := h.extension.Start(ctx, h); err != nil {
		return nil, errors.Join(fmt.Errorf("start file storage: %w", err), os.RemoveAll(h.dir))
	}
	return h, nil
}

// GetExtensions implements component.Host.
func (h *storageHost) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{h.id: h.extension}
}

func (h *storageHost) close(ctx context.Context) error {
	return errors.Join(h.extension.Shutdown(ctx), os.RemoveAll(h.dir))
}
