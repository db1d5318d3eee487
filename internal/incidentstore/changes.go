package incidentstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// pollInterval is how soon a change of another process shows when nobody tells of it.
	pollInterval = 2 * time.Second
	// listenPause is how long to wait before notifications are asked for anew.
	listenPause = time.Second
)

// note puts a change into the feed. Transactions that write follow each other, so that numbers are in the order of commits.
func (t *tx) note(kind, id, incident string) error {
	now, err := t.clock()
	if err != nil {
		return err
	}
	t.changed = true
	_, err = t.exec("INSERT INTO changes (at, kind, id, incident) VALUES (?, ?, ?, ?)", micros(now), kind, id, incident)
	return err
}

// Changes implements [Reader].
func (s *Store) Changes(ctx context.Context, after int64, limit int) ([]Change, error) {
	limit = min(max(limit, 1), maxItems)
	for {
		// Who is woken between the look and the wait must look again.
		woken := s.wake.wait()
		found, err := s.changesAfter(ctx, after, limit)
		if err != nil || len(found) > 0 {
			return found, err
		}
		timer := time.NewTimer(pollInterval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-s.wake.closed:
			timer.Stop()
			return nil, fmt.Errorf("read changes: %w: the store is closed", ErrUnavailable)
		case <-woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (s *Store) changesAfter(ctx context.Context, after int64, limit int) (found []Change, err error) {
	err = s.view(ctx, "read changes", func(t *tx) error {
		var removed int64
		if _, err := t.get("SELECT num FROM changes_removed", nil, &removed); err != nil {
			return err
		}
		if after < 0 {
			newest := Change{}
			var at int64
			// A feed that was emptied goes on after what was removed.
			newest.Number = removed
			_, err := t.get("SELECT num, at, kind, id, incident FROM changes ORDER BY num DESC LIMIT 1", nil,
				&newest.Number, &at, &newest.Kind, &newest.ID, &newest.Incident)
			newest.At = moment(at)
			found = []Change{newest}
			return err
		}
		if after < removed {
			found = append(found, Change{Number: removed, Kind: ChangesLost})
			after = removed
		}
		return t.each("SELECT num, at, kind, id, incident FROM changes WHERE num > ? ORDER BY num LIMIT ?", []any{after, limit},
			func(row func(...any) error) error {
				var c Change
				var at int64
				if err := row(&c.Number, &at, &c.Kind, &c.ID, &c.Incident); err != nil {
					return err
				}
				c.At = moment(at)
				found = append(found, c)
				return nil
			})
	})
	return found, err
}

// wake wakes all who wait for a change.
type wake struct {
	closed chan struct{}

	mu sync.Mutex
	// mu guards everything below.
	next chan struct{}
	done bool
}

func newWake() *wake { return &wake{closed: make(chan struct{}), next: make(chan struct{})} }

// wait returns what is closed at the next change.
func (w *wake) wait() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next
}

func (w *wake) all() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.next)
	w.next = make(chan struct{})
}

func (w *wake) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.done {
		w.done = true
		close(w.closed)
	}
}

// listen wakes who waits when another process has changed something. Without notifications they look from time to time.
func (s *Store) listen(ctx context.Context) {
	for ctx.Err() == nil {
		_ = s.listenOnce(ctx) // whatever it was, it is tried again
		timer := time.NewTimer(listenPause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (s *Store) listenOnce(ctx context.Context) error {
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(driver any) error {
		pg := driver.(*stdlib.Conn).Conn()
		if _, err := pg.Exec(ctx, "LISTEN "+channel); err != nil {
			return err
		}
		for {
			if _, err := pg.WaitForNotification(ctx); err != nil {
				return err
			}
			s.wake.all()
		}
	})
}
