package circuitbreaker

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Breaker is one breaker as it is stored.
type Breaker struct {
	State  State     `json:"state"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	// Touched is when something last happened to it.
	Touched time.Time `json:"touched"`
	// Failures is how many outcomes in a row were failures.
	Failures int `json:"failures,omitempty"`
	// Probing is true from when a probe passed until its outcome; its place is free a cooldown after ProbeSince.
	Probing    bool      `json:"probing,omitempty"`
	ProbeSince time.Time `json:"probe_since,omitzero"`
	// Actions are the starts within the window and Outcomes the outcomes for the rate, oldest first.
	Actions  []time.Time `json:"actions,omitempty"`
	Outcomes []Outcome   `json:"outcomes,omitempty"`
}

// Outcome is when the outcome of an action was known, and whether it was a failure.
type Outcome struct {
	At     time.Time `json:"at"`
	Failed bool      `json:"failed,omitempty"`
}

// settle takes times that lie ahead for now, and drops what no longer counts.
func (b *Breaker) settle(s Settings, now time.Time) {
	clamp := func(t *time.Time) {
		if t.After(now) {
			*t = now
		}
	}
	clamp(&b.Since)
	clamp(&b.Touched)
	clamp(&b.ProbeSince)
	for i := range b.Actions {
		clamp(&b.Actions[i])
	}
	for i := range b.Outcomes {
		clamp(&b.Outcomes[i].At)
	}
	if s.Window > 0 {
		b.Actions = slices.DeleteFunc(b.Actions, func(t time.Time) bool { return now.Sub(t) >= s.Window })
		b.Outcomes = slices.DeleteFunc(b.Outcomes, func(o Outcome) bool { return now.Sub(o.At) >= s.Window })
	}
}

func (b *Breaker) act(s Settings, now time.Time) {
	if s.MaxActions == 0 {
		return
	}
	b.Actions = append(b.Actions, now)
	b.Actions = slices.Delete(b.Actions, 0, max(0, len(b.Actions)-s.MaxActions))
}

func (b *Breaker) move(key string, to State, now time.Time, reason string) []Transition {
	t := Transition{Key: key, From: b.State, To: to, At: now, Reason: reason, Failures: b.Failures}
	b.State, b.Since, b.Reason = to, now, reason
	if to != HalfOpen {
		b.Probing, b.ProbeSince = false, time.Time{}
	}
	return []Transition{t}
}

// forget drops what was counted up to the probe that helped. The probe itself still counts as an action.
func (b *Breaker) forget() {
	b.Failures, b.Reason, b.Outcomes = 0, "", nil
	b.Actions = slices.Delete(b.Actions, 0, max(0, len(b.Actions)-1))
}

// empty reports whether the breaker is as good as none.
func (b *Breaker) empty() bool {
	return b.State == Closed && b.Failures == 0 && len(b.Actions) == 0 && len(b.Outcomes) == 0
}

func (b *Breaker) recentFailures() int {
	n := 0
	for _, o := range b.Outcomes {
		if o.Failed {
			n++
		}
	}
	return n
}

// rank is in which order breakers are forgotten: 0 first, 2 only for an outcome that is already there, 3 never.
func (b *Breaker) rank(s Settings, now time.Time) int {
	switch {
	case b.State != Closed:
		return 3
	case b.Failures == 0 && len(b.Actions) == 0 && b.recentFailures() == 0:
		return 0
	case now.Sub(b.Touched) >= s.Cooldown+s.Window:
		return 1
	default:
		return 2
	}
}

func (b *Breaker) validate() error {
	var errs []error
	switch b.State {
	case Closed, Open, HalfOpen:
	default:
		errs = append(errs, fmt.Errorf("state must be %s, %s or %s, got %q", Closed, Open, HalfOpen, b.State))
	}
	if b.Failures < 0 {
		errs = append(errs, fmt.Errorf("failures must not be negative, got %d", b.Failures))
	}
	if b.Probing && b.State != HalfOpen {
		errs = append(errs, fmt.Errorf("only a half open breaker has a probe, got state %q", b.State))
	}
	if len(b.Actions) > maxHistory || len(b.Outcomes) > maxHistory {
		errs = append(errs, fmt.Errorf("actions and outcomes must be at most %d, got %d and %d", maxHistory, len(b.Actions), len(b.Outcomes)))
	}
	return errors.Join(errs...)
}
