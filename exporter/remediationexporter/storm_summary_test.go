package remediationexporter

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/semconv"
)

// summaries are the summaries that a receiver got.
func summaries(t testing.TB, h *receiver) []eventdata.Storm {
	t.Helper()
	var out []eventdata.Storm
	for _, q := range h.requests() {
		if q.typ() == "incident.storm.v1" {
			var ev struct{ Data eventdata.StormData }
			require.NoError(t, json.Unmarshal(q.body, &ev))
			out = append(out, ev.Data.Storm)
		}
	}
	return out
}

func quiet(n int) func(*WebhookConfig) {
	return func(h *WebhookConfig) { h.MaxEventsPerMinute = n }
}

// TestThousandIncidentsInAMinute is the storm of the design: one cause, one action, and a bounded number of messages.
func TestThousandIncidentsInAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat", "shop")
		r.editHook("chat", quiet(60))
		r.editHook("shop", only)
		r.cfg.Storm = defaultStorm()
		r.playbook("restart", "shop", nil)
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.start()
		for i := range 1000 {
			e := opened(fmt.Sprintf("i-%04d", i))
			e.Time = e.Time.Add(time.Duration(i) * 60 * time.Millisecond)
			if i == 700 {
				e.Incident.Severity = semconv.SeverityCritical
			}
			r.must(e)
			time.Sleep(60 * time.Millisecond)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		after := 0
		for i := range 1000 {
			r.must(event(fmt.Sprintf("i-%04d", i), 2, semconv.EventIncidentResolved, 3*time.Minute))
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		chat := r.hooks["chat"]
		got := summaries(t, chat)
		require.NotEmpty(t, got)
		fmt.Printf("1000 incidents opened in a minute and resolved at once: %d messages to the chat, %d of them summaries; %d actions\n",
			len(chat.requests()), len(got), len(actions(r.hooks["shop"])))
		assert.Less(t, len(chat.requests()), 200)
		assert.Len(t, actions(r.hooks["shop"]), 1, "one cause, one action")
		told := 0
		for _, s := range got {
			told += s.Events
			assert.LessOrEqual(t, len(s.Opened.IDs), maxDigestIDs)
			assert.LessOrEqual(t, len(s.Causes), shownCauses)
			after += s.Types[semconv.EventTypeIncidentOpened] - len(s.Opened.IDs) - s.Opened.More
		}
		assert.Zero(t, after)
		assert.Equal(t, int64(told), r.sum("folded_events"), "nothing is lost from the counts")
		assert.Equal(t, semconv.SeverityCritical, got[0].Severity)
		assert.Equal(t, "latency of service shop/payment", got[0].Causes[0].Cause)
		opens, resolves := 0, 0
		for _, s := range got {
			opens += s.Types[semconv.EventTypeIncidentOpened]
			resolves += s.Types[semconv.EventTypeIncidentResolved]
		}
		for _, typ := range chat.types() {
			switch typ {
			case "incident.opened.v1":
				opens++
			case "incident.resolved.v1":
				resolves++
			}
		}
		assert.Equal(t, 1000, opens)
		assert.Equal(t, 1000, resolves, "who is told of the opening is told of the end, in whatever form")
		for _, q := range chat.requests() {
			assert.LessOrEqual(t, len(q.body), r.cfg.MaxBodySize)
		}
		r.stop()
	})
}

// TestFoldedIncidentEndsInASummary folds the end of an incident whose opening was folded, however calm it is by then, and
// survives a kill in between.
func TestFoldedIncidentEndsInASummary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.editHook("chat", quiet(2))
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.start()
		for i := range 4 {
			r.must(opened(fmt.Sprintf("i-%d", i)))
		}
		synctest.Wait()
		killed := r.disk.copy()
		r.stop()

		n := again(r, killed)
		n.start()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		assert.Equal(t, []string{"incident.opened.v1", "incident.opened.v1", "incident.storm.v1"}, n.hooks["chat"].types())
		n.must(resolved("i-3", 2, 2*time.Minute), resolved("i-0", 2, 2*time.Minute))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		assert.Equal(t, []string{"incident.resolved.v1", "incident.storm.v1"}, n.hooks["chat"].types()[3:])
		got := summaries(t, n.hooks["chat"])
		assert.Equal(t, []string{"i-2", "i-3"}, got[0].Opened.IDs)
		assert.Equal(t, []string{"i-3"}, got[1].Resolved.IDs)
		// An update that is told by itself makes the incident known.
		n.must(updated("i-2", 2, 4*time.Minute), resolved("i-2", 3, 5*time.Minute))
		synctest.Wait()
		assert.Equal(t, []string{"incident.updated.v1", "incident.resolved.v1"}, n.hooks["chat"].types()[5:])
		n.stop()
	})
}

// TestWhatWasDoneIsNeverFolded has a limit of one: that something was done, that it did not help and that a person is needed are
// told by themselves all the same.
func TestWhatWasDoneIsNeverFolded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat", "shop")
		r.editHook("chat", quiet(1))
		r.editHook("chat", func(h *WebhookConfig) {
			h.Events = []Event{"incident.opened", "remediation.started", "remediation.failed", "remediation.escalated"}
		})
		r.editHook("shop", only)
		r.playbook("restart", "shop", nil)
		r.start()
		r.must(opened("i-0"), opened("i-1"), opened("i-2"))
		time.Sleep(time.Hour)
		types := r.hooks["chat"].types()
		assert.Contains(t, types, "incident.storm.v1")
		for _, typ := range []string{"remediation.started.v1", "remediation.failed.v1", "remediation.escalated.v1"} {
			assert.Contains(t, types, typ)
		}
		r.stop()
	})
}

