package remediationexporter

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
)

// stateOf returns where the one intent of a playbook stands, and its path.
func (r *rig) stateOf(book string) (state, path string) {
	r.t.Helper()
	list := r.ask("viewer", http.MethodGet, "/v1/intents?playbook="+book, "").body["intents"].([]any)
	require.Len(r.t, list, 1)
	v := list[0].(map[string]any)
	return v["state"].(string), "/v1/intents/" + v["intent"].(string)
}

// TestUndoByAPerson takes back what helped, survives a kill in between, and has somebody else approve what comes next.
func TestUndoByAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		c := r.onCluster(nil)
		r.cfg.Playbooks[0].When = []string{`attributes["incident.revision"] == 1`}
		r.playbook("ask", "chat", func(p *PlaybookConfig) {
			p.Mode, p.Cooldown, p.When = "approve", 0, []string{`attributes["incident.revision"] > 1`}
		})
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.withAPI(false, nil)
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		_, path := r.stateOf("restart")
		detail := r.ask("ann", "GET", path, "")
		assert.Equal(t, true, detail.body["can_undo"])
		plan := detail.body["plan"].(map[string]any)
		assert.Equal(t, []any{"kubectl rollout restart"}, plan["commands"])

		r.ask("bob", "POST", "/v1/pause", "")
		paused := r.ask("ann", "POST", path+"/undo", "")
		assert.Equal(t, 409, paused.status)
		assert.Equal(t, "paused", paused.code())
		r.ask("bob", "DELETE", "/v1/pause", "")
		r.disk.setFail(true)
		assert.Equal(t, 503, r.ask("ann", "POST", path+"/undo", "").status)
		r.disk.setFail(false)
		_, _, undone := c.calls()
		require.Zero(t, undone, "what could not be stored is not done")

		done := r.ask("ann", "POST", path+"/undo", `{"comment": "wrong one"}`)
		require.Equal(t, 200, done.status, done.raw)
		synctest.Wait()
		_, _, undone = c.calls()
		assert.Equal(t, 1, undone)
		state, _ := r.stateOf("restart")
		assert.Equal(t, "rolled_back", state)
		assert.Equal(t, true, r.ask("ann", "POST", path+"/undo", "").body["repeated"])
		assert.Equal(t, false, r.ask("ann", "GET", path, "").body["can_undo"])

		r.must(updated("i-1", 2, time.Second))
		state, ask := r.stateOf("ask")
		require.Equal(t, "awaiting_approval", state)
		assert.Equal(t, 403, r.ask("ann", "POST", ask+"/approve", "").status, "who asked for the undo does not approve what follows")
		assert.Equal(t, 409, r.ask("ann", "POST", ask+"/undo", "").status, "nothing was done yet")
		assert.Equal(t, 200, r.ask("bob", "POST", ask+"/approve", "").status)
		said := told(r.chain())
		assert.Contains(t, said, "call undo by ann")
		assert.Contains(t, said, "decision undoing reverted by executor")
		r.stop()
	})
}

// TestApprovedStepIsPlannedAnew changes the world between the request and the approval: no call is made.
func TestApprovedStepIsPlannedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		c := r.onCluster(func(p *PlaybookConfig) { p.Mode = "approve" })
		r.withAPI(false, nil)
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		state, path := r.stateOf("restart")
		require.Equal(t, "awaiting_approval", state)
		c.mu.Lock()
		c.plan = func(kubeaction.Order) (kubeaction.Plan, error) {
			return kubeaction.Plan{}, &kubeaction.Refusal{Reason: kubeaction.ReasonTargetMissing, Detail: "the deployment is gone"}
		}
		c.mu.Unlock()
		require.Equal(t, 200, r.ask("ann", "POST", path+"/approve", "").status)
		synctest.Wait()
		prepared, applied, _ := c.calls()
		assert.Equal(t, 2, prepared, "the world is looked at again")
		assert.Zero(t, applied, "no call was made")
		state, _ = r.stateOf("restart")
		assert.Equal(t, "skipped", state)
		r.stop()
	})
}

