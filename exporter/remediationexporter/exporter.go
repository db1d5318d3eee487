package remediationexporter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/internal/timewindow"
	"github.com/paramedic-otel/paramedic/semconv"
)

// tickInterval is how often deadlines are looked at.
const tickInterval = time.Second

// remediationExporter decides on playbooks and keeps the outboxes of the destinations.
type remediationExporter struct {
	cfg       *Config
	set       exporter.Settings
	logger    *zap.Logger
	telemetry *instruments
	books     []*book
	windows   *timewindow.Set
	routes    []route
	watch     *watcher
	// fed is set when a metrics pipeline leads here.
	fed bool

	client     storage.Client
	persistent bool
	// destinations are in the order of their names.
	destinations []*destination
	// links makes the URLs by which people come back; nil without a store.
	links incidentstore.Links
	// cluster, steps and rate carry out Kubernetes steps; nil without a cluster. fleet is nil for one executor alone.
	cluster cluster
	fleet   coordinator
	steps   steps
	rate    *rate.Limiter
	// api is nil without one; apiAddress is where it listens.
	api        *api
	apiAddress string
	// incidents is our side of the incident store; nil without one.
	incidents *store
	// export sends the audit on; nil without a receiver.
	export *auditExport

	// disconnect closes the connections to the API server; nil without a client of our own.
	disconnect func()

	stop    chan struct{}
	once    sync.Once
	running sync.WaitGroup
	cancel  context.CancelFunc
	// cutOff ends what is under way on Kubernetes.
	cutOff context.CancelFunc

	// telling is taken before mu is released and held while effects run, so that the log tells things in their order.
	telling sync.Mutex
	// mu guards everything below. It is held while storage is written, so that what is stored is in the order of the
	// decisions and no worker sees a decision before it is stored; nothing is sent under it.
	mu     sync.Mutex
	ledger *playbook.Ledger
	slots  slots
	// standby is set while another replica leads, and held while anything stops all actions.
	standby, held bool
	// pause is the kill switch of the api; nil while it is not thrown.
	pause *pauseState
	// world is how the surroundings were told of last, and actor the person for whom they change just now.
	world playbook.World
	actor string
	audit *audit
	// lacking is how many permissions each playbook lacked when they were last reviewed.
	lacking map[string]int
	// used are the signatures of approvals that came as log records.
	used *signatures
	// desk rules on the words of people.
	desk desk
	dead deadLetters
	// dirty is set when the guards have changed otherwise than with an incident.
	dirty bool
	ops   []*storage.Operation
	// aside is set while what is reported is left to another replica.
	aside bool
	// deciding is the incident whose event is being decided on; nil otherwise.
	deciding *semconv.Incident
	// effects are log lines and counts that become true once ops are written.
	effects []func()
}

func newRemediationExporter(ctx context.Context, set exporter.Settings, cfg *Config) (*remediationExporter, error) {
	tel, err := newInstruments(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	e := &remediationExporter{
		cfg: cfg, set: set, logger: set.Logger, telemetry: tel, stop: make(chan struct{}), slots: newSlots("slots", "incident"), dead: newDeadLetters(), lacking: map[string]int{}, audit: newAudit(cfg.Audit.MaxRecords),
	}
	if e.windows, err = timewindow.New(cfg.Windows); err != nil {
		return nil, errors.Join(fmt.Errorf("windows: %w", err), e.telemetry.shutdown())
	}
	if e.used, err = newSignatures(cfg.Approvals.Secrets); err != nil {
		return nil, errors.Join(err, e.telemetry.shutdown())
	}
	e.desk = e
	if cfg.IncidentStore != nil {
		e.incidents = newStore(cfg, set.ID)
	}
	if e.routes, err = newRoutes(cfg, set.TelemetrySettings); err != nil {
		return nil, errors.Join(err, e.telemetry.shutdown())
	}
	byName := map[string]*destination{}
	e.destinations = newDestinations(set, cfg)
	for _, h := range e.destinations {
		byName[h.name] = h
	}
	if cfg.Audit.OTLP.HasValue() {
		if e.export, err = newAuditExport(ctx, set, cfg); err != nil {
			return nil, errors.Join(fmt.Errorf("make the export of the audit: %w", err), e.telemetry.shutdown())
		}
	}
	for i := range cfg.Playbooks {
		b, err := newBook(&cfg.Playbooks[i], set.TelemetrySettings, byName)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make playbook %s: %w", cfg.Playbooks[i].Name, err), e.telemetry.shutdown())
		}
		e.books = append(e.books, b)
	}
	rules := make([]playbook.Rule, 0, len(e.books))
	for _, b := range e.books {
		rules = append(rules, b.rule)
	}
	if e.watch, err = newWatcher(&cfg.Verification, tel, set.TelemetrySettings, e.books); err != nil {
		return nil, errors.Join(err, e.telemetry.shutdown())
	}
	limits := playbook.Limits{MaxIncidents: cfg.MaxIncidents, ForgetAfter: cfg.ForgetAfter, MaxEventAge: cfg.MaxEventAge}
	e.ledger = playbook.NewLedger(limits, playbook.NewPolicy(cfg.policySettings()), rules...)
	if e.incidents != nil {
		e.ledger.SetSilenced(e.maintained)
	}
	return e, nil
}

