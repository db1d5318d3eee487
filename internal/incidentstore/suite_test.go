package incidentstore

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// base is when the tests begin.
var base = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// database is an empty database, which may be opened several times.
type database struct {
	settings Settings
	// ahead is by how much its clock is ahead.
	ahead *atomic.Int64
}

// open opens it once more.
func (d *database) open(t testing.TB, change ...func(*Settings)) *Store {
	t.Helper()
	set := d.settings
	for _, c := range change {
		c(&set)
	}
	s, err := Open(t.Context(), set)
	require.NoError(t, err)
	s.ahead = d.ahead
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// later moves the clock on.
func (d *database) later(by time.Duration) { d.ahead.Add(int64(by)) }

func sqliteDatabase(t testing.TB) *database {
	set := DefaultSettings()
	set.Path = filepath.Join(t.TempDir(), "store ?#%.db")
	set.Now = func() time.Time { return base }
	return &database{settings: set, ahead: &atomic.Int64{}}
}

// both runs a test on both databases, next to others: most of the time of each is spent waiting for a disk.
func both(t *testing.T, test func(t *testing.T, d *database)) {
	t.Helper()
	t.Parallel()
	for name, empty := range map[string]func(testing.TB) *database{"sqlite": sqliteDatabase, "postgresql": postgresDatabase} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, empty(t))
		})
	}
}

func ptr[T any](v T) *T { return &v }

func at(minutes int) time.Time { return base.Add(time.Duration(minutes) * time.Minute) }

// incident is one that was detected so many minutes after the base.
func incident(n, minute int) eventdata.Incident {
	cart := eventdata.Entity{Type: semconv.EntityService, Name: "shop/cart"}
	return eventdata.Incident{
		ID: fmt.Sprintf("i-%d", n), Revision: 1, Fingerprint: "f-1", Status: semconv.StatusOpen, Severity: semconv.SeverityMajor,
		StartedAt: ptr(at(minute - 1)), DetectedAt: ptr(at(minute)), Title: fmt.Sprintf("Memory of shop/cart, number %d", n),
		Causes: []eventdata.Cause{
			{
				Entity: cart, Kind: semconv.CauseMemory, Confidence: 0.9, Share: 0.8, Resource: map[string]string{"k8s.pod.name": "cart-1"},
				Evidence: []eventdata.Evidence{
					{Signal: "container.memory.working_set", Onset: ptr(at(minute - 1)), Deviation: 12, Score: 0.99, Summary: "memory is 12 times its normal spread", Kind: semconv.CauseMemory, TraceIDs: []string{"aa", "bb"}},
					{Signal: "log.record.template", Deviation: 3, Score: 0.8, Summary: "error \"out of memory in 7\" logged 3 times", Entity: &eventdata.Entity{Type: semconv.EntityPod, Name: "shop/cart-1"}},
				},
			},
			{Entity: eventdata.Entity{Type: semconv.EntityService, Name: "shop/frontend"}, Kind: semconv.CauseErrors, Confidence: 0.05, Evidence: []eventdata.Evidence{}},
		},
		EntryPoints: []string{"shop/frontend"}, Impact: eventdata.Impact{Services: []string{"shop/cart", "shop/frontend"}, Ratio: 0.2},
		Timeline: []eventdata.TimelineEntry{{Time: ptr(at(minute)), Text: "symptom found"}},
		Changes:  []eventdata.Change{{Time: ptr(at(minute - 5)), Entity: cart, Summary: "release 1.2", Kind: "version"}},
	}
}

func opened(inc eventdata.Incident) Record {
	event := semconv.EventIncidentUpdated
	switch {
	case inc.Status == semconv.StatusResolved:
		event = semconv.EventIncidentResolved
	case inc.Revision == 1:
		event = semconv.EventIncidentOpened
	}
	return Record{ID: fmt.Sprintf("%s/%d", inc.ID, inc.Revision), At: *inc.DetectedAt, Incident: &IncidentRecord{Event: event, Incident: inc}}
}

func intent(n int, inc string, revision int64, outcome playbook.Outcome, minute int) Record {
	return Record{ID: fmt.Sprintf("n-%d/%d/%s/%d", n, revision, outcome, minute), At: at(minute), Intent: &IntentRecord{
		Incident: inc, Needed: 2, Ended: outcome == playbook.Succeeded,
		Remediation: eventdata.Remediation{
			Intent: fmt.Sprintf("n-%d", n), Playbook: "restart", Action: "rollout_restart", Target: "deployment/cart", Outcome: string(outcome), Revision: revision,
		},
	}}
}

func delivery(n int, inc string, state DeliveryState, minute int) Record {
	return Record{ID: fmt.Sprintf("d-%d/%s/%d", n, state, minute), At: at(minute), Delivery: &DeliveryRecord{
		ID: fmt.Sprintf("d-%d", n), Destination: "chat", Incident: inc, Type: semconv.EventTypeIncidentOpened, State: state,
	}}
}

func audited(n int) Record {
	return Record{ID: fmt.Sprintf("a-%d", n), At: at(n), Audit: &auditchain.Entry{Kind: "remediation.decision", Incident: "i-1", Text: fmt.Sprint("text ", n), Fields: map[string]string{"a": "b"}}}
}

func record(t testing.TB, s *Store, records ...Record) {
	t.Helper()
	require.NoError(t, s.Record(t.Context(), records))
}

func verify(t testing.TB, s *Store) (auditchain.Anchor, uint64) {
	t.Helper()
	head, n, err := s.VerifyAudit(t.Context())
	require.NoError(t, err)
	return head, n
}
