package verification

import (
	"math"
	"slices"
	"time"
)

// The bounds of what is taken for a histogram. Scales are those of the OpenTelemetry data model's exponential histograms.
const (
	MaxBuckets         = 1024
	minScale, maxScale = -11, 20
)

// Distribution is what a histogram says of a stretch of time: explicit buckets, or exponential ones.
type Distribution struct {
	// Count is how many values there are, and Sum what they add up to, if HasSum.
	Count  uint64
	Sum    float64
	HasSum bool
	// Bounds are the upper bounds of all explicit buckets but the last; Counts has one more.
	Bounds []float64
	Counts []uint64
	// Exponential is set for exponential buckets of base 2^(2^-Scale).
	Exponential        bool
	Scale              int32
	Zero               uint64
	Positive, Negative Side
}

// Side are the exponential buckets on one side of zero: bucket i of Counts has the index Offset+i, and holds the absolute
// values above base^index up to base^(index+1).
type Side struct {
	Offset int32
	Counts []uint64
}

// Valid reports whether the distribution can be read.
func (d *Distribution) Valid() bool {
	if d.Exponential {
		return d.Scale >= minScale && d.Scale <= maxScale && len(d.Positive.Counts)+len(d.Negative.Counts) <= MaxBuckets &&
			d.total() == float64(d.Count)
	}
	if len(d.Counts) == 0 && len(d.Bounds) == 0 {
		return true // count and sum alone
	}
	if len(d.Counts) != len(d.Bounds)+1 || len(d.Counts) > MaxBuckets || d.total() != float64(d.Count) {
		return false
	}
	for i, b := range d.Bounds {
		if math.IsNaN(b) || math.IsInf(b, 0) || i > 0 && b <= d.Bounds[i-1] {
			return false
		}
	}
	return true
}

// total adds up the buckets, in floating point since it must not wrap.
func (d *Distribution) total() float64 {
	n := 0.0
	if d.Exponential {
		n = float64(d.Zero)
	}
	for _, counts := range [][]uint64{d.Counts, d.Positive.Counts, d.Negative.Counts} {
		for _, c := range counts {
			n += float64(c)
		}
	}
	return n
}

// Mean returns the mean of the values; ok is false when there are none, or nothing says what they add up to.
func (d *Distribution) Mean() (mean float64, ok bool) {
	if d.Count == 0 || !d.HasSum || math.IsNaN(d.Sum) || math.IsInf(d.Sum, 0) {
		return 0, false
	}
	return d.Sum / float64(d.Count), true
}

// Quantile returns the range in which the quantile lies, for q between 0 and 1: a point interpolated within its bucket, or
// everything beyond the outermost explicit bound. ok is false when there are no values in buckets.
func (d *Distribution) Quantile(q float64) (low, high float64, ok bool) {
	total := d.total()
	if total == 0 || !(q >= 0 && q <= 1) {
		return 0, 0, false
	}
	rank, seen := q*total, 0.0
	var last bucket
	for b := range d.buckets {
		if b.n == 0 {
			continue
		}
		last = b
		if seen+float64(b.n) >= rank {
			if math.IsInf(b.from, 0) || math.IsInf(b.to, 0) {
				return b.from, b.to, true
			}
			at := b.from + (b.to-b.from)*min(1, max(0, (rank-seen)/float64(b.n)))
			return at, at, true
		}
		seen += float64(b.n)
	}
	return last.from, last.to, true
}

// bucket holds n values between two bounds.
type bucket struct {
	from, to float64
	n        uint64
}

// buckets yields the buckets from the lowest values to the highest.
func (d *Distribution) buckets(yield func(bucket) bool) {
	if !d.Exponential {
		from := math.Inf(-1)
		for i, n := range d.Counts {
			to := math.Inf(1)
			if i < len(d.Bounds) {
				to = d.Bounds[i]
			}
			if i == 0 && to > 0 {
				from = 0 // what is measured against a positive first bound, durations and sizes, is not negative
			}
			if !yield(bucket{from, to, n}) {
				return
			}
			from = to
		}
		return
	}
	bound := func(index int64) float64 { return math.Exp2(math.Ldexp(float64(index), -int(d.Scale))) }
	for i, n := range slices.Backward(d.Negative.Counts) {
		index := int64(d.Negative.Offset) + int64(i)
		if !yield(bucket{-bound(index + 1), -bound(index), n}) {
			return
		}
	}
	if !yield(bucket{n: d.Zero}) {
		return
	}
	for i, n := range d.Positive.Counts {
		index := int64(d.Positive.Offset) + int64(i)
		if !yield(bucket{bound(index), bound(index + 1), n}) {
			return
		}
	}
}

