package playbook

import (
	"errors"

	"github.com/paramedic-otel/paramedic/internal/actionbudget"
	"github.com/paramedic-otel/paramedic/internal/circuitbreaker"
	"github.com/paramedic-otel/paramedic/internal/outcomes"
	"github.com/paramedic-otel/paramedic/internal/stormgate"
)

// counts is the state of all guards that span incidents.
type counts struct {
	Budget    actionbudget.Snapshot   `json:"budget"`
	Playbooks circuitbreaker.Snapshot `json:"playbook_breakers"`
	Targets   circuitbreaker.Snapshot `json:"target_breakers"`
	Fleet     circuitbreaker.Snapshot `json:"fleet_breaker"`
	Storm     stormgate.Snapshot      `json:"storm"`
	Outcomes  outcomes.Snapshot       `json:"outcomes"`
}

func (p *Policy) counts() counts {
	c := counts{
		Budget: p.budget.Snapshot(), Playbooks: p.playbooks.Snapshot(), Targets: p.target.Snapshot(), Fleet: p.fleet.Snapshot(),
		Storm: p.storm.Snapshot(),
	}
	if p.outcomes != nil {
		c.Outcomes = p.outcomes.Snapshot()
	}
	return c
}

// restore replaces the state; on error it is left as it was.
func (p *Policy) restore(s counts) error {
	fresh := NewPolicy(p.settings)
	err := errors.Join(fresh.budget.Restore(s.Budget), fresh.playbooks.Restore(s.Playbooks), fresh.target.Restore(s.Targets),
		fresh.fleet.Restore(s.Fleet), fresh.storm.Restore(s.Storm))
	if fresh.outcomes != nil {
		err = errors.Join(err, fresh.outcomes.Restore(s.Outcomes))
	}
	if err != nil {
		return err
	}
	p.outcomes = fresh.outcomes
	p.budget, p.playbooks, p.target, p.fleet, p.storm = fresh.budget, fresh.playbooks, fresh.target, fresh.fleet, fresh.storm
	return nil
}

// saved is how things were at the beginning of a transaction, in parts: only what is about to change is copied. Also asking a
// guard may change it, since it drops what is over.
type saved struct {
	counts   *counts
	storm    *stormgate.Snapshot
	outcomes *outcomes.Snapshot
	notes    []Note
}

func (p *Policy) begin() { p.saved = &saved{notes: p.notes} }

func (p *Policy) commit() { p.saved = nil }

// save is called before the budget or a breaker changes.
func (p *Policy) save() {
	if p.saved == nil || p.saved.counts != nil {
		return
	}
	p.saved.counts = &counts{
		Budget: p.budget.Snapshot(), Playbooks: p.playbooks.Snapshot(), Targets: p.target.Snapshot(), Fleet: p.fleet.Snapshot(),
	}
}

// saveStorm is called before the storm gate changes.
func (p *Policy) saveStorm() {
	if p.saved == nil || p.saved.storm != nil {
		return
	}
	s := p.storm.Snapshot()
	p.saved.storm = &s
}

// saveOutcomes is called before what was learned changes.
func (p *Policy) saveOutcomes() {
	if p.saved == nil || p.saved.outcomes != nil {
		return
	}
	s := p.outcomes.Snapshot()
	p.saved.outcomes = &s
}

// rollback makes everything as it was at begin.
func (p *Policy) rollback() error {
	s := p.saved
	p.saved = nil
	p.notes = s.notes
	var errs error
	if c := s.counts; c != nil {
		errs = errors.Join(p.budget.Restore(c.Budget), p.playbooks.Restore(c.Playbooks), p.target.Restore(c.Targets), p.fleet.Restore(c.Fleet))
	}
	if s.storm != nil {
		errs = errors.Join(errs, p.storm.Restore(*s.storm))
	}
	if s.outcomes != nil {
		errs = errors.Join(errs, p.outcomes.Restore(*s.outcomes))
	}
	return errs
}
