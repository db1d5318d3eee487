package logpatternconnector

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/excess"
	"github.com/paramedic-otel/paramedic/internal/logclass"
	"github.com/paramedic-otel/paramedic/internal/logpattern"
	"github.com/paramedic-otel/paramedic/internal/patternrate"
)

// engine is the state that both views of one connector share.
type engine struct {
	cfg    *Config
	id     component.ID
	logger *zap.Logger
	tel    *instruments
	events *outbox[plog.Logs]
	// metrics has the counts of the intervals that are closed.
	metrics *outbox[pmetric.Metrics]
	// logsViews is how many views that send logs are open: these take the records in then.
	logsViews atomic.Int32
	rates     patternrate.Settings
	// minSeverity is the least severity of new templates that are told of.
	minSeverity severityClass
	// keeper is nil without storage.
	keeper *keeper

	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu sync.Mutex
	// mu guards everything below. The locks of outboxes are taken under it, never the other way round.
	clock   clock
	arrival arrival
	// next is the first interval that is not closed yet; it and the one behind it are open.
	next   int64
	opened bool
	// used says which of them, an even one or an odd one, has records.
	used  [2]bool
	miner *logpattern.Miner
	// traces has the templates of the stack traces in attributes, from which the top frame is read.
	traces *logpattern.Miner
	// generalized is how many templates had become more general when the patterns were last renamed.
	generalized uint64
	services    map[string]*service
	// classes is nil when templates are not classified.
	classes  *logclass.Classifier
	clusters *logclass.Clusters
	// patterns is how many there are of all services.
	patterns int
	key, buf []byte
	// line is the text of the record that is being taken in.
	line string
	// told are the events of the batch that is being taken in, and budget how many more there may be before the next flush.
	told   parcel[plog.Logs]
	budget int
	counts []patternrate.Count
	stats  stats
}

func newEngine(cfg *Config, set connector.Settings) (*engine, error) {
	e := &engine{
		cfg: cfg, id: set.ID, logger: set.Logger, minSeverity: cfg.MinSeverity.class(),
		clock:    clock{maxSkew: int64(cfg.MaxClockSkew)},
		miner:    logpattern.New(cfg.minerSettings()),
		traces:   newTraceMiner(cfg),
		services: map[string]*service{},
		budget:   cfg.Limits.Events,
		rates: patternrate.Settings{
			MinRatio: cfg.Rates.MinRatio, MinRecords: float64(cfg.Rates.MinRecords), MinSurprise: cfg.Rates.MinSurprise,
			Learning: excess.Learning{
				HalfLife:    max(1, float64(cfg.Rates.HalfLife)/float64(cfg.FlushInterval)),
				NormalAfter: max(1, 2*int64(cfg.Rates.HalfLife/cfg.FlushInterval)),
			},
		},
	}
	var err error
	if cfg.Classes.Enabled {
		if e.classes, err = logclass.New(cfg.Classes.Rules...); err != nil {
			return nil, fmt.Errorf("classes::rules: %w", err)
		}
		e.clusters = logclass.NewClusters(cfg.Limits.Clusters, cfg.Classes.Similarity)
	}
	if e.tel, err = newInstruments(set.TelemetrySettings, e); err != nil {
		return nil, err
	}
	e.events = &outbox[plog.Logs]{
		what: "events", limit: cfg.Limits.Unsent, logger: set.Logger, sent: e.tel.sentEvents, dropped: e.tel.droppedEvents,
	}
	e.metrics = &outbox[pmetric.Metrics]{
		what: "metrics", limit: cfg.Limits.Unsent, logger: set.Logger, sent: e.tel.sentPoints, dropped: e.tel.droppedPoints,
	}
	return e, nil
}

// newTraceMiner returns a miner of stack traces.
func newTraceMiner(cfg *Config) *logpattern.Miner {
	s := cfg.minerSettings()
	s.MaxTemplates = min(s.MaxTemplates, 2000)
	s.MaxAliases, s.MaxMemory = 2*s.MaxTemplates, min(s.MaxMemory, 8<<20)
	return logpattern.New(s)
}

