package remediationexporter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"k8s.io/client-go/util/workqueue"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
)

const (
	// firstRetry and maxRetry bound how long a step waits after the API server failed to answer.
	firstRetry = 200 * time.Millisecond
	maxRetry   = 10 * time.Second
)

// cluster carries out Kubernetes steps; [kubeaction.Client] does.
type cluster interface {
	Prepare(ctx context.Context, o kubeaction.Order) (kubeaction.Plan, error)
	Apply(ctx context.Context, p kubeaction.Plan) (kubeaction.Receipt, error)
	Undo(ctx context.Context, r kubeaction.Receipt) (kubeaction.Receipt, error)
	Health(ctx context.Context, r kubeaction.Receipt) (kubeaction.Health, error)
	Review(ctx context.Context, steps []*kubeaction.Step, scope kubeaction.Scope) ([]kubeaction.Missing, error)
}

// stopGrace is how long a stop waits for what is under way on Kubernetes: long enough for a write to be answered, and not for a
// drain, which goes on where it was at the next start.
const stopGrace = 2 * time.Second

// steps is the queue of the plays whose current step waits for Kubernetes: each is worked on by one worker at a time.
type steps = workqueue.TypedRateLimitingInterface[playbook.Ref]

func newSteps() steps {
	return workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[playbook.Ref](firstRetry, maxRetry))
}

// carryOut is one worker.
func (e *remediationExporter) carryOut(ctx context.Context) {
	for {
		ref, shutdown := e.steps.Get()
		if shutdown {
			return
		}
		if e.work(ctx, ref) {
			e.steps.AddRateLimited(ref)
		} else {
			e.steps.Forget(ref)
		}
		e.steps.Done(ref)
	}
}

// work takes a step as far as it goes now, and reports whether to try again later.
func (e *remediationExporter) work(ctx context.Context, ref playbook.Ref) (again bool) {
	for ctx.Err() == nil {
		e.mu.Lock()
		play, ok := e.ledger.At(ref)
		e.mu.Unlock()
		if !ok || !e.planned(ref) {
			return false
		}
		goOn := false
		switch play.Outcome {
		case playbook.Pending:
			goOn, again = e.prepare(ctx, ref, &play)
		case playbook.Dispatched:
			goOn, again = e.apply(ctx, ref, &play)
		case playbook.Undoing:
			goOn, again = e.takeBack(ctx, ref, &play)
		}
		if !goOn {
			return again
		}
	}
	return false
}

// planned reports whether the play's current step is one for Kubernetes.
func (e *remediationExporter) planned(ref playbook.Ref) bool {
	b := e.bookOf(ref.Playbook)
	return b != nil && ref.Step < len(b.cfg.Steps)
}

// prepare looks at the world and lets the guards decide on what was found.
func (e *remediationExporter) prepare(ctx context.Context, ref playbook.Ref, play *playbook.Play) (goOn, again bool) {
	ctx, cancel := context.WithDeadline(ctx, play.Deadline)
	defer cancel()
	o, err := e.kubeOrder(ref, play)
	if err == nil {
		err = e.permitted(ctx, ref)
	}
	var plan kubeaction.Plan
	if err == nil {
		started := time.Now()
		plan, err = e.cluster.Prepare(ctx, o)
		e.telemetry.ExporterRemediationPrepareDuration.Record(ctx, time.Since(started).Seconds())
	}
	e.mu.Lock()
	now := time.Now()
	e.look(now)
	var refusal *kubeaction.Refusal
	var changes []playbook.Change
	switch {
	case errors.As(err, &refusal) && !e.doubtful(ref, play, refusal, now):
		changes = e.ledger.Refuse(ref, playbook.Reason(refusal.Reason), refusal.Detail, now)
	case err != nil:
		e.settleAndUnlock(ctx)
		e.logger.Warn("step could not be prepared and is tried again", zap.String("incident_id", ref.Incident),
			zap.String("playbook", ref.Playbook), zap.Error(err))
		return false, true
	default:
		admitted := planOf(&plan)
		admitted.Signals = e.failing(ref, play, now)
		changes, goOn = e.ledger.Admit(ref, admitted, now)
	}
	e.report(ctx, changes, now)
	return goOn, e.storeAndUnlock(ctx)
}

