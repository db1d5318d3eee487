package playbook

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/actionbudget"
	"github.com/paramedic-otel/paramedic/internal/circuitbreaker"
	"github.com/paramedic-otel/paramedic/internal/outcomes"
	"github.com/paramedic-otel/paramedic/internal/stormgate"
)

// PolicySettings bound what all playbooks together may do.
type PolicySettings struct {
	// Budget are the limits on actions within windows; MaxCharges bounds the actions that are remembered for them.
	Budget     []actionbudget.Limit
	MaxCharges int
	// Playbook, Target and Fleet are the breakers: of each playbook, of each target, and of all actions together.
	Playbook, Target, Fleet circuitbreaker.Settings
	Storm                   stormgate.Settings
	// Outcomes say what is learned; with MaxPairs 0 nothing is.
	Outcomes outcomes.Settings
}

// fleetKey is the one key of the fleet's breaker.
const fleetKey = "fleet"

// Policy holds the guards that span incidents. Nothing here is asked before something is taken back.
type Policy struct {
	settings                 PolicySettings
	budget                   *actionbudget.Ledger
	playbooks, target, fleet *circuitbreaker.Set
	storm                    *stormgate.Gate
	// outcomes is nil when nothing is learned.
	outcomes *outcomes.Tracker
	notes    []Note
	// refusals are the objections of the budget by the scope of the limit, since they were last taken.
	refusals map[string]int
	// changed is set when something was counted that must not be lost.
	changed bool
	saved   *saved
}

// Note is news of a guard that spans incidents: a breaker that opened or closed, a storm that began or ended.
type Note struct {
	// Guard is playbook_breaker, target_breaker, fleet_breaker or storm; Key is whose it is; State is what it is now.
	Guard, Key, State, Detail string
}

// NewPolicy returns the guards with nothing counted. The settings must be valid.
func NewPolicy(s PolicySettings) *Policy {
	p := &Policy{
		settings:  s,
		budget:    actionbudget.New(s.Budget, s.MaxCharges),
		playbooks: circuitbreaker.New(s.Playbook), target: circuitbreaker.New(s.Target), fleet: circuitbreaker.New(s.Fleet),
		storm: stormgate.New(s.Storm), refusals: map[string]int{},
	}
	if s.Outcomes.MaxPairs > 0 {
		p.outcomes = outcomes.New(s.Outcomes)
	}
	return p
}

// deny returns the first of these guards that objects to a step, or none. The breakers and the storm gate are asked once for a
// treatment: when it is counted already, only the budget is. A breaker that finds that it must open opens.
func (p *Policy) deny(now time.Time, playbook string, play *Play, c actionbudget.Charge) (Reason, string) {
	p.save()
	p.saveStorm()
	if play.Counted == "" {
		for _, b := range p.breakers(playbook, play.treats()...) {
			v := b.set.Check(b.key, now)
			if v.OK {
				continue
			}
			if v.State == circuitbreaker.Open {
				_, ts := b.set.Allow(b.key, now)
				p.note(b.guard, ts)
			}
			return ReasonBreaker, fmt.Sprintf("%s is %s: %s", b.name, v.State, v.Reason)
		}
		if v := p.storm.Check(play.Target, now); !v.OK {
			return ReasonStorm, v.Detail
		}
	}
	if d := p.budget.Check(now, c); d != nil {
		p.refusals[cmp.Or(string(d.Limit.Scope), NoScope)]++
		return ReasonBudget, d.Detail
	}
	return "", ""
}

// spend charges the budget for a step that all guards have let pass.
func (p *Policy) spend(now time.Time, c actionbudget.Charge) {
	p.save()
	p.changed = true
	p.budget.Record(now, c)
}

// refund takes back the charge for a step that did nothing.
func (p *Policy) refund(key string) {
	p.save()
	p.changed = true
	p.budget.Refund(key)
}

// start counts a treatment that all guards have let pass.
func (p *Policy) start(now time.Time, key, playbook string, play *Play) {
	p.save()
	p.saveStorm()
	p.changed = true
	play.Counted, play.Treated = key, play.treats()
	for _, b := range p.breakers(playbook, play.Treated...) {
		_, ts := b.set.Allow(b.key, now)
		p.note(b.guard, ts)
	}
	p.storm.Start(key, play.Target, now)
}

// release takes back a treatment that did nothing.
func (p *Policy) release(key, playbook string, play *Play) {
	p.save()
	p.saveStorm()
	p.changed = true
	play.Counted = ""
	for _, b := range p.breakers(playbook, play.treated()...) {
		b.set.Release(b.key)
	}
	p.storm.Release(key)
}

type breaker struct {
	set              *circuitbreaker.Set
	key, guard, name string
}

// breakers are those that a treatment passes.
func (p *Policy) breakers(playbook string, targets ...string) []breaker {
	out := []breaker{
		{p.fleet, fleetKey, "fleet_breaker", "the fleet's breaker"},
		{p.playbooks, playbook, "playbook_breaker", "the breaker of playbook " + playbook},
	}
	for _, target := range targets {
		out = append(out, breaker{p.target, target, "target_breaker", "the breaker of target " + target})
	}
	return out
}

