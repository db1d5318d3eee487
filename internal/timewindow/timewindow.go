// Package timewindow knows when nothing may act: maintenance windows and change freezes, and the hours outside of which
// nobody would be there to look.
//
// A window is weekly (days, from, to, in a time zone) or absolute (start, end). Inside a deny window nothing acts; observing and
// suggesting go on. Where there are allow windows, acting is possible only inside one of them. Deny wins.
//
// Weekly windows follow the clock on the wall of their time zone, and are right on the days on which it is changed: a window
// begins at the first moment at which that clock shows from, or has jumped past it, and ends at the last at which it shows
// to, or has jumped past it. So an hour that comes twice belongs to the window both times, and one that is left out does not
// break it. A window from 22:00 to 06:00 belongs to the day on which it begins.
//
// Time zones are looked up in the system's database. Binaries that may run without one, such as in an empty container image,
// import time/tzdata themselves; a library that did would put half a megabyte into every binary.
//
// Time is an argument and nothing is remembered, so there is no state to store. A [Set] may be used concurrently.
package timewindow

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind is what a window is for.
type Kind string

// The kinds.
const (
	// Deny windows stop everything.
	Deny Kind = "deny"
	// Allow windows are the only time to act.
	Allow Kind = "allow"
)

// Window is one window as it is configured: with Start and End, or with From and To.
type Window struct {
	Name string `json:"name" mapstructure:"name"`
	Kind Kind   `json:"kind" mapstructure:"kind"`
	// Days are days or ranges of days on which the window begins, such as "mon-fri" or "sat"; empty for every day.
	Days []string `json:"days,omitempty" mapstructure:"days"`
	// From and To are times of the day, 00:00 to 24:00. With To at or before From the window ends on the next day.
	From string `json:"from,omitempty" mapstructure:"from"`
	To   string `json:"to,omitempty" mapstructure:"to"`
	// Timezone is a name of the IANA database, such as "Europe/Berlin"; empty for UTC.
	Timezone string `json:"timezone,omitempty" mapstructure:"timezone"`
	// Start and End are moments in RFC 3339; the end does not belong to the window.
	Start string `json:"start,omitempty" mapstructure:"start"`
	End   string `json:"end,omitempty" mapstructure:"end"`
}

// Validate names everything that is wrong with the window.
func (w Window) Validate() error {
	_, err := w.compile()
	return err
}

// window is a window that is ready to be asked.
type window struct {
	name string
	kind Kind
	// start and end are those of an absolute window.
	start, end time.Time
	// days, from and to, in minutes since midnight, are those of a weekly one, in zone; to may be past 24 hours.
	days     [7]bool
	from, to int
	zone     *time.Location
}

const day = 24 * 60

func (w Window) compile() (window, error) {
	out := window{name: w.Name, kind: w.Kind, zone: time.UTC}
	var errs []error
	if w.Name == "" {
		errs = append(errs, errors.New("name must be set; it says which window it was that held an action back"))
	}
	if w.Kind != Deny && w.Kind != Allow {
		errs = append(errs, fmt.Errorf("kind must be %q or %q, got %q", Deny, Allow, w.Kind))
	}
	absolute, weekly := w.Start != "" || w.End != "", w.From != "" || w.To != "" || len(w.Days) > 0 || w.Timezone != ""
	switch {
	case absolute && weekly:
		errs = append(errs, errors.New("a window has start and end, or days, from, to and timezone, and not both; make it two"))
	case absolute:
		errs = append(errs, out.compileAbsolute(w))
	default:
		errs = append(errs, out.compileWeekly(w))
	}
	return out, errors.Join(errs...)
}

func (w *window) compileAbsolute(c Window) error {
	var startErr, endErr error
	if w.start, startErr = time.Parse(time.RFC3339, c.Start); startErr != nil {
		startErr = fmt.Errorf("start must be a time such as 2026-12-24T18:00:00+01:00, got %q", c.Start)
	}
	if w.end, endErr = time.Parse(time.RFC3339, c.End); endErr != nil {
		endErr = fmt.Errorf("end must be a time such as 2026-12-27T06:00:00+01:00, got %q", c.End)
	}
	if startErr == nil && endErr == nil && !w.start.Before(w.end) {
		return fmt.Errorf("end must be after start, got %s and %s", c.End, c.Start)
	}
	return errors.Join(startErr, endErr)
}

func (w *window) compileWeekly(c Window) error {
	var errs []error
	for _, days := range c.Days {
		if err := w.addDays(days); err != nil {
			errs = append(errs, err)
		}
	}
	if len(c.Days) == 0 {
		w.days = [7]bool{true, true, true, true, true, true, true}
	}
	var fromErr, toErr error
	if w.from, fromErr = minutes(c.From); fromErr != nil || w.from == day {
		fromErr = fmt.Errorf("from must be a time of the day from 00:00 to 23:59, got %q", c.From)
	}
	if w.to, toErr = minutes(c.To); toErr != nil {
		toErr = fmt.Errorf("to must be a time of the day from 00:00 to 24:00, got %q", c.To)
	}
	errs = append(errs, fromErr, toErr)
	if fromErr == nil && toErr == nil && w.from == w.to {
		errs = append(errs, fmt.Errorf("to must not be from, got %s twice; for a whole day write from 00:00 to 24:00", c.From))
	}
	if w.to < w.from {
		w.to += day
	}
	zone, err := time.LoadLocation(c.Timezone)
	if err != nil || c.Timezone == "Local" {
		errs = append(errs, fmt.Errorf("timezone must be a name of the IANA database such as Europe/Berlin that this system knows, got %q", c.Timezone))
	} else {
		w.zone = zone
	}
	return errors.Join(errs...)
}

var dayNames = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// addDays reads a day or a range of days, which may go over the weekend.
func (w *window) addDays(s string) error {
	first, last, isRange := strings.Cut(strings.ToLower(s), "-")
	if !isRange {
		last = first
	}
	a, b := slices.Index(dayNames, strings.TrimSpace(first)), slices.Index(dayNames, strings.TrimSpace(last))
	if a < 0 || b < 0 {
		return fmt.Errorf("days must be days such as mon, or ranges such as mon-fri, got %q", s)
	}
	for d := a; ; d = (d + 1) % 7 {
		w.days[d] = true
		if d == b {
			return nil
		}
	}
}

// minutes reads hh:mm.
func minutes(s string) (int, error) {
	if s == "24:00" {
		return day, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, fmt.Errorf("not a time of the day: %q", s)
	}
	return t.Hour()*60 + t.Minute(), nil
}
