// Package stormgate holds actions back while incidents open faster than one cause at a time can explain, and lets them start
// again one after the other when that is over.
//
// It guards against the rows "remediation storm" (many alerts, one cause, many actions) and "thundering herd after a window or
// an outage" of the failure modes of the safety design. A storm begins when more than MaxIncidents open within Window. From
// then on, and counting what started up to a Window before, at most MaxActions actions start in all. It ends when fewer than half
// of MaxIncidents have opened within any Window for as long as Quiet. A catch-up follows: each target may be acted on only after a
// delay of its own, up to Jitter, which is a hash of the target and of when the catch-up began. The same catch-up serves after a
// maintenance window, and after telemetry or leadership came back.
//
// Undoing is not held back: undo, uncordon and release are always allowed, and callers do not ask for them.
//
// Time is an argument. Times that lie ahead of now, because a clock was set back, are taken to be now. What is decided depends on
// the arguments alone. A [Gate] is not safe for concurrent use.
package stormgate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"
)

// Settings bound a gate.
type Settings struct {
	// MaxIncidents may open within Window without being a storm; 1 to 10,000.
	MaxIncidents int
	Window       time.Duration
	// MaxActions may start in a storm, 1 to 1,000.
	MaxActions int
	// Quiet is for how long fewer than half of MaxIncidents must have opened within any Window for a storm to end.
	Quiet time.Duration
	// Jitter is by how much actions are spread in a catch-up; 0 for not at all.
	Jitter time.Duration
}

// The most that the settings may ask to be remembered.
const (
	maxIncidents = 10_000
	maxActions   = 1_000
)

// Validate names everything that is wrong with the settings.
func (s Settings) Validate() error {
	var errs []error
	if s.MaxIncidents < 1 || s.MaxIncidents > maxIncidents {
		errs = append(errs, fmt.Errorf("max_incidents must be between 1 and %d, got %d", maxIncidents, s.MaxIncidents))
	}
	if s.Window <= 0 {
		errs = append(errs, fmt.Errorf("window must be greater than 0, got %s", s.Window))
	}
	if s.MaxActions < 1 || s.MaxActions > maxActions {
		errs = append(errs, fmt.Errorf("max_actions must be between 1 and %d, got %d", maxActions, s.MaxActions))
	}
	if s.Quiet < 0 {
		errs = append(errs, fmt.Errorf("quiet must not be negative, got %s", s.Quiet))
	}
	if s.Jitter < 0 {
		errs = append(errs, fmt.Errorf("jitter must not be negative, got %s", s.Jitter))
	}
	return errors.Join(errs...)
}

// Event is what happened to a gate.
type Event string

// The events.
const (
	Began   Event = "storm_began"
	Ended   Event = "storm_ended"
	CatchUp Event = "catch_up_began"
)

// Change is an event, and what it is to be told with.
type Change struct {
	Event  Event
	At     time.Time
	Detail string
}

// Reason says why an action may not start.
type Reason string

// The reasons.
const (
	ReasonStorm   Reason = "storm"
	ReasonCatchUp Reason = "catch_up"
)

// Verdict is the answer to whether an action may start.
type Verdict struct {
	OK     bool
	Reason Reason
	Detail string
	// Until is when asking again may help; in a storm it moves on with every incident.
	Until time.Time
}

// Opening is an incident that opened.
type Opening struct {
	Incident string    `json:"incident"`
	Target   string    `json:"target,omitempty"`
	At       time.Time `json:"at"`
}

// Start is an action that started.
type Start struct {
	Key string    `json:"key"`
	At  time.Time `json:"at"`
}

// Gate knows the incidents that opened and the actions that started lately.
type Gate struct {
	settings Settings
	state    Snapshot
}

// New returns an open gate. The settings must be valid.
func New(settings Settings) *Gate { return &Gate{settings: settings} }

// Opened notes an incident that opened, and the target that would be acted on, which may be empty. One that is told again is
// not counted again as long as it is remembered: MaxIncidents others have not opened since.
func (g *Gate) Opened(incident, target string, now time.Time) []Change {
	out := g.Tick(now)
	st := &g.state
	if slices.ContainsFunc(st.Openings, func(o Opening) bool { return o.Incident == incident }) {
		return out
	}
	st.Openings = append(st.Openings, Opening{Incident: incident, Target: target, At: now})
	st.Openings = slices.Delete(st.Openings, 0, max(0, len(st.Openings)-g.settings.MaxIncidents-1))
	// With half of MaxIncidents within the window now, it is busy until the first of them leaves it.
	if half := (g.settings.MaxIncidents + 1) / 2; g.within(now) >= half {
		st.BusyUntil = st.Openings[len(st.Openings)-half].At.Add(g.settings.Window)
	}
	if n := g.within(now); !st.Storm && n > g.settings.MaxIncidents {
		st.Storm, st.Began = true, now
		out = append(out, Change{Began, now, fmt.Sprintf("%d incidents of %d targets opened within %s, more than %d: at most %d actions start until it is over",
			n, g.targets(now), g.settings.Window, g.settings.MaxIncidents, g.settings.MaxActions)})
	}
	return out
}

// Tick notes that time has passed: only it and [Gate.Opened] end a storm.
func (g *Gate) Tick(now time.Time) []Change {
	g.settle(now)
	st := &g.state
	if !st.Storm || now.Before(st.BusyUntil.Add(g.settings.Quiet)) {
		return nil
	}
	out := []Change{{Ended, now, fmt.Sprintf("fewer than %s incidents opened within any %s for %s; the storm began at %s",
		half(g.settings.MaxIncidents), g.settings.Window, g.settings.Quiet, st.Began.UTC().Format(time.RFC3339))}}
	st.Storm, st.Began = false, time.Time{}
	return append(out, g.CatchUp("the storm is over", now)...)
}

