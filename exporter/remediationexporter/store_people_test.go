package remediationexporter

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/playbook"
	"github.com/paramedic-otel/paramedic/semconv"
)

// asking makes a rig whose one playbook asks people, and returns the intent for which it waits.
func asking(t *testing.T, edit func(*rig)) (*rig, *fakeMemory, string) {
	t.Helper()
	r := newRig(t, "chat")
	r.cfg.MaxEventAge = 0
	r.playbook("restart", "chat", func(p *PlaybookConfig) { p.Mode = "approve" })
	m := r.withStore(newFakeMemory())
	if edit != nil {
		edit(r)
	}
	r.start()
	r.must(opened("i-1"))
	synctest.Wait()
	require.NotEmpty(t, m.intents())
	return r, m, m.intents()[0].Remediation.Intent
}

func yes(intent string) incidentstore.DecideArguments {
	return incidentstore.DecideArguments{Intent: intent, Verdict: semconv.ApprovalGranted, Source: "link", Comment: "go"}
}

// TestCommands carries out what people ask for by the store, at once, and answers as the API would.
func TestCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, m, intent := asking(t, nil)
		defer r.stop()
		r.cfg.API = configoptional.Some(APIConfig{Operators: []string{"olga"}}) // it need not listen for its list to count
		for name, tc := range map[string]struct {
			kind      incidentstore.CommandKind
			by        string
			arguments any
			status    int
			code      string
		}{
			"unknown intent":      {incidentstore.CommandDecide, "ann", yes("00000000000000000000000000000000"), 404, "unknown_intent"},
			"no intent":           {incidentstore.CommandDecide, "ann", yes("x"), 400, "intent"},
			"no verdict":          {incidentstore.CommandDecide, "ann", incidentstore.DecideArguments{Intent: intent}, 400, "verdict"},
			"another plan":        {incidentstore.CommandDecide, "ann", incidentstore.DecideArguments{Intent: intent, Verdict: "approve", PlanDigest: "x"}, 409, "plan_changed"},
			"nobody":              {incidentstore.CommandDecide, "", yes(intent), 403, "identity"},
			"other arguments":     {incidentstore.CommandDecide, "ann", map[string]int{"x": 1}, 400, "body"},
			"unknown kind":        {"dance", "ann", struct{}{}, 400, "kind"},
			"nothing to undo":     {incidentstore.CommandUndo, "ann", incidentstore.UndoArguments{Intent: intent}, 409, "nothing_to_undo"},
			"no such breaker":     {incidentstore.CommandResetBreaker, "olga", incidentstore.ResetBreakerArguments{Guard: "x", Key: "y"}, 404, "unknown_breaker"},
			"no operator":         {incidentstore.CommandResetBreaker, "ann", incidentstore.ResetBreakerArguments{Guard: "x", Key: "y"}, 403, "operator"},
			"unknown destination": {incidentstore.CommandReplay, "olga", incidentstore.ReplayArguments{Destination: "x"}, 404, "unknown_webhook"},
			"ids and destination": {incidentstore.CommandReplay, "olga", incidentstore.ReplayArguments{Destination: "chat", IDs: []string{"a"}}, 400, "replay"},
			"nothing is replayed": {incidentstore.CommandReplay, "olga", incidentstore.ReplayArguments{}, 200, ""},
			"replay of no letter": {incidentstore.CommandReplay, "olga", incidentstore.ReplayArguments{IDs: []string{"a"}}, 200, ""},
		} {
			if d, ok := tc.arguments.(incidentstore.DecideArguments); ok && d.Verdict == "approve" {
				d.Verdict = semconv.ApprovalGranted
				tc.arguments = d
			}
			c := m.submit(tc.kind, tc.by, tc.arguments)
			synctest.Wait()
			got := m.command(c)
			assert.Equal(t, tc.status, got.Status, name+": "+got.Message)
			assert.Equal(t, tc.code, got.Code, name)
			if tc.status != 200 {
				assert.Equal(t, incidentstore.CommandRefused, got.State, name)
				assert.NotEmpty(t, got.Message, name)
			}
		}
		c := m.submit(incidentstore.CommandDecide, "ann", yes(intent))
		synctest.Wait()
		got := m.command(c)
		assert.Equal(t, incidentstore.CommandDone, got.State)
		assert.Equal(t, 200, got.Status)
		var view saidView
		require.NoError(t, json.Unmarshal(got.Result, &view))
		assert.Equal(t, intent, view.Intent)
		assert.False(t, view.Repeated)
		assert.Len(t, actions(r.hooks["chat"]), 1)
		assert.Equal(t, int64(3), r.sum("commands", "ok"))
		assert.Contains(t, m.stored(), "audit remediation.call", "refusals are in the audit")
		last := m.intents()[len(m.intents())-1]
		require.Len(t, last.Approvals, 1)
		assert.Equal(t, "link", last.Approvals[0].Source)

		repeated := m.submit(incidentstore.CommandDecide, "ann", yes(intent))
		synctest.Wait()
		require.NoError(t, json.Unmarshal(m.command(repeated).Result, &view))
		assert.True(t, view.Repeated)
		assert.Len(t, actions(r.hooks["chat"]), 1)
	})
}

