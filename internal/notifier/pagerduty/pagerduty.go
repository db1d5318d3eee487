// Package pagerduty tells PagerDuty of incidents, as alerts, and of what was changed, as change events, by the Events API v2.
//
// What it relies on:
//   - https://developer.pagerduty.com/docs/events-api-v2/overview/: answers (202 taken, 400 never, 429 and 5xx again), at most 512 KB
//   - https://developer.pagerduty.com/docs/events-api-v2/trigger-events/: fields of alerts, their lengths, what a dedup_key does
//   - https://developer.pagerduty.com/docs/events-api-v2/send-change-events/: fields of change events; keys of rulesets, which begin with R,
//     take none
//   - https://developer.pagerduty.com/docs/events-api-v2/rate-limits/: about 120 requests a minute for a key, again after 30 s
//   - https://support.pagerduty.com/docs/service-regions: the host of the EU, events.eu.pagerduty.com
//
// Of github.com/PagerDuty/go-pagerduty v1.8.0 only the types are used. Its client hides the headers of an answer, Retry-After among them,
// flattens the errors of the transport into text (client.go, checkResponse), reads answers without a bound, and looks for the reason of
// a refusal under "error", where the REST API puts it and the Events API does not.
package pagerduty

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	pd "github.com/PagerDuty/go-pagerduty"

	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/internal/notifier/driver"
	"github.com/paramedic-otel/paramedic/internal/notifier/wording"
	"github.com/paramedic-otel/paramedic/semconv"
)

// Traits are what the exporter must know of PagerDuty.
var Traits = driver.Traits{
	Events: driver.PagerEvents(),
	// About 120 requests a minute for a key, and an event can take more than one.
	MaxEventsPerMinute: 60,
}

const (
	alertPath  = "/v2/enqueue"
	changePath = "/v2/change/enqueue"
	// retryAfter is what PagerDuty suggests to wait when it was too much for it.
	retryAfter = 30 * time.Second
	// maxTries is how often a change event that goes with an alert is tried; PagerDuty suggests three times.
	maxTries = 3
)

// What is remembered of an incident.
const (
	// memoryEvent is an event whose alert was taken and whose changes were not yet: the next attempt only sends what is missing.
	memoryEvent = "event"
	// memoryTries is how often that was tried.
	memoryTries = "tries"
	// memoryState is "open" or "resolved".
	memoryState = "state"
	// memoryChanges are the changes that were told of.
	memoryChanges = "changes"

	stateOpen     = "open"
	stateResolved = "resolved"
)

type destination struct {
	cfg    *Config
	client *http.Client
	url    string
	// recent are changes that were told of lately for any incident: one deployment can be named by many.
	recent *recent
}

// New returns the destination of a configuration that is valid.
func New(cfg *Config, client *http.Client) (notifier.Destination, error) {
	return &destination{cfg: cfg, client: client, url: strings.TrimSuffix(cfg.Endpoint, "/"), recent: newRecent()}, nil
}

// Deliver sends the alert that a message is, if it is one, and then the changes that it names.
func (d *destination) Deliver(ctx context.Context, m *notifier.Message) (notifier.Memory, error) {
	memory := m.Memory.With()
	event, state := d.alert(m, memory[memoryState])
	if event != nil && memory[memoryEvent] != m.ID {
		if err := d.send(ctx, alertPath, event, m.Now); err != nil {
			return nil, err
		}
		memory[memoryEvent] = m.ID
		if state != "" {
			memory[memoryState] = state
		}
	}
	told := newDigests(memory[memoryChanges])
	for _, c := range d.changes(m) {
		if told.has(c.digest) || c.shared && d.recent.has(c.digest) {
			continue
		}
		if err := d.send(ctx, changePath, c.event, m.Now); err != nil {
			if event == nil || !minor(memory, err) {
				return remember(m, memory), err
			}
			break
		}
		if c.shared {
			told.add(c.digest)
			d.recent.add(c.digest)
			memory[memoryChanges] = told.String()
		}
	}
	delete(memory, memoryEvent)
	delete(memory, memoryTries)
	return remember(m, memory), nil
}

// minor reports whether the failure of a change event that only goes with an alert is to be passed over: the incident must not count
// as untold for it, or its end would never be told.
func minor(memory notifier.Memory, err error) bool {
	var refused *notifier.Refused
	if errors.As(err, &refused) {
		return true
	}
	tries, _ := strconv.Atoi(memory[memoryTries])
	memory[memoryTries] = strconv.Itoa(tries + 1)
	return tries+1 >= maxTries
}

// remember returns the memory, or nil for what is not about an incident.
func remember(m *notifier.Message, memory notifier.Memory) notifier.Memory {
	if m.Key == "" || len(memory) == 0 {
		return nil
	}
	return memory
}

// alert returns the event that opens, updates, acknowledges or resolves an alert, and the state in which it leaves it; nil when the
// message is no matter of alerts.
func (d *destination) alert(m *notifier.Message, before string) (event *pd.V2Event, state string) {
	if about, ok := wording.About(m); ok {
		switch {
		case !about.Pages:
			return nil, ""
		case about.Ends:
			return d.short(about.Key, "resolve"), ""
		}
		return d.trigger(m, about.Key, about.Severity), ""
	}
	open := m.Incident.Status != semconv.StatusResolved
	switch m.Type {
	case semconv.EventTypeIncidentResolved:
		return d.short(m.Key, "resolve"), stateResolved
	case semconv.EventTypeIncidentOpened:
		return d.trigger(m, m.Key, m.Incident.Severity), stateOpen
	case semconv.EventTypeIncidentUpdated:
		if open && d.cfg.Updates {
			return d.trigger(m, m.Key, m.Incident.Severity), stateOpen
		}
	case semconv.EventTypeIncidentAcknowledged:
		if open {
			return d.short(m.Key, "acknowledge"), ""
		}
	case semconv.EventTypeRemediationApprovalRequested, semconv.EventTypeRemediationEscalated:
		// It would open an alert anew that is over.
		if open && before != stateResolved {
			return d.trigger(m, m.Key, m.Incident.Severity), stateOpen
		}
	}
	return nil, ""
}

// send makes one request, and wants the answer that PagerDuty documents: a proxy may say 200 to anything.
func (d *destination) send(ctx context.Context, path string, event any, now time.Time) error {
	reply, err := notifier.Call(ctx, d.client, http.MethodPost, d.url+path, nil, event, now)
	var busy *notifier.Busy
	if errors.As(err, &busy) && busy.Status == http.StatusTooManyRequests && busy.After == 0 {
		busy.After = retryAfter
	}
	if err != nil {
		return d.hide(err)
	}
	var said struct {
		Status string `json:"status"`
	}
	if json.Unmarshal(reply.Body, &said) != nil || said.Status != "success" {
		return d.hide(notifier.Unclear(reply))
	}
	return nil
}

// hide removes the key from what PagerDuty says: it stands in the body of what was sent, which an answer may quote.
func (d *destination) hide(err error) error {
	key := string(d.cfg.RoutingKey)
	var refused *notifier.Refused
	var busy *notifier.Busy
	switch {
	case errors.As(err, &refused):
		refused.Reason = strings.ReplaceAll(refused.Reason, key, "[routing_key]")
	case errors.As(err, &busy):
		busy.Reason = strings.ReplaceAll(busy.Reason, key, "[routing_key]")
	}
	return err
}
