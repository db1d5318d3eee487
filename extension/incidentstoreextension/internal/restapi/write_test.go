package restapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"
)

func TestAcknowledge(t *testing.T) {
	r := filled(t, nil)
	a := r.ask("ann", http.MethodPost, "/v1/incidents/i-1/acknowledge", `{"comment": "I am\non it"}`)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	ack := a.body["acknowledgment"].(map[string]any)
	assert.Equal(t, "ann", ack["by"])
	assert.Equal(t, "I am on it", ack["comment"], "one line")
	gone := r.ask("bob", http.MethodDelete, "/v1/incidents/i-1/acknowledge", "")
	require.Equal(t, http.StatusOK, gone.status)
	assert.NotContains(t, gone.body, "acknowledgment")
	again := r.ask("bob", http.MethodDelete, "/v1/incidents/i-1/acknowledge", "")
	assert.Equal(t, http.StatusConflict, again.status)
	assert.Equal(t, http.StatusNotFound, r.ask("ann", http.MethodPost, "/v1/incidents/nothing/acknowledge", "").status)
}

func TestFeedback(t *testing.T) {
	r := filled(t, nil)
	a := r.ask("ann", http.MethodPost, "/v1/incidents/i-1/feedback", `{"verdict": "wrong_cause", "cause": {"type": "database", "name": "orders"}, "cause_kind": "disk", "comment": "it was full"}`)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	given := a.body["feedback"].([]any)
	require.Len(t, given, 1)
	assert.Equal(t, map[string]any{"type": "database", "name": "orders"}, given[0].(map[string]any)["cause"])
	a = r.ask("ann", http.MethodPost, "/v1/incidents/i-1/feedback", `{"verdict": "false_alarm"}`)
	require.Len(t, a.body["feedback"], 1, "the latest word of a person counts")
	for body, want := range map[string]string{
		``:                       "verdict must be",
		`{"verdict": "perhaps"}`: "verdict must be",
		`{"verdict": "right_cause", "cause": {"type": "service", "name": "x"}}`:        "cause and cause_kind must be unset with right_cause",
		`{"verdict": "wrong_cause", "cause": {"type": "", "name": "x"}}`:               "cause must have a type",
		`{"verdict": "wrong_cause", "cause": {"type": "service", "name": "a\u0000b"}}`: "cause must have a type",
		`{"verdict": "wrong_cause", "cause_kind": "gremlins"}`:                         "cause_kind must be one of",
	} {
		a := r.ask("ann", http.MethodPost, "/v1/incidents/i-1/feedback", body)
		assert.Equal(t, http.StatusBadRequest, a.status, body)
		assert.Contains(t, a.raw, want, body)
	}
}

