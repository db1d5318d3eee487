package remediationexporter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/auditchain"
	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/semconv"
)

const (
	// commandBatch is how many commands are taken at once, and commandLease after which time those that were not answered may be
	// taken again.
	commandBatch = 20
	commandLease = 30 * time.Second
	// maxAnswers bounds the answers that are kept, so that a command which is taken again is not carried out again.
	maxAnswers = 200
)

// errNotLeading ends a command that another replica has to take.
var errNotLeading = errors.New("another replica leads")

// keptAnswer is what a command was answered, as it was stored together with what the command did.
type keptAnswer struct {
	Command string          `json:"command"`
	Result  json.RawMessage `json:"result,omitempty"`
}

// takeCommands carries out what people ask for by the store, as long as this replica leads.
func (e *remediationExporter) takeCommands(ctx context.Context) {
	for {
		n := e.takeSome(ctx)
		if e.stopping() {
			return
		}
		if n < commandBatch && !e.waitFor(e.cfg.Store.PollInterval, e.incidents.commands) {
			return
		}
	}
}

// takeSome carries out the oldest commands, and returns how many it took.
func (e *remediationExporter) takeSome(ctx context.Context) int {
	e.mu.Lock()
	standby := e.standby
	e.mu.Unlock()
	if standby {
		return 0
	}
	var commands []incidentstore.Command
	err := e.call(ctx, storeTake, e.cfg.Store.Timeout, func(ctx context.Context) error {
		var err error
		commands, err = e.incidents.memory.Take(ctx, e.incidents.name, commandBatch, commandLease, time.Now())
		return err
	})
	if err != nil {
		return 0
	}
	for i := range commands {
		c := &commands[i]
		if !e.obey(ctx, c) {
			continue
		}
		err := e.call(ctx, storeAnswer, e.cfg.Store.Timeout, func(ctx context.Context) error {
			return e.incidents.memory.Answer(ctx, e.incidents.name, *c)
		})
		if errors.Is(err, incidentstore.ErrConflict) {
			e.logger.Info("a command was taken by another executor meanwhile", zap.String("command", c.ID))
		}
	}
	return len(commands)
}

// obey carries a command out and fills in the answer that the API would give. It reports false when it is another replica's.
func (e *remediationExporter) obey(ctx context.Context, c *incidentstore.Command) (answered bool) {
	result, err := e.carry(ctx, c)
	switch {
	case errors.Is(err, errNotLeading):
		return false
	case err == nil:
		c.State, c.Status, c.Result = incidentstore.CommandDone, http.StatusOK, result
		add(ctx, e.telemetry.ExporterRemediationCommands, e.telemetry.answers, answerOK, 1)
		return true
	}
	answer := asAPIError(err)
	c.State, c.Status, c.Code, c.Message = incidentstore.CommandRefused, answer.Status, answer.Code, plainText(answer.Message, maxDetail)
	kind := answerRefused
	if answer.Status >= http.StatusInternalServerError {
		kind = answerFailed
	}
	add(ctx, e.telemetry.ExporterRemediationCommands, e.telemetry.answers, kind, 1)
	e.mu.Lock()
	e.audit.noteRefusal(time.Now(), auditchain.Entry{
		Kind: string(semconv.EventRemediationCall), Actor: plainText(c.By, maxPersonLen), Text: c.Message,
		Fields: map[string]string{
			"command": plainText(c.ID, maxPersonLen), "kind": plainText(string(c.Kind), 40), "status": strconv.Itoa(c.Status), "code": c.Code,
			"source": sourceStore,
		},
	})
	e.settleAndUnlock(context.WithoutCancel(ctx))
	return true
}

