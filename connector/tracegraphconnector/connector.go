package tracegraphconnector

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/connector"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/servicegraph"
	"github.com/paramedic-otel/paramedic/semconv"
)

// traceGraph counts the calls between services and sends the counts at the ends of intervals of event time.
type traceGraph struct {
	cfg    *Config
	logger *zap.Logger
	next   consumer.Metrics
	tel    *instruments

	cancel context.CancelFunc
	wg     sync.WaitGroup

	// sending holds a token while somebody sends, so that flushes leave in order. It is taken before mu, never after.
	sending chan struct{}
	// refused is set while the next component refuses what it is sent; the holder of sending's token owns it.
	refused bool

	graph   *servicegraph.Graph
	encoder encoder
	// clampedWeights and ignoredLinks are running totals.
	clampedWeights, ignoredLinks atomic.Int64

	mu sync.Mutex // mu guards everything below. The graph's output takes it, so that nobody who holds it may use the graph.

	// idle are the translators that nobody uses.
	idle []*translator
	// unsent are the flushes still to be sent, the oldest first.
	unsent []pmetric.Metrics
	// lastArrival is when the last spans came; settled is set when everything was settled since.
	lastArrival time.Time
	settled     bool
	stopped     bool

	// reporting guards seen, the totals that the instruments know of. It is taken before all locks of the graph.
	reporting sync.Mutex
	seen      seenTotals
}

const (
	// maxShards bounds the parts of the store, minShard the room of each.
	maxShards = 32
	minShard  = 16384
)

func newTraceGraph(cfg *Config, set connector.Settings, next consumer.Metrics) (*traceGraph, error) {
	c := &traceGraph{
		cfg:     cfg,
		logger:  set.Logger,
		next:    next,
		sending: make(chan struct{}, 1),
		settled: true,
	}
	graphConfig := servicegraph.Config{
		FlushInterval:     cfg.FlushInterval,
		Lateness:          cfg.Lateness,
		PairTimeout:       cfg.PairTimeout,
		FailedPairTimeout: min(cfg.FailedPairTimeout, cfg.PairTimeout),
		IdleTimeout:       cfg.IdleTimeout,
		MaxClockSkew:      cfg.MaxClockSkew,
		EdgeTTL:           cfg.EdgeTTL,
		MaxPending:        cfg.MaxPending,
		MaxEdges:          cfg.MaxEdges,
		MaxNameLength:     cfg.MaxNameLength,
		User:              semconv.GraphUser,
		Delta:             cfg.Temporality == TemporalityDelta,
		MaxSize:           cfg.Histogram.MaxSize,
		SplitFailed:       cfg.FailedAttribute,
		NoVirtual:         cfg.VirtualNodePeerAttributes != nil && len(cfg.VirtualNodePeerAttributes) == 0,
		MaxExemplars:      cfg.MaxExemplars,
		Seed:              rand.Uint64(), //nolint:gosec // against crafted identities; results do not depend on it
		Shards:            shards(cfg.MaxPending),
	}
	if cfg.Histogram.Type == HistogramExplicit {
		for _, b := range cfg.Histogram.Buckets {
			graphConfig.Bounds = append(graphConfig.Bounds, b.Seconds())
		}
	}
	if ops := cfg.Operations; ops.Enabled {
		graphConfig.Operations = servicegraph.OperationsConfig{
			MaxPerEdge: ops.MaxPerEdge, MaxTotal: ops.MaxTotal, MaxVariants: ops.MaxVariants, MaxSize: ops.MaxSize,
		}
	}
	for _, key := range cfg.ignored {
		set.Logger.Info("setting of the servicegraph connector has no use here and is ignored", zap.String("setting", key))
	}
	c.graph = servicegraph.New(graphConfig, c.enqueue)
	c.encoder = newEncoder(cfg, set.ID.Name(), set.Resource, graphConfig.Bounds)
	var err error
	if c.tel, err = newInstruments(set.TelemetrySettings, c); err != nil {
		return nil, err
	}
	return c, nil
}

// shards returns into how many parts with a lock of their own the store is to be split: several for each processor, so that
// batches rarely meet in one, as long as each has room enough not to be full when others are empty.
func shards(maxPending int) int {
	n := 1
	for n < 4*runtime.GOMAXPROCS(0) && n < maxShards && maxPending/(2*n) >= minShard {
		n *= 2
	}
	return n
}

// Capabilities implements consumer.Traces.
func (*traceGraph) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: false}
}

