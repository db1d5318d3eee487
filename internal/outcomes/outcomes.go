// Package outcomes learns from verified outcomes which playbook helps against which kind of cause, and orders playbooks by it.
//
// Each pair of a cause kind and a playbook has counts of what became of its actions, which fade exponentially, so that what
// helped last year does not outweigh what helps now. The share of successes that is to be expected is a Beta distribution around
// them, starting from the uniform one. Playbooks are ordered by Thompson sampling (W. R. Thompson, "On the likelihood that
// one unknown probability exceeds another", Biometrika 25, 1933; O. Chapelle, L. Li, "An Empirical Evaluation of Thompson
// Sampling", NIPS 2011): each draws a share from its distribution, and the highest goes first. So the best one is chosen as
// often as it is likely to be the best, and one that had bad luck is tried again now and then. The draw is a hash of the
// incident, the cause kind and the playbook, so that the same incident with the same past is always decided alike.
//
// It guards against the row "success assumed" of the failure modes of the safety design, by these rules:
//
//   - Only a verified recovery is a success. Ineffective and reverted actions are failures. An inconclusive one is never a
//     success: it counts as half a failure, so that what cannot be seen to help falls behind what can.
//   - The given order stays until MinOutcomes verified outcomes are known for the cause kind.
//   - A playbook of which at least FloorOutcomes verified outcomes are known, and whose expected share is below Floor, is not
//     eligible to act by itself any more, also while the given order stays. It may again when the failures have faded.
//   - A destructive playbook is put before a milder one, which is eligible, only when the lower bound of its 90 % interval is
//     above the upper bound of the milder one's.
//
// Time is an argument. Times that lie ahead of now, because a clock was set back, are taken to be now: fading goes on from
// there. A [Tracker] is not safe for concurrent use.
package outcomes

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Outcome is what became of an action.
type Outcome string

// The outcomes.
const (
	Recovered    Outcome = "recovered"
	Ineffective  Outcome = "ineffective"
	Reverted     Outcome = "reverted"
	Inconclusive Outcome = "inconclusive"
)

// Settings bound what is learned and what may come of it.
type Settings struct {
	// HalfLife is after how long an outcome counts half; 0 for never.
	HalfLife time.Duration
	// MinOutcomes verified outcomes must be known of a cause kind before its playbooks are ordered; 0 leaves the given order for
	// ever.
	MinOutcomes int
	// Floor is the expected share of successes, 0 to 1, below which a playbook of which FloorOutcomes verified outcomes are
	// known is no longer eligible; 0 for none.
	Floor         float64
	FloorOutcomes int
	// MaxPairs bounds the pairs of cause kind and playbook that are kept; the one that has faded most makes room for a new one.
	MaxPairs int
}

// Validate names everything that is wrong with the settings.
func (s Settings) Validate() error {
	var errs []error
	if s.HalfLife < 0 {
		errs = append(errs, fmt.Errorf("half_life must not be negative, got %s", s.HalfLife))
	}
	if s.MinOutcomes < 0 {
		errs = append(errs, fmt.Errorf("min_outcomes must not be negative, got %d", s.MinOutcomes))
	}
	if !(s.Floor >= 0 && s.Floor <= 1) {
		errs = append(errs, fmt.Errorf("floor must be between 0 and 1, got %v", s.Floor))
	}
	if s.FloorOutcomes < 1 && s.Floor > 0 {
		errs = append(errs, fmt.Errorf("floor_outcomes must be greater than 0 with a floor, got %d", s.FloorOutcomes))
	}
	if s.MaxPairs <= 0 {
		errs = append(errs, fmt.Errorf("max_pairs must be greater than 0, got %d; it bounds memory", s.MaxPairs))
	}
	return errors.Join(errs...)
}

// Counts are outcomes, faded.
type Counts struct {
	Recovered    float64 `json:"recovered"`
	Ineffective  float64 `json:"ineffective"`
	Reverted     float64 `json:"reverted"`
	Inconclusive float64 `json:"inconclusive"`
}

// Verified is how many are known to have helped or not.
func (c Counts) Verified() float64 { return c.Recovered + c.Ineffective + c.Reverted }

