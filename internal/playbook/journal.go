package playbook

import (
	"errors"
	"maps"
	"time"
)

// journal knows which incidents were changed since they were last stored, and, between Begin and Commit or Rollback, how
// what was changed was before.
type journal struct {
	// changed are the IDs since TakeChanged.
	changed map[string]bool
	begun   bool
	// before has a copy of each incident that was touched since Begin; nil for one that was not there.
	before map[string]*Incident
	// cooldowns has the former end of each cooldown that was changed; zero for one that was not there.
	cooldowns map[cooldownKey]time.Time
	// unstored are those that were changed already at Begin, and taken is set once TakeChanged has given them since.
	unstored map[string]bool
	taken    bool
	// common is whether what incidents share was changed already at Begin.
	common bool
}

func newJournal() journal { return journal{changed: map[string]bool{}} }

func (j *journal) touch(id string, inc *Incident) {
	j.changed[id] = true
	if !j.begun {
		return
	}
	if _, known := j.before[id]; !known {
		j.before[id] = inc.copy()
	}
}

func (j *journal) keepCooldown(k cooldownKey, until time.Time) {
	if !j.begun {
		return
	}
	if _, known := j.cooldowns[k]; !known {
		j.cooldowns[k] = until
	}
}

// copy returns what the incident is now. What plays point to is replaced when it changes, never written, and is shared.
func (inc *Incident) copy() *Incident {
	if inc == nil {
		return nil
	}
	c := *inc
	c.Plays = maps.Clone(inc.Plays)
	for name, p := range c.Plays {
		play := *p
		c.Plays[name] = &play
	}
	return &c
}

// TakeChanged returns the incidents that were changed, or forgotten, since it was last called, sorted.
func (l *Ledger) TakeChanged() []string {
	j := &l.journal
	if !j.taken {
		maps.Copy(j.changed, j.unstored)
	}
	ids := sortedKeys(j.changed)
	j.changed, j.taken = map[string]bool{}, j.begun
	return ids
}

// Changed notes again that incidents were changed, since they could not be stored.
func (l *Ledger) Changed(ids []string) {
	for _, id := range ids {
		l.journal.changed[id] = true
	}
}

// TakeCommonChanged reports whether [Ledger.EncodeCommon] gives something new that must not be lost since it was last called.
func (l *Ledger) TakeCommonChanged() bool {
	changed := l.commonChanged || l.policy.changed
	l.commonChanged, l.policy.changed = false, false
	return changed
}

// CommonChanged notes again that what incidents share was changed, since it could not be stored.
func (l *Ledger) CommonChanged() { l.commonChanged = true }

// Begin remembers how everything is, for [Ledger.Rollback]. Only what is changed from then on costs anything. It is an error to
// begin twice.
func (l *Ledger) Begin() error {
	if l.journal.begun {
		return errors.New("begin: the last change of the ledger was neither committed nor rolled back")
	}
	l.journal = journal{
		begun: true, changed: map[string]bool{}, unstored: l.journal.changed, before: map[string]*Incident{},
		cooldowns: map[cooldownKey]time.Time{}, common: l.commonChanged || l.policy.changed,
	}
	l.policy.begin()
	return nil
}

// Commit ends what Begin began.
func (l *Ledger) Commit() {
	changed := l.journal.changed
	if !l.journal.taken && l.journal.unstored != nil {
		changed = l.journal.unstored
		maps.Copy(changed, l.journal.changed)
	}
	l.journal = journal{changed: changed}
	l.policy.commit()
}

// Rollback makes everything as it was at Begin.
func (l *Ledger) Rollback() error {
	if !l.journal.begun {
		return errors.New("roll back: nothing was begun")
	}
	before, cooldowns, unstored, common := l.journal.before, l.journal.cooldowns, l.journal.unstored, l.journal.common
	err := l.policy.rollback()
	l.journal = newJournal()
	for id := range before {
		if l.incidents[id] != nil {
			l.drop(id)
		}
	}
	for _, id := range sortedKeys(before) {
		if inc := before[id]; inc != nil {
			l.enter(id, inc)
		}
	}
	for k, until := range cooldowns {
		l.setCooldown(k, until)
	}
	l.journal.changed, l.commonChanged, l.policy.changed = unstored, common, false
	return err
}
