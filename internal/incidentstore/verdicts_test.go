package incidentstore

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/semconv"
)

// TestVerdicts counts the last word of each person on what was detected in a time.
func TestVerdicts(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		for n := range 3 {
			inc := incident(n, 10*n)
			require.NoError(t, s.Record(t.Context(), []Record{{ID: inc.ID, At: at(10 * n), Incident: &IncidentRecord{Event: semconv.EventIncidentOpened, Incident: inc}}}))
		}
		say := func(incident, by string, v FeedbackVerdict) {
			require.NoError(t, s.GiveFeedback(t.Context(), incident, Feedback{By: by, At: at(30), Verdict: v}))
		}
		say("i-0", "ann", FeedbackFalseAlarm)
		say("i-1", "ann", FeedbackWrongCause)
		say("i-1", "ann", FeedbackRightCause)
		say("i-1", "bob", FeedbackWrongCause)
		say("i-2", "bob", FeedbackRightCause)
		got, err := s.Verdicts(t.Context(), at(0), at(20))
		require.NoError(t, err)
		assert.Equal(t, map[FeedbackVerdict]int{FeedbackFalseAlarm: 1, FeedbackRightCause: 1, FeedbackWrongCause: 1}, got)
		got, err = s.Verdicts(t.Context(), at(11), at(20))
		require.NoError(t, err)
		assert.Empty(t, got)
	})
}