// TestStandbyDoesNotHear sends people to the replica that acts.
func TestStandbyDoesNotHear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := approvalRig(t, nil)
		r.start()
		r.must(opened("i-1"))
		path := "/v1/intents/" + r.waiting()
		r.exporter().lead(false)
		for _, what := range []string{"/approve", "/deny"} {
			a := r.ask("ann", "POST", path+what, "")
			assert.Equal(t, 409, a.status)
			assert.Contains(t, a.raw, "another replica leads, tell that one")
		}
		assert.Equal(t, false, r.ask("ann", "GET", "/v1/status", "").body["leading"])
		r.exporter().lead(true)
		assert.Equal(t, 200, r.ask("ann", "POST", path+"/approve", "").status)
		synctest.Wait()
		assert.Len(t, actions(r.hooks["shop"]), 1)
		assert.Contains(t, told(r.chain()), "leadership stands by by executor")
		r.stop()
	})
}

// TestLateApprovalOfAFormerPlan has the world change after the approval, so that people are asked anew, and a click on the
// first message come late: it does not count for the second.
func TestLateApprovalOfAFormerPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "chat")
		c := r.onCluster(func(p *PlaybookConfig) { p.Mode = "approve" })
		r.cfg.Approvals.Secrets = []configopaque.String{secretA}
		r.withAPI(false, nil)
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		_, path := r.stateOf("restart")
		asked := func() (digest, event string) {
			digest = r.ask("ann", "GET", path, "").body["approval"].(map[string]any)["plan_digest"].(string)
			got := r.hooks["chat"].requests()
			for _, q := range slices.Backward(got) {
				if q.typ() == "remediation.approval_requested.v1" {
					data := q.event["data"].(map[string]any)["remediation"].(map[string]any)
					assert.Equal(t, digest, data["plan_digest"], "the message says what is asked")
					return digest, q.id()
				}
			}
			t.Fatal("nobody was asked")
			return
		}
		first, firstEvent := asked()
		c.mu.Lock()
		c.plan = func(o kubeaction.Order) (kubeaction.Plan, error) {
			p := planFor(o)
			p.Commands = []string{"kubectl rollout undo --to-revision=3"}
			return p, nil
		}
		c.mu.Unlock()
		require.Equal(t, 200, r.ask("ann", "POST", path+"/approve", `{"plan_digest": "`+first+`"}`).status)
		synctest.Wait()
		second, secondEvent := asked()
		require.NotEqual(t, first, second)
		assert.NotEqual(t, firstEvent, secondEvent, "a receiver that drops what it has seen tells people of it")

		late := r.ask("bob", "POST", path+"/approve", `{"plan_digest": "`+first+`"}`)
		assert.Equal(t, 409, late.status)
		assert.Equal(t, "plan_changed", late.code())
		record := granted(strings.TrimPrefix(path, "/v1/intents/"), "bob")
		record.PlanDigest = first
		r.send(signed(t, secretA, record))
		assert.Equal(t, int64(1), r.sum("refused_approvals", approvalPlanChanged))
		synctest.Wait()
		_, applied, _ := c.calls()
		require.Zero(t, applied, "no call was made")

		record.PlanDigest = second
		r.send(signed(t, secretA, record))
		synctest.Wait()
		_, applied, _ = c.calls()
		assert.Equal(t, 1, applied)
		r.stop()
	})
}

func TestOutcomesAndStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := approvalRig(t, nil)
		r.start()
		a := r.ask("ann", "GET", "/v1/outcomes", "")
		assert.Equal(t, 200, a.status)
		assert.NotNil(t, a.body["outcomes"])
		s := r.ask("ann", "GET", "/v1/status", "").body
		assert.Equal(t, true, s["leading"])
		assert.Equal(t, true, s["durable"])
		assert.Equal(t, []any{map[string]any{"name": "shop", "queued": 0.0}}, s["webhooks"])
		head := r.ask("ann", "HEAD", "/v1/status", "")
		assert.Equal(t, 200, head.status)
		r.stop()
	})
}