// Capabilities implements consumer.Logs: records are only read.
func (e *remediationExporter) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

// Start restores what was stored and begins to deliver.
func (e *remediationExporter) Start(ctx context.Context, host component.Host) error {
	for _, h := range e.destinations {
		if err := h.start(ctx, host); err != nil {
			return fmt.Errorf("start destination %s: %w", h.name, err)
		}
	}
	if e.export != nil {
		if err := e.export.start(ctx, host); err != nil {
			return fmt.Errorf("start the export of the audit: %w", err)
		}
	}
	for _, p := range e.probes() {
		if err := p.start(ctx, host, e.set.TelemetrySettings); err != nil {
			return fmt.Errorf("start probe %s: %w", p.name, err)
		}
	}
	if err := e.connectStore(host); err != nil {
		return err
	}
	if err := e.openStorage(ctx, host); err != nil {
		return err
	}
	if err := e.connect(); err != nil {
		return err
	}
	if err := e.telemetry.observe(e); err != nil {
		return err
	}
	if err := e.elect(host); err != nil {
		return err
	}
	if len(e.watch.metrics) > 0 && !e.fed {
		e.logger.Warn("no metrics pipeline leads to this exporter, so what rests on metric signals will end inconclusively")
	}
	// Before the first event, what was known when we stopped must be what is known now.
	e.mu.Lock()
	e.verify(ctx, time.Now())
	e.settleAndUnlock(ctx)
	background, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.startStore(background)
	for _, h := range e.destinations {
		e.running.Go(func() { e.deliver(background, h) })
	}
	e.running.Go(func() { e.tick(background) })
	if e.export != nil {
		e.running.Go(func() { e.sendAudit(background) })
	}
	if e.cluster != nil {
		acting, cutOff := context.WithCancel(background)
		e.cutOff = cutOff
		for range e.cfg.Kubernetes.Get().Workers {
			e.running.Go(func() { e.carryOut(acting) })
		}
		e.running.Go(func() { e.watchPermissions(acting, host) })
		e.running.Go(func() { e.endIsolations(acting) })
		e.mu.Lock()
		e.wakeSteps()
		e.mu.Unlock()
	}
	if e.cfg.API.HasValue() {
		e.api = newAPI(e, e.cfg.API.Get())
		return e.api.start(ctx, host)
	}
	return nil
}

// connect makes the client of the cluster, if there is one.
func (e *remediationExporter) connect() error {
	k := e.cfg.Kubernetes.Get()
	if !e.cfg.Kubernetes.HasValue() || e.cluster != nil {
		return nil
	}
	client, err := kubeaction.New(k.Settings, kubeaction.TransportSettings{Observe: e.witnessCall})
	if err != nil {
		return fmt.Errorf("kubernetes: %w", err)
	}
	fleet := e.fleet
	if k.Coordination.Enabled && e.cfg.Coordination == CoordinationCluster {
		if fleet, err = client.Reservations(k.Coordination.settings(&k.Settings)); err != nil {
			return fmt.Errorf("kubernetes::coordination: %w", err)
		}
	}
	e.disconnect = client.Close
	e.useCluster(client, fleet)
	return nil
}

// useCluster makes Kubernetes steps be carried out by c, in agreement with the fleet if that is not nil.
func (e *remediationExporter) useCluster(c cluster, fleet coordinator) {
	k := e.cfg.Kubernetes.Get()
	e.cluster, e.fleet, e.steps = c, fleet, newSteps()
	e.rate = rate.NewLimiter(rate.Limit(k.Rate), k.ActionBurst)
}

