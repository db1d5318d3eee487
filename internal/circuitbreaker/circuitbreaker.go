// Package circuitbreaker keeps automation from going on with what does not help: per playbook (consecutive failures), per
// target (the same one acted on again and again) and for the whole fleet (how many of the last actions failed).
//
// It guards against the rows "flapping reopens the loop", "inconclusive retried until green" and "breaker stuck and blocking
// recovery" of the failure modes of the safety design. The states are those of M. Nygard, "Release It!", 2007, chapter 5: a
// closed breaker lets everything pass; one of the rules of [Settings] opens it, and nothing passes for a cooldown; then it is
// half open, and exactly one action, the probe, may pass until its outcome is known. A probe that recovered closes the
// breaker, any other opens it for another cooldown, and one of which nothing is heard frees its place after a cooldown, so
// that a lost outcome cannot keep a breaker from ever closing again.
//
// An inconclusive outcome counts as a failure and never closes a breaker: what cannot be seen to help must not go on.
//
// Breakers are asked before something is done, never before it is undone: undo, uncordon and release are always allowed, so
// callers do not ask for them, nor tell their outcomes here.
//
// Time is an argument. Times that lie ahead of now, because a clock was set back, are taken to be now: what counts or waits
// then does so for its full duration once more, and never longer. A [Set] is not safe for concurrent use.
package circuitbreaker

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// State is whether a breaker lets actions pass.
type State string

// The states.
const (
	Closed   State = "closed"
	Open     State = "open"
	HalfOpen State = "half_open"
)

// Settings say when the breakers of a set open and for how long. A rule whose number is 0 is off.
type Settings struct {
	// Failures is how many consecutive failures open a breaker.
	Failures int
	// RateFailures failures among the last RateOutcomes outcomes open it. With a Window, outcomes that are older do not count.
	RateFailures, RateOutcomes int
	// MaxActions is how many actions may start within Window: the next opens the breaker instead of passing.
	MaxActions int
	Window     time.Duration
	// Cooldown is how long an open breaker stays so before it lets a probe pass, and how long a probe of which nothing is
	// heard keeps its place.
	Cooldown time.Duration
	// MaxKeys bounds the breakers that are kept.
	MaxKeys int
}

// Validate names everything that is wrong with the settings.
func (s Settings) Validate() error {
	var errs []error
	if s.Failures < 0 {
		errs = append(errs, fmt.Errorf("failures must not be negative, got %d", s.Failures))
	}
	if s.RateFailures < 0 || s.RateOutcomes < s.RateFailures || (s.RateFailures == 0) != (s.RateOutcomes == 0) || s.RateOutcomes > maxHistory {
		errs = append(errs, fmt.Errorf("rate_failures must be between 1 and rate_outcomes, which must be at most %d, or both 0, got %d of %d", maxHistory, s.RateFailures, s.RateOutcomes))
	}
	if s.MaxActions < 0 || s.MaxActions > maxHistory {
		errs = append(errs, fmt.Errorf("max_actions must be between 0 and %d, got %d", maxHistory, s.MaxActions))
	}
	if s.Window < 0 || (s.MaxActions > 0 && s.Window == 0) {
		errs = append(errs, fmt.Errorf("window must be greater than 0 with max_actions, and never negative, got %s", s.Window))
	}
	if s.Cooldown <= 0 {
		errs = append(errs, fmt.Errorf("cooldown must be greater than 0, got %s", s.Cooldown))
	}
	if s.MaxKeys <= 0 {
		errs = append(errs, fmt.Errorf("max_keys must be greater than 0, got %d; it bounds memory", s.MaxKeys))
	}
	return errors.Join(errs...)
}

// maxHistory bounds the times and outcomes that one breaker keeps.
const maxHistory = 1000

// Transition is a breaker that changed its state, and why.
type Transition struct {
	Key      string    `json:"key"`
	From     State     `json:"from"`
	To       State     `json:"to"`
	At       time.Time `json:"at"`
	Reason   string    `json:"reason"`
	Failures int       `json:"failures"`
}

// Verdict is the answer to whether an action may start.
type Verdict struct {
	OK    bool
	State State
	// Probe is true when the action is the probe of a half open breaker: its outcome, or its Release, must be told.
	Probe bool
	// Reason says why not; empty when OK.
	Reason string
	// Until is when asking again may help; zero when that is not known.
	Until time.Time
}

