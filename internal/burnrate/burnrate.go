// Package burnrate tells how fast the error budget of a service level objective burns, and how much of it is gone.
//
// An objective says which share of events must be good over a window, such as 99.9 % over 30 days. What may be bad is the
// error budget. The burn rate is how many times faster than even the budget is being used up: at 1 it lasts exactly for
// the window. An alert speaks when the rate is above a limit over a long window, so that a worthwhile part of the budget is
// gone, and over a short one, so that it still goes on (B. Beyer et al., "The Site Reliability Workbook", 2018, chapter
// 5, "Multiwindow, Multi-Burn-Rate Alerts").
//
// Where less than a window has been watched, the rest of it is taken to have been good with the same traffic. So a rate
// means the same share of the budget from the first minute on, and a short past cannot exaggerate.
package burnrate

import (
	"math"
	"time"
)

// Cells is into how many equal parts each window is cut; a window is exact to one of them.
const Cells = 60

// Tolerance is by how much, as a share of it, a rate may miss its limit through rounding: the share of bad events that a
// target allows is the difference of two numbers.
const Tolerance = 1e-9

// Window counts events over a time that moves on. The zero value with a Length is empty and ready; all fields are plain
// so that they can be stored. It is not safe for concurrent use.
type Window struct {
	// Length is the time that is covered, at least Cells nanoseconds.
	Length time.Duration
	// First is the time of the first event ever, in nanoseconds since 1970, and Newest the newest cell, as a multiple of
	// Length/Cells since then. Started is false before the first event.
	First, Newest int64
	Started       bool
	// Total and Bad hold the counts by cell, in a ring.
	Total, Bad [Cells]float64
}

func (w *Window) cell(t time.Time) int64 {
	width := int64(w.Length / Cells)
	cell := t.UnixNano() / width
	if t.UnixNano()%width < 0 {
		cell--
	}
	return cell
}

func slot(cell int64) int { return int(((cell % Cells) + Cells) % Cells) }

// Add counts events at a time. Those from before the window count nowhere.
func (w *Window) Add(t time.Time, total, bad float64) {
	cell := w.cell(t)
	if !w.Started {
		w.First, w.Newest, w.Started = t.UnixNano(), cell, true
	}
	w.moveTo(cell)
	if cell <= w.Newest-Cells {
		return
	}
	w.First = min(w.First, t.UnixNano())
	w.Total[slot(cell)] += total
	w.Bad[slot(cell)] += bad
}

func (w *Window) moveTo(cell int64) {
	for i := int64(0); i < Cells && w.Newest+i < cell; i++ {
		at := slot(w.Newest + 1 + i)
		w.Total[at], w.Bad[at] = 0, 0
	}
	w.Newest = max(w.Newest, cell)
}

// Sums returns what is counted in the window that ends at a time, and which share of the window was watched.
func (w *Window) Sums(now time.Time) (total, bad, watched float64) {
	if !w.Started {
		return 0, 0, 0
	}
	cell := w.cell(now)
	for i := max(cell, w.Newest) - Cells + 1; i <= w.Newest; i++ {
		total += w.Total[slot(i)]
		bad += w.Bad[slot(i)]
	}
	return total, bad, min(1, max(0, float64(now.UnixNano()-w.First)/float64(w.Length)))
}

// Clear forgets all counts.
func (w *Window) Clear() { *w = Window{Length: w.Length} }

// Since returns the start of the earliest cell of the window from which on, without a break of more than two cells, the
// share of bad events in each cell with any events is at least least; now when there is none.
func (w *Window) Since(now time.Time, least float64) time.Time {
	width := w.Length / Cells
	found, calm := now, 0
	for i := w.Newest; w.Started && i > w.Newest-Cells; i-- {
		total, bad := w.Total[slot(i)], w.Bad[slot(i)]
		switch {
		case total > 0 && bad >= least*total && bad > 0:
			found, calm = time.Unix(0, i*int64(width)).UTC(), 0
		case total > 0:
			calm++
		}
		if calm > 2 {
			break
		}
	}
	if found.After(now) {
		return now
	}
	return found
}

