package incidentstoreextension

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/extension/incidentstoreextension/internal/approvallink"
	"github.com/paramedic-otel/paramedic/extension/incidentstoreextension/internal/election"
	"github.com/paramedic-otel/paramedic/extension/incidentstoreextension/internal/metadata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/standardwebhooks"
)

// incidentStore opens the database, and offers it to components and to people.
type incidentStore struct {
	cfg       *Config
	set       component.TelemetrySettings
	logger    *zap.Logger
	telemetry *telemetry
	signer    *approvallink.Signer
	elector   *election.Elector
	store     *incidentstore.Store
	server    *server
	// stop ends what runs in the background.
	stop    context.CancelFunc
	running sync.WaitGroup
	// address is where the API listens, for tests.
	address string
}

var _ incidentstore.Provider = (*incidentStore)(nil)

func newIncidentStore(set extension.Settings, cfg *Config) (*incidentStore, error) {
	e := &incidentStore{cfg: cfg, set: set.TelemetrySettings, logger: set.Logger}
	builder, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, fmt.Errorf("create telemetry: %w", err)
	}
	e.telemetry = newTelemetry(builder, set.Logger, secretsOf(cfg))
	var keys [][]byte
	for i, s := range cfg.Links.Secrets {
		key, err := standardwebhooks.ParseKey(string(s))
		if err != nil {
			return nil, fmt.Errorf("links::secrets::%d: %w", i, err)
		}
		keys = append(keys, key.Bytes())
	}
	if len(keys) > 0 {
		e.signer = approvallink.NewSigner(keys...)
	}
	c := &cfg.LeaderElection
	e.elector = election.New(ballot{e}, election.Settings{
		Election: c.Name, Candidate: candidate(c.Identity), Lease: c.Lease, RenewDeadline: c.RenewDeadline, Retry: c.RetryPeriod,
	}, electionObserver{e.telemetry})
	return e, nil
}

// candidate is a name that no other replica has, unless it is given.
func candidate(identity string) string {
	if identity != "" {
		return identity
	}
	host, _ := os.Hostname() // it is for people: the rest is what makes it unlike others
	return host + "-" + uuid.NewString()
}

// Start opens the database, waiting for it a while, and serves it.
func (e *incidentStore) Start(ctx context.Context, host component.Host) error {
	if err := e.open(ctx); err != nil {
		return err
	}
	err := e.telemetry.observe(
		func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(map[bool]int64{true: 1}[e.elector.Leads()])
			return nil
		},
		func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(e.server.streams())
			return nil
		})
	if err != nil {
		return errors.Join(err, e.Shutdown(ctx))
	}
	e.elector.Start()
	var background context.Context
	background, e.stop = context.WithCancel(context.Background())
	e.running.Go(func() { e.keepBounds(background) })
	if !e.cfg.API.HasValue() {
		return nil
	}
	if e.server, err = startServer(ctx, host, e); err != nil {
		return errors.Join(err, e.Shutdown(ctx))
	}
	return nil
}

// openPause is the time between two attempts to open the database.
const openPause = 500 * time.Millisecond

func (e *incidentStore) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Database.OpenTimeout)
	defer cancel()
	settings := e.cfg.settings()
	settings.Counted = e.telemetry.lost
	if settings.Driver == incidentstore.SQLite && settings.Path != inMemory {
		if err := os.MkdirAll(filepath.Dir(settings.Path), 0o700); err != nil {
			return fmt.Errorf("database::path: %w", err)
		}
	}
	for attempt := 0; ; attempt++ {
		store, err := incidentstore.Open(ctx, settings)
		if err == nil {
			e.store = store
			return nil
		}
		if attempt == 0 && errors.Is(err, incidentstore.ErrUnavailable) {
			e.logger.Warn("the database does not answer yet", zap.String("error", e.telemetry.scrub(err)))
		}
		timer := time.NewTimer(openPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil || !errors.Is(err, incidentstore.ErrUnavailable) {
			return errors.New(e.telemetry.scrub(err))
		}
	}
}

// Shutdown lets requests under way end, gives leadership back, and closes the database.
func (e *incidentStore) Shutdown(ctx context.Context) error {
	var errs []error
	if e.server != nil {
		errs = append(errs, e.server.stop(ctx))
		e.server = nil
	}
	if err := e.elector.Shutdown(ctx); err != nil {
		// The lease ends by itself; a database that is away is no reason to fail.
		e.logger.Warn("leadership could not be given back", zap.String("error", e.telemetry.scrub(err)))
	}
	if e.stop != nil {
		e.stop()
		e.running.Wait()
	}
	e.telemetry.shutdown()
	if e.store != nil {
		errs = append(errs, e.store.Close())
		e.store = nil
	}
	return errors.Join(errs...)
}

// Dependencies are started before: who authenticates callers.
func (e *incidentStore) Dependencies() []component.ID {
	if !e.cfg.API.HasValue() || !e.cfg.API.Get().Auth.HasValue() {
		return nil
	}
	return []component.ID{e.cfg.API.Get().Auth.Get().AuthenticatorID}
}

// Memory implements [incidentstore.Provider]. It is nil before Start.
func (e *incidentStore) Memory() incidentstore.Memory {
	if e.store == nil {
		return nil
	}
	return e.store
}

// Links implements [incidentstore.Provider].
func (e *incidentStore) Links() incidentstore.Links { return links{e.cfg.Links, e.signer} }

// SetCallBackFuncs makes this a leader elector, as the k8s_leader_elector extension is one.
func (e *incidentStore) SetCallBackFuncs(onStartedLeading func(context.Context), onStoppedLeading func()) {
	e.elector.SetCallBackFuncs(onStartedLeading, onStoppedLeading)
}

// ballot is the store once it is open.
type ballot struct{ e *incidentStore }

func (b ballot) Lead(ctx context.Context, name, candidate string, lease time.Duration) (string, int64, error) {
	return b.e.store.Lead(ctx, name, candidate, lease)
}

func (b ballot) Resign(ctx context.Context, name, candidate string) error {
	return b.e.store.Resign(ctx, name, candidate)
}
