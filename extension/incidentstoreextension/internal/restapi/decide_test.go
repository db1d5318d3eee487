package restapi

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/paramedic-otel/paramedic/extension/incidentstoreextension/internal/approvallink"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/semconv"
)

// link returns the path of a link.
func (r *rig) link(edit func(*approvallink.Word)) string {
	r.t.Helper()
	w := approvallink.Word{Intent: intentID, PlanDigest: digest, Verdict: semconv.ApprovalGranted, Destination: "chat", Expires: time.Now().Add(10 * time.Minute)}
	if edit != nil {
		edit(&w)
	}
	token, err := r.signer.Sign(w)
	require.NoError(r.t, err)
	return "/decide/" + token
}

// press sends the form of a link's page.
func (r *rig) press(by, path, comment string) answer {
	r.t.Helper()
	form := url.Values{"comment": {comment}}.Encode()
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r.serve(by, req, form)
}

// TestLink shows first and decides then, once.
func TestLink(t *testing.T) {
	r := filled(t, nil)
	var last atomic.Pointer[incidentstore.Command]
	var count atomic.Int64
	r.executor(func(c incidentstore.Command) incidentstore.Command {
		last.Store(&c)
		count.Add(1)
		return done(`{}`)(c)
	})
	path := r.link(nil)
	for range 3 { // previews, and the person
		page := r.ask("", http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, page.status)
		for _, want := range []string{"<form method=\"post\"", "Deployment/shop/payment", "restart Deployment shop/payment", "1 of 2", "3 of 12", "link:chat"} {
			assert.Contains(t, page.raw, want)
		}
	}
	r.ask("", http.MethodHead, path, "")
	assert.Zero(t, count.Load(), "looking decides nothing")

	ok := r.press("", path, "go\x00 on")
	require.Equal(t, http.StatusOK, ok.status, ok.raw)
	assert.Contains(t, ok.raw, "It was approved in the name of link:chat")
	assert.Equal(t, "link:chat", last.Load().By)
	assert.JSONEq(t, `{"intent":"`+intentID+`","verdict":"granted","plan_digest":"`+digest+`","comment":"go on","source":"link"}`, string(last.Load().Arguments))

	again := r.press("ann", path, "")
	assert.Equal(t, http.StatusConflict, again.status)
	assert.Contains(t, again.raw, "used before")
	assert.EqualValues(t, 1, count.Load())

	deny := r.press("ann", r.link(func(w *approvallink.Word) { w.Verdict = semconv.ApprovalDenied }), "")
	require.Equal(t, http.StatusOK, deny.status)
	assert.Contains(t, deny.raw, "It was denied in the name of ann", "who is known decides in their own name")
	assert.Equal(t, "ann", last.Load().By)
	elsewhere := r.press("", r.link(func(w *approvallink.Word) { w.Destination = "pager" }), "")
	assert.Equal(t, http.StatusOK, elsewhere.status, "the link of another destination is another link")
	assert.Equal(t, []LinkFate{LinkDecided, LinkUsed, LinkDecided, LinkDecided}, r.seen.linkFates())
	assert.Contains(t, r.auditText(), "the link was used before")
}

// TestBadLinks refuses what is late, forged or tampered with, whether it is opened or pressed.
func TestBadLinks(t *testing.T) {
	r := filled(t, nil)
	good := r.link(nil)
	stranger, err := approvallink.NewSigner([]byte("a key of somebody else")).Sign(approvallink.Word{
		Intent: intentID, Verdict: semconv.ApprovalGranted, Destination: "chat", Expires: time.Now().Add(time.Hour),
	})
	require.NoError(t, err)
	swap := func(s string, i int) string {
		c := byte('A')
		if s[i] == c {
			c = 'B'
		}
		return s[:i] + string(c) + s[i+1:]
	}
	for name, tc := range map[string]struct {
		path   string
		status int
	}{
		"late":           {r.link(func(w *approvallink.Word) { w.Expires = time.Now().Add(-time.Second) }), http.StatusGone},
		"other key":      {"/decide/" + stranger, http.StatusNotFound},
		"other intent":   {swap(good, len("/decide/")+6), http.StatusNotFound},
		"other mac":      {swap(good, len(good)-10), http.StatusNotFound},
		"cut off":        {good[:len(good)-1], http.StatusNotFound},
		"nothing":        {"/decide/x", http.StatusNotFound},
		"unknown intent": {r.link(func(w *approvallink.Word) { w.Intent = strings.Repeat("b", 32) }), http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			page := r.ask("", http.MethodGet, tc.path, "")
			assert.Equal(t, tc.status, page.status)
			assert.NotContains(t, page.raw, "<form")
			if name != "unknown intent" { // that is for the executor to say
				assert.Equal(t, tc.status, r.press("ann", tc.path, "").status)
			}
		})
	}
	assert.Equal(t, http.StatusNotFound, r.ask("", http.MethodGet, "/decide/", "").status)
	assert.Equal(t, http.StatusMethodNotAllowed, r.ask("", http.MethodPut, good, "").status)
	odd := httptest.NewRequest(http.MethodPost, good, strings.NewReader(`{}`))
	odd.Header.Set("Content-Type", "application/json")
	assert.Equal(t, http.StatusUnsupportedMediaType, r.serve("", odd, "").status)
	large := httptest.NewRequest(http.MethodPost, good, strings.NewReader("comment="+strings.Repeat("x", bodyLimit)))
	large.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	assert.Equal(t, http.StatusRequestEntityTooLarge, r.serve("", large, "").status)
	commands, err := r.store.Take(t.Context(), "x", 10, time.Minute, time.Now())
	require.NoError(t, err)
	assert.Empty(t, commands)
}

