package stormgate

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Snapshot is the content of a gate, to be stored as JSON. The zero value is that of an open gate.
type Snapshot struct {
	// Openings are the last MaxIncidents+1 and Starts the last MaxActions, oldest first.
	Openings []Opening `json:"openings,omitempty"`
	Starts   []Start   `json:"starts,omitempty"`
	// BusyUntil is since when, or from when on, fewer than half of MaxIncidents are within the window.
	BusyUntil time.Time `json:"busy_until,omitzero"`
	Storm     bool      `json:"storm,omitempty"`
	Began     time.Time `json:"began,omitzero"`
	// CatchUp is when the catch-up that goes on began.
	CatchUp time.Time `json:"catch_up,omitzero"`
}

// Snapshot returns a copy of the content.
func (g *Gate) Snapshot() Snapshot { return g.state.clone() }

// Restore replaces the content; on error it is left as it was. Of more than can be kept the newest is.
func (g *Gate) Restore(s Snapshot) error {
	var errs []error
	if s.Storm == s.Began.IsZero() {
		errs = append(errs, fmt.Errorf("restore storm gate: a storm, and nothing else, has a beginning, got storm %t that began at %s", s.Storm, s.Began))
	}
	incidents, keys := map[string]bool{}, map[string]bool{}
	for _, o := range s.Openings {
		if incidents[o.Incident] {
			errs = append(errs, fmt.Errorf("restore storm gate: incident %q opened twice", o.Incident))
		}
		incidents[o.Incident] = true
	}
	for _, a := range s.Starts {
		if keys[a.Key] {
			errs = append(errs, fmt.Errorf("restore storm gate: action %q started twice", a.Key))
		}
		keys[a.Key] = true
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fresh := s.clone()
	slices.SortStableFunc(fresh.Openings, func(a, b Opening) int { return a.At.Compare(b.At) })
	slices.SortStableFunc(fresh.Starts, func(a, b Start) int { return a.At.Compare(b.At) })
	fresh.Openings = slices.Delete(fresh.Openings, 0, max(0, len(fresh.Openings)-g.settings.MaxIncidents-1))
	fresh.Starts = slices.Delete(fresh.Starts, 0, max(0, len(fresh.Starts)-g.settings.MaxActions))
	g.state = fresh
	return nil
}

func (s Snapshot) clone() Snapshot {
	s.Openings, s.Starts = slices.Clone(s.Openings), slices.Clone(s.Starts)
	return s
}