// TestWhatAsksIsNeverFolded has a limit of one: orders and requests for approval are told by themselves all the same.
func TestWhatAsksIsNeverFolded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.editHook("shop", quiet(1))
		r.playbook("restart", "shop", nil)
		r.playbook("ask", "shop", func(p *PlaybookConfig) {
			p.Mode, p.When = "approve", []string{`IsMatch(attributes["incident.cause.entity.name"], "^b")`}
		})
		r.cfg.Playbooks[0].When = []string{`IsMatch(attributes["incident.cause.entity.name"], "^a")`}
		r.start()
		for i := range 4 {
			r.must(on(opened(fmt.Sprintf("a-%d", i)), fmt.Sprintf("a%d", i)), on(opened(fmt.Sprintf("b-%d", i)), fmt.Sprintf("b%d", i)))
		}
		synctest.Wait()
		assert.Len(t, actions(r.hooks["shop"]), 4)
		n := 0
		for _, typ := range r.hooks["shop"].types() {
			if typ == "remediation.approval_requested.v1" {
				n++
			}
		}
		assert.Equal(t, 4, n)
		r.stop()
		assert.Contains(t, r.hooks["shop"].types(), "incident.storm.v1", "without storage the summary is sent at the end")
	})
}

func TestFoldingIsUndoneWithItsBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		r.editHook("chat", quiet(1))
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.start()
		r.must(opened("i-0"))
		r.disk.setFail(true)
		require.Error(t, r.consume(opened("i-1"), opened("i-2")))
		r.disk.setFail(false)
		r.must(opened("i-1"))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		assert.Equal(t, 1, summaries(t, r.hooks["chat"])[0].Events)
		assert.Equal(t, int64(1), r.sum("folded_events"))
		r.stop()
	})
}

func TestDigestIsBounded(t *testing.T) {
	var d digest
	for i := range 1000 {
		d.add(semconv.EventTypeIncidentOpened, &eventdata.Summary{ID: fmt.Sprint(i), Cause: &eventdata.CauseSummary{Kind: "latency", Entity: eventdata.Entity{Name: fmt.Sprint(i % 500)}}})
	}
	s := d.summary(time.Unix(60, 0))
	assert.Len(t, s.Causes, shownCauses)
	n := s.OtherEvents
	for _, c := range s.Causes {
		n += c.Events
	}
	assert.Equal(t, 1000, n)
	assert.Equal(t, 900, s.Opened.More)
	assert.Len(t, d.Causes, maxDigestCauses)
}

func FuzzLoadDigest(f *testing.F) {
	f.Add([]byte(`{"start":"2026-03-01T10:00:00Z","sent":60,"folded":1,"types":{"t":1},"causes":{"c":1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h := &destination{name: "a"}
		if h.loadDigest(b) != nil {
			require.Equal(t, digest{}, h.digest)
			return
		}
		h.digest.add(semconv.EventTypeIncidentOpened, &eventdata.Summary{ID: "i", Cause: &eventdata.CauseSummary{}})
		_ = h.digest.summary(time.Unix(0, 0))
	})
}

// TestGuardsAreNews subscribes to what holds automation back.
func TestGuardsAreNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat", "shop")
		r.editHook("chat", func(h *WebhookConfig) {
			h.Events = []Event{
				"remediation.breaker_opened", "remediation.breaker_closed", "remediation.storm_began", "remediation.storm_ended",
				"remediation.paused", "remediation.resumed",
			}
		})
		r.editHook("shop", only)
		r.hooks["shop"].status(400, "no")
		r.cfg.Breakers.Target.Failures = 1
		r.cfg.Storm = StormConfig{MaxIncidents: 2, Window: time.Minute, MaxActions: 5, Quiet: time.Minute}
		r.playbook("restart", "shop", func(p *PlaybookConfig) { p.Cooldown = 0 })
		r.withAPI(false, nil)
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		r.ask("ann", "POST", "/v1/breakers/target_breaker/service:shop%2Fpayment/reset", "")
		r.ask("ann", "POST", "/v1/pause", `{"reason": "night"}`)
		r.ask("ann", "DELETE", "/v1/pause", "")
		r.must(on(opened("i-2"), "a"), on(opened("i-3"), "b"), on(opened("i-4"), "c"))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		types := r.hooks["chat"].types()
		for _, want := range []string{"breaker_opened", "breaker_closed", "paused", "resumed", "storm_began", "storm_ended"} {
			assert.True(t, slices.Contains(types, "remediation."+want+".v1"), want)
		}
		for _, q := range r.hooks["chat"].requests() {
			if q.typ() == "remediation.paused.v1" {
				assert.Equal(t, map[string]any{"name": "kill_switch", "state": "paused", "detail": "ann by the api: night", "by": "ann"},
					q.event["data"].(map[string]any)["guard"])
			}
		}
		r.stop()
	})
}