// apply carries an admitted plan out. It is repeated, with the same key, until it is known what became of it.
func (e *remediationExporter) apply(ctx context.Context, ref playbook.Ref, play *playbook.Play) (goOn, again bool) {
	e.mu.Lock()
	now := time.Now()
	e.look(now)
	wanted, changes := e.ledger.Dispatch(ref, now)
	e.report(ctx, changes, now)
	if again := e.storeAndUnlock(ctx); again || !wanted {
		return !wanted && len(changes) > 0 && !again, again
	}
	plan, err := decodePlan(play)
	ctx, cancel := context.WithDeadline(ctx, play.Deadline)
	defer cancel()
	var receipt kubeaction.Receipt
	if err == nil {
		started := time.Now()
		receipt, err = e.reserved(ctx, ref, play, plan, e.cluster.Apply)
		e.telemetry.ExporterRemediationApplyDuration.Record(ctx, time.Since(started).Seconds())
	}
	e.mu.Lock()
	now = time.Now()
	e.look(now)
	var refusal *kubeaction.Refusal
	var halted *kubeaction.Halted
	switch {
	case err == nil:
		changes = e.ledger.Accept(ref, encodeReceipt(&receipt), now)
	case errors.As(err, &halted):
		// It has put back what it did, or a person has to look at what is left.
		changes = e.ledger.Reject(ref, halted.Restored, clip(err.Error(), maxDetail), now)
	case errors.Is(err, errUnbegun) && errors.As(err, &refusal):
		changes = e.ledger.Withhold(ref, playbook.Reason(refusal.Reason), refusal.Detail, now)
	case errors.As(err, &refusal) && refusal.Reason == kubeaction.ReasonTargetChanged && e.ledger.Replan(ref):
		changes = nil
	case errors.As(err, &refusal):
		changes = e.ledger.Refuse(ref, playbook.Reason(refusal.Reason), refusal.Detail, now)
	case errors.Is(err, errUnbegun) && !play.Doubtful && !now.Before(play.Deadline):
		changes = e.ledger.Withhold(ref, playbook.ReasonStale, clip(err.Error(), maxDetail), now)
	case errors.Is(err, errHeld) && play.Deadline.Sub(now) <= maxRetry:
		// Nothing was done, so it must not end as if something might have been.
		changes = e.ledger.Withhold(ref, playbook.ReasonTargetBusy, clip(err.Error(), maxDetail), now)
	case now.Before(play.Deadline) && ctx.Err() == nil:
		if !errors.Is(err, errUnbegun) {
			e.ledger.Doubt(ref)
		}
		e.settleAndUnlock(ctx)
		e.logger.Warn("step could not be carried out and is tried again", zap.String("incident_id", ref.Incident),
			zap.String("playbook", ref.Playbook), zap.Error(err))
		return false, true
	case e.stopping():
		e.settleAndUnlock(ctx) // it is taken up again at the next start
		return false, false
	default:
		changes = e.ledger.Reject(ref, false, clip(err.Error(), maxDetail), now)
	}
	e.report(ctx, changes, now)
	return true, e.storeAndUnlock(ctx)
}

// takeBack undoes what the play's receipts say was done, the latest first.
func (e *remediationExporter) takeBack(ctx context.Context, ref playbook.Ref, play *playbook.Play) (goOn, again bool) {
	undo := play.Undo()
	if len(undo) == 0 {
		return false, false
	}
	ctx, cancel := context.WithDeadline(ctx, play.Deadline)
	defer cancel()
	var receipt kubeaction.Receipt
	err := json.Unmarshal(undo[0].Receipt, &receipt)
	if err == nil {
		_, err = e.cluster.Undo(kubeaction.WithPermit(ctx, &permit{e: e, ref: ref, undo: true}), receipt)
	}
	e.mu.Lock()
	now := time.Now()
	var refusal *kubeaction.Refusal
	var changes []playbook.Change
	switch {
	case err == nil:
		changes = e.ledger.Undone(ref, undo[0].Step)
	case !errors.As(err, &refusal) && now.Before(play.Deadline):
		e.settleAndUnlock(ctx)
		e.logger.Warn("step could not be taken back and is tried again", zap.String("incident_id", ref.Incident),
			zap.String("playbook", ref.Playbook), zap.Error(err))
		return false, true
	default:
		changes = e.ledger.UndoFailed(ref, clip(err.Error(), maxDetail))
	}
	e.report(ctx, changes, now)
	return true, e.storeAndUnlock(ctx)
}