// Histogram turns the points of one histogram into distributions over stretches of time. The zero value is ready.
type Histogram struct {
	known     bool
	start, at time.Time
	before    Distribution
}

// Stretch is a distribution and the time it is of.
type Stretch struct {
	From, At time.Time
	Distribution
}

// Delta takes a point of what was added from start to at. ok is false for one that is late or cannot be read.
func (h *Histogram) Delta(start, at time.Time, d Distribution) (s Stretch, ok bool) {
	if h.known && !at.After(h.at) || !d.Valid() {
		return Stretch{}, false
	}
	from := start
	if zero(from) || from.After(at) {
		from = at
		if h.known {
			from = h.at
		}
	}
	h.known, h.at = true, at
	return Stretch{from, at, d}, true
}

// Cumulative takes a point of what was added from start to at, where start is always the same until the histogram begins
// anew. ok is false as for [Counter.Cumulative]. The slices of d are kept.
func (h *Histogram) Cumulative(start, at time.Time, d Distribution) (s Stretch, ok bool) {
	if h.known && !at.After(h.at) {
		return Stretch{}, false
	}
	if !d.Valid() {
		*h = Histogram{}
		return Stretch{}, false
	}
	before := *h
	*h = Histogram{true, start, at, d}
	if !before.known {
		return Stretch{}, false
	}
	if !reset(before.start, start) {
		if diff, fits := d.minus(&before.before); fits {
			return Stretch{before.at, at, diff}, true
		}
	}
	if !zero(start) && !start.Before(before.at) && start.Before(at) {
		return Stretch{start, at, d}, true
	}
	return Stretch{}, false
}

// Forget makes the next point a first one.
func (h *Histogram) Forget() { *h = Histogram{} }

// minus returns what was added since an earlier point. fits is false when something was taken away, or the buckets are others:
// the histogram began anew.
func (d *Distribution) minus(o *Distribution) (diff Distribution, fits bool) {
	if d.Count < o.Count || d.Exponential != o.Exponential || !slices.Equal(d.Bounds, o.Bounds) || len(d.Counts) != len(o.Counts) {
		return Distribution{}, false
	}
	diff = Distribution{
		Count: d.Count - o.Count, Sum: d.Sum - o.Sum, HasSum: d.HasSum && o.HasSum, Bounds: d.Bounds, Exponential: d.Exponential,
	}
	if !d.Exponential {
		diff.Counts, fits = subtract(d.Counts, o.Counts, 0)
		return diff, fits
	}
	if d.Zero < o.Zero {
		return Distribution{}, false
	}
	diff.Zero, diff.Scale = d.Zero-o.Zero, min(d.Scale, o.Scale)
	var ok [2]bool
	diff.Positive, ok[0] = d.Positive.to(d.Scale - diff.Scale).minus(o.Positive.to(o.Scale - diff.Scale))
	diff.Negative, ok[1] = d.Negative.to(d.Scale - diff.Scale).minus(o.Negative.to(o.Scale - diff.Scale))
	return diff, ok[0] && ok[1]
}

// to merges the buckets into those of a scale that is coarser by so many steps.
func (s Side) to(steps int32) Side {
	if steps <= 0 || len(s.Counts) == 0 {
		return s
	}
	first := int64(s.Offset) >> steps
	last := (int64(s.Offset) + int64(len(s.Counts)) - 1) >> steps
	out := Side{int32(first), make([]uint64, last-first+1)} //nolint:gosec // smaller than the offset it comes from
	for i, n := range s.Counts {
		out.Counts[(int64(s.Offset)+int64(i))>>steps-first] += n
	}
	return out
}

func (s Side) minus(o Side) (Side, bool) {
	counts, ok := subtract(s.Counts, o.Counts, int64(o.Offset)-int64(s.Offset))
	return Side{s.Offset, counts}, ok
}

// subtract takes b, whose first bucket is a's bucket number shift, away from a.
func subtract(a, b []uint64, shift int64) ([]uint64, bool) {
	out := slices.Clone(a)
	for i, n := range b {
		at := int64(i) + shift
		switch {
		case n == 0:
		case at < 0 || at >= int64(len(out)) || out[at] < n:
			return nil, false
		default:
			out[at] -= n
		}
	}
	return out, true
}
