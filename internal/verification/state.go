package verification

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// state is the encoding of a verification.
type state struct {
	Begun   time.Time     `json:"begun"`
	Signals []signalState `json:"signals"`
}

type signalState struct {
	Name    string          `json:"name"`
	Crowded bool            `json:"crowded,omitempty"`
	Series  map[string]*run `json:"series,omitempty"`
}

// Changed reports whether anything but the time of the last readings has changed since the last Encode. What is stored then
// suffices: a stretch that goes on is, after a restart, at most thought to be shorter.
func (v *Verification) Changed() bool { return v.changed }

// Encode returns what is needed to go on after a restart.
func (v *Verification) Encode() ([]byte, error) {
	s := state{Begun: v.begun}
	for i, signal := range v.settings.Signals {
		s.Signals = append(s.Signals, signalState{signal.Name, v.crowded[i], v.series[i]})
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode verification: %w", err)
	}
	v.changed = false
	return b, nil
}

// errRestore is the beginning of what is wrong with a state.
var errRestore = errors.New("restore verification")

// Restore goes on with what Encode returned, for the same action and the same signals. On error nothing of it can be
// trusted, and the caller begins anew. A state never holds a verdict, only readings with their times, so what has become
// stale meanwhile is.
func Restore(s *Settings, begun time.Time, b []byte, now time.Time) (*Verification, error) {
	var st state
	if err := json.Unmarshal(b, &st); err != nil {
		return nil, fmt.Errorf("%w: %w", errRestore, err)
	}
	if !st.Begun.Equal(begun) {
		return nil, fmt.Errorf("%w: it is of an action at %s, not %s", errRestore, st.Begun, begun)
	}
	same := slices.EqualFunc(st.Signals, s.Signals, func(a signalState, b Signal) bool { return a.Name == b.Name })
	if !same {
		return nil, fmt.Errorf("%w: it has other signals", errRestore)
	}
	v := New(s, begun)
	for i, signal := range st.Signals {
		if len(signal.Series) > s.MaxSeries {
			return nil, fmt.Errorf("%w: %s has more than %d series", errRestore, signal.Name, s.MaxSeries)
		}
		for key, r := range signal.Series {
			if err := r.check(begun.Add(s.Settle), now); err != nil {
				return nil, fmt.Errorf("%w: %s: %w", errRestore, signal.Name, err)
			}
			v.series[i][key] = r
		}
		v.crowded[i] = signal.Crowded
	}
	return v, nil
}

// check refuses what Observe could not have made.
func (r *run) check(settled, now time.Time) error {
	switch {
	case r == nil:
		return errors.New("a series is null")
	case r.Reading < Lost || r.Reading > Bad:
		return fmt.Errorf("reading %d is none", r.Reading)
	case r.Last.Before(settled) || r.Last.After(now):
		return errors.New("a reading is not of this time")
	case (r.Reading == Good) == r.Good.IsZero() || (r.Reading == Bad) == r.Bad.IsZero():
		return errors.New("a stretch does not fit its last reading")
	}
	if r.Poor.After(r.Last) {
		return errors.New("a reading is not of this time")
	}
	for _, since := range []time.Time{r.Good, r.Bad} {
		if !since.IsZero() && (since.Before(settled) || since.After(r.Last)) {
			return errors.New("a stretch is not of this time")
		}
	}
	return nil
}
