package remediationexporter

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/paramedic-otel/paramedic/internal/kubeaction"
	"github.com/paramedic-otel/paramedic/internal/playbook"
)

// errWithdrawn is the error of a request that must no longer be made.
var errWithdrawn = errors.New("permit is withdrawn")

// permit is the policy's consent to the requests of one step. It is asked right before each of them.
type permit struct {
	e   *remediationExporter
	ref playbook.Ref
	// undo permits what takes back; only the kill switch and leadership stand against it.
	undo bool
	// telling permits what tells other replicas what became of an action: only the kill switch stands against it.
	telling bool
	// acting is set for the action itself, rather than what is written about it.
	acting bool
	begun  atomic.Bool
}

// Allow implements kubeaction.Permit.
func (p *permit) Allow(ctx context.Context, request kubeaction.Request) error {
	refusal, err := p.ask(ctx, request)
	add(ctx, p.e.telemetry.ExporterRemediationRefusedPermits, p.e.telemetry.permitRefusals, refusal, min(len(refusal), 1))
	return err
}

// ask returns why the request must not be made, for the metric and for people.
func (p *permit) ask(ctx context.Context, request kubeaction.Request) (refusal string, err error) {
	if err := p.e.rate.Wait(ctx); err != nil {
		return permitRate, fmt.Errorf("wait for the rate limit: %w", err)
	}
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	now := time.Now()
	w := p.e.look(now)
	switch {
	case w.Paused != "":
		return permitPaused, fmt.Errorf("%w: automation is paused by %s", errWithdrawn, w.Paused)
	case p.telling:
		return "", nil
	case request.Restoring && !p.undo:
		// A step that stopped half-way puts back what it did, whatever has become of the intent.
		return "", nil
	case w.Standby:
		return permitStandby, fmt.Errorf("%w: another replica leads", errWithdrawn)
	}
	play, ok := p.e.ledger.At(p.ref)
	want := playbook.Dispatched
	if p.undo {
		want = playbook.Undoing
	}
	if !ok || play.Outcome != want {
		return permitEnded, fmt.Errorf("%w: the intent has ended", errWithdrawn)
	}
	if !now.Before(play.Deadline) {
		return permitLate, fmt.Errorf("%w: the intent's time is over", errWithdrawn)
	}
	// What was begun is finished even when the incident ends meanwhile.
	if inc := p.e.ledger.Incident(p.ref.Incident); !p.undo && !p.begun.Load() && (inc == nil || inc.Resolved) {
		return permitResolved, fmt.Errorf("%w: the incident is over", errWithdrawn)
	}
	if !p.begun.Swap(true) && p.acting {
		p.e.telemetry.ExporterRemediationCallDelay.Record(ctx, max(0, now.Sub(play.Decided)).Seconds())
	}
	return "", nil
}
