package incidentstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// kinds are those of the whole audit, which must be unbroken.
func kinds(t *testing.T, s *Store) (out []string) {
	t.Helper()
	found, err := s.Audit(t.Context(), 0, 1000)
	require.NoError(t, err)
	require.NoError(t, auditchain.Verify(found, auditchain.Genesis()))
	for _, r := range found {
		out = append(out, r.Kind+" "+r.Actor)
	}
	return out
}

func TestAcknowledge(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		record(t, s, opened(incident(1, 0)))
		require.ErrorIs(t, s.Unacknowledge(t.Context(), "i-1", "ann", at(1)), ErrConflict)
		require.NoError(t, s.Acknowledge(t.Context(), "i-1", Acknowledgment{By: "ann", At: at(1), Comment: "mine"}))
		require.NoError(t, s.Acknowledge(t.Context(), "i-1", Acknowledgment{By: "bob", At: at(2)}))
		newer := incident(1, 0)
		newer.Revision = 2
		record(t, s, opened(newer))
		got, err := s.Incident(t.Context(), "i-1")
		require.NoError(t, err)
		assert.Equal(t, &Acknowledgment{By: "bob", At: at(2)}, got.Acknowledgment, "it outlives what is told of the incident")
		require.NoError(t, s.Unacknowledge(t.Context(), "i-1", "ann", at(3)))
		got, err = s.Incident(t.Context(), "i-1")
		require.NoError(t, err)
		assert.Nil(t, got.Acknowledgment)
		require.ErrorIs(t, s.Acknowledge(t.Context(), "i-9", Acknowledgment{By: "ann"}), ErrNotFound)
		require.ErrorIs(t, s.Unacknowledge(t.Context(), "i-9", "ann", at(1)), ErrNotFound)
		assert.Equal(t, []string{"incident.acknowledged ann", "incident.acknowledged bob", "incident.unacknowledged ann"}, kinds(t, s))
	})
}

func TestFeedback(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		record(t, s, opened(incident(1, 0)))
		require.NoError(t, s.GiveFeedback(t.Context(), "i-1", Feedback{By: "ann", At: at(1), Verdict: FeedbackRightCause}))
		require.NoError(t, s.GiveFeedback(t.Context(), "i-1", Feedback{By: "bob", At: at(2), Verdict: FeedbackFalseAlarm, Comment: "test"}))
		wrong := Feedback{By: "ann", At: at(3), Verdict: FeedbackWrongCause, Cause: &eventdata.Entity{Type: semconv.EntityNode, Name: "node-1"}, CauseKind: semconv.CauseDisk}
		require.NoError(t, s.GiveFeedback(t.Context(), "i-1", wrong))
		got, err := s.Incident(t.Context(), "i-1")
		require.NoError(t, err)
		assert.Equal(t, []Feedback{{By: "bob", At: at(2), Verdict: FeedbackFalseAlarm, Comment: "test"}, wrong}, got.Feedback, "of each person the latest")
		require.ErrorIs(t, s.GiveFeedback(t.Context(), "i-9", wrong), ErrNotFound)
		assert.Len(t, kinds(t, s), 3)
	})
}

func TestSilences(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t, func(s *Settings) { s.MaxSilences = 2 })
		start := time.Now().UTC().Truncate(time.Second)
		if d.settings.Driver == SQLite {
			start = base
		}
		in := Silence{
			ID: "mine", Kind: SilenceMaintenance, Start: start, End: start.Add(time.Hour), By: "ann", Comment: "upgrade", Services: []string{"shop/*"},
			CauseKinds: []semconv.CauseKind{semconv.CauseMemory}, MaxSeverity: semconv.SeverityMajor,
		}
		one, err := s.AddSilence(t.Context(), in)
		require.NoError(t, err)
		assert.NotEqual(t, "mine", one.ID, "its ID is the store's")
		in.ID, in.CreatedAt = one.ID, one.CreatedAt
		assert.Equal(t, in, one)
		in.Start, in.End = start.Add(2*time.Hour), start.Add(3*time.Hour)
		two, err := s.AddSilence(t.Context(), in)
		require.NoError(t, err)
		_, err = s.AddSilence(t.Context(), in)
		require.ErrorIs(t, err, ErrFull)
		in.End = in.Start
		_, err = s.AddSilence(t.Context(), in)
		require.ErrorContains(t, err, "its end must be after its start")
		list := func(active bool, now time.Time) (ids []string) {
			found, err := s.Silences(t.Context(), active, now)
			require.NoError(t, err)
			for _, f := range found {
				ids = append(ids, f.ID)
			}
			return ids
		}
		assert.Equal(t, []string{two.ID, one.ID}, list(false, start))
		assert.Equal(t, []string{one.ID}, list(true, start))
		assert.Empty(t, list(true, start.Add(time.Hour)))
		assert.Equal(t, []string{two.ID}, list(true, start.Add(2*time.Hour)))
		require.NoError(t, s.EndSilence(t.Context(), one.ID, "bob", start.Add(time.Minute)))
		require.ErrorIs(t, s.EndSilence(t.Context(), one.ID, "bob", start.Add(2*time.Minute)), ErrConflict)
		require.ErrorIs(t, s.EndSilence(t.Context(), "none", "bob", start), ErrNotFound)
		assert.Empty(t, list(true, start.Add(time.Minute)))
		assert.Equal(t, []string{"silence.added ann", "silence.added ann", "silence.ended bob"}, kinds(t, s))
	})
}

func TestPause(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		paused := func(now time.Time) *Pause {
			p, err := s.Paused(t.Context(), now)
			require.NoError(t, err)
			return p
		}
		assert.Nil(t, paused(at(0)))
		require.ErrorIs(t, s.EndPause(t.Context(), "ann", at(0)), ErrConflict)
		require.NoError(t, s.SetPause(t.Context(), Pause{By: "ann", At: at(0), Reason: "why"}))
		assert.Equal(t, &Pause{By: "ann", At: at(0), Reason: "why"}, paused(at(100)))
		require.NoError(t, s.SetPause(t.Context(), Pause{By: "bob", At: at(1), Until: at(5)}))
		assert.NotNil(t, paused(at(4)))
		assert.Nil(t, paused(at(5)), "it ends by itself")
		require.ErrorIs(t, s.EndPause(t.Context(), "ann", at(6)), ErrConflict)
		require.NoError(t, s.EndPause(t.Context(), "ann", at(4)))
		assert.Nil(t, paused(at(4)))
		assert.Equal(t, []string{"automation.paused ann", "automation.paused bob", "automation.resumed ann"}, kinds(t, s))
	})
}

func TestNoteCall(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		require.NoError(t, s.NoteCall(t.Context(), at(1), auditchain.Entry{Kind: "api.refused", Actor: "eve"}))
		assert.Equal(t, []string{"api.refused eve"}, kinds(t, s))
	})
}
