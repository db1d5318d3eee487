package anomalyprocessor

import (
	"strconv"

	"github.com/paramedic-otel/paramedic/internal/baseline"
	"github.com/paramedic-otel/paramedic/internal/seriesidentity"
	"github.com/paramedic-otel/paramedic/semconv"
)

// reason says why a point was not scored.
type reason uint8

const (
	scored reason = iota
	refusedBuckets
	refusedDuplicate
	refusedFuture
	refusedInvalid
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

// signalKind says what a signal is derived from the points.
type signalKind uint8

const (
	signalValue signalKind = iota
	signalRate
	signalMean
	signalQuantile
	signalRatio
)

// signal is one scored series of a stream.
type signal struct {
	// quantile is that of a signalQuantile.
	quantile float64
	// next is the slot of the stream's next signal plus one, shadow that of its state in shadow.
	next, shadow uint32
	what         signalKind
	// explained says that every point is.
	explained bool
	// turned is the onset of the open episode, or the end of the last one.
	turned int64
	series baseline.Series
}

// name is the value of anomaly.signal.
func (s *signal) name() string {
	switch s.what {
	case signalValue:
		return semconv.SignalValue
	case signalRate:
		return semconv.SignalRate
	case signalMean:
		return semconv.SignalMean
	case signalRatio:
		return semconv.SignalRatio
	default:
		return quantileName(s.quantile)
	}
}

// stream is the state of one identity: what its next point is compared with, and its signals. It has no pointers.
//
// What every point needs comes first, what only some need last: less has to come from memory.
type stream struct {
	key seriesidentity.Key
	// arrived is when the last point came, on our clock, that was newer than those before.
	arrived int64
	// last is the timestamp of the last point, 0 before the first.
	last int64
	// gap is the longest recent pause, in nanoseconds.
	gap float32
	// resource and text are the handles of its resource and, once they are needed, of its metric's name and attributes.
	resource, text uint32
	// seen is the number of pauses, up to math.MaxUint16.
	seen    uint16
	kind    kind
	absence absence
	// first is the only signal of most streams; the others are chained to it.
	first signal
	// start is the start of the last point.
	start int64
	// sum, integer and count are the last totals of a counter or summary.
	sum     float64
	integer int64
	count   uint64
	// totals is the slot, plus one, of the last counts of a cumulative histogram or of the join of a ratio.
	totals uint32
	// told is the time of the last score that said it is missing.
	told int64
	// workload identifies the same stream of any instance of its workload; 0 when it has none.
	workload uint64
}

// held says that the record is that of a stream.
func (s *stream) held() bool { return s.kind != kindNone }

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
