package incidentstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
)

// Submit implements [People].
func (s *Store) Submit(ctx context.Context, c Command, token string) (Command, error) {
	c = Command{Kind: word(c.Kind), Arguments: c.Arguments, By: clean(c.By, maxLine), State: CommandPending, ID: uuid.NewString()}
	if len(c.Arguments) == 0 {
		c.Arguments = json.RawMessage("{}")
	}
	if len(c.Arguments) > maxBlob || !json.Valid(c.Arguments) {
		return Command{}, fmt.Errorf("submit command: its arguments must be JSON of at most %d bytes", maxBlob)
	}
	err := s.update(ctx, "submit command", func(t *tx) error {
		now, err := t.clock()
		if err != nil {
			return err
		}
		if token != "" {
			hash := sha256.Sum256([]byte(token))
			n, err := t.exec("INSERT INTO tokens (hash, used_at) VALUES (?, ?) ON CONFLICT DO NOTHING", hex.EncodeToString(hash[:]), micros(now))
			if err != nil {
				return err
			}
			if n == 0 {
				return fmt.Errorf("%w: it was used before", ErrConflict)
			}
		}
		var waiting int
		if _, err := t.get("SELECT COUNT(*) FROM commands WHERE state = ?", []any{string(CommandPending)}, &waiting); err != nil {
			return err
		}
		if waiting >= s.settings.MaxCommands {
			return fmt.Errorf("%w: %d commands wait for an executor", ErrFull, waiting)
		}
		c.CreatedAt, c.ExpiresAt = now, now.Add(s.settings.CommandAge)
		doc, err := encode(c)
		if err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO commands (id, state, created_at, expires_at, doc) VALUES (?, ?, ?, ?, ?)",
			c.ID, string(c.State), micros(c.CreatedAt), micros(c.ExpiresAt), doc); err != nil {
			return err
		}
		return t.commanded(now, AuditCommandSubmitted, c.By, &c)
	})
	if err != nil {
		return Command{}, err
	}
	return c, nil
}

// commanded puts a step of a command into the audit and the feed.
func (t *tx) commanded(at time.Time, kind, actor string, c *Command) error {
	e := auditchain.Entry{Kind: kind, Actor: actor, Text: c.Message, Fields: map[string]string{
		"command.id": c.ID, "command.kind": string(c.Kind), "command.arguments": string(c.Arguments), "command.state": string(c.State),
	}}
	if c.Status != 0 {
		e.Fields["command.status"], e.Fields["command.code"] = strconv.Itoa(c.Status), c.Code
	}
	var about struct {
		Intent string `json:"intent"`
	}
	if json.Unmarshal(c.Arguments, &about) == nil {
		e.Intent = about.Intent
	}
	if err := t.append(at, e, ""); err != nil {
		return err
	}
	return t.note("command", c.ID, "")
}

