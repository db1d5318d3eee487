package remediationexporter

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/basicauthextension"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/extension/extensiontest"
)

// person is what an authenticator knows of a caller.
type person map[string]any

func (p person) GetAttribute(name string) any { return p[name] }
func (p person) GetAttributeNames() []string  { return nil }

// answer is what the api said.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

func (a answer) code() string {
	e, _ := a.body["error"].(map[string]any)
	s, _ := e["code"].(string)
	return s
}

func newAnswer(t testing.TB, status int, h http.Header, body io.Reader) answer {
	t.Helper()
	b, err := io.ReadAll(body)
	require.NoError(t, err)
	a := answer{status: status, header: h, raw: string(b)}
	if h.Get("Content-Type") == "application/json" && len(b) > 0 {
		require.NoError(t, json.Unmarshal(b, &a.body), a.raw)
	}
	return a
}

// withAPI says how the api is, with authentication unless open. In a bubble it does not listen.
func (r *rig) withAPI(open bool, edit func(*APIConfig)) {
	cfg := defaultAPI()
	cfg.NetAddr.Endpoint = "127.0.0.1:0"
	if !open {
		cfg.Auth = configoptional.Some(confighttp.AuthConfig{Config: configauth.Config{AuthenticatorID: component.MustNewID("basicauth")}})
	}
	if edit != nil {
		edit(&cfg)
	}
	require.NoError(r.t, cfg.Validate())
	r.api = &cfg
}

// listen makes the api listen on a free port. Events count as fresh, since their time is not that of the test.
func (r *rig) listen() {
	r.cfg.API = configoptional.Some(*r.api)
	r.cfg.MaxEventAge = 0
	r.start()
}

// basicAuth adds the authenticator, with everybody's name as the password.
func (r *rig) basicAuth(names ...string) {
	r.t.Helper()
	factory := basicauthextension.NewFactory()
	cfg := factory.CreateDefaultConfig().(*basicauthextension.Config)
	cfg.Htpasswd = &basicauthextension.HtpasswdSettings{}
	for _, name := range names {
		cfg.Htpasswd.Inline += name + ":" + name + "\n"
	}
	ext, err := factory.Create(r.t.Context(), extensiontest.NewNopSettings(factory.Type()), cfg)
	require.NoError(r.t, err)
	require.NoError(r.t, ext.Start(r.t.Context(), r.host))
	r.host.extensions[component.MustNewID("basicauth")] = ext
}

// over asks the api over the network, as a person unless that is empty.
func (r *rig) over(by, method, path, body string) answer {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.exporter().apiAddress+path, strings.NewReader(body))
	require.NoError(r.t, err)
	if by != "" {
		req.SetBasicAuth(by, by)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(r.t, err)
	defer resp.Body.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	return newAnswer(r.t, resp.StatusCode, resp.Header, resp.Body)
}

func (r *rig) exporter() *remediationExporter { return r.exp.(*logsView).lease.Engine() }

// ask asks the api's handler, without a network, so that it can be done in a bubble.
func (r *rig) ask(by, method, path, body string) answer {
	r.t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return r.serve(by, req)
}

func (r *rig) serve(by string, req *http.Request) answer {
	r.t.Helper()
	w := httptest.NewRecorder()
	req.Body = http.MaxBytesReader(w, req.Body, r.api.MaxRequestBodySize)
	if by != "" {
		req = req.WithContext(client.NewContext(req.Context(), client.Info{Auth: person{"username": by}}))
	}
	newAPI(r.exporter(), r.api).ServeHTTP(w, req)
	return newAnswer(r.t, w.Code, w.Header(), w.Body)
}

// approvalRig is a rig with a playbook that waits for people, on a disk.
func approvalRig(t testing.TB, edit func(*PlaybookConfig)) *rig {
	r := newRig(t, "shop")
	r.durable(&memoryStorage{data: map[string][]byte{}})
	r.playbook("restart", "shop", func(p *PlaybookConfig) {
		p.Mode = "approve"
		if edit != nil {
			edit(p)
		}
	})
	r.withAPI(false, nil)
	return r
}

