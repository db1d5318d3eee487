package incidentstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
)

// The kinds of audit records of what people do by the store.
const (
	AuditAcknowledged     = "incident.acknowledged"
	AuditUnacknowledged   = "incident.unacknowledged"
	AuditFeedback         = "incident.feedback"
	AuditSilenceAdded     = "silence.added"
	AuditSilenceEnded     = "silence.ended"
	AuditPaused           = "automation.paused"
	AuditResumed          = "automation.resumed"
	AuditCommandSubmitted = "command.submitted"
	AuditCommandAnswered  = "command.answered"
	AuditCommandExpired   = "command.expired"
)

// auditLimits cut what is too long; how many are kept is up to retention.
var auditLimits = auditchain.Limits{MaxRecords: 1, MaxBytes: maxLong, MaxFields: 64}

// auditTail is the end of the chain as a transaction sees it.
type auditTail struct{ *auditchain.Chain }

// append adds a record to the audit. One that is there under the ID already is left alone.
func (t *tx) append(at time.Time, e auditchain.Entry, record string) error {
	if t.audit == nil {
		head, err := t.auditHead()
		if err != nil {
			return err
		}
		t.audit = &auditTail{auditchain.New(auditLimits)}
		if err := t.audit.Restore(auditchain.Snapshot{Anchor: head}); err != nil {
			return err
		}
	}
	id := sql.NullString{String: record, Valid: record != ""}
	if id.Valid {
		var one int
		if there, err := t.get("SELECT 1 FROM audit WHERE record = ?", []any{record}, &one); there || err != nil {
			return err
		}
	}
	r := t.audit.Append(at.Truncate(time.Microsecond), cleanEntry(e))
	fields, err := encode(r.Fields)
	if err != nil {
		return err
	}
	_, err = t.exec("INSERT INTO audit (seq, at, kind, incident, intent, playbook, actor, text, fields, hash, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		int64(r.Seq), r.Time.UnixMicro(), r.Kind, r.Incident, r.Intent, r.Playbook, r.Actor, r.Text, fields, r.Hash, id)
	return err
}

// cleanEntry makes what is hashed the same as what is stored.
func cleanEntry(e auditchain.Entry) auditchain.Entry {
	for _, s := range []*string{&e.Kind, &e.Incident, &e.Intent, &e.Playbook, &e.Actor, &e.Text} {
		*s = clean(*s, auditLimits.MaxBytes)
	}
	fields := make(map[string]string, len(e.Fields))
	// Of names that become the same the last counts.
	for _, k := range slices.Sorted(maps.Keys(e.Fields)) {
		fields[clean(k, auditLimits.MaxBytes)] = clean(e.Fields[k], auditLimits.MaxBytes)
	}
	e.Fields = fields
	return e
}

// auditHead is the place behind the last record.
func (t *tx) auditHead() (auditchain.Anchor, error) {
	a, err := t.auditAnchor()
	if err != nil {
		return a, err
	}
	_, err = t.get("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", nil, &a.Seq, &a.Hash)
	return a, err
}

// auditAnchor is the place before the first record that is kept.
func (t *tx) auditAnchor() (auditchain.Anchor, error) {
	var a auditchain.Anchor
	found, err := t.get("SELECT seq, hash FROM audit_anchor", nil, &a.Seq, &a.Hash)
	if err == nil && !found {
		err = errors.New("the anchor of the audit is missing")
	}
	return a, err
}

// eachAudit reads records from a number on, oldest first.
func (t *tx) eachAudit(from uint64, limit int64, prev string, do func(auditchain.Record) error) error {
	return t.each("SELECT seq, at, kind, incident, intent, playbook, actor, text, fields, hash FROM audit WHERE seq >= ? ORDER BY seq LIMIT ?",
		[]any{int64(min(from, maxSeq)), limit}, func(row func(...any) error) error {
			var r auditchain.Record
			var at int64
			var fields string
			if err := row(&r.Seq, &at, &r.Kind, &r.Incident, &r.Intent, &r.Playbook, &r.Actor, &r.Text, &fields, &r.Hash); err != nil {
				return err
			}
			r.Time, r.Prev = time.UnixMicro(at).UTC(), prev
			if fields != "null" {
				if err := decode(fields, &r.Fields); err != nil {
					return fmt.Errorf("record %d: %w", r.Seq, err)
				}
			}
			prev = r.Hash
			return do(r)
		})
}

const maxSeq = 1 << 62

// Audit implements [Reader].
func (s *Store) Audit(ctx context.Context, from uint64, limit int) (found []auditchain.Record, err error) {
	err = s.view(ctx, "read audit", func(t *tx) error {
		anchor, err := t.auditAnchor()
		if err != nil {
			return err
		}
		from = max(from, anchor.Seq+1)
		prev := anchor.Hash
		if from > anchor.Seq+1 {
			if _, err := t.get("SELECT hash FROM audit WHERE seq = ?", []any{int64(min(from, maxSeq)) - 1}, &prev); err != nil {
				return err
			}
		}
		return t.eachAudit(from, int64(min(max(limit, 1), maxItems)), prev, func(r auditchain.Record) error {
			found = append(found, r)
			return nil
		})
	})
	return found, err
}

// VerifyAudit implements [Reader].
func (s *Store) VerifyAudit(ctx context.Context) (head auditchain.Anchor, records uint64, err error) {
	err = s.view(ctx, "verify audit", func(t *tx) error {
		anchor, err := t.auditAnchor()
		if err != nil {
			return err
		}
		v := auditchain.NewVerifier(anchor)
		if err := t.eachAudit(0, maxSeq, anchor.Hash, v.Add); err != nil {
			return err
		}
		head, records = v.Last(), uint64(v.Count())
		return nil
	})
	return head, records, err
}

// ExportAudit calls do with all records that are kept, oldest first, and returns the place before the first.
func (s *Store) ExportAudit(ctx context.Context, do func(auditchain.Record) error) (anchor auditchain.Anchor, err error) {
	err = s.view(ctx, "export audit", func(t *tx) error {
		if anchor, err = t.auditAnchor(); err != nil {
			return err
		}
		return t.eachAudit(0, maxSeq, anchor.Hash, do)
	})
	return anchor, err
}
