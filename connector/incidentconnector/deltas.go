package incidentconnector

import (
	"math"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/pdatautil"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/paramedic-otel/paramedic/internal/edgehealth"
	"github.com/paramedic-otel/paramedic/semconv"
)

// maxAmount bounds counts and sums of seconds: nothing real is larger, and sums of it stay exact.
const maxAmount = 1e12

// freshStart is how old a cumulative series may be, when it is first seen, for its first value to count: an older one
// counted long before anybody listened.
const freshStart = time.Minute

// freshFlush is how far back the flush before may lie for what is new since then to have happened lately.
const freshFlush = 2 * time.Minute

// deltas turns cumulative service graph series into what happened since their last point.
type deltas struct {
	limit int
	last  map[seriesKey]*lastPoint
	// flushes are the times of each producer's points of each metric.
	flushes map[flushKey]flush
	// refused is set once a series found no room: what is new then may only be new here.
	refused bool
}

// flushKey identifies what one producer says of one metric.
type flushKey struct {
	metric   string
	resource [16]byte
}

// flush is when a producer last told of all its series of a metric, and when before that.
type flush struct {
	before, last pcommon.Timestamp
}

// sameFlush is how far apart the times of the points may be that a producer sends at once.
const sameFlush = pcommon.Timestamp(time.Second)

type seriesKey struct {
	metric          string
	resource, point [16]byte
}

type lastPoint struct {
	start, time pcommon.Timestamp
	count, sum  float64
	latency     edgehealth.Latency
	// spacing is the time between this point and the one before it, 0 when there was none.
	spacing pcommon.Timestamp
	// old is set for a point from before a restart.
	old bool
}

// reading is the state of a series at one point.
type reading struct {
	count, sum float64
	latency    edgehealth.Latency
}

func newDeltas(limit int) *deltas {
	return &deltas{limit: limit, last: map[seriesKey]*lastPoint{}, flushes: map[flushKey]flush{}}
}

// flushed notes a point of a producer and returns when it sent all its series the time before; 0 when that is not known.
func (d *deltas) flushed(key seriesKey, at pcommon.Timestamp) pcommon.Timestamp {
	k := flushKey{key.metric, key.resource}
	if k.metric == semconv.MetricGraphUnseenRequestTotal {
		// It is sent with all requests, once there are any.
		k.metric = semconv.MetricGraphRequestTotal
	}
	f, known := d.flushes[k]
	switch {
	case !known && len(d.flushes) >= d.limit:
		return 0
	case at > f.last && at-f.last > sameFlush:
		f.before, f.last = f.last, at
		d.flushes[k] = f
	}
	return f.before
}

// since returns what happened since the series' last point; ok is false when that is not known or there is no room. All of a
// series is news when it began lately, or when its producer did not have it yet the last time that it told of all it had.
func (d *deltas) since(key seriesKey, start, at pcommon.Timestamp, r *reading) (ok, refused bool) {
	before := d.flushed(key, at)
	last := d.last[key]
	if last == nil {
		if len(d.last) >= d.limit {
			d.refused = true
			return false, true
		}
		d.last[key] = &lastPoint{start: start, time: at, count: r.count, sum: r.sum, latency: r.latency}
		began := start != 0 && at >= start && at-start <= pcommon.Timestamp(freshStart)
		listening := before != 0 && at > before && at-before <= pcommon.Timestamp(freshFlush) && !d.refused
		return began || listening, false
	}
	if at <= last.time {
		return false, false
	}
	previous := *last
	*last = lastPoint{start: start, time: at, count: r.count, sum: r.sum, latency: r.latency, spacing: at - previous.time}
	restarted := start != previous.start && start > previous.time || r.count < previous.count
	if previous.old && !previous.timely(start, at, restarted) {
		// It counts what happened while nobody listened as well: nobody knows when.
		last.spacing = previous.spacing
		return false, false
	}
	if restarted {
		return true, false
	}
	r.count -= previous.count
	r.sum = max(0, r.sum-previous.sum)
	for b := range r.latency {
		r.latency[b] = max(0, r.latency[b]-previous.latency[b])
	}
	return true, false
}