// CatchUp begins a catch-up, anew when one is going on: after a maintenance window, or when telemetry or leadership came back.
func (g *Gate) CatchUp(why string, now time.Time) []Change {
	g.settle(now)
	if g.settings.Jitter == 0 {
		return nil
	}
	g.state.CatchUp = now
	return []Change{{CatchUp, now, fmt.Sprintf("%s: actions are spread over %s", why, g.settings.Jitter)}}
}

// Check says what [Gate.Start] would, without counting anything.
func (g *Gate) Check(target string, now time.Time) Verdict {
	g.settle(now)
	st := &g.state
	if st.Storm {
		n := 0
		for _, s := range st.Starts {
			if !s.At.Before(st.Began.Add(-g.settings.Window)) {
				n++
			}
		}
		if n >= g.settings.MaxActions {
			return Verdict{
				Reason: ReasonStorm, Until: st.BusyUntil.Add(g.settings.Quiet),
				Detail: fmt.Sprintf("a storm of incidents goes on since %s, and %d of %d actions have started", st.Began.UTC().Format(time.RFC3339), n, g.settings.MaxActions),
			}
		}
		return Verdict{OK: true}
	}
	if !st.CatchUp.IsZero() {
		if until := st.CatchUp.Add(g.delay(target)); now.Before(until) {
			return Verdict{
				Reason: ReasonCatchUp, Until: until,
				Detail: fmt.Sprintf("actions are spread over %s since %s; the turn of this target comes at %s", g.settings.Jitter,
					st.CatchUp.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339)),
			}
		}
	}
	return Verdict{OK: true}
}

// Start is asked right before an action starts, and counts it when it may. An action that is asked for again by its key may
// start again without being counted twice, as long as it is remembered: MaxActions others have not started since.
func (g *Gate) Start(key, target string, now time.Time) Verdict {
	if slices.ContainsFunc(g.state.Starts, func(s Start) bool { return s.Key == key }) {
		return Verdict{OK: true}
	}
	v := g.Check(target, now)
	if v.OK {
		g.state.Starts = append(g.state.Starts, Start{Key: key, At: now})
		g.state.Starts = slices.Delete(g.state.Starts, 0, max(0, len(g.state.Starts)-g.settings.MaxActions))
	}
	return v
}

// Release takes back an action that was not carried out.
func (g *Gate) Release(key string) {
	g.state.Starts = slices.DeleteFunc(g.state.Starts, func(s Start) bool { return s.Key == key })
}

// Status is what is known of a gate.
type Status struct {
	Storm bool `json:"storm"`
	// Began is when the storm began, and Until when it ends if nothing else opens.
	Began time.Time `json:"began,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// Incidents opened within the window, of Targets different targets; no more than MaxIncidents+1 are counted.
	Incidents int `json:"incidents"`
	Targets   int `json:"targets"`
	// CatchUpUntil is when the last target's turn has come; zero when no catch-up goes on.
	CatchUpUntil time.Time `json:"catch_up_until,omitzero"`
}

// Status returns what is known now.
func (g *Gate) Status(now time.Time) Status {
	g.settle(now)
	s := Status{Storm: g.state.Storm, Began: g.state.Began, Incidents: g.within(now), Targets: g.targets(now)}
	if s.Storm {
		s.Until = g.state.BusyUntil.Add(g.settings.Quiet)
	}
	if !g.state.CatchUp.IsZero() {
		s.CatchUpUntil = g.state.CatchUp.Add(g.settings.Jitter)
	}
	return s
}

// delay returns a target's own delay in the catch-up, at least 0 and below Jitter.
func (g *Gate) delay(target string) time.Duration {
	h := fnv.New64a()
	var began [8]byte
	binary.BigEndian.PutUint64(began[:], uint64(g.state.CatchUp.UnixNano()))
	_, _ = h.Write(began[:])
	_, _ = h.Write([]byte(target))
	// FNV leaves the high bits of short inputs alike: mix them as the finalizer of MurmurHash3 does.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return time.Duration(float64(x>>11) / (1 << 53) * float64(g.settings.Jitter))
}

// within returns how many openings are within the window.
func (g *Gate) within(now time.Time) int {
	n := 0
	for _, o := range g.state.Openings {
		if now.Sub(o.At) < g.settings.Window {
			n++
		}
	}
	return n
}

func (g *Gate) targets(now time.Time) int {
	seen := map[string]bool{}
	for _, o := range g.state.Openings {
		if now.Sub(o.At) < g.settings.Window {
			seen[o.Target] = true
		}
	}
	return len(seen)
}

// settle takes times that lie ahead for now, and forgets a catch-up that is over.
func (g *Gate) settle(now time.Time) {
	st := &g.state
	for i := range st.Openings {
		st.Openings[i].At = earlier(st.Openings[i].At, now)
	}
	for i := range st.Starts {
		st.Starts[i].At = earlier(st.Starts[i].At, now)
	}
	st.Began, st.CatchUp = earlier(st.Began, now), earlier(st.CatchUp, now)
	st.BusyUntil = earlier(st.BusyUntil, now.Add(g.settings.Window))
	if !st.CatchUp.IsZero() && now.Sub(st.CatchUp) >= g.settings.Jitter {
		st.CatchUp = time.Time{}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.After(b) {
		return b
	}
	return a
}

// half writes half of n.
func half(n int) string {
	if n%2 == 0 {
		return fmt.Sprintf("%d", n/2)
	}
	return fmt.Sprintf("%d.5", n/2)
}
