package incidentstore

import (
	"context"
	"fmt"
	"time"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
)

// Acknowledge implements [People]. A later one replaces an earlier one.
func (s *Store) Acknowledge(ctx context.Context, incident string, a Acknowledgment) error {
	incident = clean(incident, maxID)
	a = Acknowledgment{By: clean(a.By, maxLine), At: storable(a.At), Comment: clean(a.Comment, maxLong)}
	return s.update(ctx, "acknowledge incident", func(t *tx) error {
		num, err := t.numOf(incident)
		if err != nil {
			return err
		}
		doc, err := encode(a)
		if err != nil {
			return err
		}
		if _, err := t.exec("UPDATE incidents SET ack = ?, acknowledged = 1 WHERE num = ?", doc, num); err != nil {
			return err
		}
		return t.said(a.At, "acknowledgment", "acknowledged", auditchain.Entry{Kind: AuditAcknowledged, Incident: incident, Actor: a.By, Text: a.Comment})
	})
}

// Unacknowledge implements [People]. ErrConflict says that it was not acknowledged.
func (s *Store) Unacknowledge(ctx context.Context, incident, by string, at time.Time) error {
	incident = clean(incident, maxID)
	return s.update(ctx, "take an acknowledgment back", func(t *tx) error {
		num, err := t.numOf(incident)
		if err != nil {
			return err
		}
		n, err := t.exec("UPDATE incidents SET ack = '', acknowledged = 0 WHERE num = ? AND acknowledged = 1", num)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: it is not acknowledged", ErrConflict)
		}
		return t.said(at, "acknowledgment", "took the acknowledgment back", auditchain.Entry{Kind: AuditUnacknowledged, Incident: incident, Actor: by})
	})
}

// said puts a person's word on an incident into its life, the audit and the feed.
func (t *tx) said(at time.Time, kind, text string, e auditchain.Entry) error {
	if e.Text != "" {
		text += ": " + e.Text
	}
	id := fmt.Sprintf("%s %s %d", e.Kind, e.Actor, micros(at))
	if err := t.remember(id, e.Incident, micros(at), kind, e.Actor, text, ""); err != nil {
		return err
	}
	if err := t.append(at, e, ""); err != nil {
		return err
	}
	return t.note("incident", e.Incident, e.Incident)
}

// GiveFeedback implements [People].
func (s *Store) GiveFeedback(ctx context.Context, incident string, f Feedback) error {
	incident = clean(incident, maxID)
	f.By, f.At, f.Comment = clean(f.By, maxLine), storable(f.At), clean(f.Comment, maxLong)
	f.Verdict, f.CauseKind = word(f.Verdict), word(f.CauseKind)
	fields := map[string]string{"feedback.verdict": string(f.Verdict)}
	if f.Cause != nil {
		cause := levels[0].entity(*f.Cause)
		f.Cause = &cause
		fields["feedback.cause"] = string(cause.Type) + ":" + cause.Name
	}
	if f.CauseKind != "" {
		fields["feedback.cause_kind"] = string(f.CauseKind)
	}
	return s.update(ctx, "give feedback", func(t *tx) error {
		num, err := t.numOf(incident)
		if err != nil {
			return err
		}
		var people int64
		if _, err := t.get("SELECT COUNT(*) FROM feedback WHERE incident = ? AND person <> ?", []any{num, f.By}, &people); err != nil {
			return err
		}
		if people >= maxItems {
			return fmt.Errorf("%w: %d people have given feedback on the incident", ErrFull, people)
		}
		doc, err := encode(f)
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO feedback (incident, person, at, doc) VALUES (?, ?, ?, ?)
ON CONFLICT (incident, person) DO UPDATE SET at = excluded.at, doc = excluded.doc`, num, f.By, micros(f.At), doc); err != nil {
			return err
		}
		return t.said(f.At, "feedback", string(f.Verdict), auditchain.Entry{Kind: AuditFeedback, Incident: incident, Actor: f.By, Text: f.Comment, Fields: fields})
	})
}

// feedback is what people have said of an incident, oldest first.
func (t *tx) feedback(num int64) ([]Feedback, error) {
	var out []Feedback
	err := t.each("SELECT doc FROM feedback WHERE incident = ? ORDER BY at, person", []any{num}, func(row func(...any) error) error {
		var doc string
		var f Feedback
		if err := row(&doc); err != nil {
			return err
		}
		err := decode(doc, &f)
		out = append(out, f)
		return err
	})
	return out, err
}

// NoteCall implements [People].
func (s *Store) NoteCall(ctx context.Context, at time.Time, e auditchain.Entry) error {
	return s.update(ctx, "note a call", func(t *tx) error { return t.append(at, e, "") })
}
