package playbook

import (
	"fmt"
	"time"

	"github.com/paramedic-otel/paramedic/internal/actionbudget"
	"github.com/paramedic-otel/paramedic/internal/circuitbreaker"
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
}

// fleetKey is the one key of the fleet's breaker.
const fleetKey = "fleet"

// Policy holds the guards that span incidents. Nothing here is asked before something is taken back.
type Policy struct {
	budget                   *actionbudget.Ledger
	playbooks, target, fleet *circuitbreaker.Set
	storm                    *stormgate.Gate
	notes                    []Note
}

// Note is news of a guard that spans incidents: a breaker that opened or closed, a storm that began or ended.
type Note struct {
	// Guard is playbook_breaker, target_breaker, fleet_breaker or storm; Key is whose it is; State is what it is now.
	Guard, Key, State, Detail string
}

// NewPolicy returns the guards with nothing counted. The settings must be valid.
func NewPolicy(s PolicySettings) *Policy {
	return &Policy{
		budget:    actionbudget.New(s.Budget, s.MaxCharges),
		playbooks: circuitbreaker.New(s.Playbook), target: circuitbreaker.New(s.Target), fleet: circuitbreaker.New(s.Fleet),
		storm: stormgate.New(s.Storm),
	}
}

// chargeOf returns what the play's current step costs.
func (l *Ledger) chargeOf(rule *Rule, incident string, p *Play) actionbudget.Charge {
	step := rule.Steps[p.Step]
	c := actionbudget.Charge{
		Key:   IntentID(incident, rule.Name, p.Occurrence, p.Step),
		Class: step.Class, Weight: 1, Destructive: step.Destructive && !step.Planned, // a plan knows it better
	}
	if plan := p.Plan; plan != nil {
		c.Class, c.Namespace, c.Destructive = plan.Class, plan.Namespace, plan.Destructive
		c.Pool = plan.Class + "/" + plan.Namespace
		c.Weight, c.Population, c.Healthy = max(plan.Weight, 1), plan.Population, plan.Healthy
		c.HealthyTouched = min(plan.Weight, plan.Healthy)
	}
	return c
}

// deny returns the first of these guards that objects to a step, or none.
func (p *Policy) deny(now time.Time, playbook, target string, c actionbudget.Charge) (Reason, string) {
	for _, b := range []struct {
		set       *circuitbreaker.Set
		key, name string
	}{{p.fleet, fleetKey, "the fleet's breaker"}, {p.playbooks, playbook, "the breaker of playbook " + playbook}, {p.target, target, "the breaker of target " + target}} {
		if v := b.set.Check(b.key, now); !v.OK {
			return ReasonBreaker, fmt.Sprintf("%s is %s: %s", b.name, v.State, v.Reason)
		}
	}
	if v := p.storm.Check(target, now); !v.OK {
		return ReasonStorm, v.Detail
	}
	if d := p.budget.Check(now, c); d != nil {
		return ReasonBudget, d.Detail
	}
	return "", ""
}

// charge counts a step that all guards have let pass.
func (p *Policy) charge(now time.Time, c actionbudget.Charge, playbook, target string) {
	for _, b := range p.breakers(playbook, target) {
		_, ts := b.set.Allow(b.key, now)
		p.note(b.guard, ts)
	}
	p.storm.Start(c.Key, target, now)
	p.budget.Record(now, c)
}

// refund takes back the charge for a step that did nothing.
func (p *Policy) refund(key, playbook, target string) {
	for _, b := range p.breakers(playbook, target) {
		b.set.Release(b.key)
	}
	p.storm.Release(key)
	p.budget.Refund(key)
}

type breaker struct {
	set        *circuitbreaker.Set
	key, guard string
}

func (p *Policy) breakers(playbook, target string) []breaker {
	return []breaker{{p.fleet, fleetKey, "fleet_breaker"}, {p.playbooks, playbook, "playbook_breaker"}, {p.target, target, "target_breaker"}}
}

func (p *Policy) succeeded(now time.Time, playbook string, play *Play) {
	for _, b := range p.breakers(playbook, play.Target) {
		p.note(b.guard, b.set.Success(b.key, now))
	}
}

// failed counts what was done and did not help. What was only refused says nothing of the playbook.
func (p *Policy) failed(now time.Time, playbook string, play *Play, reason Reason) {
	switch reason {
	case ReasonNotRecovered, ReasonWorse, ReasonReturned, ReasonRefused, ReasonUndoFailed:
		for _, b := range p.breakers(playbook, play.Target) {
			p.note(b.guard, b.set.Failure(b.key, now))
		}
	}
}

func (p *Policy) inconclusive(now time.Time, playbook string, play *Play) {
	for _, b := range p.breakers(playbook, play.Target) {
		p.note(b.guard, b.set.Inconclusive(b.key, now))
	}
}

// Opened notes an incident that was told of for the first time.
func (p *Policy) Opened(incident, target string, now time.Time) {
	p.noteStorm(p.storm.Opened(incident, target, now))
}

// CatchUp begins to spread actions over a while, since something that held them back has ended.
func (p *Policy) CatchUp(why string, now time.Time) { p.noteStorm(p.storm.CatchUp(why, now)) }

// Tick notes that time has passed.
func (p *Policy) Tick(now time.Time) { p.noteStorm(p.storm.Tick(now)) }

// Storm returns what is known of the storm gate.
func (p *Policy) Storm(now time.Time) stormgate.Status { return p.storm.Status(now) }

// Usage returns what is spent of the budget.
func (p *Policy) Usage(now time.Time) []actionbudget.Usage { return p.budget.Usage(now) }

// BreakerStatus is a breaker and which of the three kinds it is.
type BreakerStatus struct {
	Guard string `json:"guard"`
	circuitbreaker.Status
}

// Breakers returns all breakers that have something to say.
func (p *Policy) Breakers(now time.Time) []BreakerStatus {
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
		p.notes = append(p.notes, Note{guard, t.Key, string(t.To), t.Reason})
	}
}

func (p *Policy) noteStorm(cs []stormgate.Change) {
	for _, c := range cs {
		p.notes = append(p.notes, Note{"storm", "", string(c.Event), c.Detail})
	}
}

// TakeNotes returns the news since it was last called.
func (p *Policy) TakeNotes() []Note {
	notes := p.notes
	p.notes = nil
	return notes
}
