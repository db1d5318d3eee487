package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
)

// visitor is shown the streams of a source, and what of it is damaged.
type visitor struct {
	stream  func(*anomalystate.Header, *anomalystate.Stream) error
	damaged func(error)
}

// read shows the streams of a portable file, or of a directory of the file_storage extension.
func read(ctx context.Context, path string, processor component.ID, v visitor) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := anomalystate.ReadFile(f, v.stream, v.damaged); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	}
	return withStore(ctx, path, processor, 0, func(s *anomalystate.Store) error {
		return s.Load(ctx, func(shard int, data []byte) error {
			var stop error
			_, err := anomalystate.DecodeShard(data, func(h *anomalystate.Header, s *anomalystate.Stream) error {
				stop = v.stream(h, s)
				return stop
			})
			if stop == nil && err != nil {
				v.damaged(fmt.Errorf("shard %d: %w", shard, err))
			}
			return stop
		})
	})
}

// lockWait is how long to wait for a storage that somebody else has open.
const lockWait = time.Second

// withStore opens the storage of a processor in a directory of the file_storage extension. Without shards it must exist.
func withStore(ctx context.Context, dir string, processor component.ID, shards int, use func(*anomalystate.Store) error) error {
	return withClient(ctx, dir, processor, shards > 0, func(client storage.Client) error {
		store, err := anomalystate.OpenStore(ctx, client, shards)
		if store == nil {
			return err
		}
		if err != nil && shards == 0 {
			return fmt.Errorf("%s: %w", dir, err)
		}
		return use(store)
	})
}

// withClient opens the storage of a processor, which must exist unless it is to be made.
func withClient(ctx context.Context, dir string, processor component.ID, create bool, use func(storage.Client) error) (err error) {
	// As the extension names its files.
	name := strings.Join([]string{"processor", processor.Type().String(), processor.Name(), anomalystate.StorageName}, "_")
	if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) && !create {
		return fmt.Errorf("%s holds nothing of processor %s: there is no file %s; name the processor by -processor", dir, processor, name)
	}
	factory := filestorage.NewFactory()
	cfg := factory.CreateDefaultConfig().(*filestorage.Config)
	cfg.Directory, cfg.Timeout = dir, lockWait
	set := extension.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	ext, err := factory.Create(ctx, set, cfg)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	client, err := ext.(storage.Extension).GetClient(ctx, component.KindProcessor, processor, anomalystate.StorageName)
	if err != nil {
		return fmt.Errorf("open %s: %w; the collector must not run", filepath.Join(dir, name), err)
	}
	defer func() { err = errors.Join(err, client.Close(ctx)) }()
	return use(client)
}