// Start implements component.Component.
func (c *traceGraph) Start(context.Context, component.Host) error {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.wg.Go(func() {
		ticker := time.NewTicker(c.cfg.IdleTimeout / 4)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				c.settleIdle(ctx, now)
			}
		}
	})
	return nil
}

// Shutdown implements component.Component. What waits is settled and sent.
func (c *traceGraph) Shutdown(ctx context.Context) error {
	if c.cancel != nil {
		c.cancel()
	}
	c.wg.Wait()
	c.mu.Lock()
	stopped := c.stopped
	c.stopped = true
	c.mu.Unlock()
	if stopped {
		return nil
	}
	c.graph.Flush()
	c.tel.report(ctx, c, true)
	defer c.tel.builder.Shutdown()
	select {
	case c.sending <- struct{}{}:
		c.drain(ctx)
		<-c.sending
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ConsumeTraces takes in spans. It does not return errors of the next component: the spans were counted, so that sending
// them again would not help.
func (c *traceGraph) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	now := time.Now()
	t := c.borrow(now)
	t.take(td, now.UnixNano())
	c.clampedWeights.Add(t.clampedWeights)
	c.ignoredLinks.Add(t.ignoredLinks)
	c.tel.report(ctx, c, false)
	unsent := c.giveBack(t)
	if unsent {
		// A flush carries the counts of many requests: that of this one being given up must not lose them.
		c.send(context.WithoutCancel(ctx))
	}
	return nil
}

// borrow notes the arrival of spans and returns a translator that nobody else uses.
func (c *traceGraph) borrow(now time.Time) *translator {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastArrival, c.settled = now, false
	last := len(c.idle) - 1
	if last < 0 {
		return newTranslator(c.cfg, c.graph)
	}
	t := c.idle[last]
	c.idle = c.idle[:last]
	return t
}

// giveBack takes a translator back and says whether a flush is to be sent.
func (c *traceGraph) giveBack(t *translator) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = append(c.idle, t)
	return len(c.unsent) > 0
}

// settleIdle settles and sends what waits when no spans arrived for long enough.
func (c *traceGraph) settleIdle(ctx context.Context, now time.Time) {
	c.mu.Lock()
	idle := !c.settled && now.Sub(c.lastArrival) >= c.cfg.IdleTimeout
	c.settled = c.settled || idle
	c.mu.Unlock()
	if idle {
		c.graph.Flush()
		c.tel.report(ctx, c, true)
	}
	c.mu.Lock()
	unsent := len(c.unsent) > 0
	c.mu.Unlock()
	if unsent {
		c.send(ctx)
	}
}

// enqueue takes the edges of a flush. The graph calls it, never twice at a time.
func (c *traceGraph) enqueue(at int64, edges []servicegraph.Edge) {
	started := time.Now()
	md := c.encoder.encode(at, edges)
	c.tel.builder.ConnectorTracegraphFlushDuration.Record(context.Background(), time.Since(started).Seconds())
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.unsent) == c.cfg.MaxUnsent {
		c.tel.builder.ConnectorTracegraphDroppedDatapoints.Add(
			context.Background(), int64(c.unsent[0].DataPointCount()), c.tel.droppedQueue...)
		c.unsent = slices.Delete(c.unsent, 0, 1)
	}
	c.unsent = append(c.unsent, md)
}

// send sends what waits, unless somebody does already, who will then see it.
func (c *traceGraph) send(ctx context.Context) {
	for more := true; more; {
		select {
		case c.sending <- struct{}{}:
		default:
			return
		}
		c.drain(ctx)
		<-c.sending
		c.mu.Lock()
		more = len(c.unsent) > 0
		c.mu.Unlock()
	}
}

// drain sends what waits; the caller holds the token of sending.
func (c *traceGraph) drain(ctx context.Context) {
	for {
		c.mu.Lock()
		if len(c.unsent) == 0 {
			c.mu.Unlock()
			return
		}
		md := c.unsent[0]
		c.unsent = slices.Delete(c.unsent, 0, 1)
		c.mu.Unlock()

		n := int64(md.DataPointCount())
		err := c.next.ConsumeMetrics(ctx, md)
		if err != nil {
			c.tel.builder.ConnectorTracegraphDroppedDatapoints.Add(ctx, n, c.tel.droppedRefused...)
			if !c.refused {
				c.logger.Warn("next component refuses service graph metrics", zap.Error(err))
			}
		} else {
			c.tel.builder.ConnectorTracegraphSentDatapoints.Add(ctx, n)
			if c.refused {
				c.logger.Info("next component takes service graph metrics again")
			}
		}
		c.refused = err != nil
	}
}
