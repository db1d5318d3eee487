package incidentstore

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

func TestRecordIncident(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		inc := incident(1, 0)
		record(t, s, opened(inc))
		got, err := s.Incident(t.Context(), "i-1")
		require.NoError(t, err)
		assert.Equal(t, inc, got.Incident, "all of it")
		assert.Equal(t, 1, got.Occurrence)
		assert.Equal(t, at(0), got.UpdatedAt)

		newer := incident(1, 0)
		newer.Revision, newer.Title, newer.Causes = 3, "newer", newer.Causes[:1]
		newer.Causes[0].Evidence = newer.Causes[0].Evidence[:1]
		older := incident(1, 0)
		older.Revision, older.Title = 2, "older"
		record(t, s, opened(newer))
		record(t, s, opened(older), opened(inc), opened(newer))
		got, err = s.Incident(t.Context(), "i-1")
		require.NoError(t, err)
		assert.Equal(t, newer, got.Incident, "the newest revision wins")
		assert.Equal(t, 1, got.Occurrence)

		record(t, s, opened(incident(2, 5)))
		got, err = s.Incident(t.Context(), "i-2")
		require.NoError(t, err)
		assert.Equal(t, 2, got.Occurrence)
		_, err = s.Incident(t.Context(), "i-3")
		require.ErrorIs(t, err, ErrNotFound)
	})
}

func TestRecordIntent(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		asked := intent(1, "i-1", 2, playbook.Awaiting, 3)
		record(t, s, asked)
		got, err := s.Intent(t.Context(), "n-1")
		require.NoError(t, err)
		assert.Equal(t, &Intent{IntentRecord: *asked.Intent, CreatedAt: at(3), UpdatedAt: at(3)}, got)
		done := intent(1, "i-1", 2, playbook.Succeeded, 9)
		record(t, s, done, asked, intent(1, "i-1", 1, playbook.Proposed, 10), intent(1, "i-1", 2, playbook.Awaiting, 8))
		got, err = s.Intent(t.Context(), "n-1")
		require.NoError(t, err)
		assert.Equal(t, &Intent{IntentRecord: *done.Intent, CreatedAt: at(3), UpdatedAt: at(9)}, got, "older ones never replace newer ones")
		aside := intent(1, "i-1", 3, playbook.Skipped, 12)
		aside.Intent.Aside = true
		record(t, s, aside)
		got, err = s.Intent(t.Context(), "n-1")
		require.NoError(t, err)
		assert.Equal(t, *done.Intent, got.IntentRecord, "who did nothing does not overrule who acted")
		record(t, s, intent(2, "i-1", 1, playbook.Awaiting, 4))
		for _, c := range []struct {
			f    IntentFilter
			want []string
		}{
			{IntentFilter{}, []string{"n-2", "n-1"}},
			{IntentFilter{Awaiting: true}, []string{"n-2"}},
			{IntentFilter{Outcome: "succeeded"}, []string{"n-1"}},
			{IntentFilter{Incident: "i-1", Playbook: "restart"}, []string{"n-2", "n-1"}},
			{IntentFilter{Incident: "i-2"}, nil},
			{IntentFilter{Playbook: "other"}, nil},
		} {
			found, next, err := s.Intents(t.Context(), c.f, Page{Limit: 10})
			require.NoError(t, err)
			assert.Empty(t, next)
			var ids []string
			for _, i := range found {
				ids = append(ids, i.Remediation.Intent)
			}
			assert.Equal(t, c.want, ids, c.f)
		}
		_, err = s.Intent(t.Context(), "n-9")
		require.ErrorIs(t, err, ErrNotFound)
	})
}

// TestRecordIntentAside lets who acted speak after one that did not, however late its word comes.
func TestRecordIntentAside(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		aside := intent(1, "i-1", 2, playbook.Skipped, 9)
		aside.Intent.Aside = true
		record(t, s, intent(1, "i-1", 2, playbook.Dispatched, 3), aside)
		got, err := s.Intent(t.Context(), "n-1")
		require.NoError(t, err)
		assert.Equal(t, *aside.Intent, got.IntentRecord)
		done := intent(1, "i-1", 2, playbook.Succeeded, 8)
		record(t, s, done)
		got, err = s.Intent(t.Context(), "n-1")
		require.NoError(t, err)
		assert.Equal(t, *done.Intent, got.IntentRecord)
	})
}