// Status is what is known of one breaker.
type Status struct {
	Key   string `json:"key"`
	State State  `json:"state"`
	// Reason is why it opened; empty when it is closed.
	Reason string `json:"reason,omitempty"`
	// Since is when it last changed its state; zero when it never did.
	Since time.Time `json:"since,omitzero"`
	// Until is when an open breaker will be half open, or the place of a probe will be free.
	Until time.Time `json:"until,omitzero"`
	// Failures is how many outcomes in a row were failures.
	Failures int `json:"failures"`
	// RecentFailures of RecentOutcomes are what the rate is made of, and RecentActions started within the window.
	RecentFailures int `json:"recent_failures"`
	RecentOutcomes int `json:"recent_outcomes"`
	RecentActions  int `json:"recent_actions"`
	// Probing is true while a probe is under way.
	Probing bool `json:"probing,omitempty"`
}

// Set holds the breakers of one kind, by key. Keys are the caller's: a playbook's name, a target, or one constant for the
// fleet.
//
// A closed breaker that has counted nothing is as good as none and not kept. When MaxKeys is reached, the breaker that was not touched for longest among the closed ones without a failure or a counted
// action is forgotten; then among the closed ones that were not touched for a Cooldown and a Window, since what they counted
// would be over if they had opened. When there is none either, a new key is refused as if its breaker were open.
type Set struct {
	settings Settings
	breakers map[string]*Breaker
	// swept is how many were left when those that had become empty were last looked for.
	swept int
}

// New returns an empty set. The settings must be valid.
func New(settings Settings) *Set {
	return &Set{settings: settings, breakers: map[string]*Breaker{}}
}

// Len returns how many breakers are kept.
func (s *Set) Len() int { return len(s.breakers) }

// Check says what [Set.Allow] would, without taking the place of a probe or counting anything.
func (s *Set) Check(key string, now time.Time) Verdict {
	b := s.breakers[key]
	if b == nil {
		if len(s.breakers) >= s.settings.MaxKeys && s.candidate(now, false) == nil {
			return Verdict{State: Open, Reason: fmt.Sprintf("no room for another breaker: all %d have counted something lately", s.settings.MaxKeys)}
		}
		return Verdict{OK: true, State: Closed}
	}
	b.settle(s.settings, now)
	switch b.State {
	case Open:
		if until := b.Since.Add(s.settings.Cooldown); now.Before(until) {
			return Verdict{State: Open, Reason: b.Reason, Until: until}
		}
		return Verdict{OK: true, State: HalfOpen, Probe: true}
	case HalfOpen:
		if until := b.ProbeSince.Add(s.settings.Cooldown); b.Probing && now.Before(until) {
			return Verdict{State: HalfOpen, Reason: "a probe is under way; " + b.Reason, Until: until}
		}
		return Verdict{OK: true, State: HalfOpen, Probe: true}
	default:
		if n := s.settings.MaxActions; n > 0 && len(b.Actions) >= n {
			return Verdict{State: Open, Reason: recurrence(n, s.settings.Window), Until: now.Add(s.settings.Cooldown)}
		}
		return Verdict{OK: true, State: Closed}
	}
}

// Allow is asked right before an action starts. When it may, the action is counted and, in a half open breaker, takes the
// place of the probe; an action that is then not carried out must be given back with [Set.Release].
func (s *Set) Allow(key string, now time.Time) (Verdict, []Transition) {
	v := s.Check(key, now)
	b := s.breakers[key]
	if b == nil && v.OK {
		b = s.add(key, now, false)
	}
	if b == nil {
		return v, nil
	}
	b.Touched = now
	defer s.drop(key)
	switch {
	case v.OK && v.Probe:
		var out []Transition
		if b.State == Open {
			out = b.move(key, HalfOpen, now, b.Reason)
		}
		b.Probing, b.ProbeSince = true, now
		b.act(s.settings, now)
		return v, out
	case v.OK:
		b.act(s.settings, now)
		return v, nil
	case b.State == Closed:
		return v, b.move(key, Open, now, v.Reason)
	default:
		return v, nil
	}
}

// Success notes an action that was verified to have helped. Only a probe's closes a breaker: one that started before the
// breaker opened does not.
func (s *Set) Success(key string, now time.Time) []Transition {
	b := s.outcome(key, now, false)
	if b == nil {
		return nil
	}
	defer s.drop(key)
	if b.State == Closed {
		b.Failures = 0
		return nil
	}
	if b.State != HalfOpen || !b.Probing {
		return nil
	}
	out := b.move(key, Closed, now, "the probe helped")
	b.forget()
	return out
}

// Failure notes an action that failed or did not help.
func (s *Set) Failure(key string, now time.Time) []Transition { return s.fail(key, now, "failed") }

// Inconclusive notes an action of which nobody knows whether it helped. It counts as a failure.
func (s *Set) Inconclusive(key string, now time.Time) []Transition {
	return s.fail(key, now, "was inconclusive")
}

// Release notes that the last action that was allowed was not carried out: it frees the place of the probe and is not counted
// as an action.
func (s *Set) Release(key string) {
	b := s.breakers[key]
	if b == nil {
		return
	}
	b.Probing = false
	if n := len(b.Actions); n > 0 {
		b.Actions = b.Actions[:n-1]
	}
	s.drop(key)
}

