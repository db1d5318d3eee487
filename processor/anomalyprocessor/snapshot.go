package anomalyprocessor

import (
	"context"
	"errors"
	"runtime"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
)

const (
	// encodeStreams and encodeBytes bound what is encoded while a batch may wait for the lock.
	encodeStreams = 64
	encodeBytes   = 256 << 10
	// lookStreams bounds the streams that are looked at meanwhile.
	lookStreams = 512
)

// run writes what has changed, spread over each interval, until the context ends.
func (k *keeper) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for round := time.Now(); ; round = round.Add(k.p.cfg.State.Interval) {
		// A round that took too long does not hurry the next one.
		if now := time.Now(); now.Sub(round) > k.p.cfg.State.Interval {
			round = now
		}
		var spent time.Duration
		var failed error
		for i := range indexShards {
			due := round.Add(k.p.cfg.State.Interval * time.Duration(i+1) / indexShards)
			timer.Reset(time.Until(due))
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			began := time.Now()
			failed = errors.Join(failed, k.save(ctx, i, began))
			spent += time.Since(began)
		}
		began := time.Now()
		failed = errors.Join(failed, k.saveEntities(ctx, began))
		k.finish(ctx, spent+time.Since(began), failed)
	}
}

// flush writes all that has changed at once.
func (k *keeper) flush(ctx context.Context) {
	began := time.Now()
	failed := k.saveEntities(ctx, began)
	for i := range indexShards {
		if err := ctx.Err(); err != nil {
			failed = errors.Join(failed, err)
			k.p.logger.Warn("time to write learnt state is over; what changed last will be learnt anew", zap.Int("shards", indexShards-i), zap.Int("of", indexShards))
			break
		}
		failed = errors.Join(failed, k.save(ctx, i, began))
	}
	k.finish(ctx, time.Since(began), failed)
}

// finish ends a round. Only one that wrote everything makes what it wrote the state to be loaded next.
func (k *keeper) finish(ctx context.Context, spent time.Duration, failed error) {
	if failed == nil {
		failed = k.store.Commit(ctx)
	}
	k.p.telemetry.ProcessorAnomalySnapshotDuration.Record(ctx, spent.Seconds())
	if failed != nil && !errors.Is(failed, context.Canceled) {
		k.p.telemetry.ProcessorAnomalyFailedSnapshots.Add(ctx, 1)
		k.p.logger.Warn("learnt state could not be written; the next snapshot tries again", zap.Error(failed))
	}
}

// save writes what has changed in one shard of the index.
func (k *keeper) save(ctx context.Context, shard int, now time.Time) error {
	k.list(shard)
	if !k.changed(shard) && k.store.Committed() {
		return nil
	}
	for i := range k.writers {
		h := k.header
		h.Written, h.Shard = now.UnixNano(), uint32(shard<<k.split|i) //nolint:gosec // bounded by MaxShards
		k.writers[i].Begin(h)
	}
	k.encode(shard)
	if k.unwritten > 0 {
		k.p.telemetry.ProcessorAnomalyUnwrittenSeries.Add(ctx, k.unwritten)
		k.unwritten = 0
	}
	var failed error
	for i := range k.writers {
		failed = errors.Join(failed, k.write(ctx, shard<<k.split|i, i, now))
	}
	return failed
}

// list notes the slots of a shard of the index.
func (k *keeper) list(shard int) {
	k.p.mu.Lock()
	defer k.p.mu.Unlock()
	k.slots = k.slots[:0]
	for _, entry := range k.p.table.index.shards[shard].entries {
		if entry != 0 {
			k.slots = append(k.slots, uint32(entry)-1) //nolint:gosec // the lower half
		}
	}
}

// each shows visit the streams of the slots listed, so many at a time under the lock, until it says that it has seen
// enough. more says, after each stream, whether the lock may be kept.
func (k *keeper) each(shard, step int, visit func(s *stream) (more, enough bool)) {
	t := &k.p.table
	for at := 0; at < len(k.slots); {
		k.p.mu.Lock()
		for n := 0; n < step && at < len(k.slots); n++ {
			// A slot may have been given to another stream since it was listed.
			s := t.streams.at(k.slots[at])
			at++
			if !s.held() || s.key.Hi>>56 != uint64(shard) { //nolint:gosec // less than indexShards
				continue
			}
			more, enough := visit(s)
			if enough {
				k.p.mu.Unlock()
				return
			}
			if !more {
				break
			}
		}
		k.p.mu.Unlock()
		runtime.Gosched()
	}
}

// part is which of a shard's stored parts a stream belongs to.
func (k *keeper) part(s *stream) int {
	return int(s.key.Hi>>(56-k.split)) & (1<<k.split - 1) //nolint:gosec // a few bits
}

// changed reports whether a stream of a shard had a point since it was written, or one has come or gone.
func (k *keeper) changed(shard int) bool {
	parts := k.written[shard<<k.split : (shard+1)<<k.split]
	for i := range parts {
		if parts[i].stale {
			return true
		}
	}
	seen, found := 0, false
	k.each(shard, lookStreams, func(s *stream) (bool, bool) {
		seen++
		found = s.arrived >= parts[k.part(s)].at
		return true, found
	})
	for i := range parts {
		seen -= parts[i].count
	}
	return found || seen != 0
}

func (k *keeper) encode(shard int) {
	size := 0
	k.each(shard, encodeStreams, func(s *stream) (bool, bool) {
		w := &k.writers[k.part(s)]
		before := w.Size()
		if !w.Add(k.recorder.encode(&k.p.table, s, w)) {
			k.unwritten++
		}
		size += w.Size() - before
		if size >= encodeBytes {
			size = 0
			return false, false
		}
		return true, false
	})
}

// write stores one part, unless there is no room for it.
func (k *keeper) write(ctx context.Context, shard, part int, now time.Time) error {
	w := &k.writers[part]
	is := written{at: now.UnixNano(), count: w.Streams()}
	var data []byte
	if w.Streams() > 0 {
		data = w.End()
		is.size = int64(len(data))
	}
	was := k.written[shard]
	if k.total.Load()-was.size+is.size > k.p.cfg.State.MaxBytes {
		k.p.telemetry.ProcessorAnomalyUnwrittenShards.Add(ctx, 1, k.causes[causeLimit]...)
		return nil
	}
	if err := k.store.Write(ctx, shard, data); err != nil {
		k.p.telemetry.ProcessorAnomalyUnwrittenShards.Add(ctx, 1, k.causes[causeStorage]...)
		return err
	}
	k.written[shard] = is
	k.total.Add(is.size - was.size)
	k.p.telemetry.ProcessorAnomalyWrittenShards.Add(ctx, 1)
	k.p.telemetry.ProcessorAnomalyWrittenBytes.Add(ctx, is.size)
	return nil
}

// identityFingerprint changes when the way changes in which streams are identified: then no stored key would be found.
func identityFingerprint() uint64 {
	var e seriesidentity.Encoder
	attributes := pcommon.NewMap()
	attributes.PutStr("service.name", "cart")
	attributes.PutInt("i", 7)
	attributes.PutDouble("d", 0.5)
	attributes.PutBool("b", true)
	attributes.PutEmptySlice("s").AppendEmpty().SetStr("x")
	series := e.Series(e.Metric(e.Scope(e.Resource(attributes), "library"), "m", "s", int(kindSummary)), attributes)
	return series.Hi ^ series.Lo
}