func TestConfigForPeople(t *testing.T) {
	cfg, err := loadConfig(t, "people")
	require.NoError(t, err)
	require.NoError(t, xconfmap.Validate(cfg))
	a := cfg.API.Get()
	assert.Equal(t, "0.0.0.0:8443", a.NetAddr.Endpoint)
	assert.Equal(t, "oidc", a.Auth.Get().AuthenticatorID.String())
	assert.Equal(t, "mail", a.Identity)
	assert.Equal(t, []string{"ann", "bob"}, a.Operators)
	assert.Equal(t, 5, a.MaxConnections)
	assert.Equal(t, int64(2048), a.MaxRequestBodySize)
	assert.Equal(t, 7*time.Second, a.ReadTimeout)
	assert.Equal(t, 5*time.Second, a.ReadHeaderTimeout, "a default that was not overruled")
	assert.Equal(t, ApprovalsConfig{Secrets: cfg.Webhooks["chat"].Secrets, Tolerance: time.Minute}, cfg.Approvals)
	assert.Equal(t, 500, cfg.Audit.MaxRecords)
	assert.Equal(t, "https://audit.example.com/v1/logs", cfg.Audit.OTLP.Get().Endpoint)
	assert.Equal(t, DeadLettersConfig{MaxEvents: 5, MaxAge: time.Hour}, cfg.DeadLetters)
	assert.Equal(t, 30, cfg.Webhooks["chat"].MaxEventsPerMinute)
	assert.Equal(t, ApprovalConfig{Approvers: 2, Within: time.Minute, Allowed: []string{"ann", "bob"}, RequesterMayApprove: true}, cfg.Playbooks[0].Approval)

	cfg, err = loadConfig(t, "people_wrong")
	require.NoError(t, err)
	err = xconfmap.Validate(cfg)
	for _, want := range []string{
		"api: endpoint must be on loopback without auth", "approvals: secrets::0: secret must start with whsec_",
		"audit: max_records must be between 100 and 100000, got 1", "audit::otlp: endpoint must be the http or https URL",
		"dead_letters: max_events must be between 0 and 10000, got -1", "webhooks::chat: max_events_per_minute must be between",
	} {
		assert.ErrorContains(t, err, want)
	}
}

// TestToleranceIsASetting takes an approval that is older than the default allows.
func TestToleranceIsASetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := approvalRig(t, nil)
		r.cfg.Approvals.Secrets, r.cfg.Approvals.Tolerance = append(r.cfg.Approvals.Secrets, secretA), 20*time.Minute
		r.start()
		r.must(opened("i-1"))
		a := granted(r.waiting(), "ann")
		a.At = a.At.Add(-10 * time.Minute)
		r.send(signed(t, secretA, a))
		assert.Equal(t, int64(1), r.sum("approvals"))
		r.stop()
	})
}

// TestConnectionsAreBounded keeps one connection open where one is allowed.
func TestConnectionsAreBounded(t *testing.T) {
	r := approvalRig(t, nil)
	r.withAPI(true, func(c *APIConfig) { c.MaxConnections = 1 })
	r.listen()
	first := &http.Client{Transport: &http.Transport{}}
	ask := func(c *http.Client) error {
		resp, err := c.Get("http://" + r.exporter().apiAddress + "/v1/status")
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body) // or the connection is not kept
		return errors.Join(err, resp.Body.Close())
	}
	require.NoError(t, ask(first)) // it stays open, since it may be used again
	second := &http.Client{Transport: &http.Transport{}, Timeout: 100 * time.Millisecond}
	require.Error(t, ask(second))
	first.CloseIdleConnections()
	second.Timeout = 10 * time.Second
	require.NoError(t, ask(second))
	second.CloseIdleConnections()
	r.stop()
}

// TestAuthenticatorErrorIsNotTold keeps what the authenticator says to ourselves.
func TestAuthenticatorErrorIsNotTold(t *testing.T) {
	w := httptest.NewRecorder()
	writeRefusal(w, nil, "ldap at 10.0.0.1 is down", http.StatusUnauthorized)
	assert.Equal(t, http.StatusUnauthorized, w.Code)
	assert.False(t, strings.Contains(w.Body.String(), "ldap"))
}
