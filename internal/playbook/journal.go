package playbook

import (
	"encoding/json"
	"fmt"
	"maps"
)

// journal knows which incidents were changed since they were last stored, and, between Begin and Commit or Rollback, how
// they were before.
type journal struct {
	// changed are the IDs since TakeChanged.
	changed map[string]bool
	// before holds the encoding of each incident that was touched since Begin; nil for one that was not there.
	before map[string][]byte
	common []byte
	// unstored are those that were changed already at Begin.
	unstored map[string]bool
}

func newJournal() journal { return journal{changed: map[string]bool{}} }

func (j *journal) touch(id string, inc *Incident) {
	j.changed[id] = true
	if j.before == nil {
		return
	}
	if _, known := j.before[id]; known {
		return
	}
	if inc == nil {
		j.before[id] = nil
		return
	}
	b, _ := json.Marshal(storedIncident{id, inc}) // cannot fail: what was decoded or made here can be encoded
	j.before[id] = b
}

// TakeChanged returns the incidents that were changed, or forgotten, since it was last called, sorted.
func (l *Ledger) TakeChanged() []string {
	ids := sortedKeys(l.journal.changed)
	clear(l.journal.changed)
	return ids
}

// Changed notes again that incidents were changed, since they could not be stored.
func (l *Ledger) Changed(ids []string) {
	for _, id := range ids {
		l.journal.changed[id] = true
	}
}

// Begin remembers how everything is, for [Ledger.Rollback].
func (l *Ledger) Begin() error {
	b, err := l.EncodeCommon()
	if err != nil {
		return fmt.Errorf("encode guards: %w", err)
	}
	l.journal.common, l.journal.before, l.journal.unstored = b, map[string][]byte{}, maps.Clone(l.journal.changed)
	return nil
}

// Commit ends what Begin began.
func (l *Ledger) Commit() { l.journal.common, l.journal.before, l.journal.unstored = nil, nil, nil }

// Rollback makes everything as it was at Begin.
func (l *Ledger) Rollback() error {
	before, common, unstored := l.journal.before, l.journal.common, l.journal.unstored
	l.Commit()
	for _, id := range sortedKeys(before) {
		if l.incidents[id] != nil {
			l.drop(id)
		}
	}
	for _, id := range sortedKeys(before) {
		if b := before[id]; b != nil {
			if _, err := l.DecodeIncident(b); err != nil {
				return err
			}
		}
	}
	l.policy.notes, l.journal.changed = nil, unstored
	return l.DecodeCommon(common)
}
