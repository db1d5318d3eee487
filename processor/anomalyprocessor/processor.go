package anomalyprocessor

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/baseline"
	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
	"github.com/paramedic-otel/paramedic/processor/anomalyprocessor/internal/metadata"
)

type anomalyProcessor struct {
	id        component.ID
	cfg       *Config
	params    baseline.Params
	version   string
	logger    *zap.Logger
	telemetry *metadata.TelemetryBuilder
	refused   [reasons][]metric.AddOption
	unflagged [whys][]metric.AddOption
	alarms    [bys][]metric.AddOption
	held      atomic.Int64
	// next gets what is to be said between batches.
	next consumer.Metrics
	// watchers are set before the first batch.
	watchers []watcher

	owners *owners
	// entities is nil when nothing is judged together.
	entities *entities
	// remote is nil when no model server is asked, keeper without storage.
	remote *remoteModel
	keeper *keeper

	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu sync.Mutex
	// mu guards everything below.
	selector *selector
	table    table
	encoder  seriesidentity.Encoder
	// workloads is nil when nothing is inherited.
	workloads *workloads
	// touched are the slots of the ratios that points of the resource at hand were counted in; digits is for numbers.
	touched []uint32
	digits  []byte
	// batch is the one at hand; here it costs no allocation.
	batch batch
	// current is where the counts of the point at hand are read into, difference where the last ones are taken away.
	current, difference counts
}

// reasonNames are the values of the attribute reason, as metadata.yaml lists them.
var reasonNames = [reasons]string{
	refusedBuckets:         "buckets",
	refusedDuplicate:       "duplicate",
	refusedFuture:          "future",
	refusedInvalid:         "invalid",
	refusedLimit:           "limit",
	refusedNoRecordedValue: "no_recorded_value",
	refusedNoTimestamp:     "no_timestamp",
	refusedNotANumber:      "not_a_number",
	refusedOutOfOrder:      "out_of_order",
	refusedReset:           "reset",
	refusedStart:           "start",
	refusedTemporality:     "temporality",
}

func newAnomalyProcessor(set processor.Settings, cfg *Config) (*anomalyProcessor, error) {
	sel, err := newSelector(cfg)
	if err != nil {
		return nil, err
	}
	telemetry, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, fmt.Errorf("build telemetry: %w", err)
	}
	p := &anomalyProcessor{
		id:        set.ID,
		cfg:       cfg,
		params:    cfg.params(),
		version:   set.BuildInfo.Version,
		logger:    set.Logger,
		telemetry: telemetry,
		selector:  sel,
		workloads: newWorkloads(&cfg.Workload),
		table:     table{limit: cfg.MaxSeries, warmUp: cfg.WarmUp, idle: int64(cfg.EvictAfter), quantiles: cfg.Quantiles},
	}
	for r := scored + 1; r < reasons; r++ {
		p.refused[r] = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", reasonNames[r])))}
	}
	for w := whyCooldown; w < whys; w++ {
		p.unflagged[w] = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("why", whyNames[w])))}
	}
	for by := range p.alarms {
		p.alarms[by] = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("by", byNames[by])))}
	}
	if s := cfg.Shadow.Get(); s != nil {
		p.watchers = append(p.watchers, &shadow{params: s.over(cfg).params(), emit: s.Emit})
	}
	if settings := cfg.Seasonal.Get(); settings != nil {
		w, err := newSeasonal(cfg, settings, p.params.AnomaliesPerDay, telemetry)
		if err != nil {
			return nil, err
		}
		p.watchers = append(p.watchers, w)
	}
	if cfg.Entities.HasValue() {
		w, err := newEntities(cfg, p.params.AnomaliesPerDay, p.version, p.logger, telemetry)
		if err != nil {
			return nil, err
		}
		p.watchers = append(p.watchers, w)
		p.entities = w
		if p.remote = w.remote; p.remote != nil {
			p.remote.set = set.TelemetrySettings
		}
	}
	return p, nil
}

func (p *anomalyProcessor) start(ctx context.Context, host component.Host) error {
	if err := p.telemetry.RegisterProcessorAnomalyHeldSeriesCallback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(p.held.Load())
		return nil
	}); err != nil {
		return fmt.Errorf("register held series: %w", err)
	}
	if err := p.telemetry.RegisterProcessorAnomalyLimitSeriesCallback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(int64(p.cfg.MaxSeries))
		return nil
	}); err != nil {
		return fmt.Errorf("register limit of series: %w", err)
	}
	if p.remote != nil {
		if err := p.remote.start(ctx, host); err != nil {
			return err
		}
	}
	if err := p.startState(ctx, host); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	if p.keeper != nil {
		p.wg.Go(func() { p.keeper.run(ctx) })
	}
	p.wg.Go(func() {
		ticker := time.NewTicker(min(p.cfg.SeriesTTL/4, time.Minute))
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				p.expire(ctx, now)
			}
		}
	})
	return nil
}

