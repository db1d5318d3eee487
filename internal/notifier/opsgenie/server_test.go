package opsgenie_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
)

const apiKey = "eb243592-faa2-4ba2-a551-1afdf565c889"

// system plays the alert API as it is documented: it accepts what is within the limits, carries it out later, and tells what became
// of it when it is asked.
type system struct {
	// jsm has no tags and no priority of an alert that is there.
	jsm bool
	// lag is how often the status of a request is not there yet.
	lag int
	// fails is the reason for which every request fails after it was accepted.
	fails string
	// left is how many requests are taken before there are too many; below 0 it is without a limit.
	left     int
	alerts   []*alert
	statuses map[string]*status
}

type alert struct {
	id, alias         string
	open, acked       bool
	count             int
	body              body
	notes, tags       []string
	priority, closing string
}

type status struct {
	asked   int
	success bool
	text    string
	id      string
}

type body struct {
	Message     *string             `json:"message"`
	Alias       string              `json:"alias"`
	Description string              `json:"description"`
	Responders  []map[string]string `json:"responders"`
	Tags        []string            `json:"tags"`
	Details     map[string]string   `json:"details"`
	Entity      string              `json:"entity"`
	Source      string              `json:"source"`
	Priority    string              `json:"priority"`
	User        string              `json:"user"`
	Note        string              `json:"note"`
}

func newSystem() *system { return &system{left: -1, statuses: map[string]*status{}} }

func (s *system) open() int {
	n := 0
	for _, a := range s.alerts {
		if a.open {
			n++
		}
	}
	return n
}

