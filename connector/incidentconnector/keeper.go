package incidentconnector

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zeebo/xxh3"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// storageName is what the connector's client is called within its storage extension.
	storageName = "state"
	// lifeKey is where what goes on is stored, resetKey where the last value of state.reset is.
	lifeKey  = "life"
	resetKey = "reset"
)

// keeper keeps the state of an engine in a storage extension. What goes on is stored as one value, at every event of an
// incident before anybody is told of it, and what was learnt in shards, at every interval.
type keeper struct {
	e      *engine
	client storage.Client
	store  *anomalystate.Store
	// settings is the fingerprint of the settings that give what was learnt its meaning.
	settings uint64

	stop context.CancelFunc
	wait sync.WaitGroup
	// nudged is when what goes on has changed, opened when an incident was opened since the last snapshot.
	nudged chan struct{}
	opened atomic.Bool

	// Only one goroutine at a time uses what follows.
	record, shard, lifeBytes []byte
	// sizes are those of the stored shards and, last, of what goes on.
	sizes [shards + 1]int64
	// listed is how many things of each kind there were.
	listed [kinds]int
	// failing is set while the storage fails.
	failing bool
	// total is the size of all, for the gauge.
	total atomic.Int64
}

// startState goes on with what was stored.
func (e *engine) startState(ctx context.Context, host component.Host) error {
	if e.cfg.Storage == nil {
		return nil
	}
	extension, ok := host.GetExtensions()[*e.cfg.Storage]
	if !ok {
		return fmt.Errorf("storage: extension %s is not configured", e.cfg.Storage)
	}
	from, ok := extension.(storage.Extension)
	if !ok {
		return fmt.Errorf("storage: extension %s is a %T and not a storage extension", e.cfg.Storage, extension)
	}
	client, err := from.GetClient(ctx, component.KindConnector, e.id, storageName)
	if err != nil {
		return fmt.Errorf("open storage %s: %w", e.cfg.Storage, err)
	}
	k := &keeper{e: e, client: client, nudged: make(chan struct{}, 1), settings: e.fingerprint()}
	if err := k.restore(ctx, time.Now()); err != nil {
		return errors.Join(fmt.Errorf("read from storage %s: %w", e.cfg.Storage, err), client.Close(ctx))
	}
	if err := e.telemetry.builder.RegisterConnectorIncidentStoredBytesCallback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(k.total.Load())
		return nil
	}); err != nil {
		return errors.Join(fmt.Errorf("register stored bytes: %w", err), client.Close(ctx))
	}
	e.keeper = k
	background, stop := context.WithCancel(context.Background())
	k.stop = stop
	k.wait.Go(func() { k.run(background) })
	return nil
}

// stopState stores what has changed, within the time that there is, and closes the storage.
func (e *engine) stopState(ctx context.Context) error {
	k := e.keeper
	if k == nil {
		return nil
	}
	k.stop()
	k.wait.Wait()
	within, cancel := context.WithTimeout(ctx, e.cfg.State.ShutdownTimeout)
	defer cancel()
	if err := k.snapshot(within, true); err != nil {
		e.logger.Warn("not all of the state could be stored; what changed last is learnt anew", zap.Error(err))
	}
	if err := k.client.Close(ctx); err != nil {
		return fmt.Errorf("close storage %s: %w", e.cfg.Storage, err)
	}
	return nil
}

// fingerprint tells settings apart with which numbers of buckets mean something else.
func (e *engine) fingerprint() uint64 {
	return xxh3.Hash(binarystate.AppendUint64(nil, uint64(e.cfg.Bucket))) //nolint:gosec // the same bits
}

// nudge has the keeper store what goes on, and then hand over events.
func (k *keeper) nudge(events []semconv.IncidentEvent) {
	for _, event := range events {
		if event.Name == semconv.EventIncidentOpened {
			k.opened.Store(true)
		}
	}
	select {
	case k.nudged <- struct{}{}:
	default:
	}
}

// Why something that is stored could not be used.
var (
	errModel    = errors.New("other model version")
	errSettings = errors.New("learnt with another bucket")
	errStale    = errors.New("older than max_age")
)

func (t *instruments) causeOf(err error) []metric.AddOption {
	switch {
	case errors.Is(err, anomalystate.ErrForeign):
		return t.foreign
	case errors.Is(err, errModel):
		return t.model
	case errors.Is(err, errSettings):
		return t.settings
	case errors.Is(err, errStale):
		return t.stale
	case isNoRoom(err):
		return t.noRoom
	default:
		return t.corrupt
	}
}