func TestRecordDelivery(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		record(t, s, delivery(1, "i-1", DeliveryQueued, 1), delivery(1, "i-1", DeliveryDead, 5), delivery(1, "i-1", DeliveryQueued, 1))
		record(t, s, delivery(2, "i-2", DeliveryDelivered, 2), delivery(2, "i-2", DeliveryQueued, 2))
		list := func(f DeliveryFilter) (out []Delivery) {
			found, next, err := s.Deliveries(t.Context(), f, Page{Limit: 10})
			require.NoError(t, err)
			assert.Empty(t, next)
			return found
		}
		all := list(DeliveryFilter{Destination: "chat"})
		require.Len(t, all, 2)
		assert.Equal(t, Delivery{DeliveryRecord: *delivery(2, "i-2", DeliveryDelivered, 2).Delivery, QueuedAt: at(2), UpdatedAt: at(2)}, all[0])
		assert.Equal(t, Delivery{DeliveryRecord: *delivery(1, "i-1", DeliveryDead, 5).Delivery, QueuedAt: at(1), UpdatedAt: at(5)}, all[1])
		assert.Len(t, list(DeliveryFilter{State: DeliveryDead}), 1)
		assert.Len(t, list(DeliveryFilter{Incident: "i-2"}), 1)
		assert.Empty(t, list(DeliveryFilter{Destination: "pager"}))
	})
}

func TestRecordAudit(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		record(t, s, audited(1), audited(2))
		record(t, s, audited(2), audited(3), audited(1))
		found, err := s.Audit(t.Context(), 0, 10)
		require.NoError(t, err)
		require.Len(t, found, 3, "what is there already is not recorded again")
		require.NoError(t, auditchain.Verify(found, auditchain.Genesis()))
		assert.Equal(t, "text 3", found[2].Text)
		head, n := verify(t, s)
		assert.EqualValues(t, 3, n)
		assert.Equal(t, auditchain.Anchor{Seq: 3, Hash: found[2].Hash}, head)
		found, err = s.Audit(t.Context(), 2, 1)
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.NoError(t, auditchain.Verify(found, auditchain.Anchor{}))
		assert.EqualValues(t, 2, found[0].Seq)
		found, err = s.Audit(t.Context(), math.MaxUint64, 1)
		require.NoError(t, err)
		assert.Empty(t, found)
	})
}

// TestRecordHostile never fails a batch for what one record says.
func TestRecordHostile(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		lost := map[Loss]int64{}
		s := d.open(t, func(s *Settings) { s.Counted = func(l Loss, n int64) { lost[l] += n }; s.MaxIncidentBytes = 16 << 10 })
		bad := "a\x00b\xff'; DROP TABLE incidents; -- \u202e"
		inc := incident(1, 0)
		inc.ID, inc.Title, inc.Fingerprint = bad, bad, bad
		inc.Causes[0].Confidence, inc.Causes[0].Evidence[0].Deviation = math.NaN(), math.Inf(1)
		inc.Causes[0].Evidence[0].Signal, inc.Causes[0].Entity.Name = bad, bad
		inc.Causes[0].Resource = map[string]string{bad: bad}
		inc.Impact.Services = []string{bad, bad, ""}
		inc.ResolvedAt = ptr(time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC))
		huge := incident(2, 0)
		for range 1000 {
			huge.Timeline = append(huge.Timeline, eventdata.TimelineEntry{Time: ptr(at(1)), Text: strings.Repeat("€", 5000)})
		}
		noted := audited(1)
		noted.Audit = &auditchain.Entry{Kind: bad, Text: bad, Fields: map[string]string{bad: bad, "a\x00": "1", "a\uFFFD": "2"}}
		long := intent(1, bad, 1, playbook.Awaiting, 1)
		long.Intent.Remediation.Detail = bad + strings.Repeat("x", maxBlob)
		fine := intent(2, bad, 1, playbook.Awaiting, 1)
		fine.Intent.Remediation.Detail, fine.Intent.Approvals = bad, []Approval{{By: bad, Verdict: semconv.ApprovalGranted, Comment: bad}}
		dead := delivery(1, bad, DeliveryDead, 1)
		dead.Delivery.Detail, dead.Delivery.Destination = bad, bad
		first := opened(inc)
		first.At = time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)
		record(t, s, first, opened(huge), noted, long, fine, dead, Record{}, Record{ID: "x"}, Record{ID: bad, Intent: &IntentRecord{}}, opened(incident(3, 0)))
		got, err := s.Incident(t.Context(), bad)
		require.NoError(t, err)
		assert.Equal(t, "a\uFFFDb\uFFFD'; DROP TABLE incidents; -- \u202e", got.Title)
		assert.Zero(t, got.Causes[0].Confidence)
		assert.Nil(t, got.ResolvedAt)
		assert.Equal(t, map[Loss]int64{LossCut: 1, LossRefused: 4}, lost)
		got, err = s.Incident(t.Context(), "i-2")
		require.NoError(t, err)
		assert.NotEmpty(t, got.Timeline)
		assert.NotEmpty(t, got.Causes[0].Evidence)
		_, err = s.Incident(t.Context(), "i-3")
		require.NoError(t, err)
		verify(t, s)
		_, err = s.Timeline(t.Context(), bad, 10)
		require.NoError(t, err)
		_, _, err = s.Incidents(t.Context(), IncidentFilter{Text: bad, Service: bad, Fingerprint: bad}, Page{Limit: 1})
		require.NoError(t, err)
		found, _, err := s.Intents(t.Context(), IntentFilter{Incident: bad, Playbook: "restart"}, Page{Limit: 10})
		require.NoError(t, err)
		assert.Len(t, found, 1)
	})
}
