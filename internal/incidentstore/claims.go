package incidentstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The reasons for which a claim is not granted.
const (
	ClaimHeld     = "held"
	ClaimCooldown = "cooldown"
	ClaimBudget   = "budget"
	ClaimDone     = "done"
)

// maxLocks bounds those of a claim.
const maxLocks = 64

// claimed is a claim as it is stored.
type claimed struct {
	key, owner      string
	at, until, done time.Time
}

// acted is the last moment at which something may have been changed under the claim.
func (c *claimed) acted() time.Time {
	if !c.done.IsZero() {
		return c.done
	}
	return c.until
}

func (c *Claim) validate() error {
	var errs []error
	if c.Key == "" || len(c.Key) > maxID || c.Owner == "" || len(c.Owner) > maxID {
		errs = append(errs, fmt.Errorf("key and owner must have 1 to %d bytes", maxID))
	}
	if len(c.Locks) == 0 || len(c.Locks) > maxLocks || slices.ContainsFunc(c.Locks, func(l string) bool { return l == "" || len(l) > maxID }) {
		errs = append(errs, fmt.Errorf("locks must be 1 to %d, each of 1 to %d bytes, got %d", maxLocks, maxID, len(c.Locks)))
	}
	if c.Lease <= 0 || c.Window <= 0 || c.Cooldown < 0 {
		errs = append(errs, fmt.Errorf("lease and window must be positive and the cooldown must not be negative, got %s, %s and %s", c.Lease, c.Window, c.Cooldown))
	}
	return errors.Join(errs...)
}

// Claim implements [Executors]. An unfinished claim whose lease is over may be taken over, by who has the locks: its action may have
// begun.
func (s *Store) Claim(ctx context.Context, c Claim) (out ClaimOutcome, err error) {
	if err := c.validate(); err != nil {
		return ClaimOutcome{}, fmt.Errorf("claim: %w", err)
	}
	c.Key, c.Owner, c.Class, c.Weight = clean(c.Key, maxID), clean(c.Owner, maxID), clean(c.Class, maxID), max(c.Weight, 1)
	locks := make([]string, 0, len(c.Locks))
	for _, l := range c.Locks {
		locks = append(locks, clean(l, maxID))
	}
	slices.Sort(locks)
	c.Locks = slices.Compact(locks)
	err = s.update(ctx, "claim "+c.Key, func(t *tx) error {
		out, err = t.claim(&c)
		return err
	})
	if err != nil {
		return ClaimOutcome{}, err
	}
	return out, nil
}

func (t *tx) claim(c *Claim) (ClaimOutcome, error) {
	now, err := t.clock()
	if err != nil {
		return ClaimOutcome{}, err
	}
	own, there, err := t.claimed(c.Key)
	if err != nil {
		return ClaimOutcome{}, err
	}
	if there {
		leased := !now.After(own.until)
		switch {
		case !own.done.IsZero():
			return ClaimOutcome{Reason: ClaimDone, Detail: fmt.Sprintf("%s did it at %s", own.owner, own.done.Format(time.RFC3339))}, nil
		case leased && own.owner != c.Owner:
			return ClaimOutcome{Reason: ClaimHeld, Until: own.until, Detail: fmt.Sprintf("%s is at it since %s", own.owner, own.at.Format(time.RFC3339))}, nil
		case leased:
			return t.again(c, now, "it was claimed before")
		}
	}
	if out, err := t.locked(c, now); err != nil || out.Reason != "" {
		return out, err
	}
	if there {
		// Its owner has gone, perhaps in the midst of it. It was counted when it was claimed.
		return t.again(c, now, own.owner+" claimed it and did not say in time what became of it")
	}
	if out, err := t.spent(c, now); err != nil || out.Reason != "" {
		return out, err
	}
	if err := t.roomForClaim(now); err != nil {
		return ClaimOutcome{}, err
	}
	if _, err := t.exec("INSERT INTO claims (id, owner, class, weight, at, until) VALUES (?, ?, ?, ?, ?, ?)",
		c.Key, c.Owner, c.Class, c.Weight, micros(now), micros(now.Add(c.Lease))); err != nil {
		return ClaimOutcome{}, err
	}
	for _, l := range c.Locks {
		if _, err := t.exec("INSERT INTO claim_locks (name, claim) VALUES (?, ?)", l, c.Key); err != nil {
			return ClaimOutcome{}, err
		}
	}
	return ClaimOutcome{Granted: true}, nil
}

// again hands a claim out once more.
func (t *tx) again(c *Claim, now time.Time, detail string) (ClaimOutcome, error) {
	_, err := t.exec("UPDATE claims SET owner = ?, until = ? WHERE id = ?", c.Owner, micros(now.Add(c.Lease)), c.Key)
	return ClaimOutcome{Granted: true, Again: true, Detail: detail}, err
}

func (t *tx) claimed(key string) (c claimed, there bool, err error) {
	var at, until, done int64
	there, err = t.get("SELECT owner, at, until, done_at FROM claims WHERE id = ?", []any{key}, &c.owner, &at, &until, &done)
	c.key, c.at, c.until, c.done = key, moment(at), moment(until), moment(done)
	return c, there, err
}

