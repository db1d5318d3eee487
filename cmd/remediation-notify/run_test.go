package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// receiver answers each path in its own way, and keeps what it took.
func receiver(t *testing.T) (url string, bodies func() string) {
	var mu sync.Mutex
	var all strings.Builder
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		fmt.Fprintf(&all, "%s %s\n", r.URL.Path, body)
		mu.Unlock()
		switch r.URL.Path {
		case "/denied":
			http.Error(w, "bad token", http.StatusForbidden)
		case "/nothing":
			http.NotFound(w, r)
		case "/gone":
			w.WriteHeader(http.StatusGone)
		case "/busy":
			w.WriteHeader(http.StatusTooManyRequests)
		case "/elsewhere":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/wrong":
			http.Error(w, "no such field", http.StatusBadRequest)
		case "/slow":
			<-r.Context().Done()
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, func() string {
		mu.Lock()
		defer mu.Unlock()
		return all.String()
	}
}

func webhook(url, path string) string {
	return fmt.Sprintf("{endpoint: %s/%s, secrets: [%s], allow_private_ranges: true, timeout: 500ms}", url, path, secret)
}

func try(t *testing.T, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	assert.NotContains(t, out.String()+errs.String(), strings.TrimPrefix(secret, "whsec_"))
	return code, out.String(), errs.String()
}

func TestTaken(t *testing.T) {
	url, bodies := receiver(t)
	file := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`exporters:
  debug: {}
  remediation:
    webhooks:
      chat: `+webhook(url, "chat")+`
      ends: {endpoint: `+url+`/ends, secrets: [`+secret+`], allow_private_ranges: true, events: [incident.resolved]}
    notifiers:
      dora: {cdevents: {endpoint: `+url+`/dora, secrets: [`+secret+`], environment: test}, allow_private_ranges: true}
      own:
        allow_private_ranges: true
        template: {endpoint: `+url+`/own, body: '{"text": "{{ .Summary }}"}'}
`), 0o600))
	code, stdout, stderr := try(t, "-config", file)
	assert.Equal(t, exitOK, code, stdout+stderr)
	rows := strings.Split(strings.TrimSpace(stdout), "\n")
	require.Len(t, rows, 9)
	for i, want := range []string{
		`^chat +webhook +incident\.opened +taken`, `^chat +webhook +incident\.resolved +taken`, `^dora +cdevents +incident\.opened +taken`, `^dora +cdevents +incident\.resolved +taken`,
		`^ends +webhook +incident\.opened +not sent +- +its events do not include this`, `^ends +webhook +incident\.resolved +taken`, `^own +template +incident\.opened +taken`, `^own +template +incident\.resolved +taken`,
	} {
		assert.Regexp(t, want, rows[i+1])
	}
	for _, line := range strings.Split(strings.TrimSpace(bodies()), "\n") {
		assert.Contains(t, line, "TEST", "everybody sees that it is a test")
	}

	before := len(bodies())
	code, stdout, _ = try(t, "-config", file, "-exporter", "remediation", "-destination", "own")
	assert.Equal(t, exitOK, code)
	assert.Equal(t, 3, strings.Count(stdout, "\n"))
	assert.NotContains(t, bodies()[before:], "/chat")
}

func TestReasons(t *testing.T) {
	url, _ := receiver(t)
	for path, want := range map[string]string{
		"denied": "it does not accept our credentials: answered 403", "nothing": "there is nothing at this address", "gone": "it says that it is gone",
		"busy": "it is busy or broken", "elsewhere": "it sends us elsewhere, which is never followed", "wrong": `it does not take this message: answered 400: "no such field`,
		"slow": "it does not answer in time",
	} {
		t.Run(path, func(t *testing.T) {
			code, stdout, stderr := try(t, "-config", "yaml:exporters::remediation/x::webhooks: {chat: "+webhook(url, path)+"}")
			assert.Equal(t, exitFailed, code, stderr)
			assert.Contains(t, stdout, want)
			assert.Contains(t, stdout, "the beginning was not taken")
		})
	}
	for name, tc := range map[string]struct{ endpoint, extra, want string }{
		"private":   {"http://private.localhost.test.invalid", "", "its name does not resolve"},
		"untrusted": {"https://127.0.0.1:1", "allow_private_ranges: true", "it could not be reached"},
		"extension": {"https://example.com", "auth: {authenticator: oauth2client/pager}", "it cannot be tried from here, since its client uses oauth2client/pager, which runs in the collector only"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := try(t, "-config", fmt.Sprintf("yaml:exporters::remediation::webhooks: {chat: {endpoint: %q, secrets: [%s], %s}}", tc.endpoint, secret, tc.extra))
			assert.Equal(t, exitFailed, code, stderr)
			assert.Contains(t, stdout, tc.want)
		})
	}
}

func TestUsage(t *testing.T) {
	two := "yaml:exporters: {remediation: {webhooks: {a: " + webhook("http://localhost:1", "a") + "}}, remediation/b: {webhooks: {a: " + webhook("http://localhost:1", "a") + "}}}"
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing":         {nil, exitError, "usage: remediation-notify"},
		"help":            {[]string{"-h"}, exitOK, "usage: remediation-notify"},
		"no such flag":    {[]string{"-x"}, exitError, "flag provided but not defined"},
		"argument":        {[]string{"-config", "a", "b"}, exitError, "usage: remediation-notify"},
		"no such file":    {[]string{"-config", "none.yaml"}, exitError, "none.yaml"},
		"no exporter":     {[]string{"-config", "yaml:exporters: {debug: {}}"}, exitError, "exporters must hold a remediation exporter, got none"},
		"which":           {[]string{"-config", two}, exitError, "choose one of [remediation remediation/b] by -exporter"},
		"no such ID":      {[]string{"-config", two, "-exporter", "remediation/c"}, exitError, "exporters must hold remediation/c"},
		"no such name":    {[]string{"-config", two, "-exporter", "remediation/b", "-destination", "c"}, exitError, `destination must be one of webhooks or notifiers, got "c"`},
		"invalid":         {[]string{"-config", "yaml:exporters: {remediation: {notifiers: {a: {}}}}"}, exitError, "exactly one of alertmanager, cdevents, "},
		"no destinations": {[]string{"-config", "yaml:exporters: {remediation: {kubernetes: {}}}"}, exitError, "has neither webhooks nor notifiers"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := try(t, tc.args...)
			assert.Equal(t, tc.code, code, stdout+stderr)
			assert.Contains(t, stderr, tc.want)
		})
	}
}
