package anomalyprocessor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
)

// cause says why something that was stored or is to be stored was left out.
type cause uint8

const (
	causeCorrupt cause = iota
	causeForeign
	causeIdentity
	causeKnown
	causeLimit
	causeModel
	causeSettings
	causeStale
	causeStorage
	causes
)

// causeNames are the values of the attribute cause, as metadata.yaml lists them.
var causeNames = [causes]string{
	causeCorrupt:  "corrupt",
	causeForeign:  "foreign",
	causeIdentity: "identity",
	causeKnown:    "known",
	causeLimit:    "limit",
	causeModel:    "model",
	causeSettings: "settings",
	causeStale:    "stale",
	causeStorage:  "storage",
}

func causeOptions() (all [causes][]metric.AddOption) {
	for c := range causes {
		all[c] = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("cause", causeNames[c])))}
	}
	return all
}

func causeOf(err error) cause {
	switch {
	case errors.Is(err, anomalystate.ErrForeign):
		return causeForeign
	case errors.Is(err, anomalystate.ErrIdentity):
		return causeIdentity
	case errors.Is(err, anomalystate.ErrModel):
		return causeModel
	case errors.Is(err, errStale):
		return causeStale
	case errors.Is(err, errSettings):
		return causeSettings
	case errors.Is(err, errNoRoom):
		return causeLimit
	default:
		return causeCorrupt
	}
}

var errStale = errors.New("older than max_age")

// resetKey is where the last value of state.reset is stored.
const resetKey = "reset"

// keeper keeps what a processor has learnt in a storage extension.
type keeper struct {
	p      *anomalyProcessor
	client storage.Client
	store  *anomalystate.Store
	blobs  *anomalystate.Blobs
	causes [causes][]metric.AddOption
	header anomalystate.Header
	// split is the logarithm of the number of stored shards for each shard of the index.
	split int

	// Only one goroutine at a time uses what follows.
	recorder recorder
	slots    []uint32
	writers  []anomalystate.ShardWriter
	// unwritten counts streams that are larger than a record, or for which a shard has no room.
	unwritten int64
	// written is what is known of each stored shard.
	written []written
	// entitiesAt is when each entity was written last, entity where one is encoded.
	entitiesAt map[seriesidentity.Key]int64
	entity     []byte
	// total is the size of all, for the gauge.
	total atomic.Int64
}

// written is what was written of a shard last.
type written struct {
	at    int64
	size  int64
	count int
	// stale says that what is stored is not what was restored from it.
	stale bool
}

// openKeeper opens the storage and restores what it holds; nil when there is none.
func openKeeper(ctx context.Context, p *anomalyProcessor, host component.Host, id component.ID) (*keeper, error) {
	extension, ok := host.GetExtensions()[*p.cfg.Storage]
	if !ok {
		return nil, fmt.Errorf("storage: extension %s is not configured", p.cfg.Storage)
	}
	from, ok := extension.(storage.Extension)
	if !ok {
		return nil, fmt.Errorf("storage: extension %s is a %T and not a storage extension", p.cfg.Storage, extension)
	}
	client, err := from.GetClient(ctx, component.KindProcessor, id, anomalystate.StorageName)
	if err != nil {
		return nil, fmt.Errorf("open storage %s: %w", p.cfg.Storage, err)
	}
	k := &keeper{p: p, client: client, causes: causeOptions(), split: splitFor(p.cfg.MaxSeries), entitiesAt: map[seriesidentity.Key]int64{}}
	k.header = anomalystate.Header{Model: anomalystate.ModelVersion, Identity: identityFingerprint()}
	k.written = make([]written, indexShards<<k.split)
	k.writers = make([]anomalystate.ShardWriter, 1<<k.split)
	if err := k.restore(ctx, time.Now()); err != nil {
		return nil, errors.Join(fmt.Errorf("read from storage %s: %w", p.cfg.Storage, err), client.Close(ctx))
	}
	return k, nil
}

// mostStreams is how many streams a stored shard has at most when max_series are held.
const mostStreams = 8192

func splitFor(maxSeries int) int {
	split := 0
	for maxSeries>>split > indexShards*mostStreams {
		split++
	}
	return split
}

