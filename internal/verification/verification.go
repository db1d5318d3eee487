// Package verification judges by independent signals whether an action has helped: recovered, not recovered, worse, or
// nobody knows.
//
// A [Verification] is told readings of its signals: what a series, a probe or the API server says of a stretch of time. It
// gives one of four verdicts, which are those of Kleene's logic with a sign of failure added. No news is never good news:
// a signal that is missing, stale, broken, or not known for long enough to be good is [Unknown], and so is the whole unless
// what is known decides. Nothing that lies before the end of the settling time is judged.
//
// Time is an argument throughout, and there is one clock: callers map the time of their data to it.
package verification

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Verdict is what signals say of an action.
type Verdict int

// The verdicts.
const (
	// Unknown means that a signal is missing, stale or broken, or that it is not known for long enough to be good.
	Unknown Verdict = iota
	// Unmet means that it is not as it should be, or was not within the time for which it must be.
	Unmet
	// Met means that it has been as it should be for long enough.
	Met
	// Worse means that an explicit condition of failure has held for long enough.
	Worse
)

// String names the verdict.
func (v Verdict) String() string {
	return [...]string{"unknown", "unmet", "met", "worse"}[v]
}

// Signal is one source of readings.
type Signal struct {
	Name string
	// Mandatory signals must be met whatever Settings.Require says, and do not count for it.
	Mandatory bool
}

// Settings say how readings are judged.
type Settings struct {
	// Settle is how long after the action nothing is judged.
	Settle time.Duration
	// Hold is how long a signal must be good without a gap, and FailHold how long it must show failure.
	Hold, FailHold time.Duration
	// StaleAfter is the age past which a reading says nothing of now, and the longest pause that is no gap.
	StaleAfter time.Duration
	// Require is how many of the signals that are not mandatory must be met; 0 means all.
	Require int
	Signals []Signal
	// MaxSeries bounds the series that one signal may consist of. A signal with more stays unknown.
	MaxSeries int
}

// require returns how many optional signals must be met.
func (s *Settings) require() int {
	optional := 0
	for _, signal := range s.Signals {
		if !signal.Mandatory {
			optional++
		}
	}
	if s.Require > 0 {
		return min(s.Require, optional)
	}
	return optional
}

// run is what is remembered of one series of a signal.
type run struct {
	// Last is the time of the latest reading.
	Last    time.Time `json:"last"`
	Reading Reading   `json:"reading"`
	// Good is the begin of the stretch up to Last that was good throughout, Bad of that which showed failure; zero when
	// the last reading was not.
	Good time.Time `json:"good,omitzero"`
	Bad  time.Time `json:"bad,omitzero"`
	// Poor is the time of the latest reading that was a value and not good.
	Poor time.Time `json:"poor,omitzero"`
}

// Verification judges one action. It is not safe for concurrent use.
type Verification struct {
	settings *Settings
	begun    time.Time
	// series are those of each signal, by the caller's key.
	series []map[string]*run
	// crowded are the signals that consist of more series than are remembered.
	crowded []bool
	changed bool
}

// New begins the verification of an action that was carried out at begun. The settings must not change any more.
func New(s *Settings, begun time.Time) *Verification {
	v := &Verification{settings: s, begun: begun, series: make([]map[string]*run, len(s.Signals)), crowded: make([]bool, len(s.Signals))}
	for i := range v.series {
		v.series[i] = map[string]*run{}
	}
	return v
}

// Begun returns when the action was carried out.
func (v *Verification) Begun() time.Time { return v.begun }

// Result is what became of a judgement.
type Result struct {
	Verdict Verdict
	// Detail says to a person which signals stand in the way; it is empty when all are met.
	Detail string
	// Signals are the verdicts one by one, in the order of the settings.
	Signals []Verdict
}

// Observe takes a reading of a series of a signal: r is what it says of the time from from to at, which may be the same. It
// reports false when the reading is not counted: it reaches back before the end of the settling time, it comes late without
// saying anything new, or there is no room for its series.
//
// A late reading that is not good, or not bad, ends what it contradicts, so that the order in which readings arrive can
// only make the verdict more cautious.
func (v *Verification) Observe(signal int, series string, from, at time.Time, r Reading, now time.Time) bool {
	if at.After(now) {
		at = now // a clock that runs ahead must not keep a signal fresh
	}
	if from.After(at) {
		from = at
	}
	if from.Before(v.begun.Add(v.settings.Settle)) {
		return false
	}
	held := v.series[signal]
	s := held[series]
	if s == nil {
		if !v.room(signal, now) {
			v.changed = v.changed || !v.crowded[signal]
			v.crowded[signal] = true
			return false
		}
		s = &run{}
		held[series] = s
		v.changed = true
	}
	if (r == Neutral || r == Bad) && at.After(s.Poor) {
		s.Poor = at
	}
	if !s.Last.IsZero() && !at.After(s.Last) {
		return v.late(s, at, r)
	}
	gap := s.Last.IsZero() || from.Sub(s.Last) > v.settings.StaleAfter
	if at.Sub(from) > v.settings.StaleAfter {
		from, gap = at, true // an average over an outage says little of its parts
	}
	v.extend(&s.Good, r == Good, gap, from)
	v.extend(&s.Bad, r == Bad, gap, from)
	v.changed = v.changed || s.Reading != r
	s.Last, s.Reading = at, r
	return true
}

