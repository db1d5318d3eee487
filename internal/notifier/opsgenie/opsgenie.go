// Package opsgenie tells Opsgenie, or the operations of Jira Service Management, of incidents, as alerts. Both take the same requests
// at different addresses; Opsgenie ends on 5 April 2027.
//
// What it relies on:
//   - https://docs.opsgenie.com/docs/alert-api: fields, lengths, one open alert for each alias, requests that are only accepted (202) and
//     carried out later, the status of a request, the host of the EU
//   - https://github.com/opsgenie/opsgenie-python-sdk/issues/31: a status that is not there yet is answered with 404
//   - https://docs.opsgenie.com/docs/api-rate-limiting: 429 with X-RateLimit-State, X-RateLimit-Reason, X-RateLimit-Period-In-Sec
//   - https://docs.opsgenie.com/docs/response: 5xx but 501 are to be tried again
//   - https://developer.atlassian.com/cloud/jira/service-desk-ops/rest/v2/api-group-integration-events/: create, acknowledge, close and note,
//     with the key of an API integration; no tags and no priority of an alert that is there
//   - https://jira.atlassian.com/browse/JSDCLOUD-14179: an alias in place of the id works there too, and is documented nowhere else; so the
//     id is preferred as soon as the status of the first request tells it
//
// The vendor's Go SDK, github.com/opsgenie/opsgenie-go-sdk-v2, writes the key into a log of its own (client.go, printInfoLog), and
// repeats requests by itself: these few are made here.
package opsgenie

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
)

// Traits are what the exporter must know of both systems.
var Traits = driver.Traits{
	Events: driver.PagerEvents(),
	// The limit depends on the plan and the number of users; an event takes at least two requests.
	MaxEventsPerMinute: 30,
}

// What is remembered of an incident.
const (
	// memoryID is the alert's id, memoryState "open" or "closed", and memorySeverity the last that was told.
	memoryID       = "id"
	memoryState    = "state"
	memorySeverity = "severity"
	// The rest is of a message whose requests are not all done: its event, how many are, the request whose status is not known, and
	// how often it was asked for.
	memoryEvent   = "event"
	memoryDone    = "done"
	memoryRequest = "request"
	memoryAsked   = "asked"

	stateOpen   = "open"
	stateClosed = "closed"
)

const (
	alertsPath = "/v2/alerts"
	// maxAsked is how often the status of a request is asked for before it is taken to be carried out.
	maxAsked = 3
	// askAgain is how long to wait when it is not there yet.
	askAgain = 5 * time.Second
)

type destination struct {
	cfg    *Config
	client *http.Client
	url    string
	header http.Header
}

// New returns the destination of a configuration that is valid.
func New(cfg *Config, client *http.Client) (notifier.Destination, error) {
	return &destination{
		cfg: cfg, client: client, url: strings.TrimSuffix(cfg.Endpoint, "/") + alertsPath,
		header: http.Header{"Authorization": {"GenieKey " + string(cfg.APIKey)}},
	}, nil
}

// Deliver makes the requests that a message takes, one after the other, each with a look at what became of it.
func (d *destination) Deliver(ctx context.Context, m *notifier.Message) (notifier.Memory, error) {
	memory := m.Memory.With()
	requests := d.requests(m, m.Memory)
	done := 0
	if memory[memoryEvent] == m.ID {
		done, _ = strconv.Atoi(memory[memoryDone])
	} else {
		forget(memory)
	}
	for i := done; i < len(requests); i++ {
		r := &requests[i]
		memory[memoryEvent], memory[memoryDone] = m.ID, strconv.Itoa(i)
		if err := d.carryOut(ctx, r, m, memory); err != nil {
			return keep(m, memory), err
		}
		delete(memory, memoryRequest)
		delete(memory, memoryAsked)
		if r.state != "" {
			memory[memoryState] = r.state
		}
		if r.severity != "" {
			memory[memorySeverity] = r.severity
		}
	}
	forget(memory)
	return keep(m, memory), nil
}

func forget(memory notifier.Memory) {
	for _, k := range []string{memoryEvent, memoryDone, memoryRequest, memoryAsked} {
		delete(memory, k)
	}
}

