package timewindow

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Set is all windows that hold for something.
type Set struct {
	windows []window
}

// New returns a set, or everything that is wrong with its windows. Names must differ.
func New(windows []Window) (*Set, error) {
	s := &Set{}
	var errs []error
	names := map[string]bool{}
	for i, w := range windows {
		c, err := w.compile()
		if err != nil {
			errs = append(errs, fmt.Errorf("window %d: %w", i, err))
		}
		if w.Name != "" && names[w.Name] {
			errs = append(errs, fmt.Errorf("window %d: name must be given once, got %q again", i, w.Name))
		}
		names[w.Name] = true
		s.windows = append(s.windows, c)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// Verdict is the answer to whether it is a time to act.
type Verdict struct {
	OK bool
	// Window is the deny window that holds; empty when OK, or when it is the lack of an allow window.
	Window string
	Detail string
	// Until is when the answer changes: when acting is possible again, or when it no longer is. Zero when that never comes, or
	// only after more than a hundred windows that touch.
	Until time.Time
}

// Check says whether it is a time to act.
func (s *Set) Check(t time.Time) Verdict {
	v, until := s.at(t)
	// The answer may be the same in another window after that.
	for range maxSteps {
		if until.IsZero() {
			break
		}
		next, then := s.at(until)
		if next.OK != v.OK {
			v.Until = until
			break
		}
		until = then
	}
	if !v.OK && !v.Until.IsZero() {
		v.Detail += ", until " + v.Until.UTC().Format(time.RFC3339)
	}
	return v
}

// maxSteps bounds how many windows in a row are looked at that lead to the same answer.
const maxSteps = 100

// at returns the answer at a time, and until when it stands at least; zero for ever.
func (s *Set) at(t time.Time) (v Verdict, until time.Time) {
	allows := 0
	var denied string
	// The latest end of the windows that hold, and the next beginning of those that do not, by kind.
	var denyEnd, allowEnd, denyBegin, allowBegin change
	for _, w := range s.windows {
		in, at := w.until(t)
		switch {
		case w.kind == Deny && in:
			if !denyEnd.set {
				denied = w.name
			}
			denyEnd.latest(at)
		case w.kind == Deny:
			denyBegin.earliest(at)
		case in:
			allows++
			allowEnd.latest(at)
		default:
			allows++
			allowBegin.earliest(at)
		}
	}
	switch {
	case denyEnd.set:
		return Verdict{Window: denied, Detail: fmt.Sprintf("the window %q holds everything back", denied)}, denyEnd.at
	case allows > 0 && !allowEnd.set:
		return Verdict{Detail: "none of the windows in which acting is allowed is open"}, allowBegin.at
	default:
		if allowEnd.set {
			denyBegin.earliest(allowEnd.at)
		}
		return Verdict{OK: true}, denyBegin.at
	}
}

// change is a moment at which something changes; a zero time is never.
type change struct {
	at  time.Time
	set bool
}

func (c *change) latest(t time.Time) {
	if !c.set || t.IsZero() || (!c.at.IsZero() && t.After(c.at)) {
		c.at = t
	}
	c.set = true
}

func (c *change) earliest(t time.Time) {
	if c.at.IsZero() || (!t.IsZero() && t.Before(c.at)) {
		c.at = t
	}
	c.set = true
}

// Active returns the names of the windows that a time is in, sorted. Comparing two calls tells what began and ended.
func (s *Set) Active(t time.Time) []string {
	out := []string{}
	for _, w := range s.windows {
		if w.contains(t) {
			out = append(out, w.name)
		}
	}
	slices.Sort(out)
	return out
}

// Contains reports whether a time is in the window of that name.
func (s *Set) Contains(name string, t time.Time) bool {
	i := slices.IndexFunc(s.windows, func(w window) bool { return w.name == name })
	return i >= 0 && s.windows[i].contains(t)
}

// Until returns when the window of that name ends, for a time in it, or else begins next. It is zero when it never does.
func (s *Set) Until(name string, t time.Time) (inside bool, change time.Time) {
	i := slices.IndexFunc(s.windows, func(w window) bool { return w.name == name })
	if i < 0 {
		return false, time.Time{}
	}
	return s.windows[i].until(t)
}

func (w window) contains(t time.Time) bool {
	in, _ := w.span(t, 1)
	return in
}

// until says whether a time is in the window, and when that changes. Occurrences that touch are one.
func (w window) until(t time.Time) (inside bool, change time.Time) {
	inside, change = w.span(t, horizon)
	if !inside || w.weekless() {
		return inside, change
	}
	for range horizon {
		more, end := w.span(change, 1)
		if !more {
			return true, change
		}
		change = end
	}
	return true, time.Time{}
}

func (w window) weekless() bool { return !w.start.IsZero() }

// horizon is how many days ahead are looked at: a week, and as much again for a day on which the window is empty because the
// clock jumps over it.
const horizon = 15

// span returns the end of the occurrence in which a time is, the latest where several overlap, or else the beginning of the
// next within so many days; zero when there is none.
func (w window) span(t time.Time, days int) (inside bool, change time.Time) {
	if w.weekless() {
		switch {
		case t.Before(w.start):
			return false, w.start
		case t.Before(w.end):
			return true, w.end
		default:
			return false, time.Time{}
		}
	}
	local := t.In(w.zone)
	year, month, date := local.Date()
	var end, next time.Time
	// No occurrence is longer than a day, so that yesterday's is the first that may go on. The last that does ends last: in the
	// hour that comes twice two may overlap. What begins after tomorrow neither contains the time nor comes before what begins until then.
	for ahead := -1; ahead <= days && (ahead <= 1 || end.IsZero() && next.IsZero()); ahead++ {
		if !w.days[time.Date(year, month, date+ahead, 0, 0, 0, 0, time.UTC).Weekday()] {
			continue
		}
		begin, _ := instants(year, month, date+ahead, w.from, w.zone)
		_, finish := instants(year, month, date+ahead, w.to, w.zone)
		switch {
		case !begin.Before(finish):
		case !t.Before(begin) && t.Before(finish):
			end = finish
		case t.Before(begin) && (next.IsZero() || begin.Before(next)):
			next = begin
		}
	}
	if !end.IsZero() {
		return true, end
	}
	return false, next
}
