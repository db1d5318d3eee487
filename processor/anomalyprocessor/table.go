package anomalyprocessor

import (
	"unsafe"

	"github.com/paramedic-otel/paramedic/internal/baseline"
	"github.com/paramedic-otel/paramedic/internal/prefetch"
	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
)

// table holds the streams, bounded by the number of their signals. Its records have no pointers, but for the bucket
// counts of cumulative histograms.
type table struct {
	index   index
	streams slab[stream]
	// signals are those of a stream beyond its first; totals the running counts of cumulative histograms.
	signals slab[signal]
	totals  slab[counts]
	joins   slab[join]
	// shadows are the states of signals in shadow.
	shadows   slab[baseline.Series]
	resources resources
	texts     texts
	words     words
	// vanished are streams that were forgotten while abnormal, until somebody closes their episodes.
	vanished []vanished
	// missing and explained count streams and signals that are.
	missing, explained int
	// watched is the slot that is looked at next for being missing.
	watched uint32
	// quantiles are what is scored of a histogram.
	quantiles []float64
	siblings  siblings
	warmUp    WarmUp
	// held counts signals.
	held, limit int
	// idle is how long, in nanoseconds, a stream must have had no point to make room for a new one; 0 is never.
	idle int64
	hand uint32
	// evicted counts the signals that made room, until somebody reads it.
	evicted int64
}

// lookup returns the slot of a key.
func (t *table) lookup(k seriesidentity.Key) (uint32, bool) {
	entries := t.index.shards[k.Hi>>56].entries
	if len(entries) == 0 {
		return 0, false
	}
	tag, mask := t.index.tag(k), uint32(len(entries)-1) //nolint:gosec // a shard is far smaller
	for at := tag & mask; ; at = (at + 1) & mask {
		entry := entries[at&uint32(len(entries)-1)] //nolint:gosec // as above
		if entry == 0 {
			return 0, false
		}
		if uint32(entry>>32) == tag { //nolint:gosec // the upper half
			slot := uint32(entry) - 1 //nolint:gosec // the lower half
			if t.streams.at(slot).key == k {
				return slot, true
			}
		}
	}
}

// find returns the stream of a place that was looked up before, which may have come or gone since; nil when there is none.
func (t *table) find(at place) *stream {
	if at.handle != 0 {
		if s := t.streams.at(at.handle - 1); s.key == at.key {
			return s
		}
	}
	if slot, ok := t.lookup(at.key); ok {
		return t.streams.at(slot)
	}
	return nil
}

// judgedLines is the number of cache lines of a stream that judging a gauge's point touches.
const judgedLines = int(unsafe.Offsetof(stream{}.start)+prefetch.Line-1) / prefetch.Line

// guess returns the place of a key that will be looked up, without a look at the stream itself, which may be another
// one's, and asks for the memory of the stream.
func (t *table) guess(at *place) {
	entries := t.index.shards[at.key.Hi>>56].entries
	if len(entries) == 0 {
		return
	}
	tag, mask := t.index.tag(at.key), uint32(len(entries)-1) //nolint:gosec // a shard is far smaller
	for i := tag & mask; ; i = (i + 1) & mask {
		entry := entries[i&uint32(len(entries)-1)] //nolint:gosec // as above
		if entry == 0 {
			return
		}
		if uint32(entry>>32) == tag { //nolint:gosec // the upper half
			at.handle = uint32(entry) //nolint:gosec // the lower half
			prefetch.Lines(unsafe.Pointer(t.streams.at(at.handle-1)), judgedLines)
			return
		}
	}
}

// expect asks for the memory of the index where a key will be looked up.
func (t *table) expect(k seriesidentity.Key) {
	if entries := t.index.shards[k.Hi>>56].entries; len(entries) > 0 {
		prefetch.Lines(unsafe.Pointer(&entries[t.index.tag(k)&uint32(len(entries)-1)]), 1) //nolint:gosec // a shard is far smaller
	}
}