func (p *anomalyProcessor) shutdown(ctx context.Context) error {
	if p.cancel != nil {
		p.cancel()
	}
	p.wg.Wait()
	if p.remote != nil {
		p.remote.shutdown()
	}
	err := p.stopState(ctx)
	p.telemetry.Shutdown()
	return err
}

// processMetrics scores every selected point and adds the scores behind it.
func (p *anomalyProcessor) processMetrics(ctx context.Context, md pmetric.Metrics) (pmetric.Metrics, error) {
	began := time.Now()
	p.mu.Lock()
	// Not before: what was changed after a shard was written must be later than that.
	now := time.Now()
	p.batch = batch{p: p, now: now.UnixNano(), latest: now.Add(p.cfg.MaxClockSkew).UnixNano()}
	p.batch.score(md)
	seen := p.batch.tally
	// The metrics are no longer ours once they are passed on.
	p.batch = batch{}
	p.held.Store(int64(p.table.held))
	seen.evicted, p.table.evicted = p.table.evicted, 0
	p.mu.Unlock()

	p.count(ctx, &seen)
	p.telemetry.ProcessorAnomalyEvaluationDuration.Record(ctx, time.Since(began).Seconds())
	return md, nil
}

func (p *anomalyProcessor) count(ctx context.Context, n *tally) {
	p.telemetry.ProcessorAnomalySeenDatapoints.Add(ctx, n.seen)
	p.telemetry.ProcessorAnomalyScoredDatapoints.Add(ctx, n.results[scored])
	for r := scored + 1; r < reasons; r++ {
		if n := n.results[r]; n > 0 {
			p.telemetry.ProcessorAnomalyRefusedDatapoints.Add(ctx, n, p.refused[r]...)
		}
	}
	p.telemetry.ProcessorAnomalyEmittedScores.Add(ctx, n.emitted)
	p.telemetry.ProcessorAnomalyOpenedEpisodes.Add(ctx, n.opened)
	p.telemetry.ProcessorAnomalyInheritedSeries.Add(ctx, n.inherited)
	p.telemetry.ProcessorAnomalyEvictedSeries.Add(ctx, n.evicted)
	p.telemetry.ProcessorAnomalyMissingSeries.Add(ctx, n.missing)
	p.telemetry.ProcessorAnomalyUnreportedSeries.Add(ctx, n.unreported)
	p.telemetry.ProcessorAnomalyUnjoinedDatapoints.Add(ctx, n.unjoined)
	p.telemetry.ProcessorAnomalyUnexplainedDatapoints.Add(ctx, n.unexplained)
	for w := whyCooldown; w < whys; w++ {
		if n := n.unflagged[w]; n > 0 {
			p.telemetry.ProcessorAnomalyUnflaggedDatapoints.Add(ctx, n, p.unflagged[w]...)
		}
	}
	for by, n := range n.alarms {
		if n > 0 {
			p.telemetry.ProcessorAnomalyComparedAlarms.Add(ctx, n, p.alarms[by]...)
		}
	}
}

// sweepSlots is how many streams are looked at in one go: a batch waits for no more.
const sweepSlots = 1024

// expire forgets the series that had no new point for series_ttl, and closes their episodes.
func (p *anomalyProcessor) expire(ctx context.Context, now time.Time) {
	before := now.Add(-p.cfg.SeriesTTL).UnixNano()
	total, held := 0, 0
	for next, first := uint32(0), true; (first || next != 0) && ctx.Err() == nil; first = false {
		closing := pmetric.NewMetrics()
		p.mu.Lock()
		if first {
			for _, w := range p.watchers {
				w.forget(&p.table, before, now.UnixNano())
			}
		}
		var dropped int
		next, dropped = p.table.sweep(next, sweepSlots, before, now.UnixNano())
		closed := p.table.close(closing, p.version)
		held = p.table.held
		p.held.Store(int64(held))
		p.mu.Unlock()
		total += dropped
		p.telemetry.ProcessorAnomalyEmittedScores.Add(ctx, closed)
		if closed > 0 {
			if err := p.next.ConsumeMetrics(ctx, closing); err != nil {
				p.logger.Warn("closing scores of forgotten series were refused", zap.Int64("scores", closed), zap.Error(err))
			}
		}
	}
	if total > 0 {
		p.telemetry.ProcessorAnomalyExpiredSeries.Add(ctx, int64(total))
		p.logger.Debug("forgot idle series", zap.Int("expired", total), zap.Int("held", held))
	}
}
