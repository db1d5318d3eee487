package anomalyprocessor

import (
	"strconv"
	"time"

	"github.com/paramedic-otel/paramedic/internal/baseline"
	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
	"github.com/paramedic-otel/paramedic/semconv"
)

// reason says why a point was not scored.
type reason int

const (
	scored reason = iota
	refusedBuckets
	refusedDuplicate
	refusedFuture
	refusedLimit
	refusedNoRecordedValue
	refusedNoTimestamp
	refusedNotANumber
	refusedOutOfOrder
	refusedReset
	refusedStart
	refusedTemporality
	reasons
)

// signal is one scored series of a stream.
type signal struct {
	name     string
	quantile float64
	limits   *baseline.Limits
	series   baseline.Series
}

// stream is the state of one identity: what its next point is compared with, and its signals.
type stream struct {
	// arrived is when the last point came, on our clock, that was newer than those before.
	arrived int64
	// last and start are the timestamps of the last point; last is 0 before the first.
	last, start int64
	previous    counts
	signals     []signal
}

// counts are the running totals of a cumulative point, as far as its type has them.
type counts struct {
	count   uint64
	integer int64
	sum     float64
	hasSum  bool
	buckets buckets
}

// copyFrom makes c equal to other and keeps c's memory.
func (c *counts) copyFrom(other *counts) {
	c.count, c.integer, c.sum, c.hasSum = other.count, other.integer, other.sum, other.hasSum
	c.buckets.copyFrom(&other.buckets)
}

// subtract takes an earlier point's counts away, and says whether that was possible: it is not when one fell.
func (c *counts) subtract(earlier *counts) bool {
	if c.count < earlier.count {
		return false
	}
	c.count -= earlier.count
	c.sum -= earlier.sum
	c.hasSum = c.hasSum && earlier.hasSum
	return c.buckets.subtract(&earlier.buckets)
}

// table holds the streams, bounded by the number of their signals.
type table struct {
	streams map[seriesidentity.Key]*stream
	held    int
	limit   int
}

// find returns the stream of a key, making it with signals when it is new; nil when there is no room.
func (t *table) find(key seriesidentity.Key, r *rules, kind kind) *stream {
	if s, ok := t.streams[key]; ok {
		return s
	}
	signals := kind.signals(r)
	if t.held+len(signals) > t.limit {
		return nil
	}
	s := &stream{signals: signals}
	t.streams[key] = s
	t.held += len(signals)
	return s
}

// quantile returns the signal for a summary's quantile, nil when there is no room for a new one.
func (t *table) quantile(s *stream, q float64, r *rules, limit int) *signal {
	for i := range s.signals {
		if s.signals[i].quantile == q {
			return &s.signals[i]
		}
	}
	if t.held >= t.limit || len(s.signals) >= limit {
		return nil
	}
	t.held++
	s.signals = append(s.signals, signal{name: quantileName(q), quantile: q, limits: &r.quantile})
	return &s.signals[len(s.signals)-1]
}

// expire forgets the streams that had no new point since the given time and returns the number of their signals.
func (t *table) expire(before time.Time) int {
	dropped := 0
	for key, s := range t.streams {
		if s.arrived < before.UnixNano() {
			dropped += len(s.signals)
			delete(t.streams, key)
		}
	}
	t.held -= dropped
	return dropped
}

// order says whether a point may follow the stream's last one.
func (s *stream) order(t, now, skew int64) reason {
	switch {
	case t <= 0:
		return refusedNoTimestamp
	case t > now+skew:
		return refusedFuture
	case t == s.last:
		return refusedDuplicate
	case t < s.last:
		return refusedOutOfOrder
	default:
		return scored
	}
}

// quantileName is the anomaly.signal of a quantile: 0.5 is p50, 0.999 is p99.9.
func quantileName(q float64) string {
	switch q {
	case 0.5:
		return semconv.SignalP50
	case 0.9:
		return semconv.SignalP90
	case 0.99:
		return semconv.SignalP99
	default:
		return "p" + strconv.FormatFloat(100*q, 'g', 6, 64)
	}
}
