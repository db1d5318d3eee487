package remediationexporter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/playbook"
)

const (
	guardsKey = "guards"
	// storageName is what our client is called within the extension.
	storageName = "remediation"
	// maxStoredItems bounds what a broken value can make us read.
	maxStoredItems = 200_000
	loadBatch      = 500
)

// openStorage opens the client and restores what it holds.
func (e *remediationExporter) openStorage(ctx context.Context, host component.Host) error {
	if e.cfg.Storage == nil {
		e.client = storage.NewNopClient()
		if names := e.acting(); len(names) > 0 {
			e.logger.Warn("playbooks may act and no storage is configured: after a crash nobody knows what was begun; set storage",
				zap.Strings("playbooks", names))
		}
		return nil
	}
	ext, ok := host.GetExtensions()[*e.cfg.Storage]
	if !ok {
		return fmt.Errorf("storage: extension %s is not configured", e.cfg.Storage)
	}
	se, ok := ext.(storage.Extension)
	if !ok {
		return fmt.Errorf("storage: extension %s is a %T and not a storage extension", e.cfg.Storage, ext)
	}
	client, err := se.GetClient(ctx, component.KindExporter, e.set.ID, storageName)
	if err != nil {
		return fmt.Errorf("open storage %s: %w", e.cfg.Storage, err)
	}
	e.client, e.persistent = client, true

	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.load(ctx); err != nil {
		e.client, e.persistent = nil, false // so that Shutdown does not write over what could not be read
		return errors.Join(fmt.Errorf("read from storage %s: %w", e.cfg.Storage, err), client.Close(ctx))
	}
	if n := e.ledger.Len(); n > 0 {
		e.logger.Info("remediation state restored", zap.Int("incidents", n), zap.Int("queued_events", e.queued()))
	}
	return nil
}

// acting names the playbooks that may change the world, in the configured order.
func (e *remediationExporter) acting() []string {
	var names []string
	for _, b := range e.books {
		modes := append(slices.Collect(maps.Values(b.rule.TierModes)), b.rule.Mode)
		if slices.Contains(modes, playbook.Approve) || slices.Contains(modes, playbook.Auto) {
			names = append(names, b.cfg.Name)
		}
	}
	return names
}