func (s *system) answer(q *notifiertest.Request) notifiertest.Answer {
	if q.Header.Get("Authorization") != "GenieKey "+apiKey {
		return notifiertest.Violation("the key is missing")
	}
	if s.left == 0 {
		a := notifiertest.JSON(429, `{"message":"You are making too many requests!","took":0.001,"requestId":"r"}`)
		a.Header["X-Ratelimit-State"], a.Header["X-Ratelimit-Reason"] = []string{"THROTTLED"}, []string{"INTEGRATION"}
		a.Header["X-Ratelimit-Period-In-Sec"] = []string{"60"}
		return a
	}
	s.left--
	path := strings.Split(strings.TrimPrefix(q.Path, "/v2/alerts"), "/")
	if !strings.HasPrefix(q.Path, "/v2/alerts") {
		return notifiertest.Violation("no such resource")
	}
	if q.Method == http.MethodGet && len(path) == 3 && path[1] == "requests" {
		return s.status(path[2])
	}
	if q.Header.Get("Content-Type") != "application/json" {
		return notifiertest.Violation("the content type must be application/json")
	}
	var b body
	dec := json.NewDecoder(bytes.NewReader(q.Body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil {
		return notifiertest.Violation("%v", err)
	}
	if v := check(&b); v != "" {
		return notifiertest.Violation("%s", v)
	}
	var st *status
	if len(path) == 1 && path[0] == "" && q.Method == http.MethodPost {
		if b.Message == nil || *b.Message == "" {
			return notifiertest.Violation("message can not be empty")
		}
		st = s.create(&b)
	} else if len(path) == 3 {
		var v string
		if st, v = s.act(q, path[1], path[2], &b); v != "" {
			return notifiertest.Violation("%s", v)
		}
	} else {
		return notifiertest.Violation("no such resource")
	}
	id := fmt.Sprintf("513085b8-caf3-4f91-aa23-%012d", len(s.statuses))
	s.statuses[id] = st
	return notifiertest.JSON(202, fmt.Sprintf(`{"result":"Request will be processed","took":0.302,"requestId":%q}`, id))
}

func (s *system) create(b *body) *status {
	if s.fails != "" {
		return &status{text: s.fails}
	}
	for _, a := range s.alerts {
		if a.open && a.alias == b.Alias {
			a.count++
			return &status{success: true, text: "Created alert", id: a.id}
		}
	}
	a := &alert{id: fmt.Sprintf("8743a1b2-11da-480e-8493-%012d", len(s.alerts)), alias: b.Alias, open: true, count: 1, body: *b, priority: b.Priority, tags: b.Tags}
	s.alerts = append(s.alerts, a)
	return &status{success: true, text: "Created alert", id: a.id}
}

func (s *system) act(q *notifiertest.Request, identifier, what string, b *body) (st *status, violation string) {
	query, err := url.ParseQuery(q.Query)
	kind := query.Get("identifierType")
	if err != nil || kind != "id" && kind != "alias" {
		return nil, "identifierType must be id or alias"
	}
	want := map[string]string{"acknowledge": "POST", "close": "POST", "notes": "POST", "tags": "POST", "priority": "PUT"}[what]
	if want != q.Method || s.jsm && (what == "tags" || what == "priority") {
		return nil, "no such action"
	}
	if what == "notes" && b.Note == "" {
		return nil, "note can not be empty"
	}
	if s.fails != "" {
		return &status{text: s.fails}, ""
	}
	var a *alert
	for _, c := range s.alerts {
		if kind == "id" && c.id == identifier || kind == "alias" && c.alias == identifier && c.open {
			a = c
		}
	}
	if a == nil {
		return &status{text: "Alert does not exist"}, ""
	}
	switch what {
	case "acknowledge":
		if a.acked {
			return &status{text: "Alert is already acknowledged"}, ""
		}
		a.acked = true
	case "close":
		if !a.open {
			return &status{text: "Alert is already closed"}, ""
		}
		a.open, a.closing = false, b.Note
	case "notes":
		a.notes = append(a.notes, b.Note)
	case "tags":
		a.tags = append(a.tags, b.Tags...)
	case "priority":
		a.priority = b.Priority
	}
	return &status{success: true, text: "done", id: a.id}, ""
}

func (s *system) status(id string) notifiertest.Answer {
	st := s.statuses[id]
	if st == nil {
		return notifiertest.Violation("the status of an unknown request")
	}
	if st.asked++; st.asked <= s.lag {
		return notifiertest.JSON(404, `{"message":"Request not found. It might not be processed, yet.","took":0.001,"requestId":"r"}`)
	}
	text, err := json.Marshal(st.text)
	if err != nil {
		return notifiertest.Violation("%v", err)
	}
	return notifiertest.JSON(200, fmt.Sprintf(`{"data":{"success":%t,"action":"x","processedAt":"2017-05-24T14:24:20.844Z","integrationId":"c9","isSuccess":%t,"status":%s,"alertId":%q,"alias":"a"},"took":0.022,"requestId":"r"}`,
		st.success, st.success, text, st.id))
}

func check(b *body) string {
	limits := []struct {
		name, value string
		n           int
	}{
		{"alias", b.Alias, 512},
		{"description", b.Description, 15_000},
		{"entity", b.Entity, 512},
		{"source", b.Source, 100},
		{"user", b.User, 100},
		{"note", b.Note, 25_000},
	}
	if b.Message != nil {
		limits = append(limits, struct {
			name, value string
			n           int
		}{"message", *b.Message, 130})
	}
	total := 0
	for k, v := range b.Details {
		total += utf8.RuneCountInString(k) + utf8.RuneCountInString(v)
	}
	for _, l := range limits {
		if n := utf8.RuneCountInString(l.value); n > l.n {
			return fmt.Sprintf("%s has %d characters, more than %d", l.name, n, l.n)
		}
		if strings.ContainsAny(l.value, "\x00\x1b\u202e<>") || strings.Contains(l.value, "](") {
			return l.name + " has what is not text"
		}
	}
	if total > 8000 {
		return fmt.Sprintf("details have %d characters", total)
	}
	if len(b.Tags) > 20 || slices.ContainsFunc(b.Tags, func(t string) bool { return t == "" || utf8.RuneCountInString(t) > 50 }) {
		return fmt.Sprintf("tags break their limits: %q", b.Tags)
	}
	if len(b.Responders) > 50 {
		return "too many responders"
	}
	if b.Priority != "" && !slices.Contains([]string{"P1", "P2", "P3", "P4", "P5"}, b.Priority) {
		return "priority is " + b.Priority
	}
	return ""
}
