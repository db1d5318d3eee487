package anomalyprocessor

import (
	"math"
	"slices"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// buckets are the bucket counts of a histogram point, of either type, in our own memory.
type buckets struct {
	// explicit says that the buckets lie between bounds, not on an exponential scale.
	explicit bool
	bounds   []float64
	scale    int32
	zero     uint64
	// positive holds the explicit buckets too.
	positive, negative     []uint64
	positiveAt, negativeAt int64
}

func (b *buckets) loadExplicit(p pmetric.HistogramDataPoint) {
	b.explicit, b.bounds = true, b.bounds[:0]
	for _, v := range p.ExplicitBounds().All() {
		b.bounds = append(b.bounds, v)
	}
	b.positive = b.positive[:0]
	for _, v := range p.BucketCounts().All() {
		b.positive = append(b.positive, v)
	}
	b.scale, b.zero, b.negative, b.positiveAt, b.negativeAt = 0, 0, b.negative[:0], 0, 0
}

func (b *buckets) loadExponential(p pmetric.ExponentialHistogramDataPoint) {
	b.explicit, b.bounds = false, b.bounds[:0]
	b.scale, b.zero = p.Scale(), p.ZeroCount()
	b.positive, b.positiveAt = loadSide(b.positive, p.Positive())
	b.negative, b.negativeAt = loadSide(b.negative, p.Negative())
}

func loadSide(into []uint64, side pmetric.ExponentialHistogramDataPointBuckets) ([]uint64, int64) {
	into = into[:0]
	for _, v := range side.BucketCounts().All() {
		into = append(into, v)
	}
	return into, int64(side.Offset())
}

// copyFrom makes b equal to other and keeps b's memory.
func (b *buckets) copyFrom(other *buckets) {
	b.explicit, b.bounds = other.explicit, append(b.bounds[:0], other.bounds...)
	b.positive = append(b.positive[:0], other.positive...)
	b.negative = append(b.negative[:0], other.negative...)
	b.scale, b.zero = other.scale, other.zero
	b.positiveAt, b.negativeAt = other.positiveAt, other.negativeAt
}

// subtract takes an earlier point's counts away, and says whether that was possible: it is not when a count fell.
func (b *buckets) subtract(earlier *buckets) bool {
	if !slices.Equal(b.bounds, earlier.bounds) || b.zero < earlier.zero {
		return false
	}
	b.zero -= earlier.zero
	// An exponential histogram becomes coarser as its range grows. One that became finer began anew.
	shift := int64(earlier.scale) - int64(b.scale)
	if shift < 0 || shift > 62 {
		return false
	}
	return subtractSide(b.positive, b.positiveAt, earlier.positive, earlier.positiveAt, uint(shift)) &&
		subtractSide(b.negative, b.negativeAt, earlier.negative, earlier.negativeAt, uint(shift))
}

func subtractSide(from []uint64, fromAt int64, earlier []uint64, earlierAt int64, shift uint) bool {
	for i, n := range earlier {
		if n == 0 {
			continue
		}
		at := (earlierAt+int64(i))>>shift - fromAt
		if at < 0 || at >= int64(len(from)) || from[at] < n {
			return false
		}
		from[at] -= n
	}
	return true
}

func (b *buckets) total() float64 {
	n := float64(b.zero)
	for _, v := range b.positive {
		n += float64(v)
	}
	for _, v := range b.negative {
		n += float64(v)
	}
	return n
}

// quantile estimates a quantile by interpolation within its bucket; false when the buckets hold nothing.
func (b *buckets) quantile(q float64) (float64, bool) {
	rank := q * b.total()
	if rank <= 0 {
		return 0, false
	}
	if b.explicit {
		return b.explicitQuantile(rank)
	}
	for i := len(b.negative) - 1; i >= 0; i-- {
		if n := float64(b.negative[i]); n > 0 {
			if rank <= n {
				return -b.edge(b.negativeAt+int64(i), 1-rank/n), true
			}
			rank -= n
		}
	}
	if rank <= float64(b.zero) {
		return 0, true
	}
	rank -= float64(b.zero)
	last := 0.0
	for i, v := range b.positive {
		if n := float64(v); n > 0 {
			last = b.edge(b.positiveAt+int64(i), min(1, rank/n))
			if rank <= n {
				break
			}
			rank -= n
		}
	}
	return last, true
}

// edge returns the value at a share of an exponential bucket.
func (b *buckets) edge(index int64, share float64) float64 {
	return math.Exp2(math.Ldexp(float64(index)+share, -int(b.scale)))
}

func (b *buckets) explicitQuantile(rank float64) (float64, bool) {
	if len(b.bounds) == 0 || len(b.positive) != len(b.bounds)+1 {
		return 0, false
	}
	for i, v := range b.positive {
		n := float64(v)
		if rank > n || n == 0 {
			rank -= n
			continue
		}
		switch {
		case i == len(b.bounds):
			return b.bounds[i-1], true
		case i == 0 && b.bounds[0] <= 0:
			return b.bounds[0], true
		case i == 0:
			return b.bounds[0] * rank / n, true
		default:
			return b.bounds[i-1] + (b.bounds[i]-b.bounds[i-1])*rank/n, true
		}
	}
	return b.bounds[len(b.bounds)-1], true
}
