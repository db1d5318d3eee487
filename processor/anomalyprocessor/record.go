package anomalyprocessor

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/paramedic-otel/paramedic/internal/anomalystate"
	"github.com/paramedic-otel/paramedic/internal/baseline"
	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
)

// recorder turns streams into records and back, in memory that it keeps.
type recorder struct {
	record   anomalystate.Stream
	resource anomalystate.Resource
	buf      []byte
	// short is the text of a stream as it is held, text as it is stored; about is that of its resource.
	short, text, about []byte
}

// restVersion is the first byte of what a record holds besides.
const restVersion = 1

// encode makes the record of a stream, valid until the next one, for a writer.
func (r *recorder) encode(t *table, s *stream, w *anomalystate.ShardWriter) *anomalystate.Stream {
	rec := &r.record
	rec.Key, rec.Workload, rec.Kind = anomalystate.Key(s.key), s.workload, uint8(s.kind)
	rec.Arrived, rec.Last, rec.Start = s.arrived, s.last, s.start
	rec.Resource, rec.Text = nil, nil
	if s.resource != 0 {
		res := t.resources.all.at(s.resource - 1)
		r.resource = anomalystate.Resource{Key: anomalystate.Key(res.key), Last: res.last, Restarted: res.restarted}
		if res.text != 0 && !w.Knows(r.resource.Key) {
			r.about = t.texts.appendTo(r.about[:0], res.text)
			r.resource.Text = r.about
		}
		rec.Resource = &r.resource
	}
	if s.text != 0 {
		r.short = t.texts.appendTo(r.short[:0], s.text)
		r.text = t.words.spell(r.text[:0], r.short)
		rec.Text = r.text
	}
	r.buf = t.appendRest(r.buf[:0], s)
	rec.Rest = r.buf
	rec.Signals = rec.Signals[:0]
	for sig := &s.first; sig != nil; sig = t.next(sig) {
		if sig.series.Last() == 0 {
			continue
		}
		at := len(r.buf)
		r.buf = appendSeries(r.buf, &sig.series)
		kept := anomalystate.Signal{Name: sig.name(), Quantile: sig.quantile, Turned: sig.turned, State: r.buf[at:]}
		if sig.shadow != 0 {
			at = len(r.buf)
			r.buf = appendSeries(r.buf, t.shadows.at(sig.shadow-1))
			kept.Shadow = r.buf[at:]
		}
		rec.Signals = append(rec.Signals, kept)
	}
	return rec
}

// appendRest encodes how regularly the stream comes and, except for a plain value, its running totals.
func (t *table) appendRest(b []byte, s *stream) []byte {
	parts := byte(0)
	if s.kind != kindValue {
		parts |= restTotals
	}
	if s.totals != 0 && s.kind != kindRatio {
		parts |= restCounts
	}
	if s.kind == kindRatio {
		parts |= restJoin
	}
	b = append(b, restVersion, parts, byte(s.absence))
	b = appendNumbers(b, uint64(math.Float32bits(s.gap)), uint64(s.seen), uint64(s.told)) //nolint:gosec // taken back unchanged
	if s.kind != kindValue {
		b = appendNumbers(b, math.Float64bits(s.sum), uint64(s.integer), s.count) //nolint:gosec // as above
	}
	if parts&restJoin != 0 {
		// The interval at hand is lost, but not how many points make it up.
		j := t.joins.at(s.totals - 1)
		usual := j.usual
		if j.done {
			usual = j.parts
		}
		return appendNumbers(b, uint64(usual)) //nolint:gosec // a count
	}
	if parts&restCounts == 0 {
		return b
	}
	c := t.totals.at(s.totals - 1)
	flags := byte(0)
	if c.hasSum {
		flags |= 1
	}
	if c.buckets.explicit {
		flags |= 2
	}
	b = append(b, flags)
	u := &c.buckets
	b = appendNumbers(b, c.count, math.Float64bits(c.sum), u.zero, uint64(u.positiveAt), uint64(u.negativeAt), uint64(int64(u.scale))) //nolint:gosec // as above
	b = binary.AppendUvarint(b, uint64(len(u.bounds)))
	for _, v := range u.bounds {
		b = appendNumbers(b, math.Float64bits(v))
	}
	for _, side := range [][]uint64{u.positive, u.negative} {
		b = binary.AppendUvarint(b, uint64(len(side)))
		for _, v := range side {
			b = binary.AppendUvarint(b, v)
		}
	}
	return b
}

