package incidentstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
)

// Timeline implements [Reader]. Of more entries than the limit the oldest are returned.
func (s *Store) Timeline(ctx context.Context, id string, limit int) ([]TimelineEntry, error) {
	limit = min(max(limit, 1), maxItems)
	out := []TimelineEntry{}
	err := s.view(ctx, "read timeline", func(t *tx) error {
		inc, _, err := t.incident(clean(id, maxID))
		if err != nil {
			return err
		}
		out = append(out, ownTimeline(&inc.Incident)...)
		return t.each("SELECT at, kind, actor, text, ref FROM history WHERE incident = ? ORDER BY at, id", []any{inc.ID}, func(row func(...any) error) error {
			var e TimelineEntry
			var at int64
			err := row(&at, &e.Kind, &e.Actor, &e.Text, &e.Ref)
			e.At = moment(at)
			out = append(out, e)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(a, b TimelineEntry) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind)) })
	return head(out, limit), nil
}

// ownTimeline is what an incident says of itself.
func ownTimeline(inc *eventdata.Incident) []TimelineEntry {
	var out []TimelineEntry
	add := func(at *time.Time, kind, text, ref string) {
		if at != nil && text != "" {
			out = append(out, TimelineEntry{At: *at, Kind: kind, Text: text, Ref: ref})
		}
	}
	for _, e := range inc.Timeline {
		add(e.Time, "incident", e.Text, "")
	}
	for _, c := range inc.Changes {
		add(c.Time, "change", fmt.Sprintf("%s: %s", c.Entity.Name, c.Summary), "")
	}
	for _, c := range inc.Causes {
		for _, e := range c.Evidence {
			entity := c.Entity
			if e.Entity != nil {
				entity = *e.Entity
			}
			add(e.Onset, "evidence", fmt.Sprintf("%s: %s", entity.Name, e.Summary), e.Signal)
		}
	}
	return out
}