// TestRepeatedCommand gives a command that is taken once more the answer that was stored with what it did, over a restart too.
func TestRepeatedCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, m, intent := asking(t, func(r *rig) { r.durable(&memoryStorage{data: map[string][]byte{}}) })
		c := m.submit(incidentstore.CommandDecide, "ann", yes(intent))
		synctest.Wait()
		first := m.command(c)
		require.Equal(t, incidentstore.CommandDone, first.State)
		m.set(func() { c.State, m.leases[c.ID] = incidentstore.CommandTaken, time.Time{} }) // its answer was lost
		r.stop()
		n := again(r, r.disk)
		n.withStore(m)
		n.start()
		synctest.Wait()
		assert.Equal(t, first.Result, m.command(c).Result)
		assert.Equal(t, 200, m.command(c).Status)
		assert.Len(t, actions(n.hooks["chat"]), 1, "nothing is done again")
		n.stop()
	})
}

// TestCommandsWaitForTheLeader leaves them to who leads.
func TestCommandsWaitForTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var elector *fakeElector
		r := newRig(t, "chat")
		m := r.withStore(newFakeMemory())
		elector = r.elected()
		r.start()
		synctest.Wait()
		c := m.submit(incidentstore.CommandReplay, "ann", incidentstore.ReplayArguments{})
		time.Sleep(5 * time.Second)
		assert.Equal(t, incidentstore.CommandPending, m.command(c).State)
		elector.start(t.Context())
		synctest.Wait()
		assert.Equal(t, incidentstore.CommandDone, m.command(c).State)
		r.stop()
	})
}

// TestExpiredCommand is not carried out.
func TestExpiredCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, m, intent := asking(t, nil)
		m.set(func() { m.fail = errAway })
		c := m.submit(incidentstore.CommandDecide, "ann", yes(intent))
		time.Sleep(2 * time.Minute)
		m.set(func() { m.fail = nil })
		time.Sleep(time.Second)
		assert.Equal(t, http.StatusGone, m.command(c).Status)
		r.stop()
	})
}

// TestPausedByTheStore pauses every replica, and stays so while the store is away, also over a restart.
func TestPausedByTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.cfg.MaxEventAge = 0
		r.editHook("chat", func(h *WebhookConfig) { h.Events = []Event{"remediation.paused", "remediation.resumed"} })
		r.playbook("restart", "chat", nil)
		m := r.withStore(newFakeMemory())
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.start()
		synctest.Wait()
		m.set(func() {
			m.pause = &incidentstore.Pause{By: "ann", At: time.Now(), Reason: "sale"}
			m.changed("pause", "")
		})
		synctest.Wait()
		r.must(opened("i-1"))
		assert.Equal(t, []string{"skipped/paused"}, r.audit())
		assert.Equal(t, []string{"remediation.paused.v1"}, r.hooks["chat"].types())
		m.set(func() { m.fail = errAway })
		time.Sleep(time.Hour)
		assert.Equal(t, []string{"skipped/paused"}, r.audit(), "the last known state stays")
		r.stop()

		n := again(r, r.disk)
		n.withStore(m)
		n.start()
		time.Sleep(time.Minute)
		assert.Empty(t, n.audit())
		m.set(func() { m.fail, m.pause = nil, nil })
		time.Sleep(time.Minute)
		synctest.Wait()
		require.NotEmpty(t, n.audit())
		assert.Equal(t, "started", n.audit()[0])
		n.stop()
	})
}

