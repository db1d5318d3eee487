package outcomes

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Snapshot is the content of a tracker, to be stored as JSON. The zero value is that of one that knows nothing.
type Snapshot struct {
	Pairs []Pair `json:"pairs,omitempty"`
}

// Pair is a cause kind and a playbook with the outcomes as they counted at a time.
type Pair struct {
	Kind     string `json:"kind"`
	Playbook string `json:"playbook"`
	Counts
	At time.Time `json:"at"`
}

// Snapshot returns a copy of the content, sorted by kind and playbook.
func (t *Tracker) Snapshot() Snapshot {
	var s Snapshot
	for _, k := range t.keys() {
		m := t.pairs[k]
		s.Pairs = append(s.Pairs, Pair{k.kind, k.playbook, m.counts, m.at})
	}
	return s
}

// maxCount bounds each count: more actions than anybody takes.
const maxCount = 1e6

// Restore replaces the content; on error it is left as it was. Of more pairs than can be kept, those that were recorded last
// are.
func (t *Tracker) Restore(s Snapshot) error {
	var errs []error
	pairs := map[pair]*memory{}
	sorted := slices.Clone(s.Pairs)
	slices.SortStableFunc(sorted, func(a, b Pair) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Playbook, b.Playbook))
	})
	for _, p := range sorted {
		key := pair{p.Kind, p.Playbook}
		if pairs[key] != nil {
			errs = append(errs, fmt.Errorf("restore outcomes of %q against %q: they are there twice", p.Playbook, p.Kind))
		}
		for _, n := range []float64{p.Recovered, p.Ineffective, p.Reverted, p.Inconclusive} {
			if !(n >= 0 && n <= maxCount) {
				errs = append(errs, fmt.Errorf("restore outcomes of %q against %q: counts must be between 0 and %v, got %v", p.Playbook, p.Kind, maxCount, n))
			}
		}
		pairs[key] = &memory{p.Counts, p.At}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, p := range sorted[min(len(sorted), t.settings.MaxPairs):] {
		delete(pairs, pair{p.Kind, p.Playbook})
	}
	t.pairs = pairs
	return nil
}
