package incidentconnector

import "time"

// jumpAfter is how many batches in a row must agree that time is elsewhere before it is believed.
const jumpAfter = 8

// clock is the event time of an engine: a watermark that follows the data, but no single wrong clock among them.
type clock struct {
	maxSkew   time.Duration
	watermark time.Time
	// ahead and behind count batches in a row that lie more than maxSkew off; nearest is the nearest of those ahead.
	ahead, behind int
	nearest       time.Time
}

// started reports whether any data were seen.
func (c *clock) started() bool { return !c.watermark.IsZero() }

// place returns at which time an item counts: its own, or the watermark when its clock is ahead by too much.
func (c *clock) place(t time.Time) (at time.Time, skewed bool) {
	if c.started() && t.Sub(c.watermark) > c.maxSkew {
		return c.watermark, true
	}
	return t, false
}

// observe moves the watermark to the newest time of a batch. It returns true when time went back, because the data lie
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