// Attempts is how many there are in all.
func (c Counts) Attempts() float64 { return c.Verified() + c.Inconclusive }

func (c Counts) fade(factor float64) Counts {
	return Counts{c.Recovered * factor, c.Ineffective * factor, c.Reverted * factor, c.Inconclusive * factor}
}

// Statistics are what is known of a playbook against a cause kind.
type Statistics struct {
	Kind     string `json:"kind"`
	Playbook string `json:"playbook"`
	Counts
	// Mean is the share of successes to be expected, and Low and High bound it with 90 %.
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	// Last is when the last outcome was known; zero when there is none.
	Last time.Time `json:"last,omitzero"`
}

// Tracker knows the outcomes of all pairs.
type Tracker struct {
	settings Settings
	pairs    map[pair]*memory
}

type pair struct{ kind, playbook string }

// memory holds counts as they were at a time.
type memory struct {
	counts Counts
	at     time.Time
}

// New returns a tracker that knows nothing. The settings must be valid.
func New(settings Settings) *Tracker {
	return &Tracker{settings: settings, pairs: map[pair]*memory{}}
}

// Record notes what became of an action of a playbook against a cause kind. Telling the same action twice counts twice:
// callers record an outcome together with the end of its action.
func (t *Tracker) Record(kind, playbook string, o Outcome, now time.Time) error {
	var one Counts
	switch o {
	case Recovered:
		one.Recovered = 1
	case Ineffective:
		one.Ineffective = 1
	case Reverted:
		one.Reverted = 1
	case Inconclusive:
		one.Inconclusive = 1
	default:
		return fmt.Errorf("outcome must be %s, %s, %s or %s, got %q", Recovered, Ineffective, Reverted, Inconclusive, o)
	}
	key := pair{kind, playbook}
	m := t.pairs[key]
	if m == nil {
		if len(t.pairs) >= t.settings.MaxPairs {
			t.forgetMostFaded(now)
		}
		m = &memory{at: now}
		t.pairs[key] = m
	}
	m.counts = t.counts(m, now)
	m.counts.Recovered = min(m.counts.Recovered+one.Recovered, maxCount)
	m.counts.Ineffective = min(m.counts.Ineffective+one.Ineffective, maxCount)
	m.counts.Reverted = min(m.counts.Reverted+one.Reverted, maxCount)
	m.counts.Inconclusive = min(m.counts.Inconclusive+one.Inconclusive, maxCount)
	m.at = now
	return nil
}

// Statistics returns what is known of a playbook against a cause kind.
func (t *Tracker) Statistics(kind, playbook string, now time.Time) Statistics {
	s := Statistics{Kind: kind, Playbook: playbook}
	if m := t.pairs[pair{kind, playbook}]; m != nil {
		s.Counts, s.Last = t.counts(m, now), m.at
	}
	b := s.posterior()
	s.Mean, s.Low, s.High = b.Mean(), b.Quantile(0.05), b.Quantile(0.95)
	return s
}

// All returns what is known of every pair, sorted by kind and playbook.
func (t *Tracker) All(now time.Time) []Statistics {
	out := make([]Statistics, 0, len(t.pairs))
	for _, k := range t.keys() {
		out = append(out, t.Statistics(k.kind, k.playbook, now))
	}
	return out
}

// counts returns what is left of the counts.
func (t *Tracker) counts(m *memory, now time.Time) Counts {
	if m.at.After(now) {
		m.at = now
	}
	if t.settings.HalfLife == 0 {
		return m.counts
	}
	return m.counts.fade(math.Exp2(-float64(now.Sub(m.at)) / float64(t.settings.HalfLife)))
}

func (t *Tracker) forgetMostFaded(now time.Time) {
	keys := t.keys()
	faded := slices.MinFunc(keys, func(a, b pair) int {
		x, y := t.counts(t.pairs[a], now), t.counts(t.pairs[b], now)
		return cmp.Compare(x.Attempts(), y.Attempts())
	})
	delete(t.pairs, faded)
}

func (t *Tracker) keys() []pair {
	keys := make([]pair, 0, len(t.pairs))
	for k := range t.pairs {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b pair) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.playbook, b.playbook))
	})
	return keys
}
