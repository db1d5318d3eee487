package verification

import (
	"math"
	"time"
)

// Counter turns the points of one sum into rates. The zero value is ready. It is the caller's to bound how many there are.
type Counter struct {
	known     bool
	start, at time.Time
	value     float64
}

// Rate is a change per second over a stretch of time.
type Rate struct {
	From, At time.Time
	Value    float64
}

// Delta takes a point whose value is what was added from start to at. ok is false when that gives no rate: the point is
// late, its value is negative or not finite, or nothing tells its length (a zero start, and no point before).
func (c *Counter) Delta(start, at time.Time, value float64) (r Rate, ok bool) {
	if c.known && !at.After(c.at) {
		return Rate{}, false
	}
	from := start
	if zero(from) || !from.Before(at) {
		from = c.at
	}
	known := c.known || from.Equal(start) && from.Before(at)
	c.known, c.start, c.at = true, start, at
	if !known || !countable(value) {
		return Rate{}, false
	}
	return Rate{from, at, value / at.Sub(from).Seconds()}, true
}

// Cumulative takes a point whose value is what was added from start to at, where start is always the same until the counter
// begins anew. ok is false for the first point, a late one, one that is negative or not finite, and one after a reset that
// does not tell when it was.
func (c *Counter) Cumulative(start, at time.Time, value float64) (r Rate, ok bool) {
	if c.known && !at.After(c.at) {
		return Rate{}, false
	}
	before := *c
	if !countable(value) {
		*c = Counter{}
		return Rate{}, false
	}
	*c = Counter{true, start, at, value}
	switch {
	case !before.known:
		return Rate{}, false
	case !reset(before.start, start) && value >= before.value:
		return Rate{before.at, at, (value - before.value) / at.Sub(before.at).Seconds()}, true
	case !zero(start) && !start.Before(before.at) && start.Before(at):
		return Rate{start, at, value / at.Sub(start).Seconds()}, true
	default:
		return Rate{}, false
	}
}

// Forget makes the next point a first one, such as after a mark that no value was recorded.
func (c *Counter) Forget() { *c = Counter{} }

// reset reports whether a start says that the counter began anew.
func reset(before, start time.Time) bool { return !zero(start) && !zero(before) && start.After(before) }

// zero reports whether a time is none: that of Go, or that of the data model, which is the epoch.
func zero(t time.Time) bool { return t.IsZero() || t.UnixNano() == 0 }

func countable(v float64) bool { return v >= 0 && !math.IsInf(v, 1) }