func TestSilences(t *testing.T) {
	r := newRig(t, func(s *Settings) { s.Operators = []string{"ann"} })
	a := r.ask("ann", http.MethodPost, "/v1/silences", `{"kind": "maintenance", "duration": "2h", "comment": "upgrade", "services": ["shop/*"], "cause_kinds": ["latency"], "max_severity": "major"}`)
	require.Equal(t, http.StatusCreated, a.status, a.raw)
	id := a.body["id"].(string)
	assert.Equal(t, "ann", a.body["by"])
	later := time.Now().Add(time.Hour).UTC()
	b := r.ask("ann", http.MethodPost, "/v1/silences", `{"kind": "silence", "start": "`+later.Format(time.RFC3339)+`", "end": "`+later.Add(time.Hour).Format(time.RFC3339)+`", "comment": "known"}`)
	require.Equal(t, http.StatusCreated, b.status, b.raw)
	assert.Len(t, r.get("/v1/silences")["silences"], 2)
	assert.Len(t, r.get("/v1/silences?active=true")["silences"], 1)
	assert.Len(t, r.get("/v1/status")["active_silences"], 1)

	assert.Equal(t, http.StatusForbidden, r.ask("bob", http.MethodDelete, "/v1/silences/"+id, "").status)
	assert.Equal(t, http.StatusOK, r.ask("ann", http.MethodDelete, "/v1/silences/"+id, "").status)
	assert.Equal(t, http.StatusConflict, r.ask("ann", http.MethodDelete, "/v1/silences/"+id, "").status)
	assert.Equal(t, http.StatusNotFound, r.ask("ann", http.MethodDelete, "/v1/silences/nothing", "").status)
	assert.Empty(t, r.get("/v1/silences?active=true")["silences"])

	assert.Equal(t, http.StatusForbidden, r.ask("bob", http.MethodPost, "/v1/silences", `{"kind": "silence", "duration": "1h", "comment": "x"}`).status)
	globs, err := json.Marshal(strings.Split(strings.Repeat("a,", 101)+"a", ","))
	require.NoError(t, err)
	for body, code := range map[string]string{
		`{"kind": "nap", "duration": "1h", "comment": "x"}`:                                                                 "kind",
		`{"kind": "silence", "comment": "x"}`:                                                                               "end",
		`{"kind": "silence", "duration": "1h"}`:                                                                             "comment",
		`{"kind": "silence", "duration": "25h", "comment": "x"}`:                                                            "end",
		`{"kind": "silence", "duration": "-1h", "comment": "x"}`:                                                            "end",
		`{"kind": "silence", "duration": "soon", "comment": "x"}`:                                                           "end",
		`{"kind": "silence", "duration": "1h", "end": "2026-01-01T00:00:00Z", "comment": "x"}`:                              "end",
		`{"kind": "silence", "end": "2026-01-01T00:00:00Z", "comment": "x"}`:                                                "end",
		`{"kind": "silence", "end": "9999-01-01T00:00:00Z", "comment": "x"}`:                                                "end",
		`{"kind": "silence", "start": "2020-01-01T00:00:00Z", "end": "` + later.Format(time.RFC3339) + `", "comment": "x"}`: "start",
		`{"kind": "silence", "duration": "1h", "comment": "x", "services": ["[a"]}`:                                         "services",
		`{"kind": "silence", "duration": "1h", "comment": "x", "services": [""]}`:                                           "services",
		`{"kind": "silence", "duration": "1h", "comment": "x", "services": ` + string(globs) + `}`:                          "services",
		`{"kind": "silence", "duration": "1h", "comment": "x", "cause_kinds": ["gremlins"]}`:                                "cause_kinds",
		`{"kind": "silence", "duration": "1h", "comment": "x", "max_severity": "huge"}`:                                     "max_severity",
		`{"kind": "silence", "duration": "1h", "comment": "x", "cause_kinds": ["cpu"` + strings.Repeat(`,"cpu"`, 20) + `]}`: "cause_kinds",
	} {
		a := r.ask("ann", http.MethodPost, "/v1/silences", body)
		assert.Equal(t, http.StatusBadRequest, a.status, "%s %s", body, a.raw)
		assert.Equal(t, code, a.code(), body)
	}
}

func TestPause(t *testing.T) {
	r := newRig(t, func(s *Settings) { s.Operators = []string{"ann"} })
	assert.Equal(t, false, r.get("/v1/pause")["paused"])
	assert.Equal(t, http.StatusConflict, r.ask("ann", http.MethodDelete, "/v1/pause", "").status, "nobody has paused")
	assert.Equal(t, http.StatusForbidden, r.ask("bob", http.MethodPost, "/v1/pause", "").status)
	a := r.ask("ann", http.MethodPost, "/v1/pause", `{"reason": "release", "duration": "30m"}`)
	require.Equal(t, http.StatusOK, a.status, a.raw)
	pause := a.body["pause"].(map[string]any)
	assert.Equal(t, "release", pause["reason"])
	assert.Contains(t, pause, "until")
	assert.Equal(t, true, r.get("/v1/status")["paused"])
	forever := r.ask("ann", http.MethodPost, "/v1/pause", "")
	assert.NotContains(t, forever.body["pause"], "until")
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	assert.Equal(t, http.StatusOK, r.ask("ann", http.MethodPost, "/v1/pause", `{"until": "`+until+`"}`).status)
	assert.Equal(t, http.StatusForbidden, r.ask("bob", http.MethodDelete, "/v1/pause", "").status)
	over := r.ask("ann", http.MethodDelete, "/v1/pause", "")
	require.Equal(t, http.StatusOK, over.status)
	assert.Equal(t, false, over.body["paused"])
	assert.Equal(t, "until", r.ask("ann", http.MethodPost, "/v1/pause", `{"until": "2020-01-01T00:00:00Z"}`).code())
	assert.Contains(t, r.auditText(), "api::operators does not name bob", "what was refused is in the audit, too")
}

