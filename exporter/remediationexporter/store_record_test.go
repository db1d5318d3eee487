package remediationexporter

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// TestRecords follows an incident with its action: everything that happens is recorded, in the order in which it did.
func TestRecords(t *testing.T) {
	for _, durable := range []bool{false, true} {
		t.Run(fmt.Sprint("durable ", durable), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "chat")
				r.cfg.MaxEventAge = 0
				r.editHook("chat", func(h *WebhookConfig) { h.Events = []Event{"incident.opened", "incident.resolved"} })
				r.playbook("restart", "chat", nil)
				m := r.withStore(newFakeMemory())
				if durable {
					r.durable(&memoryStorage{data: map[string][]byte{}})
				}
				r.start()
				r.must(opened("i-1"))
				synctest.Wait()
				r.must(resolved("i-1", 2, time.Minute))
				synctest.Wait()
				want := []string{
					"incident.opened i-1/1", "delivery queued to chat", "delivery queued to chat", "intent started", "audit remediation.decision",
					"delivery delivered to chat", "audit remediation.decision", "delivery delivered to chat",
					"intent accepted", "incident.resolved i-1/2", "delivery queued to chat", "intent succeeded", "delivery delivered to chat",
				}
				assert.ElementsMatch(t, append(want, "audit remediation.decision"), m.stored())
				assert.Equal(t, "incident.opened i-1/1", m.stored()[0])
				first := m.intents()[0]
				assert.Equal(t, "i-1", first.Incident)
				assert.False(t, first.Ended)
				last := m.intents()[2]
				assert.True(t, last.Ended)
				assert.Zero(t, last.Needed)
				assert.Equal(t, first.Remediation.Intent, last.Remediation.Intent)
				assert.Equal(t, int64(len(m.stored())), r.sum("recorded_records"))
				assert.Zero(t, r.sum("queued_records"))
				assert.Zero(t, m.twice-1, "the past of the incident was looked up once, which records it")
				r.stop()
				for _, rec := range m.records {
					b, err := json.Marshal(rec)
					require.NoError(t, err)
					back, err := decodeRecord(b)
					require.NoError(t, err)
					assert.Equal(t, rec.ID, back.ID)
				}
			})
		})
	}
}

// TestRecordsOfPeople tells who approved what, whence and why, and how many are needed.
func TestRecordsOfPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.cfg.MaxEventAge = 0
		r.playbook("restart", "chat", func(p *PlaybookConfig) { p.Mode, p.Approval.Approvers = "approve", 2 })
		m := r.withStore(newFakeMemory())
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		asked := m.intents()[0]
		assert.Equal(t, string(playbook.Awaiting), asked.Remediation.Outcome)
		assert.Equal(t, 2, asked.Needed)
		intent := asked.Remediation.Intent
		for _, by := range []string{"ann", "bob"} {
			_, err := r.exporter().take(t.Context(), word{intent: intent, verdict: semconv.ApprovalGranted, by: by, comment: "of course", source: "link"})
			require.NoError(t, err)
		}
		synctest.Wait()
		intents := m.intents()
		assert.Equal(t, []incidentstore.Approval{
			{By: "ann", Verdict: semconv.ApprovalGranted, At: intents[1].Approvals[0].At, Comment: "of course", Source: "link"},
		}, intents[1].Approvals)
		assert.Len(t, intents[2].Approvals, 2)
		assert.Equal(t, "started", intents[2].Remediation.Outcome)

		r.must(on(opened("i-2"), "shop/cart"))
		synctest.Wait()
		intents = m.intents()
		intent = intents[len(intents)-1].Remediation.Intent
		_, err := r.exporter().take(t.Context(), word{intent: intent, verdict: semconv.ApprovalDenied, by: "cat", source: "api"})
		require.NoError(t, err)
		synctest.Wait()
		intents = m.intents()
		last := intents[len(intents)-1]
		assert.True(t, last.Ended)
		require.Len(t, last.Approvals, 1)
		assert.Equal(t, semconv.ApprovalDenied, last.Approvals[0].Verdict)
		assert.Equal(t, "cat", last.Approvals[0].By)
		r.stop()
	})
}

