package tracegraphconnector

import (
	"context"
	"math/rand/v2"
	"sync"
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

	mu sync.Mutex // mu guards everything below.

	graph      *servicegraph.Graph
	translator translator
	encoder    encoder
	// unsent are the flushes still to be sent, the oldest first.
	unsent []pmetric.Metrics
	// seen are the totals that the instruments know of.
	seen seenTotals
	// lastArrival is when the last spans came; settled is set when everything was settled since.
	lastArrival time.Time
	settled     bool
	stopped     bool
}

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
	c.translator = newTranslator(cfg, c.graph)
	c.encoder = newEncoder(cfg, set.Resource, graphConfig.Bounds)
	var err error
	if c.tel, err = newInstruments(set.TelemetrySettings, c); err != nil {
		return nil, err
	}
	return c, nil
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
	if c.stopped {
		c.mu.Unlock()
		return nil
	}
	c.stopped = true
	c.graph.Flush()
	c.tel.report(ctx, c)
	c.mu.Unlock()
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
	c.mu.Lock()
	c.lastArrival, c.settled = now, false
	c.translator.translate(td)
	c.graph.Add(&c.translator.batch, now.UnixNano())
	c.tel.report(ctx, c)
	unsent := len(c.unsent) > 0
	c.mu.Unlock()
	if unsent {
		// A flush carries the counts of many requests: that of this one being given up must not lose them.
		c.send(context.WithoutCancel(ctx))
	}
	return nil
}

// settleIdle settles and sends what waits when no spans arrived for long enough.
func (c *traceGraph) settleIdle(ctx context.Context, now time.Time) {
	c.mu.Lock()
	if !c.settled && now.Sub(c.lastArrival) >= c.cfg.IdleTimeout {
		c.settled = true
		c.graph.Flush()
		c.tel.report(ctx, c)
	}
	unsent := len(c.unsent) > 0
	c.mu.Unlock()
	if unsent {
		c.send(ctx)
	}
}

// enqueue takes the edges of a flush. The graph calls it under mu.
func (c *traceGraph) enqueue(at int64, edges []servicegraph.Edge) {
	if len(c.unsent) == c.cfg.MaxUnsent {
		c.tel.builder.ConnectorTracegraphDroppedDatapoints.Add(
			context.Background(), int64(c.unsent[0].DataPointCount()), c.tel.droppedQueue...)
		c.unsent = append(c.unsent[:0], c.unsent[1:]...)
	}
	started := time.Now()
	c.unsent = append(c.unsent, c.encoder.encode(at, edges))
	c.tel.builder.ConnectorTracegraphFlushDuration.Record(context.Background(), time.Since(started).Seconds())
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
		c.unsent = append(c.unsent[:0], c.unsent[1:]...)
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