// add makes the stream of a key that is not held; nil when there is no room.
func (t *table) add(k seriesidentity.Key, kind kind, now int64) *stream {
	n := kind.signals(len(t.quantiles))
	if t.held+n > t.limit && !t.evict(n, now) {
		return nil
	}
	slot := t.streams.take()
	t.index.put(k, slot)
	t.held += n
	s := t.streams.at(slot)
	s.key, s.kind = k, kind
	s.first.what = signalRate
	switch kind {
	case kindValue:
		s.first.what = signalValue
	case kindSummary:
		t.extend(s, signalMean, 0)
	case kindRatio:
		s.first.what = signalRatio
		s.totals = t.joins.take() + 1
	case kindDeltaSum, kindCumulativeSum:
	default:
		t.extend(s, signalMean, 0)
		for _, q := range t.quantiles {
			t.extend(s, signalQuantile, q)
		}
		if kind.cumulative() {
			s.totals = t.totals.take() + 1
		}
	}
	return s
}

// extend gives a stream one more signal, behind all others, and does not count it.
func (t *table) extend(s *stream, what signalKind, quantile float64) *signal {
	slot := t.signals.take()
	last := &s.first
	for last.next != 0 {
		last = t.signals.at(last.next - 1)
	}
	last.next = slot + 1
	added := t.signals.at(slot)
	added.what, added.quantile = what, quantile
	return added
}

// next returns the signal behind another one of the same stream, nil behind the last.
func (t *table) next(s *signal) *signal {
	if s.next == 0 {
		return nil
	}
	return t.signals.at(s.next - 1)
}

// quantile returns the signal for a summary's quantile, nil when there is no room for a new one.
func (t *table) quantile(s *stream, q float64, limit int) *signal {
	n := 1
	for sig := t.next(&s.first); sig != nil; sig = t.next(sig) {
		if sig.what == signalQuantile && sig.quantile == q {
			return sig
		}
		n++
	}
	if t.held >= t.limit || n >= limit {
		return nil
	}
	t.held++
	return t.extend(s, signalQuantile, q)
}

// drop forgets a stream and returns the number of its signals.
func (t *table) drop(slot uint32, now int64) int {
	s := t.streams.at(slot)
	t.vanish(s, now)
	t.forget(s, slot)
	t.index.remove(s.key, slot)
	t.release(&s.first)
	n := 1
	for at := s.first.next; at != 0; n++ {
		sig := t.signals.at(at - 1)
		following := sig.next
		t.release(sig)
		t.signals.give(at - 1)
		at = following
	}
	t.texts.drop(s.text)
	t.resources.leave(s.resource, &t.texts)
	switch {
	case s.totals == 0:
	case s.kind == kindRatio:
		t.joins.give(s.totals - 1)
	default:
		t.totals.give(s.totals - 1)
	}
	t.streams.give(slot)
	t.held -= n
	return n
}

// release gives back what belongs to a signal.
func (t *table) release(s *signal) {
	if s.shadow != 0 {
		t.shadows.give(s.shadow - 1)
	}
	if s.explained {
		t.explained--
	}
}

// sweep looks at n slots from one on, forgets the streams of them that had no new point since the given time, and
// returns the slot to go on with, 0 behind the last, and the number of signals forgotten.
func (t *table) sweep(from uint32, n int, before, now int64) (next uint32, dropped int) {
	end := min(t.streams.size, from+uint32(n)) //nolint:gosec // a small number
	for slot := from; slot < end; slot++ {
		s := t.streams.at(slot)
		switch {
		case !s.held():
		case s.arrived < before:
			dropped += t.drop(slot, now)
		default:
			t.see(slot)
		}
	}
	if end == t.streams.size {
		return 0, dropped
	}
	return end, dropped
}

// evictionSteps is how many streams are looked at, at most, to make room for one point.
const evictionSteps = 8

// evict makes room for n signals by forgetting streams that have been idle, and says whether there is. A hand goes round,
// so that each call is short and all streams come up in turn.
func (t *table) evict(n int, now int64) bool {
	if t.idle == 0 || t.streams.size == 0 || len(t.vanished) >= maxVanished {
		return false
	}
	for range evictionSteps {
		if t.hand >= t.streams.size {
			t.hand = 0
		}
		if s := t.streams.at(t.hand); s.held() && now-s.arrived >= t.idle {
			t.evicted += int64(t.drop(t.hand, now))
		}
		t.hand++
		if t.held+n <= t.limit {
			return true
		}
	}
	return false
}