// timely reports whether a series' first point after a restart of the collector comes as soon after the last one before it,
// or after the series' own restart, as points of the series do.
func (p *lastPoint) timely(start, at pcommon.Timestamp, restarted bool) bool {
	within := p.spacing + p.spacing/2
	if p.spacing == 0 {
		within = pcommon.Timestamp(freshStart)
	}
	if restarted && start > p.time {
		return at-start <= max(within, pcommon.Timestamp(freshStart))
	}
	return at-p.time <= within
}

// forget drops the series that have had no point for a while.
func (d *deltas) forget(before pcommon.Timestamp) {
	for key, last := range d.last {
		if last.time < before {
			delete(d.last, key)
		}
	}
	for key, f := range d.flushes {
		if f.last < before {
			delete(d.flushes, key)
		}
	}
}

// ingestGraph counts one service graph metric.
func (e *engine) ingestGraph(m pmetric.Metric, resource [16]byte, apply func(*edgehealth.Sample, *reading)) {
	seconds := 1.0
	if m.Unit() == "ms" {
		seconds = 1e-3
	}
	// One of each serves all points, for they are handed on by their address.
	r, s := &reading{}, &edgehealth.Sample{}
	point := func(attrs pcommon.Map, start, at pcommon.Timestamp, temporality pmetric.AggregationTemporality) {
		if !(r.count >= 0) || r.count > maxAmount || !(math.Abs(r.sum) <= maxAmount) {
			e.refusals.invalid++
			return
		}
		key, ok := e.edgeKey(attrs)
		if !ok {
			e.refusals.invalid++
			return
		}
		// A point stands for the interval that ends with it.
		t, skewed := e.clock.place(at.AsTime().Add(-1))
		if skewed {
			e.refusals.skewed++
		}
		if temporality == pmetric.AggregationTemporalityCumulative {
			if skewed {
				// Its time says nothing, so neither does what has happened since the point before it.
				return
			}
			known, refused := e.deltas.since(seriesKey{m.Name(), resource, pdatautil.MapHash(attrs)}, start, at, r)
			if refused {
				e.refusals.limit++
			}
			if !known {
				return
			}
		}
		*s = edgehealth.Sample{}
		apply(s, r)
		bucket := max(e.bucketOf(t), e.next)
		if e.clock.started() && e.bucketOf(t) < e.next {
			e.refusals.late++
		}
		if !e.edges.Observe(key, bucket, s) {
			e.refusals.limit++
		} else if !e.objectives.observe(key, t, s, e.cfg.Limits.Edges) {
			e.refusals.limit++
		}
	}
	e.exemplarsOf(m)
	switch m.Type() {
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			*r = reading{count: numberOf(p)}
			point(p.Attributes(), p.StartTimestamp(), p.Timestamp(), m.Sum().AggregationTemporality())
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			*r = reading{count: float64(p.Count()), sum: p.Sum() * seconds}
			lower := 0.0
			for i := range p.BucketCounts().Len() {
				upper := math.Inf(1)
				if i < p.ExplicitBounds().Len() {
					upper = p.ExplicitBounds().At(i) * seconds
				}
				if n := p.BucketCounts().At(i); n > 0 {
					r.latency.AddBucket(lower, upper, float64(n))
				}
				lower = upper
			}
			point(p.Attributes(), p.StartTimestamp(), p.Timestamp(), m.Histogram().AggregationTemporality())
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			*r = reading{count: float64(p.Count()), sum: p.Sum() * seconds}
			r.latency.Add(0, float64(p.ZeroCount()))
			width := math.Exp2(-float64(p.Scale()))
			for i := range p.Positive().BucketCounts().Len() {
				if n := p.Positive().BucketCounts().At(i); n > 0 {
					middle := math.Exp2((float64(p.Positive().Offset()) + float64(i) + 0.5) * width)
					r.latency.Add(middle*seconds, float64(n))
				}
			}
			point(p.Attributes(), p.StartTimestamp(), p.Timestamp(), m.ExponentialHistogram().AggregationTemporality())
		}
	}
}

func numberOf(p pmetric.NumberDataPoint) float64 {
	if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
		return float64(p.IntValue())
	}
	return p.DoubleValue()
}
