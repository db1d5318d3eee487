package incidentstore

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

func ids(found []Incident) []string {
	out := []string{}
	for _, i := range found {
		out = append(out, i.ID)
	}
	return out
}

func TestIncidents(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		one, two, three := incident(1, 0), incident(2, 10), incident(3, 20)
		two.Status, two.Severity, two.Title, two.Fingerprint = semconv.StatusResolved, semconv.SeverityCritical, "Ärger with 100 % of disks", "f-2"
		two.Causes[0].Kind, two.Causes[0].Entity.Name, two.Impact.Services = semconv.CauseDisk, "shop/search", []string{"shop/search", "shop/frontend"}
		three.DetectedAt, three.Causes, three.Impact.Services = two.DetectedAt, nil, nil
		record(t, s, opened(three), opened(one), opened(two))
		require.NoError(t, s.Acknowledge(t.Context(), "i-1", Acknowledgment{By: "ann", At: at(1)}))
		for _, c := range []struct {
			name string
			f    IncidentFilter
			want []string
		}{
			{"all, newest first, of the same time the latest recorded", IncidentFilter{}, []string{"i-2", "i-3", "i-1"}},
			{"status", IncidentFilter{Status: semconv.StatusOpen}, []string{"i-3", "i-1"}},
			{"severity", IncidentFilter{Severity: semconv.SeverityCritical}, []string{"i-2"}},
			{"cause kind", IncidentFilter{CauseKind: semconv.CauseMemory}, []string{"i-1"}},
			{"no cause", IncidentFilter{CauseKind: semconv.CauseUnknown}, []string{"i-3"}},
			{"fingerprint", IncidentFilter{Fingerprint: "f-1"}, []string{"i-3", "i-1"}},
			{"service", IncidentFilter{Service: "shop/frontend"}, []string{"i-2", "i-1"}},
			{"cause", IncidentFilter{Service: "shop/cart"}, []string{"i-1"}},
			{"text, whatever the case", IncidentFilter{Text: "äRGER"}, []string{"i-2"}},
			{"text is no pattern", IncidentFilter{Text: "0 % o"}, []string{"i-2"}},
			{"text is no pattern", IncidentFilter{Text: "_"}, []string{}},
			{"since", IncidentFilter{Since: at(10)}, []string{"i-2", "i-3"}},
			{"until", IncidentFilter{Until: at(10)}, []string{"i-1"}},
			{"acknowledged", IncidentFilter{Acknowledged: ptr(true)}, []string{"i-1"}},
			{"not acknowledged", IncidentFilter{Acknowledged: ptr(false)}, []string{"i-2", "i-3"}},
			{"service and status", IncidentFilter{Service: "shop/frontend", Status: semconv.StatusOpen}, []string{"i-1"}},
			{"all at once", IncidentFilter{
				Status: semconv.StatusOpen, Severity: semconv.SeverityMajor, CauseKind: semconv.CauseMemory, Fingerprint: "f-1", Service: "shop/cart",
				Text: "memory", Since: at(-1), Until: at(1), Acknowledged: ptr(true),
			}, []string{"i-1"}},
		} {
			found, next, err := s.Incidents(t.Context(), c.f, Page{Limit: 10})
			require.NoError(t, err, c.name)
			assert.Empty(t, next, c.name)
			assert.Equal(t, c.want, ids(found), c.name)
		}
		found, _, err := s.Incidents(t.Context(), IncidentFilter{Fingerprint: "f-1"}, Page{Limit: 10})
		require.NoError(t, err)
		want := one
		want.Timeline, want.Changes = []eventdata.TimelineEntry{}, []eventdata.Change{}
		want.Causes[0].Evidence = []eventdata.Evidence{}
		assert.Equal(t, want, found[1].Incident, "lists are brief")
		assert.Equal(t, &Acknowledgment{By: "ann", At: at(1)}, found[1].Acknowledgment)
		assert.Equal(t, []int{1, 2}, []int{found[0].Occurrence, found[1].Occurrence}, "in the order in which they were recorded")
	})
}

