package incidentconnector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
	"github.com/paramedic-otel/paramedic/internal/binarystate"
	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/internal/logflow"
	"github.com/paramedic-otel/paramedic/semconv"
)

// errNoRoom says that a limit of the configuration keeps out what is stored.
var errNoRoom = errors.New("no room")

func isNoRoom(err error) bool {
	return errors.Is(err, errNoRoom) || errors.Is(err, edgehealth.ErrNoRoom) || errors.Is(err, logflow.ErrNoRoom)
}

// loader puts what is stored into an engine. What cannot be used costs no more than itself.
type loader struct {
	k   *keeper
	now time.Time
	// stamp is that of the snapshot that wrote what goes on; whole says that it wrote everything else, too.
	stamp uint64
	whole bool
	// written is when what goes on was.
	written  time.Time
	restored [kinds]int64
	broken   error
	rejected int64
}

// restore reads what is stored. Storage that cannot be read at all is an error, since the next write would destroy what it
// may still hold.
func (k *keeper) restore(ctx context.Context, now time.Time) error {
	e := k.e
	store, err := anomalystate.OpenStore(ctx, k.client, shards)
	if store == nil {
		return err
	}
	k.store = store
	l := &loader{k: k, now: now, whole: true}
	if err != nil {
		l.reject(ctx, err)
	}
	if err := k.reset(ctx); err != nil {
		return err
	}
	stored, err := k.client.Get(ctx, lifeKey)
	if err != nil {
		return fmt.Errorf("read what goes on: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if stored != nil {
		k.sizes[shards] = int64(len(stored))
		if err := l.life(stored); err != nil {
			l.reject(ctx, fmt.Errorf("what went on: %w", err))
		}
	}
	if err := store.Load(ctx, func(shard int, data []byte) error {
		if shard < shards {
			k.sizes[shard] = int64(len(data))
		}
		if err := l.shard(ctx, shard, data); err != nil {
			l.reject(ctx, fmt.Errorf("shard %d: %w", shard, err))
		}
		return nil
	}); err != nil {
		return err
	}
	l.finish(ctx)
	return nil
}

// reset forgets what is stored when state.reset has a value that it did not have before.
func (k *keeper) reset(ctx context.Context) error {
	last, err := k.client.Get(ctx, resetKey)
	if err != nil {
		return fmt.Errorf("read reset: %w", err)
	}
	if string(last) == k.e.cfg.State.Reset {
		return nil
	}
	if k.e.cfg.State.Reset != "" {
		if err := errors.Join(k.store.Reset(ctx), k.client.Delete(ctx, lifeKey)); err != nil {
			return err
		}
		k.e.logger.Info("stored state was reset as configured", zap.String("reset", k.e.cfg.State.Reset))
	}
	if err := k.client.Set(ctx, resetKey, []byte(k.e.cfg.State.Reset)); err != nil {
		return fmt.Errorf("write reset: %w", err)
	}
	return nil
}

// reject counts a value that could not be used.
func (l *loader) reject(ctx context.Context, err error) {
	l.whole = false
	l.rejected++
	l.broken = errors.Join(l.broken, err)
	if l.rejected > 3 {
		// One log line says why, not hundreds of times.
		l.broken = err
	}
	l.k.e.telemetry.builder.ConnectorIncidentRejectedShards.Add(ctx, 1, l.k.e.telemetry.causeOf(err)...)
}

// life goes on with what went on.
func (l *loader) life(stored []byte) error {
	h, c, err := openShard(stored)
	if err != nil {
		return err
	}
	if h.version != stateVersion || h.kind != kindLife {
		return fmt.Errorf("%w %d", errModel, h.version)
	}
	var went life
	went.code(c)
	if err := c.Close(); err != nil {
		return fmt.Errorf("%w: %w", anomalystate.ErrCorrupt, err)
	}
	if h.settings != l.k.settings {
		// It was counted in other buckets.
		went.next = l.k.e.bucketOf(went.watermark)
	}
	l.stamp, l.written = h.stamp, time.Unix(0, h.written)
	l.k.e.live(&went)
	return nil
}

// shard restores one shard of what was learnt.
func (l *loader) shard(ctx context.Context, shard int, data []byte) error {
	h, c, err := openShard(data)
	if err != nil {
		return err
	}
	switch {
	case h.kind >= kinds || h.kind == kindLife || h.version != kindsOf[h.kind].version:
		return fmt.Errorf("%w %d", errModel, h.version)
	case h.settings != l.k.settings && kindsOf[h.kind].counted:
		return errSettings
	case l.now.Sub(time.Unix(0, h.written)) > l.k.e.cfg.State.MaxAge:
		return errStale
	}
	l.whole = l.whole && h.stamp != 0 && h.stamp == l.stamp
	var broken error
	for !c.Done() {
		record := c.Bytes()
		if err := c.Err(); err != nil {
			return fmt.Errorf("%w: %w", anomalystate.ErrCorrupt, err)
		}
		if err := l.record(h.kind, record); err != nil {
			broken = err
			l.k.e.telemetry.builder.ConnectorIncidentRejectedItems.Add(ctx, 1, l.k.e.telemetry.causeOf(err)...)
			continue
		}
		l.restored[h.kind]++
	}
	if broken != nil {
		l.whole = false
		l.k.e.logger.Warn("part of the stored state could not be used", zap.Int("shard", shard), zap.Error(broken))
	}
	return nil
}

// record restores one thing.
func (l *loader) record(kind kind, data []byte) error {
	e := l.k.e
	switch kind {
	case kindEdges:
		return e.edges.RestoreEdge(data)
	case kindServices:
		return e.flow.RestoreService(data)
	case kindContexts:
		return e.flow.RestoreContexts(data)
	}
	c := binarystate.NewCodecReader(data)
	switch kind {
	case kindDirectory:
		var s storedService
		s.code(c)
		if err := c.Close(); err != nil {
			return err
		}
		return e.directory.restore(&s)
	case kindRelations:
		var r relation
		r.code(c)
		if err := c.Close(); err != nil {
			return err
		}
		if !e.relations.see(r.a, r.b, r.seen) {
			return errNoRoom
		}
	case kindObjects:
		var o storedObject
		o.code(c)
		if err := c.Close(); err != nil {
			return err
		}
		return e.restoreObject(&o)
	case kindBudgets:
		var b storedBudget
		b.code(c)
		if err := c.Close(); err != nil {
			return err
		}
		return e.restoreBudget(&b)
	case kindDetails:
		var key edgehealth.Key
		d := &edgeDetail{}
		d.code(c, &key)
		if err := c.Close(); err != nil {
			return err
		}
		if len(e.details.edges) >= e.details.limit {
			return errNoRoom
		}
		e.details.edges[key] = d
	case kindSignals:
		var key signalKey
		s := &signal{}
		s.code(c, &key)
		if err := c.Close(); err != nil {
			return err
		}
		if len(e.signals.held) >= e.cfg.Limits.Signals {
			return errNoRoom
		}
		e.signals.held[key] = s
	case kindSeries:
		var key seriesKey
		p := &lastPoint{old: true}
		p.code(c, &key)
		if err := c.Close(); err != nil {
			return err
		}
		if len(e.deltas.last) >= e.cfg.Limits.Series {
			return errNoRoom
		}
		e.deltas.last[key] = p
	}
	return nil
}

// finish makes one state of what was written at different times.
func (l *loader) finish(ctx context.Context) {
	k, e := l.k, l.k.e
	if e.outbox.kept = true; l.broken != nil {
		e.logger.Warn("stored state could not be used and will be learnt anew", zap.Int64("shards", l.rejected), zap.Error(l.broken))
	}
	known := e.edges.Restored(l.whole)
	e.edges.Edges(func(key edgehealth.Key) {
		if caller := entityOf(key.Client); caller.Type == semconv.EntityService {
			e.directory.trace(caller.Name)
		}
	})
	if !l.whole || l.restored[kindContexts] == 0 {
		e.flow.ForgetSteps()
	}
	if e.clock.started() {
		if newest := e.next + maxAheadBuckets; e.edges.Next() > newest || e.flow.Next() > newest {
			// They are from another time.
			e.edges.Rewind(e.next)
			e.flow.Rewind(e.next)
		}
		e.next = max(e.next, e.edges.Next(), e.flow.Next())
		e.edges.Pause(e.next)
		e.flow.Pause(e.next)
		if e.recovering(e.endOf(e.next-1)) || !l.whole {
			e.flow.Deaf(e.next + excess.MaxWindow)
		}
		if !l.whole {
			// Of the newest bucket a part is lost at least.
			known = min(known, e.next-1)
		}
		if l.restored[kindEdges] > 0 {
			e.gaps.add(e.endOf(known-1), e.endOf(e.next-1))
		} else if l.restored[kindServices] == 0 {
			// Nothing is known of what is normal.
			e.warmFrom = e.endOf(e.next - 1)
		}
		e.resumption = resumption{pending: true, watermark: e.clock.watermark, written: l.written}
		e.arrived, e.idleFrom = l.now, e.clock.watermark
	}
	e.outbox.add(ctx, l.end())
	total := int64(0)
	for _, size := range k.sizes {
		total += size
	}
	k.total.Store(total)
	l.report(ctx)
}

// maxAheadBuckets is how far ahead of what goes on what was learnt may be: it is written more seldom, but not before.
const maxAheadBuckets = 10_000

// end closes what cannot go on: what is too old, and incidents of which nobody would see the end because what showed their
// symptoms is not known any more.
func (l *loader) end() []semconv.IncidentEvent {
	e := l.k.e
	if !e.clock.started() {
		return nil
	}
	if l.now.Sub(l.written) > e.cfg.State.MaxIncidentAge {
		return e.abandon()
	}
	services := map[string]bool{}
	e.flow.Names(func(name string) { services[name] = true })
	var events []semconv.IncidentEvent
	open := e.incidents[:0]
	for _, i := range e.incidents {
		if i.watched(e, services) {
			open = append(open, i)
			continue
		}
		if event := e.resolve(i, semconv.ResolutionNoData, e.endOf(e.next-1)); event != nil {
			events = append(events, *event)
		}
	}
	e.incidents = open
	return events
}

// watched reports whether what opened an incident can still be seen.
func (i *incident) watched(e *engine, services map[string]bool) bool {
	for _, s := range i.symptoms {
		if !s.opens || !s.early {
			continue
		}
		known := true
		switch s.class {
		case classEdge:
			_, known = e.edges.FirstSeen(s.edge)
		case classLog:
			known = services[s.entity.Name]
		}
		if known {
			return true
		}
	}
	return false
}

func (l *loader) report(ctx context.Context) {
	e := l.k.e
	t := e.telemetry
	add := func(n int64, options []metric.AddOption) {
		if n > 0 {
			t.builder.ConnectorIncidentRestoredItems.Add(ctx, n, options...)
		}
	}
	add(l.restored[kindEdges], t.restoredEdges)
	add(l.restored[kindServices], t.restoredServices)
	add(l.restored[kindRelations], t.restoredRelations)
	add(l.restored[kindObjects], t.restoredObjects)
	add(l.restored[kindSignals], t.restoredSignals)
	add(l.restored[kindBudgets], t.restoredBudgets)
	add(l.restored[kindSeries], t.restoredSeries)
	add(int64(e.flow.Contexts()), t.restoredContexts)
	add(int64(len(e.symptoms)), t.restoredSymptoms)
	add(int64(len(e.incidents)), t.restoredIncidents)
	add(int64(e.outbox.len()), t.restoredOutbox)
	if l.restored != ([kinds]int64{}) || e.clock.started() {
		e.logger.Info("state restored", zap.Int64("edges", l.restored[kindEdges]), zap.Int("incidents", len(e.incidents)),
			zap.Int("waiting_events", e.outbox.len()), zap.Int64("rejected_shards", l.rejected), zap.Time("event_time", e.clock.watermark))
	}
}

// restore takes a service over that was stored.
func (d *directory) restore(s *storedService) error {
	switch {
	case s.name == "" || s.resource == nil || d.resources[s.name] != nil:
		return binarystate.ErrInvalid
	case len(d.names) >= d.limit:
		return errNoRoom
	}
	d.add(s.name, s.resource)
	d.seen[s.name] = s.seen
	if s.versions != nil {
		d.versions[s.name] = s.versions
	}
	if !s.records.IsZero() {
		d.records[s.name] = s.records
	}
	if len(s.errors.list) > 0 {
		d.errors[s.name] = &s.errors
	}
	return nil
}
