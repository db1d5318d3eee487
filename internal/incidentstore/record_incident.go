package incidentstore

import (
	"fmt"
	"slices"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/semconv"
)

func (t *tx) recordIncident(id string, r *Record) error {
	inc, cut, ok := fit(&r.Incident.Incident, t.s.settings.MaxIncidentBytes)
	if !ok {
		t.lose(LossRefused, 1)
		return nil
	}
	at := micros(r.At)
	if err := t.remember(id, inc.ID, at, "incident", "", incidentText(r.Incident.Event, inc.Incident), ""); err != nil {
		return err
	}
	var num, revision, occurrence, detected int64
	var fingerprint string
	there, err := t.get("SELECT num, revision, fingerprint, occurrence, detected_at FROM incidents WHERE id = ?", []any{inc.ID},
		&num, &revision, &fingerprint, &occurrence, &detected)
	if err != nil {
		return err
	}
	if there && inc.Revision <= revision {
		return nil
	}
	if !there || fingerprint != inc.Fingerprint {
		if occurrence, err = t.nextOccurrence(inc.Fingerprint, num); err != nil {
			return err
		}
	}
	title, err := t.titleOf(inc.Title)
	if err != nil {
		return err
	}
	kind := causeKind(inc.Incident)
	args := []any{
		inc.Revision, inc.Fingerprint, string(inc.Status), string(inc.Severity), string(kind), microsOf(inc.StartedAt), when(inc.Incident, at), at, occurrence,
		title, inc.doc,
	}
	if there {
		_, err = t.exec(`UPDATE incidents SET revision = ?, fingerprint = ?, status = ?, severity = ?, cause_kind = ?, started_at = ?, detected_at = ?, updated_at = ?,
occurrence = ?, title = ?, doc = ? WHERE num = ?`, append(args, num)...)
	} else {
		_, err = t.get(`INSERT INTO incidents (revision, fingerprint, status, severity, cause_kind, started_at, detected_at, updated_at, occurrence, title, doc, id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING num`, append(args, inc.ID), &num)
	}
	if err != nil {
		return err
	}
	if cut {
		t.lose(LossCut, 1)
	}
	if err := t.recordParts(num, when(inc.Incident, at), inc); err != nil {
		return err
	}
	return t.note("incident", inc.ID, inc.ID)
}

// maxTitle bounds what of a title can be searched, in bytes.
const maxTitle = 512

// titleOf finds a title, or adds it.
func (t *tx) titleOf(title string) (num int64, err error) {
	title = clean(strings.ToLower(title), maxTitle)
	there, err := t.get("SELECT num FROM titles WHERE search = ?", []any{title}, &num)
	if !there && err == nil {
		_, err = t.get("INSERT INTO titles (search) VALUES (?) RETURNING num", []any{title}, &num)
	}
	return num, err
}

// recordParts stores what stands in tables of its own.
func (t *tx) recordParts(num, detected int64, inc *fitted) error {
	if _, err := t.exec("INSERT INTO incident_details (incident, doc) VALUES (?, ?) ON CONFLICT (incident) DO UPDATE SET doc = excluded.doc", num, inc.details); err != nil {
		return err
	}
	if err := t.recordServices(num, detected, services(inc.Incident)); err != nil {
		return err
	}
	if _, err := t.exec("DELETE FROM evidence WHERE incident = ?", num); err != nil {
		return err
	}
	for c, cause := range inc.Causes {
		for n, e := range cause.Evidence {
			var entity eventdata.Entity
			if e.Entity != nil {
				entity = *e.Entity
			}
			_, err := t.exec(`INSERT INTO evidence (incident, cause, place, signal, kind, entity_type, entity_name, onset, deviation, score, summary, trace_ids)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				num, c, n, e.Signal, string(e.Kind), string(entity.Type), entity.Name, microsOf(e.Onset), e.Deviation, e.Score, e.Summary, strings.Join(e.TraceIDs, " "))
			if err != nil {
				return err
			}
		}
	}
	return t.recordFeatures(num, microsOf(inc.StartedAt), featuresOf(inc.Incident))
}

func (t *tx) recordServices(num, detected int64, names []string) error {
	type row struct {
		service  string
		detected int64
	}
	var known []row
	err := t.each("SELECT service, detected_at FROM incident_services WHERE incident = ?", []any{num}, func(scan func(...any) error) error {
		var r row
		err := scan(&r.service, &r.detected)
		known = append(known, r)
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range known {
		if r.detected == detected && slices.Contains(names, r.service) {
			names = slices.DeleteFunc(names, func(n string) bool { return n == r.service })
		} else if _, err := t.exec("DELETE FROM incident_services WHERE service = ? AND detected_at = ? AND incident = ?", r.service, r.detected, num); err != nil {
			return err
		}
	}
	for _, n := range names {
		if _, err := t.exec("INSERT INTO incident_services (service, detected_at, incident) VALUES (?, ?, ?)", n, detected, num); err != nil {
			return err
		}
	}
	return nil
}

// nextOccurrence counts the incidents of a fingerprint, another one included.
func (t *tx) nextOccurrence(fingerprint string, num int64) (int64, error) {
	if fingerprint == "" {
		return 1, nil
	}
	var last int64
	_, err := t.get("SELECT COALESCE(MAX(occurrence), 0) FROM incidents WHERE fingerprint = ? AND num <> ?", []any{fingerprint, num}, &last)
	return last + 1, err
}

// when is the place of an incident in lists: when it was detected or, where that is not known, when it began or was recorded.
func when(inc *eventdata.Incident, recorded int64) int64 {
	for _, t := range []int64{microsOf(inc.DetectedAt), microsOf(inc.StartedAt)} {
		if t != 0 {
			return t
		}
	}
	return recorded
}

func causeKind(inc *eventdata.Incident) semconv.CauseKind {
	if len(inc.Causes) == 0 || inc.Causes[0].Kind == "" {
		return semconv.CauseUnknown
	}
	return inc.Causes[0].Kind
}

// services are the name of the first cause and those of the affected services, sorted.
func services(inc *eventdata.Incident) []string {
	names := slices.Clone(inc.Impact.Services)
	if len(inc.Causes) > 0 {
		names = append(names, inc.Causes[0].Entity.Name)
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(n string) bool { return n == "" })
}

// incidentText says in the timeline what an event did.
func incidentText(event semconv.EventName, inc *eventdata.Incident) string {
	what := strings.TrimPrefix(string(event), "incident.")
	if event == semconv.EventIncidentResolved && inc.Resolution != "" {
		what += " (" + string(inc.Resolution) + ")"
	}
	text := fmt.Sprintf("%s, %s: %s", what, inc.Severity, inc.Title)
	if len(inc.Causes) > 0 {
		c := &inc.Causes[0]
		text += fmt.Sprintf("; likeliest cause %s of %s (%.0f %%)", c.Kind, c.Entity.Name, 100*c.Confidence)
	}
	return text
}
