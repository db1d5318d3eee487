package remediationexporter

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumererror"

	"github.com/paramedic-otel/paramedic/semconv"
)

// actions returns what a receiver was asked to do.
func actions(r *receiver) []map[string]any {
	var out []map[string]any
	for _, q := range r.requests() {
		if a, ok := q.event["data"].(map[string]any)["action"].(map[string]any); ok {
			out = append(out, a)
		}
	}
	return out
}

// only makes a webhook take nothing but actions.
func only(h *WebhookConfig) { h.Events = []Event{} }

func TestAutoActsAndSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat", "shop")
		r.editHook("shop", only)
		r.playbook("restart", "shop", func(p *PlaybookConfig) { p.Steps[0].Action.Parameters["force"] = ParameterConfig{Value: "no"} })
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		require.Equal(t, []string{"remediation.started.v1"}, r.hooks["shop"].types())
		golden(t, "remediation_started.json", r.hooks["shop"].requests()[0].body)
		assert.Empty(t, actions(r.hooks["chat"]), "news must not look like an instruction")
		r.must(updated("i-1", 2, 30*time.Second), resolved("i-1", 3, 90*time.Second))
		synctest.Wait()
		assert.Equal(t, []string{
			"incident.opened.v1", "remediation.started.v1", "incident.updated.v1", "incident.resolved.v1", "remediation.succeeded.v1",
		}, r.hooks["chat"].types())
		golden(t, "remediation_succeeded.json", r.hooks["chat"].requests()[4].body)
		assert.Equal(t, []string{"started", "accepted", "succeeded/recovered"}, r.audit())
		for _, outcome := range []string{"started", "accepted", "succeeded"} {
			assert.Equal(t, int64(1), r.sum("actions", outcome))
		}
		assert.Len(t, r.hooks["shop"].requests(), 1)
		r.stop()
	})
}

func TestVerificationOutcomes(t *testing.T) {
	noData := resolved("i-1", 2, time.Second)
	noData.Incident.Resolution = semconv.ResolutionNoData
	unknown := resolved("i-1", 2, time.Second)
	unknown.Incident.Resolution = ""
	merged := resolved("i-1", 2, time.Second)
	merged.Incident.Resolution = semconv.ResolutionMerged
	for name, tc := range map[string]struct {
		event *semconv.IncidentEvent
		want  string
	}{
		"no data":         {&noData, "inconclusive/no_data"},
		"unknown":         {&unknown, "inconclusive/no_data"},
		"merged":          {&merged, "inconclusive/merged"},
		"silence":         {nil, "failed/not_recovered"},
		"recovered late":  {new(resolved("i-1", 2, 91*time.Second)), "failed/not_recovered"},
		"still open late": {new(updated("i-1", 2, 91*time.Second)), "failed/not_recovered"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "shop")
				r.playbook("restart", "shop", nil)
				r.start()
				r.must(opened("i-1"))
				synctest.Wait()
				if tc.event != nil {
					r.must(*tc.event)
				} else {
					time.Sleep(89 * time.Second)
					synctest.Wait()
					require.Len(t, r.audit(), 2)
					time.Sleep(2 * time.Second)
				}
				synctest.Wait()
				assert.Equal(t, []string{"started", "accepted", tc.want}, r.audit())
				types := r.hooks["shop"].types()
				outcome, _, _ := strings.Cut(tc.want, "/")
				assert.Contains(t, types, "remediation."+outcome+".v1")
				r.stop()
			})
		})
	}
}

// TestVerdictOfMergedIncident: an action for an incident that goes on as a part of another is judged by the end of that one.
func TestVerdictOfMergedIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.playbook("restart", "shop", func(p *PlaybookConfig) { p.When = []string{`attributes["incident.id"] == "i-1"`} })
		r.start()
		r.must(opened("i-1"), opened("i-2"))
		synctest.Wait()
		merged := resolved("i-1", 2, 20*time.Second)
		merged.Incident.Resolution, merged.Incident.MergedInto = semconv.ResolutionMerged, "i-2"
		r.must(merged, updated("i-2", 2, 20*time.Second))
		synctest.Wait()
		assert.Equal(t, []string{"started", "accepted"}, r.audit())
		r.must(resolved("i-2", 3, 60*time.Second))
		synctest.Wait()
		assert.Equal(t, []string{"started", "accepted", "succeeded/recovered"}, r.audit())
		r.stop()
	})
}

