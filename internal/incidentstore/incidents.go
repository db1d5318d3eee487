package incidentstore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
)

// Incidents implements [Reader].
func (s *Store) Incidents(ctx context.Context, f IncidentFilter, p Page) (found []Incident, next string, err error) {
	err = s.view(ctx, "list incidents", func(t *tx) error {
		found, next, err = t.incidents(f, p)
		return err
	})
	return found, next, err
}

// condition is one that an index finds the rows of.
type condition struct {
	// column is of incidents, or empty for the service.
	column string
	// is follows the column.
	is     string
	values []any
	// scattered says that its index does not find the rows in the order of lists: they must be few enough to be sorted.
	scattered bool
	// check, if set, is the whole condition: no index finds its rows, which are many.
	check string
}

const incidentColumns = "i.num, i.detected_at, i.updated_at, i.occurrence, i.ack, i.doc"

func (t *tx) incidents(f IncidentFilter, p Page) ([]Incident, string, error) {
	from, limit, err := p.open()
	if err != nil {
		return nil, "", err
	}
	conditions := f.conditions()
	if f.Text != "" {
		c, err := t.titled(f.Text)
		if err != nil {
			return nil, "", err
		}
		if len(c.values) == 0 {
			return []Incident{}, "", nil
		}
		conditions = append(conditions, c)
	}
	driver, err := t.rarest(conditions)
	if err != nil {
		return nil, "", err
	}
	table, at, num := "incidents i", "i.detected_at", "i.num"
	var where []string
	var args []any
	and := func(sql string, values ...any) { where, args = append(where, sql), append(args, values...) }
	for n, c := range conditions {
		switch {
		case c.check != "":
			and(c.check, c.values...)
		case c.column == "" && n == driver:
			table, at, num = "incident_services s JOIN incidents i ON i.num = s.incident", "s.detected_at", "s.incident"
			and("s.service = ?", c.values...)
		case c.column == "":
			and("EXISTS (SELECT 1 FROM incident_services s WHERE s.service = ? AND s.detected_at = i.detected_at AND s.incident = i.num)", c.values...)
		case n == driver:
			and("i."+c.column+c.is, c.values...)
		default:
			and(t.s.dialect.offIndex+"i."+c.column+c.is, c.values...)
		}
	}
	if !f.Since.IsZero() {
		and(at+" >= ?", micros(f.Since))
	}
	if !f.Until.IsZero() {
		and(at+" < ?", micros(f.Until))
	}
	if from != nil {
		and("("+at+", "+num+") < (?, ?)", from.at, from.num)
	}
	query := "SELECT " + incidentColumns + " FROM " + table
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	query += " ORDER BY " + at + " DESC, " + num + " DESC LIMIT ?"
	found := []Incident{}
	var last cursor
	err = t.each(query, append(args, limit+1), func(row func(...any) error) error {
		inc, place, err := scanIncident(row)
		if err == nil {
			found = append(found, *inc)
			if len(found) <= limit {
				last = place
			}
		}
		return err
	})
	if err != nil || len(found) <= limit {
		return found, "", err
	}
	return found[:limit], last.String(), nil
}

func (f *IncidentFilter) conditions() []condition {
	var out []condition
	add := func(column, value string) {
		if value != "" {
			out = append(out, condition{column: column, is: " = ?", values: []any{clean(value, maxID)}})
		}
	}
	add("fingerprint", f.Fingerprint)
	add("", f.Service)
	add("status", string(f.Status))
	add("cause_kind", string(f.CauseKind))
	add("severity", string(f.Severity))
	if f.Acknowledged != nil {
		out = append(out, condition{column: "acknowledged", is: " = ?", values: []any{flag(*f.Acknowledged)}})
	}
	return out
}

// maxTitles bounds the titles that are looked for by number.
const maxTitles = 500

// titled is the condition that a title holds a text; it has no values when none does.
func (t *tx) titled(text string) (condition, error) {
	text = strings.ToLower(clean(text, maxTitle))
	contains := fmt.Sprintf(t.s.dialect.contains, "search")
	var found []any
	err := t.each("SELECT num FROM titles WHERE "+contains+" LIMIT ?", []any{text, maxTitles + 1}, func(row func(...any) error) error {
		var n int64
		err := row(&n)
		found = append(found, n)
		return err
	})
	c := condition{column: "title", scattered: true, values: found}
	switch {
	case len(found) > maxTitles:
		c.check, c.values = "EXISTS (SELECT 1 FROM titles t WHERE t.num = i.title AND "+contains+")", []any{text}
	case len(found) > 0:
		c.is = " IN (" + strings.Repeat(", ?", len(found))[2:] + ")"
	}
	return c, err
}

// look is how many rows are counted to tell which condition is the rarest, and how many can be sorted in no time.
const look = 1000

