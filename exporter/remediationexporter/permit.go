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
	begun   atomic.Bool
}

// Allow implements kubeaction.Permit.
func (p *permit) Allow(ctx context.Context, request kubeaction.Request) error {
	if err := p.e.rate.Wait(ctx); err != nil {
		return fmt.Errorf("wait for the rate limit: %w", err)
	}
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	now := time.Now()
	w := p.e.look(now)
	switch {
	case w.Paused != "":
		return fmt.Errorf("%w: automation is paused by %s", errWithdrawn, w.Paused)
	case p.telling:
		return nil
	case request.Restoring && !p.undo:
		// A step that stopped half-way puts back what it did, whatever has become of the intent.
		return nil
	case w.Standby:
		return fmt.Errorf("%w: another replica leads", errWithdrawn)
	}
	play, ok := p.e.ledger.At(p.ref)
	want := playbook.Dispatched
	if p.undo {
		want = playbook.Undoing
	}
	if !ok || play.Outcome != want {
		return fmt.Errorf("%w: the intent has ended", errWithdrawn)
	}
	if !now.Before(play.Deadline) {
		return fmt.Errorf("%w: the intent's time is over", errWithdrawn)
	}
	// What was begun is finished even when the incident ends meanwhile.
	if inc := p.e.ledger.Incident(p.ref.Incident); !p.undo && !p.begun.Load() && (inc == nil || inc.Resolved) {
		return fmt.Errorf("%w: the incident is over", errWithdrawn)
	}
	p.begun.Store(true)
	return nil
}