// treats names the targets whose breakers count the play's current step: as the incident says, and, once it is planned, the
// objects that are locked. A pod has another name each time it is made anew, and what it belongs to has not.
func (p *Play) treats() []string {
	names := p.cooled()
	slices.Sort(names)
	return slices.Compact(names)
}

// treated are those that have counted it.
func (p *Play) treated() []string {
	if len(p.Treated) == 0 {
		return []string{p.Target}
	}
	return p.Treated
}

// outcome tells all these breakers.
func (p *Policy) outcome(playbook string, play *Play, tell func(set *circuitbreaker.Set, key string) []circuitbreaker.Transition) {
	p.save()
	p.changed = true
	for _, b := range p.breakers(playbook, play.treated()...) {
		p.note(b.guard, tell(b.set, b.key))
	}
}

func (p *Policy) succeeded(now time.Time, playbook string, play *Play) {
	play.Counted = ""
	p.outcome(playbook, play, func(s *circuitbreaker.Set, key string) []circuitbreaker.Transition { return s.Success(key, now) })
	p.learn(playbook, play, outcomes.Recovered, now)
}

// failed counts what was done and did not help. What a guard refused says nothing of the playbook.
func (p *Policy) failed(now time.Time, playbook string, play *Play, reason Reason) {
	switch reason {
	case ReasonNotRecovered, ReasonWorse, ReasonReturned, ReasonReverted:
		play.Ineffective++
	case ReasonRefused:
	default:
		return
	}
	play.Counted = ""
	p.outcome(playbook, play, func(s *circuitbreaker.Set, key string) []circuitbreaker.Transition { return s.Failure(key, now) })
}

func (p *Policy) inconclusive(now time.Time, playbook string, play *Play) {
	play.Counted = ""
	p.outcome(playbook, play, func(s *circuitbreaker.Set, key string) []circuitbreaker.Transition { return s.Inconclusive(key, now) })
	p.learn(playbook, play, outcomes.Inconclusive, now)
}

// Opened notes an incident that was told of for the first time.
func (p *Policy) Opened(incident, target string, now time.Time) {
	p.saveStorm()
	p.changed = true
	p.noteStorm(p.storm.Opened(incident, target, now))
}

// CatchUp begins to spread actions over a while, since something that held them back has ended.
func (p *Policy) CatchUp(why string, now time.Time) {
	p.saveStorm()
	p.noteStorm(p.storm.CatchUp(why, now))
}

// Tick notes that time has passed.
func (p *Policy) Tick(now time.Time) {
	p.saveStorm()
	p.noteStorm(p.storm.Tick(now))
}

// Storm returns what is known of the storm gate.
func (p *Policy) Storm(now time.Time) stormgate.Status {
	p.saveStorm()
	return p.storm.Status(now)
}

// Usage returns what is spent of the budget.
func (p *Policy) Usage(now time.Time) []actionbudget.Usage {
	p.save()
	return p.budget.Usage(now)
}

// BreakerStatus is a breaker and which of the three kinds it is.
type BreakerStatus struct {
	Guard string `json:"guard"`
	circuitbreaker.Status
}

// Breakers returns all breakers that have something to say.
func (p *Policy) Breakers(now time.Time) []BreakerStatus {
	p.save()
	var out []BreakerStatus
	for _, b := range p.breakers("", "") {
		for _, s := range b.set.States(now) {
			out = append(out, BreakerStatus{b.guard, s})
		}
	}
	return out
}

// ResetBreaker closes a breaker on a person's word and reports whether there is one of this kind.
func (p *Policy) ResetBreaker(guard, key string, now time.Time) bool {
	p.save()
	p.changed = true
	for _, b := range p.breakers("", "") {
		if b.guard == guard {
			p.note(guard, b.set.Reset(key, now))
			return true
		}
	}
	return false
}

func (p *Policy) note(guard string, ts []circuitbreaker.Transition) {
	for _, t := range ts {
		p.add(Note{guard, t.Key, string(t.To), t.Reason})
	}
}

func (p *Policy) noteStorm(cs []stormgate.Change) {
	for _, c := range cs {
		p.add(Note{"storm", "", string(c.Event), c.Detail})
	}
}

// maxNotes bounds the news that nobody takes: the newest are kept.
const maxNotes = 1000

func (p *Policy) add(n Note) {
	p.changed = true
	p.notes = append(p.notes, n)
	p.notes = p.notes[max(0, len(p.notes)-maxNotes):]
}

// NoScope is the scope of an objection of the budget that is none of its limits'.
const NoScope = "none"

// TakeRefusals returns how often the budget has objected since it was last called, by the scope of the limit.
func (p *Policy) TakeRefusals() map[string]int {
	refusals := p.refusals
	p.refusals = map[string]int{}
	return refusals
}

// TakeNotes returns the news since it was last called.
func (p *Policy) TakeNotes() []Note {
	notes := p.notes
	p.notes = nil
	return notes
}