// Start goes on with what was stored and begins to look for pauses.
func (e *engine) Start(ctx context.Context, host component.Host) error {
	if err := e.startState(ctx, host); err != nil {
		return err
	}
	background, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	e.wg.Go(func() {
		ticker := time.NewTicker(e.cfg.IdleTimeout / 4)
		defer ticker.Stop()
		for {
			select {
			case <-background.Done():
				return
			case now := <-ticker.C:
				e.tick(background, now)
			}
		}
	})
	return nil
}

// Shutdown stores what was learnt. What waited was sent by the views.
func (e *engine) Shutdown(ctx context.Context) error {
	if e.cancel != nil {
		e.cancel()
	}
	e.wg.Wait()
	err := e.stopState(ctx)
	e.tel.builder.Shutdown()
	return err
}

// tick sends what waits, and closes the open intervals when no records came for long enough.
func (e *engine) tick(ctx context.Context, now time.Time) {
	e.mu.Lock()
	if e.arrival.idle(now, e.cfg.IdleTimeout) {
		e.settle(ctx, now)
	}
	e.mu.Unlock()
	e.send(ctx)
}

// flushAll closes the open intervals and sends what waits.
func (e *engine) flushAll(ctx context.Context) {
	e.mu.Lock()
	e.settle(ctx, time.Now())
	e.mu.Unlock()
	e.send(ctx)
}

// send hands over what waits. It carries what many requests brought: that of one being given up must not lose it.
func (e *engine) send(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	e.events.flush(ctx)
	e.metrics.flush(ctx)
}

// consume takes records in, and annotates them.
func (e *engine) consume(ctx context.Context, ld plog.Logs, annotate Annotate, now time.Time) {
	ctx = context.WithoutCancel(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.arrival.last, e.arrival.settled = now, false
	e.clock.begin(now)
	before := e.miner.Stats()
	t := taking{ctx: ctx, annotate: annotate, now: now}
	for _, rl := range ld.ResourceLogs().All() {
		t.resource = rl.Resource().Attributes()
		t.found = false
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				e.take(&t, lr)
			}
		}
	}
	if back := e.clock.observe(&t.times, now); back {
		e.rewind(ctx, now)
	} else {
		e.closeUntil(ctx, e.intervalOf(e.clock.watermark-int64(e.cfg.Lateness)), now)
	}
	e.tell(ctx)
	e.stats.addMiner(before, e.miner.Stats())
	e.tel.report(ctx, &e.stats)
}

// intervalOf returns the interval of a time.
func (e *engine) intervalOf(t int64) int64 {
	length := int64(e.cfg.FlushInterval)
	i := t / length
	if t%length < 0 {
		i--
	}
	return i
}

// open returns the interval in which a record of a time counts: its own, unless that is closed.
func (e *engine) open(ctx context.Context, at int64, now time.Time) int64 {
	i := e.intervalOf(at)
	if !e.opened {
		e.next, e.opened = i, true
	}
	if i < e.next {
		e.stats.late++
		return e.next
	}
	e.closeUntil(ctx, i-1, now)
	return i
}

// closeUntil closes the intervals before one. Those in which there cannot be anything are passed over.
func (e *engine) closeUntil(ctx context.Context, until int64, now time.Time) {
	if !e.opened {
		return
	}
	for range 2 {
		if e.next >= until {
			return
		}
		e.closeInterval(ctx, (e.next+1)*int64(e.cfg.FlushInterval), now)
	}
	e.next = max(e.next, until)
}

// settle closes the open intervals although they are not over.
func (e *engine) settle(ctx context.Context, now time.Time) {
	for e.used[0] || e.used[1] {
		e.closeInterval(ctx, min((e.next+1)*int64(e.cfg.FlushInterval), e.clock.watermark+1), now)
	}
	e.tell(ctx)
	e.tel.report(ctx, &e.stats)
}

// rewind goes back to an earlier time.
func (e *engine) rewind(ctx context.Context, now time.Time) {
	e.stats.rewinds++
	for range 2 {
		e.closeInterval(ctx, (e.next+1)*int64(e.cfg.FlushInterval), now)
	}
	e.next = e.intervalOf(e.clock.watermark)
	for _, s := range e.services {
		s.first = min(s.first, e.clock.watermark)
	}
}

// tell queues the events of a batch.
func (e *engine) tell(ctx context.Context) {
	if e.told.size == 0 {
		return
	}
	e.events.add(ctx, e.told)
	e.told = parcel[plog.Logs]{}
}
