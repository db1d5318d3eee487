package incidentconnector

import (
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// jumpAfter is how many batches in a row must agree that time is elsewhere before it is believed.
const jumpAfter = 8

// clock is the event time of an engine: a watermark that follows the data, but no single wrong clock among them.
type clock struct {
	maxSkew   time.Duration
	watermark time.Time
	// ahead and behind count batches in a row that lie more than maxSkew off; nearest is the nearest of those ahead.
	ahead, behind int
	nearest       time.Time
	// coming is how late it is by the batch that is being taken in, batch is its number, lags are by how much resources are behind, and lag is that
	// of the one whose items are being placed.
	coming time.Time
	batch  int
	lags   lags
	lag    time.Duration
}

// started reports whether any data were seen.
func (c *clock) started() bool { return !c.watermark.IsZero() }

// place returns at which time an item counts: its own, moved by how much all of its resource's are behind, or the watermark when
// its clock is ahead by too much.
func (c *clock) place(t time.Time) (at time.Time, skewed bool) {
	t = t.Add(c.lag)
	if c.started() && t.Sub(c.watermark) > c.maxSkew {
		return c.watermark, true
	}
	return t, false
}

// eachTime visits the times of the items of a batch; 0 is that of one without.
type eachTime func(visit func(pcommon.Timestamp))

// timeOf returns how late it is by a batch, zero when nothing in it says so: the newest time of its items, but without those
// that are far ahead of most, for batches are of many hosts, of which one may have a wrong clock.
func (c *clock) timeOf(each eachTime) time.Time {
	from := c.watermark
	if !c.started() {
		from = median(each)
	}
	near, far := 0, 0
	var nearest time.Time
	newest := newestBefore(each, from.Add(c.maxSkew), func(t time.Time, before bool) {
		if before {
			near++
		} else if far++; far == 1 || t.Before(nearest) {
			nearest = t
		}
	})
	if far > near {
		return newestBefore(each, nearest.Add(c.maxSkew), func(time.Time, bool) {})
	}
	return newest
}

// newestBefore returns the newest time of a batch that is not after a limit, and tells of each on which side of it it is.
func newestBefore(each eachTime, limit time.Time, tell func(t time.Time, before bool)) (newest time.Time) {
	each(func(ts pcommon.Timestamp) {
		if ts == 0 {
			return
		}
		t := ts.AsTime()
		if before := !t.After(limit); before && t.After(newest) {
			newest = t
		}
		tell(t, !t.After(limit))
	})
	return newest
}

// median returns the time that half of a batch is not after.
func median(each eachTime) time.Time {
	var times []int64
	each(func(ts pcommon.Timestamp) {
		if ts != 0 {
			times = append(times, ts.AsTime().UnixNano())
		}
	})
	if len(times) == 0 {
		return time.Time{}
	}
	slices.Sort(times)
	return time.Unix(0, times[(len(times)-1)/2]).UTC()
}

// metricTimes visits the times of the points of a batch, but for those of our own metrics.
func metricTimes(md pmetric.Metrics) eachTime {
	return func(visit func(pcommon.Timestamp)) {
		for _, rm := range md.ResourceMetrics().All() {
			if ours(rm) {
				continue
			}
			resourceMetricTimes(rm)(visit)
		}
	}
}

func pointTimes(m pmetric.Metric, visit func(pcommon.Timestamp)) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			visit(p.Timestamp())
		}
	case pmetric.MetricTypeSum:
		for _, p := range m.Sum().DataPoints().All() {
			visit(p.Timestamp())
		}
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			visit(p.Timestamp())
		}
	case pmetric.MetricTypeExponentialHistogram:
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			visit(p.Timestamp())
		}
	case pmetric.MetricTypeSummary:
		for _, p := range m.Summary().DataPoints().All() {
			visit(p.Timestamp())
		}
	}
}

// recordTimes visits the times of the records of a batch.
func recordTimes(ld plog.Logs) eachTime {
	return func(visit func(pcommon.Timestamp)) {
		for _, rl := range ld.ResourceLogs().All() {
			resourceRecordTimes(rl)(visit)
		}
	}
}

// timeOfRecord returns when a record was written, or else when it was first seen; 0 when neither is known.
func timeOfRecord(lr plog.LogRecord) pcommon.Timestamp {
	if ts := lr.Timestamp(); ts != 0 {
		return ts
	}
	return lr.ObservedTimestamp()
}

// observe moves the watermark to the time of a batch. It returns true when time went back, because the data lie
// constantly in the past: a wrong clock had set the watermark, or somebody sends what was held up.
func (c *clock) observe(newest time.Time) (back bool) {
	if !c.started() {
		c.watermark = newest
		return false
	}
	switch d := newest.Sub(c.watermark); {
	case d > c.maxSkew:
		c.behind = 0
		if c.ahead++; c.ahead == 1 || newest.Before(c.nearest) {
			c.nearest = newest
		}
		if c.ahead >= jumpAfter {
			c.watermark, c.ahead = c.nearest, 0
		}
	case d < -c.maxSkew:
		c.ahead = 0
		if c.behind++; c.behind >= jumpAfter {
			c.watermark, c.behind = newest, 0
			return true
		}
	default:
		c.ahead, c.behind = 0, 0
		if d > 0 {
			c.watermark = newest
		}
	}
	return false
}

// pass moves the watermark on by itself.
func (c *clock) pass(to time.Time) {
	if c.started() && to.After(c.watermark) {
		c.watermark = to
	}
}