// waiting returns the one intent that waits for approval.
func (r *rig) waiting() string {
	r.t.Helper()
	a := r.ask("viewer", http.MethodGet, "/v1/intents?state=awaiting_approval", "")
	require.Equal(r.t, http.StatusOK, a.status, a.raw)
	list := a.body["intents"].([]any)
	require.Len(r.t, list, 1)
	return list[0].(map[string]any)["intent"].(string)
}

// TestAPIOverHTTP walks through every endpoint on a real connection with a real authenticator.
func TestAPIOverHTTP(t *testing.T) {
	r := approvalRig(t, func(p *PlaybookConfig) { p.Approval.Approvers = 2 })
	r.basicAuth("ann", "bob")
	r.listen()
	r.must(opened("i-1"))

	assert.Equal(t, http.StatusUnauthorized, r.over("", http.MethodGet, "/v1/status", "").status)
	assert.Equal(t, http.StatusUnauthorized, r.over("eve", http.MethodGet, "/v1/status", "").status)
	status := r.over("ann", http.MethodGet, "/v1/status", "")
	require.Equal(t, http.StatusOK, status.status, status.raw)
	assert.Equal(t, map[string]any{"awaiting_approval": 1.0}, status.body["intents"])
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Referrer-Policy": "no-referrer",
	} {
		assert.Equal(t, value, status.header.Get(name), name)
	}

	list := r.over("ann", http.MethodGet, "/v1/intents", "").body["intents"].([]any)
	require.Len(t, list, 1)
	intent := list[0].(map[string]any)["intent"].(string)
	detail := r.over("ann", http.MethodGet, "/v1/intents/"+intent, "")
	require.Equal(t, http.StatusOK, detail.status)
	assert.Contains(t, detail.body["explanation"], "0 of 2 have approved restart (step 0 of playbook restart) on service:shop/payment")

	first := r.over("ann", http.MethodPost, "/v1/intents/"+intent+"/approve", `{"comment": "go"}`)
	require.Equal(t, http.StatusOK, first.status, first.raw)
	assert.Equal(t, "awaiting_approval", first.body["state"])
	again := r.over("ann", http.MethodPost, "/v1/intents/"+intent+"/approve", "")
	assert.Equal(t, http.StatusOK, again.status)
	assert.Equal(t, true, again.body["repeated"], "one person is one approval")
	second := r.over("bob", http.MethodPost, "/v1/intents/"+intent+"/approve", "")
	require.Equal(t, http.StatusOK, second.status, second.raw)
	assert.Contains(t, []any{"pending", "dispatched", "accepted"}, second.body["state"])

	for _, path := range []string{"/v1/pause", "/v1/breakers", "/v1/budget", "/v1/storm", "/v1/outcomes"} {
		assert.Equal(t, http.StatusOK, r.over("ann", http.MethodGet, path, "").status, path)
	}
	assert.Equal(t, http.StatusOK, r.over("ann", http.MethodPost, "/v1/pause", `{"reason": "night"}`).status)
	assert.Equal(t, http.StatusOK, r.over("ann", http.MethodDelete, "/v1/pause", "").status)
	assert.Equal(t, http.StatusConflict, r.over("ann", http.MethodPost, "/v1/intents/"+intent+"/undo", "").status)
	assert.Equal(t, http.StatusNotFound, r.over("ann", http.MethodPost, "/v1/breakers/fleet_breaker/none/reset", "").status)
	r.stop()
}

