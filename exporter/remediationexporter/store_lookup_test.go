package remediationexporter

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/semconv"
)

// similarOf returns the past incidents that each event told of.
func similarOf(t *testing.T, r *rig) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, q := range r.hooks["chat"].requests() {
		ev, err := eventdata.Decode(q.body)
		require.NoError(t, err)
		out[q.typ()] = len(ev.Similar)
	}
	return out
}

func aSimilar() incidentstore.Similar {
	return incidentstore.Similar{
		ID: "i-0", Score: 0.9, Why: []string{"same fingerprint"}, Title: "latency of shop/gateway", Severity: semconv.SeverityMajor,
		Cause:    &eventdata.Cause{Entity: eventdata.Entity{Type: semconv.EntityService, Name: "shop/payment"}, Kind: semconv.CauseLatency, Confidence: 0.8},
		Actions:  []incidentstore.SimilarAction{{Playbook: "restart", Action: "restart", Target: "shop/payment", Outcome: "succeeded"}},
		Feedback: []incidentstore.FeedbackVerdict{incidentstore.FeedbackRightCause, incidentstore.FeedbackRightCause},
	}
}

// TestSimilarIncidents tells of the past where people begin or decide, and nowhere else.
func TestSimilarIncidents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.cfg.MaxEventAge = 0
		r.playbook("ask", "chat", func(p *PlaybookConfig) { p.Mode, p.Approval.Within = "approve", 2*time.Minute })
		r.playbook("hint", "chat", func(p *PlaybookConfig) { p.Mode = "suggest" })
		m := r.withStore(newFakeMemory())
		m.similar = []incidentstore.Similar{aSimilar(), aSimilar(), aSimilar(), aSimilar()}
		r.cfg.Store.SimilarIncidents = 2
		r.start()
		r.must(opened("i-1"))
		r.must(updated("i-1", 2, time.Second))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		got := similarOf(t, r)
		assert.Equal(t, 2, got["incident.opened.v1"])
		assert.Equal(t, 2, got["remediation.approval_requested.v1"])
		assert.Zero(t, got["incident.updated.v1"])
		assert.Equal(t, 2, got["remediation.escalated.v1"])
		assert.Zero(t, got["remediation.expired.v1"])
		ev, err := eventdata.Decode(r.hooks["chat"].requests()[0].body)
		require.NoError(t, err)
		s := ev.Similar[0]
		assert.Equal(t, "i-0", s.ID)
		assert.Equal(t, []string{"right_cause"}, s.Feedback)
		assert.Equal(t, "succeeded", s.Actions[0].Outcome)
		assert.Equal(t, "shop/payment", s.Cause.Entity.Name)
		r.stop()
	})
}

// TestSlowStoreDelaysNothing decides without the past when the store does not answer in time, and does not ask again for a while.
func TestSlowStoreDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.cfg.MaxEventAge = 0
		r.playbook("restart", "chat", nil)
		m := r.withStore(newFakeMemory())
		m.similar, m.slow = []incidentstore.Similar{aSimilar()}, time.Hour
		r.cfg.Store.LookupTimeout = 200 * time.Millisecond
		r.start()
		start := time.Now()
		r.must(opened("i-1"))
		assert.Equal(t, 200*time.Millisecond, time.Since(start))
		r.must(opened("i-2"))
		assert.Equal(t, 200*time.Millisecond, time.Since(start), "not again")
		synctest.Wait()
		assert.Len(t, actions(r.hooks["chat"]), 1)
		assert.Zero(t, similarOf(t, r)["incident.opened.v1"])
		assert.Equal(t, int64(1), r.sum("store_errors", "lookup"))
		m.set(func() { m.slow = 0 })
		time.Sleep(time.Minute)
		r.must(opened("i-3"))
		synctest.Wait()
		assert.Equal(t, 1, similarOf(t, r)["incident.opened.v1"])
		r.stop()
	})
}

// TestCautionAfterAFalseAlarm asks people when they had called such an incident a false alarm of late.
func TestCautionAfterAFalseAlarm(t *testing.T) {
	feedback := func(ago time.Duration, verdict incidentstore.FeedbackVerdict) incidentstore.Feedback {
		return incidentstore.Feedback{By: "ann", At: time.Now().Add(-ago), Verdict: verdict}
	}
	for name, tc := range map[string]struct {
		feedback func() []incidentstore.Feedback
		edit     func(*StoreConfig)
		want     string
	}{
		"none":        {func() []incidentstore.Feedback { return nil }, nil, "started"},
		"false alarm": {func() []incidentstore.Feedback { return []incidentstore.Feedback{feedback(time.Hour, "false_alarm")} }, nil, "awaiting_approval/caution"},
		"wrong cause": {func() []incidentstore.Feedback { return []incidentstore.Feedback{feedback(time.Hour, "wrong_cause")} }, nil, "awaiting_approval/caution"},
		"long ago": {func() []incidentstore.Feedback {
			return []incidentstore.Feedback{feedback(1000*time.Hour, "false_alarm")}
		}, nil, "started"},
		"right since": {func() []incidentstore.Feedback {
			return []incidentstore.Feedback{feedback(time.Hour, "right_cause"), feedback(2*time.Hour, "false_alarm")}
		}, nil, "started"},
		"off": {
			func() []incidentstore.Feedback { return []incidentstore.Feedback{feedback(time.Hour, "false_alarm")} },
			func(c *StoreConfig) { c.Caution = 0 }, "started",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "chat")
				r.cfg.MaxEventAge = 0
				if tc.edit != nil {
					tc.edit(&r.cfg.Store)
				}
				r.playbook("restart", "chat", nil)
				m := r.withStore(newFakeMemory())
				old := incidentstore.Incident{Feedback: tc.feedback()}
				old.ID = "i-0"
				m.past = []incidentstore.Incident{{}, old}
				m.past[0].ID = "i-1"
				if name == "false alarm" { // a list may leave feedback out
					m.past[1].Feedback = nil
					m.found["i-0"] = &old
				}
				r.start()
				r.must(opened("i-1"))
				assert.Equal(t, tc.want, r.audit()[0])
				synctest.Wait()
				if tc.want != "started" {
					body := string(r.hooks["chat"].requests()[1].body)
					assert.Contains(t, body, "since ann called incident i-0, of the same fingerprint,")
				}
				r.stop()
			})
		})
	}
}

// TestPastFitsTheSmallestEvent drops the past before the incident does not fit.
func TestPastFitsTheSmallestEvent(t *testing.T) {
	long := make([]byte, 4000)
	for i := range long {
		long[i] = 1 // is written as six bytes
	}
	s := aSimilar()
	s.Title, s.ID = string(long), string(long)
	s.Why = []string{string(long), string(long), string(long), string(long), string(long)}
	s.Actions = []incidentstore.SimilarAction{{Playbook: string(long), Action: string(long), Target: string(long), Outcome: string(long)}, {}, {}, {}, {}}
	past := newSimilar(&s)
	assert.Len(t, past.Why, maxSimilarDetails)
	assert.Len(t, past.Actions, maxSimilarDetails)
	e := opened("i-1")
	d := delivery{Type: semconv.EventTypeIncidentOpened}
	d.ID = "e-1"
	x := &remediationExporter{cfg: createDefaultConfig().(*Config)}
	body, truncated, err := shorten(x.envelope(d, t0, &e.Incident), &eventdata.Data{Similar: []eventdata.Similar{past, past, past}}, &e.Incident, minBodySize)
	require.NoError(t, err)
	assert.True(t, truncated)
	assert.LessOrEqual(t, len(body), minBodySize)
	assert.True(t, json.Valid(body))
}
