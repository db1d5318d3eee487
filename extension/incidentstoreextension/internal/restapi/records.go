package restapi

import (
	"bytes"
	"errors"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/notifier"
)

type deliveryPage struct {
	Deliveries []incidentstore.Delivery `json:"deliveries"`
	Next       string                   `json:"next,omitempty"`
}

func (a *API) deliveries(c *call) (any, error) {
	q, err := parseQuery(c.URL.RawQuery, "incident", "destination", "state", "limit", "cursor")
	if err != nil {
		return nil, err
	}
	state, err := choice(q, "state", incidentstore.DeliveryQueued, incidentstore.DeliveryDelivered, incidentstore.DeliveryDead, incidentstore.DeliveryDropped)
	if err != nil {
		return nil, err
	}
	return a.listDeliveries(c, q, state)
}

func (a *API) deadLetters(c *call) (any, error) {
	q, err := parseQuery(c.URL.RawQuery, "incident", "destination", "limit", "cursor")
	if err != nil {
		return nil, err
	}
	return a.listDeliveries(c, q, incidentstore.DeliveryDead)
}

func (a *API) listDeliveries(c *call, q query, state incidentstore.DeliveryState) (any, error) {
	page, err := q.page()
	if err != nil {
		return nil, err
	}
	ctx, cancel := a.within(c)
	defer cancel()
	f := incidentstore.DeliveryFilter{Incident: q.Get("incident"), Destination: q.Get("destination"), State: state}
	found, next, err := a.memory.Deliveries(ctx, f, page)
	if err != nil {
		return nil, err
	}
	return deliveryPage{list(found), next}, nil
}

// maxReplays bounds the dead letters that are named in one request.
const maxReplays = 200

// replay sends dead letters again: those that are named, or all of a destination.
func (a *API) replay(c *call) (any, error) {
	if err := a.operator(c); err != nil {
		return nil, err
	}
	var body struct {
		IDs         []string `json:"ids"`
		Destination string   `json:"destination"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	if (len(body.IDs) == 0) == (body.Destination == "") || len(body.IDs) > maxReplays {
		return nil, refuse(http.StatusBadRequest, "replay", "ids, at most %d, or destination must be set, and not both", maxReplays)
	}
	valid := func(s string) bool { return isName(s, maxIDLen) }
	if body.Destination != "" && !valid(body.Destination) || slices.ContainsFunc(body.IDs, func(s string) bool { return !valid(s) }) {
		return nil, refuse(http.StatusBadRequest, "replay", "ids and destination must have 1 to %d bytes of printable text", maxIDLen)
	}
	return a.ask(c, incidentstore.CommandReplay, incidentstore.ReplayArguments{IDs: body.IDs, Destination: body.Destination})
}

// maxAuditPage bounds the records of one answer.
const maxAuditPage = 1000

// audit returns the audit as lines of JSON, from a number on.
func (a *API) audit(c *call) (any, error) {
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
	ctx, cancel := a.within(c)
	defer cancel()
	records, err := a.memory.Audit(ctx, from, int(limit))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := auditchain.Write(&b, records...); err != nil {
		return nil, err
	}
	return rawBody{"application/jsonl", b.Bytes()}, nil
}

// verifiedView is a chain that is whole.
type verifiedView struct {
	Whole   bool              `json:"whole"`
	Head    auditchain.Anchor `json:"head"`
	Records uint64            `json:"records"`
	Seconds float64           `json:"seconds"`
}

// verifyAudit checks the whole chain, one caller at a time, since that reads all of it.
func (a *API) verifyAudit(c *call) (any, error) {
	if !a.verifying.TryLock() {
		return nil, &refusal{Status: http.StatusTooManyRequests, Code: "busy", Message: "the audit is being verified for somebody else; try again later", retry: 10 * time.Second}
	}
	defer a.verifying.Unlock()
	ctx, cancel := a.within(c)
	defer cancel()
	began := time.Now()
	head, records, err := a.memory.VerifyAudit(ctx)
	var broken *auditchain.BrokenError
	switch {
	case errors.As(err, &broken):
		a.observer.Failed("verify the audit", err)
		return nil, refuse(http.StatusInternalServerError, "audit_broken", "the audit is not whole: %s", notifier.Line(broken.Error(), maxComment))
	case err != nil:
		return nil, err
	}
	return verifiedView{true, head, records, time.Since(began).Seconds()}, nil
}
