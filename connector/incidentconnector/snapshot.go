package incidentconnector

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/zeebo/xxh3"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/internal/logflow"
)

// kind is a sort of things that are stored.
type kind uint8

const (
	kindEdges kind = iota
	kindServices
	kindContexts
	kindDirectory
	kindRelations
	kindObjects
	kindDetails
	kindSignals
	kindBudgets
	kindSeries
	kindLife
	kinds
)

// kindsOf says of each kind in how many shards it is stored, in which version, and whether it counts by buckets.
var kindsOf = [kinds]struct {
	shards  int
	version uint32
	counted bool
}{
	kindEdges:     {64, edgehealth.ModelVersion, true},
	kindServices:  {64, logflow.ModelVersion, true},
	kindContexts:  {1, logflow.ModelVersion, true},
	kindDirectory: {4, stateVersion, false},
	kindRelations: {8, stateVersion, false},
	kindObjects:   {8, stateVersion, false},
	kindDetails:   {16, stateVersion, false},
	kindSignals:   {8, stateVersion, false},
	kindBudgets:   {4, stateVersion, false},
	// Last: what is in a series' last value is then in no edge that would count it again after a crash.
	kindSeries: {16, stateVersion, false},
	kindLife:   {0, stateVersion, false},
}

// shards is the number of shards of all kinds.
const shards = 64 + 64 + 1 + 4 + 8 + 8 + 16 + 8 + 4 + 16

const (
	// encodeItems and encodeBytes bound what is encoded while a batch may wait for the lock.
	encodeItems = 64
	encodeBytes = 128 << 10
	// writeTimeout bounds a single write.
	writeTimeout = 10 * time.Second
)

// header stands before the records of a shard.
type header struct {
	kind    kind
	version uint32
	// settings is the fingerprint of the settings with which it was learnt.
	settings uint64
	// written is when, on the clock on the wall in nanoseconds.
	written int64
	// stamp is the same for all that was written while nothing changed, else 0.
	stamp uint64
}

func (h *header) code(c *binarystate.Codec) {
	k, version := uint64(h.kind), uint64(h.version)
	c.Uint64s(&k, &version, &h.settings, &h.stamp)
	c.Int64s(&h.written)
	h.kind, h.version = kind(min(k, uint64(kinds))), uint32(min(version, 1<<31)) //nolint:gosec // bounded
}

// openShard returns the header of a sealed shard and what follows.
func openShard(sealed []byte) (h header, c *binarystate.Codec, err error) {
	data, err := anomalystate.Unseal(sealed)
	if err != nil {
		return h, nil, err
	}
	c = binarystate.NewCodecReader(data)
	h.code(c)
	if err := c.Err(); err != nil {
		return h, nil, fmt.Errorf("%w: %w", anomalystate.ErrCorrupt, err)
	}
	return h, c, nil
}

// run stores everything at every interval, and what goes on whenever it is nudged, until the context ends.
func (k *keeper) run(ctx context.Context) {
	ticker := time.NewTicker(k.e.cfg.State.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.nudged:
			k.tell(ctx)
		case <-ticker.C:
			k.opened.Store(true)
		}
		if k.opened.Swap(false) {
			// The failure was counted and logged.
			_ = k.snapshot(ctx, false)
		}
	}
}

// tell stores what goes on and then hands over the events that are in it; and stores that this is done.
func (k *keeper) tell(ctx context.Context) {
	for {
		through, err := k.saveLife(ctx, 0)
		k.note(err)
		k.e.outbox.release(through)
		if !k.e.outbox.flush(ctx) {
			return
		}
	}
}

// snapshot stores everything. whole says that nothing changes meanwhile.
func (k *keeper) snapshot(ctx context.Context, whole bool) error {
	began := time.Now()
	stamp := uint64(0)
	if whole {
		stamp = uint64(began.UnixNano()) //nolint:gosec // not before 1970
	}
	failed := k.saveAll(ctx, stamp)
	through, err := k.saveLife(ctx, stamp)
	failed = errors.Join(failed, err)
	k.e.outbox.release(through)
	if whole && err != nil {
		// Who would tell of them later is not there any more.
		k.e.outbox.lose(ctx)
	}
	if failed == nil {
		failed = k.store.Commit(ctx)
	}
	k.e.telemetry.builder.ConnectorIncidentSnapshotDuration.Record(ctx, time.Since(began).Seconds())
	if failed != nil && !errors.Is(failed, context.Canceled) {
		k.e.telemetry.builder.ConnectorIncidentFailedSnapshots.Add(ctx, 1)
	}
	k.note(failed)
	return failed
}

