package wording

import (
	"strings"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/notifier"
)

// saySimilar says of a past incident what is alike, what was done, and what people thought of the diagnosis.
func saySimilar(s *eventdata.Similar) string {
	text := "incident " + notifier.Line(s.ID, maxName)
	if at := moment(s.StartedAt); at != "" {
		text += " of " + at
	}
	text += ", " + percent(min(s.Score, 1)) + " alike"
	switch {
	case s.Cause != nil:
		text += ": " + nameCause(s.Cause.Kind, s.Cause.Entity)
	case s.Title != "":
		text += ": " + notifier.Line(s.Title, maxName)
	}
	done := sayFirst(s.Actions, maxItems, func(a *eventdata.SimilarAction) string {
		return actionOn(a.Action, a.Target) + " " + notifier.Line(a.Outcome, maxName)
	})
	if len(done) > 0 {
		text += "; then " + strings.Join(done, ", ")
	}
	if said := names(s.Feedback); said != "" {
		text += "; people called it " + strings.ReplaceAll(said, "_", " ")
	}
	return text
}
