package circuitbreaker

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Snapshot is the content of a set, to be stored as JSON. The zero value is that of an empty set.
type Snapshot struct {
	Breakers map[string]*Breaker `json:"breakers,omitempty"`
}

// Snapshot returns a copy of the content.
func (s *Set) Snapshot() Snapshot {
	return Snapshot{Breakers: clone(s.breakers)}
}

// Restore replaces the content; on error it is left as it was. What no longer fits into the settings is dropped: closed
// breakers before others, and those that were not touched for longest first.
func (s *Set) Restore(snap Snapshot) error {
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(snap.Breakers)) {
		b := snap.Breakers[key]
		if b == nil {
			errs = append(errs, fmt.Errorf("restore breaker %q: it is null", key))
			continue
		}
		if err := b.validate(); err != nil {
			errs = append(errs, fmt.Errorf("restore breaker %q: %w", key, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fresh := clone(snap.Breakers)
	keys := slices.SortedFunc(maps.Keys(fresh), func(x, y string) int {
		a, b := fresh[x], fresh[y]
		return cmp.Or(order(a.State)-order(b.State), b.Touched.Compare(a.Touched), cmp.Compare(x, y))
	})
	for _, key := range keys[min(len(keys), s.settings.MaxKeys):] {
		delete(fresh, key)
	}
	for _, b := range fresh {
		b.Actions = slices.Delete(b.Actions, 0, max(0, len(b.Actions)-s.settings.MaxActions))
		b.Outcomes = slices.Delete(b.Outcomes, 0, max(0, len(b.Outcomes)-s.settings.RateOutcomes))
	}
	s.breakers, s.swept = fresh, 0
	return nil
}

func order(s State) int {
	if s == Closed {
		return 1
	}
	return 0
}

func clone(in map[string]*Breaker) map[string]*Breaker {
	out := make(map[string]*Breaker, len(in))
	for key, b := range in {
		c := *b
		c.Actions, c.Outcomes = slices.Clone(b.Actions), slices.Clone(b.Outcomes)
		out[key] = &c
	}
	return out
}