// storeAndUnlock stores what was decided before anything follows from it. When that fails, the step waits.
func (e *remediationExporter) storeAndUnlock(ctx context.Context) (again bool) {
	err := e.commit(context.WithoutCancel(ctx))
	if err != nil {
		e.logger.Warn("step waits, since its state could not be stored", zap.Error(err))
	}
	e.unlock()
	return err != nil
}

// kubeOrder is what the play's current step asks of Kubernetes.
func (e *remediationExporter) kubeOrder(ref playbook.Ref, play *playbook.Play) (kubeaction.Order, error) {
	b := e.bookOf(ref.Playbook)
	if ref.Step >= len(play.Orders) || b.cfg.Steps[ref.Step].Kubernetes == nil {
		return kubeaction.Order{}, &kubeaction.Refusal{Reason: kubeaction.ReasonUnsupported, Detail: "the playbook has changed since this was decided"}
	}
	var o order
	if err := json.Unmarshal(play.Orders[ref.Step], &o); err != nil || o.Subject == nil {
		return kubeaction.Order{}, &kubeaction.Refusal{Reason: kubeaction.ReasonUnsupported, Detail: "the stored order cannot be read"}
	}
	return kubeaction.Order{
		Intent:   play.IntentOf(ref.Incident, ref.Playbook, ref.Step),
		Incident: ref.Incident, Playbook: ref.Playbook, Reason: o.Reason,
		Step: b.cfg.Steps[ref.Step].Kubernetes, Subject: *o.Subject, Scope: b.cfg.Scope,
	}, nil
}

// storedPlan is a plan with the parts of its order that it is carried out with.
type storedPlan struct {
	kubeaction.Plan
	Intent   string `json:"intent"`
	Incident string `json:"incident"`
	Playbook string `json:"playbook"`
	Why      string `json:"why"`
}

// planOf is the plan as the guards see it.
func planOf(p *kubeaction.Plan) *playbook.Plan {
	body, err := json.Marshal(storedPlan{*p, p.Order.Intent, p.Order.Incident, p.Order.Playbook, p.Order.Reason})
	if err != nil {
		body = nil // cannot be: everything in a plan was made to be stored; without it the step is refused when carried out
	}
	return &playbook.Plan{
		Target: p.Target.String(), Locks: p.Locks, Class: string(p.Class), Namespace: p.Target.Namespace,
		Weight: p.Weight, Population: p.Population, Healthy: p.Healthy, Destructive: p.Destructive, Undoable: p.Undoable,
		Criticality: p.Criticality, Summary: p.Summary, Effect: p.Effect(), NoOp: p.NoOp, Witness: p.Troubled, Body: body,
	}
}

func decodePlan(play *playbook.Play) (*kubeaction.Plan, error) {
	var s storedPlan
	if play.Plan == nil {
		return nil, errors.New("the plan is missing")
	}
	if err := json.Unmarshal(play.Plan.Body, &s); err != nil {
		return nil, fmt.Errorf("decode plan: %w", err)
	}
	s.Order = kubeaction.Order{Intent: s.Intent, Incident: s.Incident, Playbook: s.Playbook, Reason: s.Why}
	return &s.Plan, nil
}

// encodeReceipt keeps what taking back needs; nothing where nothing is known of what was done.
func encodeReceipt(r *kubeaction.Receipt) json.RawMessage {
	if len(r.Objects) == 0 {
		return nil
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil
	}
	return b
}

// wakeSteps puts every play that waits for Kubernetes into the queue: at the start, and when this replica becomes the one
// that acts. e.mu is held.
func (e *remediationExporter) wakeSteps() {
	for _, c := range e.ledger.Open() {
		e.wakeStep(&c)
	}
}

// wakeStep puts a play into the queue if its step waits for Kubernetes. e.mu is held.
func (e *remediationExporter) wakeStep(c *playbook.Change) {
	if e.cluster == nil || e.stopping() {
		return
	}
	b := e.bookOf(c.Playbook)
	if b == nil || c.Step >= len(b.cfg.Steps) {
		return
	}
	switch c.Play.Outcome {
	case playbook.Undoing:
		e.steps.Add(c.Ref)
	case playbook.Pending, playbook.Dispatched:
		if b.cfg.Steps[c.Step].Kubernetes != nil {
			e.steps.Add(c.Ref)
		}
	}
}