// rarest is the condition whose index finds the fewest rows, as far as a short look tells; -1 for none.
func (t *tx) rarest(conditions []condition) (int, error) {
	if len(conditions) == 1 && !conditions[0].scattered && conditions[0].check == "" {
		return 0, nil
	}
	best, least := -1, int64(look+1)
	for n, c := range conditions {
		if c.check != "" {
			continue
		}
		rows := "incidents WHERE " + c.column
		if c.column == "" {
			rows = "incident_services WHERE service"
		}
		var count int64
		if _, err := t.get("SELECT COUNT(*) FROM (SELECT 1 FROM "+rows+c.is+" LIMIT ?) few", append(slices.Clone(c.values), look), &count); err != nil {
			return 0, err
		}
		if count < least && (!c.scattered || count < look) {
			best, least = n, count
		}
	}
	return best, nil
}

func scanIncident(row func(...any) error) (*Incident, cursor, error) {
	var place cursor
	var updated int64
	var ack, doc string
	inc := &Incident{}
	if err := row(&place.num, &place.at, &updated, &inc.Occurrence, &ack, &doc); err != nil {
		return nil, place, err
	}
	inc.UpdatedAt = moment(updated)
	if ack != "" {
		inc.Acknowledgment = &Acknowledgment{}
		if err := decode(ack, inc.Acknowledgment); err != nil {
			return nil, place, err
		}
	}
	data, err := decodeIncident(doc)
	if err != nil {
		return nil, place, err
	}
	inc.Incident = *data
	return inc, place, nil
}

// decodeIncident reads a document; lists are empty, not missing.
func decodeIncident(doc string) (*eventdata.Incident, error) {
	inc := &eventdata.Incident{}
	if err := decode(doc, inc); err != nil {
		return nil, err
	}
	if inc.Causes == nil {
		inc.Causes = []eventdata.Cause{}
	}
	for i := range inc.Causes {
		if inc.Causes[i].Evidence == nil {
			inc.Causes[i].Evidence = []eventdata.Evidence{}
		}
	}
	for _, list := range []*[]string{&inc.EntryPoints, &inc.Impact.Services} {
		if *list == nil {
			*list = []string{}
		}
	}
	inc.Timeline, inc.Changes = []eventdata.TimelineEntry{}, []eventdata.Change{}
	return inc, nil
}

// Incident implements [Reader].
func (s *Store) Incident(ctx context.Context, id string) (found *Incident, err error) {
	err = s.view(ctx, "read incident", func(t *tx) error {
		found, _, err = t.incident(clean(id, maxID))
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// incident reads one with all that belongs to it.
func (t *tx) incident(id string) (*Incident, int64, error) {
	var found *Incident
	var num int64
	err := t.each("SELECT "+incidentColumns+" FROM incidents i WHERE i.id = ?", []any{id}, func(row func(...any) error) error {
		inc, place, err := scanIncident(row)
		found, num = inc, place.num
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	if found == nil {
		return nil, 0, ErrNotFound
	}
	var doc string
	if there, err := t.get("SELECT doc FROM incident_details WHERE incident = ?", []any{num}, &doc); err != nil {
		return nil, 0, err
	} else if there {
		more := details{Timeline: found.Timeline, Changes: found.Changes}
		if err := decode(doc, &more); err != nil {
			return nil, 0, err
		}
		found.Timeline, found.Changes = more.Timeline, more.Changes
	}
	if err := t.evidence(num, found.Causes); err != nil {
		return nil, 0, err
	}
	if found.Feedback, err = t.feedback(num); err != nil {
		return nil, 0, err
	}
	found.Intents, _, err = t.intents(IntentFilter{Incident: id}, Page{Limit: maxItems})
	return found, num, err
}

// evidence reads what speaks for the causes.
func (t *tx) evidence(num int64, causes []eventdata.Cause) error {
	return t.each(`SELECT cause, signal, kind, entity_type, entity_name, onset, deviation, score, summary, trace_ids
FROM evidence WHERE incident = ? ORDER BY cause, place`, []any{num}, func(row func(...any) error) error {
		var cause int
		var e eventdata.Evidence
		var entity eventdata.Entity
		var onset int64
		var traces string
		if err := row(&cause, &e.Signal, &e.Kind, &entity.Type, &entity.Name, &onset, &e.Deviation, &e.Score, &e.Summary, &traces); err != nil {
			return err
		}
		e.Onset = momentOf(onset)
		if entity != (eventdata.Entity{}) {
			e.Entity = &entity
		}
		if traces != "" {
			e.TraceIDs = strings.Fields(traces)
		}
		if cause < len(causes) {
			causes[cause].Evidence = append(causes[cause].Evidence, e)
		}
		return nil
	})
}

// numOf finds an incident.
func (t *tx) numOf(id string) (int64, error) {
	var num int64
	there, err := t.get("SELECT num FROM incidents WHERE id = ?", []any{id}, &num)
	if err == nil && !there {
		err = ErrNotFound
	}
	return num, err
}