// Reset closes a breaker and forgets what it counted: a person's decision.
func (s *Set) Reset(key string, now time.Time) []Transition {
	b := s.breakers[key]
	if b == nil {
		return nil
	}
	var out []Transition
	if b.State != Closed {
		out = b.move(key, Closed, now, "reset")
	}
	delete(s.breakers, key)
	return out
}

// States returns all breakers that are kept, sorted by key. An open breaker whose cooldown is over is shown as half open.
func (s *Set) States(now time.Time) []Status {
	out := make([]Status, 0, len(s.breakers))
	for key, b := range s.breakers {
		b.settle(s.settings, now)
		st := Status{
			Key: key, State: b.State, Reason: b.Reason, Since: b.Since, Failures: b.Failures,
			RecentFailures: b.recentFailures(), RecentOutcomes: len(b.Outcomes), RecentActions: len(b.Actions),
		}
		switch {
		case b.State == Open && !now.Before(b.Since.Add(s.settings.Cooldown)):
			st.State = HalfOpen
		case b.State == Open:
			st.Until = b.Since.Add(s.settings.Cooldown)
		case b.State == HalfOpen && b.Probing && now.Before(b.ProbeSince.Add(s.settings.Cooldown)):
			st.Probing, st.Until = true, b.ProbeSince.Add(s.settings.Cooldown)
		}
		out = append(out, st)
	}
	slices.SortFunc(out, func(a, b Status) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

func (s *Set) fail(key string, now time.Time, how string) []Transition {
	b := s.outcome(key, now, true)
	if b == nil {
		return nil
	}
	b.Failures++
	switch b.State {
	case HalfOpen:
		return b.move(key, Open, now, "the probe "+how)
	case Closed:
		if n := s.settings.Failures; n > 0 && b.Failures >= n {
			return b.move(key, Open, now, fmt.Sprintf("%d actions in a row did not help; the last one %s", b.Failures, how))
		}
		if k := s.settings.RateFailures; k > 0 && b.recentFailures() >= k {
			return b.move(key, Open, now, fmt.Sprintf("%d of the last %d actions did not help; the last one %s", b.recentFailures(), len(b.Outcomes), how))
		}
	}
	return nil
}

// outcome returns the breaker of an outcome after having counted it for the rate. It is nil when there is no room even at the
// cost of a closed one: then all are open, and the key is refused anyway.
func (s *Set) outcome(key string, now time.Time, failed bool) *Breaker {
	b := s.breakers[key]
	if b == nil {
		if b = s.add(key, now, true); b == nil {
			return nil
		}
	}
	b.settle(s.settings, now)
	b.Touched = now
	if n := s.settings.RateOutcomes; n > 0 {
		b.Outcomes = append(b.Outcomes, Outcome{At: now, Failed: failed})
		b.Outcomes = slices.Delete(b.Outcomes, 0, max(0, len(b.Outcomes)-n))
	}
	return b
}

// drop forgets a breaker that is as good as none.
func (s *Set) drop(key string) {
	if b := s.breakers[key]; b != nil && b.empty() {
		delete(s.breakers, key)
	}
}

// leastSwept is how many breakers it takes for looking for empty ones to be worth it.
const leastSwept = 64

// sweep forgets the breakers that have become empty with time, whenever their number has doubled.
func (s *Set) sweep(now time.Time) {
	if len(s.breakers) < max(leastSwept, 2*s.swept) {
		return
	}
	for key, b := range s.breakers {
		b.settle(s.settings, now)
		s.drop(key)
	}
	s.swept = len(s.breakers)
}

// add makes room for a breaker, and the breaker. With force, any closed breaker may have to go.
func (s *Set) add(key string, now time.Time, force bool) *Breaker {
	s.sweep(now)
	if len(s.breakers) >= s.settings.MaxKeys {
		oldest := s.candidate(now, force)
		if oldest == nil {
			return nil
		}
		delete(s.breakers, *oldest)
	}
	b := &Breaker{State: Closed, Touched: now}
	s.breakers[key] = b
	return b
}

// candidate returns the key of the breaker that may be forgotten, as the comment on Set says, or nil.
func (s *Set) candidate(now time.Time, force bool) *string {
	var best *string
	var bestRank int
	for key, b := range s.breakers {
		b.settle(s.settings, now)
		rank := b.rank(s.settings, now)
		if rank > 1 && (!force || rank > 2) {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(rank, bestRank), b.Touched.Compare(s.breakers[*best].Touched), cmp.Compare(key, *best)) < 0 {
			best, bestRank = &key, rank
		}
	}
	return best
}

func recurrence(n int, window time.Duration) string {
	return fmt.Sprintf("it was acted on %d times within %s, which may be flapping", n, window)
}