func TestPages(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		const count = 23
		var want []string
		var all []Record
		for n := range count {
			// Two at a time at the same moment.
			all = append(all, opened(incident(n, n/2)), intent(n, "i-1", 1, playbook.Awaiting, n), delivery(n, "i-1", DeliveryQueued, n))
			want = append([]string{fmt.Sprintf("i-%d", n)}, want...)
		}
		record(t, s, all...)
		for _, f := range []IncidentFilter{{}, {Service: "shop/cart"}, {Status: semconv.StatusOpen, Text: "memory"}} {
			var got []string
			for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
				found, next, err := s.Incidents(t.Context(), f, Page{Limit: 4, Cursor: cursor})
				require.NoError(t, err)
				require.Less(t, pages, count)
				got, cursor = append(got, ids(found)...), next
			}
			assert.Equal(t, want, got)
		}
		var intents, deliveries int
		for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
			found, next, err := s.Intents(t.Context(), IntentFilter{}, Page{Limit: 5, Cursor: cursor})
			require.NoError(t, err)
			intents, cursor = intents+len(found), next
		}
		for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
			found, next, err := s.Deliveries(t.Context(), DeliveryFilter{}, Page{Limit: 5, Cursor: cursor})
			require.NoError(t, err)
			deliveries, cursor = deliveries+len(found), next
		}
		assert.Equal(t, []int{count, count}, []int{intents, deliveries})
		_, _, err := s.Incidents(t.Context(), IncidentFilter{}, Page{Limit: 1, Cursor: "mine"})
		require.ErrorIs(t, err, ErrBadCursor)
		_, _, err = s.Intents(t.Context(), IntentFilter{}, Page{Limit: 1, Cursor: "mine"})
		require.ErrorIs(t, err, ErrBadCursor)
		found, next, err := s.Incidents(t.Context(), IncidentFilter{}, Page{})
		require.NoError(t, err)
		assert.Len(t, found, 1, "at least one")
		assert.NotEmpty(t, next)
	})
}

// TestManyTitles finds a text in more titles than are looked for by number.
func TestManyTitles(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		var all []Record
		for n := range maxTitles + 5 {
			all = append(all, opened(eventdata.Incident{
				ID: fmt.Sprintf("i-%d", n), Revision: 1, DetectedAt: ptr(at(n)), Severity: semconv.SeverityMajor, Title: fmt.Sprintf("number %d", n),
			}))
		}
		record(t, s, all...)
		found, _, err := s.Incidents(t.Context(), IncidentFilter{Text: "number"}, Page{Limit: 1000})
		require.NoError(t, err)
		assert.Len(t, found, maxTitles+5)
		found, _, err = s.Incidents(t.Context(), IncidentFilter{Text: "number 50", Severity: semconv.SeverityMajor}, Page{Limit: 1000})
		require.NoError(t, err)
		assert.Equal(t, []string{"i-504", "i-503", "i-502", "i-501", "i-500", "i-50"}, ids(found))
	})
}

func TestTimeline(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t, func(s *Settings) { s.MaxHistory = 6 })
		asked := intent(1, "i-1", 1, playbook.Awaiting, 2)
		asked.Intent.Approvals = []Approval{{By: "ann", Verdict: semconv.ApprovalGranted, At: at(3), Comment: "go"}}
		record(t, s, opened(incident(1, 0)), asked, asked, delivery(1, "i-1", DeliveryQueued, 1), delivery(1, "i-1", DeliveryDelivered, 4))
		require.NoError(t, s.Acknowledge(t.Context(), "i-1", Acknowledgment{By: "bob", At: at(5), Comment: "mine"}))
		entries, err := s.Timeline(t.Context(), "i-1", 100)
		require.NoError(t, err)
		var got []string
		for _, e := range entries {
			got = append(got, fmt.Sprintf("%d %s %s %s", int(e.At.Sub(base).Minutes()), e.Kind, e.Actor, e.Text))
		}
		assert.Equal(t, []string{
			"-5 change  shop/cart: release 1.2",
			"-1 evidence  shop/cart: memory is 12 times its normal spread",
			"0 incident  symptom found",
			"0 incident  opened, major: Memory of shop/cart, number 1; likeliest cause memory of shop/cart (90 %)",
			"2 intent  restart: rollout_restart deployment/cart awaiting_approval",
			"3 approval ann granted: go",
			"4 delivery  incident.opened to chat: delivered",
			"5 acknowledgment bob acknowledged: mine",
		}, got)
		entries, err = s.Timeline(t.Context(), "i-1", 2)
		require.NoError(t, err)
		assert.Len(t, entries, 2)
		for n := range 20 {
			record(t, s, delivery(n, "i-1", DeliveryDead, 10+n))
		}
		entries, err = s.Timeline(t.Context(), "i-1", 100)
		require.NoError(t, err)
		assert.Len(t, entries, 3+6, "how it began, and the newest")
		assert.Equal(t, at(29), entries[8].At)
		_, err = s.Timeline(t.Context(), "i-9", 1)
		require.ErrorIs(t, err, ErrNotFound)
	})
}