// TestReopenedIncident asserts that an action after which the fault returns has not succeeded, and is not repeated.
func TestReopenedIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.playbook("restart", "shop", nil)
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		r.must(resolved("i-1", 2, 30*time.Second))
		synctest.Wait()
		again := event("i-1", 3, semconv.EventIncidentOpened, time.Minute)
		again.Incident.Reopened = 1
		r.must(again, again)
		synctest.Wait()
		assert.Equal(t, []string{"started", "accepted", "succeeded/recovered", "failed/returned"}, r.audit())
		assert.Equal(t, []string{
			"incident.opened.v1", "remediation.started.v1", "incident.resolved.v1", "remediation.succeeded.v1", "incident.opened.v1", "remediation.failed.v1",
			"remediation.escalated.v1",
		}, r.hooks["shop"].types())
		assert.Len(t, actions(r.hooks["shop"]), 1)
		assert.Equal(t, int64(1), r.sum("ignored_records", "duplicate"), "the same event twice")
		r.must(resolved("i-1", 4, 2*time.Minute))
		synctest.Wait()
		assert.Len(t, r.audit(), 4, "its verdict stands")
		r.stop()
	})
}

func TestObserveSendsNothingActing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.playbook("restart", "shop", func(p *PlaybookConfig) { p.Mode = "observe" })
		r.start()
		r.must(opened("i-1"), updated("i-1", 2, time.Second))
		synctest.Wait()
		assert.Empty(t, actions(r.hooks["shop"]))
		assert.Equal(t, []string{"incident.opened.v1", "remediation.proposed.v1", "incident.updated.v1"}, r.hooks["shop"].types())
		assert.Equal(t, []string{"proposed"}, r.audit())
		assert.Equal(t, int64(1), r.sum("actions", "proposed"))
		r.stop()
	})
}

// TestSettingsOfPlaybooks turns each guard's setting and sees that no call is made.
func TestSettingsOfPlaybooks(t *testing.T) {
	cases := map[string]struct {
		config func(*rig)
		edit   func(*PlaybookConfig)
		events []semconv.IncidentEvent
		want   []string
		acts   int
	}{
		"condition does not hold": {
			edit:   func(p *PlaybookConfig) { p.When = append(p.When, `attributes["incident.severity"] == "minor"`) },
			events: []semconv.IncidentEvent{opened("i-1")}, want: []string{},
		},
		"condition with context names": {
			edit:   func(p *PlaybookConfig) { p.When = []string{`log.attributes["incident.cause.confidence"] > 0.9`} },
			events: []semconv.IncidentEvent{opened("i-1")}, want: []string{"started", "accepted"}, acts: 1,
		},
		"min_confidence": {
			edit:   func(p *PlaybookConfig) { p.MinConfidence = 0.94 },
			events: []semconv.IncidentEvent{opened("i-1")}, want: []string{"skipped/confidence"},
		},
		"max_revision": {
			edit:   func(p *PlaybookConfig) { p.MaxRevision = 1 },
			events: []semconv.IncidentEvent{updated("i-1", 2, 0)}, want: []string{"skipped/revision"},
		},
		"budget": {
			config: func(r *rig) { r.cfg.Budget.MaxActions = 1 },
			events: []semconv.IncidentEvent{opened("i-1"), on(opened("i-2"), "b")}, want: []string{"started", "skipped/budget", "accepted"}, acts: 1,
		},
		"cooldown": {
			edit:   func(p *PlaybookConfig) { p.Mode = "observe" },
			events: []semconv.IncidentEvent{opened("i-1"), opened("i-2")},
			want:   []string{"proposed", "skipped/cooldown"},
		},
		"cooldown is only for what was done": {
			events: []semconv.IncidentEvent{opened("i-1"), resolved("i-1", 2, time.Second), opened("i-2")},
			want:   []string{"started", "skipped/stale", "started", "accepted"}, acts: 1,
		},
		"no cause": {
			edit:   func(p *PlaybookConfig) { p.When = []string{"true"} },
			events: []semconv.IncidentEvent{func() semconv.IncidentEvent { e := opened("i-1"); e.Incident.Causes = nil; return e }()},
			want:   []string{"skipped/no_target"},
		},
		"unsafe parameter": {
			events: []semconv.IncidentEvent{on(opened("i-1"), "payment; rm -rf /")}, want: []string{"skipped/parameter"},
		},
		"option as parameter": {
			events: []semconv.IncidentEvent{on(opened("i-1"), "--all")}, want: []string{"skipped/parameter"},
		},
		"path as parameter": {
			events: []semconv.IncidentEvent{on(opened("i-1"), "../../etc")}, want: []string{"skipped/parameter"},
		},
		"missing parameter": {
			edit: func(p *PlaybookConfig) {
				p.Steps[0].Action.Parameters["pod"] = ParameterConfig{From: "cause.resource.k8s.pod.name"}
			},
			events: []semconv.IncidentEvent{opened("i-1")}, want: []string{"skipped/parameter"},
		},
		"resource parameter": {
			edit: func(p *PlaybookConfig) {
				p.Steps[0].Action.Parameters["pod"] = ParameterConfig{From: "cause.resource.k8s.deployment.name"}
			},
			events: []semconv.IncidentEvent{opened("i-1")}, want: []string{"started", "accepted"}, acts: 1,
		},
		"queue full": {
			config: func(r *rig) { r.cfg.QueueSize = 1 },
			events: []semconv.IncidentEvent{opened("i-1")}, want: []string{"skipped/endpoint"},
		},
		"duplicates": {
			events: []semconv.IncidentEvent{opened("i-1"), opened("i-1")}, want: []string{"started", "accepted"}, acts: 1,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "shop")
				r.playbook("restart", "shop", tc.edit)
				if tc.config != nil {
					tc.config(r)
				}
				r.start()
				r.must(tc.events...)
				synctest.Wait()
				assert.Equal(t, tc.want, r.audit())
				assert.Len(t, actions(r.hooks["shop"]), tc.acts)
				for _, w := range tc.want {
					if reason, ok := strings.CutPrefix(w, "skipped/"); ok {
						assert.Equal(t, int64(1), r.sum("skipped_actions", reason))
					}
				}
				r.stop()
			})
		})
	}
}

