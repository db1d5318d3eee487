package anomalyprocessor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
)

var (
	errSettings = errors.New("other settings")
	errNoRoom   = errors.New("no room")
)

// restoreEntities reads the entities that are stored. One that cannot be used is forgotten and counted.
func (k *keeper) restoreEntities(ctx context.Context, now time.Time) error {
	w := k.p.entities
	if w == nil {
		return nil
	}
	restored := 0
	var broken error
	for _, key := range k.blobs.Keys() {
		data, err := k.blobs.Load(ctx, key)
		if err != nil && !errors.Is(err, anomalystate.ErrCorrupt) && !errors.Is(err, anomalystate.ErrForeign) {
			return fmt.Errorf("read entity: %w", err)
		}
		if err == nil && data == nil {
			continue // removed, but not yet from the index
		}
		if err == nil {
			err = w.restore(data)
		}
		k.total.Add(int64(k.blobs.Size(key)))
		if err != nil {
			broken = err
			k.p.telemetry.ProcessorAnomalyRejectedShards.Add(ctx, 1, k.causes[causeOf(err)]...)
			continue
		}
		restored++
	}
	for _, e := range w.byKey {
		// As with streams, nobody has been idle while nobody listened.
		e.arrived = now.UnixNano() - 1
	}
	k.p.telemetry.ProcessorAnomalyRestoredEntities.Add(ctx, int64(restored))
	if broken != nil {
		k.p.logger.Warn("stored entities could not be used and will be learnt anew", zap.Error(broken))
	}
	return nil
}

// saveEntities writes the entities that have changed, one at a time under the lock, and removes those that are gone: all,
// when entities are judged no longer.
func (k *keeper) saveEntities(ctx context.Context, now time.Time) error {
	w := k.p.entities
	held := map[seriesidentity.Key]struct{}{}
	if w != nil {
		k.p.mu.Lock()
		for key, e := range w.byKey {
			if e.interval != 0 && e.detectors != nil {
				held[key] = struct{}{}
			}
		}
		k.p.mu.Unlock()
	}
	var failed error
	for key := range held {
		failed = errors.Join(failed, k.saveEntity(ctx, w, key, now))
	}
	for _, key := range k.blobs.Keys() {
		if _, ok := held[seriesidentity.Key(key)]; ok {
			continue
		}
		size := int64(k.blobs.Size(key))
		if err := k.blobs.Write(ctx, key, nil); err != nil {
			failed = errors.Join(failed, fmt.Errorf("remove entity: %w", err))
			continue
		}
		k.total.Add(-size)
		delete(k.entitiesAt, seriesidentity.Key(key))
	}
	return errors.Join(failed, k.blobs.Commit(ctx))
}

func (k *keeper) saveEntity(ctx context.Context, w *entities, key seriesidentity.Key, now time.Time) error {
	k.p.mu.Lock()
	e := w.byKey[key]
	if e == nil || e.interval == 0 || e.detectors == nil || e.arrived < k.entitiesAt[key] {
		k.p.mu.Unlock()
		return nil
	}
	data, err := e.append(w, k.entity[:0])
	k.p.mu.Unlock()
	if err != nil {
		return err
	}
	k.entity = data
	stored := anomalystate.Key(key)
	before := int64(k.blobs.Size(stored))
	if k.total.Load()-before+int64(len(data)) > k.p.cfg.State.MaxBytes {
		k.p.telemetry.ProcessorAnomalyUnwrittenShards.Add(ctx, 1, k.causes[causeLimit]...)
		return nil
	}
	if err := k.blobs.Write(ctx, stored, data); err != nil {
		k.p.telemetry.ProcessorAnomalyUnwrittenShards.Add(ctx, 1, k.causes[causeStorage]...)
		return fmt.Errorf("write entity: %w", err)
	}
	k.entitiesAt[key] = now.UnixNano()
	k.total.Add(int64(k.blobs.Size(stored)) - before)
	k.p.telemetry.ProcessorAnomalyWrittenShards.Add(ctx, 1)
	k.p.telemetry.ProcessorAnomalyWrittenBytes.Add(ctx, int64(k.blobs.Size(stored)))
	return nil
}
