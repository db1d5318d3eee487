package restapi

import (
	"net/http"
	"time"

	"github.com/paramedic-otel/paramedic/internal/eventdata"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

// incidentPage is a page of incidents, the latest first.
type incidentPage struct {
	Incidents []incidentstore.Incident `json:"incidents"`
	// Next is what to give as cursor for the next page; empty at the end.
	Next string `json:"next,omitempty"`
}

var (
	severities = []semconv.Severity{semconv.SeverityCritical, semconv.SeverityMajor, semconv.SeverityMinor}
	statuses   = []semconv.IncidentStatus{semconv.StatusOpen, semconv.StatusResolved}
)

func (a *API) incidents(c *call) (any, error) {
	q, err := parseQuery(c.URL.RawQuery, "status", "severity", "cause_kind", "fingerprint", "service", "text", "since", "until", "acknowledged", "limit", "cursor")
	if err != nil {
		return nil, err
	}
	f := incidentstore.IncidentFilter{Fingerprint: q.Get("fingerprint"), Service: q.Get("service"), Text: q.Get("text")}
	var errs [7]error
	f.Status, errs[0] = choice(q, "status", statuses...)
	f.Severity, errs[1] = choice(q, "severity", severities...)
	f.CauseKind, errs[2] = choice(q, "cause_kind", semconv.CauseKinds...)
	f.Since, errs[3] = q.time("since")
	f.Until, errs[4] = q.time("until")
	f.Acknowledged, errs[5] = q.boolean("acknowledged")
	var page incidentstore.Page
	page, errs[6] = q.page()
	if err := all(errs[:]...); err != nil {
		return nil, err
	}
	ctx, cancel := a.within(c)
	defer cancel()
	found, next, err := a.memory.Incidents(ctx, f, page)
	if err != nil {
		return nil, err
	}
	return incidentPage{list(found), next}, nil
}

// list makes what is empty an empty list.
func list[T any](found []T) []T {
	if found == nil {
		return []T{}
	}
	return found
}

func (a *API) incident(c *call) (any, error) {
	id, err := idOf(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := a.within(c)
	defer cancel()
	return a.memory.Incident(ctx, id)
}

const maxTimeline = 1000

func (a *API) timeline(c *call) (any, error) {
	id, err := idOf(c)
	if err != nil {
		return nil, err
	}
	q, err := parseQuery(c.URL.RawQuery, "limit")
	if err != nil {
		return nil, err
	}
	limit, err := q.number("limit", maxTimeline, 1, maxTimeline)
	if err != nil {
		return nil, err
	}
	ctx, cancel := a.within(c)
	defer cancel()
	found, err := a.memory.Timeline(ctx, id, int(limit))
	if err != nil {
		return nil, err
	}
	return map[string][]incidentstore.TimelineEntry{"timeline": list(found)}, nil
}

const maxSimilar = 50

func (a *API) similar(c *call) (any, error) {
	id, err := idOf(c)
	if err != nil {
		return nil, err
	}
	q, err := parseQuery(c.URL.RawQuery, "limit")
	if err != nil {
		return nil, err
	}
	limit, err := q.number("limit", 5, 1, maxSimilar)
	if err != nil {
		return nil, err
	}
	ctx, cancel := a.within(c)
	defer cancel()
	found, err := a.memory.Similar(ctx, id, int(limit))
	if err != nil {
		return nil, err
	}
	return map[string][]incidentstore.Similar{"similar": list(found)}, nil
}

// acknowledge says that the caller has taken an incident on.
func (a *API) acknowledge(c *call) (any, error) {
	id, err := idOf(c)
	if err != nil {
		return nil, err
	}
	var body struct {
		Comment string `json:"comment"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	ctx, cancel := a.within(c)
	defer cancel()
	word := incidentstore.Acknowledgment{By: c.by, At: time.Now().UTC(), Comment: notifier.Line(body.Comment, maxComment)}
	if err := a.memory.Acknowledge(ctx, id, word); err != nil {
		return nil, err
	}
	return a.memory.Incident(ctx, id)
}

func (a *API) unacknowledge(c *call) (any, error) {
	id, err := idOf(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := a.within(c)
	defer cancel()
	if err := a.memory.Unacknowledge(ctx, id, c.by, time.Now().UTC()); err != nil {
		return nil, err
	}
	return a.memory.Incident(ctx, id)
}

// feedback is what the caller thinks of the diagnosis.
func (a *API) feedback(c *call) (any, error) {
	id, err := idOf(c)
	if err != nil {
		return nil, err
	}
	var body struct {
		Verdict   incidentstore.FeedbackVerdict `json:"verdict"`
		Cause     *eventdata.Entity             `json:"cause"`
		CauseKind semconv.CauseKind             `json:"cause_kind"`
		Comment   string                        `json:"comment"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	switch body.Verdict {
	case incidentstore.FeedbackRightCause, incidentstore.FeedbackFalseAlarm:
		if body.Cause != nil || body.CauseKind != "" {
			return nil, refuse(http.StatusBadRequest, "feedback", "cause and cause_kind must be unset with %s; they say the right cause with wrong_cause", body.Verdict)
		}
	case incidentstore.FeedbackWrongCause:
	default:
		return nil, refuse(http.StatusBadRequest, "feedback", "verdict must be right_cause, wrong_cause or false_alarm, got %.40q", string(body.Verdict))
	}
	if body.Cause != nil && (!isName(string(body.Cause.Type), 50) || !isName(body.Cause.Name, maxIDLen)) {
		return nil, refuse(http.StatusBadRequest, "feedback", "cause must have a type, such as service, and a name of at most %d bytes", maxIDLen)
	}
	if _, err := oneOf("cause_kind", body.CauseKind, semconv.CauseKinds); err != nil {
		return nil, err
	}
	ctx, cancel := a.within(c)
	defer cancel()
	word := incidentstore.Feedback{
		By: c.by, At: time.Now().UTC(), Verdict: body.Verdict, Cause: body.Cause, CauseKind: body.CauseKind, Comment: notifier.Line(body.Comment, maxComment),
	}
	if err := a.memory.GiveFeedback(ctx, id, word); err != nil {
		return nil, err
	}
	return a.memory.Incident(ctx, id)
}