// note logs when the storage begins to fail and when it works again.
func (k *keeper) note(err error) {
	switch {
	case errors.Is(err, context.Canceled):
	case err != nil && !k.failing:
		k.failing = true
		k.e.logger.Warn("state could not be stored; the next snapshot tries again", zap.Error(err))
	case err == nil && k.failing:
		k.failing = false
		k.e.logger.Info("state is stored again")
	}
}

func (k *keeper) saveAll(ctx context.Context, stamp uint64) error {
	e := k.e
	return errors.Join(
		save(ctx, k, kindEdges, stamp, listed(k, kindEdges, func(add func(edgehealth.Key)) { e.edges.Edges(add) }),
			edgeIdentity, e.edges.AppendEdge),
		save(ctx, k, kindServices, stamp, listed(k, kindServices, func(add func(string)) { e.flow.Names(add) }),
			func(name string) string { return name },
			e.flow.AppendService),
		save(ctx, k, kindContexts, stamp, []bool{true},
			func(bool) string { return "" },
			func(b []byte, _ bool) []byte {
				if stamp == 0 {
					// By the time that they are read, nobody knows any more what came next.
					return b
				}
				return e.flow.AppendContexts(b)
			}),
		save(ctx, k, kindDirectory, stamp, listed(k, kindDirectory, func(add func(string)) {
			for _, name := range e.directory.names {
				add(name)
			}
		}), func(name string) string { return name }, e.appendService),
		save(ctx, k, kindRelations, stamp, listed(k, kindRelations, e.relations.each),
			func(r relation) string { return r.a.String() + "\x00" + r.b.String() },
			func(b []byte, r relation) []byte {
				c := binarystate.NewWriter(b)
				r.code(c)
				return c.Written()
			}),
		save(ctx, k, kindObjects, stamp, listed(k, kindObjects, e.objectKeys),
			func(key objectKey) string { return key.entity.String() + "\x00" + key.name }, e.appendObject),
		save(ctx, k, kindDetails, stamp, listed(k, kindDetails, func(add func(edgehealth.Key)) {
			for key := range e.details.edges {
				add(key)
			}
		}), edgeIdentity, e.appendDetail),
		save(ctx, k, kindSignals, stamp, listed(k, kindSignals, func(add func(signalKey)) {
			for key := range e.signals.held {
				add(key)
			}
		}), func(key signalKey) string { return key.entity.String() + "\x00" + key.metric + string(key.point[:]) }, e.appendSignal),
		save(ctx, k, kindBudgets, stamp, listed(k, kindBudgets, func(add func(budgetKey)) {
			for key := range e.objectives.budgets {
				add(key)
			}
		}), func(key budgetKey) string { return key.objective + "\x00" + key.service }, e.appendBudget),
		save(ctx, k, kindSeries, stamp, listed(k, kindSeries, func(add func(seriesKey)) {
			for key := range e.deltas.last {
				add(key)
			}
		}), func(key seriesKey) string { return string(key.resource[:]) + string(key.point[:]) }, e.appendSeries),
	)
}

// listed returns what list adds, which it does under the lock. As much room as it took the last time is made before.
func listed[K any](k *keeper, kind kind, list func(add func(K))) []K {
	keys := make([]K, 0, k.listed[kind]+k.listed[kind]/8)
	k.e.mu.Lock()
	list(func(key K) { keys = append(keys, key) })
	k.e.mu.Unlock()
	k.listed[kind] = len(keys)
	return keys
}

func edgeIdentity(key edgehealth.Key) string { return string(key.Client) + "\x00" + string(key.Server) }

func (e *engine) appendDetail(b []byte, key edgehealth.Key) []byte {
	d := e.details.edges[key]
	if d == nil {
		return b
	}
	c := binarystate.NewWriter(b)
	d.code(c, &key)
	return c.Written()
}

func (e *engine) appendService(b []byte, name string) []byte {
	resource := e.directory.resources[name]
	if resource == nil {
		return b
	}
	c := binarystate.NewWriter(b)
	s := storedService{
		name: name, seen: e.directory.seen[name], resource: resource, versions: e.directory.versions[name], records: e.directory.records[name],
	}
	if examples := e.directory.errors[name]; examples != nil {
		s.errors = *examples
	}
	s.code(c)
	return c.Written()
}

func (e *engine) appendSignal(b []byte, key signalKey) []byte {
	s := e.signals.held[key]
	if s == nil {
		return b
	}
	c := binarystate.NewWriter(b)
	s.code(c, &key)
	return c.Written()
}