// load restores what is stored. A broken value is counted and replaced by an empty one. Storage that cannot be read at
// all is an error, since the next write would destroy what it may still hold.
func (e *remediationExporter) load(ctx context.Context) error {
	b, err := e.client.Get(ctx, guardsKey)
	if err != nil {
		return err
	}
	if b != nil {
		if err := e.ledger.DecodeCommon(b); err != nil {
			e.unreadable(ctx, "stored guards could not be understood and begin anew", err)
		}
	}
	if b, err = e.client.Get(ctx, pauseKey); err != nil {
		return err
	}
	if err := e.loadPause(b); err != nil {
		e.unreadable(ctx, "the stored pause could not be understood, so automation stays paused", err)
	}
	if b, err = e.client.Get(ctx, usedKey); err != nil {
		return err
	}
	if err := e.used.load(b, time.Now()); err != nil {
		e.unreadable(ctx, "the signatures that were used could not be understood, so none from before this start is taken", err)
	}
	broken, err := e.audit.load(ctx, e.client, time.Now())
	if err != nil {
		return err
	}
	if broken != nil {
		e.unreadable(ctx, "the stored audit is broken and begins anew", broken)
	}
	err = e.slots.load(ctx, e.client, maxStoredItems, e.ledger.DecodeIncident, func(err error) {
		e.unreadable(ctx, "a stored incident could not be understood and is forgotten", err)
	})
	if err != nil {
		return err
	}
	e.ledger.TakeChanged()
	e.ledger.Recover()
	err = e.dead.load(ctx, e.client, func(err error) {
		e.unreadable(ctx, "a stored dead letter could not be understood and is forgotten", err)
	})
	if err != nil {
		return err
	}
	if err := e.loadStore(ctx); err != nil {
		return err
	}
	for _, h := range e.destinations {
		if err := e.loadRepeats(ctx, h); err != nil {
			return err
		}
		if b, err = e.client.Get(ctx, digestKey(h.name)); err != nil {
			return err
		}
		if err := h.loadDigest(b); err != nil {
			e.unreadable(ctx, "a stored summary of news could not be understood and is forgotten", err)
		}
		if err := e.loadOutbox(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// loadOutbox restores the queue of a destination. Events that cannot be understood are lost and counted; the rest is kept. Numbers
// at which there is nothing are those of events that have left the queue before older ones.
func (e *remediationExporter) loadOutbox(ctx context.Context, h *destination) error {
	box := &h.box
	bounds, err := e.client.Get(ctx, box.boundsKey())
	if err != nil {
		return err
	}
	ops, err := box.loadOps(bounds, maxGaps*maxStoredItems)
	if err != nil {
		e.unreadable(ctx, "stored queue could not be understood and is forgotten", err)
		return nil
	}
	for i := 0; i < len(ops); i += loadBatch {
		if err := e.client.Batch(ctx, ops[i:min(i+loadBatch, len(ops))]...); err != nil {
			return err
		}
	}
	var broken error
	for i, op := range ops {
		if op.Value == nil {
			continue
		}
		d, err := decodeDelivery(op.Value)
		if err != nil {
			broken = err
			e.telemetry.lost(ctx, h, lostUnreadable, 1)
			e.store(storage.DeleteOperation(op.Key))
			continue
		}
		box.items = append(box.items, &queued{delivery: d, number: box.first + uint64(i)})
	}
	if broken != nil {
		e.unreadable(ctx, "stored events could not be understood and are lost", broken)
	}
	return nil
}

func (e *remediationExporter) unreadable(ctx context.Context, msg string, err error) {
	e.telemetry.storageError(ctx, opDecode)
	e.logger.Warn(msg, zap.Error(err))
}

// enqueue appends to the queue of a destination and wakes its worker, who then waits for e.mu, which is held.
func (e *remediationExporter) enqueue(h *destination, d delivery) {
	op := h.box.push(d)
	h.rouse()
	e.store(op)
}

// dequeue removes an event from the queue of a destination. e.mu is held.
func (e *remediationExporter) dequeue(h *destination, q *queued) { e.store(h.box.remove(q)...) }

// commit writes everything that has changed in one transaction. e.mu is held. On error what was to be written is kept
// for the next commit.
func (e *remediationExporter) commit(ctx context.Context) error {
	upcoming, undo := e.upcoming()
	if !e.persistent {
		e.settleAudit(ctx)
		e.settleRecords(ctx)
		return nil
	}
	ops := append(slices.Clip(e.ops), e.audit.ops(upcoming)...)
	ops = append(ops, e.incidents.ops()...)
	for _, h := range e.destinations {
		if h.box.moved {
			ops = append(ops, h.box.boundsOp())
		}
		if h.digested {
			ops = append(ops, h.digestOp())
		}
	}
	changed, guards := e.ledger.TakeChanged(), e.ledger.TakeCommonChanged() || e.dirty
	slots, deadSlots := e.slots.clone(), e.dead.slots.clone()
	ops = append(ops, e.dead.ops()...)
	stored, err := e.ledgerOps(changed, guards)
	if err == nil && len(ops)+len(stored) > 0 {
		if err = e.client.Batch(ctx, append(ops, stored...)...); err != nil {
			e.telemetry.storageError(ctx, opWrite)
			err = fmt.Errorf("write to storage %s: %w", e.cfg.Storage, err)
		}
	}
	if err != nil {
		e.ledger.Changed(changed)
		if guards {
			e.ledger.CommonChanged()
		}
		e.slots, e.dead.slots = slots, deadSlots
		undo()
		return err
	}
	e.ops, e.dirty, e.dead.changed = nil, false, nil
	e.settleAudit(ctx)
	e.settleRecords(ctx)
	for _, h := range e.destinations {
		h.box.moved, h.digested = false, false
	}
	return nil
}

// settleAudit makes what was noted a part of the audit, since it is stored. e.mu is held.
func (e *remediationExporter) settleAudit(ctx context.Context) {
	if n := e.audit.settle(); n > 0 {
		e.telemetry.ExporterRemediationAuditRecords.Add(ctx, int64(n))
		e.exportAudit()
	}
}

// ledgerOps returns what stores the incidents that have changed, and the guards if they have.
func (e *remediationExporter) ledgerOps(changed []string, guards bool) ([]*storage.Operation, error) {
	var ops []*storage.Operation
	if guards {
		b, err := e.ledger.EncodeCommon()
		if err != nil {
			return nil, fmt.Errorf("encode guards: %w", err)
		}
		ops = append(ops, storage.SetOperation(guardsKey, b))
	}
	for _, id := range changed {
		b, err := e.ledger.EncodeIncident(id)
		if err != nil {
			return nil, fmt.Errorf("encode incident: %w", err)
		}
		ops = append(ops, e.slots.put(id, b)...)
	}
	return ops, nil
}

// queued returns how many events wait. e.mu is held.
func (e *remediationExporter) queued() int {
	n := 0
	for _, h := range e.destinations {
		n += h.box.len()
	}
	return n
}

// checkpoint is what decideAll goes back to when its decisions cannot be stored.
type checkpoint struct {
	effects int
	pause   *pauseState
	world   playbook.World
	entries int
	letters []*deadLetter
	changed []string
	store   storeCheckpoint
	digests []digest

	ops   int
	dirty bool
	boxes []outbox
}

// checkpoint is taken only with storage, since nothing else can fail. e.mu is held.
func (e *remediationExporter) checkpoint() (checkpoint, error) {
	c := checkpoint{effects: len(e.effects), pause: e.pause, world: e.world, entries: len(e.audit.pending), letters: e.dead.letters, changed: e.dead.changed, store: e.incidents.checkpoint()}
	for _, h := range e.destinations {
		c.digests = append(c.digests, h.digest.clone())
	}
	if !e.persistent {
		return c, nil
	}
	if err := e.ledger.Begin(); err != nil {
		return c, err
	}
	c.ops, c.dirty = len(e.ops), e.dirty
	for _, h := range e.destinations {
		c.boxes = append(c.boxes, h.box)
	}
	return c, nil
}

// rollback undoes what was decided since the checkpoint, during which e.mu was held. Nothing was dequeued meanwhile.
func (e *remediationExporter) rollback(c checkpoint) error {
	e.effects, e.pause, e.world = e.effects[:c.effects], c.pause, c.world
	e.audit.pending = e.audit.pending[:min(c.entries, len(e.audit.pending))]
	e.dead.letters, e.dead.changed = c.letters, c.changed
	e.incidents.rollback(c.store)
	for i, h := range e.destinations {
		h.digest = c.digests[i]
	}
	if !e.persistent {
		return nil
	}
	e.ops, e.dirty = e.ops[:c.ops], c.dirty
	for i, h := range e.destinations {
		h.box = c.boxes[i]
	}
	return e.ledger.Rollback()
}