// TestRecordsOfDeadLetters tells what was given up, and what became of it.
func TestRecordsOfDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.editHook("chat", func(h *WebhookConfig) { h.Events = []Event{"incident.opened"} })
		r.cfg.DeadLetters.MaxAge = time.Minute
		m := r.withStore(newFakeMemory())
		r.hooks["chat"].status(http.StatusBadRequest, "no")
		r.start()
		r.must(opened("i-1"))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		var states []incidentstore.DeliveryRecord
		for _, rec := range m.records {
			if rec.Delivery != nil {
				states = append(states, *rec.Delivery)
			}
		}
		require.Len(t, states, 3)
		assert.Equal(t, incidentstore.DeliveryQueued, states[0].State)
		assert.Equal(t, incidentstore.DeliveryDead, states[1].State)
		assert.Equal(t, lostRefused, states[1].Reason)
		assert.Contains(t, states[1].Detail, "answered 400")
		assert.Equal(t, incidentstore.DeliveryDropped, states[2].State)
		assert.Equal(t, states[0].ID, states[2].ID)
		assert.Equal(t, "i-1", states[0].Incident)
		r.stop()
	})
}

// TestRecordsWaitForTheStore goes on deciding while the store is away, and records everything once when it is back, also over a
// restart.
func TestRecordsWaitForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.cfg.MaxEventAge = 0
		r.editHook("chat", only)
		r.playbook("restart", "chat", nil)
		m := r.withStore(newFakeMemory())
		m.fail = errAway
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		assert.Len(t, actions(r.hooks["chat"]), 1, "decisions go on")
		time.Sleep(time.Minute)
		waiting := r.sum("queued_records")
		assert.Positive(t, waiting)
		assert.Positive(t, r.sum("store_errors", "record"))
		assert.Equal(t, 1, r.logs.FilterMessage("the incident store does not answer, and is asked again").FilterField(zap.String("call", storeRecord)).Len(), "told once")
		r.stop()

		n := again(r, r.disk)
		n.withStore(m)
		m.set(func() { m.fail = nil })
		n.start()
		synctest.Wait()
		assert.GreaterOrEqual(t, int64(len(m.stored())), waiting)
		assert.Equal(t, "incident.opened i-1/1", m.stored()[0])
		assert.Zero(t, m.twice)
		assert.Zero(t, n.sum("queued_records"))
		n.stop()
		for key := range r.disk.data {
			assert.False(t, strings.HasPrefix(key, "record/"), key)
		}
	})
}

// TestRecordsAreBounded drops the oldest, counts them, and never holds a decision up.
func TestRecordsAreBounded(t *testing.T) {
	for name, edit := range map[string]func(*StoreConfig){
		"by number": func(c *StoreConfig) { c.QueueSize = 100 },
		"by bytes":  func(c *StoreConfig) { c.QueueBytes = 200 << 10 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				edit(&r.cfg.Store)
				m := r.withStore(newFakeMemory())
				m.fail = errAway
				r.durable(&memoryStorage{data: map[string][]byte{}})
				r.start()
				for i := range 250 {
					r.must(opened(fmt.Sprintf("i-%d", i)))
				}
				synctest.Wait()
				dropped := r.sum("unrecorded_records", "full")
				kept := r.sum("queued_records")
				assert.Equal(t, int64(250), dropped+kept)
				assert.Less(t, kept, int64(250))
				m.set(func() { m.fail = nil })
				time.Sleep(time.Minute)
				synctest.Wait()
				stored := m.stored()
				assert.Equal(t, "incident.opened i-249/1", stored[len(stored)-1])
				assert.Len(t, stored, int(kept))
				r.stop()
			})
		})
	}
}

// TestRefusedRecord holds up no other.
func TestRefusedRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		m := r.withStore(newFakeMemory())
		r.cfg.Store.SimilarIncidents, r.cfg.Store.Caution = 0, 0
		m.refuse = func(rec *incidentstore.Record) error {
			if rec.Incident != nil && rec.Incident.Incident.ID == "i-3" {
				return errors.New("cannot be stored")
			}
			return nil
		}
		r.start()
		for i := range 10 {
			r.must(opened(fmt.Sprintf("i-%d", i)))
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		assert.Len(t, m.stored(), 9)
		assert.Equal(t, int64(1), r.sum("unrecorded_records", "refused"))
		r.stop()
	})
}