// TestPauseEnds ends one by itself, however far away the store is.
func TestPauseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.cfg.MaxEventAge = 0
		r.playbook("restart", "chat", nil)
		m := r.withStore(newFakeMemory())
		m.pause = &incidentstore.Pause{By: "ann", At: time.Now(), Until: time.Now().Add(time.Minute)}
		r.start()
		r.must(opened("i-1"))
		require.Equal(t, []string{"skipped/paused"}, r.audit())
		m.set(func() { m.fail = errAway })
		time.Sleep(2 * time.Minute)
		assert.Contains(t, r.audit(), "started")
		r.stop()
	})
}

func silenced(m *fakeMemory, kind incidentstore.SilenceKind, until time.Duration) {
	m.set(func() {
		m.silences = []incidentstore.Silence{{
			ID: "s-1", Kind: kind, Start: time.Now().Add(-time.Minute), End: time.Now().Add(until), By: "ann", Comment: "upgrade",
			Services: []string{"shop/pay*"},
		}}
		m.changed("silence", "s-1")
	})
	synctest.Wait()
}

// TestSilence does not tell of an incident that people expect, nor of its end; all else goes on, and all of it is recorded.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat", "shop")
		r.cfg.MaxEventAge = 0
		r.editHook("shop", only)
		r.playbook("restart", "shop", nil)
		m := r.withStore(newFakeMemory())
		r.start()
		synctest.Wait()
		silenced(m, incidentstore.SilenceNotifications, time.Hour)
		r.must(opened("i-1"), on(opened("i-2"), "web/cart"))
		synctest.Wait()
		for _, q := range r.hooks["chat"].requests() {
			if inc, ok := q.event["data"].(map[string]any)["incident"].(map[string]any); ok {
				assert.Equal(t, "i-2", inc["id"])
			}
		}
		assert.Len(t, actions(r.hooks["shop"]), 2, "a silence does not stand against acting")
		assert.Positive(t, r.sum("silenced_events"))
		m.mu.Lock()
		for _, rec := range m.records {
			if rec.Incident != nil {
				assert.Equal(t, map[string]string{"i-1": "s-1", "i-2": ""}[rec.Incident.Incident.ID], rec.Incident.Incident.SilencedBy)
			}
		}
		m.mu.Unlock()
		assert.Contains(t, m.stored(), "audit remediation.silence")
		before := len(r.hooks["chat"].requests())
		time.Sleep(2 * time.Hour)
		r.must(resolved("i-1", 2, time.Minute))
		synctest.Wait()
		for _, q := range r.hooks["chat"].requests()[before:] {
			assert.NotEqual(t, "incident.resolved.v1", q.typ(), "who was not told of it is not told of its end")
		}
		r.stop()
	})
}

// TestSilenceOfWhatWasTold tells the end of an incident to whoever was told of it before the silence.
func TestSilenceOfWhatWasTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		m := r.withStore(newFakeMemory())
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		silenced(m, incidentstore.SilenceNotifications, time.Hour)
		r.must(updated("i-1", 2, time.Minute), resolved("i-1", 3, 2*time.Minute))
		synctest.Wait()
		assert.Equal(t, []string{"incident.opened.v1", "incident.resolved.v1"}, r.hooks["chat"].types())
		r.stop()
	})
}

// TestMaintenance holds back what would act on an incident that people expect, and lets it go on afterwards.
func TestMaintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.cfg.MaxEventAge = 0
		r.editHook("shop", only)
		r.playbook("restart", "shop", nil)
		m := r.withStore(newFakeMemory())
		r.start()
		synctest.Wait()
		silenced(m, incidentstore.SilenceMaintenance, time.Hour)
		r.must(opened("i-1"), on(opened("i-2"), "web/cart"))
		synctest.Wait()
		assert.Contains(t, r.audit(), "skipped/silenced")
		require.Len(t, actions(r.hooks["shop"]), 1)
		assert.Equal(t, int64(1), r.sum("skipped_actions", string(playbook.ReasonSilenced)))
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		assert.Len(t, actions(r.hooks["shop"]), 2, "once it is over")
		r.stop()
	})
}

// memoOf returns what is kept with an incident.
func (r *rig) memoOf(id string) memo {
	e := r.exporter()
	e.mu.Lock()
	defer e.mu.Unlock()
	return decodeMemo(e.ledger.Incident(id))
}