// restore reads what is stored into the table. What cannot be used costs no more than itself; storage that cannot be
// read at all is an error, since the next write would destroy what it may still hold.
func (k *keeper) restore(ctx context.Context, now time.Time) error {
	store, err := anomalystate.OpenStore(ctx, k.client, indexShards<<k.split)
	if store == nil {
		return err
	}
	k.store = store
	if err != nil {
		k.reject(ctx, "what is stored could not be understood and is forgotten", err, 1)
	}
	if k.blobs, err = anomalystate.OpenBlobs(ctx, k.client); k.blobs == nil {
		return err
	}
	if err != nil {
		k.reject(ctx, "stored entities could not be understood and are forgotten", err, 1)
	}
	if err := k.reset(ctx); err != nil {
		return err
	}
	l := loader{k: k, now: now.UnixNano()}
	var broken error
	shards := 0
	err = store.Load(ctx, func(shard int, data []byte) error {
		if err := l.shard(ctx, shard, data); err != nil {
			shards++
			broken = err
		}
		return nil
	})
	if err != nil {
		return err
	}
	if shards > 0 {
		k.p.logger.Warn("stored state could not be used and will be learnt anew", zap.Int("shards", shards), zap.Error(broken))
	}
	l.settle(now)
	l.report(ctx, k.p.logger)
	return k.restoreEntities(ctx, now)
}

// reset forgets what is stored when state.reset has a value that it did not have before.
func (k *keeper) reset(ctx context.Context) error {
	last, err := k.client.Get(ctx, resetKey)
	if err != nil {
		return fmt.Errorf("read reset: %w", err)
	}
	if string(last) == k.p.cfg.State.Reset {
		return nil
	}
	if k.p.cfg.State.Reset != "" {
		if err := errors.Join(k.store.Reset(ctx), k.blobs.Reset(ctx)); err != nil {
			return err
		}
		k.p.logger.Info("learnt state was reset as configured", zap.String("reset", k.p.cfg.State.Reset))
	}
	if err := k.client.Set(ctx, resetKey, []byte(k.p.cfg.State.Reset)); err != nil {
		return fmt.Errorf("write reset: %w", err)
	}
	return nil
}

func (k *keeper) reject(ctx context.Context, msg string, err error, shards int64) {
	k.p.telemetry.ProcessorAnomalyRejectedShards.Add(ctx, shards, k.causes[causeOf(err)]...)
	k.p.logger.Warn(msg, zap.Error(err))
}

// loader puts what was stored, or exported, into a table.
type loader struct {
	k   *keeper
	now int64
	// latest is when the most recent shard was written.
	latest   int64
	restored int64
	rejected [causes]int64
}

// shard restores a stored shard.
func (l *loader) shard(ctx context.Context, shard int, data []byte) error {
	k := l.k
	before := l.restored
	rejected := l.rejected
	streams := 0
	h, err := anomalystate.DecodeShard(data, func(h *anomalystate.Header, s *anomalystate.Stream) error {
		if err := l.accept(h); err != nil {
			return err
		}
		streams++
		l.stream(s)
		return nil
	})
	if err != nil {
		k.p.telemetry.ProcessorAnomalyRejectedShards.Add(ctx, 1, k.causes[causeOf(err)]...)
		if k.store.Committed() {
			k.written[shard] = written{stale: true, size: int64(len(data))}
		}
		return fmt.Errorf("shard %d: %w", shard, err)
	}
	l.latest = max(l.latest, h.Written)
	if k.store.Committed() {
		k.written[shard] = written{at: l.now, size: int64(len(data)), count: streams, stale: rejected != l.rejected || before == l.restored}
	}
	return nil
}

func (l *loader) accept(h *anomalystate.Header) error {
	if err := h.Accept(l.k.header.Model, l.k.header.Identity); err != nil {
		return err
	}
	if age := time.Duration(l.now - h.Written); age > l.k.p.cfg.State.MaxAge {
		return fmt.Errorf("%w: %s", errStale, age.Truncate(time.Second))
	}
	return nil
}

func (l *loader) stream(s *anomalystate.Stream) {
	p := l.k.p
	restored, broken, why := p.table.restore(s, l.now, l.now+int64(p.cfg.MaxClockSkew), p.cfg.MaxBuckets, p.cfg.Shadow.HasValue())
	l.restored += int64(restored)
	l.rejected[why] += int64(broken)
}

