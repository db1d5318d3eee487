package incidentstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
)

// Silences implements [Reader]: those that are in force, or all that are kept, newest first.
func (s *Store) Silences(ctx context.Context, active bool, now time.Time) ([]Silence, error) {
	out := []Silence{}
	query, args := "SELECT doc FROM silences", []any{}
	if active {
		query, args = query+" WHERE start_at <= ? AND end_at > ?", []any{micros(now), micros(now)}
	}
	err := s.view(ctx, "list silences", func(t *tx) error {
		return t.each(query+" ORDER BY num DESC", args, func(row func(...any) error) error {
			var doc string
			var one Silence
			if err := row(&doc); err != nil {
				return err
			}
			err := decode(doc, &one)
			out = append(out, one)
			return err
		})
	})
	return out, err
}

// AddSilence implements [People]; its ID and time are the store's.
func (s *Store) AddSilence(ctx context.Context, add Silence) (Silence, error) {
	add.Kind, add.MaxSeverity = word(add.Kind), word(add.MaxSeverity)
	add.By, add.Comment, add.EndedBy = clean(add.By, maxLine), clean(add.Comment, maxLong), ""
	add.Start, add.End = storable(add.Start), storable(add.End)
	add.Services = levels[0].list(add.Services)
	if !add.End.After(add.Start) {
		return Silence{}, errors.New("add silence: its end must be after its start")
	}
	add.ID = uuid.NewString()
	err := s.update(ctx, "add silence", func(t *tx) error {
		now, err := t.clock()
		if err != nil {
			return err
		}
		var count int
		if _, err := t.get("SELECT COUNT(*) FROM silences WHERE end_at > ?", []any{micros(now)}, &count); err != nil {
			return err
		}
		if count >= s.settings.MaxSilences {
			return fmt.Errorf("%w: there are %d silences that are not over; end some", ErrFull, count)
		}
		add.CreatedAt = now
		doc, err := encode(add)
		if err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO silences (id, start_at, end_at, doc) VALUES (?, ?, ?, ?)", add.ID, micros(add.Start), micros(add.End), doc); err != nil {
			return err
		}
		return t.silenced(now, AuditSilenceAdded, add.By, &add)
	})
	if err != nil {
		return Silence{}, err
	}
	return add, nil
}

// silenced puts a change of a silence into the audit and the feed.
func (t *tx) silenced(at time.Time, kind, by string, s *Silence) error {
	err := t.append(at, auditchain.Entry{Kind: kind, Actor: by, Text: s.Comment, Fields: map[string]string{
		"silence.id": s.ID, "silence.kind": string(s.Kind), "silence.start": s.Start.Format(time.RFC3339Nano), "silence.end": s.End.Format(time.RFC3339Nano),
		"silence.services": fmt.Sprint(s.Services), "silence.cause_kinds": fmt.Sprint(s.CauseKinds), "silence.max_severity": string(s.MaxSeverity),
	}}, "")
	if err != nil {
		return err
	}
	return t.note("silence", s.ID, "")
}

// EndSilence implements [People]. ErrConflict says that it is over already.
func (s *Store) EndSilence(ctx context.Context, id, by string, at time.Time) error {
	return s.update(ctx, "end silence", func(t *tx) error {
		var doc string
		var one Silence
		there, err := t.get("SELECT doc FROM silences WHERE id = ?", []any{clean(id, maxID)}, &doc)
		switch {
		case err != nil:
			return err
		case !there:
			return ErrNotFound
		}
		if err := decode(doc, &one); err != nil {
			return err
		}
		at = storable(at)
		if !one.End.After(at) {
			return fmt.Errorf("%w: it was over at %s", ErrConflict, one.End.Format(time.RFC3339))
		}
		one.End, one.EndedBy = at, clean(by, maxLine)
		if doc, err = encode(one); err != nil {
			return err
		}
		if _, err := t.exec("UPDATE silences SET end_at = ?, doc = ? WHERE id = ?", micros(at), doc, one.ID); err != nil {
			return err
		}
		return t.silenced(at, AuditSilenceEnded, by, &one)
	})
}

// Paused implements [People].
func (s *Store) Paused(ctx context.Context, now time.Time) (*Pause, error) {
	var found *Pause
	err := s.view(ctx, "read pause", func(t *tx) (err error) {
		found, err = t.pause(now)
		return err
	})
	return found, err
}

func (t *tx) pause(now time.Time) (*Pause, error) {
	var doc string
	there, err := t.get("SELECT doc FROM pauses", nil, &doc)
	if err != nil || !there {
		return nil, err
	}
	p := &Pause{}
	if err := decode(doc, p); err != nil {
		return nil, err
	}
	if !p.Until.IsZero() && !p.Until.After(now) {
		return nil, nil //nolint:nilnil // nobody has paused
	}
	return p, nil
}

// SetPause implements [People]; it replaces an earlier one.
func (s *Store) SetPause(ctx context.Context, p Pause) error {
	p = Pause{By: clean(p.By, maxLine), At: storable(p.At), Reason: clean(p.Reason, maxLong), Until: storable(p.Until)}
	return s.update(ctx, "pause automation", func(t *tx) error {
		doc, err := encode(p)
		if err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO pauses (one, doc) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET doc = excluded.doc", doc); err != nil {
			return err
		}
		e := auditchain.Entry{Kind: AuditPaused, Actor: p.By, Text: p.Reason}
		if !p.Until.IsZero() {
			e.Fields = map[string]string{"pause.until": p.Until.Format(time.RFC3339Nano)}
		}
		if err := t.append(p.At, e, ""); err != nil {
			return err
		}
		return t.note("pause", "", "")
	})
}

// EndPause implements [People]. ErrConflict says that nobody has paused.
func (s *Store) EndPause(ctx context.Context, by string, at time.Time) error {
	return s.update(ctx, "resume automation", func(t *tx) error {
		p, err := t.pause(at)
		if err != nil {
			return err
		}
		if p == nil {
			return fmt.Errorf("%w: nobody has paused", ErrConflict)
		}
		if _, err := t.exec("DELETE FROM pauses"); err != nil {
			return err
		}
		if err := t.append(at, auditchain.Entry{Kind: AuditResumed, Actor: by}, ""); err != nil {
			return err
		}
		return t.note("pause", "", "")
	})
}