// TestAPIWithoutAuth lets anybody on this machine look, and nobody do anything.
func TestAPIWithoutAuth(t *testing.T) {
	r := approvalRig(t, nil)
	r.withAPI(true, nil)
	r.listen()
	r.must(opened("i-1"))
	get := r.over("", http.MethodGet, "/v1/intents", "")
	require.Equal(t, http.StatusOK, get.status)
	intent := get.body["intents"].([]any)[0].(map[string]any)["intent"].(string)
	for method, path := range map[string]string{
		http.MethodPost: "/v1/intents/" + intent + "/approve", http.MethodDelete: "/v1/pause",
	} {
		a := r.over("", method, path, "")
		assert.Equal(t, http.StatusForbidden, a.status, path)
		assert.Equal(t, "read_only", a.code())
	}
	elsewhere := httptest.NewRequest(http.MethodGet, "http://evil.example.com/v1/intents", nil)
	assert.Equal(t, "host", r.serve("", elsewhere).code(), "a name of elsewhere that resolves to this machine")
	r.stop()
	assert.Empty(t, actions(r.hooks["shop"]))
}

func TestAPIRefusesOtherSites(t *testing.T) {
	r := approvalRig(t, nil)
	r.basicAuth("ann")
	r.listen()
	r.must(opened("i-1"))
	intent := r.over("ann", http.MethodGet, "/v1/intents", "").body["intents"].([]any)[0].(map[string]any)["intent"].(string)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.exporter().apiAddress+"/v1/intents/"+intent+"/approve", nil)
	require.NoError(t, err)
	req.SetBasicAuth("ann", "ann") // a browser adds it by itself
	req.Header.Set("Origin", "https://evil.example.com")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	assert.Equal(t, http.StatusForbidden, resp.StatusCode)
	r.stop()
	assert.Empty(t, actions(r.hooks["shop"]))
}

func TestAPIStatusCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := approvalRig(t, func(p *PlaybookConfig) { p.Approval.Allowed = []string{"ann", "bob"} })
		r.start()
		r.must(opened("i-1"))
		approve := "/v1/intents/" + r.waiting() + "/approve"
		unknown := "/v1/intents/" + strings.Repeat("0", 32) + "/approve"
		for name, tc := range map[string]struct {
			by, method, path, body string
			status                 int
			code                   string
		}{
			"nothing here":     {"ann", "GET", "/", "", 404, "not_found"},
			"no such endpoint": {"ann", "GET", "/v2/intents", "", 404, "not_found"},
			"method":           {"ann", "PUT", approve, "", 405, "method"},
			"no such intent":   {"ann", "POST", unknown, "", 404, "unknown_intent"},
			"not an intent":    {"ann", "POST", "/v1/intents/..%2F..%2Fetc/approve", "", 400, "intent"},
			"nobody":           {"", "POST", approve, "", 403, "identity"},
			"not allowed":      {"eve", "POST", approve, "", 403, "forbidden"},
			"not JSON":         {"ann", "POST", approve, "{", 400, "body"},
			"another field":    {"ann", "POST", approve, `{"by": "bob"}`, 400, "body"},
			"two values":       {"ann", "POST", approve, `{} {}`, 400, "body"},
			"too large":        {"ann", "POST", approve, `{"comment": "` + strings.Repeat("x", 17<<10) + `"}`, 413, "body_size"},
			"bad limit":        {"ann", "GET", "/v1/intents?limit=0", "", 400, "limit"},
			"bad cursor":       {"ann", "GET", "/v1/intents?cursor=x", "", 400, "cursor"},
			"bad parameter":    {"ann", "GET", "/v1/intents?order=up", "", 400, "query"},
		} {
			a := r.ask(tc.by, tc.method, tc.path, tc.body)
			assert.Equal(t, tc.status, a.status, name)
			assert.Equal(t, tc.code, a.code(), name)
		}
		form := httptest.NewRequest(http.MethodPost, approve, strings.NewReader(`{}`))
		form.Header.Set("Content-Type", "text/plain")
		assert.Equal(t, 415, r.serve("ann", form).status)
		assert.Equal(t, "DELETE, GET, HEAD, POST", r.ask("ann", "PUT", "/v1/pause", "").header.Get("Allow"))

		r.disk.setFail(true)
		assert.Equal(t, 503, r.ask("ann", "POST", approve, "").status)
		r.disk.setFail(false)
		require.NotEmpty(t, r.waiting(), "what could not be stored has not happened")
		require.Equal(t, 200, r.ask("ann", "POST", approve, "").status)
		synctest.Wait()
		assert.Equal(t, 409, r.ask("bob", "POST", approve, "").status, "it has been carried out")
		require.Len(t, actions(r.hooks["shop"]), 1)
		r.stop()
	})
}

func TestApprovalExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := approvalRig(t, func(p *PlaybookConfig) { p.Approval.Within = time.Minute })
		r.start()
		r.must(opened("i-1"))
		intent := r.waiting()
		time.Sleep(time.Minute)
		a := r.ask("ann", "POST", "/v1/intents/"+intent+"/approve", "")
		assert.Equal(t, 410, a.status, a.raw)
		time.Sleep(2 * time.Second)
		assert.Equal(t, 410, r.ask("ann", "POST", "/v1/intents/"+intent+"/approve", "").status)
		assert.Equal(t, 410, r.ask("ann", "POST", "/v1/intents/"+intent+"/deny", "").status)
		r.stop()
		assert.Empty(t, actions(r.hooks["shop"]))
	})
}

// TestApprovalSurvivesARestart has one person approve before a kill, and the other after.
func TestApprovalSurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := approvalRig(t, func(p *PlaybookConfig) { p.Approval.Approvers = 2 })
		r.start()
		r.must(opened("i-1"))
		intent := r.waiting()
		require.Equal(t, 200, r.ask("ann", "POST", "/v1/intents/"+intent+"/approve", "").status)
		killed := r.disk.copy()
		r.stop()

		n := again(r, killed)
		n.start()
		assert.Equal(t, intent, n.waiting())
		assert.Equal(t, true, n.ask("ann", "POST", "/v1/intents/"+intent+"/approve", "").body["repeated"])
		synctest.Wait()
		assert.Empty(t, actions(n.hooks["shop"]))
		require.Equal(t, 200, n.ask("bob", "POST", "/v1/intents/"+intent+"/approve", "").status)
		synctest.Wait()
		assert.Len(t, actions(n.hooks["shop"]), 1)
		n.stop()
	})
}

func TestDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := approvalRig(t, nil)
		r.start()
		r.must(opened("i-1"))
		path := "/v1/intents/" + r.waiting()
		assert.Equal(t, 200, r.ask("ann", "POST", path+"/deny", "").status)
		assert.Equal(t, true, r.ask("ann", "POST", path+"/deny", "").body["repeated"])
		assert.Equal(t, 409, r.ask("bob", "POST", path+"/approve", "").status)
		assert.Contains(t, r.ask("ann", "GET", path, "").body["explanation"], "a person denied")
		synctest.Wait()
		assert.Empty(t, actions(r.hooks["shop"]))
		assert.Contains(t, r.hooks["shop"].types(), "remediation.denied.v1")
		r.stop()
	})
}

// TestApprovalLooksAtTheWorldAgain approves an action whose incident has ended, and one while automation is paused.
func TestApprovalLooksAtTheWorldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := approvalRig(t, nil)
		r.start()
		r.must(opened("i-1"))
		path := "/v1/intents/" + r.waiting() + "/approve"
		require.Equal(t, 200, r.ask("ann", "POST", "/v1/pause", `{"reason": "we fix it by hand"}`).status)
		a := r.ask("ann", "POST", path, "")
		assert.Equal(t, 200, a.status)
		assert.NotEqual(t, "awaiting_approval", a.body["state"])
		synctest.Wait()
		assert.Empty(t, actions(r.hooks["shop"]), "no call was made")
		r.stop()
	})
}

func TestPauseSurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.playbook("restart", "shop", nil)
		r.withAPI(false, func(c *APIConfig) { c.Operators = []string{"ann"} })
		r.start()
		assert.Equal(t, 403, r.ask("eve", "POST", "/v1/pause", "").status)
		assert.Equal(t, 403, r.ask("eve", "DELETE", "/v1/pause", "").status)
		a := r.ask("ann", "POST", "/v1/pause", `{"reason": "migration\u0000 of the database"}`)
		assert.Equal(t, "ann by the api: migration of the database", a.body["by"])
		r.must(opened("i-1"))
		killed := r.disk.copy()
		r.stop()
		assert.Equal(t, []string{"skipped/paused"}, r.audit())

		n := again(r, killed)
		n.start()
		n.must(on(opened("i-2"), "a"))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		assert.Empty(t, actions(n.hooks["shop"]))
		assert.Equal(t, true, n.ask("bob", "GET", "/v1/pause", "").body["paused"])
		assert.Equal(t, false, n.ask("ann", "DELETE", "/v1/pause", "").body["paused"])
		time.Sleep(5 * time.Second)
		synctest.Wait()
		assert.Len(t, actions(n.hooks["shop"]), 2, "what waited for the end of the pause goes on")
		n.stop()
		assert.NotContains(t, n.disk.copy().data, pauseKey)
	})
}

// TestPauseWithoutStorage throws the kill switch while storage fails: it holds at once, and is stored as soon as that works again.
func TestPauseWithoutStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.durable(&memoryStorage{data: map[string][]byte{}})
		r.playbook("restart", "shop", nil)
		r.withAPI(false, nil)
		r.start()
		r.disk.setFail(true)
		assert.Equal(t, 200, r.ask("ann", "POST", "/v1/pause", "").status)
		assert.Equal(t, true, r.ask("ann", "GET", "/v1/pause", "").body["paused"])
		r.disk.setFail(false)
		r.must(opened("i-1"))
		synctest.Wait()
		assert.Empty(t, actions(r.hooks["shop"]), "no call was made")
		assert.Contains(t, r.disk.copy().data, pauseKey)
		r.disk.setFail(true)
		assert.Equal(t, 503, r.ask("ann", "DELETE", "/v1/pause", "").status)
		assert.Equal(t, true, r.ask("ann", "GET", "/v1/pause", "").body["paused"], "what cannot be stored ends no pause")
		r.disk.setFail(false)
		r.stop()
	})
}

func TestPauseThatCannotBeReadStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.durable(&memoryStorage{data: map[string][]byte{pauseKey: []byte("{")}})
		r.playbook("restart", "shop", nil)
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		assert.Empty(t, actions(r.hooks["shop"]))
		r.stop()
	})
}

func TestResetBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.cfg.Breakers.Target.Failures = 1
		r.hooks["shop"].status(400, "no")
		r.playbook("restart", "shop", func(p *PlaybookConfig) { p.Cooldown = 0 })
		r.withAPI(false, nil)
		r.start()
		r.must(opened("i-1"))
		synctest.Wait()
		list := r.ask("ann", "GET", "/v1/breakers", "").body["breakers"].([]any)
		require.NotEmpty(t, list)
		r.must(opened("i-2"))
		assert.Contains(t, r.audit(), "skipped/breaker")
		path := "/v1/breakers/target_breaker/service:shop%2Fpayment/reset"
		assert.Equal(t, 200, r.ask("ann", "POST", path, "").status)
		r.must(opened("i-3"))
		synctest.Wait()
		assert.Len(t, actions(r.hooks["shop"]), 2)
		r.stop()
	})
}

func TestIntentsArePaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "shop")
		r.playbook("restart", "shop", func(p *PlaybookConfig) { p.Mode = "observe" })
		r.withAPI(false, nil)
		r.start()
		for i := range 7 {
			r.must(on(opened("i-"+string(rune('a'+i))), "shop/"+string(rune('a'+i))))
			if i%2 == 0 {
				time.Sleep(time.Second)
			}
		}
		var seen []string
		for path := "/v1/intents?limit=3"; path != ""; {
			a := r.ask("ann", "GET", path, "")
			require.Equal(t, 200, a.status, a.raw)
			for _, v := range a.body["intents"].([]any) {
				seen = append(seen, v.(map[string]any)["incident"].(string))
			}
			next, _ := a.body["next"].(string)
			if path = ""; next != "" {
				path = "/v1/intents?limit=3&cursor=" + next
			}
		}
		assert.Len(t, seen, 7)
		assert.ElementsMatch(t, []string{"i-a", "i-b", "i-c", "i-d", "i-e", "i-f", "i-g"}, seen)
		assert.ElementsMatch(t, []string{"i-f", "i-g"}, seen[:2], "the latest first")
		for query, want := range map[string]int{"incident=i-b": 1, "playbook=none": 0, "state=proposed,failed": 7, "state=failed": 0} {
			assert.Len(t, r.ask("ann", "GET", "/v1/intents?"+query, "").body["intents"], want, query)
		}
		assert.Equal(t, http.StatusBadRequest, r.ask("ann", "GET", "/v1/intents?state=proposed,waiting", "").status, "a slip must not look like nothing waits")
		r.stop()
	})
}

// TestIdentity takes the person from the authentication alone.
func TestIdentity(t *testing.T) {
	for name, tc := range map[string]struct {
		identity string
		auth     person
		want     string
	}{
		"subject first":    {"", person{"subject": "s", "username": "u"}, "s"},
		"username":         {"", person{"username": "u"}, "u"},
		"named":            {"mail", person{"username": "u", "mail": "ann@example.com"}, "ann@example.com"},
		"not a string":     {"groups", person{"groups": []string{"a"}}, ""},
		"missing":          {"mail", person{"username": "u"}, ""},
		"not printable":    {"", person{"username": "a\nb"}, ""},
		"longer than fits": {"", person{"username": strings.Repeat("x", 200)}, ""},
	} {
		a := &api{cfg: &APIConfig{Identity: tc.identity}}
		assert.Equal(t, tc.want, a.person(client.NewContext(context.Background(), client.Info{Auth: tc.auth})), name)
	}
}

// FuzzAPI sends anything to the handlers. Nothing is approved without a person, and every answer is whole.
func FuzzAPI(f *testing.F) {
	for _, path := range []string{
		"/v1/intents?state=x&limit=2", "/v1/intents/0123456789abcdef0123456789abcdef/approve", "/v1/pause", "/v1/status", "/v1/breakers/a/b%2Fc/reset",
		"/v1/audit?from=1", "/v1/deadletters/replay", "/../etc/passwd",
	} {
		f.Add("POST", path, []byte(`{"comment": "x"}`), "ann")
		f.Add("GET", path, []byte(nil), "")
	}
	r := newRig(f, "shop")
	r.playbook("restart", "shop", func(p *PlaybookConfig) { p.Mode = "approve" })
	r.withAPI(false, nil)
	r.cfg.MaxEventAge = 0
	r.start()
	f.Cleanup(r.stop)
	r.must(opened("i-1"))
	f.Fuzz(func(t *testing.T, method, path string, body []byte, by string) {
		req, err := http.NewRequest(method, path, bytes.NewReader(body))
		if err != nil || req.URL == nil {
			return
		}
		req.Header.Set("Content-Type", "application/json")
		r.t = t
		a := r.serve(by, req)
		r.t = f
		if a.status < 300 {
			require.True(t, isPerson(by))
		}
		if a.status >= 300 && a.status < 400 {
			return // the mux cleans paths
		}
		require.Contains(t, []int{200, 400, 403, 404, 405, 409, 410, 413, 415}, a.status, a.raw)
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
	})
}
