package actionbudget

import (
	"errors"
	"fmt"
	"slices"
)

// Snapshot is the content of a ledger, to be stored as JSON. The zero value is that of an empty ledger.
type Snapshot struct {
	Spent []Spent `json:"spent,omitempty"`
}

// Snapshot returns a copy of the content.
func (l *Ledger) Snapshot() Snapshot { return Snapshot{Spent: slices.Clone(l.spent)} }

// Restore replaces the content; on error it is left as it was. Of more charges than can be kept the newest are.
func (l *Ledger) Restore(s Snapshot) error {
	var errs []error
	keys := map[string]bool{}
	for i, c := range s.Spent {
		if keys[c.Key] {
			errs = append(errs, fmt.Errorf("restore charge %d: its key %q is there twice", i, c.Key))
		}
		keys[c.Key] = true
		if err := c.validate(); err != nil {
			errs = append(errs, fmt.Errorf("restore charge %d: %w", i, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	fresh := slices.Clone(s.Spent)
	slices.SortStableFunc(fresh, func(a, b Spent) int { return a.At.Compare(b.At) })
	l.spent = slices.Delete(fresh, 0, max(0, len(fresh)-l.max))
	return nil
}