// extend goes on with a stretch, begins one, or ends it.
func (v *Verification) extend(since *time.Time, holds, gap bool, from time.Time) {
	switch {
	case !holds && !since.IsZero():
		*since, v.changed = time.Time{}, true
	case holds && (since.IsZero() || gap):
		*since, v.changed = from, true
	}
}

// late takes a reading that is older than the last.
func (v *Verification) late(s *run, at time.Time, r Reading) bool {
	counts := false
	cut := func(since *time.Time, agrees bool) {
		if !agrees && !since.IsZero() && !at.Before(*since) {
			*since, v.changed, counts = s.Last, true, true
		}
	}
	cut(&s.Good, r == Good)
	cut(&s.Bad, r == Bad)
	return counts
}

// room makes room for one more series if need be: those that have said goodbye when all was well go first.
func (v *Verification) room(signal int, now time.Time) bool {
	held := v.series[signal]
	if len(held) < v.settings.MaxSeries {
		return true
	}
	for key, s := range held {
		if v.gone(s, now) {
			delete(held, key)
		}
	}
	return len(held) < v.settings.MaxSeries
}

// gone reports whether a silent series no longer counts. One that was good when it was last heard of may go as soon as it
// is stale, as pods do; the silence of one that was not is no recovery, and counts for as long again as a success must hold.
func (v *Verification) gone(s *run, now time.Time) bool {
	limit := v.settings.StaleAfter
	if s.Reading != Good {
		limit += v.settings.Hold
	}
	return now.Sub(s.Last) > limit
}

// Judge gives the verdict at a time.
func (v *Verification) Judge(now time.Time) Result {
	r := Result{Signals: make([]Verdict, len(v.settings.Signals))}
	if wait := v.begun.Add(v.settings.Settle).Sub(now); wait > 0 {
		r.Detail = fmt.Sprintf("nothing is judged for another %s", wait.Round(time.Second))
		return r
	}
	var details []string
	mandatory, optional := [4]int{}, [4]int{}
	for i, signal := range v.settings.Signals {
		verdict, why := v.judge(i, now)
		r.Signals[i] = verdict
		if signal.Mandatory {
			mandatory[verdict]++
		} else {
			optional[verdict]++
		}
		if verdict != Met {
			details = append(details, fmt.Sprintf("%s is %s: %s", signal.Name, verdict, why))
		}
	}
	r.Detail = strings.Join(details, "; ")
	require := v.settings.require()
	switch {
	case mandatory[Worse]+optional[Worse] > 0:
		r.Verdict = Worse
	case mandatory[Unmet] > 0 || optional[Met]+optional[Unknown] < require:
		r.Verdict = Unmet
	case mandatory[Unknown] > 0 || optional[Met] < require:
		r.Verdict = Unknown
	case mandatory[Met]+optional[Met] > 0:
		r.Verdict = Met
	}
	return r
}

// judge gives the verdict on one signal, which is as its worst series.
func (v *Verification) judge(signal int, now time.Time) (Verdict, string) {
	var fresh, unmet, lost, silent int
	var latest time.Time
	held, worse, poor := time.Duration(-1), false, false
	for _, s := range v.series[signal] {
		if s.Last.After(latest) {
			latest = s.Last
		}
		if v.gone(s, now) {
			continue
		}
		if now.Sub(s.Last) > v.settings.StaleAfter {
			silent++
			continue
		}
		fresh++
		poor = poor || now.Sub(s.Poor) < v.settings.Hold
		switch s.Reading {
		case Good:
			if d := s.Last.Sub(s.Good); held < 0 || d < held {
				held = d
			}
		case Lost:
			lost++
		case Bad:
			worse = worse || s.Last.Sub(s.Bad) >= v.settings.FailHold
			unmet++
		default:
			unmet++
		}
	}
	switch {
	case worse:
		return Worse, fmt.Sprintf("it has shown failure for %s", v.settings.FailHold)
	case unmet > 0:
		return Unmet, fmt.Sprintf("%d of %d series are not as they should be", unmet, fresh)
	case latest.IsZero():
		return Unknown, "nothing has been heard of it"
	case fresh == 0:
		return Unknown, fmt.Sprintf("it is stale, last heard of %s ago", now.Sub(latest).Round(time.Second))
	case v.crowded[signal]:
		return Unknown, fmt.Sprintf("it has more than %d series", v.settings.MaxSeries)
	case lost > 0:
		return Unknown, fmt.Sprintf("%d of %d series have no value", lost, fresh)
	case silent > 0:
		return Unknown, fmt.Sprintf("%d series fell silent while they were not as they should be", silent)
	case held < v.settings.Hold && poor:
		return Unmet, fmt.Sprintf("it was not as it should be within the last %s", v.settings.Hold)
	case held < v.settings.Hold:
		return Unknown, fmt.Sprintf("it has been good for %s of %s", held.Round(time.Second), v.settings.Hold)
	default:
		return Met, ""
	}
}

// Equal reports whether two results say the same of each signal.
func (r *Result) Equal(o *Result) bool {
	return r.Verdict == o.Verdict && slices.Equal(r.Signals, o.Signals)
}
