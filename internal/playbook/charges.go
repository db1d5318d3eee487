package playbook

import (
	"slices"
	"strconv"
	"time"

	"github.com/paramedic-otel/paramedic/internal/actionbudget"
)

// hold keeps the playbook from saying or doing the same to the target again for a while.
func (l *Ledger) hold(rule *Rule, p *Play, now time.Time) {
	for _, name := range p.cooled() {
		l.setCooldown(cooldownKey{rule.Name, name}, now.Add(rule.Cooldown))
	}
}

// cooled names what a step's cooldown is for: the incident's name of the target, and everything that is locked.
func (p *Play) cooled() []string {
	if p.Plan == nil {
		return []string{p.Target}
	}
	return append([]string{p.Target}, p.Plan.Locks...)
}

// acted reports whether an earlier step of the play acted on this.
func (p *Play) acted(name string) bool {
	return len(p.Done) > 0 && (name == p.Target || slices.ContainsFunc(p.Done, func(d Done) bool { return slices.Contains(d.Locks, name) }))
}

// charge counts a step that is about to act.
func (l *Ledger) charge(rule *Rule, incident string, p *Play, now time.Time) {
	l.hold(rule, p, now)
	c := l.chargeOf(rule, incident, p)
	l.policy.spend(now, c)
	if p.Counted == "" {
		l.policy.start(now, c.Key, rule.Name, p)
	}
	p.Charged = true
}

// refund takes back the charge for a step that did nothing. What earlier steps of the play did goes on to count.
func (l *Ledger) refund(incident, playbook string, p *Play) {
	if !p.Charged {
		return
	}
	p.Charged = false
	key := chargeKey(incident, playbook, p)
	l.policy.refund(key)
	if p.Counted == key {
		l.policy.release(key, playbook, p)
	}
	for _, name := range p.cooled() {
		if !p.acted(name) {
			l.setCooldown(cooldownKey{playbook, name}, time.Time{})
		}
	}
}

// chargeOf returns what the play's current step costs. Before its plan is known that is only an estimate: it asks the limits on
// numbers and leaves out shares, which nothing can be said of yet; when it is admitted all are asked.
func (l *Ledger) chargeOf(rule *Rule, incident string, p *Play) actionbudget.Charge {
	step := rule.Steps[p.Step]
	c := actionbudget.Charge{
		Key:   chargeKey(incident, rule.Name, p),
		Class: step.Class, Weight: 1, Destructive: step.Destructive && !step.Planned, // a plan knows it better
	}
	plan := p.Plan
	switch {
	case plan != nil:
		c.Class, c.Namespace, c.Destructive = plan.Class, plan.Namespace, plan.Destructive
		c.Pool = plan.Class + "/" + plan.Namespace
		c.Weight, c.Population, c.Healthy = max(plan.Weight, 1), plan.Population, plan.Healthy
		c.HealthyTouched = min(plan.Weight, plan.Healthy)
	case step.Planned:
		c.Namespace, c.Pool = notKnown, notKnown
		c.Weight, c.Population, c.Healthy = 0, 1, 1
	}
	return c
}

// chargeKey names the charge of the play's current step: its intent, and when it was decided, since an incident that was
// forgotten and comes back has the same intents again.
func chargeKey(incident, playbook string, p *Play) string {
	return p.IntentOf(incident, playbook, p.Step) + "@" + strconv.FormatInt(p.Decided.UnixNano(), 36)
}

// notKnown can be no namespace, so that nothing was ever spent there.
const notKnown = "?"

// setCooldown sets the end of a cooldown; the zero time removes it.
func (l *Ledger) setCooldown(k cooldownKey, until time.Time) {
	l.journal.keepCooldown(k, l.cooldowns[k])
	l.commonChanged = true
	if until.IsZero() {
		delete(l.cooldowns, k)
		return
	}
	l.cooldowns[k] = until
	if l.ending.crowded(len(l.cooldowns)) {
		l.queueCooldowns()
		return
	}
	l.ending.add(until, k)
}

// queueCooldowns makes the queue of the cooldowns' ends anew.
func (l *Ledger) queueCooldowns() {
	l.ending.entries = nil
	for k, until := range l.cooldowns {
		l.ending.add(until, k)
	}
}

// trim drops the cooldowns that are over.
func (l *Ledger) trim(now time.Time) {
	for e, ok := l.ending.next(); ok && !now.Before(e.at); e, ok = l.ending.next() {
		l.ending.take()
		if until, held := l.cooldowns[e.key]; held && !now.Before(until) {
			l.setCooldown(e.key, time.Time{})
		}
	}
}

// cooling returns whether the playbook must leave this alone for now. An end that lies further ahead than a whole cooldown,
// because the clock was set back or the cooldown was shortened, is drawn in to one.
func (l *Ledger) cooling(rule *Rule, name string, now time.Time) bool {
	k := cooldownKey{rule.Name, name}
	until, held := l.cooldowns[k]
	if held && until.Sub(now) > rule.Cooldown {
		until = now.Add(rule.Cooldown)
		l.setCooldown(k, until)
	}
	return held && now.Before(until)
}
