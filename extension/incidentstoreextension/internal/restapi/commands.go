package restapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/notifier"
	"github.com/paramedic-otel/paramedic/semconv"
)

type intentPage struct {
	Intents []incidentstore.Intent `json:"intents"`
	Next    string                 `json:"next,omitempty"`
}

func (a *API) intents(c *call) (any, error) {
	q, err := parseQuery(c.URL.RawQuery, "incident", "playbook", "outcome", "awaiting", "limit", "cursor")
	if err != nil {
		return nil, err
	}
	awaiting, err := q.boolean("awaiting")
	page, wrong := q.page()
	if err := all(err, wrong); err != nil {
		return nil, err
	}
	f := incidentstore.IntentFilter{Incident: q.Get("incident"), Playbook: q.Get("playbook"), Outcome: q.Get("outcome"), Awaiting: awaiting != nil && *awaiting}
	ctx, cancel := a.within(c)
	defer cancel()
	found, next, err := a.memory.Intents(ctx, f, page)
	if err != nil {
		return nil, err
	}
	return intentPage{list(found), next}, nil
}

func (a *API) intent(c *call) (any, error) {
	id, err := intentOf(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := a.within(c)
	defer cancel()
	return a.memory.Intent(ctx, id)
}

// sourceAPI and sourceLink are where the word of a person came from.
const (
	sourceAPI  = "api"
	sourceLink = "link"
)

func (a *API) approve(c *call) (any, error) { return a.decide(c, semconv.ApprovalGranted) }
func (a *API) deny(c *call) (any, error)    { return a.decide(c, semconv.ApprovalDenied) }

func (a *API) decide(c *call, verdict semconv.ApprovalVerdict) (any, error) {
	id, err := intentOf(c)
	if err != nil {
		return nil, err
	}
	var body struct {
		PlanDigest string `json:"plan_digest"`
		Comment    string `json:"comment"`
	}
	if err := c.read(&body); err != nil {
		return nil, err
	}
	if body.PlanDigest != "" && !semconv.IsIntentID(body.PlanDigest) {
		return nil, refuse(http.StatusBadRequest, "plan_digest", "plan_digest must be 32 lower-case hexadecimal digits, as the intent has it, or be left out")
	}
	return a.ask(c, incidentstore.CommandDecide, incidentstore.DecideArguments{
		Intent: id, Verdict: verdict, PlanDigest: body.PlanDigest, Comment: notifier.Line(body.Comment, maxComment), Source: sourceAPI,
	})
}

// undo takes back what the play of an intent did.
func (a *API) undo(c *call) (any, error) {
	id, err := intentOf(c)
	if err != nil {
		return nil, err
	}
	if err := c.read(&struct{}{}); err != nil {
		return nil, err
	}
	return a.ask(c, incidentstore.CommandUndo, incidentstore.UndoArguments{Intent: id})
}

// ask puts a command into the mailbox and passes on the executor's answer, if it comes in time.
func (a *API) ask(c *call, kind incidentstore.CommandKind, arguments any) (any, error) {
	answered, err := a.submit(c, c.by, kind, arguments, c.token())
	if err != nil {
		return nil, err
	}
	return a.passOn(answered)
}

// submit puts a command into the mailbox and waits a while for its end.
func (a *API) submit(c *call, by string, kind incidentstore.CommandKind, arguments any, token string) (*incidentstore.Command, error) {
	encoded, err := json.Marshal(arguments)
	if err != nil {
		return nil, err
	}
	// A caller who hangs up has still asked for it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), a.settings.Timeout)
	defer cancel()
	submitted, err := a.memory.Submit(ctx, incidentstore.Command{Kind: kind, Arguments: encoded, By: by}, token)
	if err != nil {
		return nil, err
	}
	return a.await(c.Context(), submitted), nil
}

// The time between two looks for an answer grows from one to the other.
const (
	firstLook = 20 * time.Millisecond
	lastLook  = 250 * time.Millisecond
)

// await returns the command as it is when it has ended, or when there is no more time. A store that fails meanwhile does not matter:
// the command is in it.
func (a *API) await(ctx context.Context, c incidentstore.Command) *incidentstore.Command {
	ctx, cancel := context.WithTimeout(ctx, a.settings.CommandWait)
	defer cancel()
	timer := time.NewTimer(firstLook)
	defer timer.Stop()
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return &c
		}
		switch now, err := a.memory.Command(ctx, c.ID); {
		case ctx.Err() != nil:
			return &c
		case err != nil:
			a.observer.Failed("look for an answer", err)
		case now != nil:
			c = *now
			if ended(now.State) {
				return now
			}
		}
		timer.Reset(pause)
	}
}

func ended(s incidentstore.CommandState) bool {
	return s == incidentstore.CommandDone || s == incidentstore.CommandRefused || s == incidentstore.CommandExpired
}

// passOn turns where a command stands into an answer.
func (a *API) passOn(c *incidentstore.Command) (any, error) {
	switch c.State {
	case incidentstore.CommandDone:
		a.observer.Commanded(CommandDone)
		return located{http.StatusOK, locationOf(c), c}, nil
	case incidentstore.CommandRefused:
		a.observer.Commanded(CommandRefused)
		return nil, &refusal{Status: statusOf(c), Code: c.Code, Message: c.Message, Command: c.ID}
	case incidentstore.CommandExpired:
		a.observer.Commanded(CommandExpired)
		return nil, &refusal{Status: http.StatusServiceUnavailable, Code: "expired", Message: "no executor took it in time; see /v1/executors", Command: c.ID}
	default:
		a.observer.Commanded(CommandUnanswered)
		return located{http.StatusAccepted, locationOf(c), c}, nil
	}
}

// statusOf is the executor's, if it fits a refusal.
func statusOf(c *incidentstore.Command) int {
	if c.Status >= 400 && c.Status < 600 {
		return c.Status
	}
	return http.StatusConflict
}

func locationOf(c *incidentstore.Command) string { return "/v1/commands/" + url.PathEscape(c.ID) }

func (a *API) command(c *call) (any, error) {
	id, err := idOf(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := a.within(c)
	defer cancel()
	return a.memory.Command(ctx, id)
}