// Shutdown stops the timers and lets the attempts under way end. With storage what is queued stays there; without, it
// is sent once more until ctx ends.
func (e *remediationExporter) Shutdown(ctx context.Context) error {
	var errs error
	e.once.Do(func() {
		errs = e.api.stop(ctx)
		if e.client != nil && !e.persistent {
			e.mu.Lock()
			e.tellDigests(ctx, true, time.Now())
			e.settleAndUnlock(ctx)
		}
		close(e.stop)
		e.incidents.stop()
		if e.steps != nil {
			e.steps.ShutDown()
		}
		if e.export != nil {
			errs = errors.Join(errs, e.export.inner.Shutdown(ctx))
		}
		if e.cutOff != nil {
			defer time.AfterFunc(stopGrace, e.cutOff).Stop()
		}
		if e.cancel != nil {
			defer context.AfterFunc(ctx, e.cancel)()
			defer e.cancel()
		}
		e.running.Wait()
		if e.client != nil {
			e.mu.Lock()
			if !e.persistent {
				for _, h := range e.destinations {
					e.telemetry.lost(ctx, h, lostExhausted, h.box.len())
				}
			}
			e.dirty = true
			e.saveVerifications()
			errs = errors.Join(errs, e.commit(ctx), e.client.Close(ctx))
			e.mu.Unlock()
		}
		for _, h := range e.destinations {
			h.base.close()
		}
		if e.export != nil {
			e.export.base.close()
		}
		for _, p := range e.probes() {
			p.stop()
		}
		if e.disconnect != nil {
			e.disconnect()
		}
		errs = errors.Join(errs, e.telemetry.shutdown())
	})
	return errs
}

// ConsumeLogs takes the incident events of a batch: all of them, or, when the decisions could not be stored, none.
func (e *remediationExporter) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	start := time.Now()
	events, approvals, refused := e.read(ctx, ld)
	if len(events) > 0 {
		e.lookUp(ctx, events)
		if err := e.decideAll(ctx, events); err != nil {
			return err
		}
		e.telemetry.ExporterRemediationDecisionDuration.Record(ctx, time.Since(start).Seconds())
	}
	if err := e.hearRecords(ctx, approvals); err != nil {
		return err
	}
	if refused != nil {
		return consumererror.NewPermanent(refused)
	}
	return nil
}

// ConsumeMetrics takes the series that signals select. It never refuses a batch: what cannot be read is counted.
func (e *remediationExporter) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	e.watch.take(ctx, md, time.Now())
	return nil
}

// tick ends what waits in vain.
func (e *remediationExporter) tick(ctx context.Context) {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for {
		select {
		case <-e.stop:
			return
		case now := <-ticker.C:
			e.expire(ctx, now)
			e.askSignals(ctx, now)
		}
	}
}

func (e *remediationExporter) expire(ctx context.Context, now time.Time) {
	e.mu.Lock()
	e.look(now)
	e.ledger.Policy().Tick(now)
	e.verify(ctx, now)
	e.report(ctx, e.ledger.Expire(now), now)
	e.report(ctx, e.ledger.Reconsider(now), now)
	e.prune(ctx, now)
	e.tellDigests(ctx, false, now)
	for _, h := range e.destinations {
		e.tellDeadLetters(ctx, h, now)
	}
	e.expireLetters(ctx, now)
	resolved, open := e.ledger.Forget(now)
	if resolved+open > 0 {
		e.after(func() { e.telemetry.ExporterRemediationForgottenIncidents.Add(ctx, int64(open)) })
		e.forgetRepeats()
	}
	e.settleAndUnlock(ctx)
}

// after keeps f until what was decided is stored.
func (e *remediationExporter) after(f func()) { e.effects = append(e.effects, f) }

// settleAndUnlock stores what has happened in any case: a failure to do so is counted, and made up for by the next
// write, which repeats these operations.
func (e *remediationExporter) settleAndUnlock(ctx context.Context) {
	if err := e.commit(ctx); err != nil {
		e.logger.Warn("decisions could not be stored and are kept in memory", zap.Error(err))
	}
	e.unlock()
}

// unlock releases e.mu and lets what was stored take effect.
func (e *remediationExporter) unlock() {
	effects := e.effects
	e.effects = nil
	e.telling.Lock()
	e.mu.Unlock()
	for _, f := range effects {
		f()
	}
	e.telling.Unlock()
}
