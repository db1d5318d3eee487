package anomalyprocessor

import (
	"math"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
)

// workloads finds, for a stream that is new, the same stream of another instance of its workload.
type workloads struct {
	instance, host, name attributeNames
	// resource is the identity of a resource without its instance's attributes. One is remembered, since the points of a
	// resource come together.
	of       seriesidentity.Key
	resource seriesidentity.Key
	named    bool
	whole    bool
}

// attributeNames is a list of names, some of which stand for all that begin alike.
type attributeNames struct {
	exact    map[string]struct{}
	prefixes []string
}

func newAttributeNames(patterns []string) attributeNames {
	n := attributeNames{exact: make(map[string]struct{}, len(patterns))}
	for _, p := range patterns {
		if prefix, ok := strings.CutSuffix(p, "*"); ok {
			n.prefixes = append(n.prefixes, prefix)
			continue
		}
		n.exact[p] = struct{}{}
	}
	return n
}

func (n *attributeNames) has(name string) bool {
	if _, ok := n.exact[name]; ok {
		return true
	}
	for _, p := range n.prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// newWorkloads returns nil when nothing is to be inherited.
func newWorkloads(cfg *WorkloadConfig) *workloads {
	if !cfg.Inherit {
		return nil
	}
	return &workloads{
		instance: newAttributeNames(cfg.InstanceAttributes),
		host:     newAttributeNames(cfg.HostAttributes),
		name:     newAttributeNames(cfg.NameAttributes),
	}
}

// skip says whether an attribute tells instances apart.
func (w *workloads) skip(name string) bool {
	return w.instance.has(name) || (w.named && w.host.has(name))
}

// enter goes to the resource at hand.
func (w *workloads) enter(b *batch) {
	e := &b.p.encoder
	if w.of != b.judged.resourceKey {
		w.of, w.named = b.judged.resourceKey, false
		for name := range b.judged.resource.All() {
			w.named = w.named || w.name.has(name)
		}
		w.resource, w.whole = e.Without(seriesidentity.Key{}, b.judged.resource, w.skip)
	}
}

// key returns the identity that the stream at hand shares with those of other instances, 0 when it has no instance's
// attributes.
func (w *workloads) key(b *batch, attributes pcommon.Map) uint64 {
	e := &b.p.encoder
	w.enter(b)
	metric := e.Metric(e.Scope(w.resource, b.scope), b.judged.metric, b.judged.unit, int(b.kind))
	series, whole := e.Without(metric, attributes, w.skip)
	if whole && w.whole {
		return 0
	}
	return max(1, series.Hi^series.Lo)
}

// ratioKey does so for a ratio of the resource at hand.
func (w *workloads) ratioKey(b *batch, r *ratio) uint64 {
	w.enter(b)
	if w.whole {
		return 0
	}
	series := b.p.encoder.Except(r.key, w.resource, b.judged.attributes, r.ignore)
	return max(1, series.Hi^series.Lo)
}

// inherit gives a new stream its place among those of its workload, and what the last one of them has learnt.
func (b *batch) inherit(s *stream, attributes pcommon.Map) {
	if w := b.p.workloads; w != nil {
		b.adopt(s, w.key(b, attributes))
	}
}

// inheritRatio does so for a new ratio.
func (b *batch) inheritRatio(s *stream, r *ratio) {
	if w := b.p.workloads; w != nil {
		b.adopt(s, w.ratioKey(b, r))
	}
}

func (b *batch) adopt(s *stream, workload uint64) {
	t := &b.p.table
	s.arrived = b.now
	b.inherited += int64(t.adopt(s, workload, b.p.cfg.MaxBuckets))
	if slot, ok := t.lookup(s.key); ok {
		t.see(slot)
	}
}

// siblings knows, of each workload's stream, the mature instance that was seen last.
type siblings map[uint64]uint32

// see notes a stream, unless another one of its workload is mature and this is not, or is more recent.
func (t *table) see(slot uint32) {
	s := t.streams.at(slot)
	if s.workload == 0 {
		return
	}
	if at, ok := t.siblings[s.workload]; ok {
		other := t.streams.at(at)
		if old, fresh := t.mature(other), t.mature(s); (old && !fresh) || (old == fresh && other.arrived > s.arrived) {
			return
		}
	}
	if t.siblings == nil {
		t.siblings = siblings{}
	}
	t.siblings[s.workload] = slot
}

// forget takes a stream out that is about to be dropped.
func (t *table) forget(s *stream, slot uint32) {
	if other, ok := t.siblings[s.workload]; ok && other == slot {
		delete(t.siblings, s.workload)
	}
}

// adopt gives a new stream its place in its workload, and what the last instance has learnt. It returns the number of
// signals that have inherited.
func (t *table) adopt(s *stream, workload uint64, maxBuckets int) int {
	s.workload = workload
	if workload == 0 {
		return 0
	}
	slot, ok := t.siblings[workload]
	if !ok {
		return 0
	}
	parent := t.streams.at(slot)
	if parent.kind != s.kind || !t.mature(parent) {
		return 0
	}
	inherited := 0
	for from := &parent.first; from != nil; from = t.next(from) {
		if from.series.Last() == 0 {
			continue
		}
		to := t.signalOf(s, from.what, from.quantile)
		if to == nil && s.kind == kindSummary {
			to = t.quantile(s, from.quantile, maxBuckets)
		}
		if to != nil {
			to.series = from.series.Heir()
			inherited++
		}
	}
	return inherited
}

// mature says that a stream has about warmed up: a heir of one that has not would be judged by a few points of another.
func (t *table) mature(s *stream) bool {
	return s.kind == kindRatio || (int(s.seen) >= min(t.warmUp.Points, math.MaxUint16) && float64(s.seen)*float64(s.gap) >= float64(t.warmUp.Duration))
}

// signalOf returns the signal of a stream that is of a kind, nil when it has none.
func (t *table) signalOf(s *stream, what signalKind, quantile float64) *signal {
	for sig := &s.first; sig != nil; sig = t.next(sig) {
		if sig.what == what && sig.quantile == quantile {
			return sig
		}
	}
	return nil
}