// TestGuessing slows down who tries links, but nobody with a good one.
func TestGuessing(t *testing.T) {
	r := filled(t, nil)
	limited := false
	for range 40 {
		a := r.ask("", http.MethodGet, "/decide/guess", "")
		limited = limited || a.status == http.StatusTooManyRequests && a.header.Get("Retry-After") != ""
	}
	assert.True(t, limited)
	assert.Equal(t, http.StatusOK, r.ask("", http.MethodGet, r.link(nil), "").status)
	assert.Contains(t, r.seen.linkFates(), LinkLimited)
	assert.NotContains(t, r.auditText(), "guess", "strangers do not fill the audit")
}

// TestLinkNeedsAPerson lets nobody who is unknown decide unless that is configured.
func TestLinkNeedsAPerson(t *testing.T) {
	r := filled(t, func(s *Settings) { s.AnonymousLinks = false })
	r.executor(done(`{}`))
	path := r.link(nil)
	assert.Equal(t, http.StatusForbidden, r.ask("", http.MethodGet, path, "").status)
	assert.Equal(t, http.StatusForbidden, r.press("", path, "").status)
	assert.Equal(t, http.StatusOK, r.ask("ann", http.MethodGet, path, "").status)
	assert.Equal(t, http.StatusOK, r.press("ann", path, "").status)
}

// TestLinkIsRefused shows the executor's refusal.
func TestLinkIsRefused(t *testing.T) {
	r := filled(t, nil)
	r.executor(func(c incidentstore.Command) incidentstore.Command {
		c.State, c.Status, c.Code, c.Message = incidentstore.CommandRefused, http.StatusForbidden, "forbidden", "<b>approval::allowed</b> does not name link:chat"
		return c
	})
	a := r.press("", r.link(nil), "")
	assert.Equal(t, http.StatusForbidden, a.status)
	assert.Contains(t, a.raw, "&lt;b&gt;approval::allowed")
	assert.Equal(t, []LinkFate{LinkRefused}, r.seen.linkFates())
}

func TestLinkIsUnanswered(t *testing.T) {
	r := filled(t, func(s *Settings) { s.CommandWait = 0 })
	a := r.press("", r.link(nil), "")
	assert.Equal(t, http.StatusAccepted, a.status)
	assert.Contains(t, a.raw, "as soon as one takes it")
}

// TestLinkIsPointless shows no button where there is nothing to decide.
func TestLinkIsPointless(t *testing.T) {
	r := filled(t, nil)
	other := r.ask("", http.MethodGet, r.link(func(w *approvallink.Word) { w.PlanDigest = strings.Repeat("e", 32) }), "")
	assert.Contains(t, other.raw, "The plan has changed")
	assert.NotContains(t, other.raw, "<form")
	over := awaiting("i-1")
	over.ID, over.At = "intent-2", over.At.Add(time.Minute)
	over.Intent.Remediation.Outcome, over.Intent.Remediation.Revision, over.Intent.Ended = "expired", 2, true
	r.record(over)
	page := r.ask("", http.MethodGet, r.link(nil), "")
	assert.Contains(t, page.raw, "it is expired")
	assert.NotContains(t, page.raw, "<form")
}

// TestPageIsSafe shows text of the telemetry as text, and lets the browser do nothing but send the form.
func TestPageIsSafe(t *testing.T) {
	r := filled(t, nil)
	hostile := `</dd><script>alert(1)</script><img src=x onerror="alert(1)">{{.Style}}` + "\u202e\x00"
	record := awaiting("i-1")
	record.ID, record.At = "intent-2", record.At.Add(time.Minute)
	m := &record.Intent.Remediation
	m.Revision, m.Target, m.Playbook, m.Action, m.Plan.Summary, m.Plan.Objects = 2, hostile, hostile, hostile, hostile, []string{hostile}
	r.record(record)
	page := r.ask("", http.MethodGet, r.link(func(w *approvallink.Word) { w.Destination = "<b>chat" }), "")
	require.Equal(t, http.StatusOK, page.status)
	for _, bad := range []string{"<script", "<img", "<b>", "\u202e", "\x00"} {
		assert.NotContains(t, page.raw, bad)
	}
	assert.Contains(t, page.raw, html.EscapeString("<script>"))

	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(page.raw)
	require.Len(t, style, 2)
	sum := sha256.Sum256([]byte(style[1]))
	assert.Equal(t, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		page.header.Get("Content-Security-Policy"))
	assert.Equal(t, "text/html; charset=utf-8", page.header.Get("Content-Type"))
}
