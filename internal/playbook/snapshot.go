package playbook

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/actionbudget"
	"github.com/paramedic-otel/paramedic/internal/circuitbreaker"
	"github.com/paramedic-otel/paramedic/internal/stormgate"
)

// version is that of the encoding of what is shared by incidents.
const version = 2

type common struct {
	Version   int                     `json:"version"`
	Cooldowns []cooldown              `json:"cooldowns,omitempty"`
	Budget    actionbudget.Snapshot   `json:"budget"`
	Playbooks circuitbreaker.Snapshot `json:"playbook_breakers"`
	Targets   circuitbreaker.Snapshot `json:"target_breakers"`
	Fleet     circuitbreaker.Snapshot `json:"fleet_breaker"`
	Storm     stormgate.Snapshot      `json:"storm"`
}

type cooldown struct {
	Playbook string    `json:"playbook"`
	Target   string    `json:"target"`
	Until    time.Time `json:"until"`
}

// EncodeCommon returns what the guards count over all incidents.
func (l *Ledger) EncodeCommon() ([]byte, error) {
	p := l.policy
	s := common{
		Version: version, Budget: p.budget.Snapshot(), Playbooks: p.playbooks.Snapshot(), Targets: p.target.Snapshot(),
		Fleet: p.fleet.Snapshot(), Storm: p.storm.Snapshot(),
	}
	for k, until := range l.cooldowns {
		s.Cooldowns = append(s.Cooldowns, cooldown{k.playbook, k.target, until})
	}
	slices.SortFunc(s.Cooldowns, func(a, b cooldown) int {
		return cmp.Or(cmp.Compare(a.Playbook, b.Playbook), cmp.Compare(a.Target, b.Target))
	})
	return json.Marshal(s)
}

// DecodeCommon replaces what the guards count over all incidents. On error it is left as it was, as far as it makes sense.
func (l *Ledger) DecodeCommon(b []byte) error {
	var s common
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("decode guards: %w", err)
	}
	if s.Version != version {
		return fmt.Errorf("decode guards: version must be %d, got %d", version, s.Version)
	}
	p := l.policy
	err := errors.Join(p.budget.Restore(s.Budget), p.playbooks.Restore(s.Playbooks), p.target.Restore(s.Targets),
		p.fleet.Restore(s.Fleet), p.storm.Restore(s.Storm))
	if err != nil {
		return fmt.Errorf("decode guards: %w", err)
	}
	clear(l.cooldowns)
	for _, c := range s.Cooldowns {
		l.cooldowns[cooldownKey{c.Playbook, c.Target}] = c.Until
	}
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
	for name, p := range s.Plays {
		if p == nil {
			return "", fmt.Errorf("decode incident %s: the play of %s is null", s.ID, name)
		}
	}
	if _, known := l.incidents[s.ID]; known {
		l.drop(s.ID)
	} else if len(l.incidents) >= l.limits.MaxIncidents && !l.evictResolved() {
		return "", fmt.Errorf("decode incident %s: there is no room for it", s.ID)
	}
	l.incidents[s.ID] = s.Incident
	for name, p := range s.Plays {
		l.index(playKey{s.ID, name}, p)
	}
	return s.ID, nil
}
