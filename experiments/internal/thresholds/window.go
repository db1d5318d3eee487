package thresholds

import (
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

type seriesKey struct{ pod, method, route, topic, errorType string }

// reading is the last point of a cumulative series.
type reading struct {
	start   pcommon.Timestamp
	count   uint64
	buckets []uint64
}

// window sums up the increases of a service's histograms over the last time.
type window struct {
	last   map[seriesKey]reading
	bounds []float64
	steps  []increase
}

type increase struct {
	at      time.Time
	total   float64
	failed  float64
	buckets []float64
}

func (w *window) add(k seriesKey, p pmetric.HistogramDataPoint, failed bool) {
	at := p.Timestamp().AsTime()
	w.bounds = p.ExplicitBounds().AsRaw()
	next := reading{start: p.StartTimestamp(), count: p.Count(), buckets: p.BucketCounts().AsRaw()}
	before, known := w.last[k]
	w.last[k] = next
	if known && before.start == next.start && before.count > next.count {
		return // out of order
	}
	if !known || before.start != next.start {
		before = reading{buckets: make([]uint64, len(next.buckets))}
	}
	if n := len(w.steps); n == 0 || !w.steps[n-1].at.Equal(at) {
		w.steps = append(w.steps, increase{at: at, buckets: make([]float64, len(next.buckets))})
	}
	s := &w.steps[len(w.steps)-1]
	s.total += float64(next.count - before.count)
	if failed {
		s.failed += float64(next.count - before.count)
	}
	for i := range next.buckets {
		s.buckets[i] += float64(next.buckets[i] - before.buckets[i])
	}
}

// sums forgets what is not after a time and adds up the rest.
func (w *window) sums(after time.Time) (total, failed float64, d distribution) {
	w.steps = slices.DeleteFunc(w.steps, func(s increase) bool { return !s.at.After(after) })
	d.bounds = w.bounds
	d.buckets = make([]float64, len(w.bounds)+1)
	for _, s := range w.steps {
		total += s.total
		failed += s.failed
		for i, n := range s.buckets {
			d.buckets[i] += n
		}
	}
	return total, failed, d
}

// distribution is a histogram.
type distribution struct{ bounds, buckets []float64 }

// quantile interpolates within a bucket, as Prometheus does: what lies beyond the last bound is taken for the last bound.
func (d distribution) quantile(q float64) float64 {
	total := 0.0
	for _, n := range d.buckets {
		total += n
	}
	rank, below := q*total, 0.0
	for i, n := range d.buckets {
		if below += n; below < rank || n == 0 {
			continue
		}
		if i == len(d.bounds) {
			return d.bounds[i-1]
		}
		low := 0.0
		if i > 0 {
			low = d.bounds[i-1]
		}
		return low + (d.bounds[i]-low)*(rank-(below-n))/n
	}
	return 0
}
