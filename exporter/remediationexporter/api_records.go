package remediationexporter

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/semconv"
)

// maxAuditPage bounds the records of one answer.
const maxAuditPage = 1000

// audit returns the audit as lines of JSON, from a number on.
func (a *api) audit(c *call) (any, error) {
	q, err := parseQuery(c.URL.RawQuery, "from", "limit")
	if err != nil {
		return nil, err
	}
	from, err := q.number("from", 0, 0, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	limit, err := q.number("limit", maxAuditPage, 1, maxAuditPage)
	if err != nil {
		return nil, err
	}
	a.e.mu.Lock()
	records := a.e.audit.chain.Records(from, int(limit))
	a.e.mu.Unlock()
	var b bytes.Buffer
	if err := auditchain.Write(&b, records...); err != nil {
		return nil, err
	}
	return rawBody{"application/jsonl", b.Bytes()}, nil
}

// letterView is a dead letter without its body, which may be large.
type letterView struct {
	ID          string    `json:"id"`
	At          time.Time `json:"at"`
	Destination string    `json:"destination"`
	// Webhook is the destination under the name that it had when all of them were webhooks.
	Webhook  string            `json:"webhook"`
	Reason   string            `json:"reason"`
	Detail   string            `json:"detail,omitempty"`
	Type     semconv.EventType `json:"type"`
	Incident string            `json:"incident,omitempty"`
	// Action says that it asks the destination to act.
	Action bool `json:"action,omitempty"`
	Bytes  int  `json:"bytes"`
}

// deadLetters lists what could not be delivered, in the order in which it was given up.
func (a *api) deadLetters(c *call) (any, error) {
	q, err := parseQuery(c.URL.RawQuery, "destination", "webhook", "limit")
	if err != nil {
		return nil, err
	}
	limit, err := q.number("limit", maxLetters, 1, maxLetters)
	if err != nil {
		return nil, err
	}
	of := "destination"
	if q.Has("webhook") {
		if of = "webhook"; q.Has("destination") {
			return nil, refuse(http.StatusBadRequest, "query", "destination and webhook must not be set both: they are the same")
		}
	}
	a.e.mu.Lock()
	defer a.e.mu.Unlock()
	out := []letterView{}
	for _, l := range a.e.dead.letters {
		if q.Has(of) && l.Webhook != q.Get(of) || len(out) == int(limit) {
			continue
		}
		d := &l.Delivery
		out = append(out, letterView{
			ID: d.ID, At: l.At, Destination: l.Webhook, Webhook: l.Webhook, Reason: l.Reason, Detail: l.Detail, Type: d.Type, Incident: d.Incident,
			Action: d.Playbook != "", Bytes: len(d.Body),
		})
	}
	return map[string]any{"dead_letters": out, "total": len(a.e.dead.letters)}, nil
}

// maxLetters bounds the dead letters of one answer, and maxReplays those that are named in one request.
const (
	maxLetters = 1000
	maxReplays = 200
)

// replay sends dead letters again: those that are named, or all of a destination.
func (a *api) replay(c *call) (any, error) {
	if err := a.operator(c); err != nil {
		return nil, err
	}
	var body struct {
		IDs         []string `json:"ids"`
		Destination string   `json:"destination"`
		Webhook     string   `json:"webhook"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	of := cmp.Or(body.Destination, body.Webhook)
	if (len(body.IDs) == 0) == (of == "") || len(body.IDs) > maxReplays || body.Destination != "" && body.Webhook != "" {
		return nil, refuse(http.StatusBadRequest, "replay", "ids, at most %d, or destination must be set, and not both", maxReplays)
	}
	w := word{by: c.by, source: sourceAPI}
	return a.e.answered(c.Context(), func(now time.Time) (any, error) { return a.e.replaySome(c.Context(), body.IDs, of, w, now) })
}

// replaySome sends dead letters again, on a person's word and within a transaction: those that are named, all of a destination, or
// all that there are. e.mu is held.
func (e *remediationExporter) replaySome(ctx context.Context, ids []string, of string, w word, now time.Time) (any, error) {
	var unknown []refusedLetter
	var letters []*deadLetter
	for _, l := range e.dead.letters {
		if l.Webhook == of || slices.Contains(ids, l.Delivery.ID) || of == "" && len(ids) == 0 {
			letters = append(letters, l)
		}
	}
	for _, id := range ids {
		if e.dead.find(id) == nil {
			unknown = append(unknown, refusedLetter{clip(id, 100), "there is no such dead letter"})
		}
	}
	if of != "" && e.destinationNamed(of) == nil {
		return nil, refuse(http.StatusNotFound, "unknown_webhook", "there is no destination %.80q", of)
	}
	out, err := e.replay(ctx, letters, w.by)
	if err != nil {
		return nil, err
	}
	out.Refused = append(out.Refused, unknown...)
	w.verdict, w.comment = "replay", fmt.Sprintf("%d replayed, %d refused", len(out.Replayed), len(out.Refused))
	e.notePerson(semconv.EventRemediationCall, nil, w, now)
	return out, nil
}