// carry carries a command out, once however often it is taken: its answer is stored together with what it does.
func (e *remediationExporter) carry(ctx context.Context, c *incidentstore.Command) (result json.RawMessage, err error) {
	do, err := e.order(ctx, c)
	if err != nil {
		return nil, err
	}
	err = e.transact(ctx, func(now time.Time) error {
		switch i := slices.IndexFunc(e.incidents.answers, func(a keptAnswer) bool { return a.Command == c.ID }); {
		case i >= 0:
			result = e.incidents.answers[i].Result
			return nil
		case e.standby:
			return errNotLeading
		case !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt):
			return refuse(http.StatusGone, "expired", "the command expired at %s", c.ExpiresAt.UTC().Format(time.RFC3339))
		}
		out, err := do(now)
		if err != nil {
			return err
		}
		if result, err = json.Marshal(out); err != nil {
			return err
		}
		kept := e.incidents.answers[max(0, len(e.incidents.answers)+1-maxAnswers):]
		e.incidents.answers = append(slices.Clip(kept), keptAnswer{c.ID, result})
		e.keep(answersKey, e.incidents.answers)
		return nil
	})
	return result, err
}

// order reads what a command asks for.
func (e *remediationExporter) order(ctx context.Context, c *incidentstore.Command) (func(now time.Time) (any, error), error) {
	if !isPerson(c.By) {
		return nil, refuse(http.StatusForbidden, "identity", "the command names no person")
	}
	w := word{by: c.By, source: sourceStore}
	switch c.Kind {
	case incidentstore.CommandDecide:
		var a incidentstore.DecideArguments
		if err := readArguments(c, &a); err != nil {
			return nil, err
		}
		if !semconv.IsIntentID(a.Intent) {
			return nil, refuse(http.StatusBadRequest, "intent", "intent must be 32 lower-case hexadecimal digits, got %.40q", a.Intent)
		}
		if a.Verdict != semconv.ApprovalGranted && a.Verdict != semconv.ApprovalDenied {
			return nil, refuse(http.StatusBadRequest, "verdict", "verdict must be %s or %s, got %.40q", semconv.ApprovalGranted, semconv.ApprovalDenied, a.Verdict)
		}
		w.intent, w.verdict, w.asked, w.comment = a.Intent, a.Verdict, a.PlanDigest, plainText(a.Comment, maxComment)
		if a.Source != "" {
			w.source = plainText(a.Source, 40)
		}
		return func(now time.Time) (any, error) { return e.rule(ctx, w, now) }, nil
	case incidentstore.CommandUndo:
		var a incidentstore.UndoArguments
		if err := readArguments(c, &a); err != nil {
			return nil, err
		}
		w.intent = a.Intent
		return func(now time.Time) (any, error) { return e.undo(ctx, w, now) }, nil
	case incidentstore.CommandResetBreaker:
		var a incidentstore.ResetBreakerArguments
		if err := errors.Join(e.operator(c.By), readArguments(c, &a)); err != nil {
			return nil, err
		}
		return func(now time.Time) (any, error) { return e.resetBreaker(a.Guard, a.Key, w, now) }, nil
	case incidentstore.CommandReplay:
		var a incidentstore.ReplayArguments
		if err := errors.Join(e.operator(c.By), readArguments(c, &a)); err != nil {
			return nil, err
		}
		if len(a.IDs) > maxReplays || len(a.IDs) > 0 && a.Destination != "" {
			return nil, refuse(http.StatusBadRequest, "replay", "ids, at most %d, or destination may be set, and not both", maxReplays)
		}
		return func(now time.Time) (any, error) { return e.replaySome(ctx, a.IDs, a.Destination, w, now) }, nil
	default:
		return nil, refuse(http.StatusBadRequest, "kind", "kind must be decide, undo, reset_breaker or replay, got %.40q", c.Kind)
	}
}

// operator refuses whoever is not on the list of those who may intervene, if there is one.
func (e *remediationExporter) operator(by string) error {
	if c := e.cfg.API.Get(); c != nil {
		return c.operator(by)
	}
	return nil
}

func readArguments(c *incidentstore.Command, into any) error {
	d := json.NewDecoder(bytes.NewReader(c.Arguments))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return refuse(http.StatusBadRequest, "body", "arguments must be those of %s: %s", c.Kind, clip(err.Error(), 200))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return refuse(http.StatusBadRequest, "body", "arguments must be one JSON object and nothing else")
	}
	return nil
}