func (e *engine) appendSeries(b []byte, key seriesKey) []byte {
	p := e.deltas.last[key]
	if p == nil {
		return b
	}
	c := binarystate.NewWriter(b)
	p.code(c, &key)
	return c.Written()
}

// each calls visit for each relation once.
func (r *relations) each(visit func(relation)) {
	for a, others := range r.links {
		for b, seen := range others {
			if compareEntities(a, b) < 0 {
				visit(relation{a, b, seen})
			}
		}
	}
}

// save stores the things of a kind, each in the shard that a hash of its identity says. They are encoded a few at a time
// under the lock; what has gone meanwhile is left out.
func save[K any](ctx context.Context, k *keeper, kind kind, stamp uint64, keys []K, identity func(K) string, encode func([]byte, K) []byte) error {
	of := kindsOf[kind].shards
	first := 0
	for _, before := range kindsOf[:kind] {
		first += before.shards
	}
	parts := make([][]K, of)
	for _, key := range keys {
		at := xxh3.HashString(identity(key)) % uint64(of) //nolint:gosec // positive
		parts[at] = append(parts[at], key)
	}
	var failed error
	for i, part := range parts {
		if err := ctx.Err(); err != nil {
			return errors.Join(failed, err)
		}
		k.begin(kind, stamp)
		records := 0
		for at := 0; at < len(part); {
			k.e.mu.Lock()
			for n, size := 0, 0; at < len(part) && n < encodeItems && size < encodeBytes; n++ {
				k.record = encode(k.record[:0], part[at])
				at++
				if len(k.record) > 0 {
					k.shard = binarystate.AppendBytes(k.shard, k.record)
					size += len(k.record)
					records++
				}
			}
			k.e.mu.Unlock()
			runtime.Gosched()
		}
		failed = errors.Join(failed, k.write(ctx, first+i, records))
		select {
		case <-k.nudged:
			// Nobody waits to be told until all is written.
			k.tell(ctx)
		default:
		}
	}
	return failed
}

func (k *keeper) begin(kind kind, stamp uint64) {
	c := binarystate.NewWriter(k.shard[:0])
	h := header{kind: kind, version: kindsOf[kind].version, settings: k.settings, written: time.Now().UnixNano(), stamp: stamp}
	h.code(c)
	k.shard = c.Written()
}

// write stores the shard that has been encoded, or removes it when there is nothing in it.
func (k *keeper) write(ctx context.Context, shard, records int) error {
	var data []byte
	switch {
	case records > 0:
		data = anomalystate.Seal(k.shard)
	case k.sizes[shard] == 0:
		return nil
	}
	return k.put(ctx, shard, int64(len(data)), func(ctx context.Context) error { return k.store.Write(ctx, shard, data) })
}

// saveLife stores what goes on and returns the number of the last event in it.
func (k *keeper) saveLife(ctx context.Context, stamp uint64) (through int64, err error) {
	k.e.mu.Lock()
	l, through := k.e.life()
	k.e.mu.Unlock()
	h := header{kind: kindLife, version: stateVersion, settings: k.settings, written: time.Now().UnixNano(), stamp: stamp}
	c := binarystate.NewWriter(k.lifeBytes[:0])
	h.code(c)
	l.code(c)
	k.lifeBytes = c.Written()
	data := anomalystate.Seal(k.lifeBytes)
	return through, k.put(ctx, shards, int64(len(data)), func(ctx context.Context) error {
		if err := k.client.Set(ctx, lifeKey, data); err != nil {
			return fmt.Errorf("write what goes on: %w", err)
		}
		return nil
	})
}

// put stores a value, unless there is no room for it.
func (k *keeper) put(ctx context.Context, at int, size int64, write func(context.Context) error) error {
	t := k.e.telemetry
	if k.total.Load()-k.sizes[at]+size > k.e.cfg.State.MaxBytes {
		t.builder.ConnectorIncidentUnwrittenShards.Add(ctx, 1, t.noRoom...)
		return nil
	}
	within, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if err := write(within); err != nil {
		t.builder.ConnectorIncidentUnwrittenShards.Add(ctx, 1, t.storage...)
		return err
	}
	k.total.Add(size - k.sizes[at])
	k.sizes[at] = size
	t.builder.ConnectorIncidentWrittenShards.Add(ctx, 1)
	t.builder.ConnectorIncidentWrittenBytes.Add(ctx, size)
	return nil
}