func TestSimilar(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t)
		same, other, far, later := incident(1, 0), incident(2, 10), incident(3, 20), incident(5, 40)
		same.Status, same.Resolution = semconv.StatusResolved, semconv.ResolutionRecovered
		other.Causes[0].Kind, other.Causes[0].Evidence = semconv.CauseErrors, nil
		far.Causes = []eventdata.Cause{{Entity: eventdata.Entity{Type: semconv.EntityDatabase, Name: "orders"}, Kind: semconv.CauseDisk}}
		far.Impact.Services, far.EntryPoints = []string{"shop/orders"}, nil
		record(t, s, opened(same), opened(other), opened(far), opened(incident(4, 30)), opened(later),
			intent(1, "i-1", 1, playbook.Succeeded, 1), intent(2, "i-1", 1, playbook.Skipped, 1))
		require.NoError(t, s.GiveFeedback(t.Context(), "i-1", Feedback{By: "ann", At: at(5), Verdict: FeedbackRightCause}))
		found, err := s.Similar(t.Context(), "i-4", 10)
		require.NoError(t, err)
		require.Len(t, found, 2, "neither itself, nor later ones, nor what has nothing in common")
		first := found[0]
		assert.Equal(t, "i-1", first.ID)
		assert.InDelta(t, 1, first.Score, 1e-9)
		assert.Equal(t, []SimilarAction{{Playbook: "restart", Action: "rollout_restart", Target: "deployment/cart", Outcome: "succeeded"}}, first.Actions)
		assert.Equal(t, []FeedbackVerdict{FeedbackRightCause}, first.Feedback)
		assert.Equal(t, semconv.ResolutionRecovered, first.Resolution)
		assert.Equal(t, semconv.CauseMemory, first.Cause.Kind)
		assert.Contains(t, first.Why[0], "the same cause, in the same kind of trouble")
		assert.Equal(t, "i-2", found[1].ID)
		assert.Less(t, found[1].Score, 0.9)
		found, err = s.Similar(t.Context(), "i-4", 1)
		require.NoError(t, err)
		assert.Len(t, found, 1)
		_, err = s.Similar(t.Context(), "i-9", 1)
		require.ErrorIs(t, err, ErrNotFound)

		// What it was known by before still counts, how far it reached does not.
		renamed := incident(1, 0)
		renamed.Revision, renamed.Causes = 2, far.Causes
		record(t, s, opened(renamed))
		found, err = s.Similar(t.Context(), "i-4", 10)
		require.NoError(t, err)
		assert.Contains(t, []string{found[0].ID, found[1].ID}, "i-1")
	})
}

func TestChanges(t *testing.T) {
	both(t, func(t *testing.T, d *database) {
		s := d.open(t, func(s *Settings) { s.MaxChanges = 2 })
		now, err := s.Changes(t.Context(), -1, 10)
		require.NoError(t, err)
		require.Len(t, now, 1)
		assert.Zero(t, now[0].Number)
		waiting := make(chan []Change)
		go func() {
			found, err := s.Changes(t.Context(), now[0].Number, 10)
			assert.NoError(t, err)
			waiting <- found
		}()
		record(t, s, opened(incident(1, 0)), intent(1, "i-1", 1, playbook.Awaiting, 1))
		found := <-waiting
		require.Len(t, found, 2)
		assert.Equal(t, []string{"incident i-1 i-1", "intent n-1 i-1"}, []string{found[0].text(), found[1].text()})
		record(t, s, opened(incident(1, 0)))
		record(t, s, delivery(1, "", DeliveryDead, 1), opened(incident(2, 0)))
		require.NoError(t, s.Prune(t.Context()))
		rest, err := s.Changes(t.Context(), found[0].Number, 10)
		require.NoError(t, err)
		require.Len(t, rest, 3)
		assert.Equal(t, Change{Number: found[1].Number, Kind: ChangesLost}, rest[0])
		assert.Equal(t, []string{"delivery d-1 ", "incident i-2 i-2"}, []string{rest[1].text(), rest[2].text()})
		newest, err := s.Changes(t.Context(), -1, 10)
		require.NoError(t, err)
		assert.Equal(t, rest[2], newest[0])

		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err = s.Changes(ctx, newest[0].Number, 10)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func (c Change) text() string { return c.Kind + " " + c.ID + " " + c.Incident }

func FuzzCursor(f *testing.F) {
	f.Add(cursor{1, 2}.String())
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseCursor(s)
		if err == nil && c.String() != s {
			t.Fatalf("%q is read as %v, which is written %q", s, c, c.String())
		}
	})
}

func FuzzStored(f *testing.F) {
	doc, err := encode(incident(1, 0))
	require.NoError(f, err)
	f.Add(doc, []byte("12345678"))
	f.Add(`{"causes":[{}]}`, []byte("1"))
	f.Fuzz(func(t *testing.T, doc string, features []byte) {
		inc, err := decodeIncident(doc)
		if err == nil {
			if fitted, _, ok := fit(inc, 8<<10); ok && len(fitted.doc) > 8<<10 {
				t.Fatalf("a document of %d bytes", len(fitted.doc))
			}
			featuresOf(inc)
		}
		if got := encodeFeatures(decodeFeatures(features)); string(got) != string(features[:len(features)/8*8]) {
			t.Fatal("features are not read back")
		}
	})
}
