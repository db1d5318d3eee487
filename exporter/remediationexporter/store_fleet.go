package remediationexporter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paramedic-otel/paramedic/internal/incidentstore"
	"github.com/paramedic-otel/paramedic/internal/kubeaction"
)

// storeFleet is the agreement of the replicas on who acts, in the incident store. It has the rules of [kubeaction.Reservations].
type storeFleet struct{ e *remediationExporter }

// claimWindow bounds for how long the fleet counts what was done.
const claimWindow = 24 * time.Hour

// Reserve implements coordinator. An error means that nobody knows whether we may act, so that we do not.
func (f *storeFleet) Reserve(ctx context.Context, c kubeaction.Claim) (kubeaction.Outcome, error) {
	if p := kubeaction.PermitFrom(ctx); p != nil {
		if err := p.Allow(ctx, kubeaction.Request{Verb: "claim", Resource: "incidentstore", Name: c.Key}); err != nil {
			return kubeaction.Outcome{}, err
		}
	}
	return f.claim(ctx, incidentstore.Claim{
		Key: c.Key, Owner: f.e.incidents.name, Locks: c.Locks, Lease: c.Lease, Cooldown: c.Cooldown, Class: string(c.Class), Weight: max(1, c.Weight),
		Window: c.Limits.Window, Total: c.Limits.Total, PerClass: c.Limits.Class, MaxWeight: c.Limits.Weight,
	})
}

func (f *storeFleet) claim(ctx context.Context, c incidentstore.Claim) (kubeaction.Outcome, error) {
	var out incidentstore.ClaimOutcome
	err := f.e.call(ctx, storeClaim, f.e.cfg.Store.Timeout, func(ctx context.Context) error {
		var err error
		out, err = f.e.incidents.memory.Claim(ctx, c)
		return err
	})
	if err != nil {
		return kubeaction.Outcome{}, fmt.Errorf("claim in the incident store: %w", err)
	}
	return claimVerdict(&out, time.Now())
}

// claimVerdict says the answer of the store as reservations do.
func claimVerdict(out *incidentstore.ClaimOutcome, now time.Time) (kubeaction.Outcome, error) {
	o := kubeaction.Outcome{Detail: plainText(out.Detail, maxDetail)}
	if !out.Until.IsZero() {
		o.RetryAfter = max(0, out.Until.Sub(now))
	}
	switch {
	case out.Granted && out.Again:
		o.Verdict = kubeaction.Resumed
	case out.Granted:
		o.Verdict = kubeaction.Granted
	case out.Reason == incidentstore.ClaimHeld:
		o.Verdict = kubeaction.Busy
	case out.Reason == incidentstore.ClaimCooldown:
		o.Verdict = kubeaction.Cooldown
	case out.Reason == incidentstore.ClaimBudget:
		o.Verdict = kubeaction.OverBudget
	case out.Reason == incidentstore.ClaimDone:
		o.Verdict = kubeaction.AlreadyDone
	default:
		return o, fmt.Errorf("claim in the incident store: it was refused for %.40q, which is not known here", out.Reason)
	}
	return o, nil
}

// Done implements coordinator.
func (f *storeFleet) Done(ctx context.Context, key string) error {
	return f.tell(ctx, func(ctx context.Context) error { return f.e.incidents.memory.Finish(ctx, key, f.e.incidents.name) })
}

// Release implements coordinator.
func (f *storeFleet) Release(ctx context.Context, key string) error {
	return f.tell(ctx, func(ctx context.Context) error { return f.e.incidents.memory.Release(ctx, key, f.e.incidents.name) })
}

// tell repeats for a while what the others should know.
func (f *storeFleet) tell(ctx context.Context, do func(context.Context) error) error {
	for {
		err := f.e.call(ctx, storeRelease, f.e.cfg.Store.Timeout, do)
		if err == nil || errors.Is(err, incidentstore.ErrNotFound) {
			return nil
		}
		if errors.Is(err, incidentstore.ErrConflict) || ctx.Err() != nil {
			return err
		}
		timer := time.NewTimer(tellRetry)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}

// tellRetry is how long to wait before the others are told again.
const tellRetry = 500 * time.Millisecond
