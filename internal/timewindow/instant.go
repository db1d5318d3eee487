package timewindow

import "time"

// instants returns the first and the last moment at which the clock on the wall of the zone shows so many minutes after the
// midnight that begins the date; when it never does, because the clock jumps over that time, both are the moment of the jump.
func instants(year int, month time.Month, dayOfMonth, minute int, zone *time.Location) (first, last time.Time) {
	// wall is what the clock shows, written as if it were UTC.
	wall := time.Date(year, month, dayOfMonth, 0, minute, 0, 0, time.UTC)
	guess := time.Date(year, month, dayOfMonth, 0, minute, 0, 0, zone)
	before, after := guess.ZoneBounds()
	found := false
	for _, probe := range []time.Time{before.Add(-1), guess, after} {
		_, offset := probe.In(zone).Zone()
		t := wall.Add(-time.Duration(offset) * time.Second)
		if _, there := t.In(zone).Zone(); there != offset {
			continue
		}
		if !found || t.Before(first) {
			first = t
		}
		if !found || t.After(last) {
			last = t
		}
		found = true
	}
	if found {
		return first, last
	}
	// The jump is the end of the zone in which the guess lies, or its beginning, whichever is nearer.
	jump := before
	if before.IsZero() || (!after.IsZero() && after.Sub(guess) < guess.Sub(before)) {
		jump = after
	}
	return jump, jump
}
