package pagerduty_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/paramedic-otel/paramedic/internal/notifier/notifiertest"
)

const routingKey = "0123456789abcdef0123456789abcdef"

// pagerDuty plays the Events API v2 as it is documented: it takes what is complete and within the limits, opens one alert for each
// dedup_key, and drops what is about an alert that is not open.
type pagerDuty struct {
	// perMinute is how many requests it takes; it has no clock of its own, so that they are all of one minute.
	perMinute int
	requests  int
	open      map[string]*alert
	// opened counts how often an alert was opened.
	opened, dropped int
	changes         []event
}

type alert struct {
	acknowledged bool
	triggers     []event
}

type event struct {
	RoutingKey string `json:"routing_key"`
	Action     string `json:"event_action"`
	DedupKey   string `json:"dedup_key"`
	Client     string `json:"client"`
	ClientURL  string `json:"client_url"`
	Links      []struct {
		Href string `json:"href"`
		Text string `json:"text"`
	} `json:"links"`
	Payload *struct {
		Summary   string         `json:"summary"`
		Source    string         `json:"source"`
		Severity  string         `json:"severity"`
		Timestamp string         `json:"timestamp"`
		Component string         `json:"component"`
		Group     string         `json:"group"`
		Class     string         `json:"class"`
		Details   map[string]any `json:"custom_details"`
	} `json:"payload"`
}

func newPagerDuty() *pagerDuty { return &pagerDuty{perMinute: 120, open: map[string]*alert{}} }

func (p *pagerDuty) answer(q *notifiertest.Request) notifiertest.Answer {
	if p.requests++; p.requests > p.perMinute {
		return notifiertest.JSON(429, `{"status":"throttle exceeded","message":"Requests for this integration are arriving too quickly."}`)
	}
	if q.Method != http.MethodPost || q.Path != "/v2/enqueue" && q.Path != "/v2/change/enqueue" {
		return notifiertest.Violation("no such endpoint")
	}
	if q.Header.Get("Content-Type") != "application/json" {
		return notifiertest.Violation("the content type must be application/json")
	}
	if len(q.Body) > 512*1024 {
		return notifiertest.Violation("more than 512 KB")
	}
	var e event
	dec := json.NewDecoder(bytes.NewReader(q.Body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return notifiertest.Violation("%v", err)
	}
	if !utf8.Valid(q.Body) || strings.ContainsRune(string(q.Body), utf8.RuneError) && !strings.Contains(string(q.Body), "�") {
		return notifiertest.Violation("not UTF-8")
	}
	if e.RoutingKey != routingKey {
		return notifiertest.Violation("routing_key is wrong")
	}
	for _, l := range e.Links {
		if u, err := url.Parse(l.Href); err != nil || u.Host == "" || l.Text == "" {
			return notifiertest.Violation("a link needs an href")
		}
	}
	if q.Path == "/v2/change/enqueue" {
		return p.change(&e)
	}
	return p.alert(&e)
}

func (p *pagerDuty) change(e *event) notifiertest.Answer {
	if e.Action != "" || e.DedupKey != "" || e.Payload == nil || e.Payload.Severity != "" {
		return notifiertest.Violation("fields of an alert in a change event")
	}
	if v := checkPayload(e); v != "" {
		return notifiertest.Violation("%s", v)
	}
	p.changes = append(p.changes, *e)
	return notifiertest.JSON(202, `{"status":"success","message":"Change event processed"}`)
}

func checkPayload(e *event) string {
	pl := e.Payload
	if strings.TrimSpace(pl.Summary) == "" || utf8.RuneCountInString(pl.Summary) > 1024 {
		return fmt.Sprintf("summary must have 1 to 1024 characters, has %d", utf8.RuneCountInString(pl.Summary))
	}
	if strings.ContainsAny(pl.Summary+pl.Source+pl.Component, "\x00\n\x1b\u202e") {
		return "control characters"
	}
	if pl.Timestamp != "" {
		if _, err := time.Parse(time.RFC3339, pl.Timestamp); err != nil {
			return err.Error()
		}
	}
	return ""
}

func (p *pagerDuty) alert(e *event) notifiertest.Answer {
	ok := notifiertest.JSON(202, fmt.Sprintf(`{"status":"success","message":"Event processed","dedup_key":%q}`, e.DedupKey))
	if e.DedupKey == "" || utf8.RuneCountInString(e.DedupKey) > 255 {
		return notifiertest.Violation("dedup_key must have 1 to 255 characters")
	}
	a := p.open[e.DedupKey]
	switch e.Action {
	case "trigger":
		if e.Payload == nil || e.Payload.Source == "" || !slices.Contains([]string{"critical", "error", "warning", "info"}, e.Payload.Severity) {
			return notifiertest.Violation("payload.source and payload.severity are required")
		}
		if v := checkPayload(e); v != "" {
			return notifiertest.Violation("%s", v)
		}
		if a == nil {
			a = &alert{}
			p.open[e.DedupKey] = a
			p.opened++
		}
		a.triggers = append(a.triggers, *e)
	case "acknowledge":
		if a == nil {
			p.dropped++
		} else {
			a.acknowledged = true
		}
	case "resolve":
		if a == nil {
			p.dropped++
		}
		delete(p.open, e.DedupKey)
	default:
		return notifiertest.Violation("event_action is %q", e.Action)
	}
	return ok
}
