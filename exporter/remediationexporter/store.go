package remediationexporter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
)

// The calls to the store that can fail, as in metadata.yaml.
const (
	storeRecord  = "record"
	storeWatch   = "watch"
	storeTake    = "take"
	storeAnswer  = "answer"
	storeOrders  = "orders"
	storeReport  = "report"
	storeLookup  = "lookup"
	storeClaim   = "claim"
	storeRelease = "release"
)

var storeCalls = []string{storeRecord, storeWatch, storeTake, storeAnswer, storeOrders, storeReport, storeLookup, storeClaim, storeRelease}

const (
	ordersKey  = "store/orders"
	answersKey = "store/answers"
	// sourceStore is where the word of a person came from who used the incident store, if it does not say more.
	sourceStore = "incident store"
)

// store is the exporter's side of the incident store: what waits to be recorded there, and what was last heard from there.
type store struct {
	cfg *StoreConfig
	// name is this executor's among the replicas.
	name   string
	memory incidentstore.Memory
	// records, commands and changes wake those who work on them.
	records, commands, changes chan struct{}
	// away is set for the calls of which the last one failed, so that the log tells of an outage once.
	away map[string]*atomic.Bool
	// cutOff ends the calls under way.
	cutOff context.CancelFunc

	// The exporter's mu guards everything below.
	queue  recordQueue
	orders orders
	// answers are those that commands of late were given.
	answers []keptAnswer
	// acknowledged are the incidents of which we know that somebody has taken them on.
	acknowledged map[string]bool
	// lookupAfter is when the past is looked up again, after the store did not answer.
	lookupAfter time.Time
}

// orders are what people want for now, as the store told it last. While it is away they stay, over restarts too.
type orders struct {
	Pause    *incidentstore.Pause    `json:"pause,omitempty"`
	Silences []incidentstore.Silence `json:"silences,omitempty"`
}

func newStore(c *Config, id component.ID) *store {
	s := &store{
		cfg: &c.Store, name: c.executorName(id), records: make(chan struct{}, 1), commands: make(chan struct{}, 1),
		changes: make(chan struct{}, 1), away: map[string]*atomic.Bool{}, acknowledged: map[string]bool{},
		queue: recordQueue{maxRecords: c.Store.QueueSize, maxBytes: c.Store.QueueBytes},
	}
	for _, call := range storeCalls {
		s.away[call] = &atomic.Bool{}
	}
	return s
}

// executorName is unique among the replicas as long as their hosts, or pods, are.
func (c *Config) executorName(id component.ID) string {
	if c.Store.Name != "" {
		return c.Store.Name
	}
	var holder, pod string
	if k := c.Kubernetes.Get(); k != nil {
		holder, pod = k.Coordination.Holder, k.Located().Pod
	}
	host, _ := os.Hostname() // without one the exporter's ID must do
	return cmp.Or(holder, pod, host, "host") + "/" + id.String()
}

// connectStore finds the incident store, if there is to be one.
func (e *remediationExporter) connectStore(host component.Host) error {
	if e.incidents == nil {
		return nil
	}
	id := *e.cfg.IncidentStore
	ext, ok := host.GetExtensions()[id]
	if !ok {
		return fmt.Errorf("incident_store: extension %s is not configured; add it under extensions and service::extensions", id)
	}
	provider, ok := ext.(incidentstore.Provider)
	if !ok {
		return fmt.Errorf("incident_store: extension %s is a %T and not an incident store; name an incidentstore extension", id, ext)
	}
	e.incidents.memory, e.links = provider.Memory(), provider.Links()
	if e.cfg.Coordination == CoordinationStore {
		e.fleet = &storeFleet{e}
	}
	return nil
}

// startStore begins to talk with the store. What people had ordered is asked for before anything else, but not waited for longer
// than for any other call.
func (e *remediationExporter) startStore(background context.Context) {
	if e.incidents == nil {
		return
	}
	ctx, cutOff := context.WithCancel(background)
	e.incidents.cutOff = cutOff
	e.hearOrders(ctx)
	e.running.Go(func() { e.sendRecords(background) })
	e.running.Go(func() { e.watchStore(ctx) })
	e.running.Go(func() { e.followOrders(ctx) })
	e.running.Go(func() { e.takeCommands(ctx) })
	e.running.Go(func() { e.reportStatus(ctx) })
}

// stop ends the calls under way, but not the records that are still to be sent.
func (s *store) stop() {
	if s != nil && s.cutOff != nil {
		s.cutOff()
	}
}

// call makes one call within the timeout, and notes how it went. While we stop, its error is no news.
func (e *remediationExporter) call(ctx context.Context, what string, timeout time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := f(ctx)
	if errors.Is(err, incidentstore.ErrConflict) || errors.Is(err, incidentstore.ErrNotFound) {
		e.storeIsBack(what)
		return err
	}
	switch {
	case err == nil:
		e.storeIsBack(what)
	case e.stopping():
	default:
		add(context.Background(), e.telemetry.ExporterRemediationStoreErrors, e.telemetry.storeCalls, what, 1)
		if !e.incidents.away[what].Swap(true) {
			e.logger.Warn("the incident store does not answer, and is asked again", zap.String("call", what), zap.Error(err))
		}
	}
	return err
}