// Policy is when a burn is worth an alert.
type Policy struct {
	// Long and Short are the windows over which the rate must be at least Burn.
	Long, Short time.Duration
	Burn        float64
	// MinBad is how many bad events the long window must have, so that where there are few events one failure is no alert.
	MinBad float64
}

// Tracker watches one objective at one place.
type Tracker struct {
	// Allowed is the share of events that may be bad, above 0 and below 1.
	Allowed  float64
	Policies []Policy
	// Budget is the window of the objective, Long and Short are those of each policy.
	Budget      Window
	Long, Short []Window
	// Settled is until when each policy says nothing: what it has spoken of was dealt with, and the short window
	// remembers it still. It is zero when nothing is to be forgotten.
	Settled []time.Time
}

// New returns a Tracker. The target is the share of events that must be good, above 0 and below 1.
func New(target float64, budget time.Duration, policies []Policy) *Tracker {
	t := &Tracker{Allowed: 1 - target, Policies: policies, Budget: Window{Length: budget}, Settled: make([]time.Time, len(policies))}
	for _, p := range policies {
		t.Long = append(t.Long, Window{Length: p.Long})
		t.Short = append(t.Short, Window{Length: p.Short})
	}
	return t
}

// Add counts events at a time.
func (t *Tracker) Add(at time.Time, total, bad float64) {
	t.Budget.Add(at, total, bad)
	for i := range t.Policies {
		t.Long[i].Add(at, total, bad)
		t.Short[i].Add(at, total, bad)
	}
}

// Verdict is what a Tracker found at a time.
type Verdict struct {
	// Policy is the index of the first policy that is met, or -1.
	Policy int
	// Known is false when there were no events in any short window.
	Known bool
	// Burn is the largest burn rate over a long window whose short window burns as fast, or, when none does, that over
	// the first long window.
	Burn float64
	// Share is the share of bad events in the short window of the policy that is met, or else of the first.
	Share float64
	// Consumed is the share of the budget that is gone, above 1 when it is overdrawn.
	Consumed float64
	// Since is when the burn began, as far as the short window shows; zero when no policy is met.
	Since time.Time
}

// Judge says how the budget fares at a time.
func (t *Tracker) Judge(now time.Time) Verdict {
	v := Verdict{Policy: -1, Consumed: t.rate(&t.Budget, now)}
	for i, p := range t.Policies {
		long, short := t.rate(&t.Long[i], now), t.rate(&t.Short[i], now)
		total, bad, _ := t.Short[i].Sums(now)
		_, badLong, _ := t.Long[i].Sums(now)
		v.Known = v.Known || total > 0
		if i == 0 {
			v.Burn, v.Share = long, share(bad, total)
		}
		if least := p.Burn * (1 - Tolerance); long < least || short < least || badLong < p.MinBad {
			t.Settled[i] = time.Time{}
			continue
		}
		if now.Before(t.Settled[i]) || v.Policy >= 0 {
			continue
		}
		v.Policy, v.Burn, v.Share = i, long, share(bad, total)
		v.Since = t.Short[i].Since(now, t.Allowed*p.Burn*(1-Tolerance))
	}
	return v
}

// rate returns the burn rate over a window, of which what was not watched counts as good.
func (t *Tracker) rate(w *Window, now time.Time) float64 {
	total, bad, watched := w.Sums(now)
	return share(bad, total) * watched / t.Allowed
}

func share(bad, total float64) float64 {
	if total <= 0 {
		return 0
	}
	return math.Min(1, bad/total)
}

// Settle says that what burns at a time was dealt with: a policy speaks again when its rate was below the limit, or when
// its short window has passed.
func (t *Tracker) Settle(now time.Time) {
	for i, p := range t.Policies {
		t.Settled[i] = now.Add(p.Short)
	}
}

// Clear forgets all counts.
func (t *Tracker) Clear() {
	t.Budget.Clear()
	for i := range t.Policies {
		t.Long[i].Clear()
		t.Short[i].Clear()
		t.Settled[i] = time.Time{}
	}
}
