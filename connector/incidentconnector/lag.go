package incidentconnector

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// lagBatches is how many batches in a row of a resource must lie behind by about the same for that to be its clock's doing, or
// that of a long way.
const lagBatches = 6

// lag is by how much a resource is behind all others. A clock that is wrong by a constant, or a way that takes constantly
// longer, is no event: what comes from there would always be late, and be counted when it comes, in lumps. Moved by its lag it is
// counted at the distances in time that it tells.
type lag struct {
	// behind are how far the newest item of each of the last batches was behind the watermark, in a ring, and n how many
	// batches there were; batch is the number of the last one.
	behind   [lagBatches]time.Duration
	n, batch int
	by       time.Duration
	seen     time.Time
}

// lags holds the lags of resources. It is bounded by limit; further resources have none.
type lags struct {
	limit int
	of    map[[16]byte]*lag
	// tolerated is what any item may be behind by, and by how much more or less the batches of one resource are. Who is
	// behind by more than most tells of the past.
	tolerated, most time.Duration
}

// note learns from the newest time of a resource's items in a batch, or in a part of one, given the batch's number and the
// watermark, and returns the lag.
func (l *lags) note(resource [16]byte, batch int, newest, watermark time.Time) time.Duration {
	one := l.of[resource]
	if one == nil {
		if len(l.of) >= l.limit {
			return 0
		}
		one = &lag{}
		l.of[resource] = one
	}
	behind := max(0, watermark.Sub(newest))
	if one.n > 0 && one.batch == batch {
		last := &one.behind[(one.n-1)%lagBatches]
		*last = min(*last, behind)
	} else {
		one.behind[one.n%lagBatches], one.batch, one.seen = behind, batch, watermark
		one.n++
	}
	if one.n < lagBatches {
		return 0
	}
	least, most := one.behind[0], one.behind[0]
	for _, d := range one.behind[1:] {
		least, most = min(least, d), max(most, d)
	}
	switch steady := most-least <= l.tolerated; {
	case steady && (least <= l.tolerated || most > l.most):
		one.by = 0
	case steady && (least-one.by).Abs() > l.tolerated/2:
		one.by = least
	}
	// Nothing is moved past the watermark: who has caught up lags no more.
	return min(one.by, behind)
}

// forget drops the resources from which nothing has come since a time.
func (l *lags) forget(before time.Time) {
	for resource, one := range l.of {
		if one.seen.Before(before) {
			delete(l.of, resource)
		}
	}
}

// enter says that the items which are placed from now on are those of a resource in a batch.
func (c *clock) enter(resource [16]byte, each eachTime) {
	c.lag = 0
	if !c.started() {
		return
	}
	// Far ahead is another matter.
	if newest := newestBefore(each, c.latest().Add(c.maxSkew), func(time.Time, bool) {}); !newest.IsZero() {
		c.lag = c.lags.note(resource, c.batch, newest, c.latest())
	}
}

// latest returns the watermark as the batch that is taken in will leave it.
func (c *clock) latest() time.Time {
	if c.coming.After(c.watermark) && c.coming.Sub(c.watermark) <= c.maxSkew {
		return c.coming
	}
	return c.watermark
}

func resourceMetricTimes(rm pmetric.ResourceMetrics) eachTime {
	return func(visit func(pcommon.Timestamp)) {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				pointTimes(m, visit)
			}
		}
	}
}

func resourceRecordTimes(rl plog.ResourceLogs) eachTime {
	return func(visit func(pcommon.Timestamp)) {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				visit(timeOfRecord(lr))
			}
		}
	}
}
