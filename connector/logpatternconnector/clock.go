package logpatternconnector

import "time"

// jumpAfter is how many batches in a row must agree that time is elsewhere before it is believed.
const jumpAfter = 8

// clock is the event time of an engine, in nanoseconds since 1970: a watermark that follows the records, but no single wrong
// clock among them.
type clock struct {
	maxSkew   int64
	watermark int64
	started   bool
	// moved is when, on the clock on the wall, the watermark last moved, and slack how much time has passed there since: so much
	// may have passed for the records too.
	moved time.Time
	slack int64
	// skipped is how much of the time that has passed the watermark was not there for: it jumped.
	skipped int64
	// ahead and behind count batches in a row that lie more than maxSkew off; nearest is the nearest of those ahead.
	ahead, behind int
	nearest       int64
}

// batch collects the times of a batch.
type batchTimes struct {
	// newest is the newest of those that are believed, nearest the oldest of those too far ahead; 0 when there are none.
	newest, nearest int64
	near, far       int
}

// begin starts a batch that comes now.
func (c *clock) begin(now time.Time) {
	if c.slack = 0; c.started {
		c.slack = max(0, int64(now.Sub(c.moved)))
	}
}

// place returns at which time a record counts: its own, or the watermark when its clock is ahead by too much.
func (c *clock) place(t int64, b *batchTimes) (at int64, skewed bool) {
	if !c.started {
		c.watermark, c.started = t, true
	}
	if t-c.watermark-c.slack > c.maxSkew {
		if b.far++; b.far == 1 || t < b.nearest {
			b.nearest = t
		}
		return max(c.watermark, b.newest), true
	}
	b.near++
	b.newest = max(b.newest, t)
	return t, false
}

// observe moves the watermark to the time of a batch. It returns true when time went back, because the records lie constantly in
// the past: a wrong clock had set the watermark, or somebody sends what was held up.
func (c *clock) observe(b *batchTimes, now time.Time) (back bool) {
	before := c.watermark
	defer func() {
		if c.watermark != before || c.moved.IsZero() {
			c.moved = now
		}
	}()
	if b.far > b.near {
		c.behind = 0
		if c.ahead++; c.ahead == 1 || b.nearest < c.nearest {
			c.nearest = b.nearest
		}
		if c.ahead >= jumpAfter {
			c.skipped += c.nearest - c.watermark
			c.watermark, c.ahead = c.nearest, 0
		}
		return false
	}
	if b.near == 0 {
		return false
	}
	c.ahead = 0
	if c.watermark-b.newest > c.maxSkew {
		if c.behind++; c.behind >= jumpAfter {
			c.skipped = max(0, c.skipped-(c.watermark-b.newest))
			c.watermark, c.behind = b.newest, 0
			return true
		}
		return false
	}
	c.behind = 0
	c.watermark = max(c.watermark, b.newest)
	return false
}

// arrival keeps when, on the clock on the wall, records last came.
type arrival struct {
	last    time.Time
	settled bool
}

// idle reports whether nothing came for so long, once for each pause.
func (a *arrival) idle(now time.Time, timeout time.Duration) bool {
	if a.settled || a.last.IsZero() || now.Sub(a.last) < timeout {
		return false
	}
	a.settled = true
	return true
}