// TestAcknowledgment tells those who have the incident open, once, and what it says goes with later messages.
func TestAcknowledgment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat", "late")
		r.editHook("late", func(h *WebhookConfig) { h.Events = []Event{"incident.acknowledged"} })
		m := r.withStore(newFakeMemory())
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		m.set(func() {
			m.found["i-1"] = acknowledgedBy("i-1", "ann", time.Now())
			m.changed("incident", "i-1")
		})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"incident.opened.v1", "incident.acknowledged.v1"}, r.hooks["chat"].types())
		data := r.hooks["chat"].requests()[1].event["data"].(map[string]any)
		assert.Equal(t, "ann", data["acknowledgment"].(map[string]any)["by"])
		assert.Equal(t, "looking", data["acknowledgment"].(map[string]any)["comment"])
		assert.Equal(t, "i-1", data["incident"].(map[string]any)["id"])
		assert.Empty(t, r.hooks["late"].types(), "it was never told of the incident")
		assert.Contains(t, m.stored(), "audit remediation.acknowledgment")
		time.Sleep(time.Minute)
		assert.Len(t, r.hooks["chat"].types(), 2, "once")
		memo := r.memoOf("i-1")
		assert.Equal(t, "ann", memo.Acknowledged)
		r.stop()

		n := again(r, r.disk)
		n.withStore(m)
		n.start()
		m.set(func() { m.found["i-1"].Acknowledgment = nil })
		time.Sleep(time.Minute)
		memo = n.memoOf("i-1")
		assert.Empty(t, memo.Acknowledged, "it was taken back")
		assert.Len(t, n.hooks["chat"].types(), 2)
		n.stop()
	})
}

// TestAcknowledgmentEndsWithTheIncident has an incident come back of which the store still says who had taken it on, whether we had heard
// of that or not.
func TestAcknowledgmentEndsWithTheIncident(t *testing.T) {
	for _, heard := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(t0)) // events are told of when they happen
			r := newRig(t, "chat")
			m := r.withStore(newFakeMemory())
			r.durable(&memoryStorage{data: map[string][]byte{}})
			r.start()
			r.must(opened("i-1"))
			time.Sleep(time.Minute)
			if heard {
				m.set(func() { m.found["i-1"] = acknowledgedBy("i-1", "ann", time.Now()) })
				time.Sleep(2 * time.Second)
				assert.Equal(t, "ann", r.memoOf("i-1").Acknowledged)
			}
			r.must(resolved("i-1", 2, 2*time.Minute))
			m.set(func() { m.found["i-1"] = acknowledgedBy("i-1", "ann", t0.Add(time.Minute)) })
			time.Sleep(2 * time.Minute)
			back := event("i-1", 3, semconv.EventIncidentOpened, 3*time.Minute)
			back.Incident.Reopened = 1
			r.must(back)
			time.Sleep(time.Minute)
			assert.Empty(t, r.memoOf("i-1").Acknowledged, "nobody has taken this on")
			killed := r.disk.copy()
			told := len(r.hooks["chat"].types())
			r.stop()

			n := again(r, killed)
			n.withStore(m)
			n.start()
			time.Sleep(time.Minute)
			assert.Empty(t, n.memoOf("i-1").Acknowledged)
			assert.NotContains(t, r.hooks["chat"].types()[told-1:], "incident.acknowledged.v1")
			m.set(func() { m.found["i-1"] = acknowledgedBy("i-1", "bob", time.Now()) })
			time.Sleep(2 * time.Second)
			synctest.Wait()
			assert.Equal(t, "bob", n.memoOf("i-1").Acknowledged)
			assert.Contains(t, n.hooks["chat"].types(), "incident.acknowledged.v1")
			n.stop()
		})
	}
}

// TestStatusIsReported tells the store how this executor is.
func TestStatusIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		m := r.withStore(newFakeMemory())
		elector := r.elected()
		r.start()
		time.Sleep(6 * time.Second)
		elector.start(t.Context())
		time.Sleep(6 * time.Second)
		m.mu.Lock()
		require.GreaterOrEqual(t, len(m.reports), 3)
		first, last := m.reports[0], m.reports[len(m.reports)-1]
		m.mu.Unlock()
		assert.Equal(t, "one", first.Name)
		assert.False(t, first.Leads)
		assert.True(t, last.Leads)
		var status statusView
		require.NoError(t, json.Unmarshal(last.Status, &status))
		assert.True(t, status.Leading)
		assert.JSONEq(t, `{"breakers":[]}`, string(last.Breakers))
		assert.Contains(t, string(last.Budget), `"budget"`)
		assert.JSONEq(t, `{"outcomes":[]}`, string(last.Outcomes))
		r.stop()
	})
}
