package executor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/exporter/remediationexporter"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Options say how an executor runs.
type Options struct {
	// Config is the exporter's configuration in YAML. It names its storage file_storage, and its leader elector
	// k8s_leader_elector, which is Elector.
	Config string
	// Storage is the folder of the file storage; empty is none.
	Storage string
	Elector *Elector
	Logger  *zap.Logger
}

// Executor is a running remediation exporter.
type Executor struct {
	exporter.Logs
	storage component.Component
}

// Elector stands in for the k8s_leader_elector extension: who leads is what the test says.
type Elector struct {
	component.StartFunc
	component.ShutdownFunc

	mu sync.Mutex
	// mu guards everything below.
	start func(context.Context)
	stop  func()
}

// SetCallBackFuncs is called by the exporter.
func (e *Elector) SetCallBackFuncs(onStartedLeading func(context.Context), onStoppedLeading func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.start, e.stop = onStartedLeading, onStoppedLeading
}

// Lead tells the exporter whether it leads.
func (e *Elector) Lead(leads bool) {
	e.mu.Lock()
	start, stop := e.start, e.stop
	e.mu.Unlock()
	if leads {
		start(context.Background())
	} else {
		stop()
	}
}

// The names under which a configuration speaks of its extensions.
var (
	storageID = component.MustNewID("file_storage")
	electorID = component.MustNewID("k8s_leader_elector")
)

type host struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (h host) GetExtensions() map[component.ID]component.Component { return h.extensions }

// ParseConfig reads a configuration of the exporter as the collector would.
func ParseConfig(text string) (*remediationexporter.Config, error) {
	retrieved, err := confmap.NewRetrievedFromYAML([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	conf, err := retrieved.AsConf()
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	cfg := remediationexporter.NewFactory().CreateDefaultConfig().(*remediationexporter.Config)
	if err := conf.Unmarshal(cfg); err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if err := xconfmap.Validate(cfg); err != nil {
		return nil, fmt.Errorf("validate configuration: %w", err)
	}
	return cfg, nil
}

// Start starts an executor. Whoever drops it without Stop leaves its storage as a crash would.
func Start(ctx context.Context, o Options) (*Executor, error) {
	cfg, err := ParseConfig(o.Config)
	if err != nil {
		return nil, err
	}
	surroundings := host{componenttest.NewNopHost(), map[component.ID]component.Component{}}
	e := &Executor{}
	if o.Storage != "" {
		if e.storage, err = openStorage(ctx, o.Storage); err != nil {
			return nil, err
		}
		surroundings.extensions[storageID] = e.storage
		cfg.Storage = &storageID
	}
	if o.Elector != nil {
		surroundings.extensions[electorID] = o.Elector
		cfg.LeaderElector = &electorID
	}
	factory := remediationexporter.NewFactory()
	set := exportertest.NewNopSettings(factory.Type())
	set.ID = component.NewID(factory.Type()) // the same after a restart
	if o.Logger != nil {
		set.Logger = o.Logger
	}
	if e.Logs, err = factory.CreateLogs(ctx, set, cfg); err != nil {
		return nil, errors.Join(err, e.closeStorage(ctx))
	}
	if err := e.Start(ctx, surroundings); err != nil {
		return nil, errors.Join(err, e.Shutdown(ctx), e.closeStorage(ctx))
	}
	return e, nil
}

func openStorage(ctx context.Context, dir string) (component.Component, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the storage: %w", err)
	}
	factory := filestorage.NewFactory()
	cfg := factory.CreateDefaultConfig().(*filestorage.Config)
	cfg.Directory = dir
	ext, err := factory.Create(ctx, extensiontest.NewNopSettings(factory.Type()), cfg)
	if err != nil {
		return nil, fmt.Errorf("make the storage: %w", err)
	}
	if err := ext.Start(ctx, componenttest.NewNopHost()); err != nil {
		return nil, fmt.Errorf("start the storage: %w", err)
	}
	return ext, nil
}

func (e *Executor) closeStorage(ctx context.Context) error {
	if e.storage == nil {
		return nil
	}
	return e.storage.Shutdown(ctx)
}

// Stop shuts the executor down in an orderly way.
func (e *Executor) Stop(ctx context.Context) error {
	return errors.Join(e.Shutdown(ctx), e.closeStorage(ctx))
}

// Tell hands incident events to the executor in one batch, as the incident connector does.
func (e *Executor) Tell(ctx context.Context, events ...semconv.IncidentEvent) error {
	return e.ConsumeLogs(ctx, Records(events...))
}

// Records are incident events as log records.
func Records(events ...semconv.IncidentEvent) plog.Logs {
	ld := plog.NewLogs()
	records := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for i := range events {
		events[i].Encode(records.AppendEmpty())
	}
	return ld
}