func (e *remediationExporter) storeIsBack(what string) {
	if e.incidents.away[what].Swap(false) {
		e.logger.Info("the incident store answers again", zap.String("call", what))
	}
}

// waitFor waits, or is woken, and reports whether to go on.
func (e *remediationExporter) waitFor(d time.Duration, wake <-chan struct{}) (goOn bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-e.stop:
		return false
	case <-timer.C:
	case <-wake:
	}
	return true
}

// rouse wakes whoever waits on a channel.
func rouse(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// watchStore wakes those whom the store has something for. Where it cannot tell, they look by themselves.
func (e *remediationExporter) watchStore(ctx context.Context) {
	after := int64(-1)
	for !e.stopping() {
		changes, err := e.incidents.memory.Changes(ctx, after, 1000)
		if err != nil {
			if e.stopping() {
				return
			}
			_ = e.call(ctx, storeWatch, e.cfg.Store.Timeout, func(context.Context) error { return err })
			if !e.waitFor(e.cfg.Store.PollInterval, nil) {
				return
			}
			continue
		}
		e.storeIsBack(storeWatch)
		for _, c := range changes {
			after = max(after, c.Number)
			switch c.Kind {
			case "command":
				rouse(e.incidents.commands)
			case "pause", "silence", "incident":
				rouse(e.incidents.changes)
			case "intent":
				e.heardOfIntent(ctx, c.ID)
			}
		}
		if len(changes) == 0 && after < 0 {
			after = 0
		}
	}
}

// ops store what is to be recorded. They change nothing here.
func (s *store) ops() []*storage.Operation {
	if s == nil {
		return nil
	}
	return s.queue.ops()
}

// storeCheckpoint is what a decision goes back to when it cannot be stored.
type storeCheckpoint struct {
	pending int
	answers []keptAnswer
}

func (s *store) checkpoint() storeCheckpoint {
	if s == nil {
		return storeCheckpoint{}
	}
	return storeCheckpoint{len(s.queue.pending), s.answers}
}

func (s *store) rollback(c storeCheckpoint) {
	if s != nil {
		s.queue.pending, s.answers = s.queue.pending[:min(c.pending, len(s.queue.pending))], c.answers
	}
}

// loadStore restores what waits for the store, and what was heard from it.
func (e *remediationExporter) loadStore(ctx context.Context) error {
	s := e.incidents
	if s == nil {
		return nil
	}
	err := s.queue.load(ctx, e.client, func(err error) {
		add(ctx, e.telemetry.ExporterRemediationUnrecordedRecords, e.telemetry.unrecorded, unrecordedUnreadable, 1)
		e.unreadable(ctx, "a record that waits for the incident store could not be understood and is lost", err)
	})
	if err != nil {
		return err
	}
	for key, into := range map[string]any{ordersKey: &s.orders, answersKey: &s.answers} {
		b, err := e.client.Get(ctx, key)
		if err != nil {
			return err
		}
		if b == nil {
			continue
		}
		if err := json.Unmarshal(b, into); err != nil {
			e.unreadable(ctx, "what was heard from the incident store could not be understood and is forgotten", fmt.Errorf("decode %s: %w", key, err))
			reflect.ValueOf(into).Elem().SetZero()
		}
	}
	if by := s.paused(time.Now()); by != "" {
		e.world.Paused = by // it was told of when it was thrown
	}
	e.loadAcknowledged()
	return nil
}

// keep stores a value that is small, with the next commit. e.mu is held.
func (e *remediationExporter) keep(key string, value any) {
	if !e.persistent {
		return
	}
	b, err := json.Marshal(value)
	if err != nil {
		e.after(func() { e.logger.Error("what was heard from the incident store could not be encoded", zap.Error(err)) })
		return
	}
	e.ops = append(e.ops, storage.SetOperation(key, b))
}

// upcoming are the records that the audit is about to get; they are recorded too. The function takes that back. e.mu is held.
func (e *remediationExporter) upcoming() ([]auditchain.Record, func()) {
	if e.incidents == nil && !e.persistent {
		return nil, func() {}
	}
	records := e.audit.upcoming()
	if e.incidents == nil {
		return records, func() {}
	}
	before := len(e.incidents.queue.pending)
	e.recordAudit(records)
	return records, func() {
		e.incidents.queue.pending = slices.Clip(e.incidents.queue.pending[:min(before, len(e.incidents.queue.pending))])
	}
}

// settleRecords makes what was noted a part of the queue, since it is stored. e.mu is held.
func (e *remediationExporter) settleRecords(ctx context.Context) {
	if e.incidents == nil {
		return
	}
	dropped := e.incidents.queue.settle()
	add(ctx, e.telemetry.ExporterRemediationUnrecordedRecords, e.telemetry.unrecorded, unrecordedFull, dropped)
	if len(e.incidents.queue.items) > 0 {
		rouse(e.incidents.records)
	}
}
