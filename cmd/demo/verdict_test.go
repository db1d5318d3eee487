package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/semconv"
)

var t0 = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func after(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }

func causesOf(names ...string) []semconv.Cause {
	var causes []semconv.Cause
	for i, n := range names {
		causes = append(causes, semconv.Cause{
			Entity: semconv.Entity{Type: semconv.EntityService, Name: n}, Kind: semconv.CauseErrors, Confidence: 0.9 / float64(i+1),
			Evidence: []semconv.Evidence{{Signal: "calls", Summary: "100 % of the calls fail\x1b[2J"}},
		})
	}
	return causes
}

func eventAt(s float64, name semconv.EventName, id string, causes ...string) seenEvent {
	inc := semconv.Incident{
		ID: id, Revision: 1, Severity: semconv.SeverityMajor, Title: "errors", Status: semconv.StatusOpen,
		DetectedAt: after(s - 1), Causes: causesOf(causes...),
	}
	if name == semconv.EventIncidentResolved {
		inc.Status, inc.Resolution, inc.ResolvedAt = semconv.StatusResolved, semconv.ResolutionRecovered, after(s-30)
	}
	return seenEvent{semconv.IncidentEvent{Name: name, Time: after(s - 0.2), Incident: inc}, after(s)}
}

// closedFacts are of a run in which everything went well.
func closedFacts() facts {
	f := fault{ID: "fault-1", Kind: "crash", Service: "cart", Cure: "restart", Since: t0}
	ended := f
	ended.Ended = "cured by restart"
	return facts{
		fault: f, injected: t0, series: 100, ended: []fault{ended},
		events: []seenEvent{
			eventAt(10, semconv.EventIncidentOpened, "i", "shop/cart", "shop/gateway"),
			eventAt(50, semconv.EventIncidentResolved, "i", "shop/cart"),
		},
		deliveries: []delivery{
			{Type: string(semconv.EventTypeIncidentOpened), Incident: "i", Verified: true, Status: 202, Result: "noted", Time: after(9.9)},
			{
				Type: string(semconv.EventTypeRemediationStarted), Incident: "i", Verified: true, Status: 200, Time: after(10),
				Action: "restart", Service: "cart", Result: "restarted",
			},
			{Type: string(semconv.EventTypeRemediationSucceeded), Incident: "i", Verified: true, Status: 202, Result: "noted", Time: after(50)},
		},
	}
}

func TestJudge(t *testing.T) {
	for _, tc := range []struct {
		name    string
		change  func(*facts)
		missing string // a part of the first thing that is missing; empty: the loop closed
	}{
		{"closed", func(*facts) {}, ""},
		{"an update names it before the action", func(f *facts) {
			f.events[0].Incident.Causes = causesOf("shop/gateway", "shop/cart")
			f.events = append(f.events[:1], eventAt(9, semconv.EventIncidentUpdated, "i", "shop/cart"), f.events[1])
		}, ""},
		{"another incident besides", func(f *facts) {
			f.events = append(f.events, eventAt(8, semconv.EventIncidentOpened, "j", "shop/user"))
		}, ""},
		{"nothing", func(f *facts) { *f = facts{fault: f.fault, injected: t0, active: []fault{f.fault}} }, "detection: no incident"},
		{"late", func(f *facts) { f.events[0].seen = after(31) }, "detection: took 31.0 s"},
		{"opened before the fault", func(f *facts) { f.events[0].seen = after(-1) }, "detection: the incident that was acted upon"},
		{"wrong service treated", func(f *facts) { f.deliveries[1].Service = "gateway" }, `cause: "gateway" was treated`},
		{"never named", func(f *facts) {
			f.deliveries = f.deliveries[:1]
			f.events[0].Incident.Causes, f.events[1].Incident.Causes = causesOf("shop/user"), nil
		}, `cause: "cart" was never named`},
		{"no action", func(f *facts) { f.deliveries = f.deliveries[:1] }, "webhook: no action"},
		{"action before the fault", func(f *facts) { f.deliveries[1].Time = after(-1) }, "webhook: no action"},
		{"not verified", func(f *facts) { f.deliveries[1].Verified = false }, "webhook: its signature"},
		{"refused", func(f *facts) { f.deliveries[1].Status = 409 }, "webhook: the shop answered 409"},
		{"not cured", func(f *facts) { f.active, f.ended = []fault{f.fault}, nil }, "cure: the fault is still in force"},
		{"ended by itself", func(f *facts) { f.ended[0].Ended = "cleared" }, "cure: the fault ended otherwise"},
		{"another fault", func(f *facts) { f.active = []fault{{ID: "fault-2"}} }, "cure: the fault is still in force"},
		{"not resolved", func(f *facts) { f.events = f.events[:1] }, "recovery: the incident was not resolved"},
		{"no data", func(f *facts) { f.events[1].Incident.Resolution = semconv.ResolutionNoData }, `recovery: the incident ended as "no_data"`},
		{"another resolved", func(f *facts) { f.events[1].Incident.ID = "j" }, "recovery: the incident was not resolved"},
		{"not verified by the exporter", func(f *facts) { f.deliveries = f.deliveries[:2] }, "recovery: the remediation was not reported"},
		{"a forged success", func(f *facts) { f.deliveries[2].Verified = false }, "recovery: the remediation was not reported"},
		{"success of another incident", func(f *facts) { f.deliveries[2].Incident = "j" }, "recovery: the remediation was not reported"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := closedFacts()
			tc.change(&f)
			v := judge(&f, 30*time.Second)
			if tc.missing == "" {
				assert.Empty(t, v.missing)
				assert.True(t, v.closed())
				return
			}
			require.NotEmpty(t, v.missing)
			assert.Contains(t, v.missing[0], tc.missing)
			assert.False(t, v.closed())
		})
	}
}

func TestJudgeTellsTheRanking(t *testing.T) {
	f := closedFacts()
	f.events[0].Incident.Causes = causesOf("shop/gateway", "shop/cart")
	f.events = append(f.events[:1],
		eventAt(9, semconv.EventIncidentUpdated, "i", "shop/cart"),
		eventAt(20, semconv.EventIncidentUpdated, "i", "shop/user", "shop/search", "shop/cart"),
		eventAt(8, semconv.EventIncidentOpened, "j", "shop/user"),
		f.events[1])
	v := judge(&f, 30*time.Second)
	assert.Equal(t, 2, v.rankAtOpening)
	assert.Equal(t, 1, v.rankAtAction, "what came after the action does not count")
	assert.Equal(t, after(9), v.named.seen)
	assert.Equal(t, 1, v.others)
	wall, event := v.detection(&f)
	assert.Equal(t, 10*time.Second, wall)
	assert.Equal(t, 9*time.Second, event)
}

func TestRankOf(t *testing.T) {
	causes := causesOf("shop/cartography", "shop/orders-db", "cache/0", "pod-1")
	causes[3].Entity.Type, causes[3].Resource = semconv.EntityPod, map[string]string{"service.name": "search"}
	for service, want := range map[string]int{"cart": 0, "orders-db": 2, "cache": 3, "search": 4} {
		assert.Equal(t, want, rankOf(causes, service), service)
	}
}
