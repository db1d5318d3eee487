package logpatternconnector

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
)

const (
	// storageName is what the connector's client is called within its storage extension, stateKey where the state is.
	storageName = "state"
	stateKey    = "patterns"
	// storeTimeout is how long the storage may take at shutdown.
	storeTimeout = 10 * time.Second
)

// failure is what was wrong with the state or its storage.
type failure string

const (
	failureCorrupt  failure = "corrupt"
	failureVersion  failure = "version"
	failureStale    failure = "stale"
	failureTooLarge failure = "too_large"
	failureStorage  failure = "storage"
)

// keeper keeps the state of an engine in a storage extension: one value, written at an interval and at shutdown.
type keeper struct {
	client storage.Client
	stop   context.CancelFunc
	wait   sync.WaitGroup
	// failing is set while the state cannot be stored, and size is that of the last one. Only one goroutine at a time uses them.
	failing bool
	size    int
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
	data, err := client.Get(ctx, stateKey)
	if err != nil {
		return errors.Join(fmt.Errorf("read from storage %s: %w", e.cfg.Storage, err), client.Close(ctx))
	}
	if len(data) > 0 {
		e.mu.Lock()
		err = e.restore(data, time.Now())
		e.mu.Unlock()
		if err != nil {
			why := failureCorrupt
			switch {
			case errors.Is(err, errVersion):
				why = failureVersion
			case errors.Is(err, errStale):
				why = failureStale
			}
			e.fail(ctx, why)
			e.logger.Warn("stored log patterns cannot be used, all is learnt anew", zap.Error(err))
		}
	}
	k := &keeper{client: client}
	background, stop := context.WithCancel(context.Background())
	k.stop = stop
	e.keeper = k
	k.wait.Go(func() {
		ticker := time.NewTicker(e.cfg.State.Interval)
		defer ticker.Stop()
		for {
			select {
			case <-background.Done():
				return
			case now := <-ticker.C:
				e.store(background, k, now)
			}
		}
	})
	return nil
}

// stopState stores what was learnt and closes the storage.
func (e *engine) stopState(ctx context.Context) error {
	k := e.keeper
	if k == nil {
		return nil
	}
	e.keeper = nil
	k.stop()
	k.wait.Wait()
	within, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	e.store(within, k, time.Now())
	if err := k.client.Close(ctx); err != nil {
		return fmt.Errorf("close storage %s: %w", e.cfg.Storage, err)
	}
	return nil
}

// store writes the state.
func (e *engine) store(ctx context.Context, k *keeper, now time.Time) {
	e.mu.Lock()
	state := e.appendState(make([]byte, 0, k.size+k.size/8), now)
	e.mu.Unlock()
	k.size = len(state)
	var err error
	why := failureStorage
	if len(state) > e.cfg.State.MaxBytes {
		why = failureTooLarge
		err = fmt.Errorf("it has %d bytes, state::max_bytes are %d", len(state), e.cfg.State.MaxBytes)
	} else if err = k.client.Set(ctx, stateKey, state); err == nil {
		e.tel.builder.ConnectorLogpatternStoredBytes.Record(ctx, int64(len(state)))
	}
	if err != nil {
		e.fail(ctx, why)
		if !k.failing {
			e.logger.Warn("log patterns cannot be stored, a restart would lose what was learnt since", zap.Error(err))
		}
	} else if k.failing {
		e.logger.Info("log patterns are stored again")
	}
	k.failing = err != nil
}

func (e *engine) fail(ctx context.Context, why failure) {
	e.tel.builder.ConnectorLogpatternStateFailures.Add(ctx, 1, e.tel.failures[why]...)
}
