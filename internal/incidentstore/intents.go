package incidentstore

import (
	"context"
	"strings"
)

// Intents implements [Reader].
func (s *Store) Intents(ctx context.Context, f IntentFilter, p Page) (found []Intent, next string, err error) {
	err = s.view(ctx, "list intents", func(t *tx) error {
		found, next, err = t.intents(f, p)
		return err
	})
	return found, next, err
}

const intentColumns = "num, created_at, updated_at, doc"

func (t *tx) intents(f IntentFilter, p Page) ([]Intent, string, error) {
	found := []Intent{}
	next, err := t.list("SELECT "+intentColumns+" FROM intents", []selector{
		{"incident", f.Incident}, {"playbook", f.Playbook}, {"outcome", f.Outcome}, {"awaiting", awaitingOf(f.Awaiting)},
	}, p, func(row func(...any) error) (int64, error) {
		i, num, err := scanIntent(row)
		found = append(found, i)
		return num, err
	})
	return found[:min(len(found), p.most())], next, err
}

func awaitingOf(awaiting bool) any {
	if awaiting {
		return 1
	}
	return ""
}

// selector is what a column must be.
type selector struct {
	column string
	value  any
}

// list reads a page of a table in the order of its numbers, newest first. What is empty selects all.
func (t *tx) list(query string, selectors []selector, p Page, scan func(row func(...any) error) (int64, error)) (next string, err error) {
	from, limit, err := p.open()
	if err != nil {
		return "", err
	}
	var where []string
	var args []any
	for _, c := range selectors {
		if s, text := c.value.(string); text {
			if s == "" {
				continue
			}
			c.value = clean(s, maxLine)
		}
		where, args = append(where, c.column+" = ?"), append(args, c.value)
	}
	if from != nil {
		where, args = append(where, "num < ?"), append(args, from.num)
	}
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	var last int64
	count := 0
	err = t.each(query+" ORDER BY num DESC LIMIT ?", append(args, limit+1), func(row func(...any) error) error {
		num, err := scan(row)
		if count++; count <= limit {
			last = num
		}
		return err
	})
	if err != nil || count <= limit {
		return "", err
	}
	return cursor{num: last}.String(), nil
}

// most is how many items a page has at most.
func (p Page) most() int { return min(max(p.Limit, 1), maxItems) }

func scanIntent(row func(...any) error) (i Intent, num int64, err error) {
	var created, updated int64
	var doc string
	if err := row(&num, &created, &updated, &doc); err != nil {
		return i, num, err
	}
	i.CreatedAt, i.UpdatedAt = moment(created), moment(updated)
	return i, num, decode(doc, &i.IntentRecord)
}

// Intent implements [Reader].
func (s *Store) Intent(ctx context.Context, id string) (*Intent, error) {
	var found *Intent
	err := s.view(ctx, "read intent", func(t *tx) error {
		err := t.each("SELECT "+intentColumns+" FROM intents WHERE id = ?", []any{clean(id, maxID)}, func(row func(...any) error) error {
			i, _, err := scanIntent(row)
			found = &i
			return err
		})
		if err == nil && found == nil {
			err = ErrNotFound
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Deliveries implements [Reader].
func (s *Store) Deliveries(ctx context.Context, f DeliveryFilter, p Page) (found []Delivery, next string, err error) {
	err = s.view(ctx, "list deliveries", func(t *tx) error {
		found = []Delivery{}
		next, err = t.list("SELECT num, queued_at, updated_at, doc FROM deliveries", []selector{
			{"incident", f.Incident}, {"destination", f.Destination}, {"state", string(f.State)},
		}, p, func(row func(...any) error) (num int64, err error) {
			var d Delivery
			var queued, updated int64
			var doc string
			if err := row(&num, &queued, &updated, &doc); err != nil {
				return 0, err
			}
			d.QueuedAt, d.UpdatedAt = moment(queued), moment(updated)
			err = decode(doc, &d.DeliveryRecord)
			found = append(found, d)
			return num, err
		})
		found = found[:min(len(found), p.most())]
		return err
	})
	return found, next, err
}