// TestStandbyRecordsNoIntent leaves to the leader what becomes of intents, and records the incident as the leader does.
func TestStandbyRecordsNoIntent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.cfg.MaxEventAge = 0
		r.playbook("restart", "chat", nil)
		m := r.withStore(newFakeMemory())
		elector := r.elected()
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		assert.ElementsMatch(t, []string{"incident.opened i-1/1", "audit remediation.leadership", "audit remediation.decision"}, m.stored())
		elector.start(t.Context())
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Contains(t, m.stored(), "intent started")
		assert.Contains(t, m.stored(), "delivery delivered to chat")
		r.stop()
	})
}

// TestRecordIsTheSameEverywhere gives what happens to an incident one ID at every replica.
func TestRecordIsTheSameEverywhere(t *testing.T) {
	a, b := opened("i-1"), opened("i-1")
	assert.Equal(t, incidentRecord(&a), incidentRecord(&b))
	c, d := updated("i-1", 2, 0), opened("i-11")
	ids := map[string]bool{incidentRecord(&a).ID: true, incidentRecord(&c).ID: true, incidentRecord(&d).ID: true}
	assert.Len(t, ids, 3)
	assert.NotEqual(t, recordID("k", "ab", "c"), recordID("k", "a", "bc"))
}

// TestLargeIncidentIsShortened keeps records within their bound.
func TestLargeIncidentIsShortened(t *testing.T) {
	e := opened("i-1")
	for i := range 20_000 {
		e.Incident.Timeline = append(e.Incident.Timeline, semconv.TimelineEntry{Time: t0, Text: fmt.Sprint("line ", i)})
	}
	b, err := json.Marshal(incidentRecord(&e))
	require.NoError(t, err)
	assert.LessOrEqual(t, len(b), maxRecordBytes)
}

// FuzzDecodeRecord reads anything that storage may hold: what it takes has an ID and one subject, and can be written again.
func FuzzDecodeRecord(f *testing.F) {
	e := opened("i-1")
	whole, _ := json.Marshal(incidentRecord(&e))
	f.Add(whole)
	f.Add([]byte(`{"id":"a","at":"2026-03-01T10:00:00Z","intent":{"incident":"i","remediation":{"intent":"n"}}}`))
	f.Add([]byte(`{"id":"a","audit":{"kind":"k"},"delivery":{"id":"d"}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			return // a time that JSON cannot hold
		}
		if _, err := decodeRecord(again); err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
	})
}

// TestBrokenQueueOfRecords goes on with what can be read.
func TestBrokenQueueOfRecords(t *testing.T) {
	for name, breakIt := range map[string]func(map[string][]byte){
		"one record": func(d map[string][]byte) { d["record/0"] = []byte("{") },
		"a gap":      func(d map[string][]byte) { delete(d, "record/0") },
		"the bounds": func(d map[string][]byte) { d[recordsKey] = []byte(`{"version":1,"first":9,"end":2}`) },
		"its pause":  func(d map[string][]byte) { d[ordersKey] = []byte(`[`) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				m := r.withStore(newFakeMemory())
				m.fail = errAway
				r.durable(&memoryStorage{data: map[string][]byte{}})
				r.start()
				r.must(opened("i-1"), opened("i-2"))
				r.stop()
				breakIt(r.disk.data)
				n := again(r, r.disk)
				n.withStore(m)
				m.set(func() { m.fail = nil })
				n.start()
				n.must(opened("i-3"))
				synctest.Wait()
				assert.Contains(t, m.stored(), "incident.opened i-3/1")
				if name == "one record" || name == "a gap" {
					assert.Contains(t, m.stored(), "incident.opened i-2/1")
					assert.Equal(t, int64(1), n.sum("unrecorded_records", "unreadable"))
				}
				assert.Positive(t, n.sum("storage_errors"))
				n.stop()
			})
		})
	}
}

// TestUndoneDecisionIsNotRecorded keeps what could not be stored out of the records.
func TestUndoneDecisionIsNotRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.cfg.Store.SimilarIncidents, r.cfg.Store.Caution = 0, 0
		m := r.withStore(newFakeMemory())
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.start()
		r.disk.setFail(true)
		require.Error(t, r.consume(opened("i-1")))
		r.disk.setFail(false)
		synctest.Wait()
		assert.Empty(t, m.stored())
		r.must(opened("i-1"))
		synctest.Wait()
		assert.Equal(t, []string{"incident.opened i-1/1"}, m.stored())
		r.stop()
	})
}