// locked tells what stands against acting on the claim's locks, of several what does for the longest.
func (t *tx) locked(c *Claim, now time.Time) (ClaimOutcome, error) {
	var worst ClaimOutcome
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(c.Locks)), ", ")
	args := []any{c.Key}
	for _, l := range c.Locks {
		args = append(args, l)
	}
	// What ended before this no longer matters.
	args = append(args, micros(now.Add(-c.Cooldown)), micros(now.Add(-c.Cooldown)))
	err := t.each(`SELECT l.name, c.owner, c.until, c.done_at FROM claim_locks l JOIN claims c ON c.id = l.claim
WHERE c.id <> ? AND l.name IN (`+marks+`) AND (c.done_at >= ? OR c.done_at = 0 AND c.until >= ?) ORDER BY l.name, c.id`, args, func(row func(...any) error) error {
		var lock string
		var o claimed
		var until, done int64
		if err := row(&lock, &o.owner, &until, &done); err != nil {
			return err
		}
		o.until, o.done = moment(until), moment(done)
		out := ClaimOutcome{Reason: ClaimHeld, Until: o.until, Detail: fmt.Sprintf("%s is acting on %s", o.owner, lock)}
		if !o.done.IsZero() || o.until.Before(now) {
			if c.Cooldown == 0 {
				return nil
			}
			out = ClaimOutcome{
				Reason: ClaimCooldown, Until: o.acted().Add(c.Cooldown),
				Detail: fmt.Sprintf("%s acted on %s until %s, within %s", o.owner, lock, o.acted().Format(time.RFC3339), c.Cooldown),
			}
		}
		if !out.Until.Before(now) && (worst.Reason == "" || out.Until.After(worst.Until)) {
			worst = out
		}
		return nil
	})
	return worst, err
}

// spent tells which limit stands against acting.
func (t *tx) spent(c *Claim, now time.Time) (ClaimOutcome, error) {
	var total, class, weight int
	var oldest int64
	since := micros(now.Add(-c.Window))
	_, err := t.get(`SELECT COUNT(*), COALESCE(SUM(CASE WHEN class = ? THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN class = ? THEN weight ELSE 0 END), 0),
COALESCE(MIN(at), 0) FROM claims WHERE at >= ?`, []any{c.Class, c.Class, since}, &total, &class, &weight, &oldest)
	if err != nil {
		return ClaimOutcome{}, err
	}
	out := ClaimOutcome{Reason: ClaimBudget, Until: now.Add(c.Window)}
	if oldest != 0 {
		out.Until = moment(oldest).Add(c.Window)
	}
	switch {
	case total >= c.Total:
		out.Detail = fmt.Sprintf("%d actions in %s, at most %d are allowed", total, c.Window, c.Total)
	case class >= c.PerClass:
		out.Detail = fmt.Sprintf("%d actions of class %s in %s, at most %d are allowed", class, c.Class, c.Window, c.PerClass)
	case weight+c.Weight > c.MaxWeight:
		out.Detail = fmt.Sprintf("%d pods or nodes of class %s in %s and %d more, at most %d are allowed", weight, c.Class, c.Window, c.Weight, c.MaxWeight)
	default:
		return ClaimOutcome{}, nil
	}
	return out, nil
}

// claimFloor is how long a claim is kept whatever the bounds say: no window or cooldown is longer.
const claimFloor = 24 * time.Hour

// roomForClaim makes room for one, of what is old enough.
func (t *tx) roomForClaim(now time.Time) error {
	var count int
	if _, err := t.get("SELECT COUNT(*) FROM claims", nil, &count); err != nil || count < t.s.settings.MaxClaims {
		return err
	}
	n, err := t.exec("DELETE FROM claims WHERE id IN (SELECT id FROM claims WHERE at < ? AND until < ? ORDER BY at, id LIMIT ?)",
		micros(now.Add(-claimFloor)), micros(now.Add(-claimFloor)), count-t.s.settings.MaxClaims+1)
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("%w: %d claims were made within %s", ErrFull, count, claimFloor)
	}
	t.lose(LossClaims, n)
	return nil
}

// Finish implements [Executors], whoever has the claim by now: what is done must be known. A key that is unknown is no error.
func (s *Store) Finish(ctx context.Context, key, _ string) error {
	return s.update(ctx, "finish "+key, func(t *tx) error {
		now, err := t.clock()
		if err != nil {
			return err
		}
		_, err = t.exec("UPDATE claims SET done_at = ? WHERE id = ? AND done_at = 0", micros(now), clean(key, maxID))
		return err
	})
}

// Release implements [Executors]. ErrConflict says that it is done, or somebody else's. A key that is unknown is no error.
func (s *Store) Release(ctx context.Context, key, owner string) error {
	key, owner = clean(key, maxID), clean(owner, maxID)
	return s.update(ctx, "release "+key, func(t *tx) error {
		c, there, err := t.claimed(key)
		switch {
		case err != nil || !there:
			return err
		case !c.done.IsZero():
			return fmt.Errorf("%w: it is done", ErrConflict)
		case c.owner != owner:
			return fmt.Errorf("%w: it is %s's", ErrConflict, c.owner)
		}
		_, err = t.exec("DELETE FROM claims WHERE id = ?", key)
		return err
	})
}
