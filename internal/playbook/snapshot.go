package playbook

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// version is that of the encoding of what is shared by incidents.
const version = 2

type common struct {
	Version   int        `json:"version"`
	Cooldowns []cooldown `json:"cooldowns,omitempty"`
	counts
}

type cooldown struct {
	Playbook string    `json:"playbook"`
	Target   string    `json:"target"`
	Until    time.Time `json:"until"`
}

// EncodeCommon returns what the guards count over all incidents.
func (l *Ledger) EncodeCommon() ([]byte, error) {
	s := common{Version: version, counts: l.policy.counts()}
	for k, until := range l.cooldowns {
		s.Cooldowns = append(s.Cooldowns, cooldown{k.playbook, k.target, until})
	}
	slices.SortFunc(s.Cooldowns, func(a, b cooldown) int {
		return cmp.Or(cmp.Compare(a.Playbook, b.Playbook), cmp.Compare(a.Target, b.Target))
	})
	return json.Marshal(s)
}

// DecodeCommon replaces what the guards count over all incidents. On error it is left as it was. Of more cooldowns than there
// is room for, those that last longest are kept.
func (l *Ledger) DecodeCommon(b []byte) error {
	var s common
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("decode guards: %w", err)
	}
	if s.Version != version {
		return fmt.Errorf("decode guards: version must be %d, got %d", version, s.Version)
	}
	if err := l.policy.restore(s.counts); err != nil {
		return fmt.Errorf("decode guards: %w", err)
	}
	slices.SortStableFunc(s.Cooldowns, func(a, b cooldown) int { return b.Until.Compare(a.Until) })
	clear(l.cooldowns)
	for _, c := range s.Cooldowns[:min(len(s.Cooldowns), l.limits.MaxIncidents)] {
		l.cooldowns[cooldownKey{c.Playbook, c.Target}] = c.Until
	}
	l.queueCooldowns()
	return nil
}

type storedIncident struct {
	ID string `json:"id"`
	*Incident
}

// EncodeIncident returns what is remembered of an incident; nil when nothing is.
func (l *Ledger) EncodeIncident(id string) ([]byte, error) {
	inc := l.incidents[id]
	if inc == nil {
		return nil, nil
	}
	return json.Marshal(storedIncident{id, inc})
}

// DecodeIncident puts an incident back and returns its ID. Past the limits it takes none.
func (l *Ledger) DecodeIncident(b []byte) (id string, err error) {
	s := storedIncident{Incident: &Incident{}}
	if err := json.Unmarshal(b, &s); err != nil {
		return "", fmt.Errorf("decode incident: %w", err)
	}
	if s.ID == "" {
		return "", errors.New("decode incident: it has no id")
	}
	for _, name := range sortedKeys(s.Plays) {
		if err := s.Plays[name].validate(); err != nil {
			return "", fmt.Errorf("decode incident %s: the play of %s %w", s.ID, name, err)
		}
	}
	if _, known := l.incidents[s.ID]; known {
		l.drop(s.ID)
	} else if len(l.incidents) >= l.limits.MaxIncidents && !l.evictResolved() {
		return "", fmt.Errorf("decode incident %s: there is no room for it", s.ID)
	}
	l.enter(s.ID, s.Incident)
	return s.ID, nil
}

// validate says what of a stored play would lead astray.
func (p *Play) validate() error {
	switch {
	case p == nil:
		return errors.New("is null")
	case !slices.Contains(allOutcomes, p.Outcome):
		return fmt.Errorf("has the unknown outcome %q", p.Outcome)
	case p.Step < 0:
		return fmt.Errorf("is at step %d", p.Step)
	case p.Within < 0:
		return fmt.Errorf("has %s, less than no time", p.Within)
	}
	return nil
}