// Command implements [People].
func (s *Store) Command(ctx context.Context, id string) (found *Command, err error) {
	err = s.view(ctx, "read command", func(t *tx) error {
		found, err = t.command(clean(id, maxID))
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func (t *tx) command(id string) (*Command, error) {
	var doc string
	there, err := t.get("SELECT doc FROM commands WHERE id = ?", []any{id}, &doc)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, ErrNotFound
	}
	c := &Command{}
	return c, decode(doc, c)
}

// put stores a command as it stands now.
func (t *tx) put(c *Command, lease time.Time) error {
	doc, err := encode(c)
	if err != nil {
		return err
	}
	_, err = t.exec("UPDATE commands SET state = ?, lease_until = ?, doc = ? WHERE id = ?", string(c.State), micros(lease), doc, c.ID)
	return err
}

const waiting = "state = 'pending' OR state = 'taken' AND lease_until <= ?"

// Take implements [Executors]. What was taken by somebody who did not answer, and is out of time, is not handed out again: it may have
// been done.
func (s *Store) Take(ctx context.Context, executor string, limit int, lease time.Duration, now time.Time) (taken []Command, err error) {
	executor, now, limit = clean(executor, maxLine), storable(now), min(max(limit, 1), maxItems)
	// To look costs nothing; executors do it often.
	var some int
	err = s.view(ctx, "look for commands", func(t *tx) error {
		_, err := t.get("SELECT COUNT(*) FROM (SELECT 1 FROM commands WHERE "+waiting+" LIMIT 1) one", []any{micros(now)}, &some)
		return err
	})
	if err != nil || some == 0 {
		return nil, err
	}
	err = s.update(ctx, "take commands", func(t *tx) error {
		taken = nil
		var found []Command
		err := t.each("SELECT doc FROM commands WHERE "+waiting+" ORDER BY num LIMIT ?", []any{micros(now), maxItems}, func(row func(...any) error) error {
			var doc string
			var c Command
			if err := row(&doc); err != nil {
				return err
			}
			err := decode(doc, &c)
			found = append(found, c)
			return err
		})
		if err != nil {
			return err
		}
		for _, c := range found {
			switch {
			case !c.ExpiresAt.After(now):
				c.Message = "no executor took it in time"
				if c.State == CommandTaken {
					c.Message = fmt.Sprintf("%s took it and did not say in time what became of it", c.TakenBy)
				}
				c.State = CommandExpired
				if err := t.put(&c, time.Time{}); err != nil {
					return err
				}
				if err := t.commanded(now, AuditCommandExpired, "", &c); err != nil {
					return err
				}
			case len(taken) < limit:
				c.State, c.TakenBy = CommandTaken, executor
				if err := t.put(&c, now.Add(lease)); err != nil {
					return err
				}
				if err := t.note("command", c.ID, ""); err != nil {
					return err
				}
				taken = append(taken, c)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}

// Answer implements [Executors].
func (s *Store) Answer(ctx context.Context, executor string, answer Command) error {
	if answer.State != CommandDone && answer.State != CommandRefused {
		return fmt.Errorf("answer command: its state must be %s or %s, got %q", CommandDone, CommandRefused, answer.State)
	}
	if len(answer.Result) > maxBlob || len(answer.Result) > 0 && !json.Valid(answer.Result) {
		return fmt.Errorf("answer command: its result must be JSON of at most %d bytes", maxBlob)
	}
	executor = clean(executor, maxLine)
	return s.update(ctx, "answer command", func(t *tx) error {
		c, err := t.command(clean(answer.ID, maxID))
		if err != nil {
			return err
		}
		if c.State != CommandTaken || c.TakenBy != executor {
			return fmt.Errorf("%w: it is %s, taken by %q", ErrConflict, c.State, c.TakenBy)
		}
		now, err := t.clock()
		if err != nil {
			return err
		}
		c.State, c.Status, c.Result = answer.State, answer.Status, answer.Result
		c.Code, c.Message = clean(answer.Code, maxLine), clean(answer.Message, maxLong)
		if err := t.put(c, time.Time{}); err != nil {
			return err
		}
		return t.commanded(now, AuditCommandAnswered, executor, c)
	})
}

// maxExecutors bounds those that are known; of more, the one that was silent the longest goes.
const maxExecutors = 100

// Report implements [Executors].
func (s *Store) Report(ctx context.Context, e ExecutorStatus) error {
	e.Name, e.At = clean(e.Name, maxLine), storable(e.At)
	if e.Name == "" {
		return errors.New("report executor: its name must not be empty")
	}
	doc, err := encode(e)
	if err != nil {
		return fmt.Errorf("report executor: %w", err)
	}
	if len(doc) > 4*maxBlob {
		return fmt.Errorf("report executor: it must have at most %d bytes, got %d", 4*maxBlob, len(doc))
	}
	return s.update(ctx, "report executor", func(t *tx) error {
		if _, err := t.exec("INSERT INTO executors (name, at, doc) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at, doc = excluded.doc",
			e.Name, micros(e.At), doc); err != nil {
			return err
		}
		n, err := t.exec("DELETE FROM executors WHERE name NOT IN (SELECT name FROM executors ORDER BY at DESC, name LIMIT ?)", maxExecutors)
		if err != nil {
			return err
		}
		t.lose(LossExecutors, n)
		return t.note("executor", e.Name, "")
	})
}

// Executors implements [Executors], by name.
func (s *Store) Executors(ctx context.Context) ([]ExecutorStatus, error) {
	out := []ExecutorStatus{}
	err := s.view(ctx, "list executors", func(t *tx) error {
		return t.each("SELECT doc FROM executors ORDER BY name", nil, func(row func(...any) error) error {
			var doc string
			var e ExecutorStatus
			if err := row(&doc); err != nil {
				return err
			}
			err := decode(doc, &e)
			out = append(out, e)
			return err
		})
	})
	return out, err
}