// TestReadOnly changes nothing for anybody without an authenticator, and lets only this machine look.
func TestReadOnly(t *testing.T) {
	r := filled(t, func(s *Settings) { s.Authenticated = false })
	for path, methods := range r.api.routes {
		if strings.HasPrefix(path, "/decide") {
			continue
		}
		path = strings.NewReplacer("{id}", intentID, "{guard}", "g", "{key}", "k").Replace(path)
		for _, method := range methods {
			if method == http.MethodGet {
				continue
			}
			a := r.ask("", method, path, "")
			assert.Equal(t, http.StatusForbidden, a.status, "%s %s", method, path)
			assert.Equal(t, "read_only", a.code(), "%s %s", method, path)
		}
	}
	status := r.ask("", http.MethodGet, "/v1/status", "")
	assert.Equal(t, http.StatusOK, status.status)
	assert.Equal(t, true, status.body["read_only"])
	assert.Equal(t, false, status.body["operator"])
	for host, want := range map[string]int{
		"localhost:8098": 200, "LOCALHOST": 200, "127.0.0.1": 200, "[::1]:8098": 200, "[::1]": 200, "[::ffff:127.0.0.1]:1": 200,
		"evil.example": 403, "127.0.0.1.evil.example:8098": 403, "": 403, "10.0.0.1": 403, "localhost.evil.example": 403,
	} {
		req := httptest.NewRequest(http.MethodGet, "/v1/status", nil)
		req.Host = host
		assert.Equal(t, want, r.serve("", req, "").status, host)
	}
	assert.NotContains(t, r.auditText(), "read_only", "who is unknown does not fill the audit")
}

// TestIdentity takes nobody for a person who may be another, or nobody.
func TestIdentity(t *testing.T) {
	ask := func(r *rig, p person) int {
		req := httptest.NewRequest(http.MethodGet, "/v1/status", nil)
		req = req.WithContext(client.NewContext(req.Context(), client.Info{Auth: p}))
		return r.serve("", req, "").status
	}
	r := newRig(t, nil)
	for name, p := range map[string]person{
		"none": {}, "empty": {"username": ""}, "space": {"username": " ann"}, "control": {"username": "a\x00nn"}, "long": {"username": strings.Repeat("a", 129)},
		"not text": {"username": 1}, "a link": {"username": "link:chat"}, "other attribute": {"raw": "ann"},
	} {
		assert.Equal(t, http.StatusForbidden, ask(r, p), name)
	}
	assert.Equal(t, http.StatusOK, ask(r, person{"subject": "ann"}))
	mail := newRig(t, func(s *Settings) { s.Identity = "email" })
	assert.Equal(t, http.StatusForbidden, ask(mail, person{"username": "ann"}))
	assert.Equal(t, http.StatusOK, ask(mail, person{"email": "ann@example.com"}))
}

func TestBodies(t *testing.T) {
	r := filled(t, nil)
	const path = "/v1/incidents/i-1/acknowledge"
	for body, status := range map[string]int{
		`{"comment": "x"} {}`: 400, `{"comment": 1}`: 400, `[]`: 400, `{`: 400, `{"other": 1}`: 400, "null": 200, " \n": 200,
		`{"comment": "` + strings.Repeat("x", bodyLimit) + `"}`: 413,
	} {
		req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		req.Body = http.MaxBytesReader(w, req.Body, bodyLimit)
		r.api.ServeHTTP(w, req.WithContext(client.NewContext(req.Context(), client.Info{Auth: person{"username": "ann"}})))
		assert.Equal(t, status, w.Code, "%.40s", body)
	}
	assert.Equal(t, http.StatusUnsupportedMediaType, r.ask("ann", http.MethodPost, path, `{}`, "Content-Type", "text/plain").status)
	long := r.ask("ann", http.MethodPost, path, `{"comment": "`+strings.Repeat("x", 600)+`"}`)
	assert.Len(t, []rune(long.body["acknowledgment"].(map[string]any)["comment"].(string)), maxComment)
}

// TestRefusalsAreBounded keeps who is refused again and again from filling the audit.
func TestRefusalsAreBounded(t *testing.T) {
	r := newRig(t, func(s *Settings) { s.Operators = []string{"ann"} })
	for range 120 {
		r.ask("bob", http.MethodPost, "/v1/pause", "")
	}
	r.seen.locked(func() { assert.Positive(t, r.seen.unnoted) })
	assert.LessOrEqual(t, strings.Count(r.auditText(), "does not name bob"), 110)
}
