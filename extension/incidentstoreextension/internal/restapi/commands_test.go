package restapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
)

// TestCommands passes what a person wants to the executor, and its answer back.
func TestCommands(t *testing.T) {
	r := filled(t, nil)
	var mu sync.Mutex
	var taken []incidentstore.Command
	r.executor(func(c incidentstore.Command) incidentstore.Command {
		mu.Lock()
		taken = append(taken, c)
		mu.Unlock()
		return done(`{"state": "pending"}`)(c)
	})
	intent := "/v1/intents/" + intentID
	for _, tc := range []struct {
		path, body, arguments string
		kind                  incidentstore.CommandKind
	}{
		{intent + "/approve", `{"plan_digest": "` + digest + `", "comment": "go"}`, `{"intent":"` + intentID + `","verdict":"granted","plan_digest":"` + digest + `","comment":"go","source":"api"}`, incidentstore.CommandDecide},
		{intent + "/deny", "", `{"intent":"` + intentID + `","verdict":"denied","source":"api"}`, incidentstore.CommandDecide},
		{intent + "/undo", "", `{"intent":"` + intentID + `"}`, incidentstore.CommandUndo},
		{"/v1/breakers/target_breaker/Deployment%2Fshop%2Fpayment/reset", "{}", `{"guard":"target_breaker","key":"Deployment/shop/payment"}`, incidentstore.CommandResetBreaker},
		{"/v1/deadletters/replay", `{"ids": ["e-1"]}`, `{"ids":["e-1"]}`, incidentstore.CommandReplay},
		{"/v1/deadletters/replay", `{"destination": "chat"}`, `{"destination":"chat"}`, incidentstore.CommandReplay},
	} {
		a := r.ask("ann", http.MethodPost, tc.path, tc.body)
		require.Equal(t, http.StatusOK, a.status, a.raw)
		assert.Equal(t, "done", a.body["state"])
		assert.Equal(t, map[string]any{"state": "pending"}, a.body["result"])
		mu.Lock()
		last := taken[len(taken)-1]
		mu.Unlock()
		assert.Equal(t, tc.kind, last.Kind)
		assert.Equal(t, "ann", last.By)
		assert.JSONEq(t, tc.arguments, string(last.Arguments))
		assert.Equal(t, "done", r.get(a.header.Get("Location"))["state"])
	}
	assert.Equal(t, []CommandFate{CommandDone, CommandDone, CommandDone, CommandDone, CommandDone, CommandDone}, r.seen.fates())
}

// TestRefusals passes an executor's refusal on as it is.
func TestRefusals(t *testing.T) {
	r := filled(t, nil)
	var answers atomic.Pointer[incidentstore.Command]
	r.executor(func(c incidentstore.Command) incidentstore.Command {
		a := answers.Load()
		c.State, c.Status, c.Code, c.Message = incidentstore.CommandRefused, a.Status, a.Code, a.Message
		return c
	})
	for _, tc := range []struct {
		told   incidentstore.Command
		status int
	}{
		{incidentstore.Command{Status: http.StatusForbidden, Code: "forbidden", Message: "approval::allowed of playbook restart does not name ann"}, 403},
		{incidentstore.Command{Status: http.StatusGone, Code: "gone", Message: "intent is over: it expired"}, 410},
		{incidentstore.Command{Status: http.StatusConflict, Code: "plan_changed", Message: "the plan is another"}, 409},
		{incidentstore.Command{Status: 0, Code: "odd", Message: "a refusal without a status"}, 409},
		{incidentstore.Command{Status: 200, Code: "odd", Message: "a refusal that says it is none"}, 409},
		{incidentstore.Command{Status: 503, Code: "storage", Message: "try again"}, 503},
	} {
		answers.Store(&tc.told)
		a := r.ask("ann", http.MethodPost, "/v1/intents/"+intentID+"/approve", "")
		assert.Equal(t, tc.status, a.status)
		assert.Equal(t, tc.told.Code, a.code())
		assert.Contains(t, a.raw, tc.told.Message)
	}
	assert.Contains(t, r.auditText(), "does not name ann")
}

// TestUnanswered says where to look for an answer that did not come in time.
func TestUnanswered(t *testing.T) {
	r := filled(t, func(s *Settings) { s.CommandWait = 50 * time.Millisecond })
	a := r.ask("ann", http.MethodPost, "/v1/intents/"+intentID+"/approve", "")
	require.Equal(t, http.StatusAccepted, a.status, a.raw)
	assert.Equal(t, "pending", a.body["state"])
	where := a.header.Get("Location")
	assert.Equal(t, "/v1/commands/"+a.body["id"].(string), where)
	assert.Equal(t, "pending", r.get(where)["state"])
	r.executor(done(`{}`))
	r.ask("ann", http.MethodPost, "/v1/deadletters/replay", `{"destination": "chat"}`) // wakes it
	assert.Eventually(t, func() bool { return r.get(where)["state"] == "done" }, 10*time.Second, 10*time.Millisecond)
	assert.Equal(t, http.StatusNotFound, r.ask("ann", http.MethodGet, "/v1/commands/nothing", "").status)
	assert.Equal(t, CommandUnanswered, r.seen.fates()[0])
}

