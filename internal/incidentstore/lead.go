package incidentstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Lead implements [Executors].
func (s *Store) Lead(ctx context.Context, election, candidate string, lease time.Duration) (leader string, fence int64, err error) {
	election, candidate = clean(election, maxID), clean(candidate, maxID)
	if election == "" || candidate == "" || lease <= 0 {
		return "", 0, errors.New("lead: election and candidate must be set and the lease must be positive")
	}
	err = s.update(ctx, "lead", func(t *tx) error {
		now, err := t.clock()
		if err != nil {
			return err
		}
		var until int64
		leader, fence = "", 0
		if _, err := t.get("SELECT leader, fence, until FROM elections WHERE name = ?", []any{election}, &leader, &fence, &until); err != nil {
			return err
		}
		switch {
		case leader == candidate:
			// One that was late leads on, as nobody else has led since.
		case leader != "" && moment(until).After(now):
			return nil
		default:
			leader, fence = candidate, fence+1
		}
		_, err = t.exec(`INSERT INTO elections (name, leader, fence, until) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET leader = excluded.leader, fence = excluded.fence, until = excluded.until`, election, leader, fence, micros(now.Add(lease)))
		return err
	})
	if err != nil {
		return "", 0, err
	}
	return leader, fence, nil
}

// Resign implements [Executors]. Who does not lead changes nothing.
func (s *Store) Resign(ctx context.Context, election, candidate string) error {
	return s.update(ctx, fmt.Sprintf("resign from %s", election), func(t *tx) error {
		_, err := t.exec("UPDATE elections SET leader = '', until = 0 WHERE name = ? AND leader = ?", clean(election, maxID), clean(candidate, maxID))
		return err
	})
}
