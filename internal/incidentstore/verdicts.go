package incidentstore

import (
	"context"
	"time"
)

// Verdicts implements [Reader].
func (s *Store) Verdicts(ctx context.Context, since, until time.Time) (map[FeedbackVerdict]int, error) {
	found := map[FeedbackVerdict]int{}
	err := s.view(ctx, "count verdicts", func(t *tx) error {
		clear(found)
		return t.each("SELECT f.doc FROM feedback f JOIN incidents i ON i.num = f.incident WHERE i.detected_at >= ? AND i.detected_at < ?",
			[]any{micros(since), micros(until)}, func(row func(...any) error) error {
				var doc string
				var f Feedback
				if err := row(&doc); err != nil {
					return err
				}
				err := decode(doc, &f)
				found[f.Verdict]++
				return err
			})
	})
	return found, err
}
