package playbook

import (
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/outcomes"
)

// Order returns in which order to ask playbooks whose conditions hold, given in the configured order, and why. That order stays
// while learning is off or too few outcomes are known.
func (l *Ledger) Order(causeKind, incident string, playbooks []string, now time.Time) ([]string, outcomes.Choice) {
	if l.policy.outcomes == nil {
		return slices.Clone(playbooks), outcomes.Choice{Detail: "the given order stays: learning is off"}
	}
	candidates := make([]outcomes.Candidate, 0, len(playbooks))
	for _, name := range playbooks {
		c := outcomes.Candidate{Playbook: name}
		if rule := l.rules[name]; rule != nil {
			c.Destructive = rule.destructive()
		}
		candidates = append(candidates, c)
	}
	l.policy.saveOutcomes()
	choice := l.policy.outcomes.Order(causeKind, candidates, incident, now)
	order := make([]string, 0, len(playbooks))
	for _, r := range choice.Order {
		order = append(order, r.Playbook)
	}
	return order, choice
}

func (r *Rule) destructive() bool {
	return slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Destructive })
}

// guardLearned keeps a playbook that seldom helps against this kind of cause from acting by itself.
func guardLearned(l *Ledger, a *asked) (Reason, string) {
	if l.policy.outcomes == nil || a.play.Mode != Auto {
		return "", ""
	}
	l.policy.saveOutcomes()
	r := l.policy.outcomes.Judge(a.play.CauseKind, outcomes.Candidate{Playbook: a.rule.Name}, a.now)
	if r.Eligible {
		return "", ""
	}
	return ReasonLearned, r.Detail
}

// learn records what became of a play as a whole, not of its steps. Of what was only refused there is nothing to learn.
func (p *Policy) learn(playbook string, play *Play, o outcomes.Outcome, now time.Time) {
	if p.outcomes == nil {
		return
	}
	p.saveOutcomes()
	p.changed = true
	_ = p.outcomes.Record(play.CauseKind, playbook, o, now) // fails only for an outcome that is none
}

// learnFailure records the end of a play of which a step was seen not to help.
func (p *Policy) learnFailure(playbook string, play *Play, undone bool, now time.Time) {
	switch {
	case play.Ineffective == 0:
	case undone:
		p.learn(playbook, play, outcomes.Reverted, now)
	default:
		p.learn(playbook, play, outcomes.Ineffective, now)
	}
}

// Outcomes returns what is known of every pair of a cause kind and a playbook.
func (p *Policy) Outcomes(now time.Time) []outcomes.Statistics {
	if p.outcomes == nil {
		return nil
	}
	p.saveOutcomes()
	return p.outcomes.All(now)
}