// TestExpired says that nobody took a command in its time.
func TestExpired(t *testing.T) {
	r := filled(t, nil)
	_, err := r.api.passOn(&incidentstore.Command{ID: "c-1", State: incidentstore.CommandExpired})
	said := r.api.asRefusal(nil, err)
	assert.Equal(t, http.StatusServiceUnavailable, said.Status)
	assert.Equal(t, "expired", said.Code)
	assert.Equal(t, []CommandFate{CommandExpired}, r.seen.fates())
}

func TestMailboxIsFull(t *testing.T) {
	r := filled(t, func(s *Settings) { s.CommandWait = 0 })
	for range 50 {
		require.Equal(t, http.StatusAccepted, r.ask("ann", http.MethodPost, "/v1/intents/"+intentID+"/approve", "").status)
	}
	a := r.ask("ann", http.MethodPost, "/v1/intents/"+intentID+"/approve", "")
	assert.Equal(t, http.StatusServiceUnavailable, a.status)
	assert.Equal(t, "full", a.code())
	assert.NotEmpty(t, a.header.Get("Retry-After"))
}

func TestBadCommands(t *testing.T) {
	r := filled(t, func(s *Settings) { s.CommandWait, s.Operators = 0, []string{"ann"} })
	many, err := json.Marshal(strings.Split(strings.Repeat("a,", 200)+"a", ","))
	require.NoError(t, err)
	for _, tc := range []struct{ path, body, code string }{
		{"/v1/intents/x/approve", "", "intent"},
		{"/v1/intents/" + intentID + "/approve", `{"plan_digest": "x"}`, "plan_digest"},
		{"/v1/intents/" + intentID + "/deny", `{"verdict": "granted"}`, "body"},
		{"/v1/intents/" + intentID + "/undo", `{"force": true}`, "body"},
		{"/v1/deadletters/replay", ``, "replay"},
		{"/v1/deadletters/replay", `{"ids": ["a"], "destination": "b"}`, "replay"},
		{"/v1/deadletters/replay", `{"ids": [""]}`, "replay"},
		{"/v1/deadletters/replay", `{"ids": ` + string(many) + `}`, "replay"},
		{"/v1/deadletters/replay", `{"destination": "a\u0000"}`, "replay"},
		{"/v1/breakers/%20/x/reset", ``, "breaker"},
		{"/v1/breakers/g/%00/reset", ``, "breaker"},
	} {
		a := r.ask("ann", http.MethodPost, tc.path, tc.body)
		assert.Equal(t, http.StatusBadRequest, a.status, tc.path+tc.body)
		assert.Equal(t, tc.code, a.code(), tc.path+tc.body)
	}
	for _, path := range []string{"/v1/deadletters/replay", "/v1/breakers/g/k/reset"} {
		assert.Equal(t, "operator", r.ask("bob", http.MethodPost, path, "").code(), path)
	}
}

// TestIdempotency gives a command once, however often it is repeated.
func TestIdempotency(t *testing.T) {
	r := filled(t, nil)
	var count atomic.Int64
	r.executor(func(c incidentstore.Command) incidentstore.Command {
		count.Add(1)
		return done(`{}`)(c)
	})
	path := "/v1/intents/" + intentID + "/approve"
	first := r.ask("ann", http.MethodPost, path, `{"comment": "go"}`, keyHeader, "k-1")
	require.Equal(t, http.StatusOK, first.status, first.raw)
	var together sync.WaitGroup
	for range 10 {
		together.Go(func() {
			again := r.ask("ann", http.MethodPost, path, `{"comment": "go"}`, keyHeader, "k-1")
			assert.Equal(t, first.raw, again.raw)
		})
	}
	together.Wait()
	assert.EqualValues(t, 1, count.Load())
	assert.Equal(t, http.StatusUnprocessableEntity, r.ask("ann", http.MethodPost, path, `{"comment": "other"}`, keyHeader, "k-1").status)
	assert.Equal(t, http.StatusOK, r.ask("bob", http.MethodPost, path, `{"comment": "go"}`, keyHeader, "k-1").status, "keys are each person's own")
	assert.EqualValues(t, 2, count.Load())
	assert.Equal(t, "idempotency_key", r.ask("ann", http.MethodPost, path, "", keyHeader, strings.Repeat("k", 201)).code())

	// Another replica, or this one after a restart, knows at least that it was given.
	other := New(r.memory, r.api.settings, r.seen)
	r.api = other
	elsewhere := r.ask("ann", http.MethodPost, path, `{"comment": "go"}`, keyHeader, "k-1")
	assert.Equal(t, http.StatusConflict, elsewhere.status)
	assert.EqualValues(t, 2, count.Load())
}

// TestIdempotencyOfFailures lets a request be repeated whose failure may pass.
func TestIdempotencyOfFailures(t *testing.T) {
	now := time.Now()
	s := newAnswers()
	kept, first := s.begin("k", [32]byte{}, now)
	require.True(t, first)
	s.forget("k", kept)
	_, first = s.begin("k", [32]byte{}, now)
	assert.True(t, first)
	_, first = s.begin("k", [32]byte{}, now.Add(answerAge-1))
	assert.False(t, first)
	_, first = s.begin("k", [32]byte{}, now.Add(answerAge))
	assert.True(t, first, "an answer is kept for a time")
	for i := range 3 * maxAnswers {
		s.begin(strings.Repeat("x", i+1), [32]byte{}, now)
	}
	assert.Len(t, s.kept, maxAnswers)
	assert.Len(t, s.order, maxAnswers)
}