func TestLadder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.editHook("shop", only)
		r.playbook("restart", "shop", nil)
		r.playbook("rollback", "shop", func(p *PlaybookConfig) { p.Steps[0].Action.Name = "rollback" })
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		r.must(updated("i-1", 2, 2*time.Minute))
		synctest.Wait()
		r.must(resolved("i-1", 3, 3*time.Minute))
		synctest.Wait()
		got := actions(r.hooks["shop"])
		require.Len(t, got, 2)
		assert.Equal(t, "restart", got[0]["name"])
		assert.Equal(t, "rollback", got[1]["name"])
		assert.Equal(t, []string{
			"started", "skipped/in_flight", "accepted", "failed/not_recovered", "started", "accepted", "succeeded/recovered",
		}, r.audit())
		r.stop()
	})
}

func TestActionIsNotSentAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.editHook("shop", only)
		r.playbook("restart", "shop", nil)
		r.hooks["shop"].status(503, "")
		r.start()
		r.must(opened("i-1"))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		n := len(r.hooks["shop"].requests())
		r.hooks["shop"].status(200, "")
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Len(t, r.hooks["shop"].requests(), n)
		assert.Equal(t, []string{"started", "inconclusive/undelivered"}, r.audit())
		r.stop()
	})
}

func TestActionIsNotSentOnceTheIncidentIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.playbook("restart", "shop", nil)
		r.hooks["shop"].status(503, "")
		r.start()
		r.must(opened("i-1")) // the news of the opening holds up the action
		synctest.Wait()
		r.must(resolved("i-1", 2, time.Second))
		r.hooks["shop"].status(200, "")
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Empty(t, actions(r.hooks["shop"]))
		assert.Equal(t, []string{"started", "skipped/stale"}, r.audit())
		assert.Equal(t, int64(1), r.sum("lost_events", lostStale))
		r.stop()
	})
}

func TestActionIsNotRepeatedOnceTheIncidentIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.editHook("shop", only)
		r.playbook("restart", "shop", nil)
		r.hooks["shop"].status(503, "")
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		require.Len(t, actions(r.hooks["shop"]), 1)
		r.must(resolved("i-1", 2, time.Second))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Len(t, actions(r.hooks["shop"]), 1)
		assert.Equal(t, []string{"started", "inconclusive/undelivered"}, r.audit())
		assert.Equal(t, int64(1), r.sum("lost_events", lostStale))
		r.stop()
	})
}

func TestErrorModes(t *testing.T) {
	for mode, tc := range map[string]struct {
		warns int
		fails bool
	}{"ignore": {1, false}, "silent": {0, false}, "propagate": {0, true}} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "shop")
				r.playbook("restart", "shop", func(p *PlaybookConfig) {
					require.NoError(t, p.ErrorMode.UnmarshalText([]byte(mode)))
					p.When = []string{`IsMatch(attributes["incident.cause.kind"], attributes["pattern"])`, "true"}
				})
				r.start()
				bad := logsOf(opened("i-1"), opened("i-2"))
				bad.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Attributes().PutStr("pattern", "(")
				bad.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(1).Attributes().PutStr("pattern", "latency")
				err := r.exp.ConsumeLogs(t.Context(), bad)
				synctest.Wait()
				assert.Equal(t, tc.fails, consumererror.IsPermanent(err))
				assert.Equal(t, tc.warns, r.logs.FilterMessage("condition of a playbook could not be evaluated").Len())
				assert.Len(t, actions(r.hooks["shop"]), 1, "an unknown condition does not act, the other incident does")
				assert.Equal(t, int64(1), r.sum("condition_errors"))
				if tc.fails {
					assert.Equal(t, int64(1), r.sum("refused_records", refusedCondition))
				}
				r.stop()
			})
		})
	}
}