// keep returns the memory, or nil for what is not about an incident.
func keep(m *notifier.Message, memory notifier.Memory) notifier.Memory {
	if m.Key == "" || len(memory) == 0 {
		return nil
	}
	return memory
}

// carryOut makes one request, if an attempt before did not, and asks once what became of it.
func (d *destination) carryOut(ctx context.Context, r *request, m *notifier.Message, memory notifier.Memory) error {
	id := memory[memoryRequest]
	if id == "" {
		var err error
		if id, err = d.submit(ctx, r, m, memory[memoryID]); err != nil {
			return err
		}
		memory[memoryRequest] = id
	}
	if err := pause(ctx, d.cfg.StatusDelay); err != nil {
		return err
	}
	asked, _ := strconv.Atoi(memory[memoryAsked])
	memory[memoryAsked] = strconv.Itoa(asked + 1)
	became, err := d.status(ctx, id, m.Now)
	var refused *notifier.Refused
	switch {
	case err == nil && (became.done() || r.tolerates(became.Status)):
		if became.AlertID != "" && m.Key != "" {
			memory[memoryID] = became.AlertID
		}
		return nil
	case err == nil:
		return &notifier.Refused{Reason: "accepted, and then not carried out: " + notifier.Quote([]byte(became.Status))}
	case ctx.Err() == nil && (asked+1 >= maxAsked || errors.As(err, &refused) && refused.Status != http.StatusNotFound):
		return nil // it was accepted, and its status cannot be had
	case errors.As(err, &refused):
		return &notifier.Busy{Status: refused.Status, Reason: "the status of a request is not there yet: " + refused.Reason, After: askAgain}
	default:
		return err
	}
}

// submit makes a request and returns its id.
func (d *destination) submit(ctx context.Context, r *request, m *notifier.Message, alert string) (string, error) {
	u := d.url
	if r.path != "" {
		identifier, kind := alert, "id"
		if alert == "" {
			identifier, kind = r.alias, "alias"
		}
		u += "/" + url.PathEscape(identifier) + r.path + "?identifierType=" + kind
	}
	reply, err := notifier.Call(ctx, d.client, r.method, u, d.header, r.body, m.Now)
	if err != nil {
		return "", d.mend(reply, err)
	}
	var said struct {
		RequestID string `json:"requestId"`
	}
	if json.Unmarshal(reply.Body, &said) != nil || said.RequestID == "" {
		return "", d.mend(reply, notifier.Unclear(reply))
	}
	return said.RequestID, nil
}

// outcome is what became of a request.
type outcome struct {
	Success   bool   `json:"success"`
	IsSuccess bool   `json:"isSuccess"`
	Action    string `json:"action"`
	Status    string `json:"status"`
	AlertID   string `json:"alertId"`
}

func (o *outcome) done() bool { return o.Success || o.IsSuccess }

func (d *destination) status(ctx context.Context, id string, now time.Time) (*outcome, error) {
	reply, err := notifier.Call(ctx, d.client, http.MethodGet, d.url+"/requests/"+url.PathEscape(id), d.header, nil, now)
	if err != nil {
		return nil, d.mend(reply, err)
	}
	var said struct {
		Data *outcome `json:"data"`
	}
	if json.Unmarshal(reply.Body, &said) != nil || said.Data == nil {
		return nil, d.mend(reply, notifier.Unclear(reply))
	}
	return said.Data, nil
}

// mend adds what these systems mean by an answer to what HTTP does, and hides the key, which an answer might quote.
func (d *destination) mend(reply notifier.Reply, err error) error {
	var busy *notifier.Busy
	var refused *notifier.Refused
	hide := func(s string) string { return strings.ReplaceAll(s, string(d.cfg.APIKey), "[api_key]") }
	switch {
	case errors.As(err, &busy):
		busy.Reason = hide(busy.Reason)
		if busy.Status == http.StatusNotImplemented {
			return &notifier.Refused{Status: busy.Status, Reason: busy.Reason}
		}
		busy.After = max(busy.After, notifier.RetryAfter(reply.Header.Get("X-RateLimit-Period-In-Sec"), time.Time{}))
	case errors.As(err, &refused):
		refused.Reason = hide(refused.Reason)
	}
	return err
}

func pause(ctx context.Context, delay time.Duration) error {
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
