package playbook

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// version is that of the encoding of a ledger.
const version = 1

type snapshot struct {
	Version   int                  `json:"version"`
	Incidents map[string]*Incident `json:"incidents"`
	Cooldowns []cooldown           `json:"cooldowns"`
	Spent     []time.Time          `json:"spent"`
}

type cooldown struct {
	Playbook string    `json:"playbook"`
	Target   string    `json:"target"`
	Until    time.Time `json:"until"`
}

// Encode returns the ledger's content.
func (l *Ledger) Encode() ([]byte, error) {
	s := snapshot{Version: version, Incidents: l.incidents, Spent: l.spent}
	for k, until := range l.cooldowns {
		s.Cooldowns = append(s.Cooldowns, cooldown{k.playbook, k.target, until})
	}
	slices.SortFunc(s.Cooldowns, func(a, b cooldown) int {
		return cmp.Or(cmp.Compare(a.Playbook, b.Playbook), cmp.Compare(a.Target, b.Target))
	})
	return json.Marshal(s)
}

// Decode replaces the ledger's content; on error it is left as it was. Nothing past the limits is taken.
func (l *Ledger) Decode(b []byte) error {
	var s snapshot
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("decode ledger: %w", err)
	}
	if s.Version != version {
		return fmt.Errorf("decode ledger: version must be %d, got %d", version, s.Version)
	}
	fresh := NewLedger(l.limits)
	for id, inc := range s.Incidents {
		if inc == nil {
			return errors.New("decode ledger: an incident is null")
		}
		for _, p := range inc.Plays {
			if p == nil {
				return errors.New("decode ledger: a play is null")
			}
		}
		fresh.incidents[id] = inc
	}
	for len(fresh.incidents) > l.limits.MaxIncidents && fresh.evictResolved() {
		continue
	}
	for _, c := range s.Cooldowns {
		fresh.cooldowns[cooldownKey{c.Playbook, c.Target}] = c.Until
	}
	fresh.spent = s.Spent
	*l = *fresh
	return nil
}