func TestHostileText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.cfg.MaxBodySize = 16 << 10
		r.playbook("restart", "shop", func(p *PlaybookConfig) { p.When = []string{"true"} })
		r.start()
		e := on(opened("i-1"), strings.Repeat("<script>\x00\xff${env:HOME}{{.}}", 4000))
		e.Incident.Title = strings.Repeat("\x01\u2028", 50_000)
		e.Incident.Causes[0].Kind = semconv.CauseKind(strings.Repeat("k", 10_000))
		for range 900 {
			e.Incident.Timeline = append(e.Incident.Timeline, semconv.TimelineEntry{Text: strings.Repeat("\x02", 1000)})
		}
		r.must(e)
		synctest.Wait()
		require.Equal(t, []string{"incident.opened.v1", "remediation.skipped.v1"}, r.hooks["shop"].types())
		for _, q := range r.hooks["shop"].requests() {
			assert.LessOrEqual(t, len(q.body), 16<<10)
			assert.True(t, json.Valid(q.body))
			assert.NotContains(t, string(q.body), "<script>")
		}
		r.must(opened("i-2"))
		synctest.Wait()
		assert.NotContains(t, r.hooks["shop"].requests()[2].event["data"], "truncated")
		data := r.hooks["shop"].requests()[0].event["data"].(map[string]any)
		assert.Equal(t, true, data["truncated"])
		assert.Equal(t, int64(1), r.sum("truncated_events"))
		assert.Equal(t, []string{"skipped/parameter", "started", "accepted"}, r.audit())
		r.stop()
	})
}

func TestBrokenEventsFailNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a")
		r.start()
		ld := logsOf(opened("i-1"), opened("i-2"), opened("i 3"), updated("i-4", 0, 0), opened("i-5"), opened("i-6"), opened("i-7"))
		records := ld.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords()
		records.At(1).Attributes().PutStr("incident.severity", "doom")
		records.At(4).Attributes().PutStr("incident.status", "resolved")
		records.At(5).SetEventName("user.login")
		err := r.exp.ConsumeLogs(t.Context(), ld)
		require.True(t, consumererror.IsPermanent(err))
		require.ErrorContains(t, err, `incident.severity must be critical, major or minor, got "doom"`)
		require.ErrorContains(t, err, `incident.id must be a plain name of at most 128 characters, got "i 3"`)
		require.ErrorContains(t, err, "incident.revision must be at least 1, got 0")
		require.ErrorContains(t, err, "and 1 more")
		synctest.Wait()
		assert.Len(t, r.hooks["a"].requests(), 2)
		assert.Equal(t, int64(7), r.sum("received_records"))
		assert.Equal(t, int64(1), r.sum("ignored_records", ignoredOther))
		assert.Equal(t, int64(4), r.sum("refused_records", refusedBroken))
		r.must(opened("i-1"))
		assert.Equal(t, int64(1), r.sum("ignored_records", ignoredDuplicate))
		r.stop()
	})
}

func TestIncidentLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a")
		r.cfg.MaxIncidents = 1
		r.cfg.ForgetAfter = time.Minute
		r.start()
		r.must(opened("i-1"), opened("i-2"))
		assert.Equal(t, int64(1), r.sum("refused_records", refusedLimit))
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, int64(1), r.sum("forgotten_incidents"))
		assert.Equal(t, int64(0), r.sum("incidents"))
		r.must(opened("i-3"))
		synctest.Wait()
		assert.Len(t, r.hooks["a"].requests(), 2)
		r.stop()
	})
}

func TestBudgetWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.cfg.Budget = BudgetConfig{MaxActions: 1, Window: time.Minute}
		r.playbook("restart", "shop", nil)
		r.start()
		r.must(on(opened("i-1"), "a"), on(opened("i-2"), "b"))
		time.Sleep(time.Minute)
		r.must(on(updated("i-2", 2, time.Second), "b"))
		synctest.Wait()
		assert.Equal(t, []string{"started", "skipped/budget", "accepted", "started", "accepted"}, r.audit())
		r.stop()
	})
}

func TestSourceAndHTTPStatusOfActions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.cfg.Source = "/clusters/test"
		r.cfg.RetryConfig.Enabled = false
		r.editHook("shop", only)
		r.playbook("restart", "shop", nil)
		r.hooks["shop"].answer = func(n int, _ request) (int, http.Header, string, error) {
			return []int{0, 422, 500}[n], http.Header{}, "", nil
		}
		r.start()
		r.must(on(opened("i-1"), "a"), on(opened("i-2"), "b"))
		synctest.Wait()
		got := r.hooks["shop"].requests()
		require.Len(t, got, 2, "retries are off")
		assert.Equal(t, "/clusters/test", got[0].event["source"])
		assert.Equal(t, []string{"started", "started", "failed/refused", "inconclusive/undelivered"}, r.audit())
		r.stop()
	})
}
