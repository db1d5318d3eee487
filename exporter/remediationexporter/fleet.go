package remediationexporter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
)

// coordinator is where the replicas agree on who acts; [kubeaction.Reservations] is one.
type coordinator interface {
	Reserve(ctx context.Context, c kubeaction.Claim) (kubeaction.Outcome, error)
	Done(ctx context.Context, key string) error
	Release(ctx context.Context, key string) error
}

var (
	// errUnbegun is the error of an action of which nothing was sent, since the fleet has not agreed.
	errUnbegun = errors.New("nothing was done")
	// errHeld is that of one which another replica, or another incident, stands in the way of for now.
	errHeld = fmt.Errorf("%w: the fleet stands in the way", errUnbegun)
)

// applyFunc carries out a plan.
type applyFunc func(context.Context, kubeaction.Plan) (kubeaction.Receipt, error)

// reserved carries a plan out once the whole fleet of executors agrees that we do.
func (e *remediationExporter) reserved(
	ctx context.Context, ref playbook.Ref, play *playbook.Play, plan *kubeaction.Plan, apply applyFunc,
) (kubeaction.Receipt, error) {
	// A permit lets finish what was begun, and reserving begins nothing: the action has one of its own.
	acting := kubeaction.WithPermit(ctx, &permit{e: e, ref: ref, acting: true})
	if e.fleet == nil {
		return apply(acting, *plan)
	}
	b := e.cfg.Budget
	cooldown := e.bookOf(ref.Playbook).cfg.Cooldown
	if ref.Step > 0 {
		cooldown = 0 // the steps of one playbook follow each other
	}
	out, err := e.fleet.Reserve(kubeaction.WithPermit(ctx, &permit{e: e, ref: ref}), kubeaction.Claim{
		Key: plan.Key, Locks: plan.Locks, Class: plan.Class, Namespace: plan.Target.Namespace, Weight: plan.Weight,
		Lease: min(time.Until(play.Deadline), e.window()), Cooldown: min(cooldown, e.window()),
		Limits: kubeaction.Limits{Window: min(b.Window, e.window()), Total: b.MaxActions, Class: b.MaxActions, Weight: maxWeight},
	})
	switch {
	case err != nil:
		return kubeaction.Receipt{}, fmt.Errorf("%w: reserve: %w", errUnbegun, err)
	case out.Verdict == kubeaction.Busy:
		return kubeaction.Receipt{}, fmt.Errorf("%w: %s", errHeld, out.Detail)
	case out.Verdict == kubeaction.AlreadyDone:
		return e.alreadyDone(acting, ref, play, plan)
	case out.Act():
	default:
		return kubeaction.Receipt{}, fmt.Errorf("%w: %w", errUnbegun, &kubeaction.Refusal{Reason: kubeaction.Reason(out.Verdict), Detail: out.Detail})
	}
	receipt, err := apply(acting, *plan)
	// Whatever has happened to the step's own time, the others must know what became of it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	ctx = kubeaction.WithPermit(ctx, &permit{e: e, ref: ref, telling: true})
	var refusal *kubeaction.Refusal
	var halted *kubeaction.Halted
	var told error
	switch {
	case err == nil, errors.As(err, &halted): // what was stopped half-way has been done as well
		told = e.fleet.Done(ctx, plan.Key)
	case errors.As(err, &refusal) && !play.Doubtful:
		told = e.fleet.Release(ctx, plan.Key)
	}
	if told != nil {
		e.logger.Warn("other replicas could not be told of an action and wait for the end of its lease",
			zap.String("incident_id", ref.Incident), zap.String("playbook", ref.Playbook), zap.Error(told))
	}
	return receipt, err
}

// alreadyDone finds the receipt of what somebody has done for this very intent: another replica, or we ourselves before a
// crash. It is only repeated where the target itself says that repeating changes nothing.
func (e *remediationExporter) alreadyDone(
	ctx context.Context, ref playbook.Ref, play *playbook.Play, admitted *kubeaction.Plan,
) (kubeaction.Receipt, error) {
	o, err := e.kubeOrder(ref, play)
	if err != nil {
		return kubeaction.Receipt{}, err
	}
	plan, err := e.cluster.Prepare(ctx, o)
	if err == nil && plan.NoOp {
		return e.cluster.Apply(ctx, plan)
	}
	var refusal *kubeaction.Refusal
	if err != nil && !errors.As(err, &refusal) {
		return kubeaction.Receipt{}, err
	}
	return kubeaction.Receipt{
		Key: admitted.Key, Action: admitted.Action, Objects: admitted.Objects, At: time.Now().UTC(), NoOp: true,
		Summary: "done already, by another replica or before a restart",
	}, nil
}

const (
	// releaseTimeout bounds how long the others are tried to be told.
	releaseTimeout = 10 * time.Second
	// maxWeight leaves shares to the budget of each replica, which knows the populations.
	maxWeight = 1 << 20
)

// window is how long reservations are kept.
func (e *remediationExporter) window() time.Duration {
	if e.cfg.Coordination == CoordinationStore {
		return claimWindow
	}
	return e.cfg.Kubernetes.Get().Coordination.Window
}

// witnessCall notes a request that could have changed something.
func (e *remediationExporter) witnessCall(c kubeaction.Call) {
	if c.DryRun {
		return
	}
	e.logger.Info("request to the API server", zap.String("verb", c.Request.Verb), zap.String("resource", c.Request.Resource),
		zap.String("namespace", c.Request.Namespace), zap.String("name", c.Request.Name), zap.Int("status", c.Status),
		zap.Bool("refused", c.Refused), zap.Duration("duration", c.Duration), zap.Error(c.Err))
	add(context.Background(), e.telemetry.ExporterRemediationMutatingRequests, e.telemetry.requestResults, requestResult(&c), 1)
	e.noteRequest(c)
}