// The parts of what a record holds besides.
const (
	restTotals byte = 1 << iota
	restCounts
	restJoin
)

func appendSeries(b []byte, s *baseline.Series) []byte {
	// Its error is always nil.
	b, _ = s.AppendBinary(b)
	return b
}

func appendNumbers(b []byte, numbers ...uint64) []byte {
	for _, v := range numbers {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// numbers reads what appendNumbers and binary.AppendUvarint wrote; after a failure all are 0.
type numbers struct {
	rest []byte
	bad  bool
}

func (n *numbers) byte() byte {
	if n.bad = n.bad || len(n.rest) < 1; n.bad {
		return 0
	}
	v := n.rest[0]
	n.rest = n.rest[1:]
	return v
}

func (n *numbers) next() uint64 {
	if n.bad = n.bad || len(n.rest) < 8; n.bad {
		return 0
	}
	v := binary.LittleEndian.Uint64(n.rest)
	n.rest = n.rest[8:]
	return v
}

func (n *numbers) float() float64 {
	v := math.Float64frombits(n.next())
	n.bad = n.bad || !finite(v)
	return v
}

func (n *numbers) varint() uint64 {
	v, size := binary.Uvarint(n.rest)
	if n.bad = n.bad || size <= 0; n.bad {
		return 0
	}
	n.rest = n.rest[size:]
	return v
}

// length takes a length that must not exceed most.
func (n *numbers) length(most int) int {
	v := n.varint()
	if v > uint64(most) { //nolint:gosec // not negative
		n.bad = true
		return 0
	}
	return int(v) //nolint:gosec // as above
}

// rest is what a record holds besides, as it is read.
type rest struct {
	absence absence
	gap     float32
	seen    uint16
	told    int64
	sum     float64
	integer int64
	count   uint64
	// hasCounts says that totals are those of a histogram.
	hasCounts bool
	// usual is the number of points of a ratio's interval; ratio says that it is there.
	ratio  bool
	usual  int32
	totals counts
}

// decodeRest reads what a record holds besides. A histogram has no more than maxBuckets.
func decodeRest(data []byte, maxBuckets int) (rest, error) {
	var p rest
	n := numbers{rest: data}
	if v := n.byte(); v != restVersion {
		return p, fmt.Errorf("record of version %d", v)
	}
	parts := n.byte()
	p.absence = absence(n.byte())
	p.gap, p.seen, p.told = math.Float32frombits(uint32(n.next())), uint16(min(n.next(), math.MaxUint16)), int64(n.next()) //nolint:gosec // as it was written
	n.bad = n.bad || p.absence > given || !finite(float64(p.gap)) || p.gap < 0
	if parts&restTotals != 0 {
		p.sum, p.integer, p.count = n.float(), int64(n.next()), n.next() //nolint:gosec // as above
	}
	if p.ratio = parts&restJoin != 0; p.ratio {
		usual := n.next()
		n.bad = n.bad || usual > math.MaxInt32
		p.usual = int32(usual) //nolint:gosec // checked
	}
	if p.hasCounts = parts&restCounts != 0; p.hasCounts {
		c, u := &p.totals, &p.totals.buckets
		flags := n.byte()
		c.hasSum, u.explicit = flags&1 != 0, flags&2 != 0
		c.count, c.sum, u.zero = n.next(), n.float(), n.next()
		u.positiveAt, u.negativeAt = int64(n.next()), int64(n.next()) //nolint:gosec // as above
		scale := int64(n.next())                                      //nolint:gosec // as above
		u.scale = int32(scale)                                        //nolint:gosec // checked below
		n.bad = n.bad || int64(u.scale) != scale || u.positiveAt != int64(int32(u.positiveAt)) || u.negativeAt != int64(int32(u.negativeAt))
		for range n.length(maxBuckets) {
			// Some senders have an infinite last one.
			u.bounds = append(u.bounds, math.Float64frombits(n.next()))
		}
		for _, side := range []*[]uint64{&u.positive, &u.negative} {
			for range n.length(maxBuckets + 1) {
				*side = append(*side, n.varint())
				if n.bad {
					break
				}
			}
		}
	}
	if n.bad || len(n.rest) > 0 {
		return rest{}, fmt.Errorf("record: %w", anomalystate.ErrCorrupt)
	}
	return p, nil
}

// restore adds the stream of a record. It says why it could not, and how many signals were restored and how many were
// not. Signals that are scored no longer are left out; those that a record lacks begin anew.
// Nothing can have been seen after latest.
func (t *table) restore(rec *anomalystate.Stream, now, latest int64, maxBuckets int, shadow bool) (restored, broken int, why cause) {
	k := kind(rec.Kind)
	if k == kindNone || k == kindUnknownTemporality || k > kindRatio || rec.Last > latest {
		return 0, len(rec.Signals), causeCorrupt
	}
	if r := rec.Resource; r != nil && r.Last > latest {
		return 0, len(rec.Signals), causeCorrupt
	}
	p, err := decodeRest(rec.Rest, maxBuckets)
	if err != nil || p.hasCounts != (k == kindCumulativeHistogram || k == kindCumulativeExponential) || p.ratio != (k == kindRatio) {
		return 0, len(rec.Signals), causeCorrupt
	}
	key := seriesidentity.Key(rec.Key)
	if _, held := t.lookup(key); held {
		return 0, len(rec.Signals), causeKnown
	}
	s := t.add(key, k, now)
	if s == nil {
		return 0, len(rec.Signals), causeLimit
	}
	s.workload, s.arrived, s.last, s.start = rec.Workload, rec.Arrived, rec.Last, rec.Start
	s.sum, s.integer, s.count = p.sum, p.integer, p.count
	if p.hasCounts {
		*t.totals.at(s.totals - 1) = p.totals
	}
	if p.ratio {
		j := t.joins.at(s.totals - 1)
		j.began, j.parts, j.done = rec.Last, p.usual, true
	}
	s.gap, s.seen, s.told = p.gap, p.seen, p.told
	t.relate(s, rec)
	if p.absence == missing && s.text != 0 {
		t.missing++
		s.absence = missing
	} else {
		// Whether it came while nobody listened is not known: it can be missed once it has come again.
		s.absence, s.told = given, unheard
	}
	for i := range rec.Signals {
		from := &rec.Signals[i]
		sig := t.named(s, from.Name)
		if sig == nil && k == kindSummary && from.Quantile >= 0 && from.Quantile <= 1 {
			sig = t.quantile(s, from.Quantile, maxBuckets)
		}
		if sig == nil {
			continue
		}
		if err := sig.series.UnmarshalBinary(from.State); err != nil || sig.series.Last() > latest {
			sig.series = baseline.Series{}
			broken++
			continue
		}
		sig.turned = from.Turned
		restored++
		if shadow && len(from.Shadow) > 0 {
			slot := t.shadows.take()
			if err := t.shadows.at(slot).UnmarshalBinary(from.Shadow); err != nil || t.shadows.at(slot).Last() > latest {
				t.shadows.give(slot)
				continue
			}
			sig.shadow = slot + 1
		}
	}
	slot, _ := t.lookup(key)
	t.see(slot)
	return restored, broken, causeCorrupt
}

// relate attaches a restored stream to its resource, and keeps what describes the two.
func (t *table) relate(s *stream, rec *anomalystate.Stream) {
	if rec.Resource == nil {
		return
	}
	s.resource = t.resources.enter(seriesidentity.Key(rec.Resource.Key))
	r := t.resources.all.at(s.resource - 1)
	r.last = max(r.last, rec.Resource.Last)
	// What began after the newest point did not begin.
	if rec.Resource.Restarted <= rec.Resource.Last {
		r.restarted = max(r.restarted, rec.Resource.Restarted)
	}
	if r.text == 0 && len(rec.Resource.Text) > 0 {
		r.text = t.texts.put(rec.Resource.Text)
	}
	if r.text != 0 && len(rec.Text) > 0 {
		if metric, attributes, ok := rec.Describe(); ok {
			s.text = t.texts.put(t.words.encode(metric, attributes))
		}
	}
}

// named returns the signal of a stream that has a name, nil when there is none.
func (t *table) named(s *stream, name string) *signal {
	for sig := &s.first; sig != nil; sig = t.next(sig) {
		if sig.name() == name {
			return sig
		}
	}
	return nil
}
