package incidentstore

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Record implements [Recorder]. What nothing can be stored of, such as a record without an ID, is counted and left out, so that it
// does not hold up all others for ever.
func (s *Store) Record(ctx context.Context, records []Record) error {
	return s.update(ctx, "record", func(t *tx) error {
		for i := range records {
			if err := t.record(&records[i]); err != nil {
				return fmt.Errorf("record %.80q: %w", records[i].ID, err)
			}
		}
		return nil
	})
}

func (t *tx) record(r *Record) error {
	id := clean(r.ID, maxID)
	switch {
	case id == "":
	case r.Incident != nil && r.Incident.Incident.ID != "":
		return t.recordIncident(id, r)
	case r.Intent != nil && r.Intent.Remediation.Intent != "":
		return t.recordIntent(id, r)
	case r.Delivery != nil && r.Delivery.ID != "":
		return t.recordDelivery(id, r)
	case r.Audit != nil:
		return t.append(r.At, *r.Audit, id)
	}
	t.lose(LossRefused, 1)
	return nil
}

// remember puts something into the life of an incident.
func (t *tx) remember(id, incident string, at int64, kind, actor, text, ref string) error {
	if incident == "" {
		return nil
	}
	n, err := t.exec("INSERT INTO history (incident, at, id, kind, actor, text, ref) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		incident, at, clean(id, maxID), kind, clean(actor, maxLine), clean(text, maxLine), clean(ref, maxID))
	if n == 0 || err != nil {
		return err
	}
	// The first entries tell how it began, so those in the middle go: of what is too much, the older half of the newer half.
	var count int64
	if _, err := t.get("SELECT COUNT(*) FROM history WHERE incident = ?", []any{incident}, &count); err != nil {
		return err
	}
	if count <= int64(t.s.settings.MaxHistory) {
		return nil
	}
	n, err = t.exec("DELETE FROM history WHERE incident = ? AND (at, id) = (SELECT at, id FROM history WHERE incident = ? ORDER BY at, id LIMIT 1 OFFSET ?)",
		incident, incident, t.s.settings.MaxHistory/2)
	t.lose(LossHistory, n)
	return err
}

func (t *tx) recordIntent(id string, r *Record) error {
	in := *r.Intent
	rem := &in.Remediation
	intent, incident := clean(rem.Intent, maxID), clean(in.Incident, maxID)
	at := micros(r.At)
	text := strings.TrimSpace(fmt.Sprintf("%s: %s %s %s", rem.Playbook, rem.Action, rem.Target, rem.Outcome))
	if detail := cmp.Or(rem.Detail, string(rem.Reason)); detail != "" {
		text += " (" + detail + ")"
	}
	if err := t.remember(id, incident, at, "intent", "", text, intent); err != nil {
		return err
	}
	for _, a := range in.Approvals {
		by := clean(a.By, maxLine)
		key := "approval " + intent + " " + string(a.Verdict) + " " + by
		text := string(a.Verdict)
		if a.Comment != "" {
			text += ": " + a.Comment
		}
		if err := t.remember(key, incident, micros(a.At), "approval", by, text, intent); err != nil {
			return err
		}
	}
	var revision, updated, ended int64
	var outcome, old string
	there, err := t.get("SELECT revision, updated_at, ended, outcome, doc FROM intents WHERE id = ?", []any{intent}, &revision, &updated, &ended, &outcome, &old)
	if err != nil {
		return err
	}
	if there {
		var before IntentRecord
		_ = json.Unmarshal([]byte(old), &before) // what cannot be read is not an aside
		acted := ended != 0 || outcome == string(playbook.Accepted)
		switch stale := rem.Revision < revision || rem.Revision == revision && at <= updated; {
		case in.Aside && !before.Aside && acted:
			return nil
		case stale && (in.Aside || !before.Aside):
			return nil
		}
	}
	doc, err := encode(in)
	if err != nil || len(doc) > maxBlob {
		t.lose(LossRefused, 1)
		return nil //nolint:nilerr // what nothing can be stored of is counted, and does not hold up the others
	}
	awaiting := flag(!in.Ended && rem.Outcome == string(playbook.Awaiting))
	_, err = t.exec(`INSERT INTO intents (id, incident, playbook, outcome, awaiting, ended, revision, created_at, updated_at, doc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET incident = excluded.incident, playbook = excluded.playbook, outcome = excluded.outcome, awaiting = excluded.awaiting,
ended = excluded.ended, revision = excluded.revision, updated_at = excluded.updated_at, doc = excluded.doc`,
		intent, incident, clean(rem.Playbook, maxLine), clean(rem.Outcome, maxLine), awaiting, flag(in.Ended), rem.Revision, at, at, doc)
	if err != nil {
		return err
	}
	return t.note("intent", intent, incident)
}

// deliveryRank orders the states of a delivery at the same time.
func deliveryRank(s DeliveryState) int {
	if s == DeliveryQueued {
		return 0
	}
	return 1
}

func (t *tx) recordDelivery(id string, r *Record) error {
	d := *r.Delivery
	event, destination, incident := clean(d.ID, maxID), clean(d.Destination, maxLine), clean(d.Incident, maxID)
	d.Detail = clean(d.Detail, maxLong)
	at := micros(r.At)
	if d.State != DeliveryQueued {
		text := fmt.Sprintf("%s to %s: %s", shortType(d.Type), destination, d.State)
		if why := cmp.Or(d.Detail, d.Reason); why != "" {
			text += " (" + why + ")"
		}
		if err := t.remember(id, incident, at, "delivery", "", text, event); err != nil {
			return err
		}
	}
	var updated int64
	var state DeliveryState
	there, err := t.get("SELECT updated_at, state FROM deliveries WHERE id = ? AND destination = ?", []any{event, destination}, &updated, &state)
	if err != nil {
		return err
	}
	if there && (at < updated || at == updated && deliveryRank(d.State) <= deliveryRank(state)) {
		return nil
	}
	doc, err := encode(d)
	if err != nil || len(doc) > maxBlob {
		t.lose(LossRefused, 1)
		return nil //nolint:nilerr // what nothing can be stored of is counted, and does not hold up the others
	}
	_, err = t.exec(`INSERT INTO deliveries (id, destination, incident, state, queued_at, updated_at, doc) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id, destination) DO UPDATE SET incident = excluded.incident, state = excluded.state, updated_at = excluded.updated_at, doc = excluded.doc`,
		event, destination, incident, clean(string(d.State), maxLine), at, at, doc)
	if err != nil {
		return err
	}
	return t.note("delivery", event, incident)
}

// shortType is an event's type without its owner and version, as people say it.
func shortType(t semconv.EventType) string {
	return strings.TrimSuffix(strings.TrimPrefix(string(t), "io.paramedic."), ".v1")
}