// settle makes that no stream has been idle while nobody listened: the time since the last snapshot does not count.
func (l *loader) settle(now time.Time) {
	t := &l.k.p.table
	pause := max(0, now.UnixNano()-l.latest)
	for slot := range t.streams.size {
		if s := t.streams.at(slot); s.held() {
			s.arrived = min(s.arrived+pause, now.UnixNano()-1)
		}
	}
}

func (l *loader) report(ctx context.Context, logger *zap.Logger) {
	k := l.k
	total := int64(0)
	for _, w := range k.written {
		total += w.size
	}
	k.total.Store(total)
	k.p.held.Store(int64(k.p.table.held))
	k.p.telemetry.ProcessorAnomalyRestoredSeries.Add(ctx, l.restored)
	rejected := int64(0)
	for c, n := range l.rejected {
		if n > 0 {
			rejected += n
			k.p.telemetry.ProcessorAnomalyRejectedSeries.Add(ctx, n, k.causes[c]...)
		}
	}
	if l.restored > 0 || rejected > 0 {
		logger.Info("learnt state restored", zap.Int64("series", l.restored), zap.Int64("rejected", rejected))
	}
}

// importFile learns the series of a portable file that are not known yet. A file that cannot be used is logged and
// counted: the start goes on.
func (p *anomalyProcessor) importFile(ctx context.Context, now time.Time) {
	k := &keeper{p: p, causes: causeOptions(), header: anomalystate.Header{Model: anomalystate.ModelVersion, Identity: identityFingerprint()}}
	f, err := os.Open(p.cfg.State.Import)
	if err != nil {
		k.reject(ctx, "file to import could not be opened", err, 1)
		return
	}
	defer f.Close()
	l := loader{k: k, now: now.UnixNano()}
	var broken error
	damaged := func(err error) {
		broken = err
		p.telemetry.ProcessorAnomalyRejectedShards.Add(ctx, 1, k.causes[causeOf(err)]...)
	}
	err = anomalystate.ReadFile(f, func(h *anomalystate.Header, s *anomalystate.Stream) error {
		if err := h.Accept(k.header.Model, k.header.Identity); err != nil {
			return err
		}
		s.Arrived = now.UnixNano()
		l.stream(s)
		return nil
	}, damaged)
	if err != nil {
		damaged(err)
	}
	if broken != nil {
		p.logger.Warn("part of the file to import could not be used", zap.String("file", p.cfg.State.Import), zap.Error(broken))
	}
	l.report(ctx, p.logger)
}

// startState restores what was learnt before.
func (p *anomalyProcessor) startState(ctx context.Context, host component.Host) error {
	if p.cfg.Storage != nil {
		if !p.owners.take(p.cfg) {
			return fmt.Errorf("storage: %s is used in several pipelines, which cannot keep one state; give each a processor with a name of its own", p.id)
		}
		k, err := openKeeper(ctx, p, host, p.id)
		if err != nil {
			p.owners.release(p.cfg)
			return err
		}
		p.keeper = k
		if err := p.telemetry.RegisterProcessorAnomalyStoredBytesCallback(func(_ context.Context, o metric.Int64Observer) error {
			o.Observe(k.total.Load())
			return nil
		}); err != nil {
			return fmt.Errorf("register stored bytes: %w", err)
		}
	}
	if p.cfg.State.Import != "" {
		p.importFile(ctx, time.Now())
	}
	return nil
}

// stopState writes what has changed since the last snapshot, within the time that there is, and closes the storage.
func (p *anomalyProcessor) stopState(ctx context.Context) error {
	k := p.keeper
	if k == nil {
		return nil
	}
	p.keeper = nil
	within, cancel := context.WithTimeout(ctx, p.cfg.State.ShutdownTimeout)
	defer cancel()
	k.flush(within)
	defer p.owners.release(p.cfg)
	if err := k.client.Close(ctx); err != nil {
		return fmt.Errorf("close storage %s: %w", p.cfg.Storage, err)
	}
	return nil
}

// owners are the configurations whose state is kept by a processor that runs. Each pipeline has a processor of its own.
type owners struct {
	mu    sync.Mutex
	taken map[*Config]struct{}
}

func (o *owners) take(cfg *Config) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.taken[cfg]; ok {
		return false
	}
	if o.taken == nil {
		o.taken = map[*Config]struct{}{}
	}
	o.taken[cfg] = struct{}{}
	return true
}

func (o *owners) release(cfg *Config) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.taken, cfg)
}
